/*
 * test_store.c - what every store does, tried on each: in memory, in a folder, and faulty without a
 * fault; or, when TILLFS_TEST_STORE is the URL of one, on that server alone.  Then URLs, and the
 * faults.
 */
#include "fixture_store.h"

#include <pthread.h>

/* ---- what every store does ---- */

static void
test_store__gives_ranges_of_what_was_created(void **state)
{
	static const struct {
		uint64_t off, len;
		const char *bytes;
	} ranges[] = {{0, 10, "0123456789"}, {0, 3, "012"},     {7, 3, "789"}, {7, 100, "789"},
		      {10, 1, ""},           {11, 1, ""},       {3, 0, ""},    {UINT64_MAX, 1, ""},
		      {9, 64 * MIB, "9"},    {INT64_MAX, 5, ""}};

	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		uint64_t size = 0;

		create(fx->store, "packs/w/ab/x", "0123456789");
		for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
			buf_append_str(&b, "old");
			CHECK_OK(store_get(fx->store, "packs/w/ab/x", ranges[i].off, ranges[i].len,
					   &b, &err),
				 &err);
			check_bytes(buf_slice(&b), slice_str(ranges[i].bytes));
		}
		CHECK_OK(store_size(fx->store, "packs/w/ab/x", &size, &err), &err);
		assert_int_equal(size, 10);
		create(fx->store, "empty", "");
		check_content(fx->store, "empty", "");
	}
}

static void
test_store__never_replaces(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		struct err err = ERR_INIT;

		create(fx->store, "a/b", "first");
		CHECK_REFUSED(store_create(fx->store, "a/b", slice_str("second"), &err), ERR_EXISTS,
			      &err, "a/b: ");
		check_content(fx->store, "a/b", "first");
		check_list(fx->store, "", false, "a/b:5 ");
	}
}

static void
test_store__what_is_not_there(void **state)
{
	static const char *const missing[] = {"b", "a/c", "a", "a/b/c", "x/y/z"};

	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);

		create(fx->store, "a/b", "x");
		for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
			CLEANUP(buf_fini) struct buf b = BUF_INIT;
			struct err err = ERR_INIT;
			uint64_t size = 1;

			buf_append_str(&b, "old");
			CHECK_REFUSED(store_get(fx->store, missing[i], 0, 1, &b, &err), ERR_NOENT,
				      &err, missing[i]);
			assert_int_equal(b.len, 0);
			CHECK_REFUSED(store_get_all(fx->store, missing[i], 9, &b, &err), ERR_NOENT,
				      &err, missing[i]);
			CHECK_REFUSED(store_size(fx->store, missing[i], &size, &err), ERR_NOENT,
				      &err, missing[i]);
			assert_int_equal(size, 0);
			CHECK_REFUSED(store_remove(fx->store, missing[i], &err), ERR_NOENT, &err,
				      missing[i]);
		}
		check_list(fx->store, "b", false, "");
		check_list(fx->store, "x/y/", true, "");
		check_content(fx->store, "a/b", "x");
	}
}

static void
test_store__removes(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		struct err err = ERR_INIT;

		create(fx->store, "a/b", "1");
		create(fx->store, "a/c", "2");
		create(fx->store, "z", "3");
		CHECK_OK(store_remove(fx->store, "a/b", &err), &err);
		check_list(fx->store, "", false, "a/c:1 z:1 ");
		CHECK_OK(store_remove(fx->store, "a/c", &err), &err);
		check_list(fx->store, "", true, "z:1 "); /* an empty folder is no prefix */
		check_list(fx->store, "", false, "z:1 ");
		create(fx->store, "a/b", "again");
		check_content(fx->store, "a/b", "again");
	}
}

