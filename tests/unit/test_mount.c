/*
 * test_mount.c - the parts of the mount that need no kernel: options, errno values, places, and
 * going to the background.  What a mount does is tested in tests/system.
 */
#include "fixture_format.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount/private.h"

/* ---- options ---- */

static void
check_options(const char *given, const char *expected, bool expect_other)
{
	struct mount_options options = {.source = "file:///a,b\\c", .fuse = given};
	CLEANUP(freep) char *text = NULL;
	struct err err = ERR_INIT;
	bool other;

	CHECK_OK(mount_options_parse(&options, &text, &other, &err), &err);
	assert_string_equal(text, expected);
	assert_int_equal(other, expect_other);
}

#define ALWAYS "ro,subtype=tillfs,fsname=file:///a\\,b\\\\c"

static void
test_mount__options_are_safe_by_default(void **state)
{
	(void)state;
	check_options(NULL, ALWAYS ",nosuid,nodev,noexec", false);
	check_options("rw,defaults,_netdev,x-systemd.automount,comment=x,,noauto",
		      ALWAYS ",nosuid,nodev,noexec", false);
	check_options("exec,noatime", ALWAYS ",nosuid,nodev,exec,noatime", false);
	check_options("suid,dev", ALWAYS ",noexec,suid,dev", false);
}

static void
test_mount__others_are_let_in_only_as_far_as_modes_allow(void **state)
{
	(void)state;
	check_options("allow_other", ALWAYS ",nosuid,nodev,noexec,allow_other,default_permissions",
		      true);
	check_options("default_permissions,allow_other",
		      ALWAYS ",nosuid,nodev,noexec,default_permissions,allow_other", true);
}

static void
test_mount__unknown_options_are_named(void **state)
{
	static const char *const unknown[] = {"bogus",     "noatime,bogus", "bogus=1",
					      "exec=1",    "max_read",      "fsname=x",
					      "subtype=x", "allow_others"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		struct mount_options options = {.source = "x", .fuse = unknown[i]};
		const char *name =
			strncmp(unknown[i], "noatime,", 8) == 0 ? unknown[i] + 8 : unknown[i];
		struct err err = ERR_INIT;
		char *text = NULL;
		bool other;

		CHECK_REFUSED(mount_options_parse(&options, &text, &other, &err), ERR_INVALID, &err,
			      name);
		assert_null(text);
	}
}

static void
test_mount__every_error_has_an_errno(void **state)
{
	(void)state;
	for (int code = ERR_NOSPACE; code <= ERR_IO; code++)
		assert_true(mount_errno(code) > 0);
	assert_int_equal(mount_errno(ERR_NOENT), ENOENT);
	assert_int_equal(mount_errno(ERR_CORRUPT), EIO);
	assert_int_equal(mount_errno(ERR_AUTH), EIO);
	assert_int_equal(mount_errno(ERR_UNREACHABLE), ETIMEDOUT);
	assert_int_equal(mount_errno(ERR_DENIED), EACCES);
	assert_int_equal(mount_errno(-1000), EIO);
}

/* ---- places ---- */

static void
test_mount__a_mount_point_must_be_a_folder(void **state)
{
	char dir[] = "/tmp/tillfs-test-XXXXXX";
	CLEANUP(freep) char *file = NULL;
	struct err err = ERR_INIT;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = str_format("%s/file", dir);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);

	CHECK_OK(mount_check_dir(dir, &err), &err);
	CHECK_REFUSED(mount_check_dir(file, &err), ERR_INVALID, &err, file);
	assert_int_equal(unlink(file), 0);
	CHECK_REFUSED(mount_check_dir(file, &err), ERR_NOENT, &err, file);
	CHECK_REFUSED(mount_unmount(dir, false, &err), ERR_INVALID, &err, "not a tillfs mount");
	assert_false(mount_is_tillfs(dir));
	assert_false(mount_is_tillfs("/proc"));
	assert_int_equal(rmdir(dir), 0);
}

static void
test_mount__mounts_of_others_are_found(void **state)
{
	struct mountinfo m;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(mountinfo_on("/proc", &m, &err), &err);
	assert_string_equal(m.dir, "/proc");
	assert_string_equal(m.fstype, "proc");
	mountinfo_fini(&m);
	assert_int_equal(mountinfo_on("/proc/self", &m, &err), ERR_NOENT);
	CHECK_REFUSED(mount_unmount("/proc", false, &err), ERR_INVALID, &err, "/proc");
}

static void
check_canonical(const char *dir, const char *expected)
{
	CLEANUP(freep) char *path = NULL;
	struct err err = ERR_INIT;

	CHECK_OK(mount_canonical(dir, &path, &err), &err);
	assert_string_equal(path, expected);
}

static void
test_mount__paths_become_absolute(void **state)
{
	(void)state;
	assert_int_equal(chdir("/proc"), 0);
	check_canonical("sys", "/proc/sys");
	check_canonical("/proc//sys/", "/proc/sys");
	check_canonical("sys/../sys/.", "/proc/sys");
	check_canonical("/", "/");
	assert_int_equal(chdir("/"), 0);
}

/* ---- the background ---- */

/*
 * Runs a command's process that goes to the background and reports @failure, or ends with @code
 * without a word.  Return: the status that the caller of the command sees; @said: standard error.
 */
static int
run_daemon(bool report, const char *failure, int code, char *said, size_t said_size)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct mount_daemon *d;

		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		if (mount_daemonize(false, &d, NULL) < 0)
			_exit(100);
		if (report)
			mount_daemon_report(d, failure);
		_exit(code);
	}
	close(fds[1]);
	while ((n = read(fds[0], said + len, said_size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_mount__the_command_ends_as_the_mount_began(void **state)
{
	char said[256];

	(void)state;
	assert_int_equal(run_daemon(true, NULL, 0, said, sizeof said), 0);
	assert_string_equal(said, "");
	assert_int_equal(run_daemon(true, "no such repository", 0, said, sizeof said), 1);
	assert_string_equal(said, "tillfs: no such repository\n");
	assert_int_equal(run_daemon(false, NULL, 2, said, sizeof said), 2);
	assert_int_equal(run_daemon(false, NULL, 0, said, sizeof said), 1);
	assert_non_null(strstr(said, "ended before"));
}

static void
test_mount__in_the_foreground_nobody_waits(void **state)
{
	struct mount_daemon *d;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(mount_daemonize(true, &d, &err), &err);
	mount_daemon_report(d, NULL);
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFD) >= 0, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount__options_are_safe_by_default),
		cmocka_unit_test(test_mount__others_are_let_in_only_as_far_as_modes_allow),
		cmocka_unit_test(test_mount__unknown_options_are_named),
		cmocka_unit_test(test_mount__every_error_has_an_errno),
		cmocka_unit_test(test_mount__a_mount_point_must_be_a_folder),
		cmocka_unit_test(test_mount__mounts_of_others_are_found),
		cmocka_unit_test(test_mount__paths_become_absolute),
		cmocka_unit_test(test_mount__the_command_ends_as_the_mount_began),
		cmocka_unit_test(test_mount__in_the_foreground_nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
