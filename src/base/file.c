/*
 * file.c - whole reads and writes of files.
 *
 * Layer 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tillfs/base.h"

ssize_t
fd_read_full(int fd, void *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (uint8_t *)p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
fd_write_full(int fd, const void *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const uint8_t *)p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int
file_read(const char *path, size_t max, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	buf_reset(ret);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", path);

	/* The size that stat tells may be 0 (procfs, pipes) or old, so the end is what read says.
	 */
	for (;;) {
		size_t room = (size_t)min_u64(64 * KIB, (uint64_t)max - ret->len + 1);
		ssize_t n;

		buf_reserve(ret, room);
		n = fd_read_full(fd, ret->p + ret->len, room);
		if (n < 0) {
			buf_reset(ret);
			return err_sys(err, "reading %s", path);
		}
		if ((size_t)n > max - ret->len) {
			buf_reset(ret);
			return err_set(err, ERR_INVALID, "%s is longer than %zu bytes", path, max);
		}
		ret->len += (size_t)n;
		if ((size_t)n < room)
			return 0;
	}
}

/* The folder that @path lies in; owned by the caller. */
static char *
parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return str_copy(".");
	if (slash == path)
		return str_copy("/");
	return str_format("%.*s", (int)(slash - path), path);
}

static int
sync_folder(const char *path, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "%s", path);
	if (fsync(fd) < 0 && errno != EINVAL) /* file systems that can't, needn't */
		return err_sys(err, "making %s durable", path);
	return 0;
}

static int
write_durably(const char *path, struct slice data, unsigned mode, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return err_sys(err, "creating %s", path);
	if (fd_write_full(fd, data.p, data.len) < 0 || fsync(fd) < 0) {
		int r = err_sys(err, "writing %s", path);

		(void)unlink(path); /* the error that matters is the first */
		return r;
	}
	return 0;
}

int
file_write_atomic(const char *path, struct slice data, unsigned mode, struct err *err)
{
	static atomic_uint counter;
	CLEANUP(freep) char *folder = parent_of(path);
	CLEANUP(freep) char *temp = NULL;
	int r;

	temp = str_format("%s.%ld.%u.tmp", path, (long)getpid(), atomic_fetch_add(&counter, 1));
	r = write_durably(temp, data, mode, err);
	if (r < 0)
		return r;
	if (rename(temp, path) < 0) {
		r = err_sys(err, "renaming %s to %s", temp, path);
		(void)unlink(temp);
		return r;
	}
	return sync_folder(folder, err);
}

int
dir_make(const char *path, struct err *err)
{
	CLEANUP(freep) char *part = str_copy(path);
	struct stat st;

	/* Each slash in turn is made the end, for the folders above; then the whole. */
	for (char *c = part; *c != '\0'; c++) {
		if (*c != '/' || c == part)
			continue;
		*c = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return err_sys(err, "making the folder %s", part);
		*c = '/';
	}
	if (mkdir(part, 0700) < 0) {
		int sys_errno = errno;

		if (stat(part, &st) == 0 && S_ISDIR(st.st_mode))
			return 0;
		errno = sys_errno;
		return err_sys(err, "making the folder %s", path);
	}
	return 0;
}
