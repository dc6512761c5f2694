/*
 * db.h - local SQLite databases (catalog, cache index, access log).  The one module that includes
 * sqlite3.h.
 *
 * A thin skin: statements are prepared once and reused, columns and parameters by position.
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_DB_H
#define TILLFS_DB_H

#include "tillfs/base.h"

struct db;
struct db_stmt;

/**
 * db_open - open or create a database file (mode 0600) in WAL mode, synchronous NORMAL.
 * @schema:  SQL run when user_version is 0
 * @version: user_version to set then
 *
 * Return: 0, ERR_CORRUPT when the file is damaged or of another version, ERR_BUSY, ERR_IO,
 * ERR_NOSPACE. Threads: a db and its statements belong to one thread at a time.
 */
MUST_CHECK int db_open(const char *path, const char *schema, int version, struct db **ret,
		       struct err *err);
/**
 * db_open_existing - open for reading only what db_open made, on read-only media too.
 * Return: 0, ERR_NOENT, ERR_DENIED, ERR_CORRUPT when it is damaged, no database, or of another
 * version, ERR_IO.
 */
MUST_CHECK int db_open_existing(const char *path, int version, struct db **ret, struct err *err);
/**
 * db_open_shared - as db_open, for a database that others may damage or delete while it is open.
 * @durable: whether what was committed survives a power cut; if not, the file itself may not
 *
 * A rollback journal in place of WAL: nothing is mapped into memory, so that a file cut short is an
 * error and not a signal.
 */
MUST_CHECK int db_open_shared(const char *path, const char *schema, int version, bool durable,
			      struct db **ret, struct err *err);
void db_close(struct db *db); /* finalises its statements too */
DEFINE_FREEP(struct db *, db_close)
MUST_CHECK int db_exec(struct db *db, const char *sql, struct err *err);

/* Borrowed from the db until it closes.  A mistake in @sql ends the process: it is ours. */
struct db_stmt *db_prepare(struct db *db, const char *sql);
/* The same for a database from elsewhere, which may lack what @sql names.  Return: 0, ERR_CORRUPT,
 * …
 */
MUST_CHECK int db_prepare_foreign(struct db *db, const char *sql, struct db_stmt **ret,
				  struct err *err);
/* Parameters from 1; bytes are borrowed until the next db_reset. */
void db_bind_int(struct db_stmt *s, int i, int64_t v);
void db_bind_bytes(struct db_stmt *s, int i, const void *p, size_t len);
void db_bind_text(struct db_stmt *s, int i, const void *p, size_t len); /* the same, as text */
/**
 * db_step - run to the next row.
 * Return: 1 a row, 0 done, or ERR_CORRUPT, ERR_BUSY, ERR_NOSPACE, ERR_IO.
 */
MUST_CHECK int db_step(struct db_stmt *s, struct err *err);
void db_reset(struct db_stmt *s); /* before the next use; clears parameters */
int64_t db_int(struct db_stmt *s, int column);
struct slice db_bytes(struct db_stmt *s, int column); /* borrowed until the next step or reset */

/* Runs a statement that gives no row, then resets it. */
MUST_CHECK int db_run(struct db_stmt *s, struct err *err);

#endif /* TILLFS_DB_H */
