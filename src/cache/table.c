/*
 * table.c - SQLite files that may be damaged or deleted at any time, also by another process.
 *
 * Layer 3.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/internal.h"

static char *
path_of(struct diskcache *c, const struct table *t)
{
	return str_format("%s/%s", diskcache_folder(c), t->file);
}

static uint64_t
ino_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void
table_close(struct table *t)
{
	db_close(steal_ptr(&t->db));
	t->n_queries = 0;
}

/* What can't be read is moved out of the way: somebody may want to look at it. */
static void
set_aside(struct diskcache *c, const struct table *t, const char *why)
{
	CLEANUP(freep) char *path = path_of(c, t);
	CLEANUP(freep) char *aside = str_format("%s.damaged", path);
	CLEANUP(freep) char *journal = str_format("%s-journal", path);

	log_write(LOG_WARN, "cache: %s is damaged (%s) and begun anew%s", path, why,
		  t->durable ? ": what was pinned is not known any more; pin it again" : "");
	(void)rename(path, aside);
	(void)unlink(journal);
}

int
table_failed(struct diskcache *c, struct table *t, int code, const struct err *err)
{
	if (code == ERR_BUSY || code == ERR_NOSPACE || code == ERR_DENIED || code == ERR_CANCELLED)
		return code;
	table_close(t);
	if (code == ERR_CORRUPT)
		set_aside(c, t, err->msg);
	return code;
}

static int
open_once(struct diskcache *c, struct table *t, struct err *err)
{
	CLEANUP(freep) char *path = path_of(c, t);
	int r = db_open_shared(path, t->schema, 1, t->durable, &t->db, err);

	if (r == ERR_NOENT) { /* the whole folder was deleted */
		r = dir_make(diskcache_folder(c), err);
		if (r == 0)
			r = db_open_shared(path, t->schema, 1, t->durable, &t->db, err);
	}
	t->ino = ino_of(path);
	return r < 0 ? table_failed(c, t, r, err) : 0;
}

int
table_open(struct diskcache *c, struct table *t, struct err *err)
{
	CLEANUP(freep) char *path = path_of(c, t);
	int r;

	if (t->db != NULL && ino_of(path) == t->ino)
		return 0;
	table_close(t);
	r = open_once(c, t, err);
	return r == ERR_CORRUPT ? open_once(c, t, err) : r;
}

int
table_query(struct table *t, const char *sql, struct db_stmt **ret, struct err *err)
{
	int r;

	for (size_t i = 0; i < t->n_queries; i++)
		if (t->queries[i].sql == sql) {
			*ret = t->queries[i].stmt;
			db_reset(*ret);
			return 0;
		}
	r = db_prepare_foreign(t->db, sql, ret, err);
	if (r < 0)
		return r;
	if (t->n_queries < TABLE_QUERIES) {
		t->queries[t->n_queries].sql = sql;
		t->queries[t->n_queries++].stmt = *ret;
	}
	return 0;
}

int
table_begin(struct diskcache *c, struct table *t, struct err *err)
{
	int r = table_open(c, t, err);

	if (r == 0)
		r = db_exec(t->db, "BEGIN IMMEDIATE", err);
	return r < 0 ? table_failed(c, t, r, err) : 0;
}

int
table_end(struct diskcache *c, struct table *t, int code, struct err *err)
{
	if (code == 0)
		code = db_exec(t->db, "COMMIT", err);
	if (code == 0)
		return 0;
	/* Fails where SQLite has rolled back by itself. */
	(void)!db_exec(t->db, "ROLLBACK", NULL);
	return table_failed(c, t, code, err);
}
