/*
 * leaf.c - extents: which bytes of which segments a range of a file is made of.
 *
 * Layer 2.  Format: docs/format.md section 6.3, I-10.
 */
#include <inttypes.h>

#include "stream/private.h"

void
leaf_fini(struct leaf *leaf)
{
	free(leaf->segments);
	free(leaf->extents);
	*leaf = (struct leaf){0};
}

static size_t
extents_items(const struct leaf *leaf)
{
	size_t n = 0;

	for (uint32_t i = 0; i < leaf->n_extents; i++)
		n += leaf->extents[i].segment == 0 ? 2 : 3;
	return n;
}

void
leaf_put(struct buf *b, const struct leaf *leaf)
{
	cbor_put_array(b, 2);
	cbor_put_array(b, (size_t)leaf->n_segments * 4);
	for (uint32_t i = 0; i < leaf->n_segments; i++)
		segment_ref_put(b, &leaf->segments[i]);
	cbor_put_array(b, extents_items(leaf));
	for (uint32_t i = 0; i < leaf->n_extents; i++) {
		const struct extent *x = &leaf->extents[i];

		cbor_put_uint(b, x->len);
		cbor_put_uint(b, x->segment);
		if (x->segment != 0)
			cbor_put_uint(b, x->off);
	}
}

static void
segments_get(struct cbor_rd *rd, const struct pack_table *packs, bool has_holder,
	     uint32_t max_segments, struct leaf *ret)
{
	size_t items = cbor_get_array(rd, (size_t)max_segments * 4);

	if (cbor_ok(rd) && items % 4 != 0)
		cbor_fail(rd, "%zu values can't be segments, which have 4 each", items);
	if (!cbor_ok(rd) || items == 0)
		return;
	ret->n_segments = (uint32_t)(items / 4);
	ret->segments = mem_array(ret->n_segments, sizeof *ret->segments);
	for (uint32_t i = 0; i < ret->n_segments && cbor_ok(rd); i++)
		segment_ref_get(rd, packs, has_holder, &ret->segments[i]);
}

/* One extent, checked against its segment and against what is left of the range. */
static void
extent_get(struct cbor_rd *rd, const struct leaf *leaf, uint64_t left, struct extent *ret)
{
	uint32_t plain_len;

	ret->len = cbor_get_uint(rd, left);
	ret->segment = (uint32_t)cbor_get_uint(rd, leaf->n_segments);
	ret->off = 0;
	if (cbor_ok(rd) && ret->len == 0)
		cbor_fail(rd, "an extent without bytes");
	if (!cbor_ok(rd) || ret->segment == 0)
		return;
	plain_len = leaf->segments[ret->segment - 1].plain_len;
	ret->off = (uint32_t)cbor_get_uint(rd, plain_len);
	if (ret->len > plain_len - ret->off)
		cbor_fail(rd, "an extent of %" PRIu64 " bytes at %u of a segment of %u", ret->len,
			  ret->off, plain_len);
}

/*
 * @items: integers of the array, of which an extent has two or three.  What they take is counted
 * afterwards: an extent cut off by the array's end may have read past it, and is refused.
 */
static void
extents_get(struct cbor_rd *rd, uint64_t range, uint32_t max_extents, struct leaf *ret)
{
	size_t items = cbor_get_array(rd, (size_t)max_extents * 3), used = 0;
	uint64_t left = range;

	ret->extents = mem_array(items / 2, sizeof *ret->extents);
	while (used < items && cbor_ok(rd)) {
		struct extent *x = &ret->extents[ret->n_extents];

		if (ret->n_extents == max_extents || items - used < 2) {
			cbor_fail(rd, "%zu values can't be extents, at most %u", items,
				  max_extents);
			return;
		}
		extent_get(rd, ret, left, x);
		left -= x->len;
		used += x->segment == 0 ? 2 : 3;
		ret->n_extents++;
	}
	if (cbor_ok(rd) && used != items)
		cbor_fail(rd, "the last extent is cut off");
	if (cbor_ok(rd) && left != 0)
		cbor_fail(rd,
			  "the extents end %" PRIu64 " bytes before the range of %" PRIu64
			  " that they cover",
			  left, range);
	ret->extents = mem_grow(ret->extents, ret->n_extents, sizeof *ret->extents);
}

void
leaf_get(struct cbor_rd *rd, const struct pack_table *packs, bool has_holder, uint64_t range,
	 uint32_t max_extents, struct leaf *ret)
{
	size_t n = cbor_get_array(rd, 2);

	*ret = (struct leaf){0};
	if (cbor_ok(rd) && n != 2)
		cbor_fail(rd, "a leaf of %zu values instead of 2", n);
	segments_get(rd, packs, has_holder, max_extents, ret);
	extents_get(rd, range, max_extents, ret);
	if (!cbor_ok(rd))
		leaf_fini(ret);
}
