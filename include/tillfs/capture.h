/*
 * capture.h - SQLite databases as they are at one moment, whoever writes to them.
 *
 * A database at rest is read where it stands; one that may be written to is copied first, with
 * SQLite's backup API, into a spool file.  Either way it is checked (PRAGMA quick_check) while the
 * caller reads it, and what is read says "rollback mode", so that any SQLite opens it on a
 * read-only mount.  The database itself is never written to.
 *
 * Layer 4: uses base, db.
 */
#ifndef TILLFS_CAPTURE_H
#define TILLFS_CAPTURE_H

#include "tillfs/base.h"

#define CAPTURE_HEADER_LEN 100u /* of a database file */

/* Whether a file's first bytes, CAPTURE_HEADER_LEN of them, are those of a SQLite database. */
bool capture_is_database(struct slice head);

/* ---- the companions of a database ---- */

/* A -wal file's header.  Source: sqlite.org/fileformat2.html section 4.1. */
struct wal_header {
	uint32_t page_size;
	uint32_t salt[2];
	bool big_endian; /* of the checksums */
};
#define WAL_HEADER_LEN       32u
#define WAL_FRAME_HEADER_LEN 24u
#define JOURNAL_HEADER_LEN   28u

/* @bytes: WAL_HEADER_LEN of them.  Return: false for what SQLite would take for no log at all. */
MUST_CHECK bool wal_header_parse(struct slice bytes, struct wal_header *ret);
/* Whether the frame that begins with these WAL_FRAME_HEADER_LEN bytes belongs to that log. */
bool wal_frame_is_of(const struct wal_header *h, struct slice bytes);
/* Whether these first bytes of a -journal file are those of a transaction underway, or interrupted.
 */
bool journal_is_filled(struct slice bytes);

/* The length of a name without "-wal", "-shm" or "-journal"; 0 when it ends in none. */
size_t capture_companion_base(const char *name);
/* Whether a companion's content is what its name says (never for "-shm"). */
bool capture_is_companion(int dirfd, const char *name);

/*
 * The state of a database besides its own stat: header, length, last frame, time of change and
 * inode of its -wal file. All zero: there is none, or an empty one.
 */
struct capture_mark {
	struct hash h;
};
/* @name: the database's.  Return: false when there is a log that can't be judged. */
MUST_CHECK bool capture_mark(int dirfd, const char *name, struct capture_mark *ret);

/* ---- capturing ---- */

struct capture_options {
	const char *spool;         /* a folder; made when missing */
	unsigned timeout_ms;       /* how long to wait for others' locks */
	const atomic_bool *cancel; /* may be NULL; must outlive the captures */
};

/* Removes what a killed run may have left in the spool. */
void capture_clean(const char *spool);

struct capture;

/**
 * capture_begin - fix the moment, and start the check.
 * @dirfd, @name: where it is; a symlink is refused
 * @may_be_in_place: a database at rest may be read where it stands; capture_finish then tells
 *                   whether it stayed so
 *
 * The caller must have no descriptor of the file open: closing it would drop SQLite's locks.
 * Cost: a copy into the spool for one that isn't at rest, else a few reads.
 * Return: 0, ERR_BUSY when it changed meanwhile (begin again), ERR_UNREACHABLE when it stayed
 * locked, ERR_NOSPACE in the spool, ERR_DENIED when reading it would need writing, ERR_CORRUPT,
 * ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int capture_begin(const struct capture_options *options, int dirfd, const char *name,
			     bool may_be_in_place, struct capture **ret, struct err *err);
uint64_t capture_len(const struct capture *c);
/* A descriptor to pread its bytes from, and whether they were copied.  Borrowed. */
int capture_fd(const struct capture *c);
bool capture_is_copy(const struct capture *c);
/* Makes bytes read at @off say "rollback mode", which a database read in place may not. */
void capture_fix_header(const struct capture *c, uint64_t off, uint8_t *p, size_t len);

/* Whether what was read so far is one moment's.  Cheap.  Return: 0, or ERR_BUSY: begin again. */
MUST_CHECK int capture_still(const struct capture *c, struct err *err);

/**
 * capture_finish - wait for the check, and make sure that what was read was one moment's.
 *
 * Return: 0, ERR_BUSY when it changed while it was read in place (begin again), ERR_CORRUPT with
 * what the check found, ERR_UNSUPPORTED when it couldn't be checked but was captured,
 * ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int capture_finish(struct capture *c, struct err *err);
void capture_free(struct capture *c); /* waits for the check */
DEFINE_FREEP(struct capture *, capture_free)

/* ---- extracts: rows of a query on a captured database, as CSV ---- */

struct extract;

/**
 * extract_begin - begin a query; waits for the capture's check.
 * @c: a copy; must outlive @ret.  One extract of a capture at a time
 *
 * Return: 0, ERR_INVALID for what is no query, ERR_CORRUPT, ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int extract_begin(struct capture *c, const char *query, unsigned timeout_sec,
			     struct extract **ret, struct err *err);
/* The next bytes of the CSV; @ret_len 0 at its end.  Return: as db_read_step. */
MUST_CHECK int extract_read(struct extract *e, void *p, size_t len, size_t *ret_len,
			    struct err *err);
void extract_free(struct extract *e);
DEFINE_FREEP(struct extract *, extract_free)

#endif /* TILLFS_CAPTURE_H */
