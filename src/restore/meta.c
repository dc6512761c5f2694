/*
 * meta.c - owner, mode, attributes, times: in the order in which none undoes another.
 *
 * Changing the owner clears setuid bits and capabilities, an ACL and the mode are two views of one
 * thing, and everything changes times.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "internal.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* How to reach something's attributes by a path of bounded length that follows no link of its own.
 */
struct proc_path {
	char s[64 + ENTRY_NAME_MAX + TEMP_NAME_LEN];
};

static struct proc_path
proc_path(const struct meta_target *t)
{
	struct proc_path p;

	(void)snprintf(p.s, sizeof p.s, "/proc/self/fd/%d/%s", t->dir->fd, t->name);
	return p;
}

static int
set_owner(struct run *run, const struct meta_target *t, const struct entry *e, struct err *err)
{
	int r;

	if (!run->is_root) {
		/* The destination itself was the user's to make. */
		if (t->dir != NULL && (e->uid != geteuid() || e->gid != getegid()))
			atomic_fetch_add(&run->owners_left, 1);
		return 0;
	}
	r = t->fd >= 0 ? fchown(t->fd, e->uid, e->gid)
		       : fchownat(t->dir->fd, t->name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW);
	if (r < 0 && errno == EPERM) { /* a user namespace, or a network file system */
		atomic_fetch_add(&run->owners_left, 1);
		return 0;
	}
	return r < 0 ? err_sys(err, "setting the owner %u:%u", e->uid, e->gid) : 0;
}

static int
set_mode(struct run *run, const struct meta_target *t, const struct entry *e, struct err *err)
{
	mode_t mode = e->mode;
	int r;

	if (e->type == ENTRY_SYMLINK)
		return 0;
	/* What ran as somebody else must not run as whoever restores it. */
	if (!run->is_root && e->uid != geteuid())
		mode &= ~(mode_t)S_ISUID;
	if (!run->is_root && e->gid != getegid() && e->type != ENTRY_DIR)
		mode &= ~(mode_t)S_ISGID;
	r = t->fd >= 0 ? fchmod(t->fd, mode)
		       : fchmodat(t->dir->fd, t->name, mode, AT_SYMLINK_NOFOLLOW);
	return r < 0 ? err_sys(err, "setting the mode %04o", (unsigned)mode) : 0;
}

/* Return: 0, or -1 with errno. */
static int
set_xattr(const struct meta_target *t, const char *name, struct slice value)
{
	if (t->fd >= 0)
		return fsetxattr(t->fd, name, value.p, value.len, 0);
	return lsetxattr(proc_path(t).s, name, value.p, value.len, 0);
}

/* Removes an ACL that came from the folder above. */
static void
drop_acl(const struct meta_target *t, const char *name)
{
	/* Fails when there is none, which is as good. */
	if (t->fd >= 0)
		(void)fremovexattr(t->fd, name);
	else
		(void)lremovexattr(proc_path(t).s, name);
}

static void
drop_acls(const struct meta_target *t, const struct entry *e)
{
	bool access = false, inherit = false;

	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		access |= slice_equal(e->xattrs[i].name, slice_str(ACL_ACCESS));
		inherit |= slice_equal(e->xattrs[i].name, slice_str(ACL_DEFAULT));
	}
	if (!access)
		drop_acl(t, ACL_ACCESS);
	if (!inherit && e->type == ENTRY_DIR)
		drop_acl(t, ACL_DEFAULT);
}

/* Whether an attribute can't be had here at all, which is worth a note but no failure. */
static bool
is_beyond_us(const struct run *run, int code)
{
	return code == ENOTSUP || (code == EPERM && !run->is_root);
}

static void
set_xattrs(struct run *run, const struct meta_target *t, const struct entry *e)
{
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		CLEANUP(freep) char *name = name_copy(e->xattrs[i].name);
		CLEANUP(buf_fini) struct buf safe = BUF_INIT;
		struct err err = ERR_INIT;
		int r;

		if (set_xattr(t, name, e->xattrs[i].value) == 0)
			continue;
		if (is_beyond_us(run, errno)) {
			atomic_fetch_add(&run->xattrs_left, 1);
			continue;
		}
		text_append_safe(&safe, e->xattrs[i].name);
		r = err_sys(&err, "setting the attribute %s", buf_cstr(&safe));
		restore_failed(run, t->dir, e->name, r, &err);
	}
}

static int
set_times(const struct meta_target *t, const struct entry *e, struct err *err)
{
	struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT}, /* when it was read last isn't kept */
		{.tv_sec = e->mtime.sec, .tv_nsec = e->mtime.nsec},
	};
	int r = t->fd >= 0 ? futimens(t->fd, times)
			   : utimensat(t->dir->fd, t->name, times, AT_SYMLINK_NOFOLLOW);

	return r < 0 ? err_sys(err, "setting the time of modification") : 0;
}

int
meta_apply(struct run *run, const struct meta_target *t, const struct entry *e, struct err *err)
{
	int r;

	r = set_owner(run, t, e, err);
	if (r == 0 && t->drop_acl)
		drop_acls(t, e);
	if (r == 0)
		r = set_mode(run, t, e, err);
	if (r < 0)
		return r;
	set_xattrs(run, t, e);
	return set_times(t, e, err);
}
