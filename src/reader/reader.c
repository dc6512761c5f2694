/*
 * reader.c - the whole: making, ending, statistics.
 *
 * Layer 3.
 */
#include "reader/internal.h"

struct reader *
reader_new(struct repo *repo, struct transfer *transfer, uint64_t memory)
{
	struct reader *r = mem_alloc(sizeof *r);

	memory = max_u64(memory ? memory : READER_MEMORY, READER_MEMORY_LOW);
	r->repo = repo;
	r->transfer = transfer;
	sections_init(&r->sections);
	cache_init(&r->nodes, r, memory / NODES_SHARE);
	cache_init(&r->segments, r, memory - memory / NODES_SHARE);
	pool_init(&r->pool);
	pthread_mutex_init(&r->walks.lock, NULL);
	pthread_mutex_init(&r->bench_lock, NULL);
	SLIST_INIT(&r->benches);
	return r;
}

void
reader_free(struct reader *r)
{
	struct bench *b;

	if (r == NULL)
		return;
	pool_fini(r);
	cache_fini(&r->nodes);
	cache_fini(&r->segments);
	sections_fini(&r->sections);
	while ((b = SLIST_FIRST(&r->benches)) != NULL) {
		SLIST_REMOVE_HEAD(&r->benches, next);
		codec_free(b->codec);
		buf_fini(&b->stored);
		free(b);
	}
	pthread_mutex_destroy(&r->bench_lock);
	pthread_mutex_destroy(&r->walks.lock);
	free(r);
}

static void
count_cache(struct cache *c, uint64_t *loads, uint64_t *hits, uint64_t *used)
{
	pthread_mutex_lock(&c->lock);
	*loads = c->loads;
	*hits = c->hits;
	*used += c->used;
	pthread_mutex_unlock(&c->lock);
}

void
reader_stats_get(struct reader *r, struct reader_stats *ret)
{
	*ret = (struct reader_stats){0};
	count_cache(&r->segments, &ret->segments_opened, &ret->segments_from_memory,
		    &ret->memory_used);
	count_cache(&r->nodes, &ret->nodes_decoded, &ret->nodes_from_memory, &ret->memory_used);
}
