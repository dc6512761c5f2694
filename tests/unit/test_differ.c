/*
 * test_differ.c - ranges told of as different hold every byte that is, and little more.
 */
#include "fixture_repo.h"

#include "tillfs/differ.h"

#define ROUNDS 12u

struct day {
	struct repo_opened *opened;
	struct merge *merge;
	struct merged at;
	struct tree_file *file;
};

struct pair {
	struct fixture *fx;
	struct repo *repo;
	struct transfer *transfer;
	struct reader *reader;
	struct day old, new;
};

static void
day_open(struct pair *p, const struct snapshot_name *name, struct day *ret)
{
	struct err err = ERR_INIT;

	CHECK_OK(repo_snapshot_open(p->repo, name, &ret->opened, &err), &err);
	ret->merge = merge_new(p->reader, ret->opened);
	CHECK_OK(merge_resolve(ret->merge, slice_str("src/file"), &ret->at, &err), &err);
	CHECK_OK(tree_file_open(merged_item(&ret->at), &ret->file, &err), &err);
}

static void
day_close(struct day *d)
{
	tree_file_close(d->file);
	merged_fini(&d->at);
	merge_free(d->merge);
	repo_opened_free(d->opened);
}

static void
pair_open(struct fixture *fx, const struct snapshot_name *old, const struct snapshot_name *new,
	  struct pair *ret)
{
	struct transfer_options options = {0};

	*ret = (struct pair){.fx = fx, .repo = fixture_open(fx)};
	ret->transfer = transfer_new(fx->store, &options);
	ret->reader = reader_new(ret->repo, ret->transfer, 0);
	day_open(ret, old, &ret->old);
	day_open(ret, new, &ret->new);
}

static void
pair_close(struct pair *p)
{
	day_close(&p->old);
	day_close(&p->new);
	reader_free(p->reader);
	transfer_free(p->transfer);
	repo_close(p->repo);
}

static void
write_file(struct slice content, uint64_t hole_at, uint64_t hole)
{
	FILE *f = fopen("src/file", "w");

	assert_non_null(f);
	assert_int_equal(fwrite(content.p, 1, hole_at, f), hole_at);
	assert_int_equal(fseeko(f, (off_t)hole, SEEK_CUR), 0);
	assert_int_equal(fwrite(content.p + hole_at, 1, content.len - hole_at, f),
			 content.len - hole_at);
	assert_int_equal(fclose(f), 0);
}

struct ranges {
	uint64_t end, bytes; /* of the last range; in all */
	const uint8_t *old, *new;
	uint64_t old_len, new_len; /* of the bytes in memory */
};

/* What lies between ranges must be equal. */
static void
check_equal(const struct ranges *x, uint64_t from, uint64_t to)
{
	to = min_u64(to, x->new_len);
	for (uint64_t i = from; i < to; i++)
		assert_true(i < x->old_len && x->old[i] == x->new[i]);
}

static int
note_range(void *arg, uint64_t off, uint64_t len, struct err *err)
{
	struct ranges *x = arg;

	(void)err;
	assert_true(len > 0 && (off > x->end || x->bytes == 0));
	check_equal(x, x->end, off);
	x->end = off + len;
	x->bytes += len;
	return 0;
}

/* Compares two versions both ways.  Return: how many bytes of the newer one were told of. */
static uint64_t
compare(const struct pair *p, struct slice old, struct slice new)
{
	struct ranges forth = {0, 0, old.p, new.p, old.len, new.len};
	struct ranges back = {0, 0, new.p, old.p, new.len, old.len};
	struct err err = ERR_INIT;

	CHECK_OK(tree_file_differences(p->old.file, p->new.file, note_range, &forth, &err), &err);
	check_equal(&forth, forth.end, new.len);
	assert_true(forth.end <= tree_file_size(p->new.file));
	CHECK_OK(tree_file_differences(p->new.file, p->old.file, note_range, &back, &err), &err);
	check_equal(&back, back.end, old.len);
	assert_int_equal(merged_same_content(&p->old.at, &p->new.at),
			 forth.bytes + back.bytes == 0);
	return forth.bytes;
}

