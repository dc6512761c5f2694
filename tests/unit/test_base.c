/*
 * test_base.c - errors, memory, bytes, hexadecimal, the log, files.
 */
#include "fixture_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- errors ---- */

static void
test_err__is_described_and_returned_in_one_statement(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_CORRUPT, "pack %d", 7), ERR_CORRUPT);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_string_equal(err.msg, "pack 7");
	assert_non_null(strstr(err.file, "test_base.c"));
	assert_int_equal(err_set(NULL, ERR_CORRUPT, "nobody asked"), ERR_CORRUPT);
}

static void
test_err__context_is_put_before(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_CORRUPT, "bad length");
	assert_int_equal(err_add(&err, ERR_AUTH, "pack %s", "c4"), ERR_AUTH);
	assert_string_equal(err.msg, "pack c4: bad length");
	assert_int_equal(err.code, ERR_AUTH);

	err_set(&err, ERR_IO, "again: %s", err.msg); /* may quote itself */
	assert_string_equal(err.msg, "again: pack c4: bad length");
	assert_int_equal(err_add(NULL, ERR_AUTH, "nobody asked"), ERR_AUTH);
}

static void
test_err__long_text_is_cut_and_stays_a_string(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_IO, "%0*d", 5000, 1);
	assert_int_equal(strlen(err.msg), ERR_MESSAGE_MAX - 1);
	err_add(&err, ERR_IO, "%0*d", 100, 2);
	assert_int_equal(strlen(err.msg), ERR_MESSAGE_MAX - 1);
	assert_memory_equal(err.msg + 98, "02: 000", 7);
	err_add(&err, ERR_IO, "%0*d", 5000, 3);
	assert_int_equal(strlen(err.msg), ERR_MESSAGE_MAX - 1);
}

static void
test_err__errno_becomes_what_a_caller_acts_on(void **state)
{
	static const struct {
		int sys_errno, code;
	} known[] = {{ENOENT, ERR_NOENT}, {EEXIST, ERR_EXISTS},  {EACCES, ERR_DENIED},
		     {EPERM, ERR_DENIED}, {ENOSPC, ERR_NOSPACE}, {EDQUOT, ERR_NOSPACE},
		     {EIO, ERR_IO},       {EMFILE, ERR_IO}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct err err = ERR_INIT;
		CLEANUP(freep)
		char *expected = str_format("opening x: %s", strerror(known[i].sys_errno));

		errno = known[i].sys_errno;
		assert_int_equal(err_sys(&err, "opening %s", "x"), known[i].code);
		assert_string_equal(err.msg, expected);
		assert_int_equal(err.sys_errno, known[i].code == ERR_IO ? known[i].sys_errno : 0);
		assert_int_equal(errno, known[i].sys_errno);
	}
}

static void
test_err__every_code_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = ERR_NOSPACE; a <= 0; a++) {
		assert_string_not_equal(err_name(a), "unknown");
		for (int b = ERR_NOSPACE; b < a; b++)
			assert_string_not_equal(err_name(a), err_name(b));
	}
	assert_string_equal(err_name(-1000), "unknown");
}

/* ---- memory ---- */

