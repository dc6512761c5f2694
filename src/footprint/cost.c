/*
 * cost.c - what a copy would fetch now.
 *
 * Each block that isn't cached is fetched once, neighbours in one request.
 *
 * Layer 4.
 */
#include "footprint/internal.h"

/* Which of a pack's blocks are cached. */
static void
find_cached(const struct diskcache_blocks *b, struct diskcache *cache,
	    uint64_t ret[DISKCACHE_MAP_WORDS])
{
	uint32_t n = blocks_of(&b->pack);

	memset(ret, 0, DISKCACHE_MAP_WORDS * sizeof *ret);
	for (uint32_t at = 0; cache != NULL && at < n; at += 64)
		ret[at / 64] =
			diskcache_blocks_has(cache, &b->pack, at, (uint32_t)min_u64(64, n - at));
}

/* Sums blocks, and counts requests: stretches, each of at most @longest blocks. */
static void
add_blocks(const struct diskcache_blocks *b, const uint64_t cached[DISKCACHE_MAP_WORDS],
	   uint32_t longest, struct footprint_cost *ret)
{
	uint32_t n = blocks_of(&b->pack), run = 0;

	for (uint32_t k = 0; k < n; k++) {
		bool is_cached = cached[k / 64] >> (k % 64) & 1;

		if (needs_block(b, k) && is_cached)
			ret->cached += block_bytes(&b->pack, k);
		if (!needs_block(b, k) || is_cached) {
			run = 0;
			continue;
		}
		ret->bytes += block_bytes(&b->pack, k);
		ret->requests += run % longest == 0;
		run++;
	}
}

void
footprint_cost(const struct footprint *f, const struct transfer *t, struct diskcache *cache,
	       struct footprint_cost *ret)
{
	uint32_t longest = transfer_request_blocks(t);

	*ret = (struct footprint_cost){0};
	for (size_t i = 0; i < f->n; i++) {
		const struct diskcache_blocks *b = &f->packs[i];
		uint64_t cached[DISKCACHE_MAP_WORDS];
		CLEANUP(buf_fini) struct buf header = BUF_INIT;

		find_cached(b, cache, cached);
		add_blocks(b, cached, longest, ret);
		if (cache != NULL && diskcache_header_get(cache, &b->pack, &header)) {
			ret->cached += b->pack.header_len;
			continue;
		}
		/* It travels with the first block when that is wanted too. */
		ret->bytes += b->pack.header_len;
		ret->requests += !(needs_block(b, 0) && !(cached[0] & 1));
	}
}
