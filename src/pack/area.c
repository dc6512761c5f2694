/*
 * area.c - areas of a pack under construction, in blocks.
 *
 * Layer 2.
 */
#include "pack/area.h"

static struct area_block *
take(struct area_blocks *blocks)
{
	struct area_block *b = blocks->free;

	if (b != NULL) {
		blocks->free = b->next;
		b->next = NULL;
		return b;
	}
	b = mem_alloc(sizeof *b);
	buf_reserve(&b->bytes, AREA_BLOCK_LEN);
	return b;
}

static void
give_back(struct area_blocks *blocks, struct area_block *b)
{
	buf_reset(&b->bytes);
	b->next = blocks->free;
	blocks->free = b;
}

struct buf *
area_room(struct area *a, struct area_blocks *blocks, size_t len)
{
	if (a->last == NULL || a->last->bytes.cap - a->last->bytes.len < len) {
		struct area_block *b = take(blocks);

		if (a->last == NULL)
			a->first = b;
		else
			a->last->next = b;
		a->last = b;
	}
	return &a->last->bytes;
}

void
area_added(struct area *a, size_t len)
{
	a->len += len;
}

static void
empty(struct area *a, struct area_blocks *blocks, struct buf *to)
{
	while (a->first != NULL) {
		struct area_block *b = a->first;

		a->first = b->next;
		if (to != NULL)
			buf_append(to, b->bytes.p, b->bytes.len);
		give_back(blocks, b);
	}
	*a = (struct area){0};
}

void
area_move(struct area *a, struct area_blocks *blocks, struct buf *to)
{
	empty(a, blocks, to);
}

void
area_drop(struct area *a, struct area_blocks *blocks)
{
	empty(a, blocks, NULL);
}

void
area_blocks_fini(struct area_blocks *blocks)
{
	while (blocks->free != NULL) {
		struct area_block *b = blocks->free;

		blocks->free = b->next;
		buf_fini(&b->bytes);
		free(b);
	}
}
