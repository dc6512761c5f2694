/*
 * text_table.c - rows as a table for people.
 */
#include <inttypes.h>

#include "database.h"

#define FLUSH_LEN (64u * KIB)

struct cell {
	size_t off, len, width;
	bool right; /* a number */
};

struct text_table {
	struct buf text;
	struct cell *cells; /* the header's first, then row by row */
	size_t n, cap;
	size_t columns;
	size_t *widths;
};

struct text_table *
text_table_new(void)
{
	return mem_alloc(sizeof(struct text_table));
}

void
text_table_free(struct text_table *t)
{
	if (t == NULL)
		return;
	buf_fini(&t->text);
	free(t->cells);
	free(t->widths);
	free(t);
}

static size_t
characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Takes what was appended to the text since @off. */
static void
add_cell(struct text_table *t, size_t off, bool right)
{
	struct cell c = {off, t->text.len - off, 0, right};
	size_t column = t->n % t->columns;

	c.width = characters(slice_of(t->text.p + off, c.len));
	if (c.width > t->widths[column])
		t->widths[column] = c.width;
	array_reserve(t->cells, t->n, t->cap);
	t->cells[t->n++] = c;
}

static void
add_value(struct text_table *t, const struct db_value *v)
{
	size_t off = t->text.len;

	switch (v->type) {
	case DB_NULL:
		buf_append_str(&t->text, "NULL");
		break;
	case DB_INT:
		buf_appendf(&t->text, "%" PRId64, v->i);
		break;
	case DB_REAL:
		buf_append_str(&t->text, db_real_format(v->r).s);
		break;
	case DB_TEXT:
		text_append_safe(&t->text, v->b);
		break;
	case DB_BLOB:
		buf_appendf(&t->text, "(%zu bytes)", v->b.len);
		break;
	}
	add_cell(t, off, v->type == DB_INT || v->type == DB_REAL);
}

void
text_table_add(struct text_table *t, const struct records_row *row)
{
	if (t->columns == 0) {
		t->columns = row->n;
		t->widths = mem_array(row->n, sizeof *t->widths);
		for (unsigned i = 0; i < row->n; i++) {
			size_t off = t->text.len;

			text_append_safe(&t->text, row->names[i]);
			add_cell(t, off, false);
		}
	}
	for (unsigned i = 0; i < row->n; i++)
		add_value(t, &row->values[i]);
}

static void
put_padding(struct buf *b, size_t n, uint8_t what)
{
	if (n > 0)
		memset(buf_extend(b, n), what, n);
}

static void
put_rule(const struct text_table *t, struct buf *b)
{
	for (size_t i = 0; i < t->columns; i++) {
		buf_append_u8(b, '+');
		put_padding(b, t->widths[i] + 2, '-');
	}
	buf_append_str(b, "+\n");
}

static void
put_line(const struct text_table *t, const struct cell *cells, struct buf *b)
{
	for (size_t i = 0; i < t->columns; i++) {
		size_t padding = t->widths[i] - cells[i].width;

		buf_append_str(b, "| ");
		put_padding(b, cells[i].right ? padding : 0, ' ');
		buf_append(b, t->text.p + cells[i].off, cells[i].len);
		put_padding(b, cells[i].right ? 0 : padding, ' ');
		buf_append_u8(b, ' ');
	}
	buf_append_str(b, "|\n");
}

int
text_table_print(struct text_table *t, struct err *err)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	int r = 0;

	if (t->columns == 0)
		return 0;
	put_rule(t, &b);
	for (size_t i = 0; i < t->n && r == 0; i += t->columns) {
		put_line(t, t->cells + i, &b);
		if (i == 0)
			put_rule(t, &b);
		if (b.len >= FLUSH_LEN) {
			r = print_buf(&b, err);
			buf_reset(&b);
		}
	}
	put_rule(t, &b);
	return r < 0 ? r : print_buf(&b, err);
}
