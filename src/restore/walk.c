/*
 * walk.c - names of the snapshot, in order, as includes and excludes want them.
 *
 * Depth costs heap, not stack: a snapshot's folders may be nested thousands deep.
 */
#include "internal.h"

struct frame {
	struct merged_cursor *cursor;
	void *dir;       /* the visitor's */
	size_t path_len; /* of the folder's own path */
	bool wanted;
};

struct walk {
	const struct restore_options *options;
	const struct walk_visitor *v;
	struct frame *frames;
	size_t n, cap;
	struct buf path; /* inside the snapshot */
};

static void
pop(struct walk *w)
{
	struct frame *f = &w->frames[--w->n];

	merged_cursor_close(f->cursor);
	w->v->leave(w->v->arg, f->dir);
}

static void
walk_fini(struct walk *w)
{
	while (w->n > 0)
		pop(w);
	free(w->frames);
	buf_fini(&w->path);
}

static bool
matches(const char *const *globs, size_t n, struct slice path)
{
	for (size_t i = 0; i < n; i++)
		if (glob_match(globs[i], path))
			return true;
	return false;
}

/* Goes into a folder.  @dir: the visitor's, who is told even if this fails. */
static int
push(struct walk *w, const struct merged *x, void *dir, bool wanted, struct err *err)
{
	struct merged_cursor *cursor;
	int r;

	r = merged_cursor_open(x, &cursor, err);
	if (r < 0) {
		r = w->v->broken(w->v->arg, dir, r, err);
		w->v->leave(w->v->arg, dir);
		return r;
	}
	array_reserve(w->frames, w->n, w->cap);
	w->frames[w->n++] = (struct frame){cursor, dir, w->path.len, wanted};
	return 0;
}

/* One entry, whose path stands in w->path. */
static int
visit(struct walk *w, const struct merged *x, void *in, bool wanted, struct err *err)
{
	const struct restore_options *o = w->options;
	struct slice path = buf_slice(&w->path);
	void *dir = NULL;
	int r;

	if (matches(o->excludes, o->n_excludes, path))
		return 0;
	wanted = wanted || matches(o->includes, o->n_includes, path);
	if (merged_entry(x)->type != ENTRY_DIR)
		return wanted ? w->v->other(w->v->arg, in, x, err) : 0;
	r = w->v->enter(w->v->arg, in, x, wanted, &dir, err);
	if (r != 0)
		return r == WALK_SKIP ? 0 : r;
	return push(w, x, dir, wanted, err);
}

/* The next entry of the innermost folder, or out of it. */
static int
step(struct walk *w, struct err *err)
{
	struct frame *f = &w->frames[w->n - 1];
	void *in = f->dir;
	const struct merged *x;
	struct slice name;
	int r;

	w->path.len = f->path_len;
	r = merged_cursor_next(f->cursor, &x, err);
	if (r < 0) {
		r = r == ERR_NOENT ? 0 : w->v->broken(w->v->arg, in, r, err);
		pop(w);
		return r;
	}
	name = merged_entry(x)->name;
	if (w->path.len > 0)
		buf_append_u8(&w->path, '/');
	buf_append(&w->path, name.p, name.len);
	return visit(w, x, in, f->wanted, err);
}

int
restore_walk(const struct merged *start, struct slice path, const struct restore_options *options,
	     const struct walk_visitor *v, struct err *err)
{
	CLEANUP(walk_fini) struct walk w = {.options = options, .v = v};
	bool wanted = options->n_includes == 0;
	int r;

	buf_append(&w.path, path.p, path.len);
	if (path.len == 0)
		r = push(&w, start, v->top, wanted, err);
	else
		r = visit(&w, start, v->top, wanted, err);
	while (r == 0 && w.n > 0) {
		if (progress_cancelled(&options->progress))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = step(&w, err);
	}
	return r;
}
