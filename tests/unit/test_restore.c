/*
 * test_restore.c - a restore from the outside: faults, refusals, choices.
 *
 * Fidelity is tests/system/test_fidelity.py's.
 */
#include "fixture_repo.h"

#include <limits.h>

#include "tillfs/restore.h"

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static char *
text_of(const char *path)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(file_read(path, MIB, &text, &err), &err);
	return str_copy(buf_cstr(&text));
}

#define CHECK_TEXT(path, text)                                                                     \
	do {                                                                                       \
		CLEANUP(freep) char *found_ = text_of(path);                                       \
		assert_string_equal(found_, text);                                                 \
	} while (0)

static int
count_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)ftw;
	if (flag == FTW_F || flag == FTW_SL)
		assert_null(strstr(path, ".tillfs-"));
	return 0;
}

/* No temporary file is left behind. */
static void
check_no_leftovers(void)
{
	if (exists("out"))
		assert_int_equal(nftw("out", count_one, 16, FTW_PHYS), 0);
}

/* A source with two classes, a link across folders, and a file of several segments. */
static struct fixture *
fixture_filled(struct store *store)
{
	struct fixture *fx = fixture_new_in(store, FIXTURE_CLASSES);
	CLEANUP(buf_fini) struct buf noise = BUF_INIT;
	struct rng rng = {11};
	struct err err = ERR_INIT;

	fixture_writer(fx, "till-1");
	fixture_write("src/sales/day.txt", "twelve coffees\n");
	fixture_write("src/sales/deep/er/night.txt", "three beers\n");
	fixture_write("src/readme", "a shop\n");
	while (noise.len < 700000)
		buf_append_u64le(&noise, rng_next(&rng));
	CHECK_OK(file_write_atomic("src/noise", buf_slice(&noise), 0644, &err), &err);
	assert_int_equal(symlink("readme", "src/link"), 0);
	assert_int_equal(link("src/readme", "src/sales/deep/linked"), 0);
	(void)fixture_backup(fx, "till-1", "2025-06-30", "2025-06-30T20:00:00Z");
	return fx;
}

/* Restores a path of the only snapshot to "out". */
static int
attempt(struct fixture *fx, const char *path, struct restore_options options,
	struct restore_result *result, struct err *err)
{
	struct transfer_options transfer_options = {0};
	CLEANUP(repo_closep) struct repo *repo = NULL;
	CLEANUP(transfer_freep) struct transfer *transfer = NULL;
	CLEANUP(reader_freep) struct reader *reader = NULL;
	CLEANUP(repo_opened_freep) struct repo_opened *opened = NULL;
	struct snapshot_name name;
	int r;

	*result = (struct restore_result){0};
	options.to = "out";
	r = repo_open(fx->store, fx->admin, NULL, &repo, err);
	if (r == 0)
		r = repo_select(repo, "latest", &name, err);
	if (r == 0)
		r = repo_snapshot_open(repo, &name, &opened, err);
	if (r < 0)
		return r;
	transfer = transfer_new(fx->store, &transfer_options);
	reader = reader_new(repo, transfer, 0);
	return restore_run(reader, opened, slice_str(path), &options, result, err);
}

/* A restore that must succeed. */
static void
restore(struct fixture *fx, const char *path, struct restore_options options)
{
	struct restore_result result;
	struct err err = ERR_INIT;

	CHECK_OK(attempt(fx, path, options, &result, &err), &err);
	assert_int_equal(result.n_failures, 0);
	restore_result_fini(&result);
	check_no_leftovers();
}

