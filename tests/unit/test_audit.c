/*
 * The access log: its chain, its heads, sessions that can't write, threads that record at once.
 */
#include "fixture_folder.h"

#include <pthread.h>

#include "audit/internal.h"

struct fixture {
	struct folder *folder;
	struct seal_pair *pair;
	char *path;
};

static void
fixture_fini(struct fixture *fx)
{
	secret_free(fx->pair);
	free(fx->path);
	folder_free(fx->folder);
}

static struct fixture
fixture_new(void)
{
	struct fixture fx = {.folder = folder_new()};
	struct seal_key seed;

	seal_random(seed.b, sizeof seed.b);
	fx.pair = secret_new(sizeof *fx.pair);
	seal_pair_from_seed(&seed, fx.pair);
	fx.path = in(fx.folder, "access.db");
	return fx;
}

static struct audit *
open_log(const struct fixture *fx, bool required)
{
	struct audit_options o = {.path = fx->path,
				  .state = fx->folder->path,
				  .signer = fx->pair,
				  .case_ref = "A-1",
				  .required = required};
	struct err err = ERR_INIT;
	struct audit *a;

	CHECK_OK(audit_open(&o, &a, &err), &err);
	return a;
}

static uint64_t
record(struct audit *a, const char *path)
{
	struct audit_event e = {.kind = "open",
				.snapshot = "2026-11-20/till",
				.path = slice_str(path)};
	struct err err = ERR_INIT;
	uint64_t number;

	CHECK_OK(audit_record(a, &e, &number, &err), &err);
	return number;
}

static void
close_log(struct audit *a)
{
	struct err err = ERR_INIT;

	CHECK_OK(audit_close(a, &err), &err);
}

static void
check_verdict(const struct fixture *fx, uint64_t entries, size_t findings)
{
	CLEANUP(audit_verdict_fini) struct audit_verdict v;
	struct err err = ERR_INIT;

	CHECK_OK(audit_verify(fx->path, NULL, 0, NULL, &v, &err), &err);
	assert_int_equal(v.entries, entries);
	if (v.n_findings != findings)
		fail_msg("%zu findings: %s", v.n_findings, v.n_findings > 0 ? v.findings[0] : "");
}

/* What an entry of a number says. */
struct wanted {
	uint64_t seq;
	char text[256];
};

static int
take(void *arg, const struct audit_entry *e, struct err *err)
{
	struct wanted *w = arg;

	(void)err;
	if (e->seq == w->seq)
		(void)snprintf(w->text, sizeof w->text, "%.*s %.*s %llu %.*s %.*s",
			       (int)e->kind.len, e->kind.p, (int)e->path.len, e->path.p,
			       (unsigned long long)e->bytes, (int)e->result.len, e->result.p,
			       (int)e->case_ref.len, e->case_ref.p);
	return 0;
}

static void
check_entry(const struct fixture *fx, uint64_t seq, const char *text)
{
	struct wanted w = {.seq = seq};
	struct err err = ERR_INIT;

	CHECK_OK(audit_read(fx->path, NULL, take, &w, &err), &err);
	assert_string_equal(w.text, text);
}

/* Whether it was: the thread that writes may come in between. */
static bool
is_one_entry(void)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	CLEANUP(audit_verdict_fini) struct audit_verdict v;
	struct audit *a = open_log(&fx, false);
	struct err err = ERR_INIT;

	audit_end(a, record(a, "a"), 17, 0, NULL);
	close_log(a);
	CHECK_OK(audit_verify(fx.path, NULL, 0, NULL, &v, &err), &err);
	assert_int_equal(v.n_findings, 0);
	if (v.entries == 3)
		check_entry(&fx, 2, "open a 17 ok A-1");
	return v.entries == 3;
}

static void
test_audit__an_event_that_ends_at_once_is_one_entry(void **state)
{
	int tries = 1;

	(void)state;
	while (!is_one_entry())
		assert_true(tries++ < 20);
}

static void
test_audit__required_an_event_and_its_end_are_two(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	struct audit *a = open_log(&fx, true);

	(void)state;
	audit_end(a, record(a, "a"), 17, ERR_CORRUPT, "rotten");
	close_log(a);
	check_verdict(&fx, 4, 0);
	check_entry(&fx, 2, "open a 0 ok A-1");
	check_entry(&fx, 3, "close  17 corrupt A-1");
}

#define THREADS 8
#define EVENTS  200

static void *
record_many(void *arg)
{
	for (int i = 0; i < EVENTS; i++)
		audit_end(arg, record(arg, "x"), 1, 0, NULL);
	return NULL;
}

