/*
 * page_rows.c - the rowids on pages that two versions of a rowid table don't share.
 */
#include "records/page_walk.h"

#include <inttypes.h>
#include <stdlib.h>

/* A leaf's rows. */
struct leaf_rows {
	struct rowid_range range;
	bool any, overflow; /* whether there are some; whether one goes on elsewhere */
};

static bool
read_cell(const struct page_pair *p, const struct node *n, uint32_t i, int64_t *ret_rowid,
	  bool *ret_overflows)
{
	const uint8_t *cell = page_cell(n, i);
	uint64_t payload, rowid;
	size_t used;

	if (cell == NULL)
		return false;
	used = page_varint(cell, n->end, &payload);
	if (used == 0 || page_varint(cell + used, n->end, &rowid) == 0)
		return false;
	*ret_rowid = (int64_t)rowid;
	*ret_overflows = payload > p->usable - 35;
	return true;
}

static int
leaf_read(struct page_pair *p, const struct side *s, uint32_t number, struct leaf_rows *ret,
	  struct err *err)
{
	struct node n;
	int r = page_node_read(p, s, number, p->page, &n, err);

	*ret = (struct leaf_rows){0};
	if (r < 0)
		return r;
	if (n.type != PAGE_TABLE_LEAF)
		return err_set(err, ERR_UNSUPPORTED, "page %" PRIu32 " is no leaf of a rowid table",
			       number);
	ret->any = n.n_cells > 0;
	for (uint32_t i = 0; i < n.n_cells; i++) {
		int64_t rowid;
		bool overflows;

		if (!read_cell(p, &n, i, &rowid, &overflows) || (i > 0 && rowid <= ret->range.last))
			return page_bad(number, "has cells that make no sense", err);
		if (i == 0)
			ret->range.first = rowid;
		ret->range.last = rowid;
		ret->overflow |= overflows;
	}
	return 0;
}

struct ranges {
	struct rowid_range *v;
	size_t n, cap;
};

static void
ranges_fini(struct ranges *x)
{
	free(x->v);
}

static int
add_different(struct page_pair *p, const struct side *s, struct ranges *ret, struct err *err)
{
	for (size_t i = 0; i < s->leaves.n; i++) {
		bool shared = page_is_shared(p, s->leaves.v[i]);
		struct leaf_rows rows;
		int r;

		if (shared && p->in_pages)
			continue;
		r = leaf_read(p, s, s->leaves.v[i], &rows, err);
		if (r < 0)
			return r;
		if (!rows.any || (shared && !rows.overflow))
			continue;
		array_reserve(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = rows.range;
	}
	return 0;
}

static int
by_first(const void *a, const void *b)
{
	const struct rowid_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Joins what touches. */
static void
join(struct ranges *x)
{
	size_t n = 0;

	if (x->n > 0)
		qsort(x->v, x->n, sizeof *x->v, by_first);
	for (size_t i = 0; i < x->n; i++) {
		struct rowid_range *last = n > 0 ? &x->v[n - 1] : NULL;

		if (last == NULL || (x->v[i].first > last->last && x->v[i].first - 1 > last->last))
			x->v[n++] = x->v[i];
		else if (x->v[i].last > last->last)
			last->last = x->v[i].last;
	}
	x->n = n;
}

int
page_pair_rows(struct page_pair *p, int64_t old_root, int64_t new_root, enum page_side side,
	       struct rowid_range **ret, size_t *n, struct err *err)
{
	CLEANUP(ranges_fini) struct ranges x = {0};
	int r;

	*ret = NULL;
	*n = 0;
	r = page_walk_both(p, old_root, new_root, err);
	if (r == 0)
		r = add_different(p, side == PAGE_OLD ? &p->old : &p->new, &x, err);
	if (r < 0)
		return r;
	join(&x);
	*n = x.n;
	*ret = steal_ptr(&x.v);
	return 0;
}