static void
check_all_is_there(void)
{
	struct stat a, b;

	CHECK_TEXT("out/src/sales/day.txt", "twelve coffees\n");
	CHECK_TEXT("out/src/sales/deep/er/night.txt", "three beers\n");
	CHECK_TEXT("out/src/link", "a shop\n");
	assert_int_equal(stat("out/src/readme", &a), 0);
	assert_int_equal(stat("out/src/sales/deep/linked", &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_nlink == 2);
	assert_int_equal(system("cmp src/noise out/src/noise"), 0);
}

/*
 * Whatever store call fails: an error, whole files or none, and nothing temporary.
 */
static void
test_restore__every_store_failure_is_reported_and_leaves_whole_files_only(void **arg)
{
	struct store *faulty = store_fault_new(store_memory_new());
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(faulty);
	unsigned nth;

	(void)arg;
	for (nth = 1;; nth++) {
		struct restore_options options = {0};
		struct restore_result result;
		struct err err = ERR_INIT;
		int r;

		store_fault_arm(faulty, nth, ERR_DENIED);
		r = attempt(fx, "", options, &result, &err);
		check_no_leftovers();
		if (r < 0)
			assert_true(err.msg[0] != '\0');
		else
			check_all_is_there();
		restore_result_fini(&result);
		if (!store_fault_fired(faulty)) {
			CHECK_OK(r, &err);
			break;
		}
		/* Readahead may fail without harm; a failure that counts is the store's. */
		assert_true(r == 0 || r == ERR_DENIED);
		if (exists("out/src/noise"))
			assert_int_equal(system("cmp src/noise out/src/noise"), 0);
		assert_int_equal(system("rm -rf out"), 0);
	}
	assert_true(nth > 4);
}

static void
test_restore__nothing_is_written_when_something_would_be_replaced(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	struct restore_options options = {0};
	struct restore_result result;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_write("out/src/sales/deep/linked", "mine\n");
	assert_int_equal(attempt(fx, "", options, &result, &err), ERR_EXISTS);
	assert_non_null(strstr(err.msg, "src/sales/deep/linked"));
	assert_false(exists("out/src/readme"));
	CHECK_TEXT("out/src/sales/deep/linked", "mine\n");
	restore_result_fini(&result);

	options.overwrite = true;
	restore(fx, "", options);
	check_all_is_there();
	/* And once more over itself: names that are links of each other already. */
	restore(fx, "", options);
	check_all_is_there();
}

static void
test_restore__a_link_in_the_destination_is_not_followed(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	struct restore_options options = {.overwrite = true};

	(void)arg;
	fixture_write("elsewhere/day.txt", "untouched\n");
	fixture_write("elsewhere/readme", "untouched\n");
	fixture_write("out/src/x", "");
	assert_int_equal(symlink("../../elsewhere", "out/src/sales"), 0);
	assert_int_equal(symlink("../../elsewhere/readme", "out/src/readme"), 0);
	restore(fx, "", options);
	check_all_is_there();
	CHECK_TEXT("elsewhere/day.txt", "untouched\n");
	CHECK_TEXT("elsewhere/readme", "untouched\n");
}

static void
test_restore__a_path_lands_under_its_own_name(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	struct restore_options options = {.verify = true};

	(void)arg;
	restore(fx, "src/sales/deep/", options);
	CHECK_TEXT("out/deep/er/night.txt", "three beers\n");
	restore(fx, "/src/./readme", options);
	CHECK_TEXT("out/readme", "a shop\n");
	assert_false(exists("out/src"));
}

static void
test_restore__includes_make_only_the_folders_that_they_need(void **arg)
{
	static const char *const includes[] = {"src/sales/deep/er"};
	static const char *const excludes[] = {"src/sales/day.txt", "noise"};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	struct restore_options some = {.includes = includes, .n_includes = 1};
	struct restore_options others = {.excludes = excludes, .n_excludes = 2};

	(void)arg;
	restore(fx, "", some);
	CHECK_TEXT("out/src/sales/deep/er/night.txt", "three beers\n");
	assert_false(exists("out/src/readme") || exists("out/src/sales/deep/linked"));
	assert_int_equal(system("rm -rf out"), 0);

	restore(fx, "", others);
	CHECK_TEXT("out/src/readme", "a shop\n");
	assert_false(exists("out/src/noise") || exists("out/src/sales/day.txt"));
}

static void
test_restore__what_is_not_there_makes_no_destination(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	struct restore_options options = {0};
	struct restore_result result;
	struct err err = ERR_INIT;

	(void)arg;
	assert_int_equal(attempt(fx, "src/nobody", options, &result, &err), ERR_NOENT);
	assert_non_null(strstr(err.msg, "src/nobody"));
	assert_false(exists("out"));
}

static void
test_restore__it_stops_on_request(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	atomic_bool cancel = true;
	struct restore_options options = {.progress = {.cancel = &cancel}};
	struct restore_result result;
	struct err err = ERR_INIT;

	(void)arg;
	assert_int_equal(attempt(fx, "", options, &result, &err), ERR_CANCELLED);
	assert_int_equal(result.files, 0);
	check_no_leftovers();
	restore_result_fini(&result);
}

static void
test_restore__damage_fails_what_it_touches_and_nothing_else(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	CLEANUP(freep) char *key = NULL;
	CLEANUP(buf_fini) struct buf pack = BUF_INIT;
	struct restore_options options = {0};
	struct restore_result result;
	struct err err = ERR_INIT;

	(void)arg;
	/* The noise fills most of the pack's middle. */
	CHECK_OK(store_list(fx->store, "packs/", false, fixture_first_key, &key, &err), &err);
	CHECK_OK(store_get_all(fx->store, key, 64 * MIB, &pack, &err), &err);
	pack.p[pack.len / 2] ^= 1;
	CHECK_OK(store_remove(fx->store, key, &err), &err);
	CHECK_OK(store_create(fx->store, key, buf_slice(&pack), &err), &err);

	assert_int_equal(attempt(fx, "", options, &result, &err), ERR_CORRUPT);
	assert_int_equal(result.n_failures, 1);
	assert_non_null(strstr(result.failures[0], "src/noise"));
	assert_false(exists("out/src/noise"));
	CHECK_TEXT("out/src/sales/deep/er/night.txt", "three beers\n");
	check_no_leftovers();
	restore_result_fini(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_restore__every_store_failure_is_reported_and_leaves_whole_files_only),
		cmocka_unit_test(test_restore__nothing_is_written_when_something_would_be_replaced),
		cmocka_unit_test(test_restore__a_link_in_the_destination_is_not_followed),
		cmocka_unit_test(test_restore__a_path_lands_under_its_own_name),
		cmocka_unit_test(test_restore__includes_make_only_the_folders_that_they_need),
		cmocka_unit_test(test_restore__what_is_not_there_makes_no_destination),
		cmocka_unit_test(test_restore__it_stops_on_request),
		cmocka_unit_test(test_restore__damage_fails_what_it_touches_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
