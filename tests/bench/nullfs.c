/*
 * nullfs.c - the fastest FUSE file system there can be: one file, `zeros`, that costs nothing to
 * produce.  What scripts/bench compares sequential reading through tillfs with.
 *
 * nullfs BYTES MOUNTPOINT
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_INO 2
#define READ_MAX (1 << 20)

static off_t file_bytes;
static char zeros[READ_MAX];

static struct stat
attributes(fuse_ino_t ino)
{
	if (ino == FUSE_ROOT_ID)
		return (struct stat){.st_ino = ino, .st_mode = S_IFDIR | 0555, .st_nlink = 2};
	return (struct stat){.st_ino = ino,
			     .st_mode = S_IFREG | 0444,
			     .st_nlink = 1,
			     .st_size = file_bytes};
}

static void
nullfs_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->max_readahead = READ_MAX;
}

static void
nullfs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {.ino = FILE_INO, .attr_timeout = 3600, .entry_timeout = 3600};

	if (parent != FUSE_ROOT_ID || strcmp(name, "zeros") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e.attr = attributes(FILE_INO);
	fuse_reply_entry(req, &e);
}

static void
nullfs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = attributes(ino);

	(void)fi;
	fuse_reply_attr(req, &st, 3600);
}

static void
nullfs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fuse_reply_open(req, fi);
}

static void
nullfs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	size_t left = off < file_bytes ? (size_t)(file_bytes - off) : 0;

	(void)ino;
	(void)fi;
	if (size > left)
		size = left;
	fuse_reply_buf(req, zeros, size < READ_MAX ? size : READ_MAX);
}

static const struct fuse_lowlevel_ops operations = {
	.init = nullfs_init,
	.lookup = nullfs_lookup,
	.getattr = nullfs_getattr,
	.open = nullfs_open,
	.read = nullfs_read,
};

int
main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_loop_config *loop;
	struct fuse_session *session;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: nullfs BYTES MOUNTPOINT\n");
		return 2;
	}
	file_bytes = strtoll(argv[1], NULL, 10);
	session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (session == NULL || fuse_set_signal_handlers(session) != 0 ||
	    fuse_session_mount(session, argv[2]) != 0)
		return 1;
	loop = fuse_loop_cfg_create();
	r = fuse_session_loop_mt(session, loop);
	fuse_loop_cfg_destroy(loop);
	fuse_session_unmount(session);
	fuse_remove_signal_handlers(session);
	fuse_session_destroy(session);
	return r != 0;
}
