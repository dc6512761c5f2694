/*
 * key_file.c - key files on disk.  Made once and never overwritten; later only extended.
 *
 * What is read from them and written to them passes through secret memory.
 *
 * Layer 2.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

struct buf
secret_text(size_t cap)
{
	return (struct buf){.p = secret_new(cap), .cap = cap};
}

void
secret_text_fini(struct buf *b)
{
	secret_free(b->p);
	*b = BUF_INIT;
}

/* A secret that others may read is worth a line in the log; containers mount them so. */
static void
warn_of_mode(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0077) != 0)
		log_write(LOG_WARN, "%s can be read by others (mode %03o); chmod 600 it", path,
			  (unsigned)(st.st_mode & 0777));
}

static int
read_text(int fd, const char *path, struct buf *ret, struct err *err)
{
	CLEANUP(secret_text_fini) struct buf text = secret_text(KEY_FILE_MAX + 1);
	ssize_t n = fd_read_full(fd, text.p, text.cap);

	if (n < 0)
		return err_sys(err, "reading %s", path);
	if ((size_t)n == text.cap)
		return err_set(err, ERR_INVALID, "%s is too long for a key file", path);
	text.len = (size_t)n;
	secret_text_fini(ret);
	buf_move(ret, &text);
	return 0;
}

int
key_file_read(const char *path, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "%s", path);
	warn_of_mode(fd, path);
	return read_text(fd, path, ret, err);
}

/* ---- making */

static int
create(const char *path, struct slice text, mode_t mode, struct err *err)
{
	CLEANUP(closep) int fd = -1;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_EXISTS,
			       "%s exists already; a key is never overwritten: move it away or "
			       "choose another name",
			       path);
	if (fd < 0)
		return err_sys(err, "creating %s", path);
	if (fd_write_full(fd, text.p, text.len) < 0 || fsync(fd) < 0) {
		int r = err_sys(err, "writing %s", path);

		(void)unlink(path); /* the error that matters is the first */
		return r;
	}
	return 0;
}

/* A name that could vanish in a power failure would be a lost key. */
static int
sync_folder_of(const char *path, struct err *err)
{
	CLEANUP(freep) char *folder = str_copy(path);
	CLEANUP(closep) int fd = -1;
	char *slash = strrchr(folder, '/');

	if (slash == folder)
		slash[1] = '\0';
	else if (slash != NULL)
		*slash = '\0';
	fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Not every file system can, and not every folder may be read; the file itself is safe. */
	if (fd >= 0 && fsync(fd) < 0 && errno == EIO)
		return err_sys(err, "making %s durable", path);
	return 0;
}

static void
public_text(const char *kind, const struct seal_pair *pair, struct buf *ret)
{
	buf_appendf(ret,
		    "# The public half of a tillfs %s; no secret.\n"
		    "[public]\n"
		    "version = 1\n"
		    "kind = %s\n",
		    kind, kind);
	lines_public(ret, pair);
}

int
key_files_create(const char *path, struct slice text, const char *kind,
		 const struct seal_pair *pair, struct err *err)
{
	CLEANUP(freep) char *public_path = str_format("%s.pub", path);
	CLEANUP(buf_fini) struct buf public = BUF_INIT;
	int r;

	public_text(kind, pair, &public);
	r = create(path, text, 0600, err);
	if (r < 0)
		return r;
	r = create(public_path, buf_slice(&public), 0644, err);
	if (r < 0) {
		(void)unlink(path); /* nobody has used this key yet */
		return r;
	}
	return sync_folder_of(path, err);
}

/* ---- extending */

static int
steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/*
 * Replacing a file gives the name another inode, so whoever waited for the lock of the old one must
 * look again.
 */
static int
lock_current(const char *path, int *ret, struct err *err)
{
	for (;;) {
		CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct stat held, named;

		if (fd < 0)
			return err_sys(err, "%s", path);
		if (flock(fd, LOCK_EX) < 0)
			return err_sys(err, "locking %s", path);
		if (fstat(fd, &held) < 0 || stat(path, &named) < 0)
			return err_sys(err, "%s", path);
		if (held.st_dev == named.st_dev && held.st_ino == named.st_ino) {
			*ret = steal_fd(&fd);
			return 0;
		}
	}
}

int
key_file_hold(const char *path, struct key_file *ret, struct err *err)
{
	int r;

	*ret = (struct key_file){.lock = -1, .path = realpath(path, NULL)};
	if (ret->path == NULL)
		return err_sys(err, "%s", path);
	r = lock_current(ret->path, &ret->lock, err);
	if (r == 0)
		r = read_text(ret->lock, path, &ret->text, err);
	if (r < 0)
		key_file_fini(ret);
	return r;
}

int
key_file_extend(struct key_file *f, struct slice more, struct err *err)
{
	CLEANUP(secret_text_fini) struct buf text = secret_text(f->text.len + more.len + 1);

	buf_append(&text, f->text.p, f->text.len);
	if (text.len > 0 && text.p[text.len - 1] != '\n')
		buf_append_u8(&text, '\n');
	buf_append(&text, more.p, more.len);
	assert(text.cap == f->text.len + more.len + 1);
	if (text.len > KEY_FILE_MAX)
		return err_set(err, ERR_NOSPACE, "%s would get too long", f->path);
	return file_write_atomic(f->path, buf_slice(&text), 0600, err);
}

void
key_file_fini(struct key_file *f)
{
	closep(&f->lock);
	freep(&f->path);
	secret_text_fini(&f->text);
}
