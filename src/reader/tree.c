/*
 * tree.c - one class of a snapshot, its root, and items.
 *
 * Layer 3.
 */
#include "reader/internal.h"

struct tree *
reader_tree_open(struct reader *r, const struct repo_opened *opened, size_t class_index)
{
	const struct snapshot_class *part = opened->classes[class_index];
	struct tree *t = mem_alloc(sizeof *t + part->n_packs * sizeof t->sections[0]);

	t->reader = r;
	t->part = part;
	t->writer = opened->snapshot->name.writer;
	atomic_init(&t->refs, 1);
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

struct tree *
tree_ref(struct tree *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void
tree_close(struct tree *t)
{
	if (t == NULL || atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	for (size_t i = 0; i < t->part->n_packs; i++)
		section_put(&t->reader->sections, atomic_load(&t->sections[i]));
	dir_node_free(t->root);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

const char *
tree_class(const struct tree *t)
{
	return t->part->name;
}

const struct snapshot_class *
tree_class_part(const struct tree *t)
{
	return t->part;
}

int
tree_section(struct tree *t, const struct pack_id *id, struct section **ret, struct err *err)
{
	const struct pack_place *place = snapshot_class_pack(t->part, id);
	struct segment_scope scope = {.writer = t->writer};
	struct section *known = NULL;
	size_t i;
	int r;

	*ret = NULL;
	if (place == NULL)
		return err_set(err, ERR_CORRUPT,
			       "pack %s: a reference leads to it, but the snapshot doesn't list it "
			       "for class %s",
			       hex(&id->h).s, t->part->name);
	i = (size_t)(place - t->part->packs);
	*ret = atomic_load(&t->sections[i]);
	if (*ret != NULL)
		return 0;

	memcpy(scope.class_name, t->part->name, sizeof scope.class_name);
	r = section_get(&t->reader->sections, &scope, place, ret, err);
	if (r < 0)
		return r;
	/* The tree keeps one reference, whoever was first. */
	if (!atomic_compare_exchange_strong(&t->sections[i], &known, *ret)) {
		section_put(&t->reader->sections, *ret);
		*ret = known;
	}
	return 0;
}

/* ---- items ---- */

/* What an entry owns is doubled; slices go on pointing into its node. */
static void
entry_copy(const struct entry *from, struct entry *to)
{
	struct leaf *leaf = &to->content.leaf;

	*to = *from;
	if (from->xattrs != NULL)
		to->xattrs = mem_copy(from->xattrs, from->n_xattrs * sizeof *from->xattrs);
	if (from->content.leaf.segments != NULL)
		leaf->segments = mem_copy(from->content.leaf.segments,
					  leaf->n_segments * sizeof *leaf->segments);
	if (from->content.leaf.extents != NULL)
		leaf->extents = mem_copy(from->content.leaf.extents,
					 leaf->n_extents * sizeof *leaf->extents);
}

void
tree_item_fini(struct tree_item *item)
{
	if (item->tree == NULL)
		return;
	entry_fini(&item->entry);
	cache_put(&item->tree->reader->nodes, item->pin, false);
	*item = (struct tree_item){0};
}

void
tree_item_copy(const struct tree_item *from, struct tree_item *to)
{
	*to = *from;
	if (from->tree == NULL)
		return;
	entry_copy(&from->entry, &to->entry);
	if (from->pin != NULL)
		cache_ref(&from->tree->reader->nodes, from->pin);
}

void
tree_root(struct tree *t, struct tree_item *ret)
{
	*ret = (struct tree_item){.tree = t};
	entry_copy(&t->part->root, &ret->entry);
}

void
item_from(struct tree *t, const struct dir_at *leaf, uint32_t i, struct tree_item *ret)
{
	*ret = (struct tree_item){.tree = t, .node = leaf->node, .pin = leaf->pin};
	dir_node_entry(leaf->node, i, &ret->entry);
	if (leaf->pin != NULL)
		cache_ref(&t->reader->nodes, leaf->pin);
}

const struct pack_table *
item_packs(const struct tree_item *item)
{
	return item->node != NULL ? &item->node->packs : &item->tree->part->root_packs;
}
