/*
 * rows.c - queries on databases of others, which can only read.
 *
 * Layer 1.
 */
#include "db/internal.h"

struct db_rows {
	struct db_foreign *db;
	sqlite3_stmt *stmt;
	unsigned timeout_sec;
};

/* What a statement may do. */
static int
authorize(void *arg, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)arg;
	(void)a;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b != NULL && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY
									      : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int
fail(const struct db_rows *r, int rc, struct err *err)
{
	const struct db_foreign *d = r->db;

	if (db_foreign_cancelled(d))
		return err_set(err, ERR_CANCELLED, "stopped");
	if ((rc & 0xff) == SQLITE_INTERRUPT)
		return err_set(err, ERR_UNREACHABLE, "the query took longer than %u s",
			       r->timeout_sec);
	return err_set(err,
		       (rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_AUTH ? ERR_INVALID
										 : db_code_of(rc),
		       "the query: %s", sqlite3_errmsg(d->handle));
}

int
db_foreign_query(struct db_foreign *d, const char *sql, unsigned timeout_sec, struct db_rows **ret,
		 struct err *err)
{
	CLEANUP(db_rows_freep) struct db_rows *r = mem_alloc(sizeof *r);
	const char *rest = "";
	int rc;

	*ret = NULL;
	r->db = d;
	r->timeout_sec = timeout_sec;
	d->query_deadline_ms = time_monotonic_ms() + timeout_sec * UINT64_C(1000);
	sqlite3_set_authorizer(d->handle, authorize, NULL);
	rc = sqlite3_prepare_v2(d->handle, sql, -1, &r->stmt, &rest);
	if (rc != SQLITE_OK)
		return fail(r, rc, err);
	if (r->stmt == NULL || !sqlite3_stmt_readonly(r->stmt) ||
	    sqlite3_column_count(r->stmt) == 0 || rest[strspn(rest, " \t\r\n;")] != '\0')
		return err_set(err, ERR_INVALID, "the query must be one SELECT");
	*ret = steal_ptr(&r);
	return 0;
}

void
db_rows_free(struct db_rows *r)
{
	if (r == NULL)
		return;
	sqlite3_finalize(r->stmt);
	sqlite3_set_authorizer(r->db->handle, NULL, NULL);
	r->db->query_deadline_ms = 0;
	free(r);
}

unsigned
db_rows_columns(const struct db_rows *r)
{
	return (unsigned)sqlite3_column_count(r->stmt);
}

const char *
db_rows_name(const struct db_rows *r, unsigned column)
{
	const char *name = sqlite3_column_name(r->stmt, (int)column);

	return name != NULL ? name : "";
}

int
db_rows_next(struct db_rows *r, struct err *err)
{
	int rc = sqlite3_step(r->stmt);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : fail(r, rc, err);
}

enum db_type
db_rows_type(const struct db_rows *r, unsigned column)
{
	switch (sqlite3_column_type(r->stmt, (int)column)) {
	case SQLITE_INTEGER:
		return DB_INTEGER;
	case SQLITE_FLOAT:
		return DB_REAL;
	case SQLITE_TEXT:
		return DB_TEXT;
	case SQLITE_BLOB:
		return DB_BLOB;
	default:
		return DB_NULL;
	}
}

struct slice
db_rows_text(const struct db_rows *r, unsigned column)
{
	const void *p = db_rows_type(r, column) == DB_BLOB
				? sqlite3_column_blob(r->stmt, (int)column)
				: sqlite3_column_text(r->stmt, (int)column);

	return slice_of(p, p == NULL ? 0 : (size_t)sqlite3_column_bytes(r->stmt, (int)column));
}
