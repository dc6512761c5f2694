/*
 * changes.c - rows that two versions of a database don't have in common.
 *
 * One worker opens both, the newer one as `main`, the older one as `then`, and SQLite compares.
 * Which rows are worth comparing comes from the pages that the versions share (pages.c).
 */
#include "records/internal.h"
#include "records/pages.h"

struct changes {
	struct records_db *db;
	struct page_pair *pages; /* NULL: all rows must be looked at */
	records_change_fn *fn;
	void *arg;
};

/* A table that both versions have. */
struct table {
	const struct records_table *t;
	unsigned *common; /* columns that the older version has too */
	unsigned n_common;
	int64_t old_root, new_root;
};

static void
table_fini(struct table *x)
{
	free(x->common);
}

static struct db_value
text_value(const char *s)
{
	return (struct db_value){.type = DB_TEXT, .b = slice_str(s)};
}

/* ---- the schema --------------------------------------------------------------------------------
 */

struct names {
	char **v;
	size_t n, cap;
};

static void
names_fini(struct names *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->v[i]);
	free(x->v);
}

static int
take_name(void *arg, struct slice name, struct err *err)
{
	struct names *x = arg;

	(void)err;
	array_reserve(x->v, x->n, x->cap);
	x->v[x->n++] = str_format("%.*s", (int)name.len, (const char *)name.p);
	return 0;
}

static int
take_name_row(void *arg, const struct records_row *row, struct err *err)
{
	return take_name(arg, row->values[0].b, err);
}

struct roots {
	int64_t *v;
	size_t n, cap;
};

static int
take_root(void *arg, const struct records_row *row, struct err *err)
{
	struct roots *x = arg;

	(void)err;
	array_reserve(x->v, x->n, x->cap);
	x->v[x->n++] = row->values[0].i;
	return 0;
}

/* The root page of a table; 0: there is no such table with pages of its own. */
static int
find_root(struct changes *c, const char *schema, const char *table, int64_t *ret, struct err *err)
{
	CLEANUP(freep)
	char *sql = str_format("SELECT rootpage FROM \"%s\".sqlite_schema"
			       " WHERE type = 'table' AND name = ?1 AND rootpage > 0",
			       schema);
	struct db_value name = text_value(table);
	struct roots found = {0};
	int r = records_query(c->db, sql, &name, 1, take_root, &found, err);

	*ret = found.n == 1 ? found.v[0] : 0;
	free(found.v);
	return r;
}

/* Which of the table's columns the older version has. */
static int
find_common(struct changes *c, struct table *x, size_t *ret_old, struct err *err)
{
	CLEANUP(names_fini) struct names old = {0};
	struct db_value name = text_value(x->t->name);
	int r = records_query(c->db,
			      "SELECT name FROM pragma_table_xinfo(?1, 'then') WHERE hidden <> 1",
			      &name, 1, take_name_row, &old, err);

	x->common = mem_array(x->t->n_columns + 1, sizeof *x->common);
	for (unsigned i = 0; r == 0 && i < x->t->n_columns; i++)
		for (size_t k = 0; k < old.n; k++)
			if (strcmp(old.v[k], x->t->columns[i].name) == 0)
				x->common[x->n_common++] = i;
	*ret_old = old.n;
	return r;
}

/* ---- the questions -----------------------------------------------------------------------------
 */

static void
put_column(struct buf *sql, const struct records_table *t, const char *side, unsigned column)
{
	buf_appendf(sql, "%s.", side);
	records_sql_name(sql, slice_str(t->columns[column].name));
}

/* The rowid or NULL, then the key's columns. */
static void
put_key(struct buf *sql, const struct records_table *t, const char *side)
{
	if (t->rowid != NULL)
		buf_appendf(sql, "%s.%s", side, t->rowid);
	else
		buf_append_str(sql, "NULL");
	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(sql, ", ");
		put_column(sql, t, side, t->key[i]);
	}
}

static bool
by_rowid(const struct records_table *t)
{
	return t->kind != KEY_CLUSTER && t->rowid != NULL;
}

