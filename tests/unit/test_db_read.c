/*
 * Reading a database that lies in memory: what is read, what is refused, and what a reader may do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "records/internal.h"
#include "tillfs/db_read.h"

/* A database's bytes; every read is counted, and one may be made to fail. */
struct fixture {
	uint8_t *bytes;
	size_t len;
	unsigned reads, fail_at; /* 0: none fails */
	uint64_t bytes_read;
};

static int
read_bytes(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	struct fixture *f = arg;

	assert_true(off <= f->len && len <= f->len - off);
	if (++f->reads == f->fail_at)
		return err_set(err, ERR_UNREACHABLE, "the store is away");
	f->bytes_read += len;
	memcpy(p, f->bytes + off, len);
	return 0;
}

static void
make(struct fixture *f, const char *sql)
{
	sqlite3_int64 len = 0;
	sqlite3 *db = NULL;

	*f = (struct fixture){0};
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	f->bytes = sqlite3_serialize(db, "main", &len, 0);
	f->len = (size_t)len;
	sqlite3_close(db);
	assert_non_null(f->bytes);
}

static void
fini(struct fixture *f)
{
	sqlite3_free(f->bytes);
}

static int
open_db(struct fixture *f, struct db_read **ret, struct err *err)
{
	const struct db_limits limits = {.value = MIB};
	const struct db_files files = {.main = {f->len, read_bytes, f}};

	return db_read_open(&files, 1, &limits, ret, err);
}

static int
start(struct db_read *db, const char *sql, struct err *err)
{
	return db_read_start(db, slice_str(sql), NULL, 0, 0, err);
}

#define MANY_ROWS                                                                                  \
	"CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);"                                          \
	"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000)"              \
	" INSERT INTO t SELECT x, 'value ' || x FROM c;"

static void
test_db_read__one_row_costs_a_few_pages(void **state)
{
	CLEANUP(fini) struct fixture f;
	CLEANUP(db_read_closep) struct db_read *db = NULL;
	struct err err = ERR_INIT;

	(void)state;
	make(&f, MANY_ROWS);
	assert_int_equal(open_db(&f, &db, &err), 0);
	assert_int_equal(start(db, "SELECT v FROM t WHERE id = 12345", &err), 0);
	assert_int_equal(db_read_step(db, &err), 1);
	assert_true(slice_equal(db_read_value(db, 0).b, slice_str("value 12345")));
	assert_int_equal(db_read_step(db, &err), 0);
	assert_true(f.bytes_read < 40 * KIB && f.len > 300 * KIB);
}

static void
test_db_read__every_failed_read_is_an_error_in_its_own_words(void **state)
{
	CLEANUP(fini) struct fixture f;
	bool whole = false;

	(void)state;
	make(&f, MANY_ROWS);
	for (unsigned nth = 1; !whole; nth += nth < 8 ? 1 : 17) {
		CLEANUP(db_read_closep) struct db_read *db = NULL;
		struct err err = ERR_INIT;
		int r;

		f.reads = 0;
		f.fail_at = nth;
		r = open_db(&f, &db, &err);
		if (r == 0)
			r = start(db, "SELECT sum(length(v)) FROM t", &err);
		while (r == 0 && (r = db_read_step(db, &err)) == 1)
			r = 0;
		whole = f.reads < nth;
		if (whole)
			break;
		assert_int_equal(r, ERR_UNREACHABLE);
		assert_string_equal(err.msg, "the store is away");
	}
	assert_true(whole);
}

