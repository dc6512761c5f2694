/*
 * node.c - nodes and what they refer to: segments of data, other nodes.
 *
 * A node refers only to what was stored before it: to earlier bytes of its own segment, to earlier
 * segments of its own pack, to other packs, whose ids are hashes.  So nobody can build a cycle.
 *
 * Layer 2.  Format: docs/format.md sections 6.1 and 6.2.
 */
#include <inttypes.h>

#include "stream/private.h"

#define SEGMENT_STORED_MIN (SEAL_TAG_LEN + 2u) /* a tag byte and one byte of plaintext */

void
segment_ref_put(struct buf *b, const struct segment_ref *ref)
{
	cbor_put_uint(b, ref->pack);
	cbor_put_uint(b, ref->off);
	cbor_put_uint(b, ref->stored_len);
	cbor_put_uint(b, ref->plain_len);
}

void
segment_ref_get(struct cbor_rd *rd, const struct pack_table *packs, bool has_holder,
		struct segment_ref *ret)
{
	ret->pack = (uint32_t)cbor_get_uint(rd, packs->n - 1);
	ret->off = cbor_get_uint(rd, PACK_BODY_MAX);
	ret->stored_len = (uint32_t)cbor_get_uint(rd, SEGMENT_STORED_MAX);
	ret->plain_len = (uint32_t)cbor_get_uint(rd, SEGMENT_PLAIN_MAX);
	if (!cbor_ok(rd))
		return;
	if (ret->pack == 0 && !has_holder)
		cbor_fail(rd, "a segment in pack 0, but what stands in no pack has none");
	else if (ret->stored_len < SEGMENT_STORED_MIN || ret->plain_len == 0)
		cbor_fail(rd, "a segment with %u bytes stored, %u plain: too short for any",
			  ret->stored_len, ret->plain_len);
	else if (ret->stored_len > PACK_BODY_MAX - ret->off)
		cbor_fail(rd, "a segment at %" PRIu64 " that ends past any pack's body", ret->off);
}

void
node_ref_put(struct buf *b, const struct node_ref *ref)
{
	bool same_segment = ref->seg.stored_len == 0 && ref->seg.plain_len == 0;

	cbor_put_array(b, same_segment ? 2 : 6);
	if (!same_segment)
		segment_ref_put(b, &ref->seg);
	cbor_put_uint(b, ref->off);
	cbor_put_uint(b, ref->len);
}

/* Whether [off, off + len) lies wholly before @end. */
static bool
is_before(uint64_t off, uint64_t len, uint64_t end)
{
	return off <= end && len <= end - off;
}

/* Refuses a reference to what was stored with the node or after it. */
static void
check_is_earlier(struct cbor_rd *rd, const struct node_origin *origin, bool same_segment,
		 const struct node_ref *ref)
{
	if (same_segment && !is_before(ref->off, ref->len, origin->off))
		cbor_fail(rd, "refers to bytes %u + %u of its segment, but stands at %u", ref->off,
			  ref->len, origin->off);
	if (!same_segment && ref->seg.pack == 0 &&
	    !is_before(ref->seg.off, ref->seg.stored_len, origin->seg.off))
		cbor_fail(rd,
			  "refers to the segment at %" PRIu64
			  " of its pack, but stands in that at %" PRIu64,
			  ref->seg.off, origin->seg.off);
}

void
node_ref_get(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	     struct node_ref *ret)
{
	size_t n = cbor_get_array(rd, 6);
	bool same_segment = n == 2;

	*ret = (struct node_ref){0};
	if (!cbor_ok(rd))
		return;
	if (n != 2 && n != 6)
		cbor_fail(rd, "a node reference of %zu values instead of 2 or 6", n);
	else if (same_segment && origin->inline_root)
		cbor_fail(rd,
			  "a reference within a segment, but what stands in a snapshot has none");
	else if (same_segment)
		ret->seg = origin->seg;
	else
		segment_ref_get(rd, packs, packs->has_holder, &ret->seg);
	ret->off = (uint32_t)cbor_get_uint(rd, SEGMENT_PLAIN_MAX);
	ret->len = (uint32_t)cbor_get_uint(rd, NODE_LEN_MAX);
	if (cbor_ok(rd) && ret->len == 0)
		cbor_fail(rd, "a reference to a node without bytes");
	if (cbor_ok(rd) &&
	    (ret->off > ret->seg.plain_len || ret->len > ret->seg.plain_len - ret->off))
		cbor_fail(rd, "a node at %u + %u of a segment of %u bytes", ret->off, ret->len,
			  ret->seg.plain_len);
	if (cbor_ok(rd) && !origin->inline_root)
		check_is_earlier(rd, origin, same_segment, ret);
	if (!cbor_ok(rd))
		*ret = (struct node_ref){0};
}

void
node_put(struct buf *b, const struct pack_table *packs, enum node_kind kind, struct slice payload)
{
	cbor_put_array(b, 3);
	pack_table_put(b, packs);
	cbor_put_uint(b, kind);
	buf_append(b, payload.p, payload.len);
}

int
node_open(struct cbor_rd *rd, const struct node_origin *origin, struct pack_table *packs,
	  enum node_kind *ret_kind)
{
	size_t n = cbor_get_array(rd, 3);

	if (cbor_ok(rd) && n != 3)
		cbor_fail(rd, "a node of %zu values instead of 3", n);
	pack_table_get(rd, origin->inline_root ? NULL : &origin->pack, packs);
	*ret_kind = (enum node_kind)cbor_get_uint(rd, NODE_DIR_INNER);
	return cbor_ok(rd) ? 0 : rd->r;
}