/* n and o are one row. */
static void
put_match(struct buf *sql, const struct records_table *t)
{
	if (by_rowid(t)) {
		buf_appendf(sql, "o.%s = n.%s", t->rowid, t->rowid);
		return;
	}
	for (unsigned i = 0; i < t->n_key; i++) {
		buf_append_str(sql, i > 0 ? " AND " : "");
		put_column(sql, t, "o", t->key[i]);
		buf_append_str(sql, " = ");
		put_column(sql, t, "n", t->key[i]);
	}
}

/* (n.a, n.b) and the like; @before and @after stand around each column. */
static void
put_vector(struct buf *sql, const struct table *x, const char *side, const char *before,
	   const char *after)
{
	for (unsigned i = 0; i < x->n_common; i++) {
		buf_append_str(sql, i > 0 ? ", " : "(");
		buf_append_str(sql, before);
		put_column(sql, x->t, side, x->common[i]);
		buf_append_str(sql, after);
	}
	buf_append_u8(sql, ')');
}

/* Vectors, since a chain of ORs would be too deep for a wide table. */
static void
put_differs(struct buf *sql, const struct table *x)
{
	put_vector(sql, x, "n", "", " COLLATE BINARY");
	buf_append_str(sql, " IS NOT ");
	put_vector(sql, x, "o", "", "");
	buf_append_str(sql, " OR ");
	put_vector(sql, x, "n", "typeof(", ")");
	buf_append_str(sql, " IS NOT ");
	put_vector(sql, x, "o", "typeof(", ")");
}

static void
put_from(struct buf *sql, const char *schema, const struct records_table *t, const char *side)
{
	buf_appendf(sql, "\"%s\".", schema);
	records_sql_name(sql, slice_str(t->name));
	buf_appendf(sql, " AS %s", side);
}

/* (n.a, n.b) in the order of the key. */
static void
put_key_vector(struct buf *sql, const struct records_table *t, const char *side)
{
	for (unsigned i = 0; i < t->n_key; i++) {
		const struct records_column *c = &t->columns[t->key[i]];

		buf_append_str(sql, i > 0 ? ", " : "(");
		put_column(sql, t, side, t->key[i]);
		if (c->collation != NULL) {
			buf_append_str(sql, " COLLATE ");
			records_sql_name(sql, slice_str(c->collation));
		}
	}
	buf_append_u8(sql, ')');
}

static void
put_params(struct buf *sql, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_appendf(sql, "%s?%u", i > 0 ? ", " : "(", from + i);
	buf_append_u8(sql, ')');
}

/* Parameters: the first key or rowid, and the last one; none for all rows. */
static void
put_range(struct buf *sql, const struct records_table *t, const char *side, bool all)
{
	if (all)
		return;
	if (by_rowid(t)) {
		buf_appendf(sql, "%s.%s BETWEEN ?1 AND ?2 AND ", side, t->rowid);
		return;
	}
	put_key_vector(sql, t, side);
	buf_append_str(sql, " >= ");
	put_params(sql, 1, t->n_key);
	buf_append_str(sql, " AND ");
	put_key_vector(sql, t, side);
	buf_append_str(sql, " <= ");
	put_params(sql, 1 + t->n_key, t->n_key);
	buf_append_str(sql, " AND ");
}

/* Answers: whether it was there; key; the new version's columns; the old one's common ones. */
static void
put_new_rows(struct buf *sql, const struct table *x, bool all)
{
	const struct records_table *t = x->t;

	buf_append_str(sql, "SELECT o.");
	if (by_rowid(t))
		buf_append_str(sql, t->rowid);
	else
		records_sql_name(sql, slice_str(t->columns[t->key[0]].name));
	buf_append_str(sql, " IS NOT NULL, ");
	put_key(sql, t, "n");
	for (unsigned i = 0; i < t->n_columns; i++) {
		buf_append_str(sql, ", ");
		put_column(sql, t, "n", i);
	}
	for (unsigned i = 0; i < x->n_common; i++) {
		buf_append_str(sql, ", ");
		put_column(sql, t, "o", x->common[i]);
	}
	buf_append_str(sql, " FROM ");
	put_from(sql, "main", t, "n");
	buf_append_str(sql, " LEFT JOIN ");
	put_from(sql, "then", t, "o");
	buf_append_str(sql, " ON ");
	put_match(sql, t);
	buf_append_str(sql, " WHERE ");
	put_range(sql, t, "n", all);
	buf_append_str(sql, "(o.");
	if (by_rowid(t))
		buf_append_str(sql, t->rowid);
	else
		records_sql_name(sql, slice_str(t->columns[t->key[0]].name));
	buf_append_str(sql, " IS NULL OR ");
	put_differs(sql, x);
	buf_append_u8(sql, ')');
}

