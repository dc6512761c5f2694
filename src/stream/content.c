/*
 * content.c - a file's content as its directory entry has it: the bytes, a leaf, or a tree.
 *
 * Layer 2.  Format: docs/format.md section 6.3.
 */
#include <inttypes.h>

#include "stream/private.h"

void
content_fini(struct content *c)
{
	leaf_fini(&c->leaf);
	*c = (struct content){0};
}

void
content_put(struct buf *b, const struct content *c)
{
	cbor_put_array(b, c->kind == CONTENT_TREE ? 3 : 2);
	switch (c->kind) {
	case CONTENT_INLINE:
		cbor_put_uint(b, 0);
		cbor_put_bytes(b, c->bytes.p, c->bytes.len);
		break;
	case CONTENT_LEAF:
		cbor_put_uint(b, 1);
		leaf_put(b, &c->leaf);
		break;
	case CONTENT_TREE:
		cbor_put_uint(b, 2);
		cbor_put_uint(b, c->height);
		node_ref_put(b, &c->root);
		break;
	case CONTENT_EMPTY:
		abort(); /* the caller's promise */
	}
}

static void
inline_get(struct cbor_rd *rd, uint64_t size, struct content *ret)
{
	ret->kind = CONTENT_INLINE;
	ret->bytes = cbor_get_bytes(rd, STREAM_INLINE_MAX);
	if (cbor_ok(rd) && ret->bytes.len != size)
		cbor_fail(rd, "%zu bytes of content for a file of %" PRIu64, ret->bytes.len, size);
}

static void
tree_get(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	 uint64_t size, struct content *ret)
{
	ret->kind = CONTENT_TREE;
	ret->height = (uint32_t)cbor_get_uint(rd, STREAM_HEIGHT_MAX);
	if (cbor_ok(rd) && ret->height < stream_height_for(size))
		cbor_fail(rd, "a stream of height %u can't hold a file of %" PRIu64 " bytes",
			  ret->height, size);
	node_ref_get(rd, origin, packs, &ret->root);
}

void
content_get(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	    uint64_t size, struct content *ret)
{
	size_t n = cbor_get_array(rd, 3);
	uint64_t form = cbor_get_uint(rd, 2);

	*ret = (struct content){0};
	if (cbor_ok(rd) && n != (form == 2 ? 3 : 2))
		cbor_fail(rd, "a content of form %" PRIu64 " with %zu values", form, n);
	if (cbor_ok(rd) && size == 0)
		cbor_fail(rd, "an empty file with a content");
	if (!cbor_ok(rd))
		return;
	if (form == 0)
		inline_get(rd, size, ret);
	else if (form == 1) {
		ret->kind = CONTENT_LEAF;
		leaf_get(rd, packs, packs->has_holder, size, STREAM_EMBED_EXTENTS, &ret->leaf);
	} else
		tree_get(rd, origin, packs, size, ret);
	if (!cbor_ok(rd))
		content_fini(ret);
}
