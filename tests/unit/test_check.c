/*
 * test_check.c - every kind of damage is found, told once, and named; faults are not damage.
 */
#include "fixture_repo.h"

#include "tillfs/check.h"
#include "tillfs/merge.h"

/* What a check said. */
struct outcome {
	int code;
	struct check_result result;
	struct buf words; /* a finding a line */
	struct err err;
};

static void
outcome_fini(struct outcome *o)
{
	buf_fini(&o->words);
}

static void
found(void *arg, int code, const char *sentence)
{
	struct outcome *o = arg;

	(void)code;
	buf_appendf(&o->words, "%s\n", sentence);
}

/* Three snapshots of two classes; each adds a file and a change. */
static struct fixture *
fixture_filled(struct store *store)
{
	static const char *const dates[] = {"2025-06-28", "2025-06-29", "2025-06-30"};
	struct fixture *fx = fixture_new_in(store, FIXTURE_CLASSES);
	CLEANUP(buf_fini) struct buf noise = BUF_INIT;
	struct rng rng = {5};
	struct err err = ERR_INIT;

	fixture_writer(fx, "till-1");
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		CLEANUP(freep) char *path = str_format("src/sales/%s.txt", dates[i]);
		CLEANUP(freep) char *time = str_format("%sT20:00:00Z", dates[i]);

		fixture_write(path, "sold: all of it\n");
		while (noise.len < 400000 * (i + 1))
			buf_append_u64le(&noise, rng_next(&rng));
		CHECK_OK(file_write_atomic("src/noise", buf_slice(&noise), 0644, &err), &err);
		(void)fixture_backup(fx, "till-1", dates[i], time);
	}
	return fx;
}

static void
run_check(struct fixture *fx, bool read_data, struct outcome *o)
{
	struct transfer_options transfer_options = {0};
	CLEANUP(repo_closep) struct repo *repo = NULL;
	CLEANUP(transfer_freep) struct transfer *transfer = NULL;
	CLEANUP(reader_freep) struct reader *reader = NULL;
	struct check_options options = {.read_data = read_data, .found = found, .found_arg = o};

	*o = (struct outcome){0};
	o->code = repo_open(fx->store, fx->admin, NULL, &repo, &o->err);
	if (o->code < 0)
		return;
	transfer = transfer_new(fx->store, &transfer_options);
	reader = reader_new(repo, transfer, 0);
	o->code = check_run(repo, reader, &options, &o->result, &o->err);
}

/* ---- the store's objects ----------------------------------------------------------------------
 */

struct keys {
	char *v[16];
	size_t n;
};

static void
keys_fini(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i]);
}

static int
add_key(void *arg, const struct store_entry *entry, struct err *err)
{
	struct keys *k = arg;

	(void)err;
	assert_true(k->n < ARRAY_LEN(k->v));
	k->v[k->n++] = str_copy(entry->key);
	return 0;
}

static void
list_keys(struct fixture *fx, const char *prefix, struct keys *ret)
{
	struct err err = ERR_INIT;

	*ret = (struct keys){0};
	CHECK_OK(store_list(fx->store, prefix, false, add_key, ret, &err), &err);
	assert_true(ret->n > 0);
}

static void
get(struct fixture *fx, const char *key, struct buf *ret)
{
	struct err err = ERR_INIT;

	CHECK_OK(store_get_all(fx->store, key, 64 * MIB, ret, &err), &err);
}

static void
put(struct fixture *fx, const char *key, struct slice bytes)
{
	struct err err = ERR_INIT;
	int r = store_remove(fx->store, key, &err);

	assert_true(r == 0 || r == ERR_NOENT);
	CHECK_OK(store_create(fx->store, key, bytes, &err), &err);
}

/* The beginning of an object's id. */
static const char *
short_id(const char *key)
{
	static char text[13];
	const char *id = key + strlen(key) - 64;

	(void)snprintf(text, sizeof text, "%.12s", id);
	return text;
}

