/*
 * attempts.c - every call that modifies, tried on a file and its folder.
 *
 * Each returns 0 or more when it went through, which must not be.  They are made so that they
 * change little should that happen: nothing is written but what is there, new names are removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "internal.h"

#define XATTR "user.tillfs-proof"

struct target {
	const char *file, *folder;
	char fresh[4096]; /* a name in the folder that isn't there */
	int fd;           /* the file, for reading */
	int dir_fd;
	struct stat st;
};

/* What was opened is closed.  Return: whether it was. */
static int
opened(int fd)
{
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int
remove_fresh(const struct target *t, int r)
{
	if (r == 0)
		(void)unlink(t->fresh);
	return r;
}

static int
try_open(const struct target *t, int flags)
{
	return opened(open(t->file, flags | O_CLOEXEC));
}

static int
open_write(const struct target *t)
{
	return try_open(t, O_WRONLY);
}

static int
open_read_write(const struct target *t)
{
	return try_open(t, O_RDWR);
}

static int
open_append(const struct target *t)
{
	return try_open(t, O_WRONLY | O_APPEND);
}

static int
open_reopened(const struct target *t)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", t->fd);
	return opened(open(path, O_RDWR | O_CLOEXEC));
}

static int
open_create(const struct target *t)
{
	return remove_fresh(t,
			    opened(open(t->fresh, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)));
}

static int
open_tmpfile(const struct target *t)
{
	return opened(open(t->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
}

static int
access_write(const struct target *t)
{
	return access(t->file, W_OK);
}

static int
do_truncate(const struct target *t)
{
	return truncate(t->file, t->st.st_size);
}

static int
do_ftruncate(const struct target *t)
{
	return ftruncate(t->fd, t->st.st_size);
}

static int
do_pwrite(const struct target *t)
{
	return (int)pwrite(t->fd, "", 0,
			   0); /* also no bytes may only be written when open for it */
}

static int
do_fallocate(const struct target *t)
{
	return fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, 1);
}

static int
do_copy_file_range(const struct target *t)
{
	loff_t in = 0, out = 0;

	return (int)copy_file_range(t->fd, &in, t->fd, &out, 1, 0);
}

static int
do_sendfile(const struct target *t)
{
	return (int)sendfile(t->fd, t->dir_fd, NULL, 1);
}

static int
mmap_shared(const struct target *t)
{
	void *p = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);

	if (p == MAP_FAILED)
		return -1;
	munmap(p, 1);
	return 0;
}

static int
mprotect_shared(const struct target *t)
{
	void *p = mmap(NULL, 1, PROT_READ, MAP_SHARED, t->fd, 0);
	int r;

	if (p == MAP_FAILED)
		return -1;
	r = mprotect(p, 1, PROT_READ | PROT_WRITE);
	munmap(p, 1);
	return r;
}

static int
do_unlink(const struct target *t)
{
	return unlink(t->file);
}

static int
do_rmdir(const struct target *t)
{
	return rmdir(t->folder);
}

static int
do_mkdir(const struct target *t)
{
	int r = mkdir(t->fresh, 0700);

	if (r == 0)
		(void)rmdir(t->fresh);
	return r;
}

static int
do_rename(const struct target *t)
{
	int r = rename(t->file, t->fresh);

	if (r == 0)
		(void)rename(t->fresh, t->file);
	return r;
}

static int
rename_noreplace(const struct target *t)
{
	int r = renameat2(AT_FDCWD, t->file, AT_FDCWD, t->fresh, RENAME_NOREPLACE);

	if (r == 0)
		(void)rename(t->fresh, t->file);
	return r;
}

static int
rename_exchange(const struct target *t)
{
	return renameat2(AT_FDCWD, t->file, AT_FDCWD, t->folder, RENAME_EXCHANGE);
}

static int
do_link(const struct target *t)
{
	return remove_fresh(t, link(t->file, t->fresh));
}

static int
do_symlink(const struct target *t)
{
	return remove_fresh(t, symlink("x", t->fresh));
}

static int
mknod_fifo(const struct target *t)
{
	return remove_fresh(t, mknod(t->fresh, S_IFIFO | 0600, 0));
}

static int
mknod_file(const struct target *t)
{
	return remove_fresh(t, mknod(t->fresh, S_IFREG | 0600, 0));
}

static int
bind_socket(const struct target *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -1;
	/* Through the folder's descriptor, since paths of sockets are short. */
	(void)snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/.tillfs-proof", t->dir_fd);
	r = bind(fd, (struct sockaddr *)&a, sizeof a);
	close(fd);
	return remove_fresh(t, r);
}

static int
do_chmod(const struct target *t)
{
	return chmod(t->file, t->st.st_mode & 07777);
}

static int
do_fchmod(const struct target *t)
{
	return fchmod(t->fd, t->st.st_mode & 07777);
}

