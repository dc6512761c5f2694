/*
 * test_stream.c - references, nodes, leaves, contents.
 */
#include "fixture_format.h"

#include "tillfs/stream.h"

static struct pack_id
pack_id_of(uint8_t fill)
{
	struct pack_id id;

	memset(&id, fill, sizeof id);
	return id;
}

/* Where the nodes of these tests stand: at 1000 of the segment at 5000 of pack h'cc'*32. */
static struct node_origin
origin_here(void)
{
	return (struct node_origin){.pack = pack_id_of(0xcc),
				    .seg = {.off = 5000, .stored_len = 900, .plain_len = 3000},
				    .off = 1000};
}

static int
decode_text(const char *text, uint32_t height, uint64_t range, struct stream_node **ret,
	    struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct node_origin origin = origin_here();

	cbor_text(&bytes, text);
	return stream_node_decode(buf_slice(&bytes), &origin, height, range, ret, err);
}

static void
check_segment(const struct segment_ref *a, const struct segment_ref *b)
{
	assert_int_equal(a->pack, b->pack);
	assert_int_equal(a->off, b->off);
	assert_int_equal(a->stored_len, b->stored_len);
	assert_int_equal(a->plain_len, b->plain_len);
}

static void
check_ref(const struct node_ref *a, const struct node_ref *b)
{
	check_segment(&a->seg, &b->seg);
	assert_int_equal(a->off, b->off);
	assert_int_equal(a->len, b->len);
}

static void
check_leaf(const struct leaf *a, const struct leaf *b)
{
	assert_int_equal(a->n_segments, b->n_segments);
	assert_int_equal(a->n_extents, b->n_extents);
	for (uint32_t i = 0; i < a->n_segments; i++)
		check_segment(&a->segments[i], &b->segments[i]);
	for (uint32_t i = 0; i < a->n_extents; i++) {
		assert_int_equal(a->extents[i].len, b->extents[i].len);
		assert_int_equal(a->extents[i].segment, b->extents[i].segment);
		assert_int_equal(a->extents[i].off, b->extents[i].off);
	}
}

/* ---- pack tables ---- */

static void
test_pack_table__numbers_each_pack_once(void **state)
{
	struct pack_id holder = pack_id_of(9);
	CLEANUP(pack_table_fini) struct pack_table with, without;

	(void)state;
	pack_table_init(&with, &holder);
	pack_table_init(&without, NULL);
	for (int again = 0; again < 2; again++)
		for (uint8_t i = 10; i < 200; i++) {
			struct pack_id id = pack_id_of(i);

			assert_int_equal(pack_table_number(&with, &id), i - 9);
			assert_int_equal(pack_table_number(&without, &id), i - 9);
		}
	assert_int_equal(pack_table_number(&with, &holder), 0);
	assert_int_equal(pack_table_number(&without, &holder), 191);
}

static void
test_pack_table__is_what_was_put(void **state)
{
	CLEANUP(pack_table_fini) struct pack_table in, out;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct cbor_rd rd;

	(void)state;
	pack_table_init(&in, NULL);
	for (uint8_t i = 1; i <= 5; i++) {
		struct pack_id id = pack_id_of(i);

		(void)pack_table_number(&in, &id);
	}
	pack_table_put(&bytes, &in);
	rd = cbor_rd_init(buf_slice(&bytes), "table", NULL);
	pack_table_get(&rd, NULL, &out);
	assert_int_equal(cbor_rd_done(&rd), 0);
	assert_int_equal(out.n, 6);
	assert_false(out.has_holder);
	assert_memory_equal(out.ids + 1, in.ids + 1, 5 * sizeof *in.ids);
}

/* ---- the shape of trees ---- */

