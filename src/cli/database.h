/*
 * database.h - what the commands about rows of databases share.
 */
#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include "internal.h"
#include "tillfs/records.h"

/* A database of an opened snapshot, not yet in a worker. */
struct database {
	struct merge *merge;
	struct records_files files;
};
/* @t: must outlive it.  Return: 0, CLI_USAGE, ERR_NOENT, ERR_INVALID, or what reading gives. */
MUST_CHECK int database_find(struct session *s, struct target *t, struct database *ret,
			     struct err *err);
void database_close(struct database *d);

/* --timeout, and values as large as a command may have.  Return: 0, or CLI_USAGE. */
MUST_CHECK int option_deadline(const struct cli *c, struct records_limits *ret, struct err *err);

/* Rows as a table for people: kept until the widths are known. */
struct text_table;
struct text_table *text_table_new(void);
void text_table_add(struct text_table *t, const struct records_row *row);
MUST_CHECK int text_table_print(struct text_table *t, struct err *err);
void text_table_free(struct text_table *t);
DEFINE_FREEP(struct text_table *, text_table_free)

#endif /* CLI_DATABASE_H */
