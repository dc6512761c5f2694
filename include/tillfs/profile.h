/*
 * profile.h - profiles: what a schema calls a receipt, and which rows belong to it.
 *
 *	[profile]
 *	database = pos.db                patterns of files' names or paths, several
 *
 *	[record receipt]
 *	table = receipt
 *	key = id                         several for a key of several columns
 *	time = at
 *	child = line: receipt = id       a table: its column = the record's column, …
 *	mask = line.note                 a column, or table.column
 *
 * Layer 4, part of records: uses config.
 */
#ifndef TILLFS_PROFILE_H
#define TILLFS_PROFILE_H

#include "tillfs/base.h"
#include "tillfs/records.h"

struct profile_words {
	char **v;
	size_t n, cap;
};

struct profile_child {
	char *table;
	struct profile_words columns; /* of the child, and the record's, in turn */
};

struct profile_record {
	char *name, *table, *time; /* time: NULL without */
	struct profile_words key;
	struct profile_words masks;
	struct profile_child *children;
	size_t n_children, cap_children;
};

struct profile {
	char *name;
	struct profile_words databases;
	struct profile_record *records;
	size_t n_records, cap_records;
};

/**
 * profile_parse - a profile out of the text of an INI file.
 * @name: what it is called
 * Return: 0, or ERR_INVALID with file and line.
 */
MUST_CHECK int profile_parse(struct slice text, const char *name, const char *origin,
			     struct profile **ret, struct err *err);
void profile_free(struct profile *p);
DEFINE_FREEP(struct profile *, profile_free)
/* By name, whatever its letters' case; NULL: none. */
const struct profile_record *profile_find(const struct profile *p, const char *record);
/* Whether a path's file may be a database of this profile. */
bool profile_matches(const struct profile *p, struct slice path);
/* Whether a column of a table is masked. */
bool profile_masks(const struct profile_record *r, const char *table, struct slice column);

/* Profiles in the order in which they count. */
struct profiles {
	struct profile **v;
	size_t n, cap;
};
/**
 * profiles_load - the user's, the system's, the installed and the built-in profiles.
 * Files `*.ini` of tillfs/profiles in $XDG_CONFIG_HOME or ~/.config, of /etc/tillfs/profiles, of
 * the data folder; one hides those of the same name that come later. Return: 0, ERR_INVALID for a
 * file that makes no sense, ERR_IO.
 */
MUST_CHECK int profiles_load(struct profiles *ret, struct err *err);
void profiles_fini(struct profiles *p);

/* ---- records with what belongs to them --------------------------------------------------- */

/* Rows kept in memory. */
struct row_set {
	struct slice *names;
	struct db_value *values; /* n_rows × n_columns */
	size_t n_rows, cap_rows;
	unsigned n_columns;
	struct buf *store; /* a buffer a row, so that they don't move */
};
void row_set_fini(struct row_set *s);
int row_set_add(void *arg, const struct records_row *row, struct err *err); /* a records_row_fn */
struct records_row row_set_row(const struct row_set *s, size_t i);

struct document_child {
	const struct profile_child *child;
	const struct records_table *table;
	struct row_set rows;
};

/* A record: one row, and its children's. */
struct document {
	const struct profile_record *record;
	const struct records_table *table;
	struct row_set row;
	struct document_child *children; /* as many as the record has */
};
void document_free(struct document *d);

#define DOCUMENTS_MAX 1000u

struct documents {
	struct document **v;
	size_t n, cap;
};
void documents_fini(struct documents *d);

/* Whether a database has the record's table with the columns of its key.  Return: 1, 0, or as
 * records_query. */
MUST_CHECK int document_fits(struct records_db *db, const struct profile_record *record,
			     struct err *err);
/**
 * documents_get - the records of a key; mostly one.
 * @key: words, as many as the record's key has columns
 *
 * A child table that isn't there, or lacks a column, is an error: the profile is for another
 * schema.
 * Return: 0, ERR_NOENT, ERR_INVALID, or as records_query.
 */
MUST_CHECK int documents_get(struct records_db *db, const struct profile_record *record,
			     const char *const *key, size_t n_key, struct documents *ret,
			     struct err *err);

/* {"receipt": {…}, "line": [{…}]}, without the braces around it; masked values are "***". */
void document_put_json(const struct document *d, struct buf *ret);
/* A block of CSV a table, with an empty line between them. */
void document_put_csv(const struct document *d, struct buf *ret);
/*
 * Statements that make the database have this record again as it was: its row inserted or
 * updated, its children replaced.  Masked columns are left out.
 */
void document_put_sql(const struct document *d, struct buf *ret);

#endif /* TILLFS_PROFILE_H */
