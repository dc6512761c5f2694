/*
 * tree.c - nodes: streams and directories of one lane, bottom up.
 *
 * Every node has a logical id, made of what it refers to and not of where that lies.  If the
 * catalog knows the id, the node is not written again: so what didn't change is shared with earlier
 * snapshots. New nodes gather in the lane's tree segment; a node in the same segment is referred to
 * by its offset there, and one in the pack being written as pack number 0.
 *
 * Layer 4.
 */
#include "backup/internal.h"

/* ---- references, as the node being written must say them ---- */

uint32_t
local_number(struct run *run, struct pack_table *packs, uint32_t number)
{
	if (packs->has_holder && number == run->pack_number)
		return 0;
	return pack_table_number(packs, &catalog_packs(run->catalog)->ids[number]);
}

void
node_ref_local(struct run *run, struct lane *lane, struct pack_table *packs, const struct node *n,
	       struct node_ref *ret)
{
	*ret = n->ref;
	if (n->underway != NULL && n->underway == lane->tree && packs->has_holder) {
		ret->seg = (struct segment_ref){0}; /* the same segment */
		return;
	}
	if (n->underway != NULL)
		ret->seg = n->underway->ref;
	ret->seg.pack = local_number(run, packs, ret->seg.pack);
}

/* ---- making a node ---- */

static void
encode(struct run *run, struct lane *lane, enum node_kind kind, node_payload_fn *put,
       const void *what, struct buf *ret)
{
	CLEANUP(pack_table_fini) struct pack_table packs = {0};
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;
	struct pack_id holder = {0}; /* its id isn't known yet; number 0 stands for it */

	pack_table_init(&packs, &holder);
	put(what, run, lane, &packs, &payload);
	buf_reset(ret);
	node_put(ret, &packs, kind, buf_slice(&payload));
}

static int
find(struct run *run, const struct hash *logical, struct node *ret, bool *found, struct err *err)
{
	struct catalog_node known;
	int r;

	*found = false;
	pthread_mutex_lock(&run->catalog_lock);
	r = catalog_node_find(run->catalog, logical, &known, err);
	pthread_mutex_unlock(&run->catalog_lock);
	if (r == ERR_NOENT)
		return 0;
	if (r < 0)
		return r;
	*ret = (struct node){.logical = *logical, .ref = known.ref, .reach = known.reach};
	*found = true;
	return 0;
}

/* For the catalog, once the segment is durable. */
static void
remember(struct tree_segment *t, const struct node *n)
{
	struct catalog_node *row;

	array_reserve(t->nodes, t->n_nodes, t->cap_nodes);
	row = &t->nodes[t->n_nodes++];
	*row = (struct catalog_node){.logical_id = n->logical, .ref = n->ref};
	pack_set_merge(&row->reach, &n->reach);
}

int
tree_node(struct run *run, struct lane *lane, enum node_kind kind, const struct buf *logical,
	  struct pack_set *reach, node_payload_fn *put, const void *what, struct node *ret,
	  struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct hash id;
	bool found;
	int r;

	logical_id(lane->hash_key, logical, &id);
	r = find(run, &id, ret, &found, err);
	if (r < 0 || found)
		return r;
	packer_open(run);
	encode(run, lane, kind, put, what, &bytes);
	if (lane->tree != NULL && lane->tree->plain.len + bytes.len > TREE_SEGMENT_TARGET) {
		/* That may close the pack too: references to both change. */
		packer_place_tree(run, lane);
		packer_open(run);
		encode(run, lane, kind, put, what, &bytes);
	}
	if (bytes.len > NODE_LEN_MAX)
		return err_set(err, ERR_UNSUPPORTED,
			       "a directory entry or stream of %zu bytes is too large", bytes.len);
	if (lane->tree == NULL) {
		lane->tree = mem_alloc(sizeof *lane->tree);
		lane->tree->refs = 1;
	}
	*ret = (struct node){.logical = id, .underway = lane->tree};
	lane->tree->refs++;
	ret->ref.off = (uint32_t)lane->tree->plain.len;
	ret->ref.len = (uint32_t)bytes.len;
	buf_append(&lane->tree->plain, bytes.p, bytes.len);
	pack_set_merge(&ret->reach, reach);
	pack_set_add(&ret->reach, run->pack_number);
	remember(lane->tree, ret);
	return 0;
}