static void
test_store__lists_in_the_order_of_keys(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);

		/* '-' and '.' come before '/', which comes before '0'. */
		create(fx->store, "a0", "");
		create(fx->store, "a/z/deep", "");
		create(fx->store, "a/b", "12");
		create(fx->store, "a.b", "");
		create(fx->store, "a-b", "");
		create(fx->store, "a/b.c", "");
		create(fx->store, "ab/c", "");
		create(fx->store, "B", "");
		create(fx->store, "\xc3\xa4", "");

		check_list(fx->store, "", false,
			   "B:0 a-b:0 a.b:0 a/b:2 a/b.c:0 a/z/deep:0 a0:0 ab/c:0 \xc3\xa4:0 ");
		check_list(fx->store, "", true, "B:0 a-b:0 a.b:0 a/ a0:0 ab/ \xc3\xa4:0 ");
		check_list(fx->store, "a", true, "a-b:0 a.b:0 a/ a0:0 ab/ ");
		check_list(fx->store, "a", false,
			   "a-b:0 a.b:0 a/b:2 a/b.c:0 a/z/deep:0 a0:0 ab/c:0 ");
		check_list(fx->store, "a/", true, "a/b:2 a/b.c:0 a/z/ ");
		check_list(fx->store, "a/", false, "a/b:2 a/b.c:0 a/z/deep:0 ");
		check_list(fx->store, "a/b", true, "a/b:2 a/b.c:0 ");
		check_list(fx->store, "a/b.c", false, "a/b.c:0 ");
		check_list(fx->store, "a/z/", true, "a/z/deep:0 ");
		check_list(fx->store, "a/b/", true, "");
		check_list(fx->store, "c", true, "");
	}
}

static int
stop_at_second(void *arg, const struct store_entry *e, struct err *err)
{
	unsigned *calls = arg;

	(void)e;
	return ++*calls == 2 ? err_set(err, ERR_CANCELLED, "enough") : 0;
}

static void
test_store__a_listing_ends_when_told(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++)
		for (int delimited = 0; delimited <= 1; delimited++) {
			CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
			struct err err = ERR_INIT;
			unsigned calls = 0;

			create(fx->store, "a/b", "");
			create(fx->store, "b/c", "");
			create(fx->store, "c/d", "");
			CHECK_REFUSED(store_list(fx->store, "", delimited, stop_at_second, &calls,
						 &err),
				      ERR_CANCELLED, &err, "enough");
			assert_int_equal(calls, 2);
		}
}

struct remover {
	struct store *store;
	unsigned removed;
};

static int
remove_entry(void *arg, const struct store_entry *e, struct err *err)
{
	struct remover *r = arg;

	r->removed++;
	return store_remove(r->store, e->key, err);
}

static void
test_store__may_be_used_by_its_own_listing(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		struct remover r = {.store = fx->store};
		struct err err = ERR_INIT;

		for (unsigned i = 0; i < 20; i++) {
			CLEANUP(freep) char *key = str_format("d%u/%u", i % 3, i);

			create(fx->store, key, "x");
		}
		CHECK_OK(store_list(fx->store, "", false, remove_entry, &r, &err), &err);
		assert_int_equal(r.removed, 20);
		check_list(fx->store, "", false, "");
	}
}

static void
test_store__refuses_what_is_no_key(void **state)
{
	static const char *const refused[] = {
		"",    "/",    "a/",   "/a",  "a//b",   ".",    "..",
		"a/.", "a/..", "../a", "./a", "a/../b", "\xff", "a/\xc3",
	};
	CLEANUP(buf_fini) struct buf longest = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		buf_append_str(&longest, "k/");
	longest.len--;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		CLEANUP(freep) char *too_long = str_format("%skk", buf_cstr(&longest));
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		uint64_t size;

		for (size_t i = 0; i <= ARRAY_LEN(refused); i++) {
			const char *key = i < ARRAY_LEN(refused) ? refused[i] : too_long;

			CHECK_REFUSED(store_create(fx->store, key, slice_str(""), &err),
				      ERR_INVALID, &err, "no key");
			CHECK_REFUSED(store_get(fx->store, key, 0, 1, &b, &err), ERR_INVALID, &err,
				      "no key");
			CHECK_REFUSED(store_size(fx->store, key, &size, &err), ERR_INVALID, &err,
				      "no key");
			CHECK_REFUSED(store_remove(fx->store, key, &err), ERR_INVALID, &err,
				      "no key");
		}
		CHECK_REFUSED(store_list(fx->store, "../", false, append_entry, &b, &err),
			      ERR_INVALID, &err, "no prefix");
		CHECK_REFUSED(store_list(fx->store, "a//", false, append_entry, &b, &err),
			      ERR_INVALID, &err, "no prefix");
		check_list(fx->store, "", false, "");

		create(fx->store, buf_cstr(&longest), "deep");
		check_content(fx->store, buf_cstr(&longest), "deep");
		create(fx->store, "...", "dots");
		check_content(fx->store, "...", "dots");
	}
}

