/*
 * file.c - a folder as a store.
 *
 * An object is a file under the root.  It is written to ROOT/.tmp, made durable, and then linked
 * under its key, which fails when the key exists: so an object is there whole or not at all, and is
 * never replaced.  Symlinks below the root are not followed.
 *
 * Layer 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/private.h"

#define TMP_FOLDER  ".tmp"
#define TMP_STALE_S (24 * 3600)
#define DEPTH_MAX   16u

struct folder {
	int root;
	atomic_uint counter;
};

static int
fail(const char *key, struct err *err)
{
	return err_sys(err, "%s", key);
}

/* ---- walking down, never through a symlink ---- */

/* Opens the folder that holds @key; @ret_name: its last component. */
static int
open_parent(const struct folder *f, const char *key, bool create, const char **ret_name)
{
	char part[STORE_KEY_MAX + 1];
	int fd = dup(f->root);
	const char *slash;

	while (fd >= 0 && (slash = strchr(key, '/')) != NULL) {
		size_t len = (size_t)(slash - key);
		int next, saved;

		memcpy(part, key, len);
		part[len] = '\0';
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOENT && create) {
			if (mkdirat(fd, part, 0700) == 0)
				(void)fsync(fd); /* the object's own fsync reports what matters */
			next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		saved = errno;
		close(fd);
		errno = saved;
		fd = next;
		key = slash + 1;
	}
	*ret_name = key;
	return fd;
}

static int
open_object(const struct folder *f, const char *key, struct stat *st, struct err *err)
{
	const char *name;
	CLEANUP(closep) int dir = open_parent(f, key, false, &name);
	int fd;

	if (dir < 0)
		return fail(key, err);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(key, err);
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		return err_set(err, ERR_CORRUPT, "%s: is no regular file", key);
	}
	return fd;
}

static int
file_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct stat st;
	CLEANUP(closep) int fd = open_object(arg, key, &st, err);
	uint64_t size, want, got = 0;
	uint8_t *to;

	if (fd < 0)
		return fd;
	size = (uint64_t)st.st_size;
	want = off >= size ? 0 : min_u64(len, size - off);
	to = buf_extend(ret, want);
	while (got < want) {
		ssize_t n = pread(fd, to + got, want - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(key, err);
		if (n == 0)
			break; /* shorter than a moment ago: then that is what there is */
		got += (uint64_t)n;
	}
	ret->len = got;
	return 0;
}

static int
file_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct stat st;
	CLEANUP(closep) int fd = open_object(arg, key, &st, err);

	if (fd < 0)
		return fd;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* ---- creating ---- */

/* What a killed run left behind, after a day. */
static void
sweep(int tmp)
{
	int fd = openat(tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		struct stat st;

		if (de->d_name[0] != '.' &&
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime + TMP_STALE_S < time(NULL))
			(void)unlinkat(fd, de->d_name, 0); /* another run may have been faster */
	}
	closedir(d);
}

static int
open_tmp(struct folder *f, struct err *err)
{
	int fd = openat(f->root, TMP_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(f->root, TMP_FOLDER, 0700) < 0 && errno != EEXIST)
			return fail(TMP_FOLDER, err);
		fd = openat(f->root, TMP_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return fail(TMP_FOLDER, err);
	if (atomic_fetch_add(&f->counter, 1) == 0)
		sweep(fd);
	return fd;
}

static int
write_tmp(int tmp, const char *name, struct slice body, const char *key, struct err *err)
{
	CLEANUP(closep) int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);

	if (fd < 0)
		return fail(key, err);
	if (fd_write_full(fd, body.p, body.len) < 0 || fdatasync(fd) < 0)
		return fail(key, err);
	return 0;
}

static int
link_object(struct folder *f, int tmp, const char *tmp_name, const char *key, struct err *err)
{
	const char *name;
	CLEANUP(closep) int dir = open_parent(f, key, true, &name);

	if (dir < 0)
		return fail(key, err);
	if (linkat(tmp, tmp_name, dir, name, 0) < 0)
		return errno == EEXIST ? err_set(err, ERR_EXISTS, "%s: exists already", key)
				       : fail(key, err);
	return fsync(dir) < 0 ? fail(key, err) : 0;
}

static int
file_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct folder *f = arg;
	CLEANUP(closep) int tmp = open_tmp(f, err);
	struct timespec now;
	char name[64];
	int r;

	if (tmp < 0)
		return tmp;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof name, "%d-%u-%lld%09ld", getpid(), atomic_fetch_add(&f->counter, 1),
		 (long long)now.tv_sec, now.tv_nsec);
	r = write_tmp(tmp, name, body, key, err);
	if (r == 0)
		r = link_object(f, tmp, name, key, err);
	(void)unlinkat(tmp, name, 0); /* the link is the object; a leftover is swept later */
	return r;
}

