/*
 * dirs.c - directories of one lane, from entries in name order to a node.
 *
 * Layer 4.
 */
#include "backup/internal.h"

void
dir_begin(struct lane *lane)
{
	struct dir_build *d;

	array_reserve(lane->dirs, lane->n_dirs, lane->cap_dirs);
	d = &lane->dirs[lane->n_dirs++];
	*d = (struct dir_build){.record = mem_alloc(sizeof *d->record)};
	d->record->lane = lane;
}

static void
pending_reset(struct dir_build *d)
{
	for (size_t i = 0; i < d->n; i++) {
		item_free(d->entries[i].item);
		stored_put(d->entries[i].stored);
		node_fini(&d->entries[i].children);
	}
	d->n = 0;
	buf_reset(&d->logical);
}

void
dir_build_fini(struct dir_build *d)
{
	pending_reset(d);
	free(d->entries);
	buf_fini(&d->logical);
	child_list_reset(&d->leaves);
	free(d->leaves.v);
	record_free(d->record);
}

/* ---- entries: with logical ids for what they refer to, or with references ---- */

static void
put_logical(struct buf *b, const struct pending_entry *p)
{
	struct entry e = p->item->entry;
	struct buf id = BUF_INIT;

	if (p->stored != NULL) {
		buf_append_u8(&id, (uint8_t)p->stored->content.kind);
		buf_append(&id, &p->stored->logical, sizeof p->stored->logical);
		e.content = (struct content){.kind = CONTENT_INLINE, .bytes = buf_slice(&id)};
	}
	if (p->has_children) {
		buf_append(&id, &p->children.logical, sizeof p->children.logical);
		e.children = CHILDREN_INLINE;
		e.children_inline = buf_slice(&id);
	}
	entry_put(b, &e);
	buf_fini(&id);
}

static void
put_content(struct run *run, struct lane *lane, struct pack_table *packs, const struct stored *s,
	    struct entry *e)
{
	e->content = s->content;
	if (s->content.kind == CONTENT_TREE)
		node_ref_local(run, lane, packs, &s->root, &e->content.root);
	if (s->content.kind != CONTENT_LEAF)
		return;
	e->content.leaf.segments =
		mem_array(s->content.leaf.n_segments + 1, sizeof(struct segment_ref));
	for (uint32_t i = 0; i < s->content.leaf.n_segments; i++) {
		e->content.leaf.segments[i] = s->content.leaf.segments[i];
		e->content.leaf.segments[i].pack =
			local_number(run, packs, s->content.leaf.segments[i].pack);
	}
}

static void
put_entry(struct buf *b, struct run *run, struct lane *lane, struct pack_table *packs,
	  const struct pending_entry *p)
{
	struct entry e = p->item->entry;

	if (p->stored != NULL)
		put_content(run, lane, packs, p->stored, &e);
	if (p->has_children) {
		e.children = CHILDREN_NODE;
		node_ref_local(run, lane, packs, &p->children, &e.children_ref);
	}
	entry_put(b, &e);
	if (e.content.kind == CONTENT_LEAF)
		free(e.content.leaf.segments);
}

static void
put_dir_leaf(const void *what, struct run *run, struct lane *lane, struct pack_table *packs,
	     struct buf *ret)
{
	const struct dir_build *d = what;

	cbor_put_array(ret, d->n);
	for (size_t i = 0; i < d->n; i++)
		put_entry(ret, run, lane, packs, &d->entries[i]);
}

/* ---- leaves ---- */

static void
leaf_reach(const struct dir_build *d, struct pack_set *reach)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->entries[i].stored != NULL)
			pack_set_merge(reach, &d->entries[i].stored->reach);
		pack_set_merge(reach, &d->entries[i].children.reach);
	}
}

