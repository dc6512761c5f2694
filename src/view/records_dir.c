/*
 * records_dir.c - listing folders with databases, databases, and tables.
 *
 * A table's names come in batches, each a question of its own, so that no worker waits for whoever
 * reads the listing; every so many names their place is kept, for who seeks.
 */
#include "private.h"

#define BATCH_FIRST 128u
#define BATCH_MAX   8192u
#define KEPT_EVERY  65536u /* names between the places kept */
#define TABLES_MAX  100000u

struct names {
	struct buf text;
	struct slice *v; /* set once the text is whole */
	size_t *ends;
	size_t n, cap;
};

struct view_records_dir {
	struct view_node *node;       /* a reference */
	struct buf path;              /* below the mount, with a slash behind */
	struct view_listing *listing; /* folders */
	struct names names;           /* tables of a database; a batch of rows */
	uint64_t first;               /* which row the batch begins with */
	bool at_end;                  /* the batch is the last one */
	size_t batch;
	struct records_place at; /* behind the batch */
	struct records_place *kept;
	size_t n_kept, cap_kept; /* kept[i] is the place before row i × KEPT_EVERY */
};

/* ---- names ----------------------------------------------------------------------------- */

static void
names_fini(struct names *n)
{
	buf_fini(&n->text);
	free(n->ends);
}

static void
names_reset(struct names *n)
{
	buf_reset(&n->text);
	n->n = 0;
}

static void
names_add(struct names *n, struct slice name)
{
	array_reserve(n->ends, n->n, n->cap);
	buf_append(&n->text, name.p, name.len);
	n->ends[n->n++] = n->text.len;
}

static struct slice
names_at(const struct names *n, size_t i)
{
	size_t start = i > 0 ? n->ends[i - 1] : 0;

	return slice_of(n->text.p + start, n->ends[i] - start);
}

/* ---- opening --------------------------------------------------------------------------- */

static int
add_table(void *arg, struct slice name, struct err *err)
{
	struct view_records_dir *d = arg;
	CLEANUP(buf_fini) struct buf dir_name = BUF_INIT;

	if (d->names.n >= TABLES_MAX)
		return err_set(err, ERR_NOSPACE, "a database of more than %u tables", TABLES_MAX);
	records_name_of_table(name, &dir_name);
	names_add(&d->names, buf_slice(&dir_name));
	return 0;
}

static int
list_tables(struct records_db *db, void *arg, struct err *err)
{
	struct view_records_dir *d = arg;

	names_reset(&d->names);
	names_add(&d->names, slice_str("_schema.sql"));
	names_add(&d->names, slice_str("_source"));
	return records_tables(db, add_table, d, err);
}

int
view_records_opendir(struct view *v, struct view_node *dir, struct view_records_dir **ret,
		     struct err *err)
{
	struct view_records_dir *d = mem_alloc(sizeof *d);
	int r = 0;

	*ret = NULL;
	d->node = dir;
	view_ref(dir, 1);
	d->batch = BATCH_FIRST;
	view_node_path(dir, &d->path);
	buf_append_u8(&d->path, '/');
	if (dir->kind == VIEW_DATABASE)
		r = view_db_run(v, dir, list_tables, d, err);
	else if (dir->kind != VIEW_TABLE)
		r = view_listing_open(v, dir, &d->listing, err);
	if (r < 0) {
		view_records_closedir(v, d);
		return r;
	}
	*ret = d;
	return 0;
}

void
view_records_closedir(struct view *v, struct view_records_dir *d)
{
	if (d == NULL)
		return;
	view_listing_close(v, d->listing);
	names_fini(&d->names);
	records_place_fini(&d->at);
	for (size_t i = 0; i < d->n_kept; i++)
		records_place_fini(&d->kept[i]);
	free(d->kept);
	buf_fini(&d->path);
	view_unref(v, d->node, 1);
	free(d);
}

/* ---- rows ------------------------------------------------------------------------------ */

struct batch {
	struct view_records_dir *d;
	struct records_place at; /* before it; moves on */
	size_t limit, n;
};

static int
add_row(void *arg, struct slice name, struct err *err)
{
	struct batch *b = arg;

	(void)err;
	names_add(&b->d->names, name);
	return 0;
}

