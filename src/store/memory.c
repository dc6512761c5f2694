/*
 * memory.c - a store in memory, for tests.
 *
 * An array sorted by key under one lock: small, and obviously right, which is what a twin is for.
 *
 * Layer 1.
 */
#include <pthread.h>

#include "tillfs/store.h"

struct object {
	char *key;
	struct buf body;
};

struct memory {
	pthread_mutex_t lock;
	struct object *objects; /* protected by lock, as the two below; ascending by key */
	size_t n, cap;
};

/* The index of @key, or of the first key above it. */
static size_t
find(const struct memory *m, const char *key)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(m->objects[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The object, or NULL. */
static struct object *
lookup(const struct memory *m, const char *key)
{
	size_t i = find(m, key);

	return i < m->n && strcmp(m->objects[i].key, key) == 0 ? &m->objects[i] : NULL;
}

static int
memory_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct memory *m = arg;
	const struct object *o;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	o = lookup(m, key);
	if (o == NULL)
		r = err_set(err, ERR_NOENT, "no such object");
	else if (off < o->body.len)
		buf_append(ret, o->body.p + off, (size_t)min_u64(len, o->body.len - off));
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int
memory_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct memory *m = arg;
	const struct object *o;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	o = lookup(m, key);
	if (o == NULL)
		r = err_set(err, ERR_NOENT, "no such object");
	else
		*ret = o->body.len;
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void
insert(struct memory *m, const char *key, struct slice body)
{
	size_t i = find(m, key);

	array_reserve(m->objects, m->n, m->cap);
	memmove(m->objects + i + 1, m->objects + i, (m->n - i) * sizeof(*m->objects));
	m->objects[i] = (struct object){.key = str_copy(key)};
	buf_append(&m->objects[i].body, body.p, body.len);
	m->n++;
}

static int
memory_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct memory *m = arg;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (lookup(m, key) != NULL)
		r = err_set(err, ERR_EXISTS, "there is such an object already");
	else
		insert(m, key, body);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* Copies the entry at or after @from out of the lock.  False at the end of the prefix. */
static bool
next_entry(struct memory *m, const char *from, const char *prefix, char **ret_key,
	   uint64_t *ret_size)
{
	size_t i;
	bool found;

	pthread_mutex_lock(&m->lock);
	i = find(m, from);
	found = i < m->n && strncmp(m->objects[i].key, prefix, strlen(prefix)) == 0;
	if (found) {
		*ret_key = str_copy(m->objects[i].key);
		*ret_size = m->objects[i].body.len;
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}

/* The callback runs outside the lock, so it may use the store. */
static int
memory_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	    struct err *err)
{
	CLEANUP(freep) char *from = str_copy(prefix);

	for (;;) {
		CLEANUP(freep) char *key = NULL;
		struct store_entry entry = {0};
		char *slash;
		int r;

		if (!next_entry(arg, from, prefix, &key, &entry.size))
			return 0;
		slash = delimited ? strchr(key + strlen(prefix), '/') : NULL;
		if (slash != NULL) {
			slash[1] = '\0';
			entry.size = 0;
			entry.is_prefix = true;
		}
		entry.key = key;
		r = fn(fn_arg, &entry, err);
		if (r != 0)
			return r;

		/* The least key above: a byte 0x01 more; above a whole folder: '0' follows '/'. */
		free(from);
		from = str_format("%s\x01", key);
		if (slash != NULL) {
			from[strlen(from) - 2] = '/' + 1;
			from[strlen(from) - 1] = '\0';
		}
	}
}

static int
memory_remove(void *arg, const char *key, struct err *err)
{
	struct memory *m = arg;
	struct object *o;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	o = lookup(m, key);
	if (o == NULL) {
		r = err_set(err, ERR_NOENT, "no such object");
	} else {
		free(o->key);
		buf_fini(&o->body);
		m->n--;
		memmove(o, o + 1, (m->n - (size_t)(o - m->objects)) * sizeof(*o));
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void
memory_close(void *arg)
{
	struct memory *m = arg;

	for (size_t i = 0; i < m->n; i++) {
		free(m->objects[i].key);
		buf_fini(&m->objects[i].body);
	}
	free(m->objects);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct store_ops memory_ops = {
	.scheme = "memory",
	.get = memory_get,
	.size = memory_size,
	.create = memory_create,
	.list = memory_list,
	.remove = memory_remove,
	.close = memory_close,
};

struct store *
store_memory_new(void)
{
	struct memory *m = mem_alloc(sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	return store_new(&memory_ops, m, "memory:");
}
