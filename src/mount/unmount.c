/*
 * unmount.c - ending a mount, and telling where mounts are.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "private.h"

#define FUSE_MAGIC 0x65735546

extern char **environ;

/* ---- where mounts are ------------------------------------------------------------------ */

/* Whether a tillfs mount is on exactly this path. */
static bool
is_mounted_on(const char *canonical)
{
	CLEANUP(mountinfo_fini) struct mountinfo m = {0};

	return mountinfo_on(canonical, &m, NULL) == 0 && strcmp(m.fstype, MOUNT_FSTYPE) == 0;
}

int
mount_check_dir(const char *dir, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct stat st;
	int r;

	r = mount_canonical(dir, &path, err);
	if (r < 0)
		return err_add(err, r, "mount point");
	if (stat(dir, &st) < 0) {
		if (errno != ENOTCONN)
			return err_sys(err, "mount point %s", dir);
		return err_set(
			err, ERR_BUSY,
			"%s has a mount whose process has ended; \"tillfs umount %s\" clears "
			"it away",
			dir, dir);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "mount point %s is no directory", dir);
	if (is_mounted_on(path))
		return err_set(err, ERR_BUSY,
			       "%s is a tillfs mount already; \"tillfs umount %s\" ends it", dir,
			       dir);
	return 0;
}

static bool
is_device(const struct mountinfo *m, void *arg)
{
	dev_t *dev = arg;

	if (makedev(m->major, m->minor) != *dev || strcmp(m->fstype, MOUNT_FSTYPE) != 0)
		return false;
	*dev = 0;
	return true;
}

bool
mount_is_tillfs(const char *path)
{
	CLEANUP(freep) char *canonical = NULL;
	struct statfs fs;
	struct stat st;

	if (statfs(path, &fs) == 0 && (unsigned long)fs.f_type != FUSE_MAGIC)
		return false;
	if (stat(path, &st) == 0)
		return mountinfo_visit(is_device, &st.st_dev, NULL) == 0 && st.st_dev == 0;
	/* Perhaps a dead mount. */
	return errno == ENOTCONN && mount_canonical(path, &canonical, NULL) == 0 &&
	       is_mounted_on(canonical);
}

/* ---- unmounting ------------------------------------------------------------------------ */

/* Runs fusermount3, which may unmount what a user without privileges mounted. */
static int
run_fusermount(const char *path, bool lazy, struct buf *said, struct err *err)
{
	char *argv[] = {"fusermount3", lazy ? "-uz" : "-u", "--", (char *)path, NULL};
	CLEANUP(closep) int out = -1;
	CLEANUP(closep) int in = -1;
	posix_spawn_file_actions_t actions;
	uint8_t chunk[512];
	int pipe_fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	out = pipe_fds[0];
	in = pipe_fds[1];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDERR_FILENO);
	errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (errno != 0)
		return err_sys(err, "running fusermount3");
	closep(&in);
	in = -1;
	while ((n = read(out, chunk, sizeof chunk)) > 0 && said->len < 4096)
		buf_append(said, chunk, (size_t)n);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "waiting for fusermount3");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ERR_IO;
}

static int
busy(const char *dir, struct err *err)
{
	return err_set(
		err, ERR_BUSY,
		"%s is in use: something has a file open or stands in a folder of it (\"fuser -vm "
		"%s\" tells what); \"umount --lazy\" takes it away as soon as that ends",
		dir, dir);
}

static int
unmount_as_user(const char *dir, const char *path, bool lazy, struct err *err)
{
	CLEANUP(buf_fini) struct buf said = BUF_INIT;
	struct err why = ERR_INIT;
	int r = run_fusermount(path, lazy, &said, &why);

	if (r == 0)
		return 0;
	if (why.code != 0)
		return err_set(err, why.code, "%s", why.msg);
	if (strstr(buf_cstr(&said), "busy") != NULL)
		return busy(dir, err);
	while (said.len > 0 && said.p[said.len - 1] == '\n')
		said.len--;
	return err_set(err, ERR_IO, "unmounting %s: %s", dir,
		       said.len > 0 ? buf_cstr(&said) : "fusermount3 refused");
}

int
mount_unmount(const char *dir, bool lazy, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	int r;

	r = mount_canonical(dir, &path, err);
	if (r < 0)
		return r;
	if (!is_mounted_on(path))
		return err_set(err, ERR_INVALID, "%s is not a tillfs mount", dir);
	if (umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EBUSY)
		return busy(dir, err);
	if (errno != EPERM && errno != EACCES)
		return err_sys(err, "unmounting %s", dir);
	return unmount_as_user(dir, path, lazy, err);
}
