/*
 * diff_rows.c - tillfs diff --rows: tables and rows of the databases that changed.
 *
 * A row is told of by the path that it has below records/ in a mount.
 */
#include "diff.h"

static const struct {
	char letter;
	const char *word;
} kinds[] = {
	[ROW_ADDED] = {'+', "row added"},         [ROW_REMOVED] = {'-', "row removed"},
	[ROW_CHANGED] = {'M', "row changed"},     [TABLE_ADDED] = {'+', "table added"},
	[TABLE_REMOVED] = {'-', "table removed"}, [TABLE_COLUMNS] = {'T', "columns"},
};

struct telling {
	struct diff *d;
	struct slice database;
};

static void
append_row(struct buf *b, const char *key, const struct records_row *row)
{
	if (row == NULL)
		return;
	buf_appendf(b, ", \"%s\": ", key);
	records_json_row(b, row, -1);
}

static int
tell_row(void *arg, const struct records_change *change, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(buf_fini) struct buf extra = BUF_INIT;
	const struct telling *t = arg;

	buf_append(&path, t->database.p, t->database.len);
	buf_append_u8(&path, '/');
	records_name_of_table(change->table, &path);
	buf_append_u8(&path, '/');
	buf_append(&path, change->name.p, change->name.len);
	if (t->d->json) {
		append_row(&extra, "old", change->old);
		append_row(&extra, "new", change->new);
	}
	t->d->rows++;
	return diff_add(t->d, kinds[change->kind].letter, kinds[change->kind].word,
			buf_slice(&path), &extra, err);
}

/* The files of a database in one snapshot; @ret_found is false when there is none. */
static int
find(struct merge *merge, struct slice path, struct records_files *ret, bool *ret_found,
     struct err *err)
{
	const uint8_t *slash = memrchr(path.p, '/', path.len);
	size_t dir_len = slash != NULL ? (size_t)(slash - path.p) : 0;
	size_t skip = slash != NULL ? dir_len + 1 : 0;
	CLEANUP(merged_fini) struct merged dir = {0};
	int r;

	*ret_found = false;
	r = merge_resolve(merge, slice_of(path.p, dir_len), &dir, err);
	if (r == 0)
		r = records_files_open(&dir, slice_of(path.p + skip, path.len - skip), ret, err);
	if (r == ERR_NOENT || r == ERR_INVALID)
		return 0;
	*ret_found = r == 0;
	return r;
}

/* The database that a path is, or is the WAL or journal of. */
static struct slice
database_of(struct slice path)
{
	static const char *const endings[] = {"-wal", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		size_t len = strlen(endings[i]);

		if (path.len > len && memcmp(path.p + path.len - len, endings[i], len) == 0)
			return slice_of(path.p, path.len - len);
	}
	return path;
}

static int
compare(struct diff *d, struct slice path, struct err *err)
{
	CLEANUP(records_files_close) struct records_files old = {0};
	CLEANUP(records_files_close) struct records_files new = {0};
	struct telling t = {d, path};
	bool was = false, is = false;
	int r;

	r = find(d->old, path, &old, &was, err);
	if (r == 0)
		r = find(d->new, path, &new, &is, err);
	if (r < 0 || !was || !is)
		return r;
	return records_changes(d->host, &old, &new, &d->limits, tell_row, &t, err);
}

int
diff_rows(struct diff *d, struct slice path, struct err *err)
{
	struct slice database = database_of(path);
	struct err why = ERR_INIT;
	int r;

	/* A database and its WAL come one after the other. */
	if (d->last.len > 0 && slice_equal(buf_slice(&d->last), database))
		return 0;
	buf_reset(&d->last);
	buf_append(&d->last, database.p, database.len);
	r = compare(d, database, &why);
	if (r == 0)
		return 0;
	if (r == ERR_CANCELLED) {
		*err = why;
		return r;
	}
	warn("%.*s: its rows could not be compared: %s", (int)database.len,
	     (const char *)database.p, why.msg);
	d->n_failed++;
	return 0;
}
