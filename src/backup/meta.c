/*
 * meta.c - what a file is besides its bytes: stat, names, link target, extended attributes.
 *
 * Layer 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backup/internal.h"

static struct timestamp
timestamp_of(struct statx_timestamp t)
{
	return (struct timestamp){.sec = t.tv_sec, .nsec = t.tv_nsec};
}

static enum entry_type
type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return ENTRY_DIR;
	case S_IFLNK:
		return ENTRY_SYMLINK;
	case S_IFIFO:
		return ENTRY_FIFO;
	case S_IFSOCK:
		return ENTRY_SOCKET;
	case S_IFCHR:
		return ENTRY_CHAR;
	case S_IFBLK:
		return ENTRY_BLOCK;
	default:
		return ENTRY_FILE;
	}
}

int
meta_stat(int dirfd, const char *name, int flags, struct file_stat *ret)
{
	struct statx x;
	struct entry *e = &ret->entry;

	*ret = (struct file_stat){0};
	if (statx(dirfd, name, flags | AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS | STATX_BTIME, &x) <
	    0)
		return -errno;
	ret->st_mode = x.stx_mode;
	ret->blocks = x.stx_blocks;
	ret->stamp = (struct stamp){.size = x.stx_size,
				    .mtime = timestamp_of(x.stx_mtime),
				    .ctime = timestamp_of(x.stx_ctime),
				    .ino = x.stx_ino,
				    .dev = makedev(x.stx_dev_major, x.stx_dev_minor)};
	e->type = type_of(x.stx_mode);
	e->mode = x.stx_mode & 07777;
	e->uid = x.stx_uid;
	e->gid = x.stx_gid;
	if (e->type == ENTRY_FILE) {
		e->size = x.stx_size;
		/* What copiers take for a reason to look for holes (format.md 6.5, key 26). */
		if (x.stx_blocks < x.stx_size / 512)
			e->hole_len = x.stx_size - x.stx_blocks * 512;
	}
	e->mtime = ret->stamp.mtime;
	e->ctime = ret->stamp.ctime;
	e->has_btime = (x.stx_mask & STATX_BTIME) != 0;
	if (e->has_btime)
		e->btime = timestamp_of(x.stx_btime);
	e->nlink = 1;
	if (e->type != ENTRY_DIR && x.stx_nlink > 1) {
		e->nlink = x.stx_nlink;
		e->dev = ret->stamp.dev;
		e->ino = ret->stamp.ino;
	}
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK) {
		e->rdev_major = x.stx_rdev_major;
		e->rdev_minor = x.stx_rdev_minor;
	}
	return 0;
}

/* ---- user and group names: few, so a list that remembers; they live as long as the run ---- */

struct known_name {
	uint32_t id;
	bool group;
	char *name;
};

struct names {
	struct known_name *v;
	size_t n, cap;
};

struct names *
names_new(void)
{
	return mem_alloc(sizeof(struct names));
}

void
names_free(struct names *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i].name);
	free(n->v);
	free(n);
}

static const char *
look_up(uint32_t id, bool group)
{
	const struct passwd *pw;
	const struct group *gr;

	if (group) {
		gr = getgrgid(id);
		return gr != NULL ? gr->gr_name : "";
	}
	pw = getpwuid(id);
	return pw != NULL ? pw->pw_name : "";
}

static struct slice
name_of(struct names *n, uint32_t id, bool group)
{
	struct known_name *k;
	const char *name;

	for (size_t i = 0; i < n->n; i++)
		if (n->v[i].id == id && n->v[i].group == group)
			return slice_str(n->v[i].name);
	name = look_up(id, group);
	array_reserve(n->v, n->n, n->cap);
	k = &n->v[n->n++];
	*k = (struct known_name){.id = id,
				 .group = group,
				 .name = str_copy(strlen(name) <= 255 ? name : "")};
	return slice_str(k->name);
}

/* ---- extended attributes ---- */

/* An entry must fit into a node. */
#define XATTR_TOTAL_MAX (NODE_LEN_MAX / 4 * 3)

static int
by_name(const void *a, const void *b)
{
	const struct xattr *x = a, *y = b;

	return slice_cmp(x->name, y->name);
}

/* A path that reaches dirfd/name however deep dirfd lies. */
static void
proc_path(int dirfd, const char *name, char ret[PATH_MAX])
{
	if (name[0] == '\0')
		snprintf(ret, PATH_MAX, "/proc/self/fd/%d/.", dirfd);
	else
		snprintf(ret, PATH_MAX, "/proc/self/fd/%d/%s", dirfd, name);
}

static int
read_value(const char *path, const char *name, struct buf *bytes, size_t *ret_len)
{
	ssize_t len;

	buf_reserve(bytes, ENTRY_XATTR_MAX);
	len = lgetxattr(path, name, bytes->p + bytes->len, ENTRY_XATTR_MAX);
	if (len < 0)
		return -errno;
	bytes->len += (size_t)len;
	*ret_len = (size_t)len;
	return 0;
}

