/*
 * test_capture.c - databases at one moment: marks, copies, in place, refusals.
 */
#include "fixture_folder.h"

#include <fcntl.h>

#include "tillfs/capture.h"
#include "tillfs/db.h"

/* A database in WAL mode that its application has open. */
struct fixture {
	struct folder *folder;
	int dirfd;
	char *spool;
	struct db *app;
};

static struct fixture *
fixture_new(void)
{
	struct fixture *fx = mem_alloc(sizeof *fx);
	CLEANUP(freep) char *path = NULL;
	struct err err = ERR_INIT;

	fx->folder = folder_new();
	fx->spool = in(fx->folder, "spool");
	fx->dirfd = open(fx->folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	path = in(fx->folder, "pos.db");
	CHECK_OK(db_open(path, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", 1, &fx->app, &err),
		 &err);
	return fx;
}

static void
fixture_free(struct fixture *fx)
{
	db_close(fx->app);
	close(fx->dirfd);
	folder_free(fx->folder);
	free(fx->spool);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

static void
insert(struct fixture *fx, unsigned n)
{
	CLEANUP(freep)
	char *sql = str_format("INSERT INTO t(b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
			       "i+1 FROM n LIMIT %u) SELECT hex(randomblob(400)) FROM n",
			       n);
	struct err err = ERR_INIT;

	CHECK_OK(db_exec(fx->app, sql, &err), &err);
}

static int
begin(struct fixture *fx, bool may_be_in_place, struct capture **ret, struct err *err)
{
	const struct capture_options options = {.spool = fx->spool, .timeout_ms = 100};

	return capture_begin(&options, fx->dirfd, "pos.db", may_be_in_place, ret, err);
}

static void
read_all(const struct capture *c, struct buf *ret)
{
	uint8_t *p;

	buf_reset(ret);
	p = buf_extend(ret, (size_t)capture_len(c));
	assert_int_equal(pread(capture_fd(c), p, ret->len, 0), ret->len);
	capture_fix_header(c, 0, p, ret->len);
}

static void
test_capture__names_of_companions(void **state)
{
	(void)state;
	assert_int_equal(capture_companion_base("pos.db-wal"), 6);
	assert_int_equal(capture_companion_base("pos.db-shm"), 6);
	assert_int_equal(capture_companion_base("pos.db-journal"), 6);
	assert_int_equal(capture_companion_base("-wal"), 0);
	assert_int_equal(capture_companion_base("pos.db"), 0);
}

static void
test_capture__every_commit_changes_the_mark(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct capture_mark before, after;
	static const struct capture_mark none;

	(void)state;
	assert_true(capture_mark(fx->dirfd, "nothing.db", &before));
	assert_memory_equal(&before, &none, sizeof none);
	for (unsigned i = 0; i < 50; i++) {
		struct err err = ERR_INIT;

		assert_true(capture_mark(fx->dirfd, "pos.db", &before));
		insert(fx, 1 + i % 7);
		assert_true(capture_mark(fx->dirfd, "pos.db", &after));
		assert_memory_not_equal(&before, &after, sizeof before);
		/* From now on frames of the log are overwritten from its start. */
		if (i % 20 == 19)
			CHECK_OK(db_exec(fx->app, "PRAGMA wal_checkpoint(RESTART)", &err), &err);
	}
}

static void
test_capture__a_log_that_makes_no_sense_has_no_mark(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(freep) char *path = in(fx->folder, "other.db-wal");
	struct capture_mark mark;

	(void)state;
	write_file(path, slice_str("this is no write-ahead log, however long it may be"));
	assert_false(capture_mark(fx->dirfd, "other.db", &mark));
}

static void
test_capture__a_copy_has_what_stands_in_the_log(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(capture_freep) struct capture *c = NULL;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	insert(fx, 300);
	CHECK_OK(begin(fx, true, &c, &err), &err);
	assert_true(capture_is_copy(c));
	read_all(c, &bytes);
	assert_true(bytes.len > 300 * 800);
	assert_int_equal(bytes.p[18], 1);
	assert_int_equal(bytes.p[19], 1);
	CHECK_OK(capture_finish(c, &err), &err);
	/* The spool's file has no name any more. */
	assert_int_equal(rmdir(fx->spool), 0);
}

static void
test_capture__what_is_read_in_place_must_stay_at_rest(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(freep) char *path = in(fx->folder, "pos.db");
	CLEANUP(capture_freep) struct capture *c = NULL;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;
	uint64_t end = time_monotonic_ms() + 60000;

	(void)state;
	insert(fx, 20);
	db_close(steal_ptr(&fx->app)); /* the last one to close clears the log away */
	for (;;) {
		CHECK_OK(begin(fx, true, &c, &err), &err);
		if (!capture_is_copy(c))
			break;
		capture_free(steal_ptr(&c));
		assert_true(time_monotonic_ms() < end);
		usleep(100000);
	}
	read_all(c, &bytes);
	assert_int_equal(bytes.p[18], 1); /* the file itself says 2 */
	CHECK_OK(capture_finish(c, &err), &err);
	capture_free(steal_ptr(&c));

	CHECK_OK(begin(fx, true, &c, &err), &err);
	assert_false(capture_is_copy(c));
	CHECK_OK(db_open(path, "", 1, &fx->app, &err), &err);
	insert(fx, 1);
	assert_int_equal(capture_finish(c, &err), ERR_BUSY);
	capture_free(steal_ptr(&c));
	CHECK_OK(begin(fx, false, &c, &err), &err);
	assert_true(capture_is_copy(c));
	CHECK_OK(capture_finish(c, &err), &err);
}

static void
test_capture__damage_is_found(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(freep) char *path = in(fx->folder, "pos.db");
	CLEANUP(capture_freep) struct capture *c = NULL;
	struct err err = ERR_INIT;
	uint8_t noise[4096];
	int fd;

	(void)state;
	insert(fx, 200);
	db_close(steal_ptr(&fx->app));
	memset(noise, 0xa5, sizeof noise);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, noise, sizeof noise, 5 * 4096), sizeof noise);
	close(fd);
	CHECK_OK(begin(fx, false, &c, &err), &err);
	CHECK_REFUSED(capture_finish(c, &err), ERR_CORRUPT, &err, "quick_check found");
}

static void
test_capture__what_is_no_database_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(freep) char *path = in(fx->folder, "link.db");
	struct capture *c = NULL;
	struct err err = ERR_INIT;
	const struct capture_options options = {.spool = fx->spool, .timeout_ms = 100};

	(void)state;
	assert_int_equal(symlink("pos.db", path), 0);
	assert_true(capture_begin(&options, fx->dirfd, "link.db", true, &c, &err) < 0);
	assert_int_equal(capture_begin(&options, fx->dirfd, "none.db", true, &c, &err), ERR_NOENT);
	assert_null(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capture__names_of_companions),
		cmocka_unit_test(test_capture__every_commit_changes_the_mark),
		cmocka_unit_test(test_capture__a_log_that_makes_no_sense_has_no_mark),
		cmocka_unit_test(test_capture__a_copy_has_what_stands_in_the_log),
		cmocka_unit_test(test_capture__what_is_read_in_place_must_stay_at_rest),
		cmocka_unit_test(test_capture__damage_is_found),
		cmocka_unit_test(test_capture__what_is_no_database_is_refused),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
