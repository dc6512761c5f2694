/*
 * ops_name.c - handlers about names: lookup, forget, attributes, links, the filesystem's figures.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "private.h"

#define STATFS_BLOCK 4096u

mode_t
mount_file_type(enum entry_type type)
{
	switch (type) {
	case ENTRY_FILE:
		return S_IFREG;
	case ENTRY_DIR:
		return S_IFDIR;
	case ENTRY_SYMLINK:
		return S_IFLNK;
	case ENTRY_FIFO:
		return S_IFIFO;
	case ENTRY_SOCKET:
		return S_IFSOCK;
	case ENTRY_CHAR:
		return S_IFCHR;
	case ENTRY_BLOCK:
		return S_IFBLK;
	}
	return S_IFREG;
}

void
mount_stat(const struct view_attr *attr, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = attr->ino,
		.st_mode = mount_file_type(attr->type) | attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_rdev = makedev(attr->rdev_major, attr->rdev_minor),
		.st_size = (off_t)attr->size,
		.st_blksize = STATFS_BLOCK,
		.st_blocks = (blkcnt_t)attr->blocks,
		.st_atim = {attr->mtime.sec, attr->mtime.nsec},
		.st_mtim = {attr->mtime.sec, attr->mtime.nsec},
		.st_ctim = {attr->ctime.sec, attr->ctime.nsec},
	};
}

/* ---- lookup ---------------------------------------------------------------------------- */

/* Return: 0 or an errno.  @ret: ino 0 for a name that will never be there. */
static int
lookup(const struct mount_call *call, struct view_node *dir, const char *name,
       struct fuse_entry_param *ret)
{
	struct mount_fs *fs = call->fs;
	struct err err = ERR_INIT;
	struct view_attr attr;
	struct view_node *n;
	int r;

	*ret = (struct fuse_entry_param){.entry_timeout = mount_timeout(view_node_immutable(dir))};
	if (strlen(name) > ENTRY_NAME_MAX)
		return ENAMETOOLONG;
	r = view_lookup(fs->view, dir, slice_str(name), &n, &attr, &err);
	if (r == ERR_NOENT)
		return view_node_immutable(dir) ? 0 : ENOENT;
	if (r < 0) {
		mount_record_failed(call, "lookup", dir, name, r, err.msg);
		return mount_failed(dir, name, "look up", r, &err);
	}
	ret->ino = mount_ino_of(fs, n);
	ret->attr_timeout = mount_timeout(attr.immutable);
	mount_stat(&attr, &ret->attr);
	return 0;
}

/* Valid replies: entry, err. */
void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	struct fuse_entry_param e;
	int error = lookup(call, mount_node_of(fs, parent), name, &e);
	bool waits = mount_call_take(call);

	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (error == 0 && (!waits || fuse_reply_entry(req, &e) < 0) && e.ino != 0)
		/* The caller was interrupted: the kernel won't forget what it never got. */
		view_unref(fs->view, mount_node_of(fs, e.ino), 1);
	mount_call_end(call);
}

static void
unref(struct mount_fs *fs, void *arg, uint64_t n)
{
	view_unref(fs->view, arg, n);
}

static void
forget(struct mount_fs *fs, fuse_ino_t ino, uint64_t nlookup)
{
	if (ino != FUSE_ROOT_ID && nlookup > 0)
		mount_later(fs, unref, mount_node_of(fs, ino), nlookup);
}

/* Valid replies: none. */
void
op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	forget(mount_fs_of(req), ino, nlookup);
	fuse_reply_none(req);
}

/* Valid replies: none. */
void
op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(mount_fs_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* ---- attributes ------------------------------------------------------------------------ */

static int
get_attr(struct mount_fs *fs, struct view_node *n, struct stat *ret, double *ret_timeout)
{
	struct err err = ERR_INIT;
	struct view_attr attr;
	int r;

	r = view_getattr(fs->view, n, &attr, &err);
	if (r < 0)
		return mount_failed(n, NULL, "stat", r, &err);
	*ret_timeout = mount_timeout(attr.immutable);
	mount_stat(&attr, ret);
	return 0;
}

/* Valid replies: attr, err. */
void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	struct stat st;
	double timeout = 0;
	int error = get_attr(fs, mount_node_of(fs, ino), &st, &timeout);
	bool waits = mount_call_take(call);

	(void)fi;
	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (waits)
		fuse_reply_attr(req, &st, timeout);
	mount_call_end(call);
}

static int
read_link(struct mount_fs *fs, struct view_node *n, struct buf *ret)
{
	struct err err = ERR_INIT;
	int r = view_readlink(fs->view, n, ret, &err);

	return r < 0 ? mount_failed(n, NULL, "read link", r, &err) : 0;
}

/* Valid replies: readlink, err. */
void
op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	CLEANUP(buf_fini) struct buf target = BUF_INIT;
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	int error = read_link(fs, mount_node_of(fs, ino), &target);
	bool waits = mount_call_take(call);

	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (waits)
		fuse_reply_readlink(req, buf_cstr(&target));
	mount_call_end(call);
}

/* Valid replies: statfs, err. */
void
op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct view_statfs figures;
	struct statvfs st;

	(void)ino;
	view_statfs(mount_fs_of(req)->view, &figures);
	st = (struct statvfs){
		.f_bsize = STATFS_BLOCK,
		.f_frsize = STATFS_BLOCK,
		/* df leaves out a filesystem of no blocks. */
		.f_blocks = max_u64(1, figures.bytes / STATFS_BLOCK +
					       (figures.bytes % STATFS_BLOCK != 0)),
		.f_files = figures.files,
		.f_namemax = ENTRY_NAME_MAX,
	};
	fuse_reply_statfs(req, &st);
}