static void
test_stream__heights_and_ranges(void **state)
{
	(void)state;
	assert_int_equal(stream_child_range(1), MIB);
	assert_int_equal(stream_child_range(2), 256u * MIB);
	assert_int_equal(stream_child_range(6), UINT64_C(1) << 60);
	assert_int_equal(stream_height_for(1), 1);
	assert_int_equal(stream_height_for(UINT64_C(1) << 28), 1);
	assert_int_equal(stream_height_for((UINT64_C(1) << 28) + 1), 2);
	assert_int_equal(stream_height_for(UINT64_C(1) << 60), 5);
	assert_int_equal(stream_height_for((UINT64_C(1) << 60) + 1), 6);
	assert_int_equal(stream_height_for(INT64_MAX), 6);
}

/* ---- leaves ---- */

#define LEAF_TEXT                                                                                  \
	"[h'01'*32, 1, [[0, 5000, 900, 4096, 1, 67, 18, 1],"                                       \
	" [4096, 1, 0, 1000, 0, 1, 2, 0, 3479, 1, 617, 1040000, 0]]]"

/* The bytes of docs/format.md section 6.3, from values to bytes and back. */
static void
test_stream_leaf__known_bytes(void **state)
{
	struct segment_ref segments[] = {{0, 900, 4096, 5000}, {1, 18, 1, 67}};
	struct extent extents[] = {
		{4096, 1, 0}, {1000, 0, 0}, {1, 2, 0}, {3479, 1, 617}, {1040000, 0, 0}};
	struct leaf leaf = {segments, extents, ARRAY_LEN(segments), ARRAY_LEN(extents)};
	struct pack_id holder = pack_id_of(0xcc), other = pack_id_of(1);
	CLEANUP(pack_table_fini) struct pack_table packs;
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(buf_fini) struct buf expected = BUF_INIT;
	CLEANUP(stream_node_freep) struct stream_node *node = NULL;
	struct err err = ERR_INIT;

	(void)state;
	pack_table_init(&packs, &holder);
	assert_int_equal(pack_table_number(&packs, &other), 1);
	leaf_put(&payload, &leaf);
	node_put(&bytes, &packs, NODE_STREAM_LEAF, buf_slice(&payload));
	cbor_text(&expected, LEAF_TEXT);
	check_bytes(buf_slice(&bytes), buf_slice(&expected));

	CHECK_OK(decode_text(LEAF_TEXT, 0, MIB, &node, &err), &err);
	assert_int_equal(node->kind, NODE_STREAM_LEAF);
	assert_int_equal(node->packs.n, 2);
	assert_true(node->packs.has_holder);
	assert_memory_equal(&node->packs.ids[0], &holder, sizeof holder);
	assert_memory_equal(&node->packs.ids[1], &other, sizeof other);
	check_leaf(&node->leaf, &leaf);
}

static struct segment_ref
random_segment(struct rng *rng, uint32_t n_packs)
{
	struct segment_ref s = {.pack = (uint32_t)rng_within(rng, 0, n_packs - 1),
				.stored_len = (uint32_t)rng_within(rng, 18, SEGMENT_STORED_MAX),
				.plain_len = (uint32_t)rng_within(rng, 1, SEGMENT_PLAIN_MAX)};

	s.off = rng_within(rng, 0, PACK_BODY_MAX - s.stored_len);
	return s;
}

/* A leaf of any shape; returns the range that it covers. */
static uint64_t
random_leaf(struct rng *rng, uint32_t n_packs, uint32_t max_extents, struct leaf *ret)
{
	uint64_t range = 0;

	*ret = (struct leaf){.n_segments = (uint32_t)rng_within(rng, 0, max_extents),
			     .n_extents = (uint32_t)rng_within(rng, 1, max_extents)};
	ret->segments = mem_array(ret->n_segments, sizeof *ret->segments);
	ret->extents = mem_array(ret->n_extents, sizeof *ret->extents);
	for (uint32_t i = 0; i < ret->n_segments; i++)
		ret->segments[i] = random_segment(rng, n_packs);
	for (uint32_t i = 0; i < ret->n_extents; i++) {
		struct extent *x = &ret->extents[i];

		x->segment = (uint32_t)rng_within(rng, 0, ret->n_segments);
		if (x->segment == 0)
			x->len = rng_within(rng, 1, UINT64_C(1) << 40);
		else {
			uint32_t plain_len = ret->segments[x->segment - 1].plain_len;

			x->off = (uint32_t)rng_within(rng, 0, plain_len - 1);
			x->len = rng_within(rng, 1, plain_len - x->off);
		}
		range += x->len;
	}
	return range;
}

