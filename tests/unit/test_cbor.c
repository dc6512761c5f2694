/*
 * test_cbor.c - writing and reading CBOR; what RFC 8949 calls deterministic, and nothing else.
 */
#include "fixture_format.h"

static struct slice
hex_bytes_of(const char *text, struct buf *ret)
{
	size_t len = strlen(text) / 2;

	buf_reset(ret);
	assert_true(hex_parse(slice_str(text), buf_extend(ret, len), len));
	return buf_slice(ret);
}

/* ---- writing ---- */

static void
check_written(const struct buf *b, const char *expected)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

	check_bytes(buf_slice(b), hex_bytes_of(expected, &bytes));
}

/* RFC 8949, appendix A. */
static void
test_cbor__writes_the_shortest_numbers(void **state)
{
	static const struct {
		uint64_t v;
		const char *hex;
	} known[] = {
		{0, "00"},
		{1, "01"},
		{10, "0a"},
		{23, "17"},
		{24, "1818"},
		{25, "1819"},
		{100, "1864"},
		{255, "18ff"},
		{256, "190100"},
		{1000, "1903e8"},
		{65535, "19ffff"},
		{65536, "1a00010000"},
		{1000000, "1a000f4240"},
		{UINT32_MAX, "1affffffff"},
		{UINT64_C(1) << 32, "1b0000000100000000"},
		{UINT64_C(1000000000000), "1b000000e8d4a51000"},
		{UINT64_MAX, "1bffffffffffffffff"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CLEANUP(buf_fini) struct buf b = BUF_INIT;

		cbor_put_uint(&b, known[i].v);
		check_written(&b, known[i].hex);
	}
}

static void
test_cbor__writes_each_kind_of_item(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	cbor_put_int(&b, -1);
	cbor_put_int(&b, -100);
	cbor_put_int(&b, INT64_MIN);
	cbor_put_int(&b, 7);
	cbor_put_bool(&b, false);
	cbor_put_bool(&b, true);
	cbor_put_bytes(&b, "\x01\x02", 2);
	cbor_put_bytes(&b, NULL, 0);
	cbor_put_text(&b, "K\xc3\xa4se");
	cbor_put_array(&b, 24);
	cbor_put_map(&b, 1);
	check_written(&b, "20"
			  "3863"
			  "3b7fffffffffffffff"
			  "07"
			  "f4"
			  "f5"
			  "420102"
			  "40"
			  "654bc3a47365"
			  "9818"
			  "a1");
}

/* ---- reading ---- */

static void
test_cbor__reads_what_was_written(void **state)
{
	struct rng rng = rng_start("cbor");
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		uint64_t u = rng_next(&rng) >> rng_within(&rng, 0, 63);
		int64_t s = (int64_t)rng_next(&rng) >> rng_within(&rng, 0, 63);
		uint8_t bytes[300];
		size_t len = rng_within(&rng, 0, sizeof bytes);
		struct cbor_rd rd;

		rng_bytes(&rng, bytes, len);
		cbor_put_uint(&b, u);
		cbor_put_int(&b, s);
		cbor_put_bytes(&b, bytes, len);
		rd = cbor_rd_init(buf_slice(&b), "test", &err);
		assert_true(cbor_get_uint(&rd, UINT64_MAX) == u);
		assert_true(cbor_get_int(&rd) == s);
		check_bytes(cbor_get_bytes(&rd, sizeof bytes), slice_of(bytes, len));
		CHECK_OK(cbor_rd_done(&rd), &err);
	}
}

static void
test_cbor__reads_the_limits_of_numbers(void **state)
{
	static const int64_t limits[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		struct cbor_rd rd;

		cbor_put_int(&b, limits[i]);
		rd = cbor_rd_init(buf_slice(&b), "test", &err);
		assert_true(cbor_get_int(&rd) == limits[i]);
		CHECK_OK(cbor_rd_done(&rd), &err);
	}
}

static void
test_cbor__walks_a_map_and_skips_what_it_does_not_know(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct cbor_rd rd;
	struct cbor_map m;
	uint64_t one = 0;
	bool four = false;

	(void)state;
	cbor_text(&b,
		  "{0: [1, {2: 'x', 3: [[-5], {}]}], 1: 77, 3: \"later\", 4: true, 63: false} 9");
	rd = cbor_rd_init(buf_slice(&b), "test", &err);
	m = cbor_get_map(&rd);
	while (cbor_map_next(&rd, &m))
		switch (m.key) {
		case 1:
			one = cbor_get_uint(&rd, 100);
			break;
		case 4:
			four = cbor_get_bool(&rd);
			break;
		default:
			cbor_skip(&rd);
		}
	cbor_map_need(&rd, &m, KEY_BIT(0) | KEY_BIT(63));
	assert_int_equal(one, 77);
	assert_true(four);
	assert_int_equal(cbor_get_uint(&rd, 9), 9);
	CHECK_OK(cbor_rd_done(&rd), &err);
	assert_int_equal(m.seen, KEY_BIT(0) | KEY_BIT(1) | KEY_BIT(3) | KEY_BIT(4) | KEY_BIT(63));
}

