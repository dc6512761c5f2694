/*
 * file.c - files of packs that are open.
 *
 * A file may be evicted by another process at any time: then it has no name any more, is not used
 * for anything new, and its room comes back when the last reader closes it.
 *
 * Layer 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/internal.h"

static void
unref_locked(struct pack_file *f)
{
	if (--f->refs > 0)
		return;
	closep(&f->fd);
	free(f);
}

static void
detach_locked(struct diskcache *c, struct pack_file *f)
{
	TAILQ_REMOVE(&c->open, f, list);
	c->n_open--;
	unref_locked(f);
}

/* An open file that still has its name.  A reference. */
static struct pack_file *
find_locked(struct diskcache *c, const struct diskcache_pack *p, uint64_t *ret_size)
{
	struct pack_file *f;
	struct stat st;

	TAILQ_FOREACH(f, &c->open, list)
	{
		if (pack_equal(&f->pack, p))
			break;
	}
	if (f == NULL)
		return NULL;
	if (fstat(f->fd, &st) < 0 || st.st_nlink == 0) {
		detach_locked(c, f);
		return NULL;
	}
	*ret_size = (uint64_t)st.st_size;
	TAILQ_REMOVE(&c->open, f, list);
	TAILQ_INSERT_HEAD(&c->open, f, list);
	f->refs++;
	return f;
}

static struct pack_file *
insert_locked(struct diskcache *c, struct pack_file *f)
{
	f->refs = 2; /* the table's and the caller's */
	TAILQ_INSERT_HEAD(&c->open, f, list);
	if (++c->n_open > FILES_OPEN)
		detach_locked(c, TAILQ_LAST(&c->open, pack_files));
	return f;
}

/* ---- opening */

static bool
meta_is(int fd, const struct diskcache_pack *p)
{
	uint8_t bytes[DISKCACHE_META_LEN];
	struct diskcache_pack found;

	return pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes &&
	       diskcache_meta_parse(slice_of(bytes, sizeof bytes), &found) && pack_equal(&found, p);
}

/* Begins a file anew: nothing is in it. */
static bool
begin_file(int fd, const struct diskcache_pack *p)
{
	CLEANUP(buf_fini) struct buf meta = BUF_INIT;

	meta_put(&meta, p);
	return ftruncate(fd, 0) == 0 &&
	       pwrite(fd, meta.p, meta.len, 0) == (ssize_t)DISKCACHE_META_LEN;
}

static int
open_file(const char *path, bool make, bool *ret_writable)
{
	int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(path, O_RDWR | flags);

	*ret_writable = fd >= 0;
	if (fd < 0 && (errno == EACCES || errno == EROFS))
		return open(path, O_RDONLY | flags);
	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	fd = open(path, O_RDWR | O_CREAT | flags, 0600);
	if (fd < 0 && errno == ENOENT) {
		CLEANUP(freep)
		char *folder = str_format("%.*s", (int)(strrchr(path, '/') - path), path);

		if (dir_make(folder, NULL) == 0)
			fd = open(path, O_RDWR | O_CREAT | flags, 0600);
	}
	*ret_writable = fd >= 0;
	return fd;
}

/* A file that holds this pack and no other.  NULL when there is none, or it can't be made. */
static struct pack_file *
open_pack_file(struct diskcache *c, const struct diskcache_pack *p, bool make)
{
	CLEANUP(freep) char *name = pack_file_name(&p->id);
	CLEANUP(freep) char *path = str_format("%s/%s", diskcache_folder(c), name);
	CLEANUP(closep) int fd = -1;
	struct pack_file *f;
	bool writable;

	fd = open_file(path, make, &writable);
	if (fd < 0) {
		if (make)
			cache_store_failed(c, path);
		return NULL;
	}
	if (!meta_is(fd, p) && (!make || !writable || !begin_file(fd, p))) {
		if (make)
			cache_store_failed(c, path);
		return NULL;
	}
	f = mem_alloc(sizeof *f);
	f->pack = *p;
	f->fd = fd;
	f->writable = writable;
	fd = -1;
	return f;
}

/* Whether it is time to note that a file is used. */
static bool
touch_locked(struct pack_file *f)
{
	int64_t now = time_now();

	if (now >= f->touched && now < f->touched + TOUCH_S)
		return false;
	f->touched = now;
	return true;
}

struct pack_file *
pack_file_get(struct diskcache *c, const struct diskcache_pack *p, bool make, uint64_t *ret_size)
{
	struct pack_file *f, *opened;
	struct stat st;
	bool touch = false;

	*ret_size = 0;
	if (diskcache_folder(c) == NULL || pack_blocks(p) > BLOCKS_MAX)
		return NULL;
	pthread_mutex_lock(&c->lock);
	f = find_locked(c, p, ret_size);
	if (f == NULL) {
		pthread_mutex_unlock(&c->lock);
		opened = open_pack_file(c, p, make);
		if (opened == NULL)
			return NULL;
		if (fstat(opened->fd, &st) == 0)
			*ret_size = (uint64_t)st.st_size;
		pthread_mutex_lock(&c->lock);
		/* Another thread may have been faster; two open files of one pack do no harm. */
		f = insert_locked(c, opened);
	}
	touch = touch_locked(f);
	pthread_mutex_unlock(&c->lock);

	if (touch) {
		CLEANUP(freep) char *name = pack_file_name(&p->id);

		index_touch(c, name);
	}
	return f;
}

void
pack_file_put(struct diskcache *c, struct pack_file *f)
{
	pthread_mutex_lock(&c->lock);
	unref_locked(f);
	pthread_mutex_unlock(&c->lock);
}

void
pack_files_close(struct diskcache *c)
{
	struct pack_file *f;

	pthread_mutex_lock(&c->lock);
	while ((f = TAILQ_FIRST(&c->open)) != NULL)
		detach_locked(c, f); /* NOLINT(clang-analyzer-unix.Malloc) */
	pthread_mutex_unlock(&c->lock);
}

/* ---- giving room back */

void
pack_file_shrink(const char *path, const uint64_t keep[DISKCACHE_MAP_WORDS])
{
	CLEANUP(closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t meta[DISKCACHE_META_LEN];
	struct diskcache_pack p;

	if (fd < 0 || pread(fd, meta, sizeof meta, 0) != (ssize_t)sizeof meta ||
	    !diskcache_meta_parse(slice_of(meta, sizeof meta), &p)) {
		(void)unlink(path);
		return;
	}
	for (uint32_t b = 0; b < pack_blocks(&p); b++) {
		uint64_t at = pack_block_at(&p, b);

		if (keep[b / 64] >> (b % 64) & 1)
			continue;
		/* The mark first: what is marked must be there. */
		if (pwrite(fd, "", 1, (off_t)(FILE_MARKS + 1 + b)) != 1)
			return;
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				pack_block_len(&p, b));
	}
}
