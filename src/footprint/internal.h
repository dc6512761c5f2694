/*
 * internal.h - what the rooms of footprint share.
 *
 *	watch.c    a growing set of blocks
 *	measure.c  the walk over what a path needs
 *	fetch.c    reading all of it
 *	cost.c     what of it isn't cached
 *
 * Layer 4.
 */
#ifndef FOOTPRINT_INTERNAL_H
#define FOOTPRINT_INTERNAL_H

#include "tillfs/footprint.h"

/* Notes bytes of a pack's body, which lie in it.  Threads: any. */
void watch_add(struct footprint_watch *w, const struct pack_source *source, uint64_t off,
	       uint64_t len);
/* Hands over all that was noted, in order. */
void watch_take(struct footprint_watch *w, struct footprint *ret);

static inline bool
needs_block(const struct diskcache_blocks *b, uint32_t block)
{
	return b->map[block / 64] >> (block % 64) & 1;
}

/* How many blocks the pack has. */
uint32_t blocks_of(const struct diskcache_pack *p);
uint64_t block_bytes(const struct diskcache_pack *p, uint32_t block);
struct pack_source source_of(const struct diskcache_blocks *b);

#endif /* FOOTPRINT_INTERNAL_H */
