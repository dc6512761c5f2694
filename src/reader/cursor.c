/*
 * cursor.c - listings: a position in a directory, with its leaf pinned.
 *
 * Layer 3.
 */
#include "reader/internal.h"

struct tree_cursor {
	struct tree *tree; /* a reference */
	struct tree_item dir;
	uint64_t count;      /* entries in all */
	uint64_t index;      /* of the next one */
	struct dir_at leaf;  /* the leaf used last; node NULL: none */
	uint64_t leaf_index; /* of its first entry */
	struct tree_item item;
};

int
tree_cursor_open(const struct tree_item *dir, struct tree_cursor **ret, struct err *err)
{
	CLEANUP(tree_cursor_closep) struct tree_cursor *c = mem_alloc(sizeof *c);
	struct dir_at top;
	int r;

	*ret = NULL;
	c->tree = tree_ref(dir->tree);
	tree_item_copy(dir, &c->dir);
	r = dir_top(&c->dir, &top, err);
	if (r < 0)
		return r;
	c->count = top.count;
	if (top.node != NULL && top.node->kind == NODE_DIR_INNER)
		dir_ask_below(c->tree, top.node);
	dir_at_fini(c->tree, &top);
	*ret = steal_ptr(&c);
	return 0;
}

void
tree_cursor_close(struct tree_cursor *c)
{
	if (c == NULL)
		return;
	tree_item_fini(&c->item);
	dir_at_fini(c->tree, &c->leaf);
	tree_item_fini(&c->dir);
	tree_close(c->tree);
	free(c);
}

int
tree_cursor_seek(struct tree_cursor *c, uint64_t index, struct err *err)
{
	if (index > c->count)
		return err_set(err, ERR_NOENT, "past the end of the directory");
	c->index = index;
	return 0;
}

int
tree_cursor_seek_name(struct tree_cursor *c, struct slice name, uint64_t *ret_index,
		      struct err *err)
{
	struct dir_at leaf;
	uint64_t before;
	int r;

	*ret_index = 0;
	r = dir_leaf_for(&c->dir, name, &leaf, &before, err);
	if (r < 0)
		return r;
	c->index = before;
	if (leaf.node != NULL)
		c->index += dir_count_less(leaf.node, name);
	dir_at_fini(c->tree, &c->leaf);
	c->leaf = leaf;
	c->leaf_index = before;
	*ret_index = c->index;
	return 0;
}

/* Pins the leaf that holds the next entry. */
static int
go_to_leaf(struct tree_cursor *c, struct err *err)
{
	uint64_t in_leaf = c->index;
	struct dir_at leaf;
	int r;

	if (c->leaf.node != NULL && c->index >= c->leaf_index &&
	    c->index - c->leaf_index < c->leaf.node->n)
		return 0;
	r = dir_leaf_at(&c->dir, &in_leaf, &leaf, err);
	if (r < 0)
		return r;
	dir_at_fini(c->tree, &c->leaf);
	c->leaf = leaf;
	c->leaf_index = c->index - in_leaf;
	dir_ask_below(c->tree, leaf.node);
	return 0;
}

int
tree_cursor_next(struct tree_cursor *c, const struct tree_item **ret, struct err *err)
{
	int r;

	*ret = NULL;
	if (c->index >= c->count)
		return err_set(err, ERR_NOENT, "the end of the directory");
	r = go_to_leaf(c, err);
	if (r < 0)
		return r;
	tree_item_fini(&c->item);
	item_from(c->tree, &c->leaf, (uint32_t)(c->index - c->leaf_index), &c->item);
	c->index++;
	*ret = &c->item;
	return 0;
}