/* Answers: 1; key; the common columns. */
static void
put_old_rows(struct buf *sql, const struct table *x, bool all)
{
	const struct records_table *t = x->t;

	buf_append_str(sql, "SELECT 1, ");
	put_key(sql, t, "o");
	for (unsigned i = 0; i < x->n_common; i++) {
		buf_append_str(sql, ", ");
		put_column(sql, t, "o", x->common[i]);
	}
	buf_append_str(sql, " FROM ");
	put_from(sql, "then", t, "o");
	buf_append_str(sql, " WHERE ");
	put_range(sql, t, "o", all);
	buf_append_str(sql, "NOT EXISTS (SELECT 1 FROM ");
	put_from(sql, "main", t, "n");
	buf_append_str(sql, " WHERE ");
	put_match(sql, t);
	buf_append_u8(sql, ')');
}

/* ---- the answers -------------------------------------------------------------------------------
 */

struct answer {
	struct changes *c;
	const struct table *x; /* NULL common: all of the table is new */
	bool old_only;
};

static int
take_row(void *arg, const struct records_row *row, struct err *err)
{
	const struct answer *a = arg;
	const struct records_table *t = a->x->t;
	unsigned key = 2, at = key + t->n_key;
	unsigned n_new = a->old_only ? 0 : t->n_columns;
	struct records_row new, old;
	struct records_change change = {.table = slice_str(t->name)};
	CLEANUP(records_key_fini) struct records_key found = {0};
	CLEANUP(buf_fini) struct buf name = BUF_INIT;
	bool was;

	if (row->n != at + n_new + a->x->n_common)
		return err_set(err, ERR_CORRUPT, "an answer with too few columns");
	was = row->values[0].i != 0;
	new = (struct records_row){row->names + at, row->values + at, n_new};
	old = (struct records_row){row->names + at + n_new, row->values + at + n_new,
				   a->x->n_common};
	change.kind = a->old_only ? ROW_REMOVED : was ? ROW_CHANGED : ROW_ADDED;
	change.new = a->old_only ? NULL : &new;
	change.old = was ? &old : NULL;
	key_of_row(t, row->values + key, row->values[1].i, &found);
	records_name_of_key(t, &found, &name);
	change.name = buf_slice(&name);
	return a->c->fn(a->c->arg, &change, err);
}

/* Rows between two keys or rowids; NULL: all. */
static int
ask(struct changes *c, const struct table *x, const struct db_value *params, unsigned n,
    bool old_only, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	struct answer a = {c, x, old_only};

	if (old_only)
		put_old_rows(&sql, x, params == NULL);
	else
		put_new_rows(&sql, x, params == NULL);
	return records_query(c->db, buf_cstr(&sql), params, n, take_row, &a, err);
}

/* ---- tables ------------------------------------------------------------------------------------
 */

/* Where pages tell nothing, all rows are looked at. */
static bool
is_untold(int code)
{
	return code == ERR_UNSUPPORTED || code == ERR_CORRUPT;
}