static int
do_lchown(const struct target *t)
{
	return lchown(t->file, t->st.st_uid, t->st.st_gid);
}

static int
do_fchown(const struct target *t)
{
	return fchown(t->fd, t->st.st_uid, t->st.st_gid);
}

static int
do_utimensat(const struct target *t)
{
	const struct timespec times[2] = {t->st.st_atim, t->st.st_mtim};

	return utimensat(AT_FDCWD, t->file, times, AT_SYMLINK_NOFOLLOW);
}

static int
do_futimens(const struct target *t)
{
	const struct timespec times[2] = {t->st.st_atim, t->st.st_mtim};

	return futimens(t->fd, times);
}

static int
touch(const struct target *t)
{
	return utimensat(AT_FDCWD, t->folder, NULL, 0);
}

static int
do_setxattr(const struct target *t)
{
	int r = setxattr(t->file, XATTR, "1", 1, 0);

	if (r == 0)
		(void)removexattr(t->file, XATTR);
	return r;
}

static int
do_fsetxattr(const struct target *t)
{
	int r = fsetxattr(t->fd, XATTR, "1", 1, 0);

	if (r == 0)
		(void)fremovexattr(t->fd, XATTR);
	return r;
}

static int
do_removexattr(const struct target *t)
{
	return removexattr(t->file, XATTR);
}

static int
do_fremovexattr(const struct target *t)
{
	return fremovexattr(t->fd, XATTR);
}

static int
ioctl_setflags(const struct target *t)
{
	long flags = 0;

	return ioctl(t->fd, FS_IOC_SETFLAGS, &flags);
}

static int
ioctl_fssetxattr(const struct target *t)
{
	struct fsxattr x = {0};

	return ioctl(t->fd, FS_IOC_FSSETXATTR, &x);
}

static int
ioctl_ficlone(const struct target *t)
{
	return ioctl(t->fd, FICLONE, t->fd);
}

static const struct {
	const char *call;
	int (*fn)(const struct target *t);
} calls[] = {
	{"open(O_WRONLY)", open_write},
	{"open(O_RDWR)", open_read_write},
	{"open(O_WRONLY|O_APPEND)", open_append},
	{"open(O_RDWR) through /proc/self/fd", open_reopened},
	{"open(O_CREAT|O_EXCL)", open_create},
	{"open(O_TMPFILE)", open_tmpfile},
	{"access(W_OK)", access_write},
	{"truncate", do_truncate},
	{"ftruncate", do_ftruncate},
	{"pwrite", do_pwrite},
	{"fallocate", do_fallocate},
	{"copy_file_range", do_copy_file_range},
	{"sendfile", do_sendfile},
	{"mmap(PROT_WRITE, MAP_SHARED)", mmap_shared},
	{"mprotect(PROT_WRITE)", mprotect_shared},
	{"unlink", do_unlink},
	{"rmdir", do_rmdir},
	{"mkdir", do_mkdir},
	{"rename", do_rename},
	{"renameat2(RENAME_NOREPLACE)", rename_noreplace},
	{"renameat2(RENAME_EXCHANGE)", rename_exchange},
	{"link", do_link},
	{"symlink", do_symlink},
	{"mknod(S_IFIFO)", mknod_fifo},
	{"mknod(S_IFREG)", mknod_file},
	{"bind", bind_socket},
	{"chmod", do_chmod},
	{"fchmod", do_fchmod},
	{"lchown", do_lchown},
	{"fchown", do_fchown},
	{"utimensat", do_utimensat},
	{"futimens", do_futimens},
	{"utimensat of the folder", touch},
	{"setxattr", do_setxattr},
	{"fsetxattr", do_fsetxattr},
	{"removexattr", do_removexattr},
	{"fremovexattr", do_fremovexattr},
	{"ioctl(FS_IOC_SETFLAGS)", ioctl_setflags},
	{"ioctl(FS_IOC_FSSETXATTR)", ioctl_fssetxattr},
	{"ioctl(FICLONE)", ioctl_ficlone},
};

void
attempts_make(const char *file, const char *folder, struct prove_result *ret)
{
	struct target t = {.file = file, .folder = folder, .fd = -1, .dir_fd = -1};

	(void)snprintf(t.fresh, sizeof t.fresh, "%s/.tillfs-proof", folder);
	t.fd = open(file, O_RDONLY | O_CLOEXEC);
	t.dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.fd >= 0 && t.dir_fd >= 0 && fstat(t.fd, &t.st) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
			int r = calls[i].fn(&t), error = errno;

			array_reserve(ret->attempts, ret->n_attempts, ret->cap_attempts);
			ret->attempts[ret->n_attempts++] =
				(struct prove_attempt){.call = calls[i].call,
						       .refused = r < 0,
						       .error = r < 0 ? error : 0};
		}
	}
	closep(&t.fd);
	closep(&t.dir_fd);
}
