/*
 * put_back.c - the statements that put a record back.
 *
 * The children that the database has now make room for those of the document; the record itself is
 * updated where it exists, so that what refers to it isn't touched.
 */
#include <strings.h>

#include "internal.h"
#include "tillfs/profile.h"

static const struct records_column *
column_named(const struct records_table *t, struct slice name)
{
	for (unsigned i = 0; i < t->n_columns; i++)
		if (slice_equal(slice_str(t->columns[i].name), name))
			return &t->columns[i];
	return NULL;
}

/* Generated columns make themselves; masked ones are nobody's business. */
static bool
is_written(const struct document *d, const struct records_table *t, struct slice column)
{
	const struct records_column *c = column_named(t, column);

	return c != NULL && !c->generated && !profile_masks(d->record, t->name, column);
}

static void
put_names(const struct document *d, const struct records_table *t, const struct records_row *row,
	  struct buf *ret)
{
	const char *before = " (";

	for (unsigned i = 0; i < row->n; i++) {
		if (!is_written(d, t, row->names[i]))
			continue;
		buf_append_str(ret, before);
		records_sql_name(ret, row->names[i]);
		before = ", ";
	}
	buf_append_u8(ret, ')');
}

static void
put_insert(const struct document *d, const struct records_table *t, const struct records_row *row,
	   struct buf *ret)
{
	const char *before = "\nVALUES (";

	buf_append_str(ret, "INSERT INTO ");
	records_sql_name(ret, slice_str(t->name));
	put_names(d, t, row, ret);
	for (unsigned i = 0; i < row->n; i++) {
		if (!is_written(d, t, row->names[i]))
			continue;
		buf_append_str(ret, before);
		records_sql_value(ret, &row->values[i]);
		before = ", ";
	}
	buf_append_u8(ret, ')');
}

static const struct db_value *
value_in(const struct records_row *row, const char *column)
{
	for (unsigned i = 0; i < row->n; i++)
		if (row->names[i].len == strlen(column) &&
		    strncasecmp((const char *)row->names[i].p, column, row->names[i].len) == 0)
			return &row->values[i];
	return NULL;
}

/* `"a" = 1`, or `"a" IS NULL` */
static void
put_equals(const char *column, const struct db_value *v, struct buf *ret)
{
	records_sql_name(ret, slice_str(column));
	buf_append_str(ret, v->type == DB_NULL ? " IS " : " = ");
	records_sql_value(ret, v);
}

static void
put_delete_children(const struct document_child *c, const struct records_row *row, struct buf *ret)
{
	const struct profile_words *columns = &c->child->columns;

	buf_append_str(ret, "DELETE FROM ");
	records_sql_name(ret, slice_str(c->table->name));
	for (size_t i = 0; i + 1 < columns->n; i += 2) {
		buf_append_str(ret, i == 0 ? " WHERE " : " AND ");
		put_equals(columns->v[i], value_in(row, columns->v[i + 1]), ret);
	}
	buf_append_str(ret, ";\n");
}

/* Without a key that INSERT could collide with, the row that is there goes first. */
static void
put_delete_own(const struct document *d, const struct records_row *row, struct buf *ret)
{
	buf_append_str(ret, "DELETE FROM ");
	records_sql_name(ret, slice_str(d->table->name));
	for (size_t i = 0; i < d->record->key.n; i++) {
		buf_append_str(ret, i == 0 ? " WHERE " : " AND ");
		put_equals(d->record->key.v[i], value_in(row, d->record->key.v[i]), ret);
	}
	buf_append_str(ret, ";\n");
}

static bool
has_unique_key(const struct records_table *t)
{
	return t->kind != KEY_ROWID && t->n_key > 0;
}

static bool
is_key(const struct records_table *t, struct slice name)
{
	const struct records_column *c = column_named(t, name);

	return c != NULL && c->in_key > 0;
}

static void
put_conflict(const struct document *d, const struct records_row *row, struct buf *ret)
{
	const struct records_table *t = d->table;
	const char *before = ") DO UPDATE SET ";

	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(ret, i == 0 ? "\nON CONFLICT (" : ", ");
		records_sql_name(ret, slice_str(t->columns[t->key[i]].name));
	}
	for (unsigned i = 0; i < row->n; i++) {
		if (!is_written(d, t, row->names[i]) || is_key(t, row->names[i]))
			continue;
		buf_append_str(ret, before);
		records_sql_name(ret, row->names[i]);
		buf_append_str(ret, " = excluded.");
		records_sql_name(ret, row->names[i]);
		before = ", ";
	}
	if (before[0] == ')')
		buf_append_str(ret, ") DO NOTHING");
}

static void
put_own(const struct document *d, const struct records_row *row, struct buf *ret)
{
	if (!has_unique_key(d->table))
		put_delete_own(d, row, ret);
	put_insert(d, d->table, row, ret);
	if (has_unique_key(d->table))
		put_conflict(d, row, ret);
	buf_append_str(ret, ";\n");
}

static void
put_children(const struct document *d, const struct document_child *c, struct buf *ret)
{
	for (size_t i = 0; i < c->rows.n_rows; i++) {
		const struct records_row row = row_set_row(&c->rows, i);

		put_insert(d, c->table, &row, ret);
		buf_append_str(ret, ";\n");
	}
}

void
document_put_sql(const struct document *d, struct buf *ret)
{
	const struct records_row row = row_set_row(&d->row, 0);

	for (size_t i = 0; i < d->record->masks.n; i++)
		buf_appendf(ret, "-- left out, since the profile masks it: %s\n",
			    d->record->masks.v[i]);
	buf_append_str(ret, "BEGIN;\nPRAGMA defer_foreign_keys = ON;\n");
	for (size_t i = 0; i < d->record->n_children; i++)
		put_delete_children(&d->children[i], &row, ret);
	put_own(d, &row, ret);
	for (size_t i = 0; i < d->record->n_children; i++)
		put_children(d, &d->children[i], ret);
	buf_append_str(ret, "COMMIT;\n");
}
