/*
 * schema.c - tables, their columns, and which of these name a row.
 */
#include <strings.h>

#include "internal.h"

#define TABLES                                                                                     \
	"SELECT name, wr, strict FROM pragma_table_list"                                           \
	" WHERE schema = 'main' AND type = 'table'"                                                \
	" AND substr(name, 1, 7) COLLATE NOCASE <> 'sqlite_'"

void
table_free(struct records_table *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < t->n_columns; i++) {
		free(t->columns[i].name);
		free(t->columns[i].type);
		free(t->columns[i].collation);
	}
	free(t->columns);
	free(t->key);
	free(t->rowid);
	free(t->name);
	free(t);
}
DEFINE_FREEP(struct records_table *, table_free)

static char *
text_of(const struct db_value *v)
{
	return str_format("%.*s", (int)v->b.len, v->b.len > 0 ? (const char *)v->b.p : "");
}

static struct db_value
text_value(const char *s)
{
	return (struct db_value){.type = DB_TEXT, .b = slice_str(s)};
}

/* ---- columns --------------------------------------------------------------------------- */

static bool
mentions(const char *type, const char *word)
{
	return strcasestr(type, word) != NULL;
}

/* https://sqlite.org/datatype3.html section 3.1 */
static enum records_affinity
affinity_of(const char *type, bool strict)
{
	if (mentions(type, "INT"))
		return AFFINITY_NUMERIC;
	if (mentions(type, "CHAR") || mentions(type, "CLOB") || mentions(type, "TEXT"))
		return AFFINITY_TEXT;
	if (mentions(type, "BLOB") || type[0] == '\0' || (strict && strcasecmp(type, "ANY") == 0))
		return AFFINITY_NONE;
	if (mentions(type, "REAL") || mentions(type, "FLOA") || mentions(type, "DOUB"))
		return AFFINITY_REAL;
	return AFFINITY_NUMERIC;
}

/* A worker that was taken over may send rows of any width. */
static int
check_width(const struct records_row *row, unsigned n, struct err *err)
{
	return row->n == n ? 0
			   : err_set(err, ERR_CORRUPT,
				     "the process that read the database answered nonsense");
}

struct loading {
	struct records_table *t;
	unsigned cap;
	bool found, strict, cluster;
	char *index; /* of the primary key */
};

static int
take_table(void *arg, const struct records_row *row, struct err *err)
{
	struct loading *l = arg;

	if (check_width(row, 3, err) < 0)
		return ERR_CORRUPT;
	l->found = true;
	l->cluster = row->values[1].i != 0;
	l->strict = row->values[2].i != 0;
	return 0;
}

static int
take_column(void *arg, const struct records_row *row, struct err *err)
{
	struct loading *l = arg;
	struct records_table *t = l->t;
	struct records_column *c;

	if (check_width(row, 5, err) < 0)
		return ERR_CORRUPT;
	if (row->values[4].i == 1)
		return 0; /* hidden */
	array_reserve(t->columns, t->n_columns, l->cap);
	c = &t->columns[t->n_columns++];
	*c = (struct records_column){.name = text_of(&row->values[0]),
				     .type = text_of(&row->values[1]),
				     .not_null = row->values[2].i != 0,
				     .in_key = (unsigned)min_u64((uint64_t)row->values[3].i, 4096),
				     .generated = row->values[4].i != 0};
	c->affinity = affinity_of(c->type, l->strict);
	return 0;
}

static int
take_index(void *arg, const struct records_row *row, struct err *err)
{
	struct loading *l = arg;

	(void)err;
	free(l->index);
	l->index = text_of(&row->values[0]);
	return 0;
}

static int
take_collation(void *arg, const struct records_row *row, struct err *err)
{
	struct records_table *t = arg;

	if (check_width(row, 2, err) < 0)
		return ERR_CORRUPT;
	for (unsigned i = 0; i < t->n_columns; i++) {
		if (!slice_equal(slice_str(t->columns[i].name), row->values[0].b))
			continue;
		free(t->columns[i].collation);
		t->columns[i].collation = text_of(&row->values[1]);
	}
	return 0;
}

/* ---- keys ------------------------------------------------------------------------------ */

static bool
has_column(const struct records_table *t, const char *name)
{
	for (unsigned i = 0; i < t->n_columns; i++)
		if (strcasecmp(t->columns[i].name, name) == 0)
			return true;
	return false;
}