static int
end_leaf(struct run *run, struct lane *lane, struct dir_build *d, struct err *err)
{
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	CLEANUP(pack_set_fini) struct pack_set reach = {0};
	struct tree_child child = {0};
	const struct item *first;
	int r;

	if (d->n == 0)
		return 0;
	first = d->entries[0].item;
	leaf_reach(d, &reach);
	buf_append_u8(&logical, NODE_DIR_LEAF);
	buf_append(&logical, d->logical.p, d->logical.len);
	r = tree_node(run, lane, NODE_DIR_LEAF, &logical, &reach, put_dir_leaf, d, &child.node,
		      err);
	if (r < 0)
		return r;
	child.count = d->n;
	child.first = mem_copy(first->entry.name.p, first->entry.name.len);
	child.first_len = first->entry.name.len;
	array_reserve(d->leaves.v, d->leaves.n, d->leaves.cap);
	d->leaves.v[d->leaves.n++] = child;
	pending_reset(d);
	return 0;
}

int
dir_add(struct run *run, struct lane *lane, struct item *item, struct stored *stored,
	struct node *children, struct err *err)
{
	struct dir_build *d = &lane->dirs[lane->n_dirs - 1];
	struct pending_entry p = {.item = item, .stored = stored};
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	int r = 0;

	if (children != NULL) {
		p.children = *children;
		p.has_children = true;
	}
	put_logical(&logical, &p);
	if (d->n > 0 && d->logical.len + logical.len > DIR_LEAF_MAX)
		r = end_leaf(run, lane, d, err);
	array_reserve(d->entries, d->n, d->cap);
	d->entries[d->n++] = p;
	buf_append(&d->logical, logical.p, logical.len);
	d->n_entries++;
	if (item->entry.type == ENTRY_DIR)
		*(item->entry.bare ? &d->n_bare : &d->n_subdirs) += 1;
	if (r == 0 && dir_leaf_ends(item->entry.name, d->logical.len))
		r = end_leaf(run, lane, d, err);
	return r;
}

/* ---- inner nodes ---- */

struct inner_payload {
	uint32_t height;
	const struct tree_child *v;
	size_t n;
};

static void
put_dir_inner(const void *what, struct run *run, struct lane *lane, struct pack_table *packs,
	      struct buf *ret)
{
	const struct inner_payload *p = what;
	struct dir_child *children = mem_array(p->n, sizeof *children);

	for (size_t i = 0; i < p->n; i++) {
		children[i].first = slice_of(p->v[i].first, p->v[i].first_len);
		children[i].count = p->v[i].count;
		node_ref_local(run, lane, packs, &p->v[i].node, &children[i].ref);
	}
	dir_inner_put(ret, p->height, children, (uint32_t)p->n);
	free(children);
}

static int
make_inner(struct run *run, struct lane *lane, const struct inner_payload *p,
	   struct tree_child *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	CLEANUP(pack_set_fini) struct pack_set reach = {0};

	*ret = (struct tree_child){.first = mem_copy(p->v[0].first, p->v[0].first_len),
				   .first_len = p->v[0].first_len};
	buf_append_u8(&logical, NODE_DIR_INNER);
	buf_append_u32le(&logical, p->height);
	for (size_t i = 0; i < p->n; i++) {
		ret->count += p->v[i].count;
		pack_set_merge(&reach, &p->v[i].node.reach);
		buf_append_lp(&logical, p->v[i].first, p->v[i].first_len);
		buf_append_u64le(&logical, p->v[i].count);
		buf_append(&logical, &p->v[i].node.logical, sizeof(struct hash));
	}
	return tree_node(run, lane, NODE_DIR_INNER, &logical, &reach, put_dir_inner, p, &ret->node,
			 err);
}

/* Children of one inner node: few enough that it stays well under a node's greatest length. */
#define INNER_CHILDREN 256u