/* Runs @fn in a child; its exit status, or -1 when a signal ended it. */
static int
exit_status_of(void (*fn)(void))
{
	pid_t pid;
	int status = 0;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		closep(&(int){STDERR_FILENO});
		fn();
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
array_too_large(void)
{
	free(mem_array(SIZE_MAX / 8, 16));
}

static void
growth_too_large(void)
{
	free(mem_grow(NULL, SIZE_MAX / 2, 3));
}

static void
reservation_too_large(void)
{
	struct buf b = BUF_INIT;

	buf_append_u8(&b, 1);
	buf_reserve(&b, SIZE_MAX);
}

/* A sanitizer's allocator may end it first, with a status of its own. */
static void
check_ends(void (*fn)(void))
{
	int status = exit_status_of(fn);

	assert_true(status > 0 && status != 99);
}

static void
test_mem__what_cannot_be_had_ends_the_process_and_not_with_a_core(void **state)
{
	(void)state;
	check_ends(array_too_large);
	check_ends(growth_too_large);
	check_ends(reservation_too_large);
}

static void
test_mem__nothing_is_something_to_free(void **state)
{
	CLEANUP(freep) void *a = mem_alloc(0);
	CLEANUP(freep) void *b = mem_array(0, 8);
	CLEANUP(freep) void *c = mem_copy(NULL, 0);
	CLEANUP(freep) void *d = mem_grow(NULL, 0, 8);

	(void)state;
	assert_true(a != NULL && b != NULL && c != NULL && d != NULL);
}

static void
test_mem__allocations_are_zeroed(void **state)
{
	static const uint8_t zero[4096];
	CLEANUP(freep) uint8_t *a = mem_array(64, 64);

	(void)state;
	assert_memory_equal(a, zero, sizeof zero);
}

static void
test_closep__leaves_errno_alone(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), old = fd;

	(void)state;
	errno = EXDEV;
	closep(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	errno = EXDEV;
	closep(&fd); /* of none */
	assert_int_equal(errno, EXDEV);
}

/* ---- bytes ---- */

static void
test_buf__appends_each_kind(void **state)
{
	static const uint8_t expected[] = {'a', 'b', 7, 4, 3, 2, 1, 8,   7,   6,   5,   4,
					   3,   2,   1, 3, 0, 0, 0, 'x', 'y', 'z', '1', '2'};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	buf_append_str(&b, "ab");
	buf_append_u8(&b, 7);
	buf_append_u32le(&b, 0x01020304);
	buf_append_u64le(&b, UINT64_C(0x0102030405060708));
	buf_append_lp(&b, "xyz", 3);
	buf_appendf(&b, "%d", 12);
	buf_append(&b, NULL, 0);
	buf_appendf(&b, "%s", "");
	check_bytes(buf_slice(&b), slice_of(expected, sizeof expected));
	assert_int_equal(strlen(buf_cstr(&b)), 16); /* up to the first NUL of the length */
	assert_int_equal(b.len, sizeof expected);
}

static void
test_buf__grows_over_any_length(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		buf_append_u32le(&b, i);
	assert_int_equal(b.len, 400000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(b.p[4 * i] | b.p[4 * i + 1] << 8 | b.p[4 * i + 2] << 16, i);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_true(b.cap >= 400000);
}

static void
test_buf__empty_ones_have_addresses(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	assert_non_null(buf_extend(&b, 0));
	assert_int_equal(b.len, 0);
}

static void
test_buf__moves_what_it_owns(void **state)
{
	CLEANUP(buf_fini) struct buf from = BUF_INIT;
	CLEANUP(buf_fini) struct buf to = BUF_INIT;

	(void)state;
	buf_append_str(&to, "old");
	buf_append_str(&from, "new");
	buf_move(&to, &from);
	check_bytes(buf_slice(&to), slice_str("new"));
	assert_null(from.p);
	buf_move(&to, &to);
	check_bytes(buf_slice(&to), slice_str("new"));
}

static void
test_slice__order_is_that_of_bytes_and_shorter_first(void **state)
{
	static const char *const ascending[] = {"",  "a",    "a\x01", "ab",
						"b", "\x7f", "\x80",  "\xff"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ascending); i++)
		for (size_t j = 0; j < ARRAY_LEN(ascending); j++) {
			struct slice a = slice_str(ascending[i]), b = slice_str(ascending[j]);
			int c = slice_cmp(a, b);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
			assert_int_equal(slice_equal(a, b), i == j);
		}
	assert_true(slice_equal(slice_of(NULL, 0), slice_str("")));
}

/* ---- hexadecimal ---- */

static void
test_hex__is_lower_case_both_ways(void **state)
{
	struct hash h = {{0x01, 0xab, 0xff, 0x10, 0x00, 0x7e}}, back;
	struct hex64 text = hex(&h);

	(void)state;
	assert_int_equal(strlen(text.s), 64);
	assert_memory_equal(text.s, "01abff10007e0000", 16);
	assert_string_equal(hex_short(&h).s, "01abff10007e");
	assert_string_equal(hex_bytes(h.b, 3).s, "01abff");
	assert_string_equal(hex_bytes(h.b, 0).s, "");
	assert_true(hex_parse(slice_str(text.s), &back, sizeof back));
	assert_true(hash_equal(&h, &back));
}

static void
test_hex__refuses_other_spellings(void **state)
{
	static const char *const refused[] = {"",     "0",      "01a",  "01AB",    "01ag", "0x01",
					      " 1ab", "01abff", "+1ab", "01a\x80", "01 b"};
	uint8_t out[2] = {1, 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_false(hex_parse(slice_str(refused[i]), out, sizeof out));
		assert_int_equal(out[0] | out[1], 0);
	}
	assert_true(hex_parse(slice_str("01ab"), out, sizeof out));
}

/* ---- log ---- */

static void *
write_many(void *arg)
{
	for (int i = 0; i < 2000; i++)
		log_write(LOG_INFO, "thread %s line %d", (const char *)arg, i);
	return NULL;
}

static void
test_log__keeps_the_latest_lines_whole(void **state)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	pthread_t threads[2];
	size_t lines = 0;

	(void)state;
	log_write(LOG_WARN, "name\nwith\x1b[2J%s", "control");
	log_snapshot(&text);
	assert_non_null(strstr(buf_cstr(&text), "warning: name?with?[2Jcontrol\n"));

	assert_int_equal(pthread_create(&threads[0], NULL, write_many, "a"), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, write_many, "b"), 0);
	assert_int_equal(pthread_join(threads[0], NULL) | pthread_join(threads[1], NULL), 0);
	log_write(LOG_ERROR, "the last %0*d", 5000, 0);
	log_snapshot(&text);

	for (const char *line = buf_cstr(&text); *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_int_equal(line[4], '-'); /* each begins with a time */
		assert_non_null(strstr(line, "Z "));
		lines++;
	}
	assert_int_equal(lines, 1024);
	assert_null(strstr(buf_cstr(&text), "name?"));
	assert_non_null(strstr(buf_cstr(&text), " error: the last 00"));
}

