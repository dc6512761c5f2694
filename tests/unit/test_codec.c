/*
 * test_codec.c - packed bytes.
 */
#include "fixture_format.h"

#include <zstd.h>

#include "tillfs/codec.h"

/* Bytes of each nature that a segment may have. */
enum nature { ZEROS, TEXT, NOISE, NOISE_TWICE, HALF_NOISE };

static void
fill(struct rng *rng, enum nature nature, size_t len, struct buf *ret)
{
	static const char *const words[] = {"receipt ", "4711;", "EUR ", "1.99\n", "till-03 "};

	buf_reset(ret);
	if (nature == TEXT) {
		while (ret->len < len)
			buf_append_str(ret, words[rng_within(rng, 0, ARRAY_LEN(words) - 1)]);
		ret->len = len;
		return;
	}
	memset(buf_extend(ret, len), 0, len);
	if (nature == NOISE)
		rng_bytes(rng, ret->p, len);
	if (nature == NOISE_TWICE || nature == HALF_NOISE)
		rng_bytes(rng, ret->p, len / 2);
	if (nature == NOISE_TWICE)
		memcpy(ret->p + len / 2, ret->p, len / 2);
}

static void
test_codec__unpacks_what_was_packed(void **state)
{
	static const size_t lens[] = {0,    1,     2,     31,    32,     33,
				      1000, 16383, 16384, 65536, 262144, 524288};
	struct rng rng = rng_start("codec");

	(void)state;
	for (int level = -1; level <= 9; level += 2) {
		CLEANUP(codec_freep) struct codec *c = codec_new(level);
		CLEANUP(buf_fini) struct buf plain = BUF_INIT;
		CLEANUP(buf_fini) struct buf packed = BUF_INIT;
		CLEANUP(buf_fini) struct buf back = BUF_INIT;
		struct err err = ERR_INIT;

		for (size_t i = 0; i < ARRAY_LEN(lens); i++)
			for (enum nature n = ZEROS; n <= HALF_NOISE; n++) {
				fill(&rng, n, lens[i], &plain);
				buf_reset(&packed);
				buf_append_str(&packed, "x");
				codec_pack(c, buf_slice(&plain), &packed);
				assert_true(packed.len - 1 <= plain.len + 1);
				CHECK_OK(codec_unpack(c, slice_of(packed.p + 1, packed.len - 1),
						      plain.len, &back, &err),
					 &err);
				check_bytes(buf_slice(&back), buf_slice(&plain));
			}
	}
}

/* The probe must not take for noise what has repetitions far apart. */
static void
test_codec__compresses_what_can_be(void **state)
{
	struct rng rng = rng_start("codec");
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;

	(void)state;
	for (int level = 1; level <= 9; level++) {
		CLEANUP(codec_freep) struct codec *c = codec_new(level);

		for (enum nature n = ZEROS; n <= HALF_NOISE; n++) {
			CLEANUP(buf_fini) struct buf packed = BUF_INIT;

			fill(&rng, n, 262144, &plain);
			codec_pack(c, buf_slice(&plain), &packed);
			if (n == NOISE) {
				assert_int_equal(packed.p[0], 0);
				assert_int_equal(packed.len, plain.len + 1);
			} else {
				assert_int_equal(packed.p[0], 1);
				assert_true(packed.len < plain.len * 6 / 10);
			}
		}
	}
}

static void
test_codec__stores_raw_what_saves_too_little(void **state)
{
	CLEANUP(codec_freep) struct codec *c = codec_new(3);
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;

	(void)state;
	codec_pack(c, slice_str("abcdefgh"), &packed);
	check_bytes(buf_slice(&packed), slice_of("\0abcdefgh", 9));
}

/* ---- hostile bytes ---- */

static void
put_frame(struct buf *b, struct slice plain, bool with_size, bool with_checksum)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(plain.len), n;

	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, with_size);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, with_checksum);
	buf_reserve(b, room);
	n = ZSTD_compress2(ctx, b->p + b->len, room, plain.p, plain.len);
	assert_false(ZSTD_isError(n));
	b->len += n;
	ZSTD_freeCCtx(ctx);
}

static void
check_refused(struct slice packed, size_t plain_len, const char *text)
{
	CLEANUP(codec_freep) struct codec *c = codec_new(3);
	CLEANUP(buf_fini) struct buf back = BUF_INIT;
	struct err err = ERR_INIT;

	buf_append_str(&back, "old");
	CHECK_REFUSED(codec_unpack(c, packed, plain_len, &back, &err), ERR_CORRUPT, &err, text);
	assert_int_equal(back.len, 0);
}

static void
test_codec__refuses_another_length(void **state)
{
	CLEANUP(freep) uint8_t *zeros = mem_alloc(100000);
	struct slice plain = slice_of(zeros, 100000);

	(void)state;
	check_refused(slice_of("\0abc", 4), 2, "holds 3");
	check_refused(slice_of("\0abc", 4), 4, "holds 3");
	check_refused(slice_of("\0", 1), 1, "holds 0");
	for (int with_size = 0; with_size <= 1; with_size++) {
		CLEANUP(buf_fini) struct buf packed = BUF_INIT;
		CLEANUP(codec_freep) struct codec *c = codec_new(3);
		CLEANUP(buf_fini) struct buf back = BUF_INIT;
		struct err err = ERR_INIT;

		buf_append_u8(&packed, 1);
		put_frame(&packed, plain, with_size, true);
		CHECK_OK(codec_unpack(c, buf_slice(&packed), plain.len, &back, &err), &err);
		check_refused(buf_slice(&packed), plain.len - 1, with_size ? "claims" : "damaged");
		check_refused(buf_slice(&packed), plain.len + 1, with_size ? "claims" : "holds");
		check_refused(buf_slice(&packed), 0, "");
	}
}