static void
random_packs(struct rng *rng, struct pack_table *packs)
{
	struct pack_id holder = pack_id_of(0xcc);
	uint64_t n = rng_within(rng, 0, 40);

	pack_table_init(packs, &holder);
	while (n-- > 0) {
		struct pack_id id;

		rng_bytes(rng, &id, sizeof id);
		(void)pack_table_number(packs, &id);
	}
}

static void
test_stream_leaf__round_trip(void **state)
{
	struct rng rng = rng_start(__func__);
	struct node_origin origin = origin_here();

	(void)state;
	for (int round = 0; round < 300; round++) {
		CLEANUP(pack_table_fini) struct pack_table packs;
		CLEANUP(leaf_fini) struct leaf leaf;
		CLEANUP(buf_fini) struct buf payload = BUF_INIT;
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		CLEANUP(stream_node_freep) struct stream_node *node = NULL;
		struct err err = ERR_INIT;
		uint64_t range;

		random_packs(&rng, &packs);
		range = random_leaf(&rng, packs.n, round < 295 ? 50 : STREAM_LEAF_EXTENTS, &leaf);
		leaf_put(&payload, &leaf);
		node_put(&bytes, &packs, NODE_STREAM_LEAF, buf_slice(&payload));
		CHECK_OK(stream_node_decode(buf_slice(&bytes), &origin, 0, range, &node, &err),
			 &err);
		check_leaf(&node->leaf, &leaf);
		assert_int_equal(node->packs.n, packs.n);
		assert_memory_equal(node->packs.ids, packs.ids, packs.n * sizeof *packs.ids);
		CHECK_REFUSED(stream_node_decode(buf_slice(&bytes), &origin, 0, range + 1,
						 &(struct stream_node *){NULL}, &err),
			      ERR_CORRUPT, &err, "before the range");
	}
}

/* What a decoder must refuse, a row a defect. */
struct defect {
	const char *text, *says;
};

#define SEG "[0, 5000, 900, 4096]"

