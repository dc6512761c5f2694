/*
 * capture.c - fix a moment of a database, and have it checked while it is read.
 *
 * At rest is a database without a write-ahead log that, in rollback mode, no writer has locked just
 * now.  It is read in place, and read again as a copy if its stat changes before the end.
 * Everything else is copied under SQLite's locks.
 *
 * Layer 4.
 */
#include "tillfs/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/spool.h"
#include "tillfs/db_copy.h"

#define CLOCK_TICK_US    20000   /* longer than a tick of a file system's clock … */
#define COARSE_TICK_US   3000000 /* … and than one of a clock without fractions of a second */
#define WRITE_VERSION_AT 18u
#define READ_VERSION_AT  19u
#define CHANGE_AT        24u /* of 4 bytes */
#define COOKIE_AT        40u /* the same */
#define VALID_FOR_AT     92u /* of 8 bytes, the writer's version included */
#define ROLLBACK_MODE    1
#define WAL_MODE         2

struct capture {
	struct capture_options options;
	char *path; /* absolute, without symlinks */
	int dirfd;  /* borrowed for capture_begin */
	const char *name;
	struct stat before;
	struct spool spool;
	int fd; /* in place */
	uint64_t len;
	bool wal_mode;

	struct db_foreign *db; /* the checker's, while it runs */
	pthread_t checker;
	bool checking;
	int checked;          /* the checker's outcome */
	struct err check_err; /* the same */
};

bool
capture_is_database(struct slice head)
{
	static const char magic[16] = "SQLite format 3";

	return head.len >= CAPTURE_HEADER_LEN && memcmp(head.p, magic, sizeof magic) == 0 &&
	       head.p[21] == 64 && head.p[22] == 32 && head.p[23] == 32;
}

/* ---- what is there ---- */