/* Replaces the level in @l by the level above it. */
static int
level_up(struct run *run, struct lane *lane, uint32_t height, struct child_list *l, struct err *err)
{
	struct child_list above = {0};
	int r = 0;

	for (size_t at = 0; r == 0 && at < l->n; at += INNER_CHILDREN) {
		const struct inner_payload p = {.height = height,
						.v = l->v + at,
						.n = (size_t)min_u64(l->n - at, INNER_CHILDREN)};

		array_reserve(above.v, above.n, above.cap);
		r = make_inner(run, lane, &p, &above.v[above.n++], err);
	}
	child_list_reset(l);
	free(l->v);
	*l = above;
	return r;
}

/* The directory's one node.  @ret_has: false for an empty directory. */
static int
dir_node(struct run *run, struct lane *lane, struct dir_build *d, struct node *ret, bool *ret_has,
	 struct err *err)
{
	int r = end_leaf(run, lane, d, err);

	for (uint32_t height = 1; r == 0 && d->leaves.n > 1; height++)
		r = level_up(run, lane, height, &d->leaves, err);
	*ret_has = r == 0 && d->leaves.n == 1;
	if (*ret_has) {
		*ret = d->leaves.v[0].node;
		d->leaves.v[0].node = (struct node){0};
	}
	return r;
}

/* ---- the end of a directory ---- */

static void
finish_record(struct lane *lane, struct dir_build *d, struct event *e)
{
	struct record *r = d->record;

	if (!d->record_changed && r->n == e->n_recorded)
		return;
	r->path = steal_ptr(&e->path);
	r->path_len = e->path_len;
	r->next = lane->records;
	lane->records = steal_ptr(&d->record);
}

#define ROOT_INLINE_MAX (4u * KIB)

/* The root's entries wait for the snapshot, when there are few. */
static void
keep_inline(struct lane *lane, struct dir_build *d)
{
	leaf_reach(d, &lane->reach);
	lane->root_inline = mem_copy(d, sizeof *d);
	*d = (struct dir_build){0};
}

void
dir_root_inline(struct run *run, struct lane *lane, struct buf *ret)
{
	CLEANUP(pack_table_fini) struct pack_table packs = {0};
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;

	pack_table_init(&packs, NULL);
	put_dir_leaf(lane->root_inline, run, lane, &packs, &payload);
	node_put(ret, &packs, NODE_DIR_LEAF, buf_slice(&payload));
}

static void
finish_root(struct lane *lane, struct item *item, struct node *children, bool has_children)
{
	lane->root = item;
	pack_set_merge(&lane->reach, &children->reach);
	lane->has_root_node = has_children;
	lane->root_node = *children;
	*children = (struct node){0};
}

int
dir_end(struct run *run, struct lane *lane, struct event *e, struct err *err)
{
	struct dir_build *d = &lane->dirs[lane->n_dirs - 1];
	CLEANUP(item_freep) struct item *item = steal_ptr(&e->item);
	CLEANUP(node_fini) struct node children = {0};
	bool has_children = false;
	int r = 0;

	item->entry.n_entries = d->n_entries;
	item->entry.n_subdirs = d->n_subdirs;
	item->entry.n_bare_subdirs = d->n_bare;
	lane->counts.dirs += !item->entry.bare;
	lane->has_xattrs |= item->entry.n_xattrs > 0;
	finish_record(lane, d, e);
	if (lane->n_dirs == 1 && d->leaves.n == 0 && d->n > 0 && d->logical.len <= ROOT_INLINE_MAX)
		keep_inline(lane, d);
	else
		r = dir_node(run, lane, d, &children, &has_children, err);
	dir_build_fini(d);
	lane->n_dirs--;
	if (r < 0)
		return r;
	if (lane->n_dirs == 0) {
		finish_root(lane, steal_ptr(&item), &children, has_children);
		return 0;
	}
	r = dir_add(run, lane, steal_ptr(&item), NULL, has_children ? &children : NULL, err);
	children = (struct node){0}; /* the directory above has it */
	return r;
}
