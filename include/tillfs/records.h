/*
 * records.h - rows of the databases inside snapshots.
 *
 * A database in a snapshot is as hostile as its writer.  So SQLite runs in a worker: a process
 * without files, network or children (seccomp), which asks this one for ranges of the database over
 * a socket and sends back typed values.  A worker that crashes, or doesn't answer in time, costs
 * the request and is replaced.  Workers descend from a process that is forked before any secret is
 * in memory.
 *
 * Names: a row's file name is its key, escaped (docs/records.md); one row, one name.
 *
 * Layer 4: uses db, reader, merge, compare.
 */
#ifndef TILLFS_RECORDS_H
#define TILLFS_RECORDS_H

#include "tillfs/base.h"
#include "tillfs/compare.h"
#include "tillfs/db_read.h"
#include "tillfs/merge.h"

/* ---- workers ----------------------------------------------------------------------------- */

struct records_host;

/**
 * records_host_start - fork the process that workers descend from.
 * @forget: called in it, to wipe what it must not keep; or NULL
 *
 * Call it before secrets are in memory and before threads are started.
 * Return: 0, or ERR_IO.
 */
MUST_CHECK int records_host_start(void (*forget)(void), struct records_host **ret, struct err *err);
void records_host_stop(struct records_host *h); /* ends all its workers */
DEFINE_FREEP(struct records_host *, records_host_stop)

/* ---- databases --------------------------------------------------------------------------- */

/* A database file with its companions, in one directory of a snapshot. */
struct records_files {
	struct tree_file *main, *wal, *journal; /* the last two may be NULL */
};
void records_files_close(struct records_files *f);
/**
 * records_files_open - open a file of @dir, and `-wal` and `-journal` beside it.
 * The opened snapshot must outlive it.
 * Return: 0, ERR_NOENT, ERR_INVALID when it is no SQLite database, or what reading gives.
 */
MUST_CHECK int records_files_open(const struct merged *dir, struct slice name,
				  struct records_files *ret, struct err *err);
/* Whether a file is one: reads its first bytes, unless its size says no.  Return: 0, or what
 * reading gives. */
MUST_CHECK int records_is_database(const struct merged *file, bool *ret, struct err *err);

#define RECORDS_NO_DEADLINE UINT32_MAX
struct records_limits {
	size_t value;         /* bytes of the largest row; 0: 32 MiB */
	unsigned deadline_ms; /* of a query; 0: 30 s */
	/* Told of each range of the first database's own file that is read; may be NULL. */
	void (*on_read)(void *arg, uint64_t off, uint64_t len);
	void *on_read_arg;
};

/* An open database, with a worker of its own.  Threads: one at a time. */
struct records_db;

/**
 * records_open - start a worker and open a database in it.
 * @files: @n of them; the second, when there is one, is the schema `then`; borrowed
 *
 * Return: 0, ERR_CORRUPT (no database, or a damaged one), ERR_UNREACHABLE (no answer in time),
 * ERR_IO (the worker crashed), or what reading gives.
 */
MUST_CHECK int records_open(struct records_host *h, const struct records_files *files, size_t n,
			    const struct records_limits *limits, struct records_db **ret,
			    struct err *err);
void records_close(struct records_db *db);
DEFINE_FREEP(struct records_db *, records_close)
/* False after a crash or a missed deadline: close it and open another one. */
bool records_alive(const struct records_db *db);

/* A row of an answer.  Everything is borrowed until the callback returns. */
struct records_row {
	const struct slice *names; /* n of them */
	const struct db_value *values;
	unsigned n;
};
typedef int records_row_fn(void *arg, const struct records_row *row, struct err *err);

/**
 * records_query - run one statement that reads.
 * @params: for ?1, ?2, …
 * @fn:     called for each row; a negative value ends the query, and the worker
 *
 * Return: 0, what @fn returned, ERR_INVALID (wrong SQL), ERR_DENIED (would do more than read),
 * ERR_UNREACHABLE (deadline), ERR_NOSPACE (larger than the limits), ERR_CORRUPT, ERR_IO (the worker
 * crashed), or what reading gives.
 */
MUST_CHECK int records_query(struct records_db *db, const char *sql, const struct db_value *params,
			     size_t n, records_row_fn *fn, void *arg, struct err *err);

/* ---- tables ------------------------------------------------------------------------------ */

enum records_affinity {
	AFFINITY_NONE, /* BLOB, or no type */
	AFFINITY_TEXT,
	AFFINITY_NUMERIC, /* and INTEGER */
	AFFINITY_REAL,
};

