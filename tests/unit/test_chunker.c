/*
 * test_chunker.c - where files are cut.
 */
#include "fixture_format.h"

#include "tillfs/chunker.h"

#define DATA_LEN (16 * MIB)

static const struct chunker_sizes small = {2 * KIB, 8 * KIB, 32 * KIB};

static struct chunker *
chunker_of(uint8_t first)
{
	struct seal_key key;

	for (size_t i = 0; i < sizeof key.b; i++)
		key.b[i] = (uint8_t)(first + i);
	return chunker_new(&key);
}

static uint8_t *
noise(size_t len)
{
	struct rng rng = {4711};
	uint8_t *p = mem_alloc(len);

	rng_bytes(&rng, p, len);
	return p;
}

/* ---- the definition in chunker.h, as plainly as it can be said ---- */

static void
plain_gear(const struct seal_key *key, uint64_t gear[256])
{
	for (uint32_t i = 0; i < 64; i++) {
		struct seal_key out;

		seal_derive(key, "tillfs gear", slice_of((uint8_t[]){(uint8_t)i, 0, 0, 0}, 4),
			    &out);
		for (unsigned n = 0; n < 4; n++) {
			gear[4 * i + n] = 0;
			for (unsigned k = 8; k-- > 0;)
				gear[4 * i + n] = gear[4 * i + n] << 8 | out.b[8 * n + k];
		}
	}
}

static size_t
plain_cut(const uint64_t gear[256], struct chunker_sizes s, struct slice data)
{
	for (size_t n = s.min + 1; n <= data.len && n <= s.max; n++) {
		uint64_t h = 0;
		uint64_t below =
			n <= s.avg ? (UINT64_MAX / s.avg + 1) / 4 : (UINT64_MAX / s.avg + 1) * 4;

		for (unsigned k = 0; k < 64 && k < n; k++)
			if (n - 1 - k >= (s.min > 64 ? s.min : 64) - 64)
				h += gear[data.p[n - 1 - k]] << k;
		if (h < below)
			return n;
	}
	return min_u64(data.len, s.max);
}

static void
test_chunker__cuts_as_its_header_says(void **state)
{
	static const struct chunker_sizes sizes[] = {{2048, 8192, 32768},
						     {32, 256, 1024},
						     {64, 64, 512},
						     {100, 64, 4096},
						     {256, 1024, 1024}};
	struct seal_key key = {{9, 8, 7}};
	CLEANUP(chunker_freep) struct chunker *c = chunker_new(&key);
	CLEANUP(freep) uint8_t *data = noise(200000);
	uint64_t gear[256];

	(void)state;
	plain_gear(&key, gear);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t at = 0, n; at < 200000; at += n) {
			struct slice rest = slice_of(data + at, 200000 - at);

			n = chunker_cut(c, sizes[i], rest);
			assert_int_equal(n, plain_cut(gear, sizes[i], rest));
		}
}

/* ---- properties ---- */

static void
test_chunker__sizes_are_kept_and_near_the_average(void **state)
{
	CLEANUP(chunker_freep) struct chunker *c = chunker_of(1);
	CLEANUP(freep) uint8_t *data = noise(DATA_LEN);
	struct chunker_sizes sizes = chunker_sizes_for(DATA_LEN);
	size_t chunks = 0, at_max = 0;

	(void)state;
	for (size_t at = 0, n; at < DATA_LEN; at += n, chunks++) {
		n = chunker_cut(c, sizes, slice_of(data + at, DATA_LEN - at));
		assert_true(n <= sizes.max);
		assert_true(n > sizes.min || at + n == DATA_LEN);
		at_max += n == sizes.max;
	}
	assert_in_range(DATA_LEN / chunks, sizes.avg * 3 / 4, sizes.avg * 5 / 4);
	assert_true(at_max <= 1);
}

