/*
 * watch.c - a growing set of blocks of packs.
 *
 * Layer 4.
 */
#include <pthread.h>

#include "footprint/internal.h"

#define BUCKETS 4096u

/* One pack's blocks, in a chain by hash. */
struct noted {
	struct diskcache_blocks blocks;
	struct noted *next;
};

struct footprint_watch {
	pthread_mutex_t lock; /* protects everything below */
	struct noted *buckets[BUCKETS];
	size_t n;
};

struct footprint_watch *
footprint_watch_new(void)
{
	struct footprint_watch *w = mem_alloc(sizeof *w);

	pthread_mutex_init(&w->lock, NULL);
	return w;
}

void
footprint_watch_free(struct footprint_watch *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (w->buckets[i] != NULL) {
			struct noted *next = w->buckets[i]->next;

			free(w->buckets[i]);
			w->buckets[i] = next;
		}
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static struct noted *
noted_of_locked(struct footprint_watch *w, const struct pack_source *source)
{
	size_t bucket = (source->id.h.b[0] << 8 | source->id.h.b[1]) % BUCKETS;
	struct noted *x;

	for (x = w->buckets[bucket]; x != NULL; x = x->next)
		if (hash_equal(&x->blocks.pack.id.h, &source->id.h) &&
		    x->blocks.pack.object_len == source->object_len &&
		    x->blocks.pack.header_len == source->header_len)
			return x;
	x = mem_alloc(sizeof *x);
	x->blocks.pack =
		(struct diskcache_pack){source->id, source->object_len, source->header_len};
	x->blocks.writer = source->writer;
	x->next = w->buckets[bucket];
	w->buckets[bucket] = x;
	w->n++;
	return x;
}

void
watch_add(struct footprint_watch *w, const struct pack_source *source, uint64_t off, uint64_t len)
{
	struct noted *x;

	if (len == 0)
		return;
	pthread_mutex_lock(&w->lock);
	x = noted_of_locked(w, source);
	for (uint64_t b = off / PACK_BLOCK_LEN; b <= (off + len - 1) / PACK_BLOCK_LEN; b++)
		x->blocks.map[b / 64] |= UINT64_C(1) << (b % 64);
	pthread_mutex_unlock(&w->lock);
}

void
footprint_watch_seen(void *watch, const struct pack_source *source, uint64_t off, size_t len)
{
	watch_add(watch, source, off, len);
}

/* ---- handing over */

uint32_t
blocks_of(const struct diskcache_pack *p)
{
	return (uint32_t)((p->object_len - p->header_len + PACK_BLOCK_LEN - 1) / PACK_BLOCK_LEN);
}

uint64_t
block_bytes(const struct diskcache_pack *p, uint32_t block)
{
	return min_u64(PACK_BLOCK_LEN,
		       p->object_len - p->header_len - (uint64_t)block * PACK_BLOCK_LEN);
}

struct pack_source
source_of(const struct diskcache_blocks *b)
{
	return (struct pack_source){.writer = b->writer,
				    .id = b->pack.id,
				    .object_len = b->pack.object_len,
				    .header_len = b->pack.header_len};
}

static int
by_id(const void *a, const void *b)
{
	const struct diskcache_blocks *x = a, *y = b;

	return memcmp(&x->pack.id, &y->pack.id, sizeof x->pack.id);
}

void
watch_take(struct footprint_watch *w, struct footprint *ret)
{
	pthread_mutex_lock(&w->lock);
	ret->packs = mem_array(w->n + 1, sizeof *ret->packs);
	ret->n = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct noted *x = w->buckets[i]; x != NULL; x = x->next)
			ret->packs[ret->n++] = x->blocks;
	pthread_mutex_unlock(&w->lock);
	qsort(ret->packs, ret->n, sizeof *ret->packs, by_id);

	ret->stored = 0;
	for (size_t i = 0; i < ret->n; i++) {
		const struct diskcache_blocks *b = &ret->packs[i];

		ret->stored += b->pack.header_len;
		for (uint32_t k = 0; k < blocks_of(&b->pack); k++)
			ret->stored += needs_block(b, k) ? block_bytes(&b->pack, k) : 0;
	}
}

void
footprint_fini(struct footprint *f)
{
	free(f->packs);
	*f = (struct footprint){0};
}