static struct fixture *
start(void)
{
	struct fixture *fx = fixture_new("");

	fixture_writer(fx, "till-03");
	return fx;
}

static void
test_differ__every_byte_that_differs_is_told_of(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = start();
	struct rng rng = rng_start("differ");
	CLEANUP(buf_fini) struct buf old = BUF_INIT;
	CLEANUP(buf_fini) struct buf new = BUF_INIT;
	struct snapshot_name before;

	(void)state;
	for (size_t i = 0; i < 5 * MIB / 8; i++)
		buf_append_u64le(&old, rng_next(&rng));
	write_file(buf_slice(&old), old.len, 0);
	before = fixture_backup(fx, "till-03", "2026-11-01", "2026-11-01T23:00:00Z");
	for (unsigned round = 0; round < ROUNDS; round++) {
		CLEANUP(freep) char *date = str_format("2026-11-%02u", round + 2);
		CLEANUP(freep) char *time = str_format("%sT23:00:00Z", date);
		unsigned changes = 1 + rng_next(&rng) % 3;
		struct snapshot_name name;
		struct pair p;
		uint64_t told;

		buf_reset(&new);
		buf_append(&new, old.p, old.len);
		for (unsigned i = 0; i < changes; i++)
			new.p[rng_next(&rng) % new.len] ^= 0x5a;
		if (round % 4 == 1) /* now and then it grows, or is cut */
			for (size_t i = 0; i < 300 * KIB / 8; i++)
				buf_append_u64le(&new, rng_next(&rng));
		if (round % 4 == 3)
			new.len -= 1 + rng_next(&rng) % (new.len / 2);
		write_file(buf_slice(&new), new.len, 0);
		name = fixture_backup(fx, "till-03", date, time);
		pair_open(fx, &before, &name, &p);
		told = compare(&p, buf_slice(&old), buf_slice(&new));
		pair_close(&p);
		/* A change costs the chunks around it. */
		if (round % 2 == 0)
			assert_true(told > 0 && told <= changes * 2 * 256 * KIB);
		before = name;
		buf_move(&old, &new);
	}
}

static void
test_differ__an_unchanged_file_has_no_differences(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = start();
	struct snapshot_name one, two;
	struct pair p;

	(void)state;
	fixture_write("src/file", "always the same");
	one = fixture_backup(fx, "till-03", "2026-11-01", "2026-11-01T23:00:00Z");
	fixture_write("src/other", "new");
	two = fixture_backup(fx, "till-03", "2026-11-02", "2026-11-02T23:00:00Z");
	pair_open(fx, &one, &two, &p);
	assert_int_equal(compare(&p, slice_str("always the same"), slice_str("always the same")),
			 0);
	assert_true(merged_same_attributes(&p.old.at, &p.new.at));
	pair_close(&p);
}

static void
test_differ__trees_of_different_height_are_compared(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = start();
	struct rng rng = rng_start("height");
	CLEANUP(buf_fini) struct buf content = BUF_INIT;
	struct snapshot_name one, two;
	struct err err = ERR_INIT;
	struct ranges x = {0};
	struct pair p;

	(void)state;
	for (size_t i = 0; i < 12 * MIB / 8; i++)
		buf_append_u64le(&content, rng_next(&rng));
	write_file(buf_slice(&content), 11 * MIB, 0);
	one = fixture_backup(fx, "till-03", "2026-11-01", "2026-11-01T23:00:00Z");
	/* The same, with a hole that makes the tree a level higher, before its last mebibyte. */
	write_file(buf_slice(&content), 11 * MIB, UINT64_C(300) * MIB);
	two = fixture_backup(fx, "till-03", "2026-11-02", "2026-11-02T23:00:00Z");
	pair_open(fx, &one, &two, &p);
	CHECK_OK(tree_file_differences(p.old.file, p.new.file, note_range, &x, &err), &err);
	assert_true(x.end == UINT64_C(312) * MIB && x.bytes >= UINT64_C(300) * MIB);
	assert_true(x.bytes <= UINT64_C(302) * MIB);
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_differ__every_byte_that_differs_is_told_of),
		cmocka_unit_test(test_differ__an_unchanged_file_has_no_differences),
		cmocka_unit_test(test_differ__trees_of_different_height_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
