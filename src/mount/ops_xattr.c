/*
 * ops_xattr.c - handlers for extended attributes.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

static int
get_xattr(struct mount_fs *fs, struct view_node *n, const char *name, struct buf *ret)
{
	struct err err = ERR_INIT;
	int r = view_getxattr(fs->view, n, slice_str(name), ret, &err);

	if (r == ERR_NOENT)
		return ENODATA;
	if (r == ERR_UNSUPPORTED)
		return EOPNOTSUPP;
	return r < 0 ? mount_failed(n, NULL, "read attributes of", r, &err) : 0;
}

/* Drops names that only the administrator may know of: the kernel filters reading, not listing. */
static void
drop_trusted(struct buf *names)
{
	size_t kept = 0;

	for (size_t i = 0, len; i < names->len; i += len) {
		const char *name = (const char *)names->p + i;

		len = strlen(name) + 1;
		if (strncmp(name, "trusted.", 8) == 0)
			continue;
		memmove(names->p + kept, name, len);
		kept += len;
	}
	names->len = kept;
}

static int
list_xattr(struct mount_fs *fs, struct view_node *n, uid_t caller, struct buf *ret)
{
	struct err err = ERR_INIT;
	int r = view_listxattr(fs->view, n, ret, &err);

	if (r < 0)
		return mount_failed(n, NULL, "list attributes of", r, &err);
	if (caller != 0)
		drop_trusted(ret);
	return 0;
}

/* A size of 0 asks for the length. */
static void
reply_value(fuse_req_t req, int error, size_t size, const struct buf *value)
{
	if (error != 0)
		fuse_reply_err(req, error);
	else if (size == 0)
		fuse_reply_xattr(req, value->len);
	else if (value->len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)value->p, value->len);
}

/* Valid replies: buf, xattr, err. */
void
op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	CLEANUP(buf_fini) struct buf value = BUF_INIT;
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	int error = get_xattr(fs, mount_node_of(fs, ino), name, &value);

	if (mount_call_take(call))
		reply_value(req, error, size, &value);
	mount_call_end(call);
}

/* Valid replies: buf, xattr, err. */
void
op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	CLEANUP(buf_fini) struct buf names = BUF_INIT;
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	int error = list_xattr(fs, mount_node_of(fs, ino), call->who.uid, &names);

	if (mount_call_take(call))
		reply_value(req, error, size, &names);
	mount_call_end(call);
}