/* ---- refusing ---- */

enum want { UINT, INT, BOOL, BYTES, FIXED, TEXT, ARRAY, MAP, SKIP };

/* Reads one item with bounds of 100. */
static int
read_one(struct slice bytes, enum want want, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(bytes, "thing", err);
	struct cbor_map m;
	uint8_t fixed[4];

	switch (want) {
	case UINT:
		(void)cbor_get_uint(&rd, 100);
		break;
	case INT:
		(void)cbor_get_int(&rd);
		break;
	case BOOL:
		(void)cbor_get_bool(&rd);
		break;
	case BYTES:
		(void)cbor_get_bytes(&rd, 100);
		break;
	case FIXED:
		cbor_get_fixed(&rd, fixed, sizeof fixed);
		break;
	case TEXT:
		(void)cbor_get_text(&rd, 100);
		break;
	case ARRAY:
		for (size_t n = cbor_get_array(&rd, 100); n > 0 && cbor_ok(&rd); n--)
			cbor_skip(&rd);
		break;
	case MAP:
		m = cbor_get_map(&rd);
		while (cbor_map_next(&rd, &m))
			cbor_skip(&rd);
		break;
	case SKIP:
		cbor_skip(&rd);
		break;
	}
	return cbor_rd_done(&rd);
}

static void
test_cbor__refuses_each_defect(void **state)
{
	static const struct {
		enum want want;
		const char *hex, *text;
	} refused[] = {
		{SKIP, "", "ends too early"},
		{SKIP, "18", "past its end"},
		{SKIP, "1b00000001", "past its end"},
		{SKIP, "42", "past its end"},
		{SKIP, "4201", "past its end"},
		{SKIP, "5bffffffffffffffff", "past its end"}, /* 2^64-1 bytes */
		{SKIP, "5b7fffffffffffffff00", "past its end"},
		{SKIP, "7bffffffffffffffff", "past its end"},
		{SKIP, "81", "past its end"},
		{SKIP, "9bffffffffffffffff00", "past its end"},
		{SKIP, "9affffffff0000000000", "past its end"},
		{SKIP, "a100", "past its end"},
		{SKIP, "bb8000000000000000", "past its end"}, /* twice that wraps to 0 */
		{SKIP, "bbffffffffffffffff0000", "past its end"},
		{SKIP, "1800", "shortest"},
		{SKIP, "1817", "shortest"},
		{SKIP, "1900ff", "shortest"},
		{SKIP, "1a0000ffff", "shortest"},
		{SKIP, "1b00000000ffffffff", "shortest"},
		{SKIP, "3817", "shortest"},
		{SKIP, "580101", "shortest"},
		{SKIP, "780161", "shortest"},
		{SKIP, "980100", "shortest"},
		{SKIP, "b8010000", "shortest"},
		{SKIP, "1c", "no kind"}, /* reserved */
		{SKIP, "5c", "no kind"},
		{SKIP, "5f4101ff", "no kind"}, /* indefinite lengths */
		{SKIP, "7f6161ff", "no kind"},
		{SKIP, "9f00ff", "no kind"},
		{SKIP, "bf0000ff", "no kind"},
		{SKIP, "ff", "no kind"},
		{SKIP, "c000", "no kind"}, /* a tag */
		{SKIP, "d81800", "no kind"},
		{SKIP, "f6", "no kind"}, /* null, undefined, other simple values, floats */
		{SKIP, "f7", "no kind"},
		{SKIP, "e0", "no kind"},
		{SKIP, "f818", "no kind"},
		{SKIP, "f93c00", "no kind"},
		{SKIP, "fa3f800000", "no kind"},
		{SKIP, "fb3ff0000000000000", "no kind"},
		{SKIP, "0000", "1 bytes too many"},
		{SKIP, "61ff", "UTF-8"},
		{SKIP, "8161ff", "UTF-8"},
		{SKIP,
		 "a2010001"
		 "00",
		 "not above"}, /* twice the same key */
		{SKIP, "a202000100", "not above"},
		{SKIP,
		 "a120"
		 "00",
		 "unsigned"}, /* a key -1 */
		{SKIP, "a1616100", "unsigned"},
		{SKIP, "a1184000", "more than"}, /* a key 64 */
		{UINT, "1865", "more than the 100"},
		{UINT, "1bffffffffffffffff", "more than the 100"},
		{UINT, "20", "unsigned"},
		{UINT, "40", "unsigned"},
		{UINT, "f5", "unsigned"},
		{INT, "1b8000000000000000", "64-bit"},
		{INT, "3b8000000000000000", "64-bit"},
		{INT, "3bffffffffffffffff", "64-bit"},
		{INT, "f4", "64-bit"},
		{BOOL, "00", "true or false"},
		{BOOL, "01", "true or false"},
		{BOOL, "f6", "no kind"},
		{BYTES, "6161", "byte string"},
		{BYTES, "01", "byte string"},
		{FIXED, "43010203", "3 bytes"},
		{FIXED, "450102030405", "5 bytes"},
		{TEXT, "4161", "text"},
		{TEXT, "61ff", "UTF-8"},
		{TEXT, "62c328", "UTF-8"},
		{ARRAY, "a0", "an array"},
		{ARRAY, "00", "an array"},
		{MAP, "80", "a map"},
		{MAP, "a201000100", "not above"},
		{MAP, "a1184000", "more than"},
		{MAP, "a1f400", "unsigned"},
	};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct slice bytes = hex_bytes_of(refused[i].hex, &b);
		CLEANUP(freep) uint8_t *copy = mem_copy(bytes.p, bytes.len); /* for ASan */
		struct err err = ERR_INIT;

		CHECK_REFUSED(read_one(slice_of(copy, bytes.len), refused[i].want, &err),
			      ERR_CORRUPT, &err, refused[i].text);
		assert_memory_equal(err.msg, "thing: ", 7);
	}
}