static void
test_codec__refuses_all_but_one_frame(void **state)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'x', 'y'};
	static const uint8_t legacy[] = {0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0};
	CLEANUP(buf_fini) struct buf one = BUF_INIT;
	CLEANUP(buf_fini) struct buf two = BUF_INIT;
	CLEANUP(buf_fini) struct buf after = BUF_INIT;
	CLEANUP(buf_fini) struct buf before = BUF_INIT;
	CLEANUP(buf_fini) struct buf old = BUF_INIT;
	CLEANUP(buf_fini) struct buf byte = BUF_INIT;

	(void)state;
	buf_append_u8(&one, 1);
	put_frame(&one, slice_str("aaaaaaaaaaaaaaaa"), false, false);
	buf_append(&two, one.p, one.len);
	put_frame(&two, slice_str("aaaaaaaaaaaaaaaa"), false, false);
	check_refused(buf_slice(&two), 32, "single zstd frame");
	check_refused(buf_slice(&two), 16, "single zstd frame");

	buf_append(&after, one.p, one.len);
	buf_append(&after, skippable, sizeof skippable);
	check_refused(buf_slice(&after), 16, "single zstd frame");
	buf_append_u8(&before, 1);
	buf_append(&before, skippable, sizeof skippable);
	check_refused(buf_slice(&before), 0, "single zstd frame");
	buf_append(&before, one.p + 1, one.len - 1);
	check_refused(buf_slice(&before), 16, "single zstd frame");

	buf_append_u8(&old, 1);
	buf_append(&old, legacy, sizeof legacy);
	check_refused(buf_slice(&old), 0, "single zstd frame");
	buf_append(&byte, one.p, one.len);
	buf_append_u8(&byte, 0);
	check_refused(buf_slice(&byte), 16, "single zstd frame");
	for (size_t len = 1; len < one.len; len++)
		check_refused(slice_of(one.p, len), 16, "");
}

static void
test_codec__refuses_unknown_tags(void **state)
{
	(void)state;
	check_refused(slice_of(NULL, 0), 0, "empty");
	for (unsigned tag = 2; tag < 256; tag++)
		check_refused(slice_of((uint8_t[]){(uint8_t)tag, 'x'}, 2), 1, "unknown tag");
}

/* A few bytes that say gigabytes of zeros: refused at the length that was agreed. */
static void
test_codec__a_bomb_stays_in_its_bounds(void **state)
{
	CLEANUP(freep) uint8_t *zeros = mem_alloc(32 * MIB);
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;

	(void)state;
	buf_append_u8(&packed, 1);
	put_frame(&packed, slice_of(zeros, 32 * MIB), false, false);
	assert_true(packed.len < 8192);
	check_refused(buf_slice(&packed), 65536, "damaged");
}

/* Nothing but a clean refusal, or bytes of the right length, comes of damage. */
static void
test_codec__survives_random_damage(void **state)
{
	CLEANUP(codec_freep) struct codec *c = codec_new(3);
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	CLEANUP(buf_fini) struct buf back = BUF_INIT;
	struct rng rng = rng_start("damage");
	unsigned refused = 0;

	(void)state;
	fill(&rng, TEXT, 20000, &plain);
	codec_pack(c, buf_slice(&plain), &packed);
	for (unsigned i = 0; i < 20000; i++) {
		struct err err = ERR_INIT;
		size_t at = rng_within(&rng, 0, packed.len - 1);
		uint8_t bit = (uint8_t)(1 << rng_within(&rng, 0, 7));
		int r;

		packed.p[at] ^= bit;
		r = codec_unpack(c, buf_slice(&packed), plain.len, &back, &err);
		packed.p[at] ^= bit;
		assert_int_equal(back.len, r == 0 ? plain.len : 0);
		if (r == 0)
			continue;
		assert_int_equal(r, ERR_CORRUPT);
		refused++;
	}
	assert_true(refused > 1000);
	CHECK_OK(codec_unpack(c, buf_slice(&packed), plain.len, &back, &(struct err){0}),
		 &(struct err){0});
	check_bytes(buf_slice(&back), buf_slice(&plain));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codec__unpacks_what_was_packed),
		cmocka_unit_test(test_codec__compresses_what_can_be),
		cmocka_unit_test(test_codec__stores_raw_what_saves_too_little),
		cmocka_unit_test(test_codec__refuses_another_length),
		cmocka_unit_test(test_codec__refuses_all_but_one_frame),
		cmocka_unit_test(test_codec__refuses_unknown_tags),
		cmocka_unit_test(test_codec__a_bomb_stays_in_its_bounds),
		cmocka_unit_test(test_codec__survives_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
