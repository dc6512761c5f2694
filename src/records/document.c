/*
 * document.c - a record with the rows that belong to it.
 */
#include <inttypes.h>
#include <strings.h>

#include "internal.h"
#include "tillfs/profile.h"

#define CHILDREN_MAX 100000u

void
document_free(struct document *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; d->children != NULL && i < d->record->n_children; i++)
		row_set_fini(&d->children[i].rows);
	free(d->children);
	row_set_fini(&d->row);
	free(d);
}

void
documents_fini(struct documents *d)
{
	for (size_t i = 0; i < d->n; i++)
		document_free(d->v[i]);
	free(d->v);
	*d = (struct documents){0};
}

/* ---- tables ---------------------------------------------------------------------------- */

struct finding {
	const char *wanted;
	char *found;
};

static int
compare_table(void *arg, struct slice name, struct err *err)
{
	struct finding *f = arg;

	(void)err;
	if (f->found == NULL && name.len == strlen(f->wanted) &&
	    strncasecmp((const char *)name.p, f->wanted, name.len) == 0)
		f->found = str_format("%.*s", (int)name.len, (const char *)name.p);
	return 0;
}

/* As SQL does it, whatever the letters' case. */
static int
find_table(struct records_db *db, const char *name, const struct records_table **ret,
	   struct err *err)
{
	struct finding f = {.wanted = name};
	int r = records_table(db, slice_str(name), ret, NULL);

	if (r == 0)
		return 0;
	r = records_tables(db, compare_table, &f, err);
	if (r == 0 && f.found == NULL)
		r = err_set(err, ERR_NOENT, "the database has no table %s", name);
	if (r == 0)
		r = records_table(db, slice_str(f.found), ret, err);
	free(f.found);
	return r;
}

