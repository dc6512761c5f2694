/*
 * read.c - a foreign database, opened so that it can do nothing but be read.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "read.h"

#define OPS_BETWEEN_LOOKS 10000 /* at the clock; a few microseconds each thousand */
#define CACHE_KIB         2048

struct db_read {
	struct vfs_database databases[DB_READ_FILES_MAX];
	size_t n;
	struct vfs *vfs;
	sqlite3 *handle;
	sqlite3_stmt *stmt;
	bool setting_up; /* what is not allowed later is now */
	bool denied;     /* by the authorizer, since the last start */
	uint64_t deadline_ms;
	bool late;
};

bool
db_is_database(struct slice header)
{
	return header.len >= DB_HEADER_LEN && memcmp(header.p, "SQLite format 3", 16) == 0;
}

/* ---- errors ---------------------------------------------------------------------------- */

static int
code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_ERROR:
	case SQLITE_RANGE:
	case SQLITE_MISUSE:
	case SQLITE_SCHEMA:
		return ERR_INVALID;
	case SQLITE_AUTH:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return ERR_DENIED;
	case SQLITE_NOMEM:
	case SQLITE_TOOBIG:
		return ERR_NOSPACE;
	case SQLITE_IOERR:
		return ERR_IO;
	default:
		return ERR_CORRUPT;
	}
}

static const struct err *
read_failure(const struct db_read *db)
{
	for (size_t i = 0; i < db->n; i++)
		if (db->databases[i].failure.code != 0)
			return &db->databases[i].failure;
	return NULL;
}

/* What went wrong, in the words of who knows most. */
static int
fail(struct db_read *db, int rc, struct err *err)
{
	const struct err *reading = read_failure(db);

	if (reading != NULL)
		return err_set(err, reading->code, "%s", reading->msg);
	if (db->late)
		return err_set(err, ERR_UNREACHABLE,
			       "the query took longer than it may and was stopped");
	if (db->denied)
		return err_set(err, ERR_DENIED,
			       "only reading is allowed here: SELECT, WITH, EXPLAIN and PRAGMAs "
			       "that tell of the schema");
	if ((rc & 0xff) == SQLITE_NOMEM)
		return err_set(err, ERR_NOSPACE,
			       "the query needs more memory than a database may have here");
	if ((rc & 0xff) == SQLITE_TOOBIG)
		return err_set(err, ERR_NOSPACE, "a value or row is larger than allowed here");
	return err_set(err, code_of(rc), "%s", sqlite3_errmsg(db->handle));
}

/* ---- what a database may do ------------------------------------------------------------ */

static bool
may_ask(const char *pragma)
{
	static const char *const harmless[] = {
		"table_info",       "table_xinfo",     "table_list",       "index_list",
		"index_info",       "index_xinfo",     "foreign_key_list", "database_list",
		"collation_list",   "function_list",   "encoding",         "user_version",
		"application_id",   "page_size",       "page_count",       "freelist_count",
		"schema_version",   "compile_options", "integrity_check",  "quick_check",
		"foreign_key_check"};

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (sqlite3_stricmp(harmless[i], pragma) == 0)
			return true;
	return false;
}

static int
authorize(void *arg, int action, const char *a, const char *b, const char *database,
	  const char *trigger)
{
	struct db_read *db = arg;
	bool ok;

	(void)database, (void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		ok = true;
		break;
	case SQLITE_FUNCTION:
		ok = b == NULL || (sqlite3_stricmp(b, "load_extension") != 0 &&
				   sqlite3_stricmp(b, "fts3_tokenizer") != 0);
		break;
	case SQLITE_PRAGMA:
		ok = db->setting_up || (a != NULL && may_ask(a));
		break;
	case SQLITE_UPDATE:
		/* SQLite says so while it makes room for a PRAGMA's rows; nothing can be written.
		 */
		ok = a != NULL && strcmp(a, "sqlite_master") == 0;
		break;
	default:
		ok = db->setting_up;
	}
	db->denied |= !ok;
	return ok ? SQLITE_OK : SQLITE_DENY;
}

