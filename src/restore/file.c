/*
 * file.c - regular files: content under a temporary name, then attributes, then the final name.
 *
 * A large file is worked on by all workers: each takes the next range until there is none, and the
 * last one to stop completes the file.  Holes are skipped, not written; zeros are written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

#define RANGE_LEN (8u * MIB)       /* of a large file, taken by one worker at a time */
#define LARGE_LEN (2u * RANGE_LEN) /* from here on several workers are worth their overhead */

struct out_file {
	struct job *job; /* owned */
	char temp[TEMP_NAME_LEN];
	int fd;
	struct tree_file *source;
	unsigned n_hands; /* protected by lock: workers that are at it or will be */
	pthread_mutex_t lock;
	uint64_t next; /* protected by lock: what nobody has taken yet starts here */
	int code;      /* protected by lock: 0, or the first failure's */
	struct err err;
};

void
temp_name(struct run *run, char ret[TEMP_NAME_LEN])
{
	uint64_t n = run->temp_base + atomic_fetch_add(&run->temp_count, 1);

	(void)snprintf(ret, TEMP_NAME_LEN, ".tillfs-%016llx", (unsigned long long)n);
}

/* ---- names ------------------------------------------------------------------------------- */

/* Puts it into the place of whatever is there.  Return: 0, or -1 with errno. */
static int
replace(int dirfd, const char *temp, const char *name)
{
	if (renameat(dirfd, temp, dirfd, name) < 0) {
		/* An empty folder may be in the way; one that isn't stays. */
		if (errno != EISDIR || unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ||
		    renameat(dirfd, temp, dirfd, name) < 0)
			return -1;
	}
	/* Between two names of one inode, renaming does nothing. */
	(void)unlinkat(dirfd, temp, 0);
	return 0;
}

