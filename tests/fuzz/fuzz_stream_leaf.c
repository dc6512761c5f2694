/*
 * fuzz_stream_leaf.c - nodes of content streams, and contents in directory entries.
 *
 * The first byte says what the rest is: its low three bits a height (0 a leaf, 7 a content), the
 * next bit whether it stands in a snapshot; the upper four choose the length that it must cover.
 * What was decoded must encode to the same bytes: there is one encoding only.
 */
#include "tillfs/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct node_origin origin_in_pack = {
	.pack = {{{0xcc}}},
	.seg = {.off = 5000, .stored_len = 900, .plain_len = 3000},
	.off = 1000,
};

static void
check_leaf(const struct leaf *leaf, uint64_t range)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < leaf->n_extents; i++) {
		const struct extent *x = &leaf->extents[i];

		sum += x->len;
		if (x->segment > leaf->n_segments)
			abort();
		if (x->segment > 0 && x->off + x->len > leaf->segments[x->segment - 1].plain_len)
			abort();
	}
	if (sum != range)
		abort();
}

static void
same_again(const struct buf *again, struct slice bytes)
{
	if (!slice_equal(buf_slice(again), bytes))
		abort();
}

/* As the encoder wants it: "same segment" unresolved. */
static struct node_ref
unresolved(const struct node_ref *ref, const struct node_origin *origin)
{
	struct node_ref ret = *ref;

	if (ref->len != 0 && ref->seg.pack == 0 && ref->seg.off == origin->seg.off)
		ret.seg = (struct segment_ref){0};
	return ret;
}

static void
try_content(struct slice bytes, const struct node_origin *origin, uint64_t size)
{
	CLEANUP(pack_table_fini) struct pack_table packs;
	CLEANUP(content_fini) struct content c;
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct cbor_rd rd = cbor_rd_init(bytes, "content", NULL);
	struct pack_id other = {{{1}}};

	pack_table_init(&packs, origin->inline_root ? NULL : &origin->pack);
	(void)pack_table_number(&packs, &other);
	content_get(&rd, origin, &packs, size, &c);
	if (cbor_rd_done(&rd) < 0)
		return;
	if (c.kind == CONTENT_LEAF)
		check_leaf(&c.leaf, size);
	if (c.kind == CONTENT_TREE)
		c.root = unresolved(&c.root, origin);
	content_put(&again, &c);
	same_again(&again, bytes);
}

static void
try_node(struct slice bytes, const struct node_origin *origin, uint32_t height, uint64_t range)
{
	CLEANUP(stream_node_freep) struct stream_node *node = NULL;
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct err err = ERR_INIT;

	if (stream_node_decode(bytes, origin, height, range, &node, &err) < 0) {
		if (err.code >= 0 || err.msg[0] == '\0')
			abort(); /* refused without saying why */
		return;
	}
	if (height == 0) {
		check_leaf(&node->leaf, range);
		leaf_put(&payload, &node->leaf);
	} else {
		for (uint32_t i = 0; i < node->n_children; i++)
			node->children[i] = unresolved(&node->children[i], origin);
		stream_inner_put(&payload, height, node->children, node->n_children);
	}
	node_put(&again, &node->packs, node->kind, buf_slice(&payload));
	same_again(&again, bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t ranges[16] = {
		STREAM_LEAF_LEN, 100,      1,        5, 512, 4096, 99999, MIB + 1, 256u * MIB,
		256u * MIB + 1,  1u << 30, INT64_MAX};
	struct node_origin origin = origin_in_pack;
	uint32_t height;
	uint64_t range;

	if (len < 1)
		return 0;
	height = data[0] & 7;
	origin.inline_root = data[0] & 8;
	range = ranges[data[0] >> 4];
	if (height == 7)
		try_content(slice_of(data + 1, len - 1), &origin, range);
	else
		try_node(slice_of(data + 1, len - 1), &origin, height, range);
	return 0;
}
