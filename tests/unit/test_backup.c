/*
 * test_backup.c - a run of backup from the outside: faults, sharing, resuming, refusals.
 */
#include "fixture_repo.h"

#include <fcntl.h>
#include <limits.h>

#include "tillfs/catalog.h"

/* One attempt at backing "src" up as till-1. */
static int
attempt(struct fixture *fx, struct backup_result *result, struct err *err)
{
	static const char *const paths[] = {"src"};
	CLEANUP(freep) char *state = str_format("%s/state", fx->dir);
	CLEANUP(writer_freep) struct writer_file *file = NULL;
	CLEANUP(repo_closep) struct repo *repo = NULL;
	struct backup_options options = {.paths = paths,
					 .n_paths = 1,
					 .config = &fx->config,
					 .state = state};
	int r;

	*result = (struct backup_result){0};
	CHECK_OK(writer_open("till-1.writer", &file, err), err);
	r = repo_open_writer(fx->store, file, state, &repo, err);
	return r < 0 ? r : backup_run(repo, file, &options, result, err);
}

static size_t
count_snapshots(struct fixture *fx)
{
	CLEANUP(repo_closep) struct repo *repo = fixture_open(fx);
	CLEANUP(repo_list_putp) struct repo_list *list = repo_list_get(repo);

	return list->n;
}

static void
write_noise(const char *path, size_t len, uint64_t seed)
{
	struct rng rng = {seed};
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	while (bytes.len < len)
		buf_append_u64le(&bytes, rng_next(&rng));
	CHECK_OK(file_write_atomic(path, slice_of(bytes.p, len), 0644, &err), &err);
}

/* Old enough that its stamp is believed: a file just written is read again next time. */
static void
make_old(const char *path)
{
	struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
}

/*
 * Whatever store call fails, there is no snapshot, the error is the store's, and the next run
 * finishes.  Entries of the ledger that are fetched together are fetched again, alone, when that
 * fails: then the run is as good as any.
 */
static void
test_backup__every_store_failure_is_reported_and_leaves_nothing_half_made(void **arg)
{
	unsigned nth, tolerated = 0;

	(void)arg;
	for (nth = 1;; nth++) {
		struct store *faulty = store_fault_new(store_memory_new());
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new_in(faulty, FIXTURE_CLASSES);
		struct backup_result result;
		struct err err = ERR_INIT;
		int r;

		fixture_writer(fx, "till-1");
		fixture_write("src/sales/day.txt", "twelve coffees\n");
		fixture_write("src/readme", "a shop\n");
		write_noise("src/noise", 300000, 7);
		store_fault_arm(faulty, nth, ERR_UNREACHABLE);
		r = attempt(fx, &result, &err);
		if (!store_fault_fired(faulty)) {
			store_fault_arm(faulty, UINT_MAX, ERR_UNREACHABLE);
			CHECK_OK(r, &err);
			assert_int_equal(count_snapshots(fx), 1);
			backup_result_fini(&result);
			break;
		}
		if (r == 0) {
			tolerated++;
			assert_int_equal(result.counts.files, 3);
			backup_result_fini(&result);
			assert_int_equal(count_snapshots(fx), 1);
			continue;
		}
		assert_int_equal(r, ERR_UNREACHABLE);
		assert_int_equal(count_snapshots(fx), 0);
		CHECK_OK(attempt(fx, &result, &err), &err);
		assert_int_equal(result.counts.files, 3);
		backup_result_fini(&result);
		assert_int_equal(count_snapshots(fx), 1);
	}
	/* At least config, ledger, listings, a pack and the snapshot were faulted. */
	assert_true(nth - tolerated > 5);
}

static void
test_backup__what_did_not_change_is_not_stored_again(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	struct backup_result result;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_writer(fx, "till-1");
	write_noise("src/a", 3000000, 1);
	write_noise("src/b", 50000, 2);
	CHECK_OK(attempt(fx, &result, &err), &err);
	assert_int_equal(result.bytes_new, 3050000);
	backup_result_fini(&result);

	/* Too fresh to be believed by its stamp, so read again, and found to be known. */
	CHECK_OK(attempt(fx, &result, &err), &err);
	assert_int_equal(result.bytes_new, 0);
	assert_true(result.bytes_stored < 4096);
	backup_result_fini(&result);

	write_noise("src/c", 1000, 3);
	CHECK_OK(attempt(fx, &result, &err), &err);
	assert_int_equal(result.bytes_new, 1000);
	backup_result_fini(&result);
	assert_int_equal(count_snapshots(fx), 3);
}