static void
test_cbor__counts_and_lengths_are_bounded(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	cbor_text(&b, "h'00'*100");
	CHECK_OK(read_one(buf_slice(&b), BYTES, &err), &err);
	buf_reset(&b);
	cbor_text(&b, "h'00'*101");
	CHECK_REFUSED(read_one(buf_slice(&b), BYTES, &err), ERR_CORRUPT, &err, "100 are allowed");
	for (size_t n = 100; n <= 101; n++) {
		buf_reset(&b);
		cbor_put_array(&b, n);
		memset(buf_extend(&b, n), 0, n);
		assert_int_equal(read_one(buf_slice(&b), ARRAY, &err), n == 100 ? 0 : ERR_CORRUPT);
	}
}

static void
test_cbor__refuses_a_missing_key(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct cbor_rd rd;
	struct cbor_map m;

	(void)state;
	cbor_text(&b, "{1: 2}");
	rd = cbor_rd_init(buf_slice(&b), "thing", &err);
	m = cbor_get_map(&rd);
	while (cbor_map_next(&rd, &m))
		cbor_skip(&rd);
	cbor_map_need(&rd, &m, KEY_BIT(1));
	assert_true(cbor_ok(&rd));
	cbor_map_need(&rd, &m, KEY_BIT(1) | KEY_BIT(7));
	CHECK_REFUSED(cbor_rd_done(&rd), ERR_CORRUPT, &err, "thing: key 7 is missing");
}

/* ---- depth ---- */

static void
put_nested(struct buf *b, unsigned levels, bool maps, bool value)
{
	buf_reset(b);
	for (unsigned i = 0; i < levels; i++)
		if (maps && i % 2 == 1) {
			cbor_put_map(b, 1);
			cbor_put_uint(b, 5);
		} else {
			cbor_put_array(b, i + 1 == levels && !value ? 0 : 1);
		}
	if (value || (maps && levels % 2 == 0))
		cbor_put_uint(b, 1);
}

static void
test_cbor__depth_is_counted_exactly(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		put_nested(&b, CBOR_DEPTH_MAX, kind & 1, kind & 2);
		CHECK_OK(read_one(buf_slice(&b), SKIP, &err), &err);
		put_nested(&b, CBOR_DEPTH_MAX + 1, kind & 1, kind & 2);
		CHECK_REFUSED(read_one(buf_slice(&b), SKIP, &err), ERR_CORRUPT, &err, "deeper");
	}

	/* What is complete doesn't count: siblings and empty ones in the deepest place. */
	buf_reset(&b);
	cbor_text(&b, "[[[[[[[[[[[[[[[[], [], [1, 2], {}]]]]]]]]]]]]]]]");
	CHECK_OK(read_one(buf_slice(&b), SKIP, &err), &err);

	/* A million levels in a million bytes don't become a million frames of the stack. */
	buf_reset(&b);
	memset(buf_extend(&b, MIB), 0x81, MIB);
	CHECK_REFUSED(read_one(buf_slice(&b), SKIP, &err), ERR_CORRUPT, &err, "deeper");
}