static void
test_stream_leaf__refuses_each_defect(void **state)
{
	static const struct defect defects[] = {
		{"7", "array"},
		{"['', 1]", "2 values instead of 3"},
		{"['', 0, [[], [100, 0]]]", "kind 0"},
		{"['', 2, [[], [100, 0]]]", "node of kind 2"},
		{"['', 3, [[], [100, 0]]]", "node of kind 3"},
		{"['', 5, [[], [100, 0]]]", "5"},
		{"[h'01'*31, 1, [[], [100, 0]]]", "31 bytes"},
		{"[h'01'*64, 1, [[], [100, 0]]]", "twice"},
		{"[h'cc'*32, 1, [[], [100, 0]]]", "twice"},
		{"['', 1, [[100, 0]]]", "1 values instead of 2"},
		{"['', 1, [[], [100, 0]]] 0", "too many at its end"},
		{"['', 1, [[], []]]", "100 bytes before the range"},
		{"['', 1, [[], [99, 0]]]", "1 bytes before the range"},
		{"['', 1, [[], [101, 0]]]", "100"},
		{"['', 1, [[], [100, 0, 1, 0]]]", "more than the 0"},
		{"['', 1, [[], [100]]]", "can't be extents"},
		{"['', 1, [[], [50, 0, 50]]]", "can't be extents"},
		{"['', 1, [[], [0, 0, 100, 0]]]", "without bytes"},
		{"['', 1, [[], [100, 1]]]", "more than the 0"},
		{"['', 1, [" SEG ", [100, 2, 0]]]", "more than the 1 "},
		{"['', 1, [" SEG ", [100, 1]]]", "ends too early"},
		{"['', 1, [" SEG ", [100, 1]]] 0", "extent is cut off"},
		{"['', 1, [" SEG ", [100, 1, 3997]]]", "at 3997 of a segment of 4096"},
		{"['', 1, [" SEG ", [100, 1, 4097]]]", "4097"},
		{"['', 1, [[0, 5000, 900, 50], [100, 1, 0]]]", "at 0 of a segment of 50"},
		{"['', 1, [[0, 5000, 900], [100, 0]]]", "can't be segments"},
		{"['', 1, [[1, 5000, 900, 4096], [100, 1, 0]]]", "more than the 0"},
		{"['', 1, [[0, 5000, 17, 4096], [100, 1, 0]]]", "too short"},
		{"['', 1, [[0, 5000, 524306, 4096], [100, 1, 0]]]", "more than the 524305"},
		{"['', 1, [[0, 5000, 900, 0], [100, 0]]]", "too short"},
		{"['', 1, [[0, 5000, 900, 524289], [100, 1, 0]]]", "more than the 524288"},
		{"['', 1, [[0, 67107965, 900, 4096], [100, 1, 0]]]", "past any pack's body"},
		{"['', 1, [[0, 67108865, 900, 4096], [100, 1, 0]]]", "67108864"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		struct stream_node left_over, *node = &left_over;
		struct err err = ERR_INIT;

		CHECK_REFUSED(decode_text(defects[i].text, 0, 100, &node, &err), ERR_CORRUPT, &err,
			      defects[i].says);
		assert_non_null(strstr(err.msg, "stream leaf"));
		assert_null(node);
	}
}

static void
test_stream_leaf__refuses_too_many_extents(void **state)
{
	(void)state;
	for (uint64_t n = STREAM_LEAF_EXTENTS; n <= STREAM_LEAF_EXTENTS + 1; n++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;
		CLEANUP(stream_node_freep) struct stream_node *node = NULL;
		struct err err = ERR_INIT;
		int r;

		buf_append_str(&text, "['', 1, [[], [");
		for (uint64_t i = 0; i < n; i++)
			buf_append_str(&text, "1, 0, ");
		buf_append_str(&text, "]]]");
		r = decode_text(buf_cstr(&text), 0, n, &node, &err);
		if (n == STREAM_LEAF_EXTENTS)
			CHECK_OK(r, &err);
		else
			CHECK_REFUSED(r, ERR_CORRUPT, &err, "at most 4096");
	}
}

/* ---- inner nodes ---- */

#define INNER_TEXT                                                                                 \
	"[h'01'*32, 2, [2, [[1, 77, 400, 900, 30, 60], 0, [900, 100], [0, 4000, 1000, 2000, 0, "   \
	"5]]]]"

static void
test_stream_inner__known_bytes(void **state)
{
	struct node_origin origin = origin_here();
	struct node_ref children[] = {
		{{1, 400, 900, 77}, 30, 60},
		{{0}, 0, 0},
		{{0}, 900, 100},
		{{0, 1000, 2000, 4000}, 0, 5},
	};
	struct pack_id other = pack_id_of(1);
	CLEANUP(pack_table_fini) struct pack_table packs;
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(buf_fini) struct buf expected = BUF_INIT;
	CLEANUP(stream_node_freep) struct stream_node *node = NULL;
	struct err err = ERR_INIT;

	(void)state;
	pack_table_init(&packs, &origin.pack);
	(void)pack_table_number(&packs, &other);
	stream_inner_put(&payload, 2, children, ARRAY_LEN(children));
	node_put(&bytes, &packs, NODE_STREAM_INNER, buf_slice(&payload));
	cbor_text(&expected, INNER_TEXT);
	check_bytes(buf_slice(&bytes), buf_slice(&expected));

	CHECK_OK(decode_text(INNER_TEXT, 2, UINT64_C(1) << 30, &node, &err), &err);
	assert_int_equal(node->n_children, ARRAY_LEN(children));
	children[2].seg = origin.seg; /* "same segment" is resolved */
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		check_ref(&node->children[i], &children[i]);
}

static void
test_stream_inner__refuses_each_defect(void **state)
{
	static const struct defect defects[] = {
		{"['', 1, [[], [100, 0]]]", "node of kind 1"},
		{"['', 4, [2, []]]", "node of kind 4"},
		{"['', 2, [2]]", "isn't a height and children"},
		{"['', 2, [1, []]]", "height 1 where 2 must stand"},
		{"['', 2, [3, []]]", "height 3 where 2 must stand"},
		{"['', 2, [7, []]]", "more than the 6 "},
		{"['', 2, [2, [0, 0, 0, 0, 0]]]", "array of 5, where 4"},
		{"['', 2, [2, [1]]]", "1 is more than the 0"},
		{"['', 2, [2, [-1]]]", "array"},
		{"['', 2, [2, [[1]]]]", "1 values instead of 2 or 6"},
		{"['', 2, [2, [[1, 2, 3]]]]", "3 values instead of 2 or 6"},
		{"['', 2, [2, [[0, 0]]]]", "without bytes"},
		{"['', 2, [2, [[901, 100]]]]", "901 + 100 of its segment, but stands at 1000"},
		{"['', 2, [2, [[1000, 1]]]]", "but stands at 1000"},
		{"['', 2, [2, [[2999, 1]]]]", "but stands at 1000"},
		{"['', 2, [2, [[3000, 1]]]]", "segment of 3000"},
		{"['', 2, [2, [[0, 262145]]]]", "262144"},
		{"['', 2, [2, [[1, 77, 400, 900, 30, 60]]]]", "more than the 0"},
		{"['', 2, [2, [[0, 4000, 1001, 2000, 0, 5]]]]", "at 4000 of its pack"},
		{"['', 2, [2, [[0, 5000, 900, 3000, 0, 5]]]]", "at 5000 of its pack"},
		{"['', 2, [2, [[0, 9000, 900, 3000, 0, 5]]]]", "at 9000 of its pack"},
		{"['', 2, [2, [[0, 4000, 900, 3000, 2999, 2]]]]", "2999 + 2 of a segment of 3000"},
		{"['', 2, [2, [[0, 4000, 900, 3000, 3001, 1]]]]", "segment of 3000"},
		{"['', 2, [2, [0]], 0]", "array of 4, where 3"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		struct stream_node *node;
		struct err err = ERR_INIT;

		CHECK_REFUSED(decode_text(defects[i].text, 2, UINT64_C(1) << 30, &node, &err),
			      ERR_CORRUPT, &err, defects[i].says);
		assert_non_null(strstr(err.msg, "stream node"));
		assert_null(node);
	}
}

static void
test_stream_inner__holds_256_children(void **state)
{
	(void)state;
	for (int n = 256; n <= 257; n++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;
		CLEANUP(stream_node_freep) struct stream_node *node = NULL;
		struct err err = ERR_INIT;
		int r;

		buf_append_str(&text, "['', 2, [6, [");
		for (int i = 0; i < n; i++)
			buf_append_str(&text, "0 ");
		buf_append_str(&text, "]]]");
		r = decode_text(buf_cstr(&text), 6, UINT64_MAX, &node, &err);
		CHECK_REFUSED(r, ERR_CORRUPT, &err, "where 16 are");
		text.p[9] = '1';
		r = decode_text(buf_cstr(&text), 1, UINT64_C(1) << 28, &node, &err);
		if (n == 256)
			CHECK_OK(r, &err);
		else
			CHECK_REFUSED(r, ERR_CORRUPT, &err, "where 256 are");
	}
}

static void
test_stream_node__refuses_one_that_is_too_long(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct node_origin origin = origin_here();
	struct stream_node *node;
	struct err err = ERR_INIT;

	(void)state;
	memset(buf_extend(&bytes, NODE_LEN_MAX + 1), 0, NODE_LEN_MAX + 1);
	CHECK_REFUSED(stream_node_decode(buf_slice(&bytes), &origin, 0, 1, &node, &err),
		      ERR_CORRUPT, &err, "too many");
	CHECK_REFUSED(stream_node_decode(slice_of(bytes.p, 0), &origin, 0, 1, &node, &err),
		      ERR_CORRUPT, &err, "ends too early");
}

/* ---- contents ---- */

static void
get_content(struct cbor_rd *rd, bool inline_root, uint64_t size, struct content *ret)
{
	struct node_origin origin = origin_here();
	CLEANUP(pack_table_fini) struct pack_table packs;
	struct pack_id other = pack_id_of(1);

	origin.inline_root = inline_root;
	pack_table_init(&packs, inline_root ? NULL : &origin.pack);
	(void)pack_table_number(&packs, &other);
	content_get(rd, &origin, &packs, size, ret);
}

static void
test_content__round_trip(void **state)
{
	struct rng rng = rng_start(__func__);
	static const uint8_t bytes_inline[STREAM_INLINE_MAX] = "receipt 4711";

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct content in = {.kind = round % 3 + CONTENT_INLINE}, out;
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		struct err err = ERR_INIT;
		struct cbor_rd rd;
		uint64_t size = rng_within(&rng, 1, UINT64_C(1) << rng_within(&rng, 1, 62));

		if (in.kind == CONTENT_INLINE) {
			size = rng_within(&rng, 1, STREAM_INLINE_MAX);
			in.bytes = slice_of(bytes_inline, size);
		} else if (in.kind == CONTENT_LEAF)
			size = random_leaf(&rng, 2, STREAM_EMBED_EXTENTS, &in.leaf);
		else {
			in.height = stream_height_for(size);
			in.root = (struct node_ref){{1, 4000, 5000, 77}, 30, 60};
		}
		content_put(&bytes, &in);
		rd = cbor_rd_init(buf_slice(&bytes), "content", &err);
		get_content(&rd, false, size, &out);
		CHECK_OK(cbor_rd_done(&rd), &err);
		assert_int_equal(out.kind, in.kind);
		check_bytes(out.bytes, in.bytes);
		check_leaf(&out.leaf, &in.leaf);
		assert_int_equal(out.height, in.height);
		check_ref(&out.root, &in.root);
		content_fini(&in);
		content_fini(&out);
	}
}

static void
test_content__refuses_each_defect(void **state)
{
	static const struct {
		const char *text, *says;
		uint64_t size;
		bool inline_root;
	} defects[] = {
		{"[3, 0]", "more than the 2 ", 5, false},
		{"[0]", "form 0 with 1", 5, false},
		{"[0, 'hello', 1]", "form 0 with 3", 5, false},
		{"[2, 1]", "form 2 with 2", 5, false},
		{"[0, 'hello']", "5 bytes of content for a file of 6", 6, false},
		{"[0, 'hello']", "5 bytes of content for a file of 4", 4, false},
		{"[0, '']", "empty file", 0, false},
		{"[0, h'00'*513]", "where 512 are", 513, false},
		{"[1, [[], [4, 0]]]", "1 bytes before the range", 5, false},
		{"[1, [[0, 1, 20, 5], [5, 1, 0]]]", "no pack", 5, true},
		{"[2, 0, [1, 77, 400, 900, 30, 60]]", "height 0 can't hold", 5, false},
		{"[2, 1, [1, 77, 400, 900, 30, 60]]", "height 1 can't hold", (1u << 28) + 1, false},
		{"[2, 7, [1, 77, 400, 900, 30, 60]]", "more than the 6 ", 5, false},
		{"[2, 1, [2, 77, 400, 900, 30, 60]]", "more than the 1 ", 5, false},
		{"[2, 1, [0, 77, 400, 900, 30, 60]]", "no pack", 5, true},
		{"[2, 1, [30, 60]]", "within a segment", 5, true},
		{"[2, 1, [30, 971]]", "stands at 1000", 5, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		struct err err = ERR_INIT;
		struct content c;
		struct cbor_rd rd;

		cbor_text(&bytes, defects[i].text);
		rd = cbor_rd_init(buf_slice(&bytes), "content", &err);
		get_content(&rd, defects[i].inline_root, defects[i].size, &c);
		CHECK_REFUSED(cbor_rd_done(&rd), ERR_CORRUPT, &err, defects[i].says);
		assert_int_equal(c.kind, CONTENT_EMPTY);
		assert_null(c.leaf.extents);
	}
}

static void
test_content__refuses_too_many_embedded_extents(void **state)
{
	(void)state;
	for (uint64_t n = STREAM_EMBED_EXTENTS; n <= STREAM_EMBED_EXTENTS + 1; n++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		CLEANUP(content_fini) struct content c;
		struct extent extents[STREAM_EMBED_EXTENTS + 1];
		struct content in = {.kind = CONTENT_LEAF, .leaf = {NULL, extents, 0, (uint32_t)n}};
		struct err err = ERR_INIT;
		struct cbor_rd rd;

		for (uint64_t i = 0; i < n; i++)
			extents[i] = (struct extent){.len = 1};
		content_put(&bytes, &in);
		rd = cbor_rd_init(buf_slice(&bytes), "content", &err);
		get_content(&rd, false, n, &c);
		if (n == STREAM_EMBED_EXTENTS)
			CHECK_OK(cbor_rd_done(&rd), &err);
		else
			CHECK_REFUSED(cbor_rd_done(&rd), ERR_CORRUPT, &err, "at most 32");
	}
}

/* Cut anywhere, or with any byte changed, a node is refused or something valid: never a crash. */
static void
test_stream_node__survives_damage(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct node_origin origin = origin_here();

	(void)state;
	cbor_text(&bytes, LEAF_TEXT);
	for (size_t len = 0; len < bytes.len; len++) {
		struct stream_node *node;
		struct err err = ERR_INIT;

		CHECK_REFUSED(stream_node_decode(slice_of(bytes.p, len), &origin, 0, MIB, &node,
						 &err),
			      ERR_CORRUPT, &err, "stream leaf");
	}
	for (size_t i = 0; i < bytes.len * 256; i++) {
		CLEANUP(stream_node_freep) struct stream_node *node = NULL;
		uint8_t saved = bytes.p[i / 256];

		bytes.p[i / 256] = (uint8_t)i;
		if (stream_node_decode(buf_slice(&bytes), &origin, 0, MIB, &node, NULL) == 0) {
			CLEANUP(buf_fini) struct buf payload = BUF_INIT;
			CLEANUP(buf_fini) struct buf again = BUF_INIT;

			leaf_put(&payload, &node->leaf);
			node_put(&again, &node->packs, node->kind, buf_slice(&payload));
			check_bytes(buf_slice(&again), buf_slice(&bytes));
		}
		bytes.p[i / 256] = saved;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack_table__numbers_each_pack_once),
		cmocka_unit_test(test_pack_table__is_what_was_put),
		cmocka_unit_test(test_stream__heights_and_ranges),
		cmocka_unit_test(test_stream_leaf__known_bytes),
		cmocka_unit_test(test_stream_leaf__round_trip),
		cmocka_unit_test(test_stream_leaf__refuses_each_defect),
		cmocka_unit_test(test_stream_leaf__refuses_too_many_extents),
		cmocka_unit_test(test_stream_inner__known_bytes),
		cmocka_unit_test(test_stream_inner__refuses_each_defect),
		cmocka_unit_test(test_stream_inner__holds_256_children),
		cmocka_unit_test(test_stream_node__refuses_one_that_is_too_long),
		cmocka_unit_test(test_content__round_trip),
		cmocka_unit_test(test_content__refuses_each_defect),
		cmocka_unit_test(test_content__refuses_too_many_embedded_extents),
		cmocka_unit_test(test_stream_node__survives_damage),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
