/*
 * extract.c - the rows of a query as CSV, a piece at a time.
 *
 * As `sqlite3 -csv -header` prints them: a header line, lines end in LF, NULL is empty, an empty
 * text is "", and a value with anything but plain characters is quoted.  Blobs are hexadecimal.
 *
 * Layer 4.
 */
#include <inttypes.h>
#include <unistd.h>

#include "tillfs/capture.h"
#include "tillfs/db_read.h"

#define PIECE_LEN (64u * KIB)
#define VALUE_MAX (256u * MIB)

struct extract {
	struct db_read *db;
	struct buf text; /* not yet handed out, from at on */
	size_t at;
	bool ended;
};

static int
read_capture(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	const struct capture *c = arg;

	return pread(capture_fd(c), p, len, (off_t)off) == (ssize_t)len
		       ? 0
		       : err_sys(err, "reading the database");
}

static int
start(struct extract *e, struct capture *c, const char *query, unsigned timeout_sec,
      struct err *err)
{
	const struct db_files files = {.main = {capture_len(c), read_capture, c}};
	const struct db_limits limits = {.value = VALUE_MAX};
	int r = db_read_open(&files, 1, &limits, &e->db, err);

	if (r == 0)
		r = db_read_start(e->db, slice_str(query), NULL, 0, timeout_sec * 1000, err);
	if (r == 0 && db_read_columns(e->db) == 0)
		return err_set(err, ERR_INVALID, "the query gives no rows: it must be one SELECT");
	return r;
}

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
	r = start(e, c, query, timeout_sec, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < db_read_columns(e->db); i++) {
		buf_append_str(&e->text, i > 0 ? "," : "");
		csv_append_string(&e->text, db_read_column_name(e->db, i));
	}
	buf_append_str(&e->text, "\n");
	*ret = steal_ptr(&e);
	return 0;
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
append_value(struct buf *b, const struct db_value *v)
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
		csv_append_string(b, v->b);
		break;
	case DB_BLOB:
		append_blob(b, v->b);
		break;
	}
}

static void
append_row(struct buf *b, struct db_read *db)
{
	for (unsigned i = 0; i < db_read_columns(db); i++) {
		struct db_value v = db_read_value(db, i);

		buf_append_str(b, i > 0 ? "," : "");
		append_value(b, &v);
	}
	buf_append_str(b, "\n");
}

static int
fill(struct extract *e, struct err *err)
{
	buf_reset(&e->text);
	e->at = 0;
	while (!e->ended && e->text.len < PIECE_LEN) {
		int r = db_read_step(e->db, err);

		if (r < 0)
			return r;
		if (r == 0)
			e->ended = true;
		else
			append_row(&e->text, e->db);
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
	db_read_close(e->db);
	buf_fini(&e->text);
	free(e);
}
