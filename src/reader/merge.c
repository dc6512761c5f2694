/*
 * merge.c - a snapshot as one tree: its class trees laid over each other.
 *
 * Layer 3.
 */
#include "tillfs/merge.h"

struct merge {
	struct tree **trees;
	size_t n;
};

struct merge *
merge_new(struct reader *reader, const struct repo_opened *opened)
{
	struct merge *m = mem_alloc(sizeof *m);

	m->n = opened->n_classes;
	m->trees = mem_array(m->n, sizeof(struct tree *));
	for (size_t i = 0; i < m->n; i++)
		m->trees[i] = reader_tree_open(reader, opened, i);
	return m;
}

void
merge_free(struct merge *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		tree_close(m->trees[i]);
	free(m->trees);
	free(m);
}

/* ---- one path -------------------------------------------------------------------------- */

/* Room for @room items of one's own. */
static void
own(struct merged *x, size_t room)
{
	x->owned = mem_array(room, sizeof *x->owned);
	x->in = mem_array(room, sizeof *x->in);
	x->n = x->main = 0;
}

void
merged_fini(struct merged *x)
{
	for (uint32_t i = 0; x->owned != NULL && i < x->n; i++)
		tree_item_fini(&x->owned[i]);
	free(x->owned);
	free(x->in);
	*x = (struct merged){0};
}

/* Whether a second thing may stand at the path of @x: directories merge, nothing else does. */
static bool
fits(const struct merged *x, const struct entry *e)
{
	return x->n == 0 || (x->in[0]->entry.type == ENTRY_DIR && e->type == ENTRY_DIR);
}

static void
accept(struct merged *x, const struct tree_item *item)
{
	x->in[x->n] = item;
	if (x->n > 0 && merged_entry(x)->bare && !item->entry.bare)
		x->main = x->n;
	x->n++;
}

void
merged_copy(const struct merged *from, struct merged *to)
{
	merged_fini(to);
	own(to, from->n);
	to->rank = from->rank;
	for (uint32_t i = 0; i < from->n; i++) {
		tree_item_copy(from->in[i], &to->owned[i]);
		accept(to, &to->owned[i]);
	}
}

int
merge_root(struct merge *m, struct merged *ret, struct err *err)
{
	*ret = (struct merged){0};
	if (m->n == 0)
		return err_set(err, ERR_DENIED,
			       "nothing in the snapshot is granted to this identity");
	own(ret, m->n);
	for (size_t i = 0; i < m->n; i++) {
		tree_root(m->trees[i], &ret->owned[i]);
		accept(ret, &ret->owned[i]);
	}
	return 0;
}

int
merged_lookup(const struct merged *dir, struct slice name, struct merged *ret, struct err *err)
{
	CLEANUP(merged_fini) struct merged found = {0};

	*ret = (struct merged){0};
	own(&found, dir->n);
	for (uint32_t i = 0; i < dir->n; i++) {
		struct tree_item *item = &found.owned[found.n];
		uint64_t less;
		int r = tree_lookup_rank(dir->in[i], name, item, &less, err);

		if (r == 0 || r == ERR_NOENT)
			found.rank += less;
		if (r == ERR_NOENT)
			continue;
		if (r < 0)
			return r;
		if (fits(&found, &item->entry)) {
			accept(&found, item);
		} else {
			tree_item_fini(item);
			memset(item, 0, sizeof *item);
		}
	}
	if (found.n == 0)
		return err_set(err, ERR_NOENT, "no such file or directory");
	*ret = found;
	found = (struct merged){0};
	return 0;
}

/* The next component of *path but for `.`, cut off it; empty at the end. */
static struct slice
next_component(struct slice *path)
{
	struct slice name;

	do {
		const uint8_t *slash;

		while (path->len > 0 && path->p[0] == '/')
			*path = slice_of(path->p + 1, path->len - 1);
		slash = path->len > 0 ? memchr(path->p, '/', path->len) : NULL;
		name = slice_of(path->p, slash != NULL ? (size_t)(slash - path->p) : path->len);
		if (name.len > 0)
			*path = slice_of(path->p + name.len, path->len - name.len);
	} while (slice_equal(name, slice_str(".")));
	return name;
}

void
merge_path_clean(struct slice path, struct buf *ret)
{
	struct slice name;

	buf_reset(ret);
	while ((name = next_component(&path)).len > 0) {
		if (ret->len > 0)
			buf_append_u8(ret, '/');
		buf_append(ret, name.p, name.len);
	}
}

