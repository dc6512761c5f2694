/*
 * measure.c - the walk over all that a path needs.
 *
 * Layer 4.
 */
#include "footprint/internal.h"

/* A folder that is being walked. */
struct frame {
	struct merged_cursor *cursor;
};

struct walk {
	struct footprint_watch *watch;
	const struct progress_sink *sink;
	struct writer_id writer;
	struct footprint *ret;
	struct frame *frames;
	size_t n, cap;
};

static void
walk_fini(struct walk *w)
{
	while (w->n > 0)
		merged_cursor_close(w->frames[--w->n].cursor);
	free(w->frames);
}

/* ---- files */

/* The place of a pack in a class's list, which is in the order of ids. */
static const struct pack_place *
place_of(const struct snapshot_class *part, const struct pack_id *id)
{
	size_t low = 0, high = part->n_packs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = memcmp(&part->packs[mid].id, id, sizeof *id);

		if (c == 0)
			return &part->packs[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

struct file_arg {
	struct walk *walk;
	const struct snapshot_class *part;
};

/* Notes where an extent lies, once it is sure that it lies in its pack (I-7, I-8). */
static int
note_extent(void *arg, const struct tree_extent *x, struct err *err)
{
	struct file_arg *f = arg;
	const struct pack_place *p;
	struct pack_source source;
	uint64_t body_len;

	if (x->seg.stored_len == 0)
		return 0;
	p = place_of(f->part, &x->pack);
	if (p == NULL)
		return err_set(err, ERR_CORRUPT, "pack %s isn't one of the snapshot's",
			       hex(&x->pack.h).s);
	body_len = p->object_len > p->header_len ? p->object_len - p->header_len : 0;
	if (body_len > PACK_BODY_MAX || x->seg.off > p->data_len ||
	    x->seg.stored_len > p->data_len - x->seg.off || p->data_off > body_len ||
	    p->data_len > body_len - p->data_off)
		return err_set(err, ERR_CORRUPT, "pack %s: a reference leads outside of it",
			       hex(&x->pack.h).s);
	source = (struct pack_source){f->walk->writer, p->id, p->object_len, p->header_len};
	watch_add(f->walk->watch, &source, p->data_off + x->seg.off, x->seg.stored_len);
	return 0;
}

static int
measure_file(struct walk *w, const struct tree_item *item, struct err *err)
{
	struct file_arg arg = {w, tree_class_part(item->tree)};

	w->ret->files++;
	w->ret->content += item->entry.size;
	return tree_item_extents(item, note_extent, &arg, err);
}

/* ---- folders */

static int
visit(struct walk *w, const struct merged *x, struct err *err)
{
	struct merged_cursor *cursor;
	int r;

	if (merged_entry(x)->type == ENTRY_FILE)
		return measure_file(w, merged_item(x), err);
	if (merged_entry(x)->type != ENTRY_DIR)
		return 0;
	r = merged_cursor_open(x, &cursor, err);
	if (r < 0)
		return r;
	w->ret->folders++;
	array_reserve(w->frames, w->n, w->cap);
	w->frames[w->n++].cursor = cursor;
	return 0;
}

/* The next entry of the innermost folder, or out of it. */
static int
step(struct walk *w, struct err *err)
{
	const struct merged *x;
	int r = merged_cursor_next(w->frames[w->n - 1].cursor, &x, err);

	if (r == ERR_NOENT) {
		merged_cursor_close(w->frames[--w->n].cursor);
		return 0;
	}
	return r < 0 ? r : visit(w, x, err);
}

static int
walk_all(struct walk *w, const struct merged *start, struct err *err)
{
	struct progress p = {.stage = "measuring"};
	int r = visit(w, start, err);

	while (r == 0 && w->n > 0) {
		if (progress_cancelled(w->sink))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = step(w, err);
		p.files_done = w->ret->files;
		p.bytes_done = w->ret->content;
		progress_report(w->sink, &p);
	}
	return r;
}

int
footprint_measure(struct footprint_watch *watch, struct reader *reader,
		  const struct repo_opened *opened, struct slice path,
		  const struct progress_sink *sink, struct footprint *ret, struct err *err)
{
	CLEANUP(merge_freep) struct merge *merge = merge_new(reader, opened);
	CLEANUP(merged_fini) struct merged start = {0};
	CLEANUP(walk_fini)
	struct walk w = {.watch = watch,
			 .sink = sink,
			 .writer = opened->snapshot->name.writer,
			 .ret = ret};
	int r;

	*ret = (struct footprint){0};
	r = merge_resolve(merge, path, &start, err);
	if (r == 0)
		r = walk_all(&w, &start, err);
	if (r < 0) {
		*ret = (struct footprint){0};
		return r;
	}
	watch_take(watch, ret);
	return 0;
}
