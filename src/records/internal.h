/*
 * internal.h - what the files of records share.
 *
 *	cage.c     what a worker may ask of the kernel
 *	host.c     the process that workers descend from
 *	worker.c   a worker: SQLite on one side, the socket on the other
 *	wire.c     messages between the two, and values in them
 *	link.c     this side: hands out pages, takes rows
 *	files.c    a database and its companions in a snapshot
 *	schema.c   tables, their columns and keys
 *	key.c      keys as names and back; name.c the escapes
 *	rows.c     one row by its key, and listings
 *	pages.c    which pages two versions don't share; page_rows.c, page_keys.c: their rows
 *	walk.c     one question asked of version after version
 *	changes.c  rows that two versions don't have in common
 *	text.c     values as JSON, CSV and SQL
 */
#ifndef RECORDS_INTERNAL_H
#define RECORDS_INTERNAL_H

#include <pthread.h>

#include "tillfs/records.h"

/* ---- the cage */

/**
 * cage_enter - from now on only memory, the clock, the end, and reading and writing @fd.
 * Return: false when the kernel refuses, or this processor isn't known.
 */
MUST_CHECK bool cage_enter(int fd);

/* ---- messages */

#define WIRE_MESSAGE_MAX (256u * MIB)
#define WIRE_READ_MAX    MIB /* bytes of a database at a time */

enum wire_kind {
	/* to the worker */
	WIRE_OPEN = 'O',  /* databases: sizes of three files each; limits */
	WIRE_QUERY = 'Q', /* deadline, SQL, parameters */
	WIRE_DATA = 'D',  /* the bytes asked for */
	WIRE_LOST = 'L',  /* instead: they can't be had */
	/* from the worker */
	WIRE_READ = 'R',    /* database, file, offset, length */
	WIRE_COLUMNS = 'C', /* names */
	WIRE_ROWS = 'W',    /* some rows */
	WIRE_ERROR = 'E',   /* code, sentence: the end */
	WIRE_DONE = 'Z',    /* the end */
};

enum wire_file { WIRE_MAIN, WIRE_WAL, WIRE_JOURNAL, WIRE_FILES };

/* A message is a byte of kind, a u32le length, and so many bytes. */
#define WIRE_HEADER 5u
/* Room for the header at the start of a message. */
void wire_begin(struct buf *b, enum wire_kind kind);
void wire_finish(struct buf *b); /* fills in the length */

void wire_put_value(struct buf *b, const struct db_value *v);

/* A message being taken apart: once it ran out, everything is zero and ok stays false. */
struct wire_rd {
	const uint8_t *p, *end;
	bool ok;
};
struct wire_rd wire_rd_init(struct slice message);
uint8_t wire_u8(struct wire_rd *rd);
uint32_t wire_u32(struct wire_rd *rd);
uint64_t wire_u64(struct wire_rd *rd);
struct slice wire_bytes(struct wire_rd *rd); /* u32 length, bytes; borrowed */
struct db_value wire_value(struct wire_rd *rd);

/* ---- processes */

/* @ret_fd: this side's end; @ret_worker: to kill it by.  Threads: any. */
MUST_CHECK int host_spawn(struct records_host *h, int *ret_fd, uint32_t *ret_worker,
			  struct err *err);
void host_kill(struct records_host *h, uint32_t worker); /* nothing when it has ended */
_Noreturn void worker_main(int fd);

/* ---- a database */

struct records_db {
	const struct records_files *files;
	size_t n_files;
	struct records_limits limits;
	struct records_host *host;
	int fd; /* -1: its worker is gone */
	uint32_t worker;
	bool dead;
	struct buf in; /* received, from in_off on not yet used */
	size_t in_off;
	struct buf out;
	struct err read_failure; /* of a range that the worker asked for */
	struct buf names_text;
	struct slice *names; /* columns of the running query */
	struct db_value *values;
	unsigned n_columns;
	struct records_table **tables; /* those asked for so far */
	size_t n_tables, cap_tables;
};

void table_free(struct records_table *t);

/* Appends `"a" COLLATE "x"` and the like. */
void table_put_key_column(struct buf *sql, const struct records_table *t, unsigned i);
void table_put_from(struct buf *sql, const struct records_table *t); /* ` FROM main."t"` */

/* ---- names */

void name_escape(struct slice bytes, bool first, struct buf *ret);
/* Return: false for an escape that name_escape never writes. */
MUST_CHECK bool name_unescape(struct slice text, struct buf *ret);
void name_put_hash(struct slice whole, struct buf *ret); /* %h and 32 digits */
bool name_is_hash(struct slice name);

/* The key's text without suffix, however long.  @ret: appended. */
void key_put(const struct records_table *t, const struct records_key *key, struct buf *ret);
/* Key of a row; @row has all columns, and @rowid when the table has one.  @ret: replaced. */
void key_of_row(const struct records_table *t, const struct db_value *key_values, int64_t rowid,
		struct records_key *ret);

#endif /* RECORDS_INTERNAL_H */
