/*
 * ops_file.c - handlers that read files.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "private.h"

/* What the kernel's readahead would ask for at the first read. */
#define STORE_MAX (128u * KIB)

static struct mount_handle *
handle_of(const struct fuse_file_info *fi)
{
	return (struct mount_handle *)(uintptr_t)fi->fh;
}

/* ---- open files ------------------------------------------------------------------------ */

static struct mount_handle *
handle_new(struct mount_fs *fs, struct view_file *f, uint64_t access)
{
	struct mount_handle *h = mem_alloc(sizeof *h);

	h->file = f;
	h->access = access;
	pthread_mutex_lock(&fs->lock);
	LIST_INSERT_HEAD(&fs->handles, h, in_open);
	pthread_mutex_unlock(&fs->lock);
	return h;
}

static void
handle_close(struct mount_fs *fs, struct mount_handle *h)
{
	pthread_mutex_lock(&fs->lock);
	LIST_REMOVE(h, in_open);
	pthread_mutex_unlock(&fs->lock);
	if (fs->audit != NULL)
		audit_end(fs->audit, h->access, atomic_load(&h->bytes), atomic_load(&h->code),
			  NULL);
	view_close(fs->view, h->file);
	free(h);
}

void
mount_close_handles(struct mount_fs *fs)
{
	while (!LIST_EMPTY(&fs->handles))
		handle_close(fs, LIST_FIRST(&fs->handles));
}

/* ---- a buffer a thread ----------------------------------------------------------------- */

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void
buffer_free(void *arg)
{
	struct buf *b = arg;

	buf_wipe(b);
	free(b);
}

static void
buffer_key_new(void)
{
	if (pthread_key_create(&buffer_key, buffer_free) != 0)
		abort();
}

void *
mount_thread_buffer(size_t len)
{
	struct buf *b;

	if (len > MOUNT_BUFFER_MAX)
		return NULL;
	pthread_once(&buffer_once, buffer_key_new);
	b = pthread_getspecific(buffer_key);
	if (b == NULL) {
		b = mem_alloc(sizeof *b);
		pthread_setspecific(buffer_key, b);
	}
	buf_reset(b);
	buf_reserve(b, len > 0 ? len : 1);
	return b->p;
}

/* ---- handlers -------------------------------------------------------------------------- */

/* Return: whether all of a file was read into @ret. */
static bool
read_whole(struct mount_fs *fs, struct view_file *f, uint64_t size, struct fuse_bufvec *ret)
{
	size_t len = 0;

	ret->buf[0].mem = mount_thread_buffer(size);
	/* An error is told to who reads. */
	return view_read(fs->view, f, 0, ret->buf[0].mem, size, &len, NULL) == 0 && len == size;
}

/*
 * Puts a small file into the page cache when it is first opened, which saves its reader a request.
 *
 * Storing waits for pages that are being read, so for another thread that answers.  There can be
 * such a request when two open the file at once; that only one thread stores at a time leaves all
 * the others to answer it.
 */
static void
store_small(struct mount_fs *fs, fuse_ino_t ino, struct mount_handle *h)
{
	uint64_t size = view_file_size(h->file);
	struct fuse_bufvec v = FUSE_BUFVEC_INIT(size);

	if (size == 0 || size > STORE_MAX || !read_whole(fs, h->file, size, &v) ||
	    atomic_exchange(&fs->storing, true))
		return;
	if (fuse_lowlevel_notify_store(fs->fuse, ino, 0, &v, 0) == 0)
		atomic_fetch_add(&h->bytes, size);
	atomic_store(&fs->storing, false);
}

/* Opens, and records it.  What isn't on record is not handed out. */
static int
open_recorded(const struct mount_call *call, struct view_node *n, int flags,
	      struct mount_handle **ret)
{
	struct mount_fs *fs = call->fs;
	struct err err = ERR_INIT;
	struct view_file *f;
	uint64_t access;
	int error, r;