static void
test_store__bounds_what_is_read_at_once(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		struct err err = ERR_INIT;

		create(fx->store, "x", "0123456789");
		CHECK_REFUSED(store_get(fx->store, "x", 0, 64 * MIB + 1, &b, &err), ERR_INVALID,
			      &err, "too many");
		CHECK_OK(store_get_all(fx->store, "x", 10, &b, &err), &err);
		CHECK_OK(store_get_all(fx->store, "x", UINT64_MAX, &b, &err), &err);
		check_bytes(buf_slice(&b), slice_str("0123456789"));
		CHECK_REFUSED(store_get_all(fx->store, "x", 9, &b, &err), ERR_CORRUPT, &err,
			      "x: longer than");
		assert_int_equal(b.len, 0);
		CHECK_REFUSED(store_get_all(fx->store, "x", 0, &b, &err), ERR_CORRUPT, &err, "x: ");
	}
}

/* ---- from many threads ---- */

struct racer {
	struct store *store;
	unsigned number, won;
};

static void *
race(void *arg)
{
	struct racer *r = arg;

	for (unsigned i = 0; i < 100; i++) {
		CLEANUP(freep) char *key = str_format("race/%u/%u", i % 10, i);
		CLEANUP(freep) char *body = str_format("%u", r->number);
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		int created = store_create(r->store, key, slice_str(body), &err);

		if (created != 0 && created != ERR_EXISTS)
			return NULL;
		if (store_get_all(r->store, key, 10, &b, &err) != 0 || b.len != 1)
			return NULL; /* whoever won, the object is whole */
		if (created == 0 && b.p[0] != (uint8_t)body[0])
			return NULL;
		r->won += created == 0;
	}
	return r;
}

static void
test_store__exactly_one_of_many_creates(void **state)
{
	(void)state;
	for (enum kind kind = first_kind(); kind <= last_kind(); kind++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(kind);
		struct racer racers[4];
		pthread_t threads[4];
		unsigned won = 0;

		for (unsigned i = 0; i < 4; i++) {
			racers[i] = (struct racer){.store = fx->store, .number = i};
			assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
		}
		for (unsigned i = 0; i < 4; i++) {
			void *ok = NULL;

			assert_int_equal(pthread_join(threads[i], &ok), 0);
			assert_non_null(ok);
			won += racers[i].won;
		}
		assert_int_equal(won, 100);
	}
}

/* ---- URLs ---- */

static void
test_store_open__urls(void **state)
{
	static const struct {
		const char *url;
		int code;
		const char *text;
	} refused[] = {
		{"", ERR_INVALID, "not the URL"},
		{"/srv/x", ERR_INVALID, "file:///srv/x"},
		{"srv", ERR_INVALID, "not the URL"},
		{"file:", ERR_INVALID, "not the URL"},
		{"file:/srv", ERR_INVALID, "not the URL"},
		{"file://", ERR_INVALID, "absolute path"},
		{"file://host/srv", ERR_INVALID, "absolute path"},
		{"file:///srv/%", ERR_INVALID, "%"},
		{"file:///srv/%4", ERR_INVALID, "%"},
		{"file:///srv/%zz", ERR_INVALID, "%"},
		{"file:///srv/%00", ERR_INVALID, "%"},
		{"https://x/y", ERR_INVALID, "webdav+https://"},
		{"gopher://x", ERR_INVALID, "not the URL"},
		{"file:///nonexistent/store", ERR_NOENT, "/nonexistent/store"},
		{"file:///dev/null", ERR_INVALID, "no folder"},
	};
	struct store *s = (struct store *)&refused;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct err err = ERR_INIT;

		CHECK_REFUSED(store_open(refused[i].url, NULL, false, &s, &err), refused[i].code,
			      &err, refused[i].text);
		assert_null(s);
	}
}

