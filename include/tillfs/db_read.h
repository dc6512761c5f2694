/*
 * db_read.h - read a SQLite database that lies anywhere, as a hostile one.
 *
 * A database is up to three sources of bytes: the file, its `-wal`, its `-journal`.  Committed
 * frames of the WAL and the original pages of a hot journal are laid over the file in memory (an
 * offset a page), as SQLite would after a crash; nothing is copied, written or locked.
 *
 * SQLite is opened defensively: no extension, trigger, write, ATTACH or temporary file; untrusted
 * schema; limits; a deadline.  It parses bytes that an attacker may have written all the same, so
 * callers run this in a process that can do no harm (records.h).
 *
 * Layer 1, part of db: uses base.
 */
#ifndef TILLFS_DB_READ_H
#define TILLFS_DB_READ_H

#include "tillfs/base.h"

/* Bytes of one file.  Zero-initialised: there is no such file. */
struct db_source {
	uint64_t size;
	/* Fills all of @p; the range lies inside the size.  Return: 0 or a code. */
	int (*read)(void *arg, uint64_t off, void *p, size_t len, struct err *err);
	void *arg;
};

struct db_files {
	struct db_source main, wal, journal;
};

/* "SQLite format 3" and a NUL: what a database file begins with. */
#define DB_HEADER_LEN 16u
bool db_is_database(struct slice header);

enum db_type { DB_NULL, DB_INT, DB_REAL, DB_TEXT, DB_BLOB };

struct db_value {
	enum db_type type;
	int64_t i;
	double r;
	struct slice b; /* text, which may be anything but UTF-8, or blob; borrowed */
};

struct db_limits {
	size_t value;    /* bytes of the largest value or row */
	uint64_t memory; /* of the whole process's SQLite; 0: unlimited */
};

struct db_read;

#define DB_READ_FILES_MAX 2u

/**
 * db_read_open - open one database, and a second one as `then`.
 * @files: @n of them, 1 or 2; copied, their args borrowed
 *
 * Costs reading a WAL or hot journal whole, to check it; of the file only the schema.
 * Return: 0, ERR_CORRUPT, or what reading gives.  Threads: one at a time.
 */
MUST_CHECK int db_read_open(const struct db_files *files, size_t n, const struct db_limits *limits,
			    struct db_read **ret, struct err *err);
void db_read_close(struct db_read *db);
DEFINE_FREEP(struct db_read *, db_read_close)

/**
 * db_read_start - prepare one statement and bind its parameters.
 * @params:      copied
 * @deadline_ms: how long until the last row; 0: no limit
 *
 * Ends a statement that was running.
 * Return: 0, ERR_INVALID (SQL that is wrong, or more than one statement), ERR_DENIED (would do more
 * than read), ERR_CORRUPT, or what reading gives.
 */
MUST_CHECK int db_read_start(struct db_read *db, struct slice sql, const struct db_value *params,
			     size_t n, unsigned deadline_ms, struct err *err);
/* Return: 1 a row, 0 the end, ERR_UNREACHABLE past the deadline, ERR_NOSPACE past a limit, … */
MUST_CHECK int db_read_step(struct db_read *db, struct err *err);
unsigned db_read_columns(struct db_read *db);
struct slice db_read_column_name(struct db_read *db, unsigned i); /* until the next start */
struct db_value db_read_value(struct db_read *db, unsigned i);    /* until the next step */

/* A real as SQLite turns it into text: "0.1", "1.0e+300", "Inf". */
struct db_real_text {
	char s[40];
};
struct db_real_text db_real_format(double r);

#endif /* TILLFS_DB_READ_H */
