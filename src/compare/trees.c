/*
 * trees.c - what differs below two directories, told in one walk over both.
 *
 * Layer 4.
 */
#include <assert.h>

#include "tillfs/compare.h"

/* Two directories of one path, or one of them alone, at the positions of their cursors. */
struct pair {
	struct merged_cursor *old, *new;      /* NULL: only the other exists */
	const struct merged *old_at, *new_at; /* read, not yet told; NULL: to be read, or the end */
	bool old_ended, new_ended;
	size_t path_len; /* of the directory, with its slash */
};

struct comparison {
	compare_fn *fn;
	void *arg;
	struct buf path;
	struct pair *pairs; /* the way down, on the heap: trees may be deep */
	size_t n, cap;
};

static void
pop(struct comparison *c)
{
	struct pair *p = &c->pairs[--c->n];

	merged_cursor_close(p->old);
	merged_cursor_close(p->new);
}

static void
comparison_fini(struct comparison *c)
{
	while (c->n > 0)
		pop(c);
	free(c->pairs);
	buf_fini(&c->path);
}

static bool
is_dir(const struct merged *x)
{
	return x != NULL && merged_entry(x)->type == ENTRY_DIR;
}

/* Goes down into directories; either may be NULL or something else. */
static int
push(struct comparison *c, const struct merged *old, const struct merged *new, struct err *err)
{
	struct pair p = {.old_ended = !is_dir(old), .new_ended = !is_dir(new)};
	int r = 0;

	if (!p.old_ended)
		r = merged_cursor_open(old, &p.old, err);
	if (r == 0 && !p.new_ended)
		r = merged_cursor_open(new, &p.new, err);
	if (r < 0) {
		merged_cursor_close(p.old);
		return r;
	}
	if (c->path.len > 0)
		buf_append_u8(&c->path, '/');
	p.path_len = c->path.len;
	array_reserve(c->pairs, c->n, c->cap);
	c->pairs[c->n++] = p;
	return 0;
}

static int
read_one(struct merged_cursor *cursor, const struct merged **at, bool *ended, struct err *err)
{
	int r;

	if (*at != NULL || *ended)
		return 0;
	r = merged_cursor_next(cursor, at, err);
	if (r != ERR_NOENT)
		return r;
	*at = NULL;
	*ended = true;
	return 0;
}

/* What two entries of one name are to each other; false: nothing to tell of. */
static bool
kind_of(const struct merged *old, const struct merged *new, enum change_kind *ret)
{
	if (old == NULL || new == NULL) {
		*ret = old == NULL ? CHANGE_ADDED : CHANGE_REMOVED;
		return true;
	}
	if (merged_entry(old)->type != merged_entry(new)->type) {
		*ret = CHANGE_TYPE;
		return true;
	}
	if (!is_dir(old) && !merged_same_content(old, new)) {
		*ret = CHANGE_CONTENT;
		return true;
	}
	*ret = CHANGE_ATTRIBUTES;
	return !merged_same_attributes(old, new);
}

/* Whether going on makes sense after a failure to read. */
static bool
is_passing(int code)
{
	return code != ERR_UNREACHABLE && code != ERR_CANCELLED;
}

static int
tell_unreadable(struct comparison *c, const struct err *why)
{
	struct change change = {.kind = CHANGE_UNREADABLE, .path = buf_slice(&c->path), .why = why};
	struct err copy = *why;

	return c->fn(c->arg, &change, &copy);
}

/* Goes down, or says why that can't be. */
static int
enter(struct comparison *c, const struct merged *old, const struct merged *new, struct err *err)
{
	int r = push(c, old, new, err);

	return r < 0 && is_passing(r) ? tell_unreadable(c, err) : r;
}

static int
visit(struct comparison *c, const struct merged *old, const struct merged *new, struct err *err)
{
	struct change change = {.old = old, .new = new, .path = buf_slice(&c->path)};
	int r = 0;

	if (kind_of(old, new, &change.kind))
		r = c->fn(c->arg, &change, err);
	if (r != 0 || (!is_dir(old) && !is_dir(new)))
		return r;
	if (is_dir(old) && is_dir(new) && merged_same_content(old, new))
		return 0;
	return enter(c, old, new, err);
}

/* Reads what comes next in the deepest pair; what can't be read ends that pair. */
static int
read_heads(struct comparison *c, struct pair *p, struct err *err)
{
	int r = read_one(p->old, &p->old_at, &p->old_ended, err);

	if (r == 0)
		r = read_one(p->new, &p->new_at, &p->new_ended, err);
	if (r == 0 || !is_passing(r))
		return r;
	if (c->path.len > 0)
		c->path.len--; /* its slash */
	p->old_at = p->new_at = NULL;
	return tell_unreadable(c, err);
}

/* Tells of the next name in the deepest pair. */
static int
step(struct comparison *c, struct err *err)
{
	struct pair *p = &c->pairs[c->n - 1];
	const struct merged *old, *new;
	struct slice name;
	int r, order;

	c->path.len = p->path_len;
	r = read_heads(c, p, err);
	if (r != 0)
		return r;
	if (p->old_at == NULL && p->new_at == NULL) {
		pop(c);
		return 0;
	}
	if (p->old_at == NULL || p->new_at == NULL)
		order = p->old_at == NULL ? 1 : -1;
	else
		order = slice_cmp(merged_entry(p->old_at)->name, merged_entry(p->new_at)->name);
	old = order <= 0 ? p->old_at : NULL;
	new = order >= 0 ? p->new_at : NULL;
	assert(old != NULL || new != NULL);
	/* Taken now: going down may move the pairs. */
	p->old_at = old != NULL ? NULL : p->old_at;
	p->new_at = new != NULL ? NULL : p->new_at;
	name = merged_entry(old != NULL ? old : new)->name;
	buf_append(&c->path, name.p, name.len);
	return visit(c, old, new, err);
}

int
compare_trees(const struct merged *old, const struct merged *new, compare_fn *fn, void *arg,
	      const atomic_bool *cancel, struct err *err)
{
	CLEANUP(comparison_fini) struct comparison c = {.fn = fn, .arg = arg};
	int r = visit(&c, old, new, err);

	while (r == 0 && c.n > 0) {
		if (cancel != NULL && atomic_load(cancel))
			return err_set(err, ERR_CANCELLED, "stopped on request");
		r = step(&c, err);
	}
	return r;
}