static void
check_clean(struct fixture *fx, bool read_data)
{
	CLEANUP(outcome_fini) struct outcome o;

	run_check(fx, read_data, &o);
	CHECK_OK(o.code, &o.err);
	assert_string_equal(buf_cstr(&o.words), "");
	assert_int_equal(o.result.damaged, 0);
	assert_int_equal(o.result.snapshots, 3);
	assert_int_equal(o.result.packs, 3);
	assert_int_equal(o.result.unreferenced, 0);
}

static void
check_finds(struct fixture *fx, bool read_data, const char *word, const char *other)
{
	CLEANUP(outcome_fini) struct outcome o;

	run_check(fx, read_data, &o);
	CHECK_OK(o.code, &o.err);
	assert_true(o.result.damaged > 0);
	if (strstr(buf_cstr(&o.words), word) == NULL || strstr(buf_cstr(&o.words), other) == NULL)
		fail_msg("\"%s\" and \"%s\" should stand in: %s", word, other, buf_cstr(&o.words));
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void
test_check__a_sound_repository_is_clean(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());

	(void)arg;
	check_clean(fx, false);
	check_clean(fx, true);
}

static void
test_check__missing_and_shortened_packs_show_in_the_listing(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	CLEANUP(keys_fini) struct keys packs;
	struct err err = ERR_INIT;

	(void)arg;
	list_keys(fx, "packs/", &packs);
	for (size_t i = 0; i < packs.n; i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

		get(fx, packs.v[i], &bytes);
		CHECK_OK(store_remove(fx->store, packs.v[i], &err), &err);
		check_finds(fx, false, short_id(packs.v[i]), "is missing");
		check_finds(fx, true, short_id(packs.v[i]), "till-1");
		put(fx, packs.v[i], slice_of(bytes.p, bytes.len - 1));
		check_finds(fx, false, short_id(packs.v[i]), "2025-06-");
		put(fx, packs.v[i], buf_slice(&bytes));
	}
	check_clean(fx, true);
}

static void
test_check__any_flipped_bit_of_a_pack_is_found_by_reading(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	CLEANUP(keys_fini) struct keys packs;

	(void)arg;
	list_keys(fx, "packs/", &packs);
	for (size_t i = 0; i < packs.n; i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

		get(fx, packs.v[i], &bytes);
		for (size_t at = 0; at < bytes.len; at += 1 + bytes.len / 7) {
			bytes.p[at] ^= 0x10;
			put(fx, packs.v[i], buf_slice(&bytes));
			check_finds(fx, true, short_id(packs.v[i]), "needed by");
			bytes.p[at] ^= 0x10;
		}
		put(fx, packs.v[i], buf_slice(&bytes));
	}
	check_clean(fx, true);
}

static void
test_check__swapped_objects_are_found(void **arg)
{
	static const char *const prefixes[] = {"packs/", "snapshots/"};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		CLEANUP(keys_fini) struct keys keys;
		CLEANUP(buf_fini) struct buf a = BUF_INIT;
		CLEANUP(buf_fini) struct buf b = BUF_INIT;

		list_keys(fx, prefixes[i], &keys);
		get(fx, keys.v[0], &a);
		get(fx, keys.v[1], &b);
		put(fx, keys.v[0], buf_slice(&b));
		put(fx, keys.v[1], buf_slice(&a));
		check_finds(fx, true, i == 0 ? short_id(keys.v[0]) : "2025-06-28",
			    i == 0 ? short_id(keys.v[0]) : "2025-06-29");
		put(fx, keys.v[0], buf_slice(&a));
		put(fx, keys.v[1], buf_slice(&b));
	}
	check_clean(fx, true);
}

static void
test_check__damaged_and_missing_snapshots_are_named(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	CLEANUP(keys_fini) struct keys snapshots;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)arg;
	list_keys(fx, "snapshots/", &snapshots);
	assert_int_equal(snapshots.n, 3);
	get(fx, snapshots.v[1], &bytes);
	bytes.p[bytes.len / 2] ^= 1;
	put(fx, snapshots.v[1], buf_slice(&bytes));
	check_finds(fx, false, "2025-06-29", "till-1");
	CHECK_OK(store_remove(fx->store, snapshots.v[1], &err), &err);
	check_finds(fx, false, "till-1", "missing");
}