static int
list_rows(struct records_db *db, void *arg, struct err *err)
{
	struct batch *b = arg;
	const struct records_table *t;
	int r;

	names_reset(&b->d->names);
	r = records_table_named(db, view_node_name(b->d->node), &t, err);
	return r < 0 ? r : records_list(db, t, &b->at, b->limit, add_row, b, &b->n, err);
}

static void
keep_place(struct view_records_dir *d)
{
	array_reserve(d->kept, d->n_kept, d->cap_kept);
	d->kept[d->n_kept] = (struct records_place){0};
	records_place_copy(&d->at, &d->kept[d->n_kept++]);
}

/* The batch that begins with row @first, whose place is d->at. */
static int
read_batch(struct view *v, struct view_records_dir *d, uint64_t first, struct err *err)
{
	struct batch b = {.d = d};
	int r;

	if (first % KEPT_EVERY == 0 && first / KEPT_EVERY == d->n_kept)
		keep_place(d);
	b.limit = (size_t)min_u64(d->batch, KEPT_EVERY - first % KEPT_EVERY);
	records_place_copy(&d->at, &b.at);
	d->first = first;
	r = view_db_run(v, d->node, list_rows, &b, err);
	if (r < 0) {
		records_place_fini(&b.at);
		names_reset(&d->names);
		return r;
	}
	records_place_fini(&d->at);
	d->at = b.at;
	d->at_end = b.n < b.limit;
	d->batch = (size_t)min_u64(2 * d->batch, BATCH_MAX);
	return 0;
}

static int
row_at(struct view *v, struct view_records_dir *d, uint64_t index, struct slice *ret,
       struct err *err)
{
	while (index < d->first || index >= d->first + d->names.n) {
		uint64_t next = d->first + d->names.n;
		size_t near =
			(size_t)min_u64(index / KEPT_EVERY, d->n_kept > 0 ? d->n_kept - 1 : 0);
		int r;

		/* Back, or to a place known farther ahead. */
		if (index < d->first || (d->n_kept > 0 && near * KEPT_EVERY > next)) {
			next = near * KEPT_EVERY;
			records_place_copy(&d->kept[near], &d->at);
			d->at_end = false;
		}
		if (d->at_end)
			return err_set(err, ERR_NOENT, "the directory ends here");
		r = read_batch(v, d, next, err);
		if (r < 0)
			return r;
	}
	*ret = names_at(&d->names, (size_t)(index - d->first));
	return 0;
}

/* ---- entries --------------------------------------------------------------------------- */

/* The next folder or database of a folder. */
static int
folder_at(struct view_records_dir *d, uint64_t index, struct view_dirent *ret, uint64_t *ret_next,
	  struct err *err)
{
	const struct merged *x;
	bool shown = false;
	int r = 0;

	for (; r == 0 && !shown; index++) {
		r = view_listing_at(d->listing, index, &x, err);
		if (r < 0)
			return r;
		shown = merged_entry(x)->type == ENTRY_DIR;
		/* What can't be read is shown: who looks into it is told why. */
		if (!shown && records_is_database(x, &shown, NULL) < 0)
			shown = true;
	}
	ret->name = merged_entry(x)->name;
	ret->type = ENTRY_DIR;
	*ret_next = index;
	return r;
}

static int
table_at(struct view_records_dir *d, uint64_t index, struct view_dirent *ret, struct err *err)
{
	if (index >= d->names.n)
		return err_set(err, ERR_NOENT, "the directory ends here");
	ret->name = names_at(&d->names, (size_t)index);
	ret->type = index == 0 ? ENTRY_FILE : index == 1 ? ENTRY_SYMLINK : ENTRY_DIR;
	return 0;
}

int
view_records_at(struct view *v, struct view_records_dir *d, uint64_t index, struct view_dirent *ret,
		uint64_t *ret_next, struct err *err)
{
	size_t len = d->path.len;
	int r;

	*ret_next = index + 1;
	if (d->listing != NULL) {
		r = folder_at(d, index, ret, ret_next, err);
	} else if (d->node->kind == VIEW_DATABASE) {
		r = table_at(d, index, ret, err);
	} else {
		ret->type = ENTRY_FILE;
		r = row_at(v, d, index, &ret->name, err);
	}
	if (r < 0)
		return r;
	buf_append(&d->path, ret->name.p, ret->name.len);
	ret->ino = view_ino_own(buf_slice(&d->path));
	d->path.len = len;
	return 0;
}
