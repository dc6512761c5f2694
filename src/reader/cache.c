/*
 * cache.c - loaded things: counted references, single flight, one bound.
 *
 * Who asks first for a thing loads it, in his own thread, while others that want it wait for him.
 * A failure is told to those who waited, and then forgotten: transfer remembers what must not be
 * tried again at once.
 *
 * Layer 3.
 */
#include "reader/internal.h"

void
cache_init(struct cache *c, struct reader *r, uint64_t memory)
{
	c->reader = r;
	c->memory = memory;
	pthread_mutex_init(&c->lock, NULL);
	TAILQ_INIT(&c->warm);
	TAILQ_INIT(&c->cold);
}

static struct cached_bucket *
bucket_of(struct cache *c, const struct cached_key *key)
{
	uint64_t h = (uint64_t)(uintptr_t)key->section ^ key->off << 20 ^ key->node_off ^
		     (uint64_t)key->kind << 60 ^ (uint64_t)key->area << 56;

	h *= UINT64_C(0x9e3779b97f4a7c15);
	return &c->buckets[(h >> 32) % CACHE_BUCKETS];
}

bool
cached_key_equal(const struct cached_key *a, const struct cached_key *b)
{
	return a->section == b->section && a->off == b->off && a->node_off == b->node_off &&
	       a->kind == b->kind && a->area == b->area && a->stored_len == b->stored_len &&
	       a->plain_len == b->plain_len && a->node_len == b->node_len &&
	       a->height == b->height && a->range == b->range;
}

static struct cached *
find_locked(struct cache *c, const struct cached_key *key)
{
	struct cached *x;

	LIST_FOREACH(x, bucket_of(c, key), chain)
	{
		if (cached_key_equal(&x->key, key))
			break;
	}
	return x;
}

static void
list_remove_locked(struct cache *c, struct cached *x)
{
	if (x->cold)
		c->cold_used -= x->cost;
	TAILQ_REMOVE(x->cold ? &c->cold : &c->warm, x, list);
	x->cold = false;
}

/* Takes out what must give way; the caller frees it without the lock. */
static void
evict_locked(struct cache *c, struct cached_list *out)
{
	for (;;) {
		struct cached *x = TAILQ_FIRST(&c->cold);

		if (c->used <= c->memory && c->cold_used <= CACHE_COLD_MAX)
			return;
		if (x == NULL)
			x = TAILQ_FIRST(&c->warm);
		if (x == NULL)
			return;
		list_remove_locked(c, x);
		LIST_REMOVE(x, chain);
		c->used -= x->cost;
		TAILQ_INSERT_TAIL(out, x, list);
	}
}

static void
release_all(struct cache *c, struct cached_list *out)
{
	struct cached *x;

	while ((x = TAILQ_FIRST(out)) != NULL) {
		TAILQ_REMOVE(out, x, list);
		cached_release(c->reader, x);
	}
}

void
cache_fini(struct cache *c)
{
	struct cached_list out = TAILQ_HEAD_INITIALIZER(out);

	c->memory = 0;
	pthread_mutex_lock(&c->lock);
	evict_locked(c, &out);
	pthread_mutex_unlock(&c->lock);
	release_all(c, &out);
	pthread_mutex_destroy(&c->lock);
}

static struct cached *
insert_locked(struct cache *c, const struct cached_key *key)
{
	struct cached *x = mem_alloc(sizeof *x);

	section_ref(&c->reader->sections, key->section);
	x->key = *key;
	x->refs = 1;
	pthread_cond_init(&x->loaded, NULL);
	LIST_INSERT_HEAD(bucket_of(c, key), x, chain);
	c->loads++;
	return x;
}

/* What failed is out of the table already; its last waiter frees it. */
static void
put_failed(struct cache *c, struct cached *x)
{
	bool last;

	pthread_mutex_lock(&c->lock);
	last = --x->refs == 0;
	pthread_mutex_unlock(&c->lock);
	if (last)
		cached_release(c->reader, x);
}

static int
load(struct cache *c, struct cached *x, struct err *err)
{
	struct cached_list out = TAILQ_HEAD_INITIALIZER(out);
	struct err own = ERR_INIT;
	int r = cached_load(c->reader, x, &own);

	pthread_mutex_lock(&c->lock);
	if (r == 0) {
		x->state = CACHED_READY;
		c->used += x->cost;
		evict_locked(c, &out);
	} else {
		x->state = CACHED_FAILED;
		x->failure = mem_copy(&own, sizeof own);
		LIST_REMOVE(x, chain);
		if (err != NULL)
			*err = own;
	}
	pthread_cond_broadcast(&x->loaded);
	pthread_mutex_unlock(&c->lock);
	release_all(c, &out);
	return r;
}

static int
wait_loaded_locked(struct cache *c, struct cached *x, struct err *err)
{
	while (x->state == CACHED_LOADING)
		pthread_cond_wait(&x->loaded, &c->lock);
	if (x->state == CACHED_READY)
		return 0;
	if (err != NULL)
		*err = *x->failure;
	return x->failure->code;
}

int
cache_get(struct cache *c, const struct cached_key *key, struct cached **ret, struct err *err)
{
	struct cached *x;
	int r = 0;
	bool mine;

	*ret = NULL;
	pthread_mutex_lock(&c->lock);
	x = find_locked(c, key);
	mine = x == NULL;
	if (mine) {
		x = insert_locked(c, key);
	} else {
		c->hits++;
		if (x->refs++ == 0)
			list_remove_locked(c, x);
		r = wait_loaded_locked(c, x, err);
	}
	pthread_mutex_unlock(&c->lock);

	if (mine)
		r = load(c, x, err);
	if (r < 0) {
		put_failed(c, x);
		return r;
	}
	*ret = x;
	return 0;
}

void
cache_ref(struct cache *c, struct cached *x)
{
	pthread_mutex_lock(&c->lock);
	x->refs++;
	pthread_mutex_unlock(&c->lock);
}

void
cache_put(struct cache *c, struct cached *x, bool consumed)
{
	struct cached_list out = TAILQ_HEAD_INITIALIZER(out);

	if (x == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	if (--x->refs == 0) {
		x->cold = consumed;
		TAILQ_INSERT_TAIL(consumed ? &c->cold : &c->warm, x, list);
		if (consumed)
			c->cold_used += x->cost;
		evict_locked(c, &out);
	}
	pthread_mutex_unlock(&c->lock);
	release_all(c, &out);
}

void
cache_set_beside(struct cache *c, struct cached *x, const struct cached_key *beside)
{
	pthread_mutex_lock(&c->lock);
	if (x->beside.section == NULL) {
		section_ref(&c->reader->sections, beside->section);
		x->beside = *beside;
	}
	pthread_mutex_unlock(&c->lock);
}

struct cached *
cache_beside(struct cache *c, const struct cached *x)
{
	struct cached *beside = NULL;

	pthread_mutex_lock(&c->lock);
	if (x->beside.section != NULL)
		beside = find_locked(c, &x->beside);
	if (beside != NULL && beside->state != CACHED_READY)
		beside = NULL;
	if (beside != NULL && beside->refs++ == 0)
		list_remove_locked(c, beside);
	pthread_mutex_unlock(&c->lock);
	return beside;
}

bool
cache_has(struct cache *c, const struct cached_key *key)
{
	bool has;

	pthread_mutex_lock(&c->lock);
	has = find_locked(c, key) != NULL;
	pthread_mutex_unlock(&c->lock);
	return has;
}