	if ((flags & O_ACCMODE) != O_RDONLY) {
		mount_record_failed(call, "open", n, NULL, ERR_DENIED, "for writing");
		return EROFS;
	}
	r = view_open(fs->view, n, &f, &err);
	if (r < 0) {
		mount_record_failed(call, "open", n, NULL, r, err.msg);
		return mount_failed(n, NULL, "open", r, &err);
	}
	error = mount_record(call, "open", n, &access);
	if (error != 0) {
		view_close(fs->view, f);
		return error;
	}
	*ret = handle_new(fs, f, access);
	return 0;
}

static int
open_file(const struct mount_call *call, struct view_node *n, struct fuse_file_info *fi)
{
	struct mount_fs *fs = call->fs;
	struct mount_handle *h = NULL;
	int error = open_recorded(call, n, fi->flags, &h);

	if (error != 0)
		return error;
	assert(h != NULL);
	fi->fh = (uintptr_t)h;
	fi->keep_cache = view_file_immutable(h->file);
	/* The mount's own texts have no size to rely on. */
	fi->direct_io = !view_file_immutable(h->file);
	fi->noflush = 1;
	if (view_file_immutable(h->file) && view_node_first_open(n))
		store_small(fs, mount_ino_of(fs, n), h);
	return 0;
}

/* Valid replies: open, err. */
void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	int error = open_file(call, mount_node_of(fs, ino), fi);
	bool waits = mount_call_take(call);

	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (error == 0 && (!waits || fuse_reply_open(req, fi) < 0))
		handle_close(fs, handle_of(fi));
	mount_call_end(call);
}

static void
close_file(struct mount_fs *fs, void *arg, uint64_t n)
{
	(void)n;
	handle_close(fs, arg);
}

/* Valid replies: err. */
void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	mount_later(mount_fs_of(req), close_file, handle_of(fi), 0);
	fuse_reply_err(req, 0);
}

static int
read_file(struct mount_fs *fs, struct view_node *n, struct mount_handle *h, uint64_t off, void *p,
	  size_t len, size_t *ret_len)
{
	struct err err = ERR_INIT;
	int none = 0, r;

	if (p == NULL)
		return EINVAL;
	r = view_read(fs->view, h->file, off, p, len, ret_len, &err);
	/* Not a word of "not found" here: the file was found when it was opened. */
	if (r == ERR_NOENT)
		r = ERR_CORRUPT;
	if (r == 0) {
		atomic_fetch_add(&h->bytes, *ret_len);
		return 0;
	}
	(void)atomic_compare_exchange_strong(&h->code, &none, r);
	return mount_failed(n, NULL, "read", r, &err);
}

/* Valid replies: buf, err. */
void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	char *p = mount_thread_buffer(size);
	size_t len = 0;
	int error =
		read_file(fs, mount_node_of(fs, ino), handle_of(fi), (uint64_t)off, p, size, &len);
	bool waits = mount_call_take(call);

	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (waits)
		fuse_reply_buf(req, p, len);
	mount_call_end(call);
}

static int
seek_file(struct mount_fs *fs, struct view_node *n, struct view_file *f, off_t off, int whence,
	  uint64_t *ret)
{
	struct err err = ERR_INIT;
	int r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return EINVAL;
	if (off < 0)
		return ENXIO;
	r = view_seek(fs->view, f, (uint64_t)off, whence == SEEK_HOLE, ret, &err);
	if (r == ERR_NOENT)
		return ENXIO;
	return r < 0 ? mount_failed(n, NULL, "seek in", r, &err) : 0;
}

/* Valid replies: lseek, err. */
void
op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct mount_call *call = mount_call_begin(req);
	struct mount_fs *fs = call->fs;
	uint64_t at = 0;
	int error = seek_file(fs, mount_node_of(fs, ino), handle_of(fi)->file, off, whence, &at);
	bool waits = mount_call_take(call);

	if (error != 0 && waits)
		fuse_reply_err(req, error);
	else if (waits)
		fuse_reply_lseek(req, (off_t)at);
	mount_call_end(call);
}
