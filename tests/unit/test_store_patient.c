/*
 * test_store_patient.c - a patient store: what passes by itself is not told, what was done counts
 * once, and there is an answer in time.
 */
#include "fixture_store.h"

/* ---- a store that is out of reach for some calls ------------------------------------------- */

struct shaky {
	struct store *inner; /* borrowed */
	unsigned fails;      /* calls that will fail */
	unsigned calls;
	int code;
	unsigned retry_after_ms;
	unsigned tells; /* entries that a listing tells before it fails */
};

static int
perhaps(struct shaky *s, struct err *err)
{
	int r;

	s->calls++;
	if (s->fails == 0)
		return 0;
	s->fails--;
	r = err_set(err, s->code, "out of reach");
	err->retry_after_ms = s->retry_after_ms;
	return r;
}

static int
shaky_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct shaky *s = arg;
	int r = perhaps(s, err);

	return r < 0 ? r : store_get(s->inner, key, off, len, ret, err);
}

static int
shaky_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct shaky *s = arg;
	int r = perhaps(s, err);

	return r < 0 ? r : store_size(s->inner, key, ret, err);
}

static int
shaky_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct shaky *s = arg;
	int r = perhaps(s, err);

	return r < 0 ? r : store_create(s->inner, key, body, err);
}

struct cut {
	struct shaky *shaky;
	store_list_fn *fn;
	void *arg;
	unsigned left;
};

static int
cut_tell(void *arg, const struct store_entry *entry, struct err *err)
{
	struct cut *c = arg;

	if (c->left-- == 0)
		return perhaps(c->shaky, err);
	return c->fn(c->arg, entry, err);
}

static int
shaky_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	   struct err *err)
{
	struct shaky *s = arg;
	struct cut c = {s, fn, fn_arg, s->tells};

	return s->fails > 0 ? store_list(s->inner, prefix, delimited, cut_tell, &c, err)
			    : store_list(s->inner, prefix, delimited, fn, fn_arg, err);
}

static int
shaky_remove(void *arg, const char *key, struct err *err)
{
	struct shaky *s = arg;
	int r = perhaps(s, err);

	return r < 0 ? r : store_remove(s->inner, key, err);
}

static void
shaky_close(void *arg)
{
	(void)arg; /* the test's */
}

static const struct store_ops shaky_ops = {"shaky",    shaky_get,    shaky_size, shaky_create,
					   shaky_list, shaky_remove, shaky_close};

static struct store *
patient_over(struct shaky *s, unsigned timeout_ms)
{
	return store_patient_new(store_new(&shaky_ops, s, "shaky:"), timeout_ms);
}

#define LONG_MS  20000u
#define SHORT_MS 300u

/* ---- tests --------------------------------------------------------------------------------- */

static void
test_patient__what_passes_is_not_told(void **state)
{
	CLEANUP(store_closep) struct store *inner = store_memory_new();
	struct shaky shaky = {.inner = inner, .code = ERR_UNREACHABLE};
	CLEANUP(store_closep) struct store *s = patient_over(&shaky, LONG_MS);
	struct err err = ERR_INIT;
	uint64_t size = 0;

	(void)state;
	shaky.fails = 2;
	create(s, "a/b", "bytes");
	shaky.fails = 2;
	check_content(s, "a/b", "bytes");
	shaky.fails = 1;
	CHECK_OK(store_size(s, "a/b", &size, &err), &err);
	assert_int_equal(size, 5);
	shaky.fails = 1;
	CHECK_OK(store_remove(s, "a/b", &err), &err);
	assert_int_equal(shaky.calls, 3 + 3 + 2 + 2);
}

static void
test_patient__refusals_are_told_at_once(void **state)
{
	static const int codes[] = {ERR_DENIED, ERR_NOENT, ERR_IO, ERR_CORRUPT, ERR_EXISTS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		CLEANUP(store_closep) struct store *inner = store_memory_new();
		struct shaky shaky = {.inner = inner, .fails = 1, .code = codes[i]};
		CLEANUP(store_closep) struct store *s = patient_over(&shaky, LONG_MS);
		CLEANUP(buf_fini) struct buf b = BUF_INIT;
		struct err err = ERR_INIT;

		CHECK_REFUSED(store_get(s, "a", 0, 1, &b, &err), codes[i], &err, "out of reach");
		assert_int_equal(shaky.calls, 1);
	}
}

static void
test_patient__gives_up_in_time(void **state)
{
	CLEANUP(store_closep) struct store *inner = store_memory_new();
	struct shaky shaky = {.inner = inner, .fails = UINT32_MAX, .code = ERR_UNREACHABLE};
	CLEANUP(store_closep) struct store *s = patient_over(&shaky, SHORT_MS);
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(store_get(s, "a", 0, 1, &b, &err), ERR_UNREACHABLE, &err, "out of reach");
	assert_true(shaky.calls >= 1);
	CHECK_REFUSED(store_create(s, "a", slice_str("x"), &err), ERR_UNREACHABLE, &err,
		      "out of reach");
}

