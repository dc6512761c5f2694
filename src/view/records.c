/*
 * records.c - databases of snapshots as directories of tables, and tables as directories of rows.
 *
 * All of it is derived: the original lies beside, at the end of `_source`.  What a row shows is as
 * private as its database, so owner and mode come from there.
 */
#include "private.h"

#define ORIGINAL "user.tillfs.original"
#define DERIVED  "user.tillfs.derived"
#define ACL      "system.posix_acl_access"

/* ---- attributes ------------------------------------------------------------------------ */

/* Who may read; with an ACL, which could say less to some, only the owner. */
static uint32_t
readers_of(const struct entry *e)
{
	uint32_t mode = e->bare ? 0444 : e->mode & 0444;

	for (uint32_t i = 0; i < e->n_xattrs; i++)
		if (slice_equal(e->xattrs[i].name, slice_str(ACL)))
			return mode & 0400;
	return mode;
}

static bool
is_dir(const struct view_node *n)
{
	return n->kind <= VIEW_TABLE;
}

/* Everything but a size. */
static void
attr_like(const struct view_node *n, const struct entry *e, struct view_attr *ret)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	uint32_t mode = readers_of(e);

	view_node_path(n, &path);
	*ret = (struct view_attr){.ino = view_ino_own(buf_slice(&path)),
				  .type = ENTRY_FILE,
				  .mode = mode,
				  .uid = e->bare ? 0 : e->uid,
				  .gid = e->bare ? 0 : e->gid,
				  .nlink = 1,
				  .mtime = e->mtime,
				  .ctime = e->ctime,
				  .immutable = true};
	if (is_dir(n)) {
		ret->type = ENTRY_DIR;
		/* Who may read a database may enter it; a folder is entered by whom it says. */
		if (e->type == ENTRY_DIR)
			ret->mode |= e->bare ? 0111 : (mode >> 2) & e->mode & 0111;
		else
			ret->mode |= mode >> 2;
	} else if (n->kind == VIEW_SOURCE) {
		ret->type = ENTRY_SYMLINK;
		ret->mode = 0777;
	}
}

static void
set_size(struct view_attr *a, uint64_t size)
{
	a->size = size;
	a->blocks = (size + 511) / 512;
}

static int
attr_of_entry(struct view *v, struct view_node *n, struct view_attr *ret, struct err *err)
{
	struct view_entry *e;
	int r = view_entry_get(v, n, &e, err);

	if (r < 0)
		return r;
	attr_like(n, merged_entry(&e->at), ret);
	view_entry_put(v, e);
	return 0;
}

/* @text: NULL, or what the node's file holds, known already. */
static int
attr_with(struct view *v, struct view_node *n, const struct buf *text, struct view_attr *ret,
	  struct err *err)
{
	CLEANUP(buf_fini) struct buf made = BUF_INIT;
	int r = attr_of_entry(v, n, ret, err);

	if (r < 0)
		return r;
	if (n->kind == VIEW_SOURCE) {
		view_records_readlink(n, &made);
		set_size(ret, made.len);
	} else if (!is_dir(n)) {
		if (text == NULL)
			r = view_records_text(v, n, &made, err);
		set_size(ret, text != NULL ? text->len : made.len);
	}
	return r;
}

int
view_records_attr(struct view *v, struct view_node *n, struct view_attr *ret, struct err *err)
{
	return attr_with(v, n, NULL, ret, err);
}

/* ---- texts ----------------------------------------------------------------------------- */

struct row_text {
	struct slice table, name;
	struct buf *ret;
};

static int
get_row(struct records_db *db, void *arg, struct err *err)
{
	const struct row_text *t = arg;
	const struct records_table *table;
	int r = records_table_named(db, t->table, &table, err);

	return r < 0 ? r : records_get_named(db, table, t->name, t->ret, err);
}

static int
get_schema(struct records_db *db, void *arg, struct err *err)
{
	return records_schema(db, arg, err);
}

int
view_records_text(struct view *v, const struct view_node *n, struct buf *ret, struct err *err)
{
	struct row_text t = {.name = view_node_name(n), .ret = ret};

	buf_reset(ret);
	if (n->kind == VIEW_SCHEMA)
		return view_db_run(v, n, get_schema, ret, err);
	if (n->kind != VIEW_ROW)
		return err_set(err, ERR_INVALID, "not a regular file");
	t.table = view_node_name(n->parent);
	return view_db_run(v, n, get_row, &t, err);
}