static int
ask_by_rowid(struct changes *c, const struct table *x, bool old_only, struct err *err)
{
	CLEANUP(freep) struct rowid_range *ranges = NULL;
	size_t n;
	int r = page_pair_rows(c->pages, x->old_root, x->new_root, old_only ? PAGE_OLD : PAGE_NEW,
			       &ranges, &n, err);

	if (r < 0 && is_untold(r))
		return ask(c, x, NULL, 0, old_only, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct db_value params[] = {{.type = DB_INT, .i = ranges[i].first},
						  {.type = DB_INT, .i = ranges[i].last}};

		r = ask(c, x, params, 2, old_only, err);
	}
	return r;
}

static int
take_flag(void *arg, const struct records_row *row, struct err *err)
{
	bool *ret = arg;

	(void)err;
	*ret = row->values[0].i != 0;
	return 0;
}

/* Ranges of keys are worth nothing where SQL compares in another order than the tree. */
static int
key_descends(struct changes *c, const struct records_table *t, bool *ret, struct err *err)
{
	struct db_value name = text_value(t->name);

	*ret = true;
	return records_query(c->db,
			     "SELECT sum(\"desc\") > 0 FROM pragma_index_xinfo(?1, 'main')"
			     " WHERE key = 1",
			     &name, 1, take_flag, ret, err);
}

static int
ask_by_key(struct changes *c, const struct table *x, bool old_only, struct err *err)
{
	CLEANUP(key_ranges_fini) struct key_ranges ranges = {0};
	unsigned n = x->t->n_key;
	CLEANUP(freep) struct db_value *params = mem_array(2 * (size_t)n, sizeof *params);
	bool descends;
	int r = key_descends(c, x->t, &descends, err);

	if (r == 0 && !descends)
		r = page_pair_keys(c->pages, x->old_root, x->new_root,
				   old_only ? PAGE_OLD : PAGE_NEW, n, &ranges, err);
	if ((r < 0 && is_untold(r)) || (r == 0 && descends))
		return ask(c, x, NULL, 0, old_only, err);
	for (size_t i = 0; r == 0 && i < ranges.n; i++) {
		memcpy(params, ranges.v[i].first, n * sizeof *params);
		memcpy(params + n, ranges.v[i].last, n * sizeof *params);
		r = ask(c, x, params, 2 * n, old_only, err);
	}
	return r;
}

static int
tell_table(struct changes *c, enum records_change_kind kind, const char *name, struct err *err)
{
	struct records_change change = {.kind = kind, .table = slice_str(name)};

	return c->fn(c->arg, &change, err);
}

static int
compare_rows(struct changes *c, const struct table *x, bool old_only, struct err *err)
{
	if (!by_rowid(x->t) && x->t->n_key == 0)
		return err_set(err, ERR_UNSUPPORTED, "its rows have nothing to tell them apart by");
	if (c->pages == NULL)
		return ask(c, x, NULL, 0, old_only, err);
	return by_rowid(x->t) ? ask_by_rowid(c, x, old_only, err) : ask_by_key(c, x, old_only, err);
}

static int
take_new_row(void *arg, const struct records_row *row, struct err *err)
{
	struct answer *a = arg;
	const struct records_table *t = a->x->t;
	CLEANUP(records_key_fini) struct records_key key = {0};
	CLEANUP(buf_fini) struct buf name = BUF_INIT;
	unsigned at = 1 + t->n_key;
	struct records_row new;
	struct records_change change = {.kind = ROW_ADDED,
					.table = slice_str(t->name),
					.new = &new};

	if (row->n != at + t->n_columns)
		return err_set(err, ERR_CORRUPT, "an answer with too few columns");
	new = (struct records_row){row->names + at, row->values + at, t->n_columns};
	key_of_row(t, row->values + 1, row->values[0].i, &key);
	records_name_of_key(t, &key, &name);
	change.name = buf_slice(&name);
	return a->c->fn(a->c->arg, &change, err);
}

/* A table that the older version hasn't got. */
static int
tell_new_table(struct changes *c, const struct table *x, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;
	struct answer a = {c, x, false};
	int r = tell_table(c, TABLE_ADDED, x->t->name, err);

	if (r != 0)
		return r;
	buf_append_str(&sql, "SELECT ");
	put_key(&sql, x->t, "n");
	for (unsigned i = 0; i < x->t->n_columns; i++) {
		buf_append_str(&sql, ", ");
		put_column(&sql, x->t, "n", i);
	}
	buf_append_str(&sql, " FROM ");
	put_from(&sql, "main", x->t, "n");
	return records_query(c->db, buf_cstr(&sql), NULL, 0, take_new_row, &a, err);
}