/* Typed reads and skips count in the same depth. */
static void
test_cbor__depth_goes_on_in_what_is_skipped(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct cbor_rd rd;

	(void)state;
	put_nested(&b, CBOR_DEPTH_MAX + 1, false, true);
	rd = cbor_rd_init(buf_slice(&b), "thing", &err);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(cbor_get_array(&rd, 1), 1);
	cbor_skip(&rd);
	CHECK_REFUSED(cbor_rd_done(&rd), ERR_CORRUPT, &err, "deeper");
}

static void
test_cbor__an_array_read_in_part_is_not_done(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct cbor_rd rd;

	(void)state;
	cbor_text(&b, "[1, 2]");
	rd = cbor_rd_init(slice_of(b.p, b.len), "thing", &err);
	assert_int_equal(cbor_get_array(&rd, 2), 2);
	assert_int_equal(cbor_get_uint(&rd, 2), 1);
	CHECK_REFUSED(cbor_rd_done(&rd), ERR_CORRUPT, &err, "not read to its end");
}

/* ---- after an error ---- */

static void
test_cbor__the_first_error_stays_and_values_are_zero(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	uint8_t fixed[4] = {1, 2, 3, 4};
	struct err err = ERR_INIT;
	struct cbor_rd rd;
	struct cbor_map m;

	(void)state;
	cbor_text(&b, "7 8 'xxxx' \"t\" true {1: 1} [1]");
	rd = cbor_rd_init(buf_slice(&b), "thing", &err);
	assert_int_equal(cbor_get_uint(&rd, 6), 0);
	assert_false(cbor_ok(&rd));
	assert_int_equal(cbor_get_uint(&rd, 10), 0);
	assert_int_equal(cbor_get_int(&rd), 0);
	assert_false(cbor_get_bool(&rd));
	assert_int_equal(cbor_get_bytes(&rd, 10).len, 0);
	assert_int_equal(cbor_get_text(&rd, 10).len, 0);
	assert_int_equal(cbor_get_array(&rd, 10), 0);
	cbor_get_fixed(&rd, fixed, sizeof fixed);
	assert_int_equal(fixed[0] | fixed[1] | fixed[2] | fixed[3], 0);
	m = cbor_get_map(&rd);
	assert_false(cbor_map_next(&rd, &m));
	cbor_skip(&rd);
	cbor_fail(&rd, "a later error");
	CHECK_REFUSED(cbor_rd_done(&rd), ERR_CORRUPT, &err, "7 is more than the 6");
}

static void
test_cbor__works_without_an_error_to_fill(void **state)
{
	(void)state;
	assert_int_equal(read_one(slice_str("\xff"), SKIP, NULL), ERR_CORRUPT);
	assert_int_equal(read_one(slice_of(NULL, 0), SKIP, NULL), ERR_CORRUPT);
}

/* Whatever the bytes: an error with a sentence, or every byte accounted for. */
static void
test_cbor__survives_random_bytes(void **state)
{
	struct rng rng = rng_start("random");
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		size_t len = rng_within(&rng, 1, 12);
		CLEANUP(freep) uint8_t *bytes = mem_alloc(len);
		struct err err = ERR_INIT;
		int r;

		rng_bytes(&rng, bytes, len);
		for (size_t k = 0; k < len; k++)
			bytes[k] &= i % 2 ? 0xff : 0xe3; /* half of them with small counts */
		r = read_one(slice_of(bytes, len), (enum want)rng_within(&rng, UINT, SKIP), &err);
		accepted += r == 0;
		assert_true(r == 0 || (r == ERR_CORRUPT && err.msg[0] != '\0'));
	}
	assert_true(accepted > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cbor__writes_the_shortest_numbers),
		cmocka_unit_test(test_cbor__writes_each_kind_of_item),
		cmocka_unit_test(test_cbor__reads_what_was_written),
		cmocka_unit_test(test_cbor__reads_the_limits_of_numbers),
		cmocka_unit_test(test_cbor__walks_a_map_and_skips_what_it_does_not_know),
		cmocka_unit_test(test_cbor__refuses_each_defect),
		cmocka_unit_test(test_cbor__counts_and_lengths_are_bounded),
		cmocka_unit_test(test_cbor__refuses_a_missing_key),
		cmocka_unit_test(test_cbor__depth_is_counted_exactly),
		cmocka_unit_test(test_cbor__depth_goes_on_in_what_is_skipped),
		cmocka_unit_test(test_cbor__an_array_read_in_part_is_not_done),
		cmocka_unit_test(test_cbor__the_first_error_stays_and_values_are_zero),
		cmocka_unit_test(test_cbor__works_without_an_error_to_fill),
		cmocka_unit_test(test_cbor__survives_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