/* SQLite opens by name, so the folder's own is needed. */
static int
find_path(struct capture *c, struct err *err)
{
	char link[64], folder[PATH_MAX];
	ssize_t len;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", c->dirfd);
	len = readlink(link, folder, sizeof folder - 1);
	if (len < 0)
		return err_sys(err, "finding its folder's name");
	folder[len] = '\0';
	c->path = str_format("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, c->name);
	return 0;
}

/* Its header and stat.  No descriptor stays open: closing one later would drop SQLite's locks. */
static int
look(struct capture *c, struct err *err)
{
	CLEANUP(closep)
	int fd = openat(c->dirfd, c->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat named;
	uint8_t head[CAPTURE_HEADER_LEN];

	if (fd < 0 || fstat(fd, &c->before) < 0)
		return err_sys(err, "open");
	if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
	    !capture_is_database(slice_of(head, sizeof head)))
		return err_set(err, ERR_BUSY, "kept changing while it was read");
	/* What SQLite will open is this very file. */
	if (lstat(c->path, &named) < 0 || named.st_dev != c->before.st_dev ||
	    named.st_ino != c->before.st_ino)
		return err_set(err, ERR_IO, "its folder is being moved about");
	c->wal_mode = head[READ_VERSION_AT] >= WAL_MODE;
	return 0;
}

static bool
same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The length of a companion, 0 when there is none. */
static uint64_t
companion_len(const struct capture *c, const char *suffix)
{
	CLEANUP(freep) char *path = str_format("%s%s", c->path, suffix);
	struct stat st;

	return lstat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool
companion_exists(const struct capture *c, const char *suffix)
{
	CLEANUP(freep) char *path = str_format("%s%s", c->path, suffix);

	return access(path, F_OK) == 0;
}

static int
open_foreign(const struct capture *c, const char *path, enum db_sharing sharing,
	     struct db_foreign **ret, struct err *err)
{
	const struct db_patience patience = {c->options.timeout_ms, c->options.cancel};

	return db_foreign_open(path, sharing, &patience, ret, err);
}

/* ---- in place ---- */

/* Whether no writer is at work in rollback mode at this moment: then a lock is to be had at once.
 */
static bool
is_unlocked(const struct capture *c)
{
	const struct db_patience none = {0, c->options.cancel};
	CLEANUP(db_foreign_closep) struct db_foreign *db = NULL;
	struct db_moment moment;

	if (db_foreign_open(c->path, DB_SHARED, &none, &db, NULL) < 0 ||
	    db_foreign_begin(db, &moment, NULL) < 0)
		return false;
	db_foreign_end(db);
	return true;
}

/* Whether a write from now on would change the stat. */
static bool
is_older_than_a_tick(const struct timespec *t)
{
	int64_t tick_us = t->tv_nsec == 0 ? COARSE_TICK_US : CLOCK_TICK_US;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - t->tv_sec) * 1000000 + (now.tv_nsec - t->tv_nsec) / 1000 > tick_us;
}

static bool
is_at_rest(const struct capture *c)
{
	if (!is_older_than_a_tick(&c->before.st_ctim))
		return false;
	return c->wal_mode ? companion_len(c, "-wal") == 0 : is_unlocked(c);
}

static int
begin_in_place(struct capture *c, struct err *err)
{
	c->fd = openat(c->dirfd, c->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (c->fd < 0)
		return err_sys(err, "open");
	c->len = (uint64_t)c->before.st_size;
	return open_foreign(c, c->path, DB_IMMUTABLE, &c->db, err);
}

int
capture_still(const struct capture *c, struct err *err)
{
	struct stat after;

	if (capture_is_copy(c))
		return 0;
	if (fstat(c->fd, &after) < 0 || !same_stat(&c->before, &after) ||
	    (c->wal_mode && companion_len(c, "-wal") != 0))
		return err_set(err, ERR_BUSY, "changed while it was read");
	return 0;
}

/* ---- a copy ---- */

static int
write_at(int fd, off_t off, const uint8_t *p, size_t len, struct err *err)
{
	return pwrite(fd, p, len, off) == (ssize_t)len ? 0 : err_sys(err, "the spool");
}

/*
 * The backup API counts the copying as a change.  In rollback mode taking that back makes the copy
 * the same, byte by byte; in WAL mode, which the copy leaves, the header is another anyway.
 */
static int
fix_copy(const struct capture *c, const struct db_moment *m, struct err *err)
{
	const uint8_t mode[2] = {ROLLBACK_MODE, ROLLBACK_MODE};
	const uint8_t cookie[4] = {(uint8_t)(m->schema_cookie >> 24),
				   (uint8_t)(m->schema_cookie >> 16),
				   (uint8_t)(m->schema_cookie >> 8), (uint8_t)m->schema_cookie};
	int fd = c->spool.fd;
	int r = write_at(fd, COOKIE_AT, cookie, sizeof cookie, err);

	if (r == 0 && c->wal_mode)
		return write_at(fd, WRITE_VERSION_AT, mode, sizeof mode, err);
	if (r == 0)
		r = write_at(fd, CHANGE_AT, m->header + CHANGE_AT, 4, err);
	if (r == 0)
		r = write_at(fd, VALID_FOR_AT, m->header + VALID_FOR_AT, 8, err);
	return r;
}

/*
 * WAL mode without the log's index: nobody has the database open, or one alone that keeps the index
 * to itself.  To make an index would be to write into the folder, so locks are done without.
 */
static enum db_sharing
sharing_of(const struct capture *c)
{
	if (!c->wal_mode || companion_exists(c, "-shm"))
		return DB_SHARED;
	return companion_len(c, "-wal") > 0 ? DB_UNSHARED : DB_IMMUTABLE;
}

/* What without locks must be the same before and after: then nobody has written. */
struct trace {
	struct stat st;
	struct capture_mark mark;
};

static int
take_trace(const struct capture *c, struct trace *ret, struct err *err)
{
	if (lstat(c->path, &ret->st) < 0)
		return err_sys(err, "stat");
	if (!capture_mark(c->dirfd, c->name, &ret->mark))
		return err_set(err, ERR_DENIED, "its write-ahead log makes no sense");
	return 0;
}

static int
compare_trace(const struct capture *c, const struct trace *before, struct err *err)
{
	struct trace after;
	int r = take_trace(c, &after, err);

	if (r < 0)
		return r;
	if (!same_stat(&before->st, &after.st) || !hash_equal(&before->mark.h, &after.mark.h) ||
	    companion_exists(c, "-shm"))
		return err_set(err, ERR_BUSY, "changed while it was read");
	return 0;
}

static int
copy(struct capture *c, struct err *err)
{
	CLEANUP(db_foreign_closep) struct db_foreign *source = NULL;
	enum db_sharing sharing = sharing_of(c);
	struct trace before = {0};
	struct db_moment moment;
	int r = 0;

	if (sharing != DB_SHARED) {
		/* A write in the clock tick of our look would leave no trace. */
		usleep(CLOCK_TICK_US);
		r = take_trace(c, &before, err);
	}
	if (r == 0)
		r = open_foreign(c, c->path, sharing, &source, err);
	if (r == 0)
		r = db_foreign_begin(source, &moment, err);
	if (r == ERR_BUSY)
		return err_set(err, ERR_UNREACHABLE, "it stayed locked for %.0f s",
			       c->options.timeout_ms / 1000.0);
	if (r != 0)
		return r;
	r = db_foreign_copy(source, c->spool.path, err);
	db_foreign_end(source);
	if (r == 0 && sharing != DB_SHARED)
		r = compare_trace(c, &before, err);
	return r != 0 ? r : fix_copy(c, &moment, err);
}

static int
begin_copy(struct capture *c, struct err *err)
{
	uint64_t room = (uint64_t)c->before.st_size + companion_len(c, "-wal");
	struct stat st;
	int r = spool_open(c->options.spool, room, &c->spool, err);

	if (r == 0)
		r = copy(c, err);
	if (r < 0)
		return r;
	if (fstat(c->spool.fd, &st) < 0)
		return err_sys(err, "the spool");
	c->len = (uint64_t)st.st_size;
	r = open_foreign(c, c->spool.path, DB_IMMUTABLE, &c->db, err);
	spool_unname(&c->spool);
	return r;
}

/* ---- the check ---- */

static void *
checker_main(void *arg)
{
	struct capture *c = arg;

	c->checked = db_foreign_check(c->db, &c->check_err);
	return NULL;
}

static int
start_check(struct capture *c, struct err *err)
{
	if (pthread_create(&c->checker, NULL, checker_main, c) != 0)
		return err_set(err, ERR_IO, "no thread for its check");
	c->checking = true;
	return 0;
}

static void
end_check(struct capture *c)
{
	if (c->checking)
		pthread_join(c->checker, NULL);
	c->checking = false;
}

/* ---- all of it ---- */

int
capture_begin(const struct capture_options *options, int dirfd, const char *name,
	      bool may_be_in_place, struct capture **ret, struct err *err)
{
	CLEANUP(capture_freep) struct capture *c = mem_alloc(sizeof *c);
	int r;

	*ret = NULL;
	*c = (struct capture){
		.options = *options, .dirfd = dirfd, .name = name, .fd = -1, .spool = SPOOL_INIT};
	r = find_path(c, err);
	if (r == 0)
		r = look(c, err);
	if (r < 0)
		return r;
	r = may_be_in_place && is_at_rest(c) ? begin_in_place(c, err) : begin_copy(c, err);
	if (r == 0)
		r = start_check(c, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&c);
	return 0;
}

uint64_t
capture_len(const struct capture *c)
{
	return c->len;
}

int
capture_fd(const struct capture *c)
{
	return capture_is_copy(c) ? c->spool.fd : c->fd;
}

bool
capture_is_copy(const struct capture *c)
{
	return c->spool.fd >= 0;
}

void
capture_fix_header(const struct capture *c, uint64_t off, uint8_t *p, size_t len)
{
	for (uint64_t at = WRITE_VERSION_AT; c->wal_mode && at <= READ_VERSION_AT; at++)
		if (at >= off && at - off < len)
			p[at - off] = ROLLBACK_MODE;
}

int
capture_finish(struct capture *c, struct err *err)
{
	int r;

	end_check(c);
	/* A change explains whatever the check may have found. */
	r = capture_still(c, err);
	if (r == 0 && c->checked < 0) {
		r = c->checked;
		if (err != NULL)
			*err = c->check_err;
	}
	return r;
}

void
capture_free(struct capture *c)
{
	if (c == NULL)
		return;
	end_check(c);
	db_foreign_close(c->db);
	spool_fini(&c->spool);
	closep(&c->fd);
	free(c->path);
	free(c);
}
