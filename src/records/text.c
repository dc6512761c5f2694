/*
 * text.c - values as JSON, CSV and SQL.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "internal.h"
#include "tillfs/seal.h"

/* ---- reals ----------------------------------------------------------------------------- */

/* The fewest digits that give the same real back. */
static void
put_real(struct buf *b, double r)
{
	char text[40];

	if (isinf(r)) {
		buf_append_str(b, r > 0 ? "9e999" : "-9e999");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof text, "%.*g", digits, r);
		if (strtod(text, NULL) == r)
			break;
	}
	buf_append_str(b, text);
	if (strpbrk(text, ".e") == NULL)
		buf_append_str(b, ".0");
}

/* ---- JSON ------------------------------------------------------------------------------ */

static void
put_base64(struct buf *b, const char *what, struct slice bytes)
{
	buf_appendf(b, "{\"%s\": \"", what);
	seal_base64_append(b, bytes);
	buf_append_str(b, "\"}");
}

void
records_json_value(struct buf *b, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		buf_append_str(b, "null");
		break;
	case DB_INT:
		buf_appendf(b, "%" PRId64, v->i);
		break;
	case DB_REAL:
		put_real(b, v->r);
		break;
	case DB_TEXT:
		if (utf8_valid(v->b))
			json_append_string(b, v->b);
		else
			put_base64(b, "text_base64", v->b);
		break;
	case DB_BLOB:
		put_base64(b, "base64", v->b);
		break;
	}
}

/* To the start of the next column. */
static void
next_column(struct buf *b, unsigned i, int indent)
{
	if (i > 0)
		buf_append_str(b, indent < 0 ? ", " : ",");
	if (indent >= 0)
		buf_appendf(b, "\n%*s", indent, "");
}

void
records_json_row(struct buf *b, const struct records_row *row, int indent)
{
	buf_append_u8(b, '{');
	for (unsigned i = 0; i < row->n; i++) {
		next_column(b, i, indent);
		json_append_string(b, row->names[i]);
		buf_append_str(b, ": ");
		records_json_value(b, &row->values[i]);
	}
	if (indent >= 0)
		buf_appendf(b, "\n%*s", indent >= 2 ? indent - 2 : 0, "");
	buf_append_u8(b, '}');
}

/* ---- CSV ------------------------------------------------------------------------------- */

/* As sqlite3 does it, text ends at a NUL. */
static void
put_csv_text(struct buf *b, struct slice s)
{
	const uint8_t *nul = s.len > 0 ? memchr(s.p, 0, s.len) : NULL;

	csv_append_string(b, nul != NULL ? slice_of(s.p, (size_t)(nul - s.p)) : s);
}

static void
put_csv_value(struct buf *b, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		break;
	case DB_INT:
		buf_appendf(b, "%" PRId64, v->i);
		break;
	case DB_REAL:
		buf_append_str(b, db_real_format(v->r).s);
		break;
	case DB_TEXT:
	case DB_BLOB:
		put_csv_text(b, v->b);
		break;
	}
}

void
records_csv_row(struct buf *b, const struct records_row *row)
{
	for (unsigned i = 0; i < row->n; i++) {
		if (i > 0)
			buf_append_u8(b, ',');
		put_csv_value(b, &row->values[i]);
	}
	buf_append_u8(b, '\n');
}

void
records_csv_header(struct buf *b, const struct records_row *row)
{
	for (unsigned i = 0; i < row->n; i++) {
		if (i > 0)
			buf_append_u8(b, ',');
		put_csv_text(b, row->names[i]);
	}
	buf_append_u8(b, '\n');
}

/* ---- SQL ------------------------------------------------------------------------------- */

static void
put_hex(struct buf *b, struct slice s)
{
	buf_append_str(b, "X'");
	for (size_t i = 0; i < s.len; i++)
		buf_appendf(b, "%02x", s.p[i]);
	buf_append_u8(b, '\'');
}

static void
put_quoted(struct buf *b, struct slice s, uint8_t quote)
{
	buf_append_u8(b, quote);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == quote)
			buf_append_u8(b, quote);
		buf_append_u8(b, s.p[i]);
	}
	buf_append_u8(b, quote);
}

void
records_sql_name(struct buf *b, struct slice name)
{
	put_quoted(b, name, '"');
}

void
records_sql_value(struct buf *b, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		buf_append_str(b, "NULL");
		break;
	case DB_INT:
		buf_appendf(b, "%" PRId64, v->i);
		break;
	case DB_REAL:
		put_real(b, v->r);
		break;
	case DB_TEXT:
		if (utf8_valid(v->b) && (v->b.len == 0 || memchr(v->b.p, 0, v->b.len) == NULL)) {
			put_quoted(b, v->b, '\'');
			break;
		}
		buf_append_str(b, "CAST(");
		put_hex(b, v->b);
		buf_append_str(b, " AS TEXT)");
		break;
	case DB_BLOB:
		put_hex(b, v->b);
		break;
	}
}
