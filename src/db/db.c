/*
 * db.c - the skin over SQLite.
 *
 * Layer 1.
 */
#include "tillfs/db.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "db/internal.h"

struct db {
	sqlite3 *handle;
	char *path;
	struct db_stmt **stmts;
	size_t n, cap;
};

struct db_stmt {
	struct db *db;
	sqlite3_stmt *handle;
};

int
db_code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_FULL:
		return ERR_NOSPACE;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_DENIED;
	default:
		return ERR_IO;
	}
}

static int
fail(struct db *db, int rc, struct err *err)
{
	return err_set(err, db_code_of(rc), "%s: %s", db->path, sqlite3_errmsg(db->handle));
}

int
db_exec(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

static int
user_version(struct db *db, int *ret, struct err *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? 0 : fail(db, rc, err);
}

static const char write_ahead[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;";
static const char durable_rollback[] = "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;";
static const char unsynced_rollback[] = "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=OFF;";

static int
set_up(struct db *db, const char *mode, const char *schema, int version, struct err *err)
{
	CLEANUP(freep) char *set = str_format("PRAGMA user_version=%d", version);
	int found = 0;
	int r;

	r = db_exec(db, mode, err);
	if (r < 0)
		return r;
	r = user_version(db, &found, err);
	if (r < 0)
		return r;
	if (found == version)
		return 0;
	if (found != 0)
		return err_set(err, ERR_CORRUPT, "%s: has version %d, this tillfs writes %d",
			       db->path, found, version);
	r = db_exec(db, "BEGIN IMMEDIATE", err);
	/* Another process may have been faster. */
	if (r == 0)
		r = user_version(db, &found, err);
	if (r == 0 && found == version)
		return db_exec(db, "COMMIT", err);
	if (r == 0)
		r = db_exec(db, schema, err);
	if (r == 0)
		r = db_exec(db, set, err);
	return r < 0 ? r : db_exec(db, "COMMIT", err);
}

static int
open_in_mode(const char *path, const char *mode, const char *schema, int version, struct db **ret,
	     struct err *err)
{
	CLEANUP(db_closep) struct db *db = mem_alloc(sizeof *db);
	int fd, rc, r;

	*ret = NULL;
	db->path = str_copy(path);
	/* SQLite would create it 0644. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	close(fd);
	rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return fail(db, rc, err);
	sqlite3_busy_timeout(db->handle, 5000);
	r = set_up(db, mode, schema, version, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&db);
	return 0;
}

int
db_open(const char *path, const char *schema, int version, struct db **ret, struct err *err)
{
	return open_in_mode(path, write_ahead, schema, version, ret, err);
}

int
db_open_shared(const char *path, const char *schema, int version, bool durable, struct db **ret,
	       struct err *err)
{
	return open_in_mode(path, durable ? durable_rollback : unsynced_rollback, schema, version,
			    ret, err);
}

/* A path as SQLite's URIs have it. */
static char *
uri_of(const char *path, const char *how)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	buf_append_str(&b, "file:");
	for (const char *s = path; *s != '\0'; s++) {
		if (strchr("%?#", *s) != NULL)
			buf_appendf(&b, "%%%02x", (unsigned char)*s);
		else
			buf_append_u8(&b, (uint8_t)*s);
	}
	buf_appendf(&b, "?%s", how);
	return str_copy(buf_cstr(&b));
}

static int
open_reading(const char *path, const char *how, int version, struct db **ret, struct err *err)
{
	CLEANUP(db_closep) struct db *db = mem_alloc(sizeof *db);
	CLEANUP(freep) char *uri = uri_of(path, how);
	int found = 0, rc, r;

	db->path = str_copy(path);
	rc = sqlite3_open_v2(uri, &db->handle,
			     SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return fail(db, rc, err);
	sqlite3_busy_timeout(db->handle, 5000);
	/* It may come from anywhere: no SQL that it brings along is run. */
	r = db_exec(db, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;", err);
	if (r == 0)
		r = user_version(db, &found, err);
	if (r < 0)
		return r;
	if (found != version)
		return err_set(err, ERR_CORRUPT, "%s: has version %d, this tillfs reads %d", path,
			       found, version);
	*ret = steal_ptr(&db);
	return 0;
}

int
db_open_existing(const char *path, int version, struct db **ret, struct err *err)
{
	int r;

	*ret = NULL;
	if (access(path, R_OK) < 0)
		return err_sys(err, "%s", path);
	r = open_reading(path, "mode=ro", version, ret, err);
	/* In a folder that can't be written to, there is no place for what WAL needs. */
	if (r < 0 && r != ERR_CORRUPT && access(path, W_OK) < 0)
		r = open_reading(path, "mode=ro&immutable=1", version, ret, err);
	return r;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->n; i++) {
		sqlite3_finalize(db->stmts[i]->handle);
		free(db->stmts[i]);
	}
	free(db->stmts);
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
}

struct db_stmt *
db_prepare(struct db *db, const char *sql)
{
	struct db_stmt *s = mem_alloc(sizeof *s);

	s->db = db;
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle, NULL) !=
	    SQLITE_OK) {
		fprintf(stderr, "tillfs: %s: %s in: %s\n", db->path, sqlite3_errmsg(db->handle),
			sql);
		abort();
	}
	array_reserve(db->stmts, db->n, db->cap);
	db->stmts[db->n++] = s;
	return s;
}

int
db_prepare_foreign(struct db *db, const char *sql, struct db_stmt **ret, struct err *err)
{
	struct db_stmt *s;
	sqlite3_stmt *handle = NULL;
	int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);

	*ret = NULL;
	if (rc == SQLITE_ERROR)
		return err_set(err, ERR_CORRUPT, "%s: %s", db->path, sqlite3_errmsg(db->handle));
	if (rc != SQLITE_OK)
		return fail(db, rc, err);
	s = mem_alloc(sizeof *s);
	s->db = db;
	s->handle = handle;
	array_reserve(db->stmts, db->n, db->cap);
	db->stmts[db->n++] = s;
	*ret = s;
	return 0;
}

void
db_bind_int(struct db_stmt *s, int i, int64_t v)
{
	sqlite3_bind_int64(s->handle, i, v);
}

void
db_bind_bytes(struct db_stmt *s, int i, const void *p, size_t len)
{
	sqlite3_bind_blob64(s->handle, i, len > 0 ? p : "", len, SQLITE_STATIC);
}

void
db_bind_text(struct db_stmt *s, int i, const void *p, size_t len)
{
	sqlite3_bind_text64(s->handle, i, len > 0 ? p : "", len, SQLITE_STATIC, SQLITE_UTF8);
}

int
db_step(struct db_stmt *s, struct err *err)
{
	int rc = sqlite3_step(s->handle);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : fail(s->db, rc, err);
}

void
db_reset(struct db_stmt *s)
{
	sqlite3_reset(s->handle);
	sqlite3_clear_bindings(s->handle);
}

int64_t
db_int(struct db_stmt *s, int column)
{
	return sqlite3_column_int64(s->handle, column);
}

struct slice
db_bytes(struct db_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s->handle, column);

	return slice_of(p, (size_t)sqlite3_column_bytes(s->handle, column));
}

int
db_run(struct db_stmt *s, struct err *err)
{
	int r = db_step(s, err);

	db_reset(s);
	return r < 0 ? r : 0;
}