static char *
rowid_name(const struct records_table *t)
{
	static const char *const names[] = {"rowid", "_rowid_", "oid"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!has_column(t, names[i]))
			return str_copy(names[i]);
	return NULL;
}

/* Columns of the key in its order; a place that is missing or double makes it none. */
static void
collect_key(struct records_table *t)
{
	unsigned n = 0;

	t->key = mem_array(t->n_columns + 1, sizeof *t->key);
	for (unsigned i = 0; i < t->n_columns; i++)
		n += t->columns[i].in_key > 0;
	for (unsigned place = 1; place <= n; place++)
		for (unsigned i = 0; i < t->n_columns; i++)
			if (t->columns[i].in_key == place && t->n_key < n)
				t->key[t->n_key++] = i;
	if (t->n_key != n)
		t->n_key = 0;
}

static void
decide_key(struct loading *l)
{
	struct records_table *t = l->t;

	collect_key(t);
	for (unsigned i = 0; i < t->n_key; i++)
		t->may_be_null |= !t->columns[t->key[i]].not_null;
	if (l->cluster) {
		t->kind = KEY_CLUSTER;
		t->may_be_null = false;
		return;
	}
	/* Without an index of its own, the primary key is the rowid. */
	if (t->n_key == 1 && l->index == NULL) {
		CLEANUP(buf_fini) struct buf sql = BUF_INIT;

		t->kind = KEY_INTEGER;
		records_sql_name(&sql, slice_str(t->columns[t->key[0]].name));
		t->rowid = str_copy(buf_cstr(&sql));
		return;
	}
	t->kind = t->n_key > 0 ? KEY_COLUMNS : KEY_ROWID;
	t->rowid = rowid_name(t);
}

void
table_put_key_column(struct buf *sql, const struct records_table *t, unsigned i)
{
	const struct records_column *c = &t->columns[t->key[i]];

	records_sql_name(sql, slice_str(c->name));
	if (c->collation != NULL) {
		buf_append_str(sql, " COLLATE ");
		records_sql_name(sql, slice_str(c->collation));
	}
}

void
table_put_from(struct buf *sql, const struct records_table *t)
{
	buf_append_str(sql, " FROM main.");
	records_sql_name(sql, slice_str(t->name));
}

static int
take_plan(void *arg, const struct records_row *row, struct err *err)
{
	bool *sorts = arg;

	(void)err;
	if (row->n >= 4 && row->values[3].b.len > 0)
		*sorts |=
			memmem(row->values[3].b.p, row->values[3].b.len, "TEMP B-TREE", 11) != NULL;
	return 0;
}

/* Whether the columns' own order isn't the index's. */
static int
order_differs(struct records_db *db, const struct records_table *t, bool *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf sql = BUF_INIT;

	*ret = false;
	buf_append_str(&sql, "EXPLAIN QUERY PLAN SELECT ");
	for (int order = 0; order < 2; order++) {
		for (unsigned i = 0; i < t->n_key; i++) {
			buf_append_str(&sql, i > 0 ? ", " : "");
			table_put_key_column(&sql, t, i);
		}
		if (order == 0)
			table_put_from(&sql, t);
		buf_append_str(&sql, order == 0 ? " ORDER BY " : "");
	}
	return records_query(db, buf_cstr(&sql), NULL, 0, take_plan, ret, err);
}

/*
 * The key may have another collation than its columns; only then it must be named, since naming it
 * keeps SQLite from comparing several columns at once.  One that doesn't exist here leaves the
 * rowid.
 */
static int
find_collations(struct records_db *db, struct loading *l, struct err *err)
{
	struct records_table *t = l->t;
	struct db_value index = text_value(l->index != NULL ? l->index : t->name);
	bool differs;
	int r;

	r = order_differs(db, t, &differs, err);
	if (r == 0 && differs)
		r = records_query(db,
				  "SELECT name, coll FROM pragma_index_xinfo(?1, 'main')"
				  " WHERE key = 1 AND name IS NOT NULL",
				  &index, 1, take_collation, t, err);
	if (r == 0 && differs)
		r = order_differs(db, t, &differs, err);
	if (r == ERR_INVALID && t->kind == KEY_COLUMNS && t->rowid != NULL) {
		t->kind = KEY_ROWID;
		t->n_key = 0;
		r = 0;
	}
	return r;
}

