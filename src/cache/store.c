/*
 * store.c - the store around a cache: small objects and listings from disk, everything else from
 * the store below.
 *
 * Layer 3.
 */
#include "cache/internal.h"
#include "tillfs/ledger.h"

struct cached_store {
	struct diskcache *cache; /* borrowed */
	struct store *inner;     /* NULL: offline */
	/* The inner store's own operations: this one's store_* functions checked the key. */
	const struct store_ops *ops;
	void *arg;
	struct known known;
};

static int
offline(const char *what, struct err *err)
{
	return err_set(err, ERR_OFFLINE, "%s", what);
}

/* ---- reading */

static void
take_range(struct buf *b, uint64_t len)
{
	b->len = (size_t)min_u64(b->len, len);
}

/* The config says which repository this is. */
static bool
learn_repository(struct diskcache *c, const struct buf *bytes)
{
	struct repo_config config = {0};
	bool ok = config_object_parse(buf_slice(bytes), NULL, &config, NULL) == 0 &&
		  cache_bind(c, &config.repo);

	repo_config_fini(&config);
	return ok;
}

static int
get_kept(struct cached_store *s, const char *key, uint64_t len, struct buf *ret, struct err *err)
{
	int r;

	if (object_get(s->cache, key, ret)) {
		take_range(ret, len);
		return 0;
	}
	if (s->inner == NULL)
		return offline("not in the cache; run the same command once without --offline",
			       err);
	r = s->ops->get(s->arg, key, 0, len, ret, err);
	if (r < 0 || ret->len >= len) /* more of it may be there: not the whole object */
		return r;
	if (strcmp(key, "config") == 0 && !learn_repository(s->cache, ret))
		return 0;
	object_put(s->cache, key, buf_slice(ret));
	return 0;
}

static int
cached_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct cached_store *s = arg;

	if (off == 0 && object_is_kept(key))
		return get_kept(s, key, len, ret, err);
	if (s->inner == NULL)
		return offline("not in the cache; `tillfs pin` keeps it there while online", err);
	return s->ops->get(s->arg, key, off, len, ret, err);
}

static int
cached_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct cached_store *s = arg;

	if (s->inner == NULL)
		return offline("its size isn't known offline", err);
	return s->ops->size(s->arg, key, ret, err);
}

/* ---- listing */

/* Who listens to a listing while it is remembered. */
struct listener {
	store_list_fn *fn;
	void *arg;
	struct known_keys told;
};

static int
listen(void *arg, const struct store_entry *entry, struct err *err)
{
	struct listener *l = arg;

	known_keys_add(&l->told, entry->key, entry->size);
	return l->fn(l->arg, entry, err);
}

static int
cached_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	    struct err *err)
{
	struct cached_store *s = arg;
	struct listener l = {.fn = fn, .arg = fn_arg};
	int r;

	if (s->inner == NULL)
		return known_list(s->cache, prefix, delimited, fn, fn_arg, err);
	known_begin(&s->known);
	r = s->ops->list(s->arg, prefix, delimited, listen, &l, err);
	known_end(&s->known, s->cache, prefix, delimited, r == 0 ? &l.told : NULL);
	known_keys_fini(&l.told);
	return r;
}

/* ---- changing */

static int
cached_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct cached_store *s = arg;

	if (s->inner == NULL)
		return offline("nothing can be stored offline", err);
	return s->ops->create(s->arg, key, body, err);
}

static int
cached_remove(void *arg, const char *key, struct err *err)
{
	struct cached_store *s = arg;
	int r;

	if (s->inner == NULL)
		return offline("nothing can be removed offline", err);
	r = s->ops->remove(s->arg, key, err);
	if (r == 0 && object_is_kept(key))
		object_remove(s->cache, key);
	return r;
}

/* ---- the store */

static struct store *
cached_inner(void *arg)
{
	return ((struct cached_store *)arg)->inner;
}

/* Offline, all that can be read is in a folder of this machine. */
static const char *
cached_path(void *arg)
{
	return diskcache_folder(((struct cached_store *)arg)->cache);
}

static void
cached_close(void *arg)
{
	struct cached_store *s = arg;

	store_close(s->inner);
	known_fini(&s->known);
	free(s);
}

static const struct store_ops cached_ops = {
	.scheme = "cached",
	.get = cached_get,
	.size = cached_size,
	.create = cached_create,
	.list = cached_list,
	.remove = cached_remove,
	.close = cached_close,
	.inner = cached_inner,
	.path = cached_path,
};

struct store *
diskcache_store_new(struct store *inner, struct diskcache *cache, const char *url)
{
	struct cached_store *s = mem_alloc(sizeof *s);

	s->cache = cache;
	s->inner = inner;
	known_init(&s->known);
	if (inner != NULL) {
		s->ops = store_ops_of(inner);
		s->arg = store_arg_of(inner);
	}
	return store_new(&cached_ops, s, url);
}
