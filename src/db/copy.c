/*
 * copy.c - databases of others: open, copy with the backup API, check.
 *
 * Layer 1.  Source: sqlite.org/c3ref/backup_finish.html, sqlite.org/security.html.
 */
#include "tillfs/db_copy.h"

#include <stdio.h>
#include <unistd.h>

#include "db/internal.h"

#define PAGES_A_STEP   2048
#define OPS_A_LOOK     20000 /* of SQLite's machine, between looks at the clock */
#define BUSY_SLEEP_US  2000
#define VALUE_LEN_MAX  (256 * 1024 * 1024)
#define FINDING_LEN    200
#define PATH_LEN_LIMIT 500u /* SQLite's own is 512, companions included */

struct db_foreign {
	sqlite3 *handle;
	char *path;
	struct db_patience patience;
	uint64_t deadline_ms; /* for others' locks */
};

static bool
is_cancelled(const struct db_foreign *d)
{
	return d->patience.cancel != NULL && atomic_load(d->patience.cancel);
}

static int
fail(const struct db_foreign *d, int rc, struct err *err)
{
	if (is_cancelled(d))
		return err_set(err, ERR_CANCELLED, "stopped");
	return err_set(err, db_code_of(rc), "%s", sqlite3_errmsg(d->handle));
}

/* ---- opening ---- */

static int
wait_for_lock(void *arg, int tries)
{
	const struct db_foreign *d = arg;

	(void)tries;
	if (is_cancelled(d) || time_monotonic_ms() >= d->deadline_ms)
		return 0;
	usleep(BUSY_SLEEP_US);
	return 1;
}

static int
look_up(void *arg)
{
	return is_cancelled(arg);
}

/* A path as the URI that SQLite wants options in. */
static char *
uri_of(const char *path, const char *options)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	buf_append_str(&b, "file:");
	for (const char *p = path; *p != '\0'; p++) {
		if (strchr(plain, *p) != NULL)
			buf_append_u8(&b, (uint8_t)*p);
		else
			buf_appendf(&b, "%%%02X", (unsigned)(unsigned char)*p);
	}
	buf_append_str(&b, options);
	return str_copy(buf_cstr(&b));
}

