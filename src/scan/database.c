/*
 * database.c - card numbers among the values of a database.
 *
 * Layer 4.
 */
#include <inttypes.h>
#include <stdio.h>

#include "scan/internal.h"

struct table_names {
	struct buf *v;
	size_t n, cap;
};

static void
table_names_fini(struct table_names *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_fini(&t->v[i]);
	free(t->v);
}

static int
list_tables(struct db_read *db, struct table_names *ret, struct err *err)
{
	int r = db_read_start(db, slice_str(SCAN_TABLES), NULL, 0, 0, err);

	while (r == 0 && (r = db_read_step(db, err)) == 1 && ret->n < SCAN_TABLES_MAX) {
		struct db_value v = db_read_value(db, 0);

		r = 0;
		array_reserve(ret->v, ret->n, ret->cap);
		ret->v[ret->n] = BUF_INIT;
		if (v.type == DB_TEXT)
			buf_append(&ret->v[ret->n], v.b.p, v.b.len);
		ret->n++;
	}
	return r < 0 ? r : 0;
}

void
scan_value(struct scanner *s, const struct db_value *v)
{
	struct scan_counts ignored;
	char digits[24];
	int len;

	switch (v->type) {
	case DB_INT:
		if (v->i < INT64_C(1000000000000))
			return; /* fewer than 13 digits */
		len = snprintf(digits, sizeof digits, "%" PRId64, v->i);
		scanner_feed(s, slice_of(digits, (size_t)len));
		explicit_bzero(digits, sizeof digits);
		break;
	case DB_TEXT:
	case DB_BLOB:
		if (v->b.len < 13)
			return;
		scanner_feed(s, v->b);
		break;
	default:
		return;
	}
	scanner_finish(s, &ignored);
}

static int
scan_table(struct db_read *db, struct slice name, struct scanner *s, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	int r;

	buf_append_str(&sql, "SELECT * FROM \"");
	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == '"')
			buf_append_u8(&sql, '"');
		buf_append_u8(&sql, name.p[i]);
	}
	buf_append_str(&sql, "\"");
	r = db_read_start(db, buf_slice(&sql), NULL, 0, 0, err);
	while (r == 0 && (r = db_read_step(db, err)) == 1) {
		r = 0;
		for (unsigned i = 0; i < db_read_columns(db); i++) {
			struct db_value v = db_read_value(db, i);

			scan_value(s, &v);
		}
		continue;
	}
	return r;
}

int
scan_database(struct db_read *db, struct scan_counts *ret, struct err *err)
{
	CLEANUP(scanner_freep) struct scanner *s = scanner_new();
	CLEANUP(table_names_fini) struct table_names tables = {0};
	int r = list_tables(db, &tables, err);

	for (size_t i = 0; r == 0 && i < tables.n; i++)
		r = scan_table(db, buf_slice(&tables.v[i]), s, err);
	scanner_finish(s, ret);
	return r;
}
