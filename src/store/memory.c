/*
 * memory.c - a store in memory, for tests.
 *
 * Layer 1.
 */
#include <pthread.h>

#include "store/private.h"

struct object {
	char *key;
	struct buf body;
};

struct memory {
	pthread_mutex_t lock;
	struct object *v; /* ascending by key; protected by lock */
	size_t n, cap;
};

/* Where @key is, or belongs. */
static size_t
position(const struct memory *m, const char *key, bool *found)
{
	size_t lo = 0, hi = m->n;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(m->v[mid].key, key);

		if (order == 0) {
			*found = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
missing(const char *key, struct err *err)
{
	return err_set(err, ERR_NOENT, "%s: no such object", key);
}

static int
memory_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct memory *m = arg;
	bool found;
	size_t i;

	pthread_mutex_lock(&m->lock);
	i = position(m, key, &found);
	if (found && off < m->v[i].body.len)
		buf_append(ret, m->v[i].body.p + off, min_u64(len, m->v[i].body.len - off));
	pthread_mutex_unlock(&m->lock);
	return found ? 0 : missing(key, err);
}

static int
memory_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct memory *m = arg;
	bool found;
	size_t i;

	pthread_mutex_lock(&m->lock);
	i = position(m, key, &found);
	if (found)
		*ret = m->v[i].body.len;
	pthread_mutex_unlock(&m->lock);
	return found ? 0 : missing(key, err);
}

static int
memory_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct memory *m = arg;
	bool found;
	size_t i;

	pthread_mutex_lock(&m->lock);
	i = position(m, key, &found);
	if (!found) {
		array_reserve(m->v, m->n, m->cap);
		memmove(m->v + i + 1, m->v + i, (m->n - i) * sizeof *m->v);
		m->v[i] = (struct object){.key = str_copy(key)};
		buf_append(&m->v[i].body, body.p, body.len);
		m->n++;
	}
	pthread_mutex_unlock(&m->lock);
	return found ? err_set(err, ERR_EXISTS, "%s: exists already", key) : 0;
}

static int
memory_remove(void *arg, const char *key, struct err *err)
{
	struct memory *m = arg;
	bool found;
	size_t i;

	pthread_mutex_lock(&m->lock);
	i = position(m, key, &found);
	if (found) {
		free(m->v[i].key);
		buf_fini(&m->v[i].body);
		memmove(m->v + i, m->v + i + 1, (m->n - i - 1) * sizeof *m->v);
		m->n--;
	}
	pthread_mutex_unlock(&m->lock);
	return found ? 0 : missing(key, err);
}

/* A copy of what is to be listed, so that the caller may use the store meanwhile. */
static struct store_entry *
matching(struct memory *m, const char *prefix, bool delimited, size_t *n)
{
	size_t skip = strlen(prefix), cap = 0;
	struct store_entry *v = NULL;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n; i++) {
		const char *key = m->v[i].key;
		const char *slash =
			strncmp(key, prefix, skip) == 0 ? strchr(key + skip, '/') : NULL;
		struct store_entry e = {.size = m->v[i].body.len};

		if (strncmp(key, prefix, skip) != 0)
			continue;
		if (delimited && slash != NULL) {
			size_t len = (size_t)(slash - key) + 1;

			if (*n > 0 && v[*n - 1].is_prefix && strncmp(v[*n - 1].key, key, len) == 0)
				continue;
			e = (struct store_entry){.key = str_format("%.*s", (int)len, key),
						 .is_prefix = true};
		} else {
			e.key = str_copy(key);
		}
		array_reserve(v, *n, cap);
		v[(*n)++] = e;
	}
	pthread_mutex_unlock(&m->lock);
	return v;
}

static int
memory_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	    struct err *err)
{
	size_t n = 0;
	struct store_entry *v = matching(arg, prefix, delimited, &n);
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = fn(fn_arg, &v[i], err);
		free((char *)v[i].key);
	}
	free(v);
	return r;
}

static void
memory_close(void *arg)
{
	struct memory *m = arg;

	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].key);
		buf_fini(&m->v[i].body);
	}
	free(m->v);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct store_ops memory_ops = {.scheme = "memory",
					    .get = memory_get,
					    .size = memory_size,
					    .create = memory_create,
					    .list = memory_list,
					    .remove = memory_remove,
					    .close = memory_close};

struct store *
store_memory_new(void)
{
	struct memory *m = mem_alloc(sizeof *m);

	pthread_mutex_init(&m->lock, NULL);
	return store_new(&memory_ops, m, "memory:");
}
