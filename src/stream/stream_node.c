/*
 * stream_node.c - the nodes of a content stream, and the shape of its tree.
 *
 * Layer 2.  Format: docs/format.md sections 6.2 and 6.3, I-9.
 */
#include <inttypes.h>

#include "stream/private.h"

uint64_t
stream_child_range(uint32_t height)
{
	return STREAM_LEAF_LEN << (8 * (height - 1)); /* 256 = 2^8; 2^60 at height 6 */
}

uint32_t
stream_height_for(uint64_t size)
{
	uint32_t height = 1;

	while (height < STREAM_HEIGHT_MAX && size > stream_child_range(height) * STREAM_FANOUT)
		height++;
	return height;
}

void
stream_inner_put(struct buf *b, uint32_t height, const struct node_ref *children, uint32_t n)
{
	cbor_put_array(b, 2);
	cbor_put_uint(b, height);
	cbor_put_array(b, n);
	for (uint32_t i = 0; i < n; i++)
		if (children[i].len == 0)
			cbor_put_uint(b, 0);
		else
			node_ref_put(b, &children[i]);
}

static void
child_get(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	  struct node_ref *ret)
{
	/* An integer, and the only one allowed is 0: a hole. */
	if (rd->p < rd->end && *rd->p >> 5 == 0)
		(void)cbor_get_uint(rd, 0);
	else
		node_ref_get(rd, origin, packs, ret);
}

static void
inner_get(struct cbor_rd *rd, const struct node_origin *origin, uint64_t range,
	  struct stream_node *node)
{
	uint64_t child_range = stream_child_range(node->height);
	uint64_t most = range / child_range + (range % child_range != 0);
	uint64_t height;
	size_t n;

	if (cbor_get_array(rd, 2) != 2)
		cbor_fail(rd, "an inner node that isn't a height and children");
	height = cbor_get_uint(rd, STREAM_HEIGHT_MAX);
	if (cbor_ok(rd) && height != node->height)
		cbor_fail(rd, "has height %" PRIu64 " where %u must stand", height, node->height);
	n = cbor_get_array(rd, min_u64(STREAM_FANOUT, most));
	node->children = mem_array(n, sizeof *node->children);
	node->n_children = (uint32_t)n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		child_get(rd, origin, &node->packs, &node->children[i]);
}

int
stream_node_decode(struct slice bytes, const struct node_origin *origin, uint32_t height,
		   uint64_t range, struct stream_node **ret, struct err *err)
{
	CLEANUP(stream_node_freep) struct stream_node *node = mem_alloc(sizeof *node);
	struct cbor_rd rd = cbor_rd_init(bytes, height == 0 ? "stream leaf" : "stream node", err);
	int r;

	*ret = NULL;
	node->height = height;
	if (bytes.len > NODE_LEN_MAX || height > STREAM_HEIGHT_MAX)
		return err_set(err, ERR_CORRUPT, "stream node: %zu bytes and height %u: too many",
			       bytes.len, height);
	r = node_open(&rd, origin, &node->packs, &node->kind);
	if (r < 0)
		return r;
	if (node->kind != (height == 0 ? NODE_STREAM_LEAF : NODE_STREAM_INNER))
		cbor_fail(&rd, "is a node of kind %u", (unsigned)node->kind);
	else if (height == 0)
		leaf_get(&rd, &node->packs, node->packs.has_holder, range, STREAM_LEAF_EXTENTS,
			 &node->leaf);
	else
		inner_get(&rd, origin, range, node);
	r = cbor_rd_done(&rd);
	if (r < 0)
		return r;
	*ret = steal_ptr(&node);
	return 0;
}

void
stream_node_free(struct stream_node *n)
{
	if (n == NULL)
		return;
	pack_table_fini(&n->packs);
	leaf_fini(&n->leaf);
	free(n->children);
	free(n);
}
