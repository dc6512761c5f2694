/*
 * db_copy.h - databases of others: open one without trusting it, copy it as it is at one moment,
 * check it.
 *
 * Nothing here writes to such a database.  Its schema isn't trusted (no functions with side
 * effects, no virtual tables that reach outside, no extensions), and lengths are limited.
 *
 * Layer 1, part of db: uses base.
 */
#ifndef TILLFS_DB_COPY_H
#define TILLFS_DB_COPY_H

#include "tillfs/base.h"

struct db_foreign;

enum db_sharing {
	/* Others may be writing: SQLite's own locks.  In WAL mode that needs, or makes, the -shm
	 * file. */
	DB_SHARED,
	/* Nobody writes: no locks, no companions looked at, no file made. */
	DB_IMMUTABLE,
	/* Nobody writes; the -wal file counts, its index is kept in memory: no locks, no file made.
	 */
	DB_UNSHARED,
};

struct db_patience {
	unsigned timeout_ms;       /* how long to wait for others' locks */
	const atomic_bool *cancel; /* may be NULL */
};

/**
 * db_foreign_open - open a database for reading.
 * @path:     absolute, without symlinks in it
 * @patience: copied; what @cancel points to must outlive @ret
 *
 * Reads nothing yet.  Return: 0, ERR_NOENT, ERR_DENIED, ERR_IO (a path too long for SQLite too).
 * Threads: one at a time.
 */
MUST_CHECK int db_foreign_open(const char *path, enum db_sharing sharing,
			       const struct db_patience *patience, struct db_foreign **ret,
			       struct err *err);
void db_foreign_close(struct db_foreign *d);
DEFINE_FREEP(struct db_foreign *, db_foreign_close)

/* Of a database file: sqlite.org/fileformat2.html section 1.3. */
#define DB_MOMENT_HEADER_LEN 100u

/* What a copy made with the backup API doesn't keep. */
struct db_moment {
	uint32_t schema_cookie;
	uint8_t header[DB_MOMENT_HEADER_LEN]; /* as it stands in the file; in WAL mode a newer one
					  may be in the log */
};

/**
 * db_foreign_begin - fix the moment: what is read from now on is of this moment, until
 * db_foreign_end.
 *
 * Return: 0, ERR_BUSY when it stayed locked for the whole timeout, ERR_DENIED when reading it would
 * need writing (an interrupted transaction must be rolled back, or the -shm file can't be used),
 * ERR_CORRUPT, ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int db_foreign_begin(struct db_foreign *d, struct db_moment *ret, struct err *err);
void db_foreign_end(struct db_foreign *d);

/**
 * db_foreign_copy - copy all pages, each at its place, with SQLite's backup API.
 * @to: an empty file of ours; neither synced nor journaled
 *
 * Call it between begin and end.  Cost: one pass over the database; a writer in rollback mode waits
 * meanwhile.  Return: 0, ERR_NOSPACE, ERR_CORRUPT, ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int db_foreign_copy(struct db_foreign *d, const char *to, struct err *err);

/**
 * db_foreign_check - PRAGMA quick_check.
 * Cost: one pass over the database.  Return: 0, ERR_CORRUPT with the first finding, ERR_UNSUPPORTED
 * when this SQLite can't check it (functions or modules of its application), ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int db_foreign_check(struct db_foreign *d, struct err *err);

#endif /* TILLFS_DB_COPY_H */
