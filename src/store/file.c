/*
 * file.c - a store in a folder: opening it, reading, removing.
 *
 * Layer 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* ---- walking to a folder */

static int
sync_fd(int fd)
{
	return fsync(fd) < 0 && errno != EINVAL ? -1 : 0; /* some file systems have no need */
}

/* Opens one component, making it if that is wanted.  -1 with errno. */
static int
open_component(const struct file_store *f, int parent, const char *name, bool make)
{
	int fd = openat(parent, name, OPEN_FOLDER);

	if (fd >= 0 || errno != ENOENT || !make)
		return fd;

	if (mkdirat(parent, name, f->folder_mode) == 0) {
		if (fchmodat(parent, name, f->folder_mode, 0) < 0 || sync_fd(parent) < 0)
			return -1;
	} else if (errno != EEXIST) { /* somebody else made it just now: as good */
		return -1;
	}
	return openat(parent, name, OPEN_FOLDER);
}

int
file_open_folder(const struct file_store *f, const char *key, size_t len, bool make, int *ret,
		 struct err *err)
{
	CLEANUP(closep) int fd = fcntl(f->root, F_DUPFD_CLOEXEC, 0);
	char name[NAME_MAX + 1];

	*ret = -1;
	for (size_t at = 0; fd >= 0 && at < len;) {
		size_t n = strcspn(key + at, "/");
		int next;

		if (n > NAME_MAX)
			return err_set(err, ERR_INVALID, "a component is longer than %d bytes",
				       NAME_MAX);
		memcpy(name, key + at, n);
		name[n] = '\0';
		next = open_component(f, fd, name, make);
		closep(&fd);
		fd = next;
		at += n + 1;
	}
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) && !make)
		return err_set(err, ERR_NOENT, "no such folder in %s", f->path);
	if (fd < 0)
		return err_sys(err, "opening its folder in %s", f->path);
	*ret = fd;
	fd = -1;
	return 0;
}

int
file_open_parent(const struct file_store *f, const char *key, bool make, int *ret,
		 const char **ret_name, struct err *err)
{
	const char *slash = strrchr(key, '/');

	*ret = -1;
	*ret_name = slash != NULL ? slash + 1 : key;
	if (strlen(*ret_name) > NAME_MAX)
		return err_set(err, ERR_INVALID, "a component is longer than %d bytes", NAME_MAX);
	if (folders_check_key(key, err) < 0)
		return ERR_INVALID;
	return file_open_folder(f, key, slash != NULL ? (size_t)(slash - key) : 0, make, ret, err);
}

/* ---- reading */

/* What is found in an object's place: a folder is no object, and anything else nobody of us put. */
static int
check_type(const struct file_store *f, mode_t mode, struct err *err)
{
	if (S_ISREG(mode))
		return 0;
	if (S_ISDIR(mode))
		return err_set(err, ERR_NOENT, "no such object in %s, but a folder", f->path);
	return err_set(err, ERR_CORRUPT, "no regular file stands in its place in %s", f->path);
}

static int
open_object(const struct file_store *f, const char *key, int *ret, struct stat *ret_st,
	    struct err *err)
{
	CLEANUP(closep) int parent = -1;
	CLEANUP(closep) int fd = -1;
	const char *name;
	int r;

	*ret = -1;
	r = file_open_parent(f, key, false, &parent, &name, err);
	if (r < 0)
		return r == ERR_NOENT ? err_set(err, r, "no such object in %s", f->path) : r;

	/* O_NONBLOCK: a fifo in an object's place must not hang us. */
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO)) /* a symbolic link; a socket */
		return check_type(f, S_IFLNK, err);
	if (fd < 0)
		return err_sys(err, "opening it in %s", f->path);
	if (fstat(fd, ret_st) < 0)
		return err_sys(err, "looking at it in %s", f->path);
	r = check_type(f, ret_st->st_mode, err);
	if (r < 0)
		return r;
	*ret = fd;
	fd = -1;
	return 0;
}

static int
file_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r;

	r = open_object(arg, key, &fd, &st, err);
	if (r < 0)
		return r;
	if (off >= (uint64_t)st.st_size)
		return 0;

	len = min_u64(len, (uint64_t)st.st_size - off);
	buf_reserve(ret, (size_t)len);
	while (ret->len < len) {
		ssize_t n = pread(fd, ret->p + ret->len, (size_t)len - ret->len,
				  (off_t)(off + ret->len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "reading it");
		if (n == 0)
			break; /* it was cut short since: what is missing is found out above */
		ret->len += (size_t)n;
	}
	return 0;
}

static int
file_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r = open_object(arg, key, &fd, &st, err);

	if (r < 0)
		return r;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* ---- removing */

static int
file_remove(void *arg, const char *key, struct err *err)
{
	const struct file_store *f = arg;
	CLEANUP(closep) int parent = -1;
	const char *name;
	struct stat st;
	int r;

	r = file_open_parent(f, key, false, &parent, &name, err);
	if (r < 0)
		return r == ERR_NOENT ? err_set(err, r, "no such object in %s", f->path) : r;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "looking at it in %s", f->path);
	r = check_type(f, st.st_mode, err);
	if (r < 0)
		return r;

	/* Its folder stays, even empty: a writer may be about to create something in it. */
	if (unlinkat(parent, name, 0) < 0)
		return err_sys(err, "removing it from %s", f->path);
	return 0;
}

/* ---- opening and closing */

static void
file_close(void *arg)
{
	struct file_store *f = arg;

	closep(&f->root);
	free(f->path);
	free(f);
}

static const char *
file_path(void *arg)
{
	return ((const struct file_store *)arg)->path;
}

static const struct store_ops file_ops = {
	.scheme = "file",
	.get = file_get,
	.size = file_size,
	.create = file_create,
	.list = file_list,
	.list_names = file_list_names,
	.remove = file_remove,
	.close = file_close,
	.path = file_path,
};

int
store_file_open(const char *path, bool create, struct store **ret, struct err *err)
{
	CLEANUP(closep) int root = -1;
	CLEANUP(freep) char *real = NULL;
	CLEANUP(freep) char *url = NULL;
	struct file_store *f;
	struct stat st;
	int r;

	*ret = NULL;
	if (create) {
		r = dir_make(path, err);
		if (r < 0)
			return r;
	}
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 && errno == ENOTDIR)
		return err_set(err, ERR_INVALID, "%s is no folder, so no store", path);
	if (root < 0)
		return err_sys(err, "opening the store's folder %s", path);
	real = realpath(path, NULL);
	if (real == NULL || fstat(root, &st) < 0)
		return err_sys(err, "looking at the store's folder %s", path);

	f = mem_alloc(sizeof(*f));
	f->root = root;
	root = -1;
	f->path = steal_ptr(&real);
	f->folder_mode = st.st_mode & 0777;
	f->object_mode = st.st_mode & 0666;
	url = str_format("file://%s", path);
	*ret = store_new(&file_ops, f, url);
	return 0;
}