/* ---- files ---- */

static void
test_file__read_is_bounded(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "x");
	CLEANUP(freep) char *missing = in(f, "missing");
	CLEANUP(freep) uint8_t *big = mem_alloc(200000);
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	memset(big, 'x', 200000);
	write_file(path, slice_of(big, 200000));
	CHECK_OK(file_read(path, 200000, &b, &err), &err);
	check_bytes(buf_slice(&b), slice_of(big, 200000));
	CHECK_OK(file_read(path, 200001, &b, &err), &err);
	assert_int_equal(b.len, 200000);
	CHECK_REFUSED(file_read(path, 199999, &b, &err), ERR_INVALID, &err, "199999");
	assert_int_equal(b.len, 0);
	CHECK_REFUSED(file_read(path, 0, &b, &err), ERR_INVALID, &err, path);
	CHECK_REFUSED(file_read(missing, 10, &b, &err), ERR_NOENT, &err, missing);
	CHECK_REFUSED(file_read(f->path, 10, &b, &err), ERR_IO, &err, f->path);
	CHECK_REFUSED(file_read("/dev/zero", 1000, &b, &err), ERR_INVALID, &err, "/dev/zero");
}

static void
test_file__write_replaces_as_a_whole(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "x");
	CLEANUP(freep) char *nowhere = in(f, "no/x");
	CLEANUP(freep) char *listing = str_format("test $(ls -A %s | wc -l) = 1", f->path);
	struct err err = ERR_INIT;

	(void)state;
	write_file(path, slice_str("one"));
	CHECK_OK(file_write_atomic(path, slice_str(""), 0640, &err), &err);
	CLEANUP(freep) char *text = text_of(path);
	assert_string_equal(text, "");
	assert_int_equal(mode_of(path), 0640);
	CHECK_REFUSED(file_write_atomic(nowhere, slice_str("x"), 0600, &err), ERR_NOENT, &err,
		      nowhere);
	CHECK_REFUSED(file_write_atomic(f->path, slice_str("x"), 0600, &err), ERR_IO, &err,
		      f->path);
	assert_int_equal(system(listing), 0); /* no temporary file stays */
}