/* ---- streams ---- */

static void
leaf_local(struct run *run, struct pack_table *packs, const struct leaf *leaf, struct leaf *ret)
{
	*ret = *leaf;
	ret->segments = mem_array(leaf->n_segments + 1, sizeof *ret->segments);
	for (uint32_t i = 0; i < leaf->n_segments; i++) {
		ret->segments[i] = leaf->segments[i];
		ret->segments[i].pack = local_number(run, packs, leaf->segments[i].pack);
	}
}

static void
put_leaf(const void *what, struct run *run, struct lane *lane, struct pack_table *packs,
	 struct buf *ret)
{
	struct leaf local;

	(void)lane;
	leaf_local(run, packs, what, &local);
	leaf_put(ret, &local);
	free(local.segments);
}

struct level_payload {
	uint32_t height;
	const struct child_list *children;
};

static void
put_stream_inner(const void *what, struct run *run, struct lane *lane, struct pack_table *packs,
		 struct buf *ret)
{
	const struct level_payload *l = what;
	struct node_ref *refs = mem_array(l->children->n, sizeof *refs);

	for (size_t i = 0; i < l->children->n; i++)
		if (!l->children->v[i].is_hole)
			node_ref_local(run, lane, packs, &l->children->v[i].node, &refs[i]);
	stream_inner_put(ret, l->height, refs, (uint32_t)l->children->n);
	free(refs);
}

static struct tree_child *
child_add(struct child_list *l)
{
	array_reserve(l->v, l->n, l->cap);
	l->v[l->n] = (struct tree_child){0};
	return &l->v[l->n++];
}

static void
logical_children(struct buf *b, enum node_kind kind, uint32_t height, const struct child_list *l)
{
	buf_append_u8(b, (uint8_t)kind);
	buf_append_u32le(b, height);
	for (size_t i = 0; i < l->n; i++) {
		buf_append_lp(b, l->v[i].first, l->v[i].first_len);
		buf_append_u64le(b, l->v[i].count);
		buf_append(b, &l->v[i].node.logical, sizeof(struct hash));
	}
}

static void
reach_children(struct pack_set *s, const struct child_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		pack_set_merge(s, &l->v[i].node.reach);
}

static bool
all_holes(const struct child_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].is_hole)
			return false;
	return true;
}

/* Makes an inner node of a full or last level and hands it to the level above. */
static int
stream_level_up(struct run *run, struct lane *lane, uint32_t height, struct err *err)
{
	struct child_list *l = &lane->stream_leaves[height - 1];
	const struct level_payload payload = {.height = height, .children = l};
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	CLEANUP(pack_set_fini) struct pack_set reach = {0};
	struct tree_child up = {0};
	int r = 0;

	if (all_holes(l)) {
		up.is_hole = true;
	} else {
		logical_children(&logical, NODE_STREAM_INNER, height, l);
		reach_children(&reach, l);
		r = tree_node(run, lane, NODE_STREAM_INNER, &logical, &reach, put_stream_inner,
			      &payload, &up.node, err);
	}
	child_list_reset(l);
	if (r == 0)
		*child_add(&lane->stream_leaves[height]) = up;
	return r;
}

static int
stream_child_add(struct run *run, struct lane *lane, struct tree_child *child, struct err *err)
{
	int r = 0;

	*child_add(&lane->stream_leaves[0]) = *child;
	for (uint32_t h = 1;
	     r == 0 && h <= STREAM_HEIGHT_MAX && lane->stream_leaves[h - 1].n == STREAM_FANOUT; h++)
		r = stream_level_up(run, lane, h, err);
	return r;
}

static void
logical_leaf(struct buf *b, const struct pieces *p)
{
	buf_append_u8(b, NODE_STREAM_LEAF);
	buf_append(b, p->logical.p, p->logical.len);
}

