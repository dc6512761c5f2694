/*
 * ops_dir.c - handlers that list directories.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

static struct view_dir *
dir_of(const struct fuse_file_info *fi)
{
	return (struct view_dir *)(uintptr_t)fi->fh;
}

static int
open_dir(const struct mount_call *call, struct view_node *n, struct fuse_file_info *fi)
{
	struct mount_fs *fs = call->fs;
	struct err err = ERR_INIT;
	struct view_dir *d;
	int error, r;

	r = view_opendir(fs->view, n, &d, &err);
	if (r < 0) {
		mount_record_failed(call, "list", n, NULL, r, err.msg);
		return mount_failed(n, NULL, "open directory", r, &err);
	}
	error = mount_record(call, "list", n, NULL);
	if (error != 0) {
		view_closedir(fs->view, d);
		return error;
	}
	fi->fh = (uintptr_t)d;
	fi->cache_readdir = fi->keep_cache = view_node_immutable(n);
	return 0;
}

/* Valid replies: open, err. */
void
op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	int error = open_dir(call, mount_node_of(fs, ino), fi);
	bool waits = mount_call_take(call);

	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (error == 0 && (!waits || fuse_reply_open(req, fi) < 0))
		view_closedir(fs->view, dir_of(fi));
	mount_call_end(call);
}

static void
close_dir(struct mount_fs *fs, void *arg, uint64_t n)
{
	(void)n;
	view_closedir(fs->view, arg);
}

/* Valid replies: err. */
void
op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	mount_later(mount_fs_of(req), close_dir, dir_of(fi), 0);
	fuse_reply_err(req, 0);
}

/* ---- filling a reply ------------------------------------------------------------------- */

/* A reply being filled; one with nodes gives the kernel a reference to each. */
struct reply {
	struct mount_call *call;
	fuse_req_t req; /* libfuse wants to be told it, and doesn't use it */
	bool plus;
	char *p;
	size_t len, size;
	/* Nodes whose references go back when the reply doesn't arrive. */
	struct view_node **nodes;
	size_t n_nodes, cap_nodes;
};

/* Appends an entry.  Return: whether it had room. */
static bool
reply_add(struct reply *reply, const struct view_dirent *e, struct view_node *n)
{
	struct fuse_entry_param entry = {0};
	size_t room = reply->size - reply->len, need;
	char name[ENTRY_NAME_MAX + 1];

	memcpy(name, e->name.p, e->name.len);
	name[e->name.len] = '\0';
	if (n != NULL) {
		entry.ino = mount_ino_of(reply->call->fs, n);
		entry.attr_timeout = entry.entry_timeout = mount_timeout(e->attr.immutable);
		mount_stat(&e->attr, &entry.attr);
	} else {
		entry.attr.st_ino = e->ino;
		entry.attr.st_mode = mount_file_type(e->type);
	}
	if (reply->plus)
		need = fuse_add_direntry_plus(reply->req, reply->p + reply->len, room, name, &entry,
					      (off_t)e->next_off);
	else
		need = fuse_add_direntry(reply->req, reply->p + reply->len, room, name, &entry.attr,
					 (off_t)e->next_off);
	if (need > room)
		return false;
	reply->len += need;
	if (n != NULL) {
		array_reserve(reply->nodes, reply->n_nodes, reply->cap_nodes);
		reply->nodes[reply->n_nodes++] = n;
	}
	return true;
}

static void
reply_take_back(struct reply *reply)
{
	for (size_t i = 0; i < reply->n_nodes; i++)
		view_unref(reply->call->fs->view, reply->nodes[i], 1);
}

/* Fills the reply from @off on.  Return: 0 or an errno. */
static int
read_dir(struct reply *reply, struct view_node *dir, struct view_dir *d, uint64_t off)
{
	struct view *v = reply->call->fs->view;
	struct err err = ERR_INIT;
	struct view_dirent e;
	struct view_node *n = NULL;
	int r;

	while ((r = view_readdir(v, d, off, &e, reply->plus ? &n : NULL, &err)) == 0) {
		bool fits = e.name.len <= ENTRY_NAME_MAX && reply_add(reply, &e, n);

		if (!fits) {
			if (n != NULL)
				view_unref(v, n, 1);
			return 0;
		}
		off = e.next_off;
	}
	/* What was read before the error is delivered; the next call meets it again. */
	if (r == ERR_NOENT || reply->len > 0)
		return 0;
	mount_record_failed(reply->call, "list", dir, NULL, r, err.msg);
	return mount_failed(dir, NULL, "list", r, &err);
}

static void
list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	struct mount_call *call = mount_call_begin(req);
	struct reply reply = {.call = call, .req = req, .plus = plus, .size = size};
	bool waits;
	int error;

	reply.p = mount_thread_buffer(size);
	error = reply.p == NULL
			? EINVAL
			: read_dir(&reply, mount_node_of(call->fs, ino), dir_of(fi), (uint64_t)off);
	waits = mount_call_take(call);
	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (error == 0 && (!waits || fuse_reply_buf(req, reply.p, reply.len) < 0))
		reply_take_back(&reply);
	mount_call_end(call);
	free(reply.nodes);
}

/* Valid replies: buf, err. */
void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, false);
}

/* Valid replies: buf, err. */
void
op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, true);
}