static void
test_file__a_full_disk_leaves_the_old_content(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(file_write_atomic("/dev/full/x", slice_str("x"), 0600, &err), ERR_IO, &err,
		      "/dev/full/x");
	assert_int_equal(fd_write_full(open("/dev/full", O_WRONLY | O_CLOEXEC), "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
}

static void
test_dir_make__makes_what_is_missing(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *deep = in(f, "a/b//c/");
	CLEANUP(freep) char *c = in(f, "a/b/c");
	CLEANUP(freep) char *file = in(f, "file");
	CLEANUP(freep) char *below = in(f, "file/x");
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(dir_make(deep, &err), &err);
	assert_int_equal(mode_of(c), 0700);
	CHECK_OK(dir_make(c, &err), &err);
	CHECK_OK(dir_make("/", &err), &err);
	write_file(file, slice_str(""));
	CHECK_REFUSED(dir_make(file, &err), ERR_EXISTS, &err, file);
	CHECK_REFUSED(dir_make(below, &err), ERR_IO, &err, below);
	CHECK_REFUSED(dir_make("", &err), ERR_NOENT, &err, "folder");
}

/* A pipe hands out a few bytes at a time. */
static void
test_fd__reads_and_writes_whole_through_a_pipe(void **state)
{
	CLEANUP(freep) uint8_t *sent = mem_alloc(1000000);
	CLEANUP(freep) uint8_t *got = mem_alloc(1000001);
	struct rng rng = rng_start("pipe");
	int fds[2], status;
	pid_t pid;

	(void)state;
	rng_bytes(&rng, sent, 1000000);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		_exit(fd_write_full(fds[1], sent, 1000000) == 0 ? 0 : 1);
	closep(&fds[1]);
	assert_int_equal(fd_read_full(fds[0], got, 1000001), 1000000);
	assert_memory_equal(sent, got, 1000000);
	closep(&fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(fd_read_full(-1, got, 1), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err__is_described_and_returned_in_one_statement),
		cmocka_unit_test(test_err__context_is_put_before),
		cmocka_unit_test(test_err__long_text_is_cut_and_stays_a_string),
		cmocka_unit_test(test_err__errno_becomes_what_a_caller_acts_on),
		cmocka_unit_test(test_err__every_code_has_a_name_of_its_own),
		cmocka_unit_test(test_mem__what_cannot_be_had_ends_the_process_and_not_with_a_core),
		cmocka_unit_test(test_mem__nothing_is_something_to_free),
		cmocka_unit_test(test_mem__allocations_are_zeroed),
		cmocka_unit_test(test_closep__leaves_errno_alone),
		cmocka_unit_test(test_buf__appends_each_kind),
		cmocka_unit_test(test_buf__grows_over_any_length),
		cmocka_unit_test(test_buf__empty_ones_have_addresses),
		cmocka_unit_test(test_buf__moves_what_it_owns),
		cmocka_unit_test(test_slice__order_is_that_of_bytes_and_shorter_first),
		cmocka_unit_test(test_hex__is_lower_case_both_ways),
		cmocka_unit_test(test_hex__refuses_other_spellings),
		cmocka_unit_test(test_log__keeps_the_latest_lines_whole),
		cmocka_unit_test(test_file__read_is_bounded),
		cmocka_unit_test(test_file__write_replaces_as_a_whole),
		cmocka_unit_test(test_file__a_full_disk_leaves_the_old_content),
		cmocka_unit_test(test_dir_make__makes_what_is_missing),
		cmocka_unit_test(test_fd__reads_and_writes_whole_through_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