struct records_column {
	char *name;
	char *type; /* as declared */
	enum records_affinity affinity;
	unsigned in_key; /* place in the key from 1, or 0 */
	char *collation; /* of the key's index; NULL: the column's own */
	bool not_null, generated;
};

enum records_key_kind {
	KEY_ROWID,   /* no primary key, or one that can't be used: the rowid */
	KEY_INTEGER, /* INTEGER PRIMARY KEY: the rowid by another name */
	KEY_COLUMNS, /* the primary key's columns; with a NULL in it, the rowid */
	KEY_CLUSTER, /* WITHOUT ROWID */
};

struct records_table {
	char *name;
	struct records_column *columns; /* all that SELECT * shows */
	unsigned n_columns;
	unsigned *key; /* columns of the key, in its order */
	unsigned n_key;
	enum records_key_kind kind;
	char *rowid;      /* SQL for it; NULL without one, or when columns took all its names */
	bool may_be_null; /* the key's columns */
};

/* @fn: called with each table's name, in byte order: no views, virtual or internal tables. */
typedef int records_name_fn(void *arg, struct slice name, struct err *err);
MUST_CHECK int records_tables(struct records_db *db, records_name_fn *fn, void *arg,
			      struct err *err);
/* Return: 0, or ERR_NOENT.  @name: as in the schema, byte for byte.  Owned by @db, kept until it
 * closes. */
MUST_CHECK int records_table(struct records_db *db, struct slice name,
			     const struct records_table **ret, struct err *err);
/* The table that a directory's name stands for.  Return: 0, or ERR_NOENT. */
MUST_CHECK int records_table_named(struct records_db *db, struct slice dir_name,
				   const struct records_table **ret, struct err *err);
/* The statements of the schema, `;` and a newline behind each. */
MUST_CHECK int records_schema(struct records_db *db, struct buf *ret, struct err *err);

/* ---- keys and names ---------------------------------------------------------------------- */

#define RECORDS_NAME_MAX 255u /* bytes of a file's name */
#define RECORDS_SUFFIX   ".json"

/* Which row: values of the key's columns, or a rowid. */
struct records_key {
	bool by_rowid;
	int64_t rowid;
	struct db_value *values; /* n of them; their bytes are in store */
	unsigned n;
	struct buf store;
};
void records_key_fini(struct records_key *k);
/* @to: replaced. */
void records_key_copy(const struct records_key *from, struct records_key *to);

/*
 * A name for any bytes, such as a table's: `/`, `%`, `,`, a leading `.`, control bytes and bytes
 * that are not UTF-8 become %XX.  @ret: appended.  A name that would be too long, and _schema.sql
 * and _source, get another form (docs/records.md).
 */
void records_name_of_table(struct slice table, struct buf *ret);
/* The file's name for a key, suffix included.  @ret: appended. */
void records_name_of_key(const struct records_table *t, const struct records_key *key,
			 struct buf *ret);

enum records_name_kind {
	NAME_KEY,
	NAME_HASH, /* of a key too long for a name: only a listing finds the row */
	NAME_NONE, /* names no row of any table like this */
};
/**
 * records_key_parse - the key that a file's name says.
 * @ret: replaced
 */
enum records_name_kind records_key_parse(const struct records_table *t, struct slice name,
					 struct records_key *ret);
/* A key as users type it: values separated by commas, without escapes where none are needed.
 * Return: 0, or ERR_INVALID. */
MUST_CHECK int records_key_of_words(const struct records_table *t, struct slice words,
				    struct records_key *ret, struct err *err);

/* ---- rows -------------------------------------------------------------------------------- */

/**
 * records_get - one row by its key.
 * Costs a few pages.
 * Return: 0 and @fn was called once, ERR_NOENT, or as records_query.
 */
MUST_CHECK int records_get(struct records_db *db, const struct records_table *t,
			   const struct records_key *key, records_row_fn *fn, void *arg,
			   struct err *err);
/* The row of a file's name, as JSON.  @ret: replaced.  Return: as records_get. */
MUST_CHECK int records_get_named(struct records_db *db, const struct records_table *t,
				 struct slice name, struct buf *ret, struct err *err);

/* A place in a table's listing.  Zero-initialised: the start. */
struct records_place {
	bool nulls; /* among the rows that have a NULL in their key, which come last */
	bool inside;
	struct records_key after;
};
void records_place_fini(struct records_place *p);
void records_place_copy(const struct records_place *from, struct records_place *to);

