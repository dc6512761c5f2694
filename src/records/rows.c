/*
 * rows.c - one row by its key, and listings in key order.
 *
 * Every answer has the rowid (or NULL) first, then the key's columns, then what was asked for.
 */
#include "internal.h"

static void
put_keys(struct buf *sql, const struct records_table *t)
{
	buf_appendf(sql, "SELECT %s", t->rowid != NULL ? t->rowid : "NULL");
	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(sql, ", ");
		records_sql_name(sql, slice_str(t->columns[t->key[i]].name));
	}
}

/* ---- one row --------------------------------------------------------------------------- */

struct getting {
	const struct records_table *t;
	records_row_fn *fn;
	void *arg;
	struct slice name; /* that the row must have; empty: any */
	bool found;
};

static int
take_row(void *arg, const struct records_row *row, struct err *err)
{
	struct getting *g = arg;
	unsigned skip = 1 + g->t->n_key;
	const struct records_row rest = {row->names + skip, row->values + skip,
					 row->n - min_u64(skip, row->n)};

	if (row->n != skip + g->t->n_columns)
		return err_set(err, ERR_CORRUPT, "an answer with too few columns");
	if (g->name.len > 0) {
		CLEANUP(records_key_fini) struct records_key key = {0};
		CLEANUP(buf_fini) struct buf name = BUF_INIT;

		key_of_row(g->t, row->values + 1, row->values[0].i, &key);
		records_name_of_key(g->t, &key, &name);
		if (!slice_equal(buf_slice(&name), g->name))
			return 0;
	}
	g->found = true;
	return g->fn(g->arg, &rest, err);
}

static void
put_where(struct buf *sql, const struct records_table *t, const struct records_key *key)
{
	if (key->by_rowid) {
		buf_appendf(sql, " WHERE %s = ?1", t->rowid);
		return;
	}
	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(sql, i == 0 ? " WHERE " : " AND ");
		table_put_key_column(sql, t, i);
		buf_appendf(sql, " = ?%u", i + 1);
	}
}

static int
get_row(struct records_db *db, const struct records_key *key, struct getting *g, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	const struct records_table *t = g->t;
	const struct db_value rowid = {.type = DB_INT, .i = key->rowid};
	int r;

	if (key->by_rowid ? t->rowid == NULL : key->n != t->n_key || t->n_key == 0)
		return err_set(err, ERR_NOENT, "there is no such row");
	put_keys(&sql, t);
	for (unsigned i = 0; i < t->n_columns; i++) {
		buf_append_str(&sql, ", ");
		records_sql_name(&sql, slice_str(t->columns[i].name));
	}
	table_put_from(&sql, t);
	put_where(&sql, t, key);
	buf_append_str(&sql, " LIMIT 1");
	r = records_query(db, buf_cstr(&sql), key->by_rowid ? &rowid : key->values,
			  key->by_rowid ? 1 : key->n, take_row, g, err);
	if (r == 0 && !g->found)
		r = err_set(err, ERR_NOENT, "there is no such row");
	return r;
}

int
records_get(struct records_db *db, const struct records_table *t, const struct records_key *key,
	    records_row_fn *fn, void *arg, struct err *err)
{
	struct getting g = {.t = t, .fn = fn, .arg = arg};

	return get_row(db, key, &g, err);
}

/* ---- by a file's name ------------------------------------------------------------------ */

static int
put_json(void *arg, const struct records_row *row, struct err *err)
{
	struct buf *b = arg;

	(void)err;
	records_json_row(b, row, 2);
	buf_append_u8(b, '\n');
	return 0;
}

struct searching {
	const struct records_table *t;
	struct slice name;
	struct records_place at; /* behind the row last seen */
	struct records_key found;
	bool is_found;
};

static int
compare_name(void *arg, struct slice name, struct err *err)
{
	struct searching *s = arg;

	(void)err;
	if (slice_equal(name, s->name)) {
		records_key_copy(&s->at.after, &s->found);
		s->is_found = true;
	}
	return 0;
}

/* A key that only a listing finds. */
static int
search(struct records_db *db, struct searching *s, struct err *err)
{
	const size_t batch = 1000;
	size_t n = batch;
	int r = 0;

	while (r == 0 && n == batch && !s->is_found)
		r = records_list(db, s->t, &s->at, batch, compare_name, s, &n, err);
	if (r == 0 && !s->is_found)
		r = err_set(err, ERR_NOENT, "there is no such row");
	return r;
}

int
records_get_named(struct records_db *db, const struct records_table *t, struct slice name,
		  struct buf *ret, struct err *err)
{
	CLEANUP(records_key_fini) struct records_key key = {0};
	struct getting g = {.t = t, .fn = put_json, .arg = ret, .name = name};
	struct searching s = {.t = t, .name = name};
	int r = 0;