static int
compare_table(struct changes *c, const char *name, struct err *err)
{
	CLEANUP(table_fini) struct table x = {0};
	size_t n_old = 0;
	int r;

	r = records_table(c->db, slice_str(name), &x.t, err);
	if (r == 0)
		r = find_root(c, "main", name, &x.new_root, err);
	if (r == 0)
		r = find_root(c, "then", name, &x.old_root, err);
	if (r == 0)
		r = find_common(c, &x, &n_old, err);
	if (r == 0 && (x.old_root == 0 || x.n_common == 0))
		r = tell_new_table(c, &x, err);
	else if (r == 0 && (x.n_common != n_old || x.n_common != x.t->n_columns))
		r = tell_table(c, TABLE_COLUMNS, name, err);
	if (r == 0 && x.old_root != 0 && x.n_common > 0)
		r = compare_rows(c, &x, false, err);
	if (r == 0 && x.old_root != 0 && x.n_common > 0)
		r = compare_rows(c, &x, true, err);
	return r < 0 ? err_add(err, r, "table %s", name) : r;
}

static int
tell_removed_tables(struct changes *c, struct err *err)
{
	CLEANUP(names_fini) struct names gone = {0};
	int r = records_query(c->db,
			      "SELECT name FROM \"then\".sqlite_schema WHERE type = 'table'"
			      " AND rootpage > 0 AND substr(name, 1, 7) COLLATE NOCASE <> 'sqlite_'"
			      " AND name NOT IN"
			      " (SELECT name FROM main.sqlite_schema WHERE type = 'table')"
			      " ORDER BY name COLLATE BINARY",
			      NULL, 0, take_name_row, &gone, err);

	for (size_t i = 0; r == 0 && i < gone.n; i++)
		r = tell_table(c, TABLE_REMOVED, gone.v[i], err);
	return r;
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

/* Finds the pages that both share, where that can be told. */
static int
compare_pages(struct changes *c, const struct records_files *old, const struct records_files *new,
	      struct err *err)
{
	struct roots roots = {0};
	int r;

	if (old->wal != NULL || old->journal != NULL || new->wal != NULL || new->journal != NULL)
		return 0;
	r = page_pair_open(old->main, new->main, &c->pages, err);
	if (r < 0)
		return is_untold(r) ? 0 : r;
	r = records_query(c->db, "SELECT rootpage FROM main.sqlite_schema WHERE rootpage > 0", NULL,
			  0, take_root, &roots, err);
	if (r == 0)
		r = page_pair_account(c->pages, roots.v, roots.n, err);
	free(roots.v);
	if (r < 0 && is_untold(r)) {
		page_pair_close(steal_ptr(&c->pages));
		return 0;
	}
	return r;
}

static int
compare_all(struct changes *c, const struct records_files *old, const struct records_files *new,
	    struct err *err)
{
	CLEANUP(names_fini) struct names tables = {0};
	int r;

	r = compare_pages(c, old, new, err);
	if (r == 0)
		r = records_tables(c->db, take_name, &tables, err);
	for (size_t i = 0; r == 0 && i < tables.n; i++)
		r = compare_table(c, tables.v[i], err);
	return r == 0 ? tell_removed_tables(c, err) : r;
}

int
records_changes(struct records_host *h, const struct records_files *old,
		const struct records_files *new, const struct records_limits *limits,
		records_change_fn *fn, void *arg, struct err *err)
{
	struct records_files both[] = {*new, *old};
	struct changes c = {.fn = fn, .arg = arg};
	int r;

	r = records_open(h, both, 2, limits, &c.db, err);
	if (r == 0)
		r = compare_all(&c, old, new, err);
	page_pair_close(c.pages);
	records_close(c.db);
	return r;
}