/**
 * records_list - the names of the next rows in key order.
 * @at:    moves on
 * @limit: how many
 * @fn:    called for each, with the name as records_name_of_key
 * @ret_n: how many there were; fewer than @limit only at the end
 *
 * Costs the pages of the key's index that hold these keys, or of the table.
 */
MUST_CHECK int records_list(struct records_db *db, const struct records_table *t,
			    struct records_place *at, size_t limit, records_name_fn *fn, void *arg,
			    size_t *ret_n, struct err *err);

/* ---- what changed ------------------------------------------------------------------------ */

enum records_change_kind {
	ROW_ADDED,
	ROW_REMOVED,
	ROW_CHANGED,
	TABLE_ADDED, /* its rows follow as added */
	TABLE_REMOVED,
	TABLE_COLUMNS, /* other columns; rows are compared by those that both have */
};

/* Everything is borrowed for the call. */
struct records_change {
	enum records_change_kind kind;
	struct slice table;
	struct slice name;             /* of a row's file, as records_name_of_key */
	const struct records_row *old; /* the columns that both versions have; NULL: added */
	const struct records_row *new; /* NULL: removed */
};
typedef int records_change_fn(void *arg, const struct records_change *change, struct err *err);

/**
 * records_changes - the rows that differ between two versions of a database.
 * @old, @new: borrowed
 *
 * Tables in byte order; those that are gone come last.  A rowid table's rows are matched by rowid,
 * others by their key.  Values differ when their bytes or types do.
 * Costs the inner pages of the b-trees and the leaves that aren't stored alike in both; everything,
 * where pages can't be compared: another page size, a WAL or journal beside, WITHOUT ROWID tables
 * that changed.
 * Return: 0, what @fn returned, or as records_open and records_query.
 */
MUST_CHECK int records_changes(struct records_host *h, const struct records_files *old,
			       const struct records_files *new, const struct records_limits *limits,
			       records_change_fn *fn, void *arg, struct err *err);

/* ---- one answer over time ---------------------------------------------------------------- */

/*
 * A question asked of version after version of a database.  Where the pages that the last answer
 * came from are as they were, and the schema too, the answer is the same, and no worker is started.
 */
struct records_walk;

/**
 * records_ask_fn - ask a database.
 * @ret: replaced: the answer, any bytes
 * Return: 0, ERR_NOENT when there is nothing to answer, or a code that ends the step.
 */
typedef int records_ask_fn(void *arg, struct records_db *db, struct buf *ret, struct err *err);

struct records_walk *records_walk_new(struct records_host *h, const struct records_limits *limits,
				      records_ask_fn *fn, void *arg);
void records_walk_free(struct records_walk *w);
DEFINE_FREEP(struct records_walk *, records_walk_free)
/**
 * records_walk_step - ask the next version.
 * @files: borrowed until the next step has returned: it is compared with these
 * @ret:   what became of the answer
 * Return: 0, what asking gives, or as records_open.  After a failure the next step asks afresh.
 */
MUST_CHECK int records_walk_step(struct records_walk *w, const struct records_files *files,
				 enum version_step *ret, struct err *err);
void records_walk_absent(struct records_walk *w); /* the next version hasn't got the database */
/* The answer of the last step that had one; borrowed until the next step. */
struct slice records_walk_answer(const struct records_walk *w);

/* ---- texts ------------------------------------------------------------------------------- */

/*
 * JSON: integers in full, reals with the fewest digits that give them back and never without point
 * or exponent (infinity: 9e999), text as a string, {"base64": …} for a blob, {"text_base64": …} for
 * text that isn't UTF-8.
 */
void records_json_value(struct buf *b, const struct db_value *v);
/* {"id": 1, …}, with @indent spaces a column on lines of their own, or on one line when negative.
 */
void records_json_row(struct buf *b, const struct records_row *row, int indent);
/* A line of CSV as sqlite3 -csv writes it, newline included. */
void records_csv_row(struct buf *b, const struct records_row *row);
void records_csv_header(struct buf *b, const struct records_row *row);
/* A literal of SQL: 'it''s', X'00ff', CAST(X'ff' AS TEXT). */
void records_sql_value(struct buf *b, const struct db_value *v);
void records_sql_name(struct buf *b, struct slice name); /* "quoted" */

#endif /* TILLFS_RECORDS_H */