/* Return: 0, or -1 with errno, EEXIST when something is there. */
static int
place(int dirfd, const char *temp, const char *name)
{
	if (renameat2(dirfd, temp, dirfd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system without that flag. */
	if (linkat(dirfd, temp, dirfd, name, 0) < 0)
		return -1;
	return unlinkat(dirfd, temp, 0);
}

int
commit_name(struct run *run, const struct outdir *dir, const char *temp, const char *name,
	    struct err *err)
{
	int r = run->options->overwrite ? replace(dir->fd, temp, name) : place(dir->fd, temp, name);

	if (r == 0)
		return 0;
	r = err_sys(err, "giving it its name");
	(void)unlinkat(dir->fd, temp, 0);
	return r;
}

/* ---- content ----------------------------------------------------------------------------- */

static int
write_at(int fd, const uint8_t *p, size_t len, uint64_t off, struct err *err)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "writing");
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* Copies a range without holes. */
static int
copy_data(struct run *run, struct tree_file *source, int fd, uint64_t off, uint64_t end,
	  uint8_t *buffer, struct err *err)
{
	while (off < end) {
		size_t got;
		int r;

		if (restore_stopped(run))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = tree_file_read(source, off, buffer, min_u64(end - off, COPY_LEN), &got, err);
		if (r == 0 && got == 0)
			r = err_set(err, ERR_CORRUPT, "the content ends before the file's size");
		if (r == 0)
			r = write_at(fd, buffer, got, off, err);
		if (r < 0)
			return r;
		off += got;
		atomic_fetch_add(&run->bytes, got);
	}
	return 0;
}

/* Copies the data in a range.  @ret_end: where the last data ended, or @off. */
static int
copy_range(struct run *run, struct tree_file *source, int fd, uint64_t off, uint64_t end,
	   uint8_t *buffer, uint64_t *ret_end, struct err *err)
{
	*ret_end = off;
	while (off < end) {
		uint64_t data = 0, hole = 0;
		int r = tree_file_seek(source, off, false, &data, err);

		if (r == ERR_NOENT || (r == 0 && data >= end))
			return 0;
		if (r == 0)
			r = tree_file_seek(source, data, true, &hole, err);
		if (r < 0)
			return r;
		off = min_u64(hole, end);
		r = copy_data(run, source, fd, data, off, buffer, err);
		if (r < 0)
			return r;
		*ret_end = off;
	}
	return 0;
}

/* ---- one file ---------------------------------------------------------------------------- */

/* Takes @job. */
static struct out_file *
out_file_new(struct job *job)
{
	struct out_file *f = mem_alloc(sizeof *f);

	f->job = job;
	f->fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

static int
begin(struct run *run, struct out_file *f, struct err *err)
{
	int r;

	r = tree_file_open(&f->job->item, &f->source, err);
	if (r < 0)
		return r;
	temp_name(run, f->temp);
	f->fd = openat(f->job->dir->fd, f->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       0600);
	return f->fd < 0 ? err_sys(err, "making a file") : 0;
}

static int
complete(struct run *run, struct out_file *f, uint8_t *buffer, struct err *err)
{
	const struct job *job = f->job;
	struct meta_target t = {job->dir, job->name, f->fd, job->dir->inherits};
	int r = 0;

	if (run->options->verify)
		r = verify_file(run, f->source, f->fd, buffer, err);
	if (r == 0)
		r = meta_apply(run, &t, &job->item.entry, err);
	return r;
}

/* Gives it its name, or removes it; tells how it ended; frees it. */
static void
end(struct run *run, struct out_file *f, uint8_t *buffer)
{
	if (f->code == 0)
		f->code = complete(run, f, buffer, &f->err);
	if (f->code == 0)
		f->code = commit_name(run, f->job->dir, f->temp, f->job->name, &f->err);
	else if (f->fd >= 0)
		(void)unlinkat(f->job->dir->fd, f->temp, 0);
	if (f->fd >= 0 && close(f->fd) < 0 && f->code == 0) /* where network file systems tell */
		f->code = err_sys(&f->err, "closing the file");

	if (f->code == 0)
		atomic_fetch_add(&run->bytes, f->job->item.entry.hole_len);
	tree_file_close(f->source);
	job_finish(run, f->job, f->code, &f->err);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- several workers --------------------------------------------------------------------- */

/* The next range with data in it.  Return: 0, ERR_NOENT when there is none, or a failure. */
static int
take_range(struct out_file *f, uint64_t *ret, uint64_t *ret_end, struct err *err)
{
	uint64_t data;
	int r;

	pthread_mutex_lock(&f->lock);
	r = f->code < 0 ? ERR_NOENT : tree_file_seek(f->source, f->next, false, &data, err);
	if (r == 0) {
		*ret = data;
		*ret_end = min_u64(data + RANGE_LEN, tree_file_size(f->source));
		f->next = *ret_end;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int
copy_ranges(struct run *run, struct out_file *f, uint8_t *buffer, struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *source = NULL;
	uint64_t off, stop, ignored;
	int r;

	/* One of its own: readahead follows one reader. */
	r = tree_file_open(&f->job->item, &source, err);
	while (r == 0) {
		r = take_range(f, &off, &stop, err);
		if (r == 0)
			r = copy_range(run, source, f->fd, off, stop, buffer, &ignored, err);
	}
	return r == ERR_NOENT ? 0 : r;
}

void
hand_job(struct run *run, struct job *job, uint8_t *buffer)
{
	struct out_file *f = job->file;
	struct err err = ERR_INIT;
	bool last;
	int r;

	job_free(run, job);
	r = copy_ranges(run, f, buffer, &err);
	pthread_mutex_lock(&f->lock);
	if (r < 0 && f->code == 0) {
		f->code = r;
		f->err = err;
	}
	last = --f->n_hands == 0;
	pthread_mutex_unlock(&f->lock);
	if (last)
		end(run, f, buffer);
}

/* Asks every worker for a hand, this one included. */
static void
share(struct run *run, struct out_file *f, uint8_t *buffer)
{
	struct job *mine = NULL;
	unsigned n = run->n_threads;

	f->n_hands = n;
	for (unsigned i = 0; i < n; i++) {
		struct job *job = mem_alloc(sizeof *job);

		job->file = f;
		if (i == 0)
			mine = job;
		else
			work_add_first(run, job);
	}
	hand_job(run, mine, buffer);
}

void
file_job(struct run *run, struct job *job, uint8_t *buffer)
{
	struct out_file *f = out_file_new(job);
	uint64_t size = job->item.entry.size;
	uint64_t written;

	f->code = begin(run, f, &f->err);
	if (f->code == 0 && size >= LARGE_LEN && run->n_threads > 1) {
		if (ftruncate(f->fd, (off_t)size) == 0) {
			share(run, f, buffer);
			return;
		}
		f->code = err_sys(&f->err, "making a file of %llu bytes", (unsigned long long)size);
	}
	if (f->code == 0)
		f->code = copy_range(run, f->source, f->fd, 0, size, buffer, &written, &f->err);
	if (f->code == 0 && written < size && ftruncate(f->fd, (off_t)size) < 0)
		f->code = err_sys(&f->err, "making a file of %llu bytes", (unsigned long long)size);
	end(run, f, buffer);
}
