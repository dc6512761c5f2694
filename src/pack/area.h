/*
 * area.h - the segments of one area of a pack under construction, end to end.
 *
 * Memory comes in blocks that stay for the next pack: a pack's sixteen megabytes aren't asked of
 * the kernel again, and nothing is moved when an area grows.
 *
 * Layer 2.
 */
#ifndef PACK_AREA_H
#define PACK_AREA_H

#include "tillfs/pack.h"

#define AREA_BLOCK_LEN (1u * MIB)

struct area_block {
	struct area_block *next;
	struct buf bytes; /* its room never grows */
};

struct area {
	struct area_block *first, *last;
	uint64_t len;
};

/* Blocks that nobody uses. */
struct area_blocks {
	struct area_block *free;
};

/* Where @len bytes, at most SEGMENT_STORED_MAX, are to be appended: to area_room()'s buf, which has
 * room for them; then area_added. */
struct buf *area_room(struct area *a, struct area_blocks *blocks, size_t len);
void area_added(struct area *a, size_t len);
/* Appends all of it to @to, and gives its blocks back. */
void area_move(struct area *a, struct area_blocks *blocks, struct buf *to);
/* Gives its blocks back. */
void area_drop(struct area *a, struct area_blocks *blocks);
void area_blocks_fini(struct area_blocks *blocks);

#endif /* PACK_AREA_H */