static void
test_check__a_pack_that_nobody_needs_is_harmless_until_it_is_damaged(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	CLEANUP(keys_fini) struct keys snapshots;
	CLEANUP(keys_fini) struct keys packs;
	CLEANUP(outcome_fini) struct outcome o;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)arg;
	list_keys(fx, "snapshots/", &snapshots);
	CHECK_OK(store_remove(fx->store, snapshots.v[2], &err), &err);
	run_check(fx, true, &o);
	CHECK_OK(o.code, &o.err);
	assert_int_equal(o.result.damaged, 0);
	assert_int_equal(o.result.unreferenced, 1);

	list_keys(fx, "packs/", &packs);
	for (size_t i = 0; i < packs.n; i++) {
		get(fx, packs.v[i], &bytes);
		bytes.p[bytes.len - 1] ^= 1;
		put(fx, packs.v[i], buf_slice(&bytes));
	}
	check_finds(fx, true, "no snapshot needs it", "needed by");
}

static void
test_check__what_does_not_belong_is_told_but_no_damage(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());
	CLEANUP(outcome_fini) struct outcome o;

	(void)arg;
	put(fx, "notes.txt", slice_str("remember the milk"));
	put(fx, "packs/0123456789abcdef/00/short", slice_str("no pack"));
	run_check(fx, true, &o);
	CHECK_OK(o.code, &o.err);
	assert_int_equal(o.result.damaged, 0);
	assert_non_null(strstr(buf_cstr(&o.words), "notes.txt"));
	assert_non_null(strstr(buf_cstr(&o.words), "00/short"));
}

static void
test_check__a_grant_whose_bytes_are_not_its_own_is_found(void **arg)
{
	static const char key[] =
		"grants/0000000000000000000000000000000000000000000000000000000000000001/"
		"0000000000000000000000000000000000000000000000000000000000000002";
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(store_memory_new());

	(void)arg;
	put(fx, key, slice_str("not that"));
	check_finds(fx, false, key, "named");
}

/*
 * Whatever store call fails because the store is silent: the check says that it could not go on; it
 * doesn't call that damage, nor the repository sound.
 */
static void
test_check__a_silent_store_is_neither_damage_nor_soundness(void **arg)
{
	struct store *faulty = store_fault_new(store_memory_new());
	CLEANUP(fixture_freep) struct fixture *fx = fixture_filled(faulty);
	unsigned nth, stopped = 0;

	(void)arg;
	for (nth = 1;; nth++) {
		CLEANUP(outcome_fini) struct outcome o;
		bool fired;

		store_fault_arm(faulty, nth, ERR_UNREACHABLE);
		run_check(fx, true, &o);
		fired = store_fault_fired(faulty);
		if (!fired) {
			CHECK_OK(o.code, &o.err);
			assert_int_equal(o.result.damaged, 0);
			break;
		}
		/* transfer tries again, so some faults do no harm. */
		assert_int_equal(o.result.damaged, 0);
		assert_true(o.code == 0 || o.code == ERR_UNREACHABLE);
		stopped += o.code == ERR_UNREACHABLE;
	}
	assert_true(nth > 10 && stopped > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check__a_sound_repository_is_clean),
		cmocka_unit_test(test_check__missing_and_shortened_packs_show_in_the_listing),
		cmocka_unit_test(test_check__any_flipped_bit_of_a_pack_is_found_by_reading),
		cmocka_unit_test(test_check__swapped_objects_are_found),
		cmocka_unit_test(test_check__damaged_and_missing_snapshots_are_named),
		cmocka_unit_test(
			test_check__a_pack_that_nobody_needs_is_harmless_until_it_is_damaged),
		cmocka_unit_test(test_check__what_does_not_belong_is_told_but_no_damage),
		cmocka_unit_test(test_check__a_grant_whose_bytes_are_not_its_own_is_found),
		cmocka_unit_test(test_check__a_silent_store_is_neither_damage_nor_soundness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