/* What a hostile schema or page could ask for, refused beforehand. */
static int
distrust(struct db_foreign *d, struct err *err)
{
	static const struct {
		int what, on;
	} settings[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
		{SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
	};
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		rc = sqlite3_db_config(d->handle, settings[i].what, settings[i].on, NULL);
		if (rc != SQLITE_OK)
			return fail(d, rc, err);
	}
	sqlite3_limit(d->handle, SQLITE_LIMIT_LENGTH, VALUE_LEN_MAX);
	sqlite3_limit(d->handle, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(d->handle, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_busy_handler(d->handle, wait_for_lock, d);
	sqlite3_progress_handler(d->handle, OPS_A_LOOK, look_up, d);
	rc = sqlite3_exec(d->handle,
			  "PRAGMA query_only=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
			  "PRAGMA cell_size_check=ON;",
			  NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : fail(d, rc, err);
}

int
db_foreign_open(const char *path, enum db_sharing sharing, const struct db_patience *patience,
		struct db_foreign **ret, struct err *err)
{
	static const char *const options[] = {[DB_SHARED] = "?mode=ro",
					      [DB_IMMUTABLE] = "?immutable=1",
					      [DB_UNSHARED] = "?mode=ro"};
	CLEANUP(db_foreign_closep) struct db_foreign *d = mem_alloc(sizeof *d);
	CLEANUP(freep) char *uri = uri_of(path, options[sharing]);
	const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
			  SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW;
	int rc, r;

	*ret = NULL;
	if (strlen(path) > PATH_LEN_LIMIT)
		return err_set(err, ERR_IO, "its path is longer than SQLite takes");
	d->path = str_copy(path);
	d->patience = *patience;
	d->deadline_ms = time_monotonic_ms() + patience->timeout_ms;
	rc = sqlite3_open_v2(uri, &d->handle, flags, sharing == DB_UNSHARED ? "unix-none" : "unix");
	if (rc != SQLITE_OK)
		return fail(d, rc, err);
	r = distrust(d, err);
	if (r < 0)
		return r;
	/* In exclusive mode the index of a -wal file stands in memory, not in a -shm file. */
	if (sharing == DB_UNSHARED)
		rc = sqlite3_exec(d->handle, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return fail(d, rc, err);
	*ret = steal_ptr(&d);
	return 0;
}

void
db_foreign_close(struct db_foreign *d)
{
	if (d == NULL)
		return;
	sqlite3_close(d->handle);
	free(d->path);
	free(d);
}

/* ---- one moment ---- */

static int
read_cookie(struct db_foreign *d, uint32_t *ret, struct err *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(d->handle, "PRAGMA schema_version", -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*ret = (uint32_t)sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	if (sqlite3_extended_errcode(d->handle) == SQLITE_READONLY_ROLLBACK)
		return err_set(err, ERR_DENIED,
			       "a transaction was interrupted, and only its application may roll "
			       "it back");
	return rc == SQLITE_ROW ? 0 : fail(d, rc, err);
}

/* Through SQLite's own descriptor: closing one of ours would drop its locks. */
static int
read_header(struct db_foreign *d, uint8_t ret[DB_MOMENT_HEADER_LEN], struct err *err)
{
	sqlite3_file *f = NULL;
	int rc = sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_FILE_POINTER, &f);

	if (rc == SQLITE_OK)
		rc = f->pMethods->xRead(f, ret, DB_MOMENT_HEADER_LEN, 0);
	return rc == SQLITE_OK ? 0 : fail(d, rc, err);
}

int
db_foreign_begin(struct db_foreign *d, struct db_moment *ret, struct err *err)
{
	int rc, r;

	*ret = (struct db_moment){0};
	d->deadline_ms = time_monotonic_ms() + d->patience.timeout_ms;
	rc = sqlite3_exec(d->handle, "BEGIN", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return fail(d, rc, err);
	/* The first read takes the lock; within a transaction it is kept. */
	r = read_cookie(d, &ret->schema_cookie, err);
	if (r == 0)
		r = read_header(d, ret->header, err);
	if (r < 0)
		db_foreign_end(d);
	return r;
}

void
db_foreign_end(struct db_foreign *d)
{
	/* Nothing was written, so nothing can be lost when this fails. */
	(void)sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- copying ---- */

static int
open_copy(const char *to, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(to, ret,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
					 SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW,
				 "unix");

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(*ret,
				  "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
				  "PRAGMA locking_mode=EXCLUSIVE;",
				  NULL, NULL, NULL);
	return rc;
}

static int
copy_pages(struct db_foreign *d, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", d->handle, "main");
	int rc = SQLITE_OK, finish;

	if (b == NULL)
		return sqlite3_errcode(to);
	while (rc == SQLITE_OK && !is_cancelled(d))
		rc = sqlite3_backup_step(b, PAGES_A_STEP);
	finish = sqlite3_backup_finish(b);
	return rc != SQLITE_DONE ? rc : finish;
}

int
db_foreign_copy(struct db_foreign *d, const char *to, struct err *err)
{
	sqlite3 *copy = NULL;
	int rc = open_copy(to, &copy), r = 0;

	if (rc == SQLITE_OK)
		rc = copy_pages(d, copy);
	if (is_cancelled(d))
		r = err_set(err, ERR_CANCELLED, "stopped");
	else if (rc != SQLITE_OK)
		r = err_set(err, db_code_of(rc), "copying it: %s", sqlite3_errstr(rc));
	sqlite3_close(copy);
	return r;
}

/* ---- checking ---- */

/* The first line of what quick_check says, safe to print. */
static int
judge(const unsigned char *text, struct err *err)
{
	CLEANUP(buf_fini) struct buf safe = BUF_INIT;
	const char *finding = text != NULL ? (const char *)text : "";

	if (strcmp(finding, "ok") == 0)
		return 0;
	if (strncmp(finding, "*** in database main ***\n", 25) == 0)
		finding += 25;
	text_append_safe(&safe, slice_of(finding, min_u64(strcspn(finding, "\n"), FINDING_LEN)));
	return err_set(err, ERR_CORRUPT, "quick_check found: %s", buf_cstr(&safe));
}

int
db_foreign_check(struct db_foreign *d, struct err *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(d->handle, "PRAGMA quick_check(1)", -1, &s, NULL);
	int r;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		r = judge(sqlite3_column_text(s, 0), err);
	else if ((rc & 0xff) == SQLITE_ERROR && !is_cancelled(d))
		r = err_set(err, ERR_UNSUPPORTED, "%s", sqlite3_errmsg(d->handle));
	else
		r = fail(d, rc, err);
	sqlite3_finalize(s);
	return r;
}