static bool
is_hole(const struct pieces *p)
{
	return p->n == 1 && p->v[0].seg == NULL && p->v[0].ref.stored_len == 0;
}

static int
leaf_node(struct run *run, struct lane *lane, const struct pieces *p, struct node *ret,
	  struct err *err)
{
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	CLEANUP(pack_set_fini) struct pack_set reach = {0};
	CLEANUP(leaf_fini) struct leaf leaf = {0};

	pieces_to_leaf(p, &leaf, &reach);
	logical_leaf(&logical, p);
	return tree_node(run, lane, NODE_STREAM_LEAF, &logical, &reach, put_leaf, &leaf, ret, err);
}

int
stream_leaf_add(struct run *run, struct lane *lane, struct event *e, struct err *err)
{
	struct tree_child child = {0};
	int r = 0;

	if (e->is_known) {
		child.node = (struct node){.logical = e->known.logical_id, .ref = e->known.ref};
		child.node.reach = e->known.reach;
		e->known.reach = (struct pack_set){0};
	} else if (is_hole(&e->pieces)) {
		child.is_hole = true;
	} else {
		r = leaf_node(run, lane, &e->pieces, &child.node, err);
	}
	return r < 0 ? r : stream_child_add(run, lane, &child, err);
}

void
stream_reset(struct lane *lane)
{
	for (size_t i = 0; i < ARRAY_LEN(lane->stream_leaves); i++)
		child_list_reset(&lane->stream_leaves[i]);
}

static int
stream_tree(struct run *run, struct lane *lane, uint32_t height, struct stored *s, struct err *err)
{
	struct tree_child *root;
	int r = 0;

	for (uint32_t h = 1; r == 0 && h <= height; h++)
		if (lane->stream_leaves[h - 1].n > 0)
			r = stream_level_up(run, lane, h, err);
	if (r < 0)
		return r;
	root = &lane->stream_leaves[height].v[0];
	if (root->is_hole) {
		/* Nothing but a hole: one extent says so. */
		s->content.kind = CONTENT_LEAF;
	} else {
		s->content.kind = CONTENT_TREE;
		s->content.height = height;
		s->logical = root->node.logical;
		s->root = root->node;
		pack_set_merge(&s->reach, &root->node.reach);
		root->node = (struct node){0};
	}
	stream_reset(lane);
	return 0;
}

static int
stream_embedded(struct run *run, struct lane *lane, const struct pieces *p, struct stored *s,
		struct err *err)
{
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	struct tree_child child = {0};
	int r;

	if (p->n <= STREAM_EMBED_EXTENTS) {
		s->content.kind = CONTENT_LEAF;
		pieces_to_leaf(p, &s->content.leaf, &s->reach);
		logical_leaf(&logical, p);
		logical_id(lane->hash_key, &logical, &s->logical);
		return 0;
	}
	r = leaf_node(run, lane, p, &child.node, err);
	if (r == 0)
		r = stream_child_add(run, lane, &child, err);
	return r < 0 ? r : stream_tree(run, lane, 1, s, err);
}

static void
one_hole(struct lane *lane, uint64_t size, struct stored *s)
{
	struct pieces p = {0};
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;

	pieces_add_hole(&p, size);
	pieces_to_leaf(&p, &s->content.leaf, &s->reach);
	logical_leaf(&logical, &p);
	logical_id(lane->hash_key, &logical, &s->logical);
	pieces_fini(&p);
}

int
stream_finish(struct run *run, struct lane *lane, struct event *e, struct stored **ret,
	      struct err *err)
{
	struct stored *s = stored_new();
	int r;

	if (e->source == SOURCE_LEAVES)
		r = stream_tree(run, lane, stream_height_for(e->read.size), s, err);
	else
		r = stream_embedded(run, lane, &e->pieces, s, err);
	if (r == 0 && e->source == SOURCE_LEAVES && s->content.kind == CONTENT_LEAF)
		one_hole(lane, e->read.size, s);
	if (r < 0) {
		stored_put(s);
		return r;
	}
	*ret = s;
	return 0;
}
