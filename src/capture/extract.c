/*
 * extract.c - the rows of a query as CSV, a piece at a time.
 *
 * As `sqlite3 -csv -header` prints them: a header line, lines end in LF, NULL is empty, an empty
 * text is "", and a value with anything but plain characters is quoted.  Blobs are hexadecimal.
 *
 * Layer 4.
 */
#include "tillfs/capture.h"
#include "tillfs/db_copy.h"

#include "capture/internal.h"

#define PIECE_LEN (64u * KIB)

struct extract {
	struct db_rows *rows;
	struct buf text; /* not yet handed out, from at on */
	size_t at;
	bool ended;
};

int
extract_begin(struct capture *c, const char *query, unsigned timeout_sec, struct extract **ret,
	      struct err *err)
{
	CLEANUP(extract_freep) struct extract *e = mem_alloc(sizeof *e);
	int r;

	*ret = NULL;
	r = capture_finish(c, err);
	if (r < 0 && r != ERR_UNSUPPORTED)
		return err_add(err, r, "its database");
	r = db_foreign_query(capture_db(c), query, timeout_sec, &e->rows, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < db_rows_columns(e->rows); i++) {
		buf_append_str(&e->text, i > 0 ? "," : "");
		csv_append(&e->text, slice_str(db_rows_name(e->rows, i)));
	}
	buf_append_str(&e->text, "\n");
	*ret = steal_ptr(&e);
	return 0;
}

void
csv_append(struct buf *b, struct slice s)
{
	bool plain = s.len > 0;

	for (size_t i = 0; i < s.len && plain; i++)
		plain = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\'' &&
			s.p[i] != ',';
	if (plain) {
		buf_append(b, s.p, s.len);
		return;
	}
	buf_append_u8(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			buf_append_u8(b, '"');
		buf_append_u8(b, s.p[i]);
	}
	buf_append_u8(b, '"');
}

static void
append_blob(struct buf *b, struct slice s)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.len; i++) {
		buf_append_u8(b, (uint8_t)digits[s.p[i] >> 4]);
		buf_append_u8(b, (uint8_t)digits[s.p[i] & 15]);
	}
}

static void
append_row(struct buf *b, const struct db_rows *rows)
{
	for (unsigned i = 0; i < db_rows_columns(rows); i++) {
		buf_append_str(b, i > 0 ? "," : "");
		switch (db_rows_type(rows, i)) {
		case DB_NULL:
			break;
		case DB_BLOB:
			append_blob(b, db_rows_text(rows, i));
			break;
		default:
			csv_append(b, db_rows_text(rows, i));
		}
	}
	buf_append_str(b, "\n");
}

static int
fill(struct extract *e, struct err *err)
{
	buf_reset(&e->text);
	e->at = 0;
	while (!e->ended && e->text.len < PIECE_LEN) {
		int r = db_rows_next(e->rows, err);

		if (r < 0)
			return r;
		if (r == 0)
			e->ended = true;
		else
			append_row(&e->text, e->rows);
	}
	return 0;
}

int
extract_read(struct extract *e, void *p, size_t len, size_t *ret_len, struct err *err)
{
	int r = 0;

	*ret_len = 0;
	if (e->at == e->text.len)
		r = fill(e, err);
	if (r < 0)
		return r;
	*ret_len = (size_t)min_u64(len, e->text.len - e->at);
	if (*ret_len > 0)
		memcpy(p, e->text.p + e->at, *ret_len);
	e->at += *ret_len;
	return 0;
}

void
extract_free(struct extract *e)
{
	if (e == NULL)
		return;
	db_rows_free(e->rows);
	buf_fini(&e->text);
	free(e);
}