static void
test_db_read__what_would_do_more_than_read_is_refused(void **state)
{
	static const struct {
		const char *sql;
		int code;
	} cases[] = {
		{"DELETE FROM t", ERR_DENIED},
		{"ATTACH 'main' AS again", ERR_DENIED},
		{"PRAGMA writable_schema = 1", ERR_DENIED},
		{"CREATE TEMP TABLE x(y)", ERR_DENIED},
		{"SELECT load_extension('x')", ERR_DENIED},
		{"SELECT 1; SELECT 2", ERR_INVALID},
		{"SELECT nonsense", ERR_INVALID},
		{"", ERR_INVALID},
		{"-- nothing", ERR_INVALID},
	};
	CLEANUP(fini) struct fixture f;
	CLEANUP(db_read_closep) struct db_read *db = NULL;
	struct err err = ERR_INIT;

	(void)state;
	make(&f, MANY_ROWS);
	assert_int_equal(open_db(&f, &db, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(start(db, cases[i].sql, &err), cases[i].code);
	/* And it still works. */
	assert_int_equal(start(db, "SELECT count(*) FROM t;  ; -- the end", &err), 0);
	assert_int_equal(db_read_step(db, &err), 1);
	assert_int_equal(db_read_value(db, 0).i, 20000);
}

static void
test_db_read__limits_hold(void **state)
{
	CLEANUP(fini) struct fixture f;
	CLEANUP(db_read_closep) struct db_read *db = NULL;
	struct err err = ERR_INIT;

	(void)state;
	make(&f, MANY_ROWS);
	assert_int_equal(open_db(&f, &db, &err), 0);
	assert_int_equal(start(db, "SELECT zeroblob(2000000)", &err), 0);
	assert_int_equal(db_read_step(db, &err), ERR_NOSPACE);
	assert_int_equal(db_read_start(db,
				       slice_str("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL "
						 "SELECT x + 1 FROM c) SELECT max(x) FROM c"),
				       NULL, 0, 20, &err),
			 0);
	assert_int_equal(db_read_step(db, &err), ERR_UNREACHABLE);
}

static void
test_db_read__any_flipped_byte_gives_rows_or_an_error(void **state)
{
	CLEANUP(fini) struct fixture f;

	(void)state;
	make(&f, "CREATE TABLE t(a PRIMARY KEY, b) WITHOUT ROWID; CREATE INDEX i ON t(b);"
		 "INSERT INTO t VALUES(1, 'x'), (2, zeroblob(9000)), ('y', 2.5);");
	for (size_t i = 0; i < f.len; i += i < 512 ? 1 : 37) {
		CLEANUP(db_read_closep) struct db_read *db = NULL;
		struct err err = ERR_INIT;
		uint8_t was = f.bytes[i];
		int r;

		f.bytes[i] ^= (uint8_t)(1u + i % 255);
		r = open_db(&f, &db, &err);
		if (r == 0)
			r = start(db, "SELECT * FROM t ORDER BY b", &err);
		while (r == 0 && (r = db_read_step(db, &err)) == 1)
			r = 0;
		assert_true(r == 0 || err.msg[0] != '\0');
		f.bytes[i] = was;
	}
}

/* ---- the cage -------------------------------------------------------------------------- */

/* What a caged process could do that it must not; it ends with a bit for each. */
static _Noreturn void
try_to_break_out(int fd)
{
	int what = 0;
	char byte = 1;

	if (!cage_enter(fd))
		_exit(255);
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		what |= 1;
	if (fork() >= 0 || errno != EPERM)
		what |= 2;
	if (execl("/bin/true", "true", NULL) == 0 || errno != EPERM)
		what |= 4;
	if (unlink("/tmp/tillfs-there-is-no-such-file") == 0 || errno != EPERM)
		what |= 8;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		what |= 16;
	if (kill(getppid(), 0) == 0)
		what |= 32;
	if (write(fd, &byte, 1) != 1)
		what |= 64;
	_exit(what);
}

static void
test_cage__a_worker_can_only_talk_to_its_socket(void **state)
{
	int fds[2], status = 0;
	char byte = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		try_to_break_out(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_db_read__one_row_costs_a_few_pages),
		cmocka_unit_test(test_db_read__every_failed_read_is_an_error_in_its_own_words),
		cmocka_unit_test(test_db_read__what_would_do_more_than_read_is_refused),
		cmocka_unit_test(test_db_read__limits_hold),
		cmocka_unit_test(test_db_read__any_flipped_byte_gives_rows_or_an_error),
		cmocka_unit_test(test_cage__a_worker_can_only_talk_to_its_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
