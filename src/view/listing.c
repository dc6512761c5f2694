/*
 * listing.c - a directory of a snapshot by positions: entry number @index in name order.
 */
#include "private.h"

int
view_listing_open(struct view *v, struct view_node *dir, struct view_listing **ret, struct err *err)
{
	struct view_listing *l = mem_alloc(sizeof *l);
	int r;

	*ret = NULL;
	r = view_entry_get(v, dir, &l->dir, err);
	if (r == 0)
		r = merged_cursor_open(&l->dir->at, &l->cursor, err);
	if (r < 0) {
		view_listing_close(v, l);
		return r;
	}
	*ret = l;
	return 0;
}

void
view_listing_close(struct view *v, struct view_listing *l)
{
	if (l == NULL)
		return;
	merged_cursor_close(l->cursor);
	view_entry_put(v, l->dir);
	free(l);
}

int
view_listing_at(struct view_listing *l, uint64_t index, const struct merged **ret, struct err *err)
{
	int r = 0;

	/* Asked again for the entry that didn't fit into the reply before. */
	if (l->now != NULL && index + 1 == l->next) {
		*ret = l->now;
		return 0;
	}
	l->now = NULL;
	if (index != l->next)
		r = merged_cursor_seek(l->cursor, index, err);
	if (r == 0) {
		l->next = index;
		r = merged_cursor_next(l->cursor, &l->now, err);
	}
	if (r < 0) {
		/* Where the cursor stands now isn't known. */
		l->now = NULL;
		l->next = UINT64_MAX;
		return r;
	}
	l->next = index + 1;
	*ret = l->now;
	return 0;
}