/* ---- tables ---------------------------------------------------------------------------- */

static int
load(struct records_db *db, struct loading *l, struct err *err)
{
	struct db_value name = text_value(l->t->name);
	int r;

	r = records_query(db, TABLES " AND name = ?1", &name, 1, take_table, l, err);
	if (r < 0)
		return r;
	if (!l->found)
		return err_set(err, ERR_NOENT, "there is no such table");
	r = records_query(db,
			  "SELECT name, type, \"notnull\", pk, hidden"
			  " FROM pragma_table_xinfo(?1, 'main')",
			  &name, 1, take_column, l, err);
	if (r == 0)
		r = records_query(
			db, "SELECT name FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'",
			&name, 1, take_index, l, err);
	if (r < 0)
		return r;
	decide_key(l);
	if (l->t->kind == KEY_COLUMNS || l->t->kind == KEY_CLUSTER)
		r = find_collations(db, l, err);
	return r;
}

int
records_table(struct records_db *db, struct slice name, const struct records_table **ret,
	      struct err *err)
{
	CLEANUP(table_freep) struct records_table *t = NULL;
	struct loading l = {0};
	int r;

	*ret = NULL;
	if (name.len > 0 && memchr(name.p, 0, name.len) != NULL)
		return err_set(err, ERR_NOENT, "there is no such table");
	for (size_t i = 0; i < db->n_tables; i++) {
		if (slice_equal(slice_str(db->tables[i]->name), name)) {
			*ret = db->tables[i];
			return 0;
		}
	}
	l.t = t = mem_alloc(sizeof *t);
	t->name = str_format("%.*s", (int)name.len, name.len > 0 ? (const char *)name.p : "");
	r = load(db, &l, err);
	free(l.index);
	if (r < 0)
		return r;
	array_reserve(db->tables, db->n_tables, db->cap_tables);
	db->tables[db->n_tables++] = t;
	*ret = steal_ptr(&t);
	return 0;
}

struct naming {
	records_name_fn *fn;
	void *arg;
};

static int
tell_name(void *arg, const struct records_row *row, struct err *err)
{
	struct naming *n = arg;

	return n->fn(n->arg, row->values[0].b, err);
}

int
records_tables(struct records_db *db, records_name_fn *fn, void *arg, struct err *err)
{
	struct naming n = {fn, arg};

	return records_query(db, TABLES " ORDER BY name COLLATE BINARY", NULL, 0, tell_name, &n,
			     err);
}

struct finding {
	struct slice wanted;
	struct buf name;
	bool found;
};

/* The table whose directory has that name. */
static int
compare_name(void *arg, struct slice name, struct err *err)
{
	struct finding *f = arg;
	CLEANUP(buf_fini) struct buf dir_name = BUF_INIT;

	(void)err;
	records_name_of_table(name, &dir_name);
	if (f->found || !slice_equal(buf_slice(&dir_name), f->wanted))
		return 0;
	f->found = true;
	buf_append(&f->name, name.p, name.len);
	return 0;
}

int
records_table_named(struct records_db *db, struct slice dir_name, const struct records_table **ret,
		    struct err *err)
{
	struct finding f = {.wanted = dir_name};
	int r = 0;

	*ret = NULL;
	for (size_t i = 0; i < db->n_tables && !f.found; i++)
		r = compare_name(&f, slice_str(db->tables[i]->name), err);
	if (r == 0 && !f.found)
		r = records_tables(db, compare_name, &f, err);
	if (r == 0 && !f.found)
		r = err_set(err, ERR_NOENT, "there is no such table");
	if (r == 0)
		r = records_table(db, buf_slice(&f.name), ret, err);
	buf_fini(&f.name);
	return r;
}

static int
take_statement(void *arg, const struct records_row *row, struct err *err)
{
	struct buf *b = arg;

	(void)err;
	buf_append(b, row->values[0].b.p, row->values[0].b.len);
	buf_append_str(b, ";\n");
	return 0;
}

int
records_schema(struct records_db *db, struct buf *ret, struct err *err)
{
	buf_reset(ret);
	return records_query(db,
			     "SELECT sql FROM main.sqlite_schema WHERE sql IS NOT NULL"
			     " ORDER BY rowid",
			     NULL, 0, take_statement, ret, err);
}