static void
test_store_open__makes_a_private_folder(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "a b/store");
	CLEANUP(freep) char *url = str_format("file://%s/a%%20b/store", f->path);
	CLEANUP(store_closep) struct store *s = NULL;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(store_open(url, NULL, false, &s, &err), ERR_NOENT, &err, path);
	CHECK_OK(store_open(url, NULL, true, &s, &err), &err);
	assert_int_equal(mode_of(path), 0700);
	assert_string_equal(store_local_path(s), path);
	assert_non_null(strstr(store_url(s), "file:///"));
}

static void
test_store__has_a_local_path_only_in_a_folder(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "store");
	struct store *memory = store_memory_new();
	struct store *faulty = store_fault_new(open_folder(f));

	(void)state;
	assert_null(store_local_path(memory));
	assert_string_equal(store_local_path(faulty), path);
	store_close(memory);
	store_close(faulty);
	store_close(NULL);
}

/* ---- faults ---- */

static int
call_each(struct store *s, struct err *err)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	uint64_t size;
	int r = store_create(s, "a", slice_str("x"), err);

	if (r == 0)
		r = store_size(s, "a", &size, err);
	if (r == 0)
		r = store_get(s, "a", 0, 1, &b, err);
	if (r == 0)
		r = store_get_all(s, "a", 1, &b, err);
	if (r == 0)
		r = store_list(s, "", false, append_entry, &b, err);
	if (r == 0)
		r = store_remove(s, "a", err);
	return r;
}

static void
test_store_fault__the_nth_call_fails_and_does_nothing(void **state)
{
	(void)state;
	for (unsigned nth = 1;; nth++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FAULTY);
		struct err err = ERR_INIT;
		int r;

		store_fault_arm(fx->store, nth, ERR_UNREACHABLE);
		assert_false(store_fault_fired(fx->store));
		r = call_each(fx->store, &err);
		if (!store_fault_fired(fx->store)) {
			CHECK_OK(r, &err);
			assert_int_equal(nth, 7);
			return;
		}
		CHECK_REFUSED(r, ERR_UNREACHABLE, &err, "injected fault");
		check_list(fx->store, "", false, nth == 1 ? "" : "a:1 ");
		CHECK_OK(nth == 1 ? 0 : store_remove(fx->store, "a", &err), &err);
		CHECK_OK(call_each(fx->store, &err), &err); /* once only */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store__gives_ranges_of_what_was_created),
		cmocka_unit_test(test_store__never_replaces),
		cmocka_unit_test(test_store__what_is_not_there),
		cmocka_unit_test(test_store__removes),
		cmocka_unit_test(test_store__lists_in_the_order_of_keys),
		cmocka_unit_test(test_store__a_listing_ends_when_told),
		cmocka_unit_test(test_store__may_be_used_by_its_own_listing),
		cmocka_unit_test(test_store__refuses_what_is_no_key),
		cmocka_unit_test(test_store__bounds_what_is_read_at_once),
		cmocka_unit_test(test_store__exactly_one_of_many_creates),
		cmocka_unit_test(test_store_open__urls),
		cmocka_unit_test(test_store_open__makes_a_private_folder),
		cmocka_unit_test(test_store__has_a_local_path_only_in_a_folder),
		cmocka_unit_test(test_store_fault__the_nth_call_fails_and_does_nothing),
	};

	/* What a server is known not to do. */
	if (getenv("TILLFS_TEST_SKIP") != NULL)
		cmocka_set_skip_filter(getenv("TILLFS_TEST_SKIP"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
