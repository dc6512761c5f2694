/*
 * same.c - whether two entries are stored in the same place.
 *
 * Layer 3.
 */
#include "reader/same.h"

/* ---- references ---- */

/* Both trees must describe the pack alike: the writer vouches for each snapshot by itself. */
static bool
same_pack(const struct located *a, uint32_t pack_a, const struct located *b, uint32_t pack_b)
{
	const struct pack_place *x, *y;

	if (pack_a >= a->packs->n || pack_b >= b->packs->n ||
	    !hash_equal(&a->packs->ids[pack_a].h, &b->packs->ids[pack_b].h))
		return false;
	x = snapshot_class_pack(a->tree->part, &a->packs->ids[pack_a]);
	y = snapshot_class_pack(b->tree->part, &b->packs->ids[pack_b]);
	return x != NULL && y != NULL && x->object_len == y->object_len &&
	       x->header_len == y->header_len && x->ordinal == y->ordinal &&
	       x->data_off == y->data_off && x->data_len == y->data_len &&
	       x->tree_len == y->tree_len;
}

bool
same_segment(const struct located *a, const struct segment_ref *x, const struct located *b,
	     const struct segment_ref *y)
{
	return x->off == y->off && x->stored_len == y->stored_len && x->plain_len == y->plain_len &&
	       same_pack(a, x->pack, b, y->pack);
}

bool
same_node(const struct located *a, const struct node_ref *x, const struct located *b,
	  const struct node_ref *y)
{
	return x->off == y->off && x->len == y->len && same_segment(a, &x->seg, b, &y->seg);
}

bool
same_tree(const struct tree *a, const struct tree *b)
{
	return writer_id_equal(&a->writer, &b->writer) && strcmp(a->part->name, b->part->name) == 0;
}

/* ---- content ---- */

static bool
same_leaf(const struct located *a, const struct leaf *x, const struct located *b,
	  const struct leaf *y)
{
	if (x->n_segments != y->n_segments || x->n_extents != y->n_extents)
		return false;
	for (uint32_t i = 0; i < x->n_segments; i++)
		if (!same_segment(a, &x->segments[i], b, &y->segments[i]))
			return false;
	for (uint32_t i = 0; i < x->n_extents; i++)
		if (x->extents[i].len != y->extents[i].len ||
		    x->extents[i].segment != y->extents[i].segment ||
		    x->extents[i].off != y->extents[i].off)
			return false;
	return true;
}

static bool
same_file(const struct located *a, const struct entry *x, const struct located *b,
	  const struct entry *y)
{
	if (x->size != y->size || x->content.kind != y->content.kind)
		return false;
	switch (x->content.kind) {
	case CONTENT_EMPTY:
		return true;
	case CONTENT_INLINE:
		return slice_equal(x->content.bytes, y->content.bytes);
	case CONTENT_LEAF:
		return same_leaf(a, &x->content.leaf, b, &y->content.leaf);
	case CONTENT_TREE:
		return x->content.height == y->content.height &&
		       same_node(a, &x->content.root, b, &y->content.root);
	}
	return false;
}

static bool
same_dir(const struct located *a, const struct entry *x, const struct located *b,
	 const struct entry *y)
{
	if (x->children != y->children || x->n_entries != y->n_entries)
		return false;
	switch (x->children) {
	case CHILDREN_NONE:
		return true;
	case CHILDREN_INLINE:
		/* References in it count in a table of its own, so equal bytes are equal. */
		return slice_equal(x->children_inline, y->children_inline);
	case CHILDREN_NODE:
		return same_node(a, &x->children_ref, b, &y->children_ref);
	}
	return false;
}

bool
tree_item_same_content(const struct tree_item *a, const struct tree_item *b)
{
	const struct located at_a = {a->tree, item_packs(a)}, at_b = {b->tree, item_packs(b)};
	const struct entry *x = &a->entry, *y = &b->entry;

	if (!same_tree(a->tree, b->tree) || x->type != y->type)
		return false;
	switch (x->type) {
	case ENTRY_FILE:
		return same_file(&at_a, x, &at_b, y);
	case ENTRY_DIR:
		return same_dir(&at_a, x, &at_b, y);
	case ENTRY_SYMLINK:
		return slice_equal(x->target, y->target);
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		return x->rdev_major == y->rdev_major && x->rdev_minor == y->rdev_minor;
	default:
		return true;
	}
}

bool
merged_same_content(const struct merged *a, const struct merged *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!tree_item_same_content(a->in[i], b->in[i]))
			return false;
	return true;
}

/* ---- attributes ---- */

static bool
same_xattrs(const struct entry *x, const struct entry *y)
{
	if (x->n_xattrs != y->n_xattrs)
		return false;
	for (uint32_t i = 0; i < x->n_xattrs; i++)
		if (!slice_equal(x->xattrs[i].name, y->xattrs[i].name) ||
		    !slice_equal(x->xattrs[i].value, y->xattrs[i].value))
			return false;
	return true;
}

bool
merged_same_attributes(const struct merged *a, const struct merged *b)
{
	const struct entry *x = merged_entry(a), *y = merged_entry(b);

	return x->type == y->type && x->mode == y->mode && x->uid == y->uid && x->gid == y->gid &&
	       x->mtime.sec == y->mtime.sec && x->mtime.nsec == y->mtime.nsec &&
	       slice_equal(x->target, y->target) && x->rdev_major == y->rdev_major &&
	       x->rdev_minor == y->rdev_minor && same_xattrs(x, y);
}