static void
test_patient__no_waiting_for_what_the_store_puts_off_too_long(void **state)
{
	CLEANUP(store_closep) struct store *inner = store_memory_new();
	struct shaky shaky = {.inner = inner,
			      .fails = UINT32_MAX,
			      .code = ERR_UNREACHABLE,
			      .retry_after_ms = 3600 * 1000};
	CLEANUP(store_closep) struct store *s = patient_over(&shaky, LONG_MS);
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(store_get(s, "a", 0, 1, &b, &err), ERR_UNREACHABLE, &err, "out of reach");
	assert_int_equal(shaky.calls, 1);
}

static void
test_patient__an_upload_whose_answer_was_lost_counts(void **state)
{
	CLEANUP(store_closep) struct store *s = NULL;
	struct store *faulty = store_fault_new(store_memory_new());
	struct err err = ERR_INIT;

	(void)state;
	s = store_patient_new(faulty, LONG_MS);
	store_fault_arm_answer(faulty, 1, ERR_UNREACHABLE);
	CHECK_OK(store_create(s, "a/b", slice_str("ours"), &err), &err);
	assert_true(store_fault_fired(faulty));
	check_content(s, "a/b", "ours");

	store_fault_arm_answer(faulty, 1, ERR_UNREACHABLE);
	CHECK_OK(store_create(s, "a/empty", slice_str(""), &err), &err);
	check_content(s, "a/empty", "");
}

static void
test_patient__another_object_is_not_taken_for_ours(void **state)
{
	static const char *const others[] = {"others", "our", "ours and more", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		CLEANUP(store_closep) struct store *s = NULL;
		struct store *faulty = store_fault_new(store_memory_new());
		struct err err = ERR_INIT;

		s = store_patient_new(faulty, LONG_MS);
		create(s, "a/b", others[i]);
		store_fault_arm(faulty, 1, ERR_UNREACHABLE);
		CHECK_REFUSED(store_create(s, "a/b", slice_str("ours"), &err), ERR_EXISTS, &err,
			      "a/b");
		check_content(s, "a/b", others[i]);
	}
}

static void
test_patient__a_removal_whose_answer_was_lost_counts(void **state)
{
	CLEANUP(store_closep) struct store *s = NULL;
	struct store *faulty = store_fault_new(store_memory_new());
	struct err err = ERR_INIT;

	(void)state;
	s = store_patient_new(faulty, LONG_MS);
	create(s, "a/b", "x");
	store_fault_arm_answer(faulty, 1, ERR_UNREACHABLE);
	CHECK_OK(store_remove(s, "a/b", &err), &err);
	CHECK_REFUSED(store_remove(s, "a/b", &err), ERR_NOENT, &err, "a/b");
}

static void
test_patient__a_listing_tells_each_key_once(void **state)
{
	CLEANUP(store_closep) struct store *inner = store_memory_new();
	struct shaky shaky = {.inner = inner, .code = ERR_UNREACHABLE};
	CLEANUP(store_closep) struct store *s = patient_over(&shaky, LONG_MS);

	(void)state;
	create(inner, "a/1", "x");
	create(inner, "a/2", "xx");
	create(inner, "b/1", "xxx");
	for (shaky.tells = 0; shaky.tells < 3; shaky.tells++) {
		shaky.fails = 1;
		check_list(s, "", false, "a/1:1 a/2:2 b/1:3 ");
		shaky.fails = shaky.tells < 2;
		check_list(s, "", true, "a/ b/ ");
	}
}

static int
refuse(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)entry;
	++*(unsigned *)arg;
	return err_set(err, ERR_UNREACHABLE, "enough");
}

static void
test_patient__who_ends_a_listing_is_not_asked_again(void **state)
{
	CLEANUP(store_closep) struct store *s = store_patient_new(store_memory_new(), LONG_MS);
	struct err err = ERR_INIT;
	unsigned calls = 0;

	(void)state;
	create(s, "a", "x");
	CHECK_REFUSED(store_list(s, "", false, refuse, &calls, &err), ERR_UNREACHABLE, &err,
		      "enough");
	assert_int_equal(calls, 1);
}

static void
test_patient__waits_double_and_honour_the_store(void **state)
{
	unsigned most[12] = {0};

	(void)state;
	for (unsigned round = 0; round < 300; round++)
		for (unsigned tries = 1; tries < ARRAY_LEN(most); tries++)
			most[tries] = (unsigned)max_u64(most[tries], store_backoff_ms(tries, 0));
	assert_in_range(most[1], 1, 100);
	assert_in_range(most[3], 101, 400);
	assert_in_range(most[11], 401, 8000);
	assert_true(store_backoff_ms(1, 5000) >= 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patient__what_passes_is_not_told),
		cmocka_unit_test(test_patient__refusals_are_told_at_once),
		cmocka_unit_test(test_patient__gives_up_in_time),
		cmocka_unit_test(test_patient__no_waiting_for_what_the_store_puts_off_too_long),
		cmocka_unit_test(test_patient__an_upload_whose_answer_was_lost_counts),
		cmocka_unit_test(test_patient__another_object_is_not_taken_for_ours),
		cmocka_unit_test(test_patient__a_removal_whose_answer_was_lost_counts),
		cmocka_unit_test(test_patient__a_listing_tells_each_key_once),
		cmocka_unit_test(test_patient__who_ends_a_listing_is_not_asked_again),
		cmocka_unit_test(test_patient__waits_double_and_honour_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
