/*
 * test_records_link.c - a worker that was taken over, played by hand: what it sends can't make this
 * side read rows that aren't there.
 */
#include "fixture_folder.h"

#include <sys/socket.h>
#include <unistd.h>

#include "records/internal.h"

struct fixture {
	struct records_host *host;
	struct records_db *db;
	int worker; /* its end of the socket */
};

static struct fixture
fixture_new(void)
{
	struct fixture fx = {.db = mem_alloc(sizeof *fx.db)};
	struct err err = ERR_INIT;
	int fds[2];

	CHECK_OK(records_host_start(NULL, &fx.host, &err), &err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fx.db->host = fx.host;
	fx.db->fd = fds[0];
	fx.db->limits.deadline_ms = 60000;
	fx.worker = fds[1];
	return fx;
}

static void
fixture_fini(struct fixture *fx)
{
	records_close(fx->db);
	records_host_stop(fx->host);
	close(fx->worker);
}

static void
say(const struct fixture *fx, struct buf *message)
{
	wire_finish(message);
	assert_int_equal(fd_write_full(fx->worker, message->p, message->len), 0);
}

static void
say_columns(const struct fixture *fx, uint32_t n)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	wire_begin(&b, WIRE_COLUMNS);
	buf_append_u32le(&b, n);
	for (uint32_t i = 0; i < n; i++)
		buf_append_lp(&b, "a", 1);
	say(fx, &b);
}

static void
say_row(const struct fixture *fx, uint32_t n)
{
	static const struct db_value one = {.type = DB_INT, .i = 1};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	wire_begin(&b, WIRE_ROWS);
	for (uint32_t i = 0; i < n; i++)
		wire_put_value(&b, &one);
	say(fx, &b);
}

static void
say_done(const struct fixture *fx)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	wire_begin(&b, WIRE_DONE);
	say(fx, &b);
}

static void
test_records_link__a_schema_in_rows_too_narrow_is_refused(void **state)
{
	(void)state;
	/* The answers about a table, its columns; the last is one column wide. */
	for (unsigned good = 0; good < 2; good++) {
		CLEANUP(fixture_fini) struct fixture fx = fixture_new();
		const struct records_table *t;
		struct err err = ERR_INIT;

		if (good > 0) {
			say_columns(&fx, 3);
			say_row(&fx, 3);
			say_done(&fx);
		}
		say_columns(&fx, 1);
		say_row(&fx, 1);
		say_done(&fx);
		assert_int_equal(records_table(fx.db, slice_str("t"), &t, &err), ERR_CORRUPT);
		assert_false(records_alive(fx.db));
	}
}

static int
note_width(void *arg, const struct records_row *row, struct err *err)
{
	(void)err;
	*(unsigned *)arg = row->n;
	return 0;
}

static void
test_records_link__rows_keep_their_width(void **state)
{
	CLEANUP(fixture_fini) struct fixture fx = fixture_new();
	struct err err = ERR_INIT;
	unsigned width = 0;

	(void)state;
	say_columns(&fx, 2);
	say_row(&fx, 2);
	say_columns(&fx, 5);
	say_row(&fx, 5);
	say_done(&fx);
	assert_int_equal(records_query(fx.db, "SELECT 1, 2", NULL, 0, note_width, &width, &err),
			 ERR_CORRUPT);
	assert_int_equal(width, 2);
	assert_false(records_alive(fx.db));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_link__a_schema_in_rows_too_narrow_is_refused),
		cmocka_unit_test(test_records_link__rows_keep_their_width),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