	buf_reset(ret);
	switch (records_key_parse(t, name, &key)) {
	case NAME_NONE:
		return err_set(err, ERR_NOENT, "there is no such row");
	case NAME_HASH:
		r = search(db, &s, err);
		if (r == 0)
			records_key_copy(&s.found, &key);
		records_place_fini(&s.at);
		records_key_fini(&s.found);
		break;
	case NAME_KEY:
		break;
	}
	return r < 0 ? r : get_row(db, &key, &g, err);
}

/* ---- listings -------------------------------------------------------------------------- */

void
records_place_fini(struct records_place *p)
{
	records_key_fini(&p->after);
	*p = (struct records_place){0};
}

void
records_place_copy(const struct records_place *from, struct records_place *to)
{
	to->nulls = from->nulls;
	to->inside = from->inside;
	records_key_copy(&from->after, &to->after);
}

struct listing {
	const struct records_table *t;
	struct records_place *at;
	records_name_fn *fn;
	void *arg;
	size_t n;
	struct buf name;
};

static int
take_key(void *arg, const struct records_row *row, struct err *err)
{
	struct listing *l = arg;

	if (row->n != 1 + l->t->n_key)
		return err_set(err, ERR_CORRUPT, "an answer with too few columns");
	key_of_row(l->t, row->values + 1, row->values[0].i, &l->at->after);
	l->at->inside = true;
	l->n++;
	buf_reset(&l->name);
	records_name_of_key(l->t, &l->at->after, &l->name);
	return l->fn(l->arg, buf_slice(&l->name), err);
}

/* (a, b) */
static void
put_tuple(struct buf *sql, const struct records_table *t)
{
	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(sql, i == 0 ? "(" : ", ");
		table_put_key_column(sql, t, i);
	}
	buf_append_u8(sql, ')');
}

static void
put_by_columns(struct buf *sql, const struct listing *l)
{
	const struct records_table *t = l->t;
	const char *word = " WHERE ";

	for (unsigned i = 0; i < t->n_key && t->kind == KEY_COLUMNS && t->may_be_null; i++) {
		buf_append_str(sql, word);
		records_sql_name(sql, slice_str(t->columns[t->key[i]].name));
		buf_append_str(sql, " IS NOT NULL");
		word = " AND ";
	}
	if (l->at->inside) {
		buf_append_str(sql, word);
		put_tuple(sql, t);
		for (unsigned i = 0; i < t->n_key; i++)
			buf_appendf(sql, "%s?%u", i == 0 ? " > (" : ", ", i + 1);
		buf_append_u8(sql, ')');
	}
	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(sql, i == 0 ? " ORDER BY " : ", ");
		table_put_key_column(sql, t, i);
	}
}

static void
put_by_rowid(struct buf *sql, const struct listing *l)
{
	const struct records_table *t = l->t;

	buf_append_str(sql, " WHERE ");
	for (unsigned i = 0; i < t->n_key && l->at->nulls; i++) {
		buf_append_str(sql, i == 0 ? "(" : " OR ");
		records_sql_name(sql, slice_str(t->columns[t->key[i]].name));
		buf_append_str(sql, " IS NULL");
	}
	buf_append_str(sql, l->at->nulls ? ") AND " : "");
	if (l->at->inside)
		buf_appendf(sql, "%s > ?1", t->rowid);
	else
		buf_append_str(sql, "1");
	buf_appendf(sql, " ORDER BY %s", t->rowid);
}

/* The rows of one kind, those with and those without NULL in their key. */
static int
list_some(struct records_db *db, struct listing *l, size_t limit, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	const struct records_table *t = l->t;
	bool by_rowid = t->kind == KEY_ROWID || t->kind == KEY_INTEGER || l->at->nulls;
	const struct db_value rowid = {.type = DB_INT, .i = l->at->after.rowid};

	if (by_rowid && t->rowid == NULL)
		return err_set(err, ERR_UNSUPPORTED,
			       "this table has no key that rows can be named by; the original file "
			       "has them");
	put_keys(&sql, t);
	table_put_from(&sql, t);
	if (by_rowid)
		put_by_rowid(&sql, l);
	else
		put_by_columns(&sql, l);
	buf_appendf(&sql, " LIMIT %zu", limit);
	return records_query(db, buf_cstr(&sql), by_rowid ? &rowid : l->at->after.values,
			     !l->at->inside ? 0
			     : by_rowid     ? 1
					    : l->at->after.n,
			     take_key, l, err);
}

int
records_list(struct records_db *db, const struct records_table *t, struct records_place *at,
	     size_t limit, records_name_fn *fn, void *arg, size_t *ret_n, struct err *err)
{
	struct listing l = {.t = t, .at = at, .fn = fn, .arg = arg};
	int r;

	r = list_some(db, &l, limit, err);
	if (r == 0 && l.n < limit && !at->nulls && t->kind == KEY_COLUMNS && t->may_be_null &&
	    t->rowid != NULL) {
		records_place_fini(at);
		at->nulls = true;
		r = list_some(db, &l, limit - l.n, err);
	}
	*ret_n = l.n;
	buf_fini(&l.name);
	return r;
}