/* Whether a failure just means that there are none. */
static bool
no_xattrs(int e)
{
	return e == ENOTSUP || e == ENODATA || e == ENOSYS;
}

struct span {
	size_t name_off, name_len, value_len;
};

static int
read_xattrs(const char *path, struct buf *names, struct buf *bytes, struct span **spans, size_t *n)
{
	size_t cap = 0;

	for (size_t at = 0; at < names->len;) {
		const char *name = (const char *)names->p + at;
		size_t name_len = strlen(name);
		struct span x = {.name_off = bytes->len, .name_len = name_len};
		int r;

		at += name_len + 1;
		if (name_len == 0 || name_len > ENTRY_NAME_MAX)
			continue;
		buf_append(bytes, name, name_len);
		r = read_value(path, name, bytes, &x.value_len);
		if (no_xattrs(-r)) {
			bytes->len = x.name_off;
			continue;
		}
		if (r < 0)
			return r;
		array_reserve(*spans, *n, cap);
		(*spans)[(*n)++] = x;
	}
	return 0;
}

static int
item_xattrs(int dirfd, const char *file, struct item *it)
{
	CLEANUP(buf_fini) struct buf names = BUF_INIT;
	CLEANUP(freep) struct span *spans = NULL;
	struct buf bytes = BUF_INIT;
	char path[PATH_MAX];
	uint8_t small[1024];
	size_t n = 0;
	ssize_t len;
	int r;

	proc_path(dirfd, file, path);
	len = llistxattr(path, (char *)small, sizeof small);
	if (len == 0 || (len < 0 && no_xattrs(errno)))
		return 0;
	if (len > 0) {
		buf_append(&names, small, (size_t)len);
	} else {
		buf_reserve(&names, ENTRY_XATTR_MAX);
		len = llistxattr(path, (char *)names.p, ENTRY_XATTR_MAX);
		if (len < 0)
			return -errno;
		names.len = (size_t)len;
	}
	buf_append_u8(&names, 0); /* whatever the file system gave, strlen ends */
	r = read_xattrs(path, &names, &bytes, &spans, &n);
	it->xattr_bytes = bytes.p;
	if (r == 0 && (n > ENTRY_XATTRS_MAX || bytes.len > XATTR_TOTAL_MAX))
		r = -E2BIG;
	if (r < 0 || n == 0)
		return r;
	it->entry.xattrs = mem_array(n, sizeof *it->entry.xattrs);
	it->entry.n_xattrs = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = bytes.p + spans[i].name_off;

		it->entry.xattrs[i].name = slice_of(p, spans[i].name_len);
		it->entry.xattrs[i].value = slice_of(p + spans[i].name_len, spans[i].value_len);
	}
	qsort(it->entry.xattrs, n, sizeof *it->entry.xattrs, by_name);
	return 0;
}

static int
item_target(int dirfd, const char *name, struct item *it)
{
	char target[PATH_MAX + 1];
	ssize_t len = readlinkat(dirfd, name, target, sizeof target - 1);

	if (len < 0)
		return -errno;
	if (len == 0 || (size_t)len > ENTRY_TARGET_MAX)
		return -ENAMETOOLONG;
	target[len] = '\0';
	it->target = str_copy(target);
	it->entry.target = slice_of(it->target, (size_t)len);
	return 0;
}

int
meta_item(struct names *names, int dirfd, const char *name, const struct file_stat *st,
	  struct item **ret)
{
	CLEANUP(item_freep) struct item *it = mem_alloc(sizeof *it);
	int r;

	*ret = NULL;
	it->entry = st->entry;
	it->name = str_copy(name);
	it->entry.name = slice_str(it->name);
	it->entry.user = name_of(names, st->entry.uid, false);
	it->entry.group = name_of(names, st->entry.gid, true);
	if (st->entry.type == ENTRY_SYMLINK) {
		r = item_target(dirfd, name, it);
		if (r < 0)
			return r;
	}
	r = item_xattrs(dirfd, name, it);
	if (r < 0)
		return r;
	*ret = steal_ptr(&it);
	return 0;
}

struct item *
meta_made(struct names *names, const char *name, enum entry_type type, int64_t when)
{
	struct item *it = mem_alloc(sizeof *it);
	uint32_t uid = geteuid(), gid = getegid();

	it->name = str_copy(name);
	it->entry = (struct entry){.name = slice_str(it->name),
				   .type = type,
				   .mode = type == ENTRY_DIR ? 0700 : 0600,
				   .uid = uid,
				   .gid = gid,
				   .user = name_of(names, uid, false),
				   .group = name_of(names, gid, true),
				   .mtime = {.sec = when},
				   .ctime = {.sec = when},
				   .nlink = 1};
	return it;
}