static int
file_remove(void *arg, const char *key, struct err *err)
{
	const char *name;
	CLEANUP(closep) int dir = open_parent(arg, key, false, &name);

	if (dir < 0 || unlinkat(dir, name, 0) < 0)
		return fail(key, err);
	return fsync(dir) < 0 ? fail(key, err) : 0;
}

/* ---- listing ---- */

struct listing {
	const char *prefix;
	bool delimited;
	store_list_fn *fn;
	void *arg;
	struct err *err;
	struct buf key;
};

struct name {
	char *text; /* a folder's ends in '/', which is how keys sort */
	uint64_t size;
};

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int
read_names(int fd, struct name **ret, size_t *n)
{
	DIR *d = fdopendir(fd); /* takes fd */
	struct dirent *de;
	size_t cap = 0;

	if (d == NULL) {
		close(fd);
		return -1;
	}
	while ((de = readdir(d)) != NULL) {
		struct stat st;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
		    strcmp(de->d_name, TMP_FOLDER) == 0 ||
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			continue;
		array_reserve(*ret, *n, cap);
		(*ret)[(*n)++] = (struct name){.text = str_format("%s%s", de->d_name,
								  S_ISDIR(st.st_mode) ? "/" : ""),
					       .size = (uint64_t)st.st_size};
	}
	closedir(d);
	qsort(*ret, *n, sizeof **ret, compare_names);
	return 0;
}

static int list_folder(struct listing *l, int fd, unsigned depth);

/* Whether the key so far can lead to, or is, something that the listing wants. */
static bool
wanted(const struct listing *l)
{
	size_t len = min_u64(l->key.len, strlen(l->prefix));

	return memcmp(l->key.p, l->prefix, len) == 0;
}

static int
visit(struct listing *l, int fd, const struct name *name, unsigned depth)
{
	struct store_entry entry = {.size = name->size};
	size_t at = l->key.len, text_len = strlen(name->text);
	bool folder = name->text[text_len - 1] == '/';
	bool inside;
	int r = 0;

	buf_append(&l->key, name->text, text_len);
	inside = l->key.len > strlen(l->prefix);
	if (!wanted(l) || l->key.len > STORE_KEY_MAX) {
		l->key.len = at;
		return 0;
	}
	if (folder && !(l->delimited && inside)) {
		int sub;

		name->text[text_len - 1] = '\0';
		sub = openat(fd, name->text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			r = list_folder(l, sub, depth + 1);
		else if (errno != ENOENT)
			r = fail(name->text, l->err);
	} else if (folder || l->key.len >= strlen(l->prefix)) {
		entry.key = buf_cstr(&l->key);
		entry.is_prefix = folder;
		entry.size = folder ? 0 : name->size;
		r = l->fn(l->arg, &entry, l->err);
	}
	l->key.len = at;
	return r;
}

/* @fd: taken. */
static int
list_folder(struct listing *l, int fd, unsigned depth)
{
	CLEANUP(closep) int keep = dup(fd);
	struct name *names = NULL;
	size_t n = 0;
	int r = 0;

	if (read_names(fd, &names, &n) < 0 || keep < 0)
		r = fail("listing", l->err);
	for (size_t i = 0; r == 0 && depth < DEPTH_MAX && i < n; i++)
		r = visit(l, keep, &names[i], depth);
	for (size_t i = 0; i < n; i++)
		free(names[i].text);
	free(names);
	return r;
}

static int
file_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	const struct folder *f = arg;
	struct listing l = {
		.prefix = prefix, .delimited = delimited, .fn = fn, .arg = fn_arg, .err = err};
	int fd = openat(f->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return fail("listing", err);
	r = list_folder(&l, fd, 0);
	buf_fini(&l.key);
	return r;
}

/* ---- opening ---- */

static void
file_close(void *arg)
{
	struct folder *f = arg;

	close(f->root);
	free(f);
}

static const struct store_ops file_ops = {.scheme = "file",
					  .get = file_get,
					  .size = file_size,
					  .create = file_create,
					  .list = file_list,
					  .remove = file_remove,
					  .close = file_close};

int
store_file_open(const char *url, bool create, struct store **ret, struct err *err)
{
	const char *path = url + strlen("file://");
	struct folder *f;
	int fd, r;

	if (create) {
		r = dir_make(path, err);
		if (r < 0)
			return r;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", url);
	f = mem_alloc(sizeof *f);
	f->root = fd;
	*ret = store_new(&file_ops, f, url);
	return 0;
}