static void
test_audit__threads_record_at_once(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	struct audit *a = open_log(&fx, true);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, record_many, a), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close_log(a);
	check_verdict(&fx, 2 + 2 * THREADS * EVENTS, 0);
}

static void
exec(const struct fixture *fx, const char *sql)
{
	CLEANUP(db_closep) struct db *db = NULL;
	struct err err = ERR_INIT;

	CHECK_OK(db_open(fx->path, "", 1, &db, &err), &err);
	CHECK_OK(db_exec(db, sql, &err), &err);
}

static void
test_audit__what_cannot_be_written_is_refused_then_told(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	struct audit *a = open_log(&fx, true);
	struct audit_event e = {.kind = "open", .path = slice_str("a")};
	struct err err = ERR_INIT;
	struct wanted w;
	uint64_t number;

	(void)state;
	exec(&fx, "CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'no "
		  "room'); END");
	assert_true(audit_record(a, &e, &number, &err) < 0);
	assert_int_equal(number, 0);
	assert_non_null(strstr(err.msg, "no room"));
	exec(&fx, "DROP TRIGGER full");
	record(a, "b");
	close_log(a);
	check_verdict(&fx, 4, 0);
	/* Which of the two comes first is a matter of when the writer looks. */
	w = (struct wanted){.seq = 2};
	CHECK_OK(audit_read(fx.path, NULL, take, &w, &err), &err);
	check_entry(&fx, strncmp(w.text, "lost", 4) == 0 ? 3 : 2, "open b 0 ok A-1");
	check_entry(&fx, strncmp(w.text, "lost", 4) == 0 ? 2 : 3, "lost  0 ok A-1");
}

static void
test_audit__a_head_survives_a_round_trip_and_no_change(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(freep) char *key = NULL;
	struct audit_head h = {
		.has_repo = true, .repo = {{1, 2}}, .log = {3}, .seq = 42, .time = 5};
	struct audit_head back;
	struct err err = ERR_INIT;

	(void)state;
	audit_head_encode(&h, fx.pair, &bytes);
	CHECK_OK(audit_head_parse(buf_slice(&bytes), &back, &err), &err);
	assert_true(back.has_repo && back.seq == 42 && back.time == 5);
	assert_memory_equal(back.log, h.log, sizeof h.log);
	key = audit_head_key(&back, buf_slice(&bytes));
	assert_non_null(strstr(key, "/0000000000000042-"));
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.p[i] ^= 1;
		assert_true(audit_head_parse(buf_slice(&bytes), &back, &err) < 0);
		assert_int_equal(back.seq, 0);
		bytes.p[i] ^= 1;
	}
}

static void
test_audit__a_reason_that_is_too_long_is_refused(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	CLEANUP(freep) char *reason = mem_alloc(AUDIT_TEXT_MAX + 2);
	struct audit_options o = {.path = fx.path, .signer = fx.pair, .reason = reason};
	struct err err = ERR_INIT;
	struct audit *a;

	(void)state;
	memset(reason, 'x', AUDIT_TEXT_MAX + 1);
	assert_int_equal(audit_open(&o, &a, &err), ERR_INVALID);
	assert_null(a);
}

/* Two processes may sign in another order than that of their entries. */
static void
test_audit__what_is_remembered_of_a_log_only_rises(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	static const struct {
		uint64_t seq, then;
		bool lower;
	} steps[] = {{5, 5, false}, {4, 5, false}, {6, 6, false}, {3, 3, true}};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		CLEANUP(buf_fini) struct buf found = BUF_INIT;
		struct audit_head head = {.log = "a log's own id.", .seq = steps[i].seq}, pin;

		audit_head_encode(&head, fx.pair, &bytes);
		CHECK_OK(audit_pin_write(fx.folder->path, &head, buf_slice(&bytes), steps[i].lower,
					 &err),
			 &err);
		CHECK_OK(audit_pin_read(fx.folder->path, head.log, &found, &err), &err);
		CHECK_OK(audit_head_parse(buf_slice(&found), &pin, &err), &err);
		assert_int_equal(pin.seq, steps[i].then);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_audit__an_event_that_ends_at_once_is_one_entry),
		cmocka_unit_test(test_audit__required_an_event_and_its_end_are_two),
		cmocka_unit_test(test_audit__threads_record_at_once),
		cmocka_unit_test(test_audit__what_cannot_be_written_is_refused_then_told),
		cmocka_unit_test(test_audit__a_head_survives_a_round_trip_and_no_change),
		cmocka_unit_test(test_audit__a_reason_that_is_too_long_is_refused),
		cmocka_unit_test(test_audit__what_is_remembered_of_a_log_only_rises),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