/* ---- names ----------------------------------------------------------------------------- */

static int
find_in_folder(struct view *v, struct view_node *dir, struct slice name, enum view_kind *ret,
	       struct err *err)
{
	CLEANUP(merged_fini) struct merged found = {0};
	struct view_entry *e;
	bool is_database = false;
	int r;

	r = view_entry_get(v, dir, &e, err);
	if (r < 0)
		return r;
	r = merged_lookup(&e->at, name, &found, err);
	if (r == 0 && merged_entry(&found)->type != ENTRY_DIR) {
		r = records_is_database(&found, &is_database, err);
		if (r == 0 && !is_database)
			r = err_set(err, ERR_NOENT, "no database");
	}
	*ret = is_database ? VIEW_DATABASE : VIEW_RECORDS_FOLDER;
	merged_fini(&found);
	view_entry_put(v, e);
	return r;
}

static int
has_table(struct records_db *db, void *arg, struct err *err)
{
	const struct slice *name = arg;
	const struct records_table *ignored;

	return records_table_named(db, *name, &ignored, err);
}

static int
find_in_database(struct view *v, struct view_node *dir, struct slice name, enum view_kind *ret,
		 struct err *err)
{
	if (slice_equal(name, slice_str("_schema.sql")))
		*ret = VIEW_SCHEMA;
	else if (slice_equal(name, slice_str("_source")))
		*ret = VIEW_SOURCE;
	else
		*ret = VIEW_TABLE;
	return *ret == VIEW_TABLE ? view_db_run(v, dir, has_table, &name, err) : 0;
}

static int
find_row(struct view *v, const struct view_node *table, struct slice name, struct buf *ret,
	 struct err *err)
{
	struct row_text t = {view_node_name(table), name, ret};

	return view_db_run(v, table, get_row, &t, err);
}

int
view_records_lookup(struct view *v, struct view_node *dir, struct slice name,
		    struct view_node **ret, struct view_attr *ret_attr, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	enum view_kind kind = VIEW_ROW;
	struct view_node *n;
	int r;

	switch (dir->kind) {
	case VIEW_RECORDS_SNAPSHOT:
	case VIEW_RECORDS_FOLDER:
		r = find_in_folder(v, dir, name, &kind, err);
		break;
	case VIEW_DATABASE:
		r = find_in_database(v, dir, name, &kind, err);
		break;
	default:
		r = find_row(v, dir, name, &text, err);
	}
	if (r < 0)
		return r;
	n = view_node_get(v, dir, kind, name, dir->snap);
	r = attr_with(v, n, kind == VIEW_ROW ? &text : NULL, ret_attr, err);
	if (r < 0) {
		view_unref(v, n, 1);
		return r;
	}
	*ret = n;
	return 0;
}

/* ---- the original ---------------------------------------------------------------------- */

/* by-date/<date>/<snapshot>/<path> */
static void
put_original(const struct view_node *n, struct buf *ret)
{
	while (n->kind > VIEW_DATABASE)
		n = n->parent;
	buf_append_str(ret, "by-date/");
	view_node_path_below(n, VIEW_RECORDS, ret);
}

void
view_records_readlink(const struct view_node *n, struct buf *ret)
{
	const struct view_node *database = n->parent;

	for (n = database; n->parent != NULL; n = n->parent)
		buf_append_str(ret, "../");
	put_original(database, ret);
}

bool
view_records_xattr(const struct view_node *n, struct slice name, struct buf *ret)
{
	static const char *const words[] = {[VIEW_DATABASE - VIEW_DATABASE] = "database",
					    [VIEW_TABLE - VIEW_DATABASE] = "table",
					    [VIEW_ROW - VIEW_DATABASE] = "row",
					    [VIEW_SCHEMA - VIEW_DATABASE] = "schema",
					    [VIEW_SOURCE - VIEW_DATABASE] = "source"};

	if (n->kind < VIEW_DATABASE)
		return false;
	if (slice_equal(name, slice_str(ORIGINAL)))
		put_original(n, ret);
	else if (slice_equal(name, slice_str(DERIVED)))
		buf_append_str(ret, words[n->kind - VIEW_DATABASE]);
	else
		return false;
	return true;
}