static const struct records_column *
find_column(const struct records_table *t, const char *name)
{
	for (unsigned i = 0; i < t->n_columns; i++)
		if (strcasecmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

int
document_fits(struct records_db *db, const struct profile_record *record, struct err *err)
{
	const struct records_table *t;
	int r = find_table(db, record->table, &t, err);

	if (r == ERR_NOENT)
		return 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < record->key.n; i++)
		if (find_column(t, record->key.v[i]) == NULL)
			return 0;
	return 1;
}

/* ---- reading --------------------------------------------------------------------------- */

static void
put_columns(struct buf *sql, const struct records_table *t)
{
	for (unsigned i = 0; i < t->n_columns; i++) {
		buf_append_str(sql, i == 0 ? "SELECT " : ", ");
		records_sql_name(sql, slice_str(t->columns[i].name));
	}
	table_put_from(sql, t);
}

static void
put_condition(struct buf *sql, size_t i, const char *column)
{
	buf_append_str(sql, i == 0 ? " WHERE " : " AND ");
	records_sql_name(sql, slice_str(column));
	buf_appendf(sql, " = ?%zu", i + 1);
}

/* A value as the column would hold what somebody typed. */
static struct db_value
value_of_word(const struct records_column *c, const char *word)
{
	struct db_value v = {.type = DB_TEXT, .b = slice_str(word)};
	char *end;

	if (c->affinity == AFFINITY_TEXT || word[0] == '\0')
		return v;
	v.i = strtoll(word, &end, 10);
	if (*end == '\0') {
		CLEANUP(freep) char *again = str_format("%" PRId64, v.i);

		if (strcmp(again, word) == 0)
			v.type = DB_INT;
	}
	return v;
}

static int
find_rows(struct records_db *db, const struct profile_record *record, const struct records_table *t,
	  const char *const *key, struct row_set *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	struct db_value params[16];
	int r;

	if (record->key.n > ARRAY_LEN(params))
		return err_set(err, ERR_INVALID, "a key of more than %zu columns",
			       ARRAY_LEN(params));
	put_columns(&sql, t);
	for (size_t i = 0; i < record->key.n; i++) {
		const struct records_column *c = find_column(t, record->key.v[i]);

		if (c == NULL)
			return err_set(err, ERR_INVALID, "the table %s has no column %s", t->name,
				       record->key.v[i]);
		put_condition(&sql, i, c->name);
		params[i] = value_of_word(c, key[i]);
	}
	buf_appendf(&sql, " LIMIT %u", DOCUMENTS_MAX);
	r = records_query(db, buf_cstr(&sql), params, record->key.n, row_set_add, ret, err);
	if (r == 0 && ret->n_rows == 0)
		r = err_set(err, ERR_NOENT, "there is no %s %s%s", record->name, key[0],
			    record->key.n > 1 ? " …" : "");
	return r;
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

static int
find_children(struct records_db *db, const struct records_row *row, struct document_child *c,
	      struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	const struct profile_words *columns = &c->child->columns;
	struct db_value params[16];
	size_t n = columns->n / 2;
	int r;

	r = find_table(db, c->child->table, &c->table, err);
	if (r < 0)
		return r;
	put_columns(&sql, c->table);
	for (size_t i = 0; i < n && i < ARRAY_LEN(params); i++) {
		const struct db_value *v = value_in(row, columns->v[2 * i + 1]);

		if (v == NULL || find_column(c->table, columns->v[2 * i]) == NULL)
			return err_set(err, ERR_INVALID, "%s: there is no column %s",
				       c->table->name, columns->v[v == NULL ? 2 * i + 1 : 2 * i]);
		put_condition(&sql, i, columns->v[2 * i]);
		params[i] = *v;
	}
	for (unsigned i = 0; i < c->table->n_key; i++) {
		buf_append_str(&sql, i == 0 ? " ORDER BY " : ", ");
		records_sql_name(&sql, slice_str(c->table->columns[c->table->key[i]].name));
	}
	buf_appendf(&sql, " LIMIT %u", CHILDREN_MAX);
	return records_query(db, buf_cstr(&sql), params, n, row_set_add, &c->rows, err);
}

static int
make(struct records_db *db, const struct profile_record *record, const struct records_table *t,
     const struct records_row *row, struct document **ret, struct err *err)
{
	struct document *d = mem_alloc(sizeof *d);
	int r;

	*ret = d;
	d->record = record;
	d->table = t;
	d->children = mem_array(record->n_children + 1, sizeof *d->children);
	r = row_set_add(&d->row, row, err);
	for (size_t i = 0; r == 0 && i < record->n_children; i++) {
		d->children[i].child = &record->children[i];
		r = find_children(db, row, &d->children[i], err);
	}
	return r;
}

int
documents_get(struct records_db *db, const struct profile_record *record, const char *const *key,
	      size_t n_key, struct documents *ret, struct err *err)
{
	CLEANUP(row_set_fini) struct row_set rows = {0};
	const struct records_table *t;
	int r;

	*ret = (struct documents){0};
	if (n_key != record->key.n)
		return err_set(err, ERR_INVALID, "a %s has a key of %zu value%s", record->name,
			       record->key.n, record->key.n == 1 ? "" : "s");
	r = find_table(db, record->table, &t, err);
	if (r == 0)
		r = find_rows(db, record, t, key, &rows, err);
	for (size_t i = 0; r == 0 && i < rows.n_rows; i++) {
		const struct records_row row = row_set_row(&rows, i);

		array_reserve(ret->v, ret->n, ret->cap);
		r = make(db, record, t, &row, &ret->v[ret->n++], err);
	}
	if (r < 0)
		documents_fini(ret);
	return r;
}

/* ---- texts ----------------------------------------------------------------------------- */

/* Puts stars in place of what is masked.  @values: room for a row. */
static struct records_row
masked(const struct profile_record *record, const char *table, const struct records_row *row,
       struct db_value *values)
{
	for (unsigned i = 0; i < row->n; i++) {
		values[i] = row->values[i];
		if (values[i].type != DB_NULL && profile_masks(record, table, row->names[i]))
			values[i] = (struct db_value){.type = DB_TEXT, .b = slice_str("***")};
	}
	return (struct records_row){row->names, values, row->n};
}

static void
put_rows(const struct document *d, const char *table, const struct row_set *rows,
	 void (*put)(struct buf *b, const struct records_row *row, size_t i), struct buf *ret)
{
	CLEANUP(freep) struct db_value *values = mem_array(rows->n_columns + 1, sizeof *values);

	for (size_t i = 0; i < rows->n_rows; i++) {
		const struct records_row row = row_set_row(rows, i);
		const struct records_row shown = masked(d->record, table, &row, values);

		put(ret, &shown, i);
	}
}

static void
put_own_json(struct buf *b, const struct records_row *row, size_t i)
{
	(void)i;
	records_json_row(b, row, 4);
}

static void
put_child_json(struct buf *b, const struct records_row *row, size_t i)
{
	buf_append_str(b, i == 0 ? "\n    " : ",\n    ");
	records_json_row(b, row, -1);
}

void
document_put_json(const struct document *d, struct buf *ret)
{
	json_append_string(ret, slice_str(d->record->name));
	buf_append_str(ret, ": ");
	put_rows(d, d->table->name, &d->row, put_own_json, ret);
	for (size_t i = 0; i < d->record->n_children; i++) {
		const struct document_child *c = &d->children[i];

		buf_append_str(ret, ",\n  ");
		json_append_string(ret, slice_str(c->table->name));
		buf_append_str(ret, ": [");
		put_rows(d, c->table->name, &c->rows, put_child_json, ret);
		buf_append_str(ret, c->rows.n_rows > 0 ? "\n  ]" : "]");
	}
}

static void
put_csv(struct buf *b, const struct records_row *row, size_t i)
{
	if (i == 0)
		records_csv_header(b, row);
	records_csv_row(b, row);
}

void
document_put_csv(const struct document *d, struct buf *ret)
{
	put_rows(d, d->table->name, &d->row, put_csv, ret);
	for (size_t i = 0; i < d->record->n_children; i++) {
		const struct document_child *c = &d->children[i];

		if (c->rows.n_rows > 0)
			buf_append_u8(ret, '\n');
		put_rows(d, c->table->name, &c->rows, put_csv, ret);
	}
}
