/*
 * differ.c - which ranges of two versions of a file are stored in different places.
 *
 * Layer 3.  Format: docs/format.md section 6.3.
 */
#include "reader/same.h"

/* The two files, and a range that is still growing. */
struct differ {
	struct tree_file *old, *new;
	tree_range_fn *fn;
	void *arg;
	uint64_t off, len; /* found, not yet told */
};

static int
flush(struct differ *d, struct err *err)
{
	int r = d->len > 0 ? d->fn(d->arg, d->off, d->len, err) : 0;

	d->len = 0;
	return r;
}

/* The bytes [off, off + len) differ; what lies behind the new file's end is nobody's business. */
static int
found(struct differ *d, uint64_t off, uint64_t len, struct err *err)
{
	int r = 0;

	if (off >= d->new->size)
		return 0;
	len = min_u64(len, d->new->size - off);
	if (d->len > 0 && d->off + d->len == off) {
		d->len += len;
		return 0;
	}
	r = flush(d, err);
	d->off = off;
	d->len = len;
	return r;
}

/* ---- leaves ---- */

/* An extent of a leaf or all of a hole, walked along. */
struct extent_walk {
	struct located at;
	const struct leaf *leaf; /* NULL: a hole */
	uint32_t i;
	uint64_t off, end; /* the current extent's, in the file */
	uint64_t limit;    /* the leaf's end */
};

static void
walk_start(const struct tree_file *f, const struct span *s, struct extent_walk *ret)
{
	*ret = (struct extent_walk){.at = {f->tree, s->packs},
				    .leaf = s->leaf,
				    .off = s->off,
				    .limit = s->off + s->len};
	ret->end = ret->limit;
	if (s->leaf != NULL)
		ret->end = s->leaf->n_extents > 0 ? s->off + s->leaf->extents[0].len : s->off;
}

/* Moves to the extent that holds @off, which isn't before the current one. */
static void
walk_to(struct extent_walk *w, uint64_t off)
{
	while (w->leaf != NULL && off >= w->end && w->i + 1 < w->leaf->n_extents) {
		w->off = w->end;
		w->end += w->leaf->extents[++w->i].len;
	}
}

static const struct extent *
walk_extent(const struct extent_walk *w)
{
	return w->leaf != NULL && w->leaf->n_extents > 0 ? &w->leaf->extents[w->i] : NULL;
}

/* Whether the byte at @off, and so all until the nearer extent's end, is stored in one place. */
static bool
same_at(const struct extent_walk *a, const struct extent_walk *b, uint64_t off)
{
	const struct extent *x = walk_extent(a), *y = walk_extent(b);
	bool hole_x = x == NULL || x->segment == 0, hole_y = y == NULL || y->segment == 0;

	if (hole_x || hole_y)
		return hole_x && hole_y;
	return x->off + (off - a->off) == y->off + (off - b->off) &&
	       same_segment(&a->at, &a->leaf->segments[x->segment - 1], &b->at,
			    &b->leaf->segments[y->segment - 1]);
}

/* Compares [off, end) of two spans that both cover it. */
static int
compare_spans(struct differ *d, const struct span *old, const struct span *new, uint64_t off,
	      uint64_t end, struct err *err)
{
	struct extent_walk a, b;
	int r = 0;

	walk_start(d->old, old, &a);
	walk_start(d->new, new, &b);
	while (r == 0 && off < end) {
		uint64_t next;

		walk_to(&a, off);
		walk_to(&b, off);
		next = min_u64(end, min_u64(a.end, b.end));
		if (next <= off)
			return err_set(err, ERR_CORRUPT, "a leaf's extents end early");
		if (!same_at(&a, &b, off))
			r = found(d, off, next - off, err);
		off = next;
	}
	return r;
}

/* Compares a range leaf by leaf, whatever kinds of content hold it. */
static int
compare_range(struct differ *d, uint64_t off, uint64_t end, struct err *err)
{
	while (off < end) {
		struct span old = {0}, new = {0};
		uint64_t next = end;
		int r = file_span(d->old, off, PIN_READ, &old, err);

		if (r == 0)
			r = file_span(d->new, off, PIN_READ, &new, err);
		if (r == 0) {
			next = min_u64(end, min_u64(old.off + old.len, new.off + new.len));
			r = compare_spans(d, &old, &new, off, next, err);
		}
		span_fini(d->old, &old);
		span_fini(d->new, &new);
		if (r != 0)
			return r;
		off = next;
	}
	return 0;
}

