/*
 * lookup.c - names and positions in directories.
 *
 * A directory is a leaf or a search tree of them.  What a parent says of a child, its first name
 * and how many entries it holds, is compared on the way down: so a listing can't be led astray.
 *
 * Layer 3.  Format: docs/format.md sections 6.2 and 6.5.
 */
#include "reader/internal.h"

void
dir_at_fini(struct tree *t, struct dir_at *at)
{
	cache_put(&t->reader->nodes, at->pin, false);
	*at = (struct dir_at){0};
}

/* The root of a tree whose directory stands in the snapshot itself; decoded once. */
static int
inline_top(const struct tree_item *dir, struct dir_at *ret, struct err *err)
{
	const struct node_origin origin = {.inline_root = true};
	struct tree *t = dir->tree;
	int r = 0;

	if (dir->node != NULL)
		return err_set(err, ERR_CORRUPT,
			       "a directory stands in its entry, which only a root may");
	pthread_mutex_lock(&t->lock);
	if (t->root == NULL)
		r = dir_node_decode(dir->entry.children_inline, &origin, -1, &t->root, err);
	ret->node = t->root;
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		return err_add(err, r, "root directory of class %s", t->part->name);

	if (ret->node->kind == NODE_DIR_LEAF) {
		ret->count = ret->node->n;
		return 0;
	}
	for (uint32_t i = 0; i < ret->node->n; i++)
		ret->count += ret->node->children[i].count;
	return 0;
}

int
dir_top(const struct tree_item *dir, struct dir_at *ret, struct err *err)
{
	int r;

	*ret = (struct dir_at){0};
	if (dir->entry.type != ENTRY_DIR)
		return err_set(err, ERR_INVALID, "not a directory");
	if (dir->entry.children == CHILDREN_NONE)
		return 0;
	if (dir->entry.children == CHILDREN_INLINE)
		return inline_top(dir, ret, err);
	r = dir_node_get(dir->tree, item_packs(dir), &dir->entry.children_ref, -1, &ret->pin, err);
	if (r < 0)
		return r;
	ret->node = ret->pin->dir;
	ret->count = ret->pin->count;
	return 0;
}

/* Which leaf lies behind a leaf, for who reads on (folder.c). */
static void
note_beside(struct tree *t, const struct dir_node *parent, uint32_t i, struct cached *leaf)
{
	struct cached_key key;

	/* What is wrong is told to who comes there. */
	if (parent->height == 1 && i + 1 < parent->n &&
	    dir_node_key(t, &parent->packs, &parent->children[i + 1].ref, 0, &key, NULL) == 0)
		cache_set_beside(&t->reader->nodes, leaf, &key);
}

/* Replaces an inner node by its @i-th child. */
static int
go_down(struct tree *t, uint32_t i, struct dir_at *at, struct err *err)
{
	const struct dir_child *child = &at->node->children[i];
	struct cached *pin;
	int r = dir_node_get(t, &at->node->packs, &child->ref, (int)at->node->height - 1, &pin,
			     err);

	if (r < 0)
		return r;
	if (pin->count != child->count || !slice_equal(dir_node_name(pin->dir, 0), child->first)) {
		r = err_set(err, ERR_CORRUPT,
			    "pack %s: a directory's node holds other entries than its parent says",
			    hex(&pin->key.section->place.id.h).s);
		cache_put(&t->reader->nodes, pin, false);
		return r;
	}
	note_beside(t, at->node, i, pin);
	/* The child's reference was the parent's: only now may that go. */
	dir_at_fini(t, at);
	*at = (struct dir_at){.node = pin->dir, .pin = pin, .count = pin->count};
	return 0;
}

int
dir_leaf_at(const struct tree_item *dir, uint64_t *index, struct dir_at *ret, struct err *err)
{
	int r = dir_top(dir, ret, err);

	while (r == 0 && ret->node != NULL && ret->node->kind == NODE_DIR_INNER) {
		uint32_t i = 0;

		while (i + 1 < ret->node->n && *index >= ret->node->children[i].count)
			*index -= ret->node->children[i++].count;
		r = go_down(dir->tree, i, ret, err);
	}
	if (r == 0 && *index >= ret->count)
		r = err_set(err, ERR_NOENT, "past the end of the directory");
	if (r < 0)
		dir_at_fini(dir->tree, ret);
	return r;
}

int
dir_leaf_for(const struct tree_item *dir, struct slice name, struct dir_at *ret,
	     uint64_t *ret_index, struct err *err)
{
	int r = dir_top(dir, ret, err);

	*ret_index = 0;
	while (r == 0 && ret->node != NULL && ret->node->kind == NODE_DIR_INNER) {
		uint32_t i = dir_node_child_for(ret->node, name);

		/* A name before the first one would be at the very front. */
		if (i == UINT32_MAX)
			i = 0;
		for (uint32_t k = 0; k < i; k++)
			*ret_index += ret->node->children[k].count;
		r = go_down(dir->tree, i, ret, err);
	}
	if (r < 0)
		dir_at_fini(dir->tree, ret);
	return r;
}

uint32_t
dir_count_less(const struct dir_node *leaf, struct slice name)
{
	uint32_t lo = 0, hi = leaf->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(dir_node_name(leaf, mid), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int
tree_lookup_rank(const struct tree_item *dir, struct slice name, struct tree_item *ret,
		 uint64_t *ret_less, struct err *err)
{
	struct dir_at leaf;
	uint32_t i = UINT32_MAX;
	int r;

	*ret = (struct tree_item){0};
	r = dir_leaf_for(dir, name, &leaf, ret_less, err);
	if (r < 0)
		return r;
	if (leaf.node != NULL) {
		i = dir_node_find(leaf.node, name);
		*ret_less += i != UINT32_MAX ? i : dir_count_less(leaf.node, name);
	}
	if (i == UINT32_MAX)
		r = err_set(err, ERR_NOENT, "no such file");
	else
		item_from(dir->tree, &leaf, i, ret);
	dir_at_fini(dir->tree, &leaf);
	return r;
}

int
tree_lookup(const struct tree_item *dir, struct slice name, struct tree_item *ret, struct err *err)
{
	uint64_t less;

	return tree_lookup_rank(dir, name, ret, &less, err);
}

int
tree_at(const struct tree_item *dir, uint64_t index, struct tree_item *ret, struct err *err)
{
	struct dir_at leaf;
	int r;

	*ret = (struct tree_item){0};
	r = dir_leaf_at(dir, &index, &leaf, err);
	if (r < 0)
		return r;
	item_from(dir->tree, &leaf, (uint32_t)index, ret);
	dir_at_fini(dir->tree, &leaf);
	return 0;
}

/* The next component of a path, or an empty slice. */
static struct slice
next_name(struct slice *path)
{
	struct slice name;

	while (path->len > 0 && *path->p == '/')
		*path = slice_of(path->p + 1, path->len - 1);
	name = slice_of(path->p, 0);
	while (name.len < path->len && name.p[name.len] != '/')
		name.len++;
	*path = slice_of(path->p + name.len, path->len - name.len);
	return name;
}

int
tree_resolve(struct tree *t, struct slice path, struct tree_item *ret, struct err *err)
{
	struct slice name;

	tree_root(t, ret);
	while ((name = next_name(&path)).len > 0) {
		struct tree_item child;
		int r = tree_lookup(ret, name, &child, err);

		tree_item_fini(ret);
		if (r < 0)
			return r;
		*ret = child;
	}
	return 0;
}