static void
test_chunker__short_and_flat_data(void **state)
{
	CLEANUP(chunker_freep) struct chunker *c = chunker_of(1);
	CLEANUP(freep) uint8_t *zeros = mem_alloc(100 * KIB);
	size_t first = chunker_cut(c, small, slice_of(zeros, 100 * KIB));

	(void)state;
	assert_int_equal(chunker_cut(c, small, slice_of(NULL, 0)), 0);
	assert_int_equal(chunker_cut(c, small, slice_of(zeros, 1)), 1);
	assert_int_equal(chunker_cut(c, small, slice_of(zeros, small.min)), small.min);
	assert_int_equal(chunker_cut(c, small, slice_of(zeros, small.min + 1)), small.min + 1);
	assert_true(first > small.min && first <= small.max);
}

/* Cuts of @data, as offsets from its end, so that an insertion in front doesn't shift them. */
static size_t
cuts_from_end(const struct chunker *c, struct slice data, size_t *ret)
{
	size_t n = 0;

	for (size_t at = 0; at < data.len;) {
		at += chunker_cut(c, small, slice_of(data.p + at, data.len - at));
		ret[n++] = data.len - at;
	}
	return n;
}

static void
test_chunker__an_insertion_changes_few_cuts(void **state)
{
	CLEANUP(chunker_freep) struct chunker *c = chunker_of(1);
	CLEANUP(freep) uint8_t *data = noise(2 * MIB);
	CLEANUP(freep) uint8_t *changed = mem_alloc(2 * MIB + 100);
	CLEANUP(freep) size_t *before = mem_array(2048, sizeof *before);
	CLEANUP(freep) size_t *after = mem_array(2048, sizeof *after);
	size_t n, m, same = 0;

	(void)state;
	memcpy(changed, data, MIB);
	memset(changed + MIB, 'x', 100);
	memcpy(changed + MIB + 100, data + MIB, MIB);
	n = cuts_from_end(c, slice_of(data, 2 * MIB), before);
	m = cuts_from_end(c, slice_of(changed, 2 * MIB + 100), after);
	while (same < n && same < m && before[n - 1 - same] == after[m - 1 - same])
		same++;
	assert_true(before[n - same] < MIB); /* those that are the same begin soon behind it */
	assert_true(before[n - same] > MIB - 8 * small.max);
}

static void
test_chunker__another_key_cuts_elsewhere(void **state)
{
	CLEANUP(chunker_freep) struct chunker *a = chunker_of(1);
	CLEANUP(chunker_freep) struct chunker *b = chunker_of(2);
	CLEANUP(freep) uint8_t *data = noise(2 * MIB);
	CLEANUP(freep) size_t *cuts_a = mem_array(2048, sizeof *cuts_a);
	CLEANUP(freep) size_t *cuts_b = mem_array(2048, sizeof *cuts_b);
	size_t n = cuts_from_end(a, slice_of(data, 2 * MIB), cuts_a);
	size_t m = cuts_from_end(b, slice_of(data, 2 * MIB), cuts_b);
	size_t common = 0;

	(void)state;
	for (size_t i = 0; i + 1 < n; i++)
		for (size_t j = 0; j + 1 < m; j++)
			common += cuts_a[i] == cuts_b[j];
	assert_true(common < n / 20);
}

static void
test_chunker__sizes_for_a_file(void **state)
{
	(void)state;
	assert_int_equal(chunker_sizes_for(0).avg, 64 * KIB);
	assert_int_equal(chunker_sizes_for(UINT64_C(16) << 30).avg, 64 * KIB);
	assert_int_equal(chunker_sizes_for((UINT64_C(16) << 30) + 1).avg, 128 * KIB);
	assert_int_equal(chunker_sizes_for(UINT64_MAX).max, CHUNK_MAX);
}

/* ---- databases ---- */