static int
look_at_clock(void *arg)
{
	struct db_read *db = arg;

	if (db->deadline_ms != 0 && time_monotonic_ms() >= db->deadline_ms)
		db->late = true;
	return db->late;
}

static void
set_limits(sqlite3 *h, const struct db_limits *limits)
{
	const struct {
		int what, value;
	} set[] = {
		{SQLITE_LIMIT_LENGTH, (int)min_u64(limits->value, INT32_MAX)},
		{SQLITE_LIMIT_SQL_LENGTH, (int)MIB},
		{SQLITE_LIMIT_COLUMN, 2000},
		{SQLITE_LIMIT_EXPR_DEPTH, 200},
		{SQLITE_LIMIT_COMPOUND_SELECT, 100},
		{SQLITE_LIMIT_VDBE_OP, 1000000},
		{SQLITE_LIMIT_FUNCTION_ARG, 100},
		{SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
		{SQLITE_LIMIT_VARIABLE_NUMBER, 2000},
		{SQLITE_LIMIT_TRIGGER_DEPTH, 1},
		{SQLITE_LIMIT_WORKER_THREADS, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		sqlite3_limit(h, set[i].what, set[i].value);
}

static void
set_defences(sqlite3 *h)
{
	const struct {
		int what, value;
	} set[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		(void)sqlite3_db_config(h, set[i].what, set[i].value, NULL);
}

/* ---- opening --------------------------------------------------------------------------- */

static int
exec(struct db_read *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

static int
set_up(struct db_read *db, const struct db_limits *limits, struct err *err)
{
	CLEANUP(freep)
	char *pragmas = str_format("PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
				   "PRAGMA mmap_size=0; PRAGMA cache_size=-%d;",
				   CACHE_KIB);
	int r;

	set_defences(db->handle);
	sqlite3_set_authorizer(db->handle, authorize, db);
	sqlite3_progress_handler(db->handle, OPS_BETWEEN_LOOKS, look_at_clock, db);
	r = exec(db, pragmas, err);
	if (r == 0 && db->n > 1)
		r = exec(db, "ATTACH 'then' AS \"then\"", err);
	(void)sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, (int)db->n - 1);
	set_limits(db->handle, limits);
	/* The schema, so that damage shows at once. */
	if (r == 0)
		r = exec(db, "SELECT 1 FROM main.sqlite_schema LIMIT 1", err);
	if (r == 0 && db->n > 1)
		r = exec(db, "SELECT 1 FROM \"then\".sqlite_schema LIMIT 1", err);
	db->setting_up = false;
	return r;
}

int
db_read_open(const struct db_files *files, size_t n, const struct db_limits *limits,
	     struct db_read **ret, struct err *err)
{
	CLEANUP(db_read_closep) struct db_read *db = mem_alloc(sizeof *db);
	int r;

	*ret = NULL;
	db->setting_up = true;
	if (limits->memory > 0)
		(void)sqlite3_hard_heap_limit64((sqlite3_int64)limits->memory);
	for (size_t i = 0; i < n && i < DB_READ_FILES_MAX; i++) {
		db->databases[i].files = files[i];
		db->n = i + 1;
		r = overlay_build(&files[i], &db->databases[i].overlay, err);
		if (r < 0)
			return r;
	}
	db->vfs = vfs_new(db->databases, db->n);
	r = sqlite3_open_v2("main", &db->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
			    vfs_name(db->vfs));
	if (r != SQLITE_OK)
		return fail(db, r, err);
	r = set_up(db, limits, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&db);
	return 0;
}

void
db_read_close(struct db_read *db)
{
	if (db == NULL)
		return;
	sqlite3_finalize(db->stmt);
	sqlite3_close(db->handle);
	vfs_free(db->vfs);
	for (size_t i = 0; i < db->n; i++)
		overlay_fini(&db->databases[i].overlay);
	free(db);
}

/* ---- statements ------------------------------------------------------------------------ */

static int
bind(sqlite3_stmt *s, int i, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		return sqlite3_bind_null(s, i);
	case DB_INT:
		return sqlite3_bind_int64(s, i, v->i);
	case DB_REAL:
		return sqlite3_bind_double(s, i, v->r);
	case DB_TEXT:
		return sqlite3_bind_text64(s, i, v->b.len > 0 ? (const char *)v->b.p : "", v->b.len,
					   SQLITE_TRANSIENT, SQLITE_UTF8);
	case DB_BLOB:
		return sqlite3_bind_blob64(s, i, v->b.len > 0 ? (const void *)v->b.p : "", v->b.len,
					   SQLITE_TRANSIENT);
	}
	return SQLITE_MISUSE;
}

/* Whether there is anything but spaces, semicolons and comments behind the statement. */
static bool
is_rest(struct db_read *db, const char *tail, const char *end)
{
	sqlite3_stmt *more = NULL;
	bool found;

	if (tail == NULL || tail >= end)
		return false;
	found = sqlite3_prepare_v2(db->handle, tail, (int)(end - tail), &more, NULL) != SQLITE_OK ||
		more != NULL;
	sqlite3_finalize(more);
	return found;
}

static void
forget_last(struct db_read *db)
{
	sqlite3_finalize(steal_ptr(&db->stmt));
	db->denied = db->late = false;
	for (size_t i = 0; i < db->n; i++)
		db->databases[i].failure = ERR_INIT;
}

int
db_read_start(struct db_read *db, struct slice sql, const struct db_value *params, size_t n,
	      unsigned deadline_ms, struct err *err)
{
	const char *text = (const char *)sql.p, *tail = NULL;
	int rc;

	forget_last(db);
	db->deadline_ms = deadline_ms > 0 ? time_monotonic_ms() + deadline_ms : 0;
	if (sql.len > INT32_MAX)
		return err_set(err, ERR_INVALID, "the query is too long");
	rc = sqlite3_prepare_v2(db->handle, text, (int)sql.len, &db->stmt, &tail);
	if (rc != SQLITE_OK)
		return fail(db, rc, err);
	if (db->stmt == NULL)
		return err_set(err, ERR_INVALID, "there is no query");
	if (is_rest(db, tail, text + sql.len))
		return err_set(err, ERR_INVALID, "give one query only");
	if (!sqlite3_stmt_readonly(db->stmt))
		return err_set(err, ERR_DENIED, "only reading is allowed here");
	for (size_t i = 0; i < n; i++) {
		rc = bind(db->stmt, (int)i + 1, &params[i]);
		if (rc != SQLITE_OK)
			return fail(db, rc, err);
	}
	return 0;
}

int
db_read_step(struct db_read *db, struct err *err)
{
	int rc = sqlite3_step(db->stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return fail(db, rc, err);
}

unsigned
db_read_columns(struct db_read *db)
{
	return (unsigned)sqlite3_column_count(db->stmt);
}

struct slice
db_read_column_name(struct db_read *db, unsigned i)
{
	const char *name = sqlite3_column_name(db->stmt, (int)i);

	return slice_str(name != NULL ? name : "");
}

struct db_value
db_read_value(struct db_read *db, unsigned i)
{
	struct db_value v = {.type = DB_NULL};
	int column = (int)i;

	switch (sqlite3_column_type(db->stmt, column)) {
	case SQLITE_INTEGER:
		v.type = DB_INT;
		v.i = sqlite3_column_int64(db->stmt, column);
		break;
	case SQLITE_FLOAT:
		v.type = DB_REAL;
		v.r = sqlite3_column_double(db->stmt, column);
		break;
	case SQLITE_TEXT:
		v.type = DB_TEXT;
		v.b.p = sqlite3_column_text(db->stmt, column);
		v.b.len = (size_t)sqlite3_column_bytes(db->stmt, column);
		break;
	case SQLITE_BLOB:
		v.type = DB_BLOB;
		v.b.p = sqlite3_column_blob(db->stmt, column);
		v.b.len = (size_t)sqlite3_column_bytes(db->stmt, column);
		break;
	default:
		break;
	}
	return v;
}

struct db_real_text
db_real_format(double r)
{
	struct db_real_text t;

	sqlite3_snprintf(sizeof t.s, t.s, "%!.15g", r);
	return t;
}
