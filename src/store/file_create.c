/*
 * file_create.c - a store in a folder: creating an object, whole and durable or not at all.
 *
 * The body is written to a file in TEMP_FOLDER and made durable there; then it gets its name, in
 * one step that fails where the name is taken; then its folder is made durable.  So whenever the
 * machine stops, a name has its whole object, and what create reported is there.
 *
 * Layer 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

/* Older temporary files belong to nobody any more: no object takes a day to write. */
#define DIRECT_MIN       (1u * MIB)
#define DIRECT_ALIGN     4096u /* enough for any disk */
#define TEMP_AGE_MAX_SEC (24 * 60 * 60)

struct temp {
	int folder;
	char name[64];
};

/* Failing to tidy up is no reason to fail a backup, so errors are passed over. */
static void
sweep_old_temps(int folder)
{
	int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (dir == NULL) {
		closep(&fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		struct stat st;

		if (fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < time_now() - TEMP_AGE_MAX_SEC)
			(void)unlinkat(folder, e->d_name, 0);
	}
	(void)closedir(dir);
}

/* Opens a new file in the folder of temporary ones.  -1 with errno. */
static int
temp_open(struct file_store *f, struct temp *t)
{
	for (;;) {
		int fd;

		(void)snprintf(t->name, sizeof(t->name), "%ld-%" PRIu64 "-%u", (long)getpid(),
			       time_monotonic_ms(), atomic_fetch_add(&f->next_temp, 1));
		fd = openat(t->folder, t->name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
}

/*
 * Large bodies go past the page cache where memory and file system allow it: nobody will read them
 * soon, and the copy into it costs more than the disk.  Return: the bytes written so.
 */
static size_t
write_direct(int fd, struct slice body)
{
	size_t len = body.len / DIRECT_ALIGN * DIRECT_ALIGN, done = 0;
	int flags = fcntl(fd, F_GETFL);

	if (body.len < DIRECT_MIN || (uintptr_t)body.p % DIRECT_ALIGN != 0 || flags < 0 ||
	    fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
		return 0;
	while (done < len) {
		ssize_t n = write(fd, body.p + done, len - done);

		/* What is left, or the error again, is for the usual way. */
		if (n <= 0)
			break;
		done += (size_t)n;
		if (n % DIRECT_ALIGN != 0)
			break;
	}
	(void)fcntl(fd, F_SETFL, flags);
	return done;
}

static int
temp_write(struct file_store *f, struct temp *t, struct slice body, struct err *err)
{
	CLEANUP(closep) int fd = temp_open(f, t);
	size_t direct;
	int r;

	if (fd < 0) {
		t->name[0] = '\0';
		return err_sys(err, "writing to %s", f->path);
	}
	direct = write_direct(fd, body);
	if (fd_write_full(fd, body.p + direct, body.len - direct) < 0 ||
	    fchmod(fd, f->object_mode) < 0 || fdatasync(fd) < 0)
		return err_sys(err, "writing to %s", f->path);

	/* On network file systems the last errors come with close. */
	r = close(fd);
	fd = -1;
	return r < 0 && errno != EINTR ? err_sys(err, "writing to %s", f->path) : 0;
}

/* Removes the temporary file, if it still has that name. */
static void
temp_fini(struct temp *t)
{
	int saved = errno;

	if (t->folder >= 0 && t->name[0] != '\0')
		(void)unlinkat(t->folder, t->name, 0);
	closep(&t->folder);
	errno = saved;
}

/* Gives the file its name, unless that is taken. */
static int
publish(const struct file_store *f, struct temp *t, int parent, const char *name, struct err *err)
{
	if (renameat2(t->folder, t->name, parent, name, RENAME_NOREPLACE) == 0) {
		t->name[0] = '\0';
		return 0;
	}
	if (errno == EEXIST)
		return err_set(err, ERR_EXISTS, "there is such an object already in %s", f->path);
	if (errno != EINVAL && errno != ENOSYS)
		return err_sys(err, "naming it in %s", f->path);

	/* NFS among others can't rename like that; it can link. */
	if (linkat(t->folder, t->name, parent, name, 0) == 0)
		return 0;
	if (errno == EEXIST)
		return err_set(err, ERR_EXISTS, "there is such an object already in %s", f->path);
	if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
		return err_set(err, ERR_UNSUPPORTED,
			       "the file system of %s can neither rename without replacing nor "
			       "link; keep the store on another",
			       f->path);
	return err_sys(err, "naming it in %s", f->path);
}

int
file_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct file_store *f = arg;
	CLEANUP(temp_fini) struct temp temp = {.folder = -1};
	CLEANUP(closep) int parent = -1;
	const char *name;
	int r;

	r = file_open_folder(f, TEMP_FOLDER, strlen(TEMP_FOLDER), true, &temp.folder, err);
	if (r < 0)
		return r;
	if (!atomic_exchange(&f->swept, true))
		sweep_old_temps(temp.folder);

	r = temp_write(f, &temp, body, err);
	if (r < 0)
		return r;
	r = file_open_parent(f, key, true, &parent, &name, err);
	if (r < 0)
		return r;
	r = publish(f, &temp, parent, name, err);
	if (r < 0)
		return r;
	if (fsync(parent) < 0 && errno != EINVAL) {
		r = err_sys(err, "making it durable in %s", f->path);
		(void)unlinkat(parent, name, 0); /* a failed create leaves nothing */
		return r;
	}
	return 0;
}
