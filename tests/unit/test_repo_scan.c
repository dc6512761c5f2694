/*
 * test_repo_scan.c - the snapshots' names: found alike whether there are few or many, and whether
 * the store is near or far.
 */
#include "fixture_store.h"

#include "repo/internal.h"

static void
create_snapshot(struct store *s, unsigned writer, int64_t day, unsigned second, uint64_t seq)
{
	struct snapshot_name name = {.date = {(int32_t)day},
				     .time = day * 86400 + second,
				     .seq = seq,
				     .id = {.h = {{(uint8_t)seq, (uint8_t)writer}}}};

	memcpy(&name.writer, &writer, sizeof writer);
	create(s, snapshot_key_format(&name).s, "x");
}

/* What a listing from one end to the other finds, and one in parts. */
static void
check_alike(struct store *s, size_t expected)
{
	struct repo r = {.store = s};
	struct snapshot_names near = {0}, far = {0};
	struct hash near_digest, far_digest;
	struct err err = ERR_INIT;

	pthread_mutex_init(&r.lock, NULL);
	CHECK_OK(snapshots_scan(&r, &near, &err), &err);
	r.distant = true;
	CHECK_OK(snapshots_scan(&r, &far, &err), &err);
	assert_int_equal(near.n, expected);
	assert_int_equal(far.n, expected);
	snapshots_digest(&near, &near_digest);
	snapshots_digest(&far, &far_digest);
	assert_true(hash_equal(&near_digest, &far_digest));
	snapshot_names_fini(&near);
	snapshot_names_fini(&far);
	snapshot_names_fini(&r.remembered);
	findings_fini(&r);
	pthread_mutex_destroy(&r.lock);
}

/* So many writers, days and snapshots a day. */
static const struct {
	unsigned writers, days, per_day;
} repositories[] = {
	{0, 0, 0},   {1, 1, 1},   {2, 500, 1}, {1, 1000, 1}, {1, 1001, 1},
	{3, 800, 1}, {1, 60, 48}, {2, 3, 700}, {300, 2, 3},
};

static void
test_scan__finds_all_however_many(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(repositories); i++) {
		CLEANUP(store_closep) struct store *s = store_memory_new();
		unsigned w = repositories[i].writers, d = repositories[i].days,
			 n = repositories[i].per_day;

		for (unsigned writer = 0; writer < w; writer++)
			for (unsigned day = 0; day < d; day++)
				for (unsigned k = 0; k < n; k++)
					create_snapshot(s, writer, 20000 + day, k,
							(uint64_t)day * n + k + 1);
		check_alike(s, (size_t)w * d * n);
	}
}

static void
test_scan__strangers_are_passed_over(void **state)
{
	CLEANUP(store_closep) struct store *s = store_memory_new();

	(void)state;
	for (unsigned day = 0; day < 1200; day++)
		create_snapshot(s, 1, 20000 + day, 0, day + 1);
	create(s, "snapshots/stranger", "x");
	create(s, "snapshots/0100000000000000/2026-01-01/stranger", "x");
	create(s, "snapshots/0100000000000000/stranger/deep/below", "x");
	create(s,
	       "snapshots/a-folder-with-a-name-that-is-longer-than-any-writers-could-ever-be/x/y",
	       "x");
	check_alike(s, 1200);
}

/* Whatever call fails, nothing is taken for all there is. */
static void
test_scan__every_failure_is_told(void **state)
{
	struct repo r = {.distant = true};
	CLEANUP(store_closep) struct store *s = store_fault_new(store_memory_new());

	(void)state;
	for (unsigned day = 0; day < 1500; day++)
		create_snapshot(s, day % 2, 20000 + day, 0, day + 1);
	r.store = s;
	pthread_mutex_init(&r.lock, NULL);
	for (unsigned nth = 1;; nth++) {
		struct snapshot_names names = {0};
		struct err err = ERR_INIT;
		int k;

		store_fault_arm(s, nth, ERR_UNREACHABLE);
		k = snapshots_scan(&r, &names, &err);
		snapshot_names_fini(&names);
		snapshot_names_fini(&r.remembered); /* a whole listing each time */
		if (!store_fault_fired(s)) {
			CHECK_OK(k, &err);
			assert_true(nth > 4);
			break;
		}
		CHECK_REFUSED(k, ERR_UNREACHABLE, &err, "listing the snapshots");
	}
	pthread_mutex_destroy(&r.lock);
}

static size_t
count_found(struct repo *r)
{
	struct snapshot_names names = {0};
	struct err err = ERR_INIT;
	size_t n;

	CHECK_OK(snapshots_scan(r, &names, &err), &err);
	n = names.n;
	snapshot_names_fini(&names);
	return n;
}

static void
remove_snapshot(struct store *s, unsigned writer, int64_t day, unsigned second, uint64_t seq)
{
	struct snapshot_name name = {.date = {(int32_t)day},
				     .time = day * 86400 + second,
				     .seq = seq,
				     .id = {.h = {{(uint8_t)seq, (uint8_t)writer}}}};
	struct err err = ERR_INIT;

	memcpy(&name.writer, &writer, sizeof writer);
	CHECK_OK(store_remove(s, snapshot_key_format(&name).s, &err), &err);
}

/* What is new is found without the names of old dates; an hour later those are looked at, too. */
static void
test_scan__goes_on_from_the_last_listing(void **state)
{
	struct repo r = {.distant = true};
	CLEANUP(store_closep) struct store *s = store_meter_new(store_memory_new(), 0);
	struct store_meter_stats before, after;

	(void)state;
	for (unsigned day = 0; day < 20; day++)
		for (unsigned k = 0; k < 200; k++)
			create_snapshot(s, 1, 20000 + day, k, day * 200 + k + 1);
	r.store = s;
	pthread_mutex_init(&r.lock, NULL);
	assert_int_equal(count_found(&r), 4000);

	create_snapshot(s, 1, 20019, 900,
			4001); /* on the latest date, a new one, by a new writer */
	create_snapshot(s, 1, 20020, 0, 4002);
	create_snapshot(s, 2, 19000, 0, 1);
	store_meter_stats_get(s, &before);
	assert_int_equal(count_found(&r), 4003);
	store_meter_stats_get(s, &after);
	assert_int_equal(after.requests - before.requests, 1 + 2 + 3);

	create_snapshot(s, 1, 20003, 900, 4003); /* with a wrong clock */
	remove_snapshot(s, 2, 19000, 0, 1);      /* the only one of its date */
	assert_int_equal(count_found(&r), 4002);
	r.listed_at_ms -= UINT64_C(3600) * 1000;
	assert_int_equal(count_found(&r), 4003);
	assert_int_equal(count_found(&r), 4003);

	snapshot_names_fini(&r.remembered);
	findings_fini(&r);
	pthread_mutex_destroy(&r.lock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan__finds_all_however_many),
		cmocka_unit_test(test_scan__strangers_are_passed_over),
		cmocka_unit_test(test_scan__every_failure_is_told),
		cmocka_unit_test(test_scan__goes_on_from_the_last_listing),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