int
merge_resolve(struct merge *m, struct slice path, struct merged *ret, struct err *err)
{
	CLEANUP(merged_fini) struct merged at = {0};
	struct slice rest = path;
	struct slice name;
	int r;

	*ret = (struct merged){0};
	r = merge_root(m, &at, err);
	while (r == 0 && (name = next_component(&rest)).len > 0) {
		struct merged below;

		r = merged_lookup(&at, name, &below, err);
		if (r < 0)
			break;
		merged_fini(&at);
		at = below;
	}
	if (r < 0) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;

		text_append_safe(&text, path);
		return err_add(err, r == ERR_INVALID ? ERR_NOENT : r, "%s", buf_cstr(&text));
	}
	*ret = at;
	at = (struct merged){0};
	return 0;
}

/* ---- listings -------------------------------------------------------------------------- */

struct merged_cursor {
	struct tree_cursor **cursors;   /* n */
	const struct tree_item **heads; /* what each stands at; NULL: to be read, or at_end */
	uint32_t n;
	uint64_t passed; /* entries behind all cursors */
	struct merged at;
};

static const struct tree_item at_end;

int
merged_cursor_open(const struct merged *dir, struct merged_cursor **ret, struct err *err)
{
	CLEANUP(merged_cursor_closep) struct merged_cursor *c = mem_alloc(sizeof *c);
	int r;

	*ret = NULL;
	c->n = dir->n;
	c->cursors = mem_array(c->n, sizeof(struct tree_cursor *));
	c->heads = mem_array(c->n, sizeof *c->heads);
	c->at.in = mem_array(c->n, sizeof *c->at.in);
	for (uint32_t i = 0; i < c->n; i++) {
		r = tree_cursor_open(dir->in[i], &c->cursors[i], err);
		if (r < 0)
			return r;
	}
	*ret = steal_ptr(&c);
	return 0;
}

void
merged_cursor_close(struct merged_cursor *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n; i++)
		tree_cursor_close(c->cursors[i]);
	merged_fini(&c->at);
	free(c->cursors);
	free(c->heads);
	free(c);
}

/* Makes every cursor stand at something or be at its end. */
static int
fill_heads(struct merged_cursor *c, struct err *err)
{
	for (uint32_t i = 0; i < c->n; i++) {
		int r;

		if (c->heads[i] != NULL)
			continue;
		r = tree_cursor_next(c->cursors[i], &c->heads[i], err);
		if (r == ERR_NOENT)
			c->heads[i] = &at_end;
		else if (r < 0)
			return r;
	}
	return 0;
}

/* The first, in class order, of those whose name comes next; NULL at the end. */
static const struct tree_item *
least_head(const struct merged_cursor *c)
{
	const struct tree_item *least = NULL;

	for (uint32_t i = 0; i < c->n; i++)
		if (c->heads[i] != &at_end &&
		    (least == NULL || slice_cmp(c->heads[i]->entry.name, least->entry.name) < 0))
			least = c->heads[i];
	return least;
}

int
merged_cursor_next(struct merged_cursor *c, const struct merged **ret, struct err *err)
{
	const struct tree_item *least;
	struct slice name;
	int r;

	*ret = NULL;
	r = fill_heads(c, err);
	if (r < 0)
		return r;
	least = least_head(c);
	if (least == NULL)
		return err_set(err, ERR_NOENT, "the directory ends here");

	/* Their cursors stay where they are until the next call, so all that is borrowed is valid.
	 */
	name = least->entry.name;
	c->at.n = c->at.main = 0;
	c->at.rank = c->passed;
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->heads[i] == &at_end || !slice_equal(c->heads[i]->entry.name, name))
			continue;
		if (fits(&c->at, &c->heads[i]->entry))
			accept(&c->at, c->heads[i]);
		c->heads[i] = NULL;
		c->passed++;
	}
	*ret = &c->at;
	return 0;
}

int
merged_cursor_seek(struct merged_cursor *c, uint64_t index, struct err *err)
{
	const struct merged *skipped;
	uint64_t start = c->n == 1 ? index : 0;
	int r = 0;

	c->passed = start;

	for (uint32_t i = 0; i < c->n && r == 0; i++) {
		r = tree_cursor_seek(c->cursors[i], start, err);
		c->heads[i] = r == ERR_NOENT ? &at_end : NULL;
		if (r == ERR_NOENT)
			r = 0;
	}
	for (; r == 0 && start < index; start++)
		r = merged_cursor_next(c, &skipped, err);
	return r == ERR_NOENT ? 0 : r;
}