static struct slice
sqlite_head(uint8_t head[100], unsigned page_size_field)
{
	memset(head, 0, 100);
	memcpy(head, "SQLite format 3", 16);
	head[16] = (uint8_t)(page_size_field >> 8);
	head[17] = (uint8_t)page_size_field;
	head[21] = 64;
	head[22] = head[23] = 32;
	return slice_of(head, 100);
}

static void
test_page_size__of_sqlite(void **state)
{
	static const uint32_t known[][2] = {{512, 4096},  {1024, 4096},   {4096, 4096},
					    {8192, 8192}, {32768, 32768}, {1, 65536},
					    {0, 0},       {256, 0},       {4097, 0},
					    {3000, 0},    {2, 0}};
	uint8_t head[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		assert_int_equal(chunker_page_size(sqlite_head(head, known[i][0]), 1 << 20),
				 known[i][1]);
	assert_int_equal(chunker_page_size(slice_of(sqlite_head(head, 4096).p, 99), 99), 0);
	for (size_t i = 0; i < 16; i++) {
		(void)sqlite_head(head, 4096);
		head[i] ^= 1;
		assert_int_equal(chunker_page_size(slice_of(head, 100), 1 << 20), 0);
	}
}

static void
test_page_size__of_innodb(void **state)
{
	uint8_t head[100] = {[24] = 0, [25] = 8, [37] = 5, [41] = 5};

	(void)state;
	assert_int_equal(chunker_page_size(slice_of(head, 100), 6 * 16384), 16384);
	assert_int_equal(chunker_page_size(slice_of(head, 100), 6 * 16384 + 1), 0);
	assert_int_equal(chunker_page_size(slice_of(head, 100), 0), 0);
	head[41] = 6; /* another space id */
	assert_int_equal(chunker_page_size(slice_of(head, 100), 6 * 16384), 0);
	head[41] = 5;
	head[7] = 1; /* not page 0 */
	assert_int_equal(chunker_page_size(slice_of(head, 100), 6 * 16384), 0);
}

static void
test_page_size__of_postgresql(void **state)
{
	/* lower 0x0028, upper 0x1f00, special 0x2000, size 0x2000 and version 4 */
	static const uint8_t good[24] = {
		[12] = 0x28, [15] = 0x1f, [17] = 0x20, [18] = 4, [19] = 0x20};
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{18, 5}, {19, 0x40}, {12, 0x10}, {15, 0x21}, {17, 0x1e}, {17, 0x30}, {10, 8}};

	(void)state;
	assert_int_equal(chunker_page_size(slice_of(good, 24), 8192), 8192);
	assert_int_equal(chunker_page_size(slice_of(good, 24), 8193), 0);
	assert_int_equal(chunker_page_size(slice_of(good, 23), 8192), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t head[24];

		memcpy(head, good, sizeof head);
		head[bad[i].at] = bad[i].value;
		assert_int_equal(chunker_page_size(slice_of(head, 24), 8192), 0);
	}
}

static void
test_page_size__of_anything_else(void **state)
{
	CLEANUP(freep) uint8_t *data = noise(100 * 1000);
	uint8_t zeros[100] = {0};

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(chunker_page_size(slice_of(data + 100 * i, 100), 16384), 0);
	assert_int_equal(chunker_page_size(slice_of(zeros, 100), 16384), 0);
	assert_int_equal(chunker_page_size(slice_of(NULL, 0), 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunker__cuts_as_its_header_says),
		cmocka_unit_test(test_chunker__sizes_are_kept_and_near_the_average),
		cmocka_unit_test(test_chunker__short_and_flat_data),
		cmocka_unit_test(test_chunker__an_insertion_changes_few_cuts),
		cmocka_unit_test(test_chunker__another_key_cuts_elsewhere),
		cmocka_unit_test(test_chunker__sizes_for_a_file),
		cmocka_unit_test(test_page_size__of_sqlite),
		cmocka_unit_test(test_page_size__of_innodb),
		cmocka_unit_test(test_page_size__of_postgresql),
		cmocka_unit_test(test_page_size__of_anything_else),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
