/*
 * store.c - which back end a URL means, and what every back end may rely on.
 *
 * Layer 1.
 */
#include "tillfs/store.h"

#include "store/private.h"

struct store {
	const struct store_ops *ops;
	void *arg;
	char *url;
};

struct store *
store_new(const struct store_ops *ops, void *arg, const char *url)
{
	struct store *s = mem_alloc(sizeof *s);

	*s = (struct store){.ops = ops, .arg = arg, .url = str_copy(url)};
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	s->ops->close(s->arg);
	free(s->url);
	free(s);
}

void *
store_arg(const struct store *s)
{
	return s->arg;
}

const char *
store_url(const struct store *s)
{
	return s->url;
}

const char *
store_local_path(const struct store *s)
{
	return strncmp(s->url, "file://", 7) == 0 ? s->url + 7 : NULL;
}

int
store_open(const char *url, bool create, struct store **ret, struct err *err)
{
	static const char *const later[] = {"s3://", "gs://", "azure://", "webdav+https://",
					    "sftp://"};

	*ret = NULL;
	if (strncmp(url, "file:///", 8) == 0)
		return store_file_open(url, create, ret, err);
	if (strncmp(url, "file:", 5) == 0)
		return err_set(err, ERR_INVALID, "%s: a file URL is file:/// and an absolute path",
			       url);
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		if (strncmp(url, later[i], strlen(later[i])) == 0)
			return err_set(err, ERR_UNSUPPORTED,
				       "%s: this tillfs has no support for %s", url, later[i]);
	return err_set(err, ERR_INVALID,
		       "%s is no repository URL; one looks like file:///srv/pos-backup", url);
}

/* ---- keys ---- */

static bool
component_ok(const char *p, size_t len)
{
	return len > 0 && !(len <= 2 && p[0] == '.' && (len == 1 || p[1] == '.'));
}

/* @prefix: may be empty, end in '/', or break off in the middle of a component. */
static int
check_key(const char *key, bool prefix, struct err *err)
{
	size_t len = strlen(key);
	const char *p = key;

	if (len > STORE_KEY_MAX)
		return err_set(err, ERR_INVALID, "a key of %zu bytes is too long", len);
	if (prefix && len == 0)
		return 0;
	for (;;) {
		size_t part = strcspn(p, "/");

		if (!component_ok(p, part) && !(prefix && part == 0 && p[0] == '\0' && p > key))
			return err_set(err, ERR_INVALID, "'%s' is no object key", key);
		if (p[part] == '\0')
			return 0;
		p += part + 1;
	}
}

/* ---- operations ---- */

int
store_get(struct store *s, const char *key, uint64_t off, uint64_t len, struct buf *ret,
	  struct err *err)
{
	int r = check_key(key, false, err);

	buf_reset(ret);
	if (r == 0 && len > STORE_GET_MAX)
		r = err_set(err, ERR_INVALID, "%s: a range of %llu bytes is too long", key,
			    (unsigned long long)len);
	if (r == 0)
		r = s->ops->get(s->arg, key, off, len, ret, err);
	if (r < 0)
		buf_reset(ret);
	return r;
}

int
store_get_all(struct store *s, const char *key, uint64_t max, struct buf *ret, struct err *err)
{
	int r = store_get(s, key, 0, min_u64(max + 1, STORE_GET_MAX), ret, err);

	if (r == 0 && ret->len > max) {
		buf_reset(ret);
		return err_set(err, ERR_CORRUPT, "%s: longer than the %llu bytes it may have", key,
			       (unsigned long long)max);
	}
	return r;
}

int
store_size(struct store *s, const char *key, uint64_t *ret, struct err *err)
{
	int r = check_key(key, false, err);

	*ret = 0;
	return r < 0 ? r : s->ops->size(s->arg, key, ret, err);
}

int
store_create(struct store *s, const char *key, struct slice body, struct err *err)
{
	int r = check_key(key, false, err);

	return r < 0 ? r : s->ops->create(s->arg, key, body, err);
}

int
store_list(struct store *s, const char *prefix, bool delimited, store_list_fn *fn, void *arg,
	   struct err *err)
{
	int r = check_key(prefix, true, err);

	return r < 0 ? r : s->ops->list(s->arg, prefix, delimited, fn, arg, err);
}

int
store_remove(struct store *s, const char *key, struct err *err)
{
	int r = check_key(key, false, err);

	return r < 0 ? r : s->ops->remove(s->arg, key, err);
}
