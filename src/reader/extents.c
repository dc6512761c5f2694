/*
 * extents.c - content as a map: holes, data, places.
 *
 * Layer 3.
 */
#include "reader/internal.h"

/* ---- places ---- */

static int
visit_leaf(const struct span *s, tree_extent_fn *fn, void *arg, struct err *err)
{
	struct tree_extent out = {.off = s->off};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->leaf->n_extents; i++) {
		const struct extent *x = &s->leaf->extents[i];

		out.len = x->len;
		out.pack = (struct pack_id){0};
		out.seg = (struct segment_ref){0};
		out.seg_off = 0;
		if (x->segment != 0) {
			out.seg = s->leaf->segments[x->segment - 1];
			out.pack = s->packs->ids[out.seg.pack];
			out.seg_off = x->off;
		}
		r = fn(arg, &out, err);
		out.off += x->len;
	}
	return r;
}

int
tree_file_extents(struct tree_file *f, tree_extent_fn *fn, void *arg, struct err *err)
{
	uint64_t off = 0;

	if (f->item.entry.content.kind == CONTENT_INLINE)
		return 0;
	while (off < f->size) {
		struct span s;
		int r = file_span(f, off, PIN_READ, &s, err);

		if (r == 0 && s.leaf == NULL)
			r = fn(arg, &(struct tree_extent){.off = s.off, .len = s.len}, err);
		else if (r == 0)
			r = visit_leaf(&s, fn, arg, err);
		off = s.off + s.len;
		span_fini(f, &s);
		if (r != 0)
			return r;
	}
	return 0;
}

int
tree_item_extents(const struct tree_item *file, tree_extent_fn *fn, void *arg, struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *f = NULL;
	int r = file_new(file, &f, err);

	return r < 0 ? r : tree_file_extents(f, fn, arg, err);
}

/* ---- holes and data ---- */

/* The first place at or after @off in a span that is a hole, or is not; its end when there is none.
 */
static uint64_t
find_in_span(const struct span *s, uint64_t off, bool hole)
{
	uint64_t at = s->off;

	if (s->leaf == NULL)
		return hole ? off : s->off + s->len;
	for (uint32_t i = 0; i < s->leaf->n_extents; i++) {
		const struct extent *x = &s->leaf->extents[i];

		if ((x->segment == 0) == hole && at + x->len > off)
			return max_u64(at, off);
		at += x->len;
	}
	return s->off + s->len;
}

int
tree_file_seek(struct tree_file *f, uint64_t off, bool hole, uint64_t *ret, struct err *err)
{
	*ret = 0;
	if (off >= f->size)
		return err_set(err, ERR_NOENT, "past the end of the file");
	if (f->item.entry.content.kind == CONTENT_INLINE) {
		*ret = hole ? f->size : off;
		return 0;
	}
	while (off < f->size) {
		struct span s;
		uint64_t found, end;
		int r = file_span(f, off, PIN_READ, &s, err);

		if (r < 0)
			return r;
		end = s.off + s.len;
		found = find_in_span(&s, off, hole);
		span_fini(f, &s);
		if (found < end) {
			*ret = found;
			return 0;
		}
		off = end;
	}
	/* Behind the last byte every file has a hole. */
	if (!hole)
		return err_set(err, ERR_NOENT, "no data behind this place");
	*ret = f->size;
	return 0;
}