/* ---- inner nodes ---- */

/* A reference to a node and the table it counts in; ref NULL: a hole. */
struct side {
	const struct pack_table *packs;
	const struct node_ref *ref;
	uint32_t height;
};

static const struct node_ref *
child_of(const struct stream_node *n, uint32_t i)
{
	return i < n->n_children && n->children[i].len > 0 ? &n->children[i] : NULL;
}

static int compare_nodes(struct differ *d, const struct side *old, const struct side *new,
			 uint64_t off, struct err *err);

static int
compare_children(struct differ *d, const struct cached *old, const struct cached *new,
		 uint32_t height, uint64_t off, struct err *err)
{
	const struct stream_node *a = old->stream, *b = new->stream;
	uint32_t n = a->n_children > b->n_children ? a->n_children : b->n_children;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		struct side x = {&a->packs, child_of(a, i), height - 1};
		struct side y = {&b->packs, child_of(b, i), height - 1};

		r = compare_nodes(d, &x, &y, off + i * stream_child_range(height), err);
	}
	return r;
}

static int
load_inner(struct tree_file *f, const struct side *s, uint64_t off, struct cached **ret,
	   struct err *err)
{
	uint64_t range = stream_child_range(s->height) * STREAM_FANOUT;

	return stream_node_get(f->tree, s->packs, s->ref, s->height, min_u64(range, f->size - off),
			       ret, err);
}

/* Compares what lies below two references of one height, whose range starts at @off. */
static int
compare_nodes(struct differ *d, const struct side *old, const struct side *new, uint64_t off,
	      struct err *err)
{
	const struct located a = {d->old->tree, old->packs}, b = {d->new->tree, new->packs};
	uint64_t len = old->height == 0 ? STREAM_LEAF_LEN
					: stream_child_range(old->height) * STREAM_FANOUT;
	struct cached *x = NULL, *y = NULL;
	uint64_t shared;
	int r;

	if (off >= d->new->size || (old->ref == NULL && new->ref == NULL))
		return 0;
	if (off >= d->old->size || old->ref == NULL || new->ref == NULL)
		return found(d, off, len, err);
	if (same_node(&a, old->ref, &b, new->ref))
		return 0;
	if (old->height == 0) {
		shared = min_u64(d->old->size, d->new->size);
		r = compare_range(d, off, min_u64(off + len, shared), err);
		return r == 0 && shared < off + len ? found(d, shared, off + len - shared, err) : r;
	}
	r = load_inner(d->old, old, off, &x, err);
	if (r == 0)
		r = load_inner(d->new, new, off, &y, err);
	if (r == 0)
		r = compare_children(d, x, y, old->height, off, err);
	cache_put(&d->old->tree->reader->nodes, x, false);
	cache_put(&d->new->tree->reader->nodes, y, false);
	return r;
}

static struct side
root_of(const struct tree_file *f)
{
	const struct content *c = &f->item.entry.content;

	return (struct side){item_packs(&f->item), &c->root, c->height};
}

static int
compare(struct differ *d, struct err *err)
{
	const struct content *old = &d->old->item.entry.content;
	const struct content *new = &d->new->item.entry.content;
	uint64_t shared = min_u64(d->old->size, d->new->size);
	struct side x, y;
	int r;

	if (!same_tree(d->old->tree, d->new->tree) || old->kind == CONTENT_EMPTY ||
	    old->kind == CONTENT_INLINE || new->kind == CONTENT_INLINE)
		return found(d, 0, d->new->size, err);
	if (old->kind == CONTENT_TREE && new->kind == CONTENT_TREE && old->height == new->height) {
		x = root_of(d->old);
		y = root_of(d->new);
		return compare_nodes(d, &x, &y, 0, err);
	}
	r = compare_range(d, 0, shared, err);
	return r == 0 ? found(d, shared, d->new->size - shared, err) : r;
}

int
tree_file_differences(struct tree_file *old, struct tree_file *new, tree_range_fn *fn, void *arg,
		      struct err *err)
{
	struct differ d = {.old = old, .new = new, .fn = fn, .arg = arg};
	int r = 0;

	if (!tree_item_same_content(&old->item, &new->item))
		r = compare(&d, err);
	return r == 0 ? flush(&d, err) : r;
}