static void
test_backup__a_lost_catalog_costs_one_full_run(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	struct backup_result result;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_writer(fx, "till-1");
	write_noise("src/a", 100000, 1);
	CHECK_OK(attempt(fx, &result, &err), &err);
	backup_result_fini(&result);
	assert_int_equal(nftw("state/catalog", fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	CHECK_OK(attempt(fx, &result, &err), &err);
	assert_int_equal(result.bytes_new, 100000);
	assert_int_equal(result.name.seq, 2);
	backup_result_fini(&result);
}

/* The catalog is believed only about what the store still holds. */
static void
test_backup__a_pack_that_vanished_is_stored_again(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(freep) char *victim = NULL;
	struct backup_result result;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_writer(fx, "till-1");
	write_noise("src/a", 100000, 1);
	make_old("src/a");
	CHECK_OK(attempt(fx, &result, &err), &err);
	backup_result_fini(&result);
	CHECK_OK(store_list(fx->store, "packs/", false, fixture_first_key, &victim, &err), &err);
	CHECK_OK(store_remove(fx->store, victim, &err), &err);
	CHECK_OK(attempt(fx, &result, &err), &err);
	assert_int_equal(result.bytes_new, 100000);
	backup_result_fini(&result);
}

static void
test_backup__a_second_run_of_a_writer_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(writer_freep) struct writer_file *file = NULL;
	CLEANUP(repo_closep) struct repo *repo = NULL;
	CLEANUP(catalog_closep) struct catalog *held = NULL;
	CLEANUP(freep) char *note = NULL;
	struct backup_result result;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_writer(fx, "till-1");
	fixture_write("src/a", "x");
	CHECK_OK(writer_open("till-1.writer", &file, &err), &err);
	CHECK_OK(repo_open_writer(fx->store, file, NULL, &repo, &err), &err);
	CHECK_OK(catalog_open("state", repo_id(repo), &file->card.writer, &held, &note, &err),
		 &err);
	CHECK_REFUSED(attempt(fx, &result, &err), ERR_BUSY, &err, "another backup of this writer");
}

static void
test_backup__a_damaged_catalog_is_put_aside(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(freep) char *path = NULL;
	struct backup_result result;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_writer(fx, "till-1");
	write_noise("src/a", 100000, 1);
	CHECK_OK(attempt(fx, &result, &err), &err);
	backup_result_fini(&result);
	path = fixture_find("state/catalog", ".db");
	CHECK_OK(file_write_atomic(path,
				   slice_str("this is not a database, it only looks like one"),
				   0600, &err),
		 &err);
	CHECK_OK(attempt(fx, &result, &err), &err);
	assert_int_equal(result.n_notes, 1);
	assert_non_null(strstr(result.notes[0].text, "damaged"));
	backup_result_fini(&result);
}

static void
test_backup__paths_that_make_no_sense_are_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	static const char *const refused[][2] = {{"../src", "'..'"}, {"", "empty"}};
	CLEANUP(writer_freep) struct writer_file *file = NULL;
	CLEANUP(repo_closep) struct repo *repo = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	fixture_writer(fx, "till-1");
	CHECK_OK(writer_open("till-1.writer", &file, &err), &err);
	CHECK_OK(repo_open_writer(fx->store, file, NULL, &repo, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct backup_options options = {.paths = refused[i],
						 .n_paths = 1,
						 .config = &fx->config,
						 .state = "state"};
		struct backup_result result;

		CHECK_REFUSED(backup_run(repo, file, &options, &result, &err), ERR_INVALID, &err,
			      refused[i][1]);
	}
	assert_int_equal(count_snapshots(fx), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_backup__every_store_failure_is_reported_and_leaves_nothing_half_made),
		cmocka_unit_test(test_backup__what_did_not_change_is_not_stored_again),
		cmocka_unit_test(test_backup__a_lost_catalog_costs_one_full_run),
		cmocka_unit_test(test_backup__a_pack_that_vanished_is_stored_again),
		cmocka_unit_test(test_backup__a_second_run_of_a_writer_is_refused),
		cmocka_unit_test(test_backup__a_damaged_catalog_is_put_aside),
		cmocka_unit_test(test_backup__paths_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
