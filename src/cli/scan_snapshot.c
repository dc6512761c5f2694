/*
 * scan_snapshot.c - tillfs scan: files of a snapshot.
 */
#include "scan.h"
#include "tillfs/records.h"

#define PIECE_LEN (1u * MIB)

struct scan_walk {
	struct scanning *s;
	struct buf path;
	uint64_t bytes; /* looked at */
};

static int
scan_bytes(struct tree_file *file, struct scan_counts *ret, struct err *err)
{
	CLEANUP(scanner_freep) struct scanner *scanner = scanner_new();
	CLEANUP(freep) uint8_t *piece = mem_alloc(PIECE_LEN);
	uint64_t size = tree_file_size(file);
	size_t got;
	int r = 0;

	for (uint64_t off = 0; r == 0 && off < size; off += got) {
		r = tree_file_read(file, off, piece, PIECE_LEN, &got, err);
		if (r == 0 && got == 0)
			r = err_set(err, ERR_CORRUPT, "the content ends before the file's size");
		if (r == 0)
			scanner_feed(scanner, slice_of(piece, got));
	}
	scanner_finish(scanner, ret);
	explicit_bzero(piece, PIECE_LEN);
	return r;
}

static int
read_file(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	size_t done = 0;

	while (done < len) {
		size_t got;
		int r = tree_file_read(arg, off + done, (uint8_t *)p + done, len - done, &got, err);

		if (r < 0)
			return r;
		if (got == 0)
			return err_set(err, ERR_CORRUPT, "the content ends before the file's size");
		done += got;
	}
	return 0;
}

static struct db_source
source_of(struct tree_file *f)
{
	return f == NULL ? (struct db_source){0}
			 : (struct db_source){tree_file_size(f), read_file, f};
}

static int
scan_stored_database(const struct merged *dir, struct slice name, struct scan_counts *ret,
		     struct err *err)
{
	struct records_files open = {0};
	int r = records_files_open(dir, name, &open, err);

	if (r == 0) {
		const struct db_files files = {.main = source_of(open.main),
					       .wal = source_of(open.wal),
					       .journal = source_of(open.journal)};

		r = scan_files(&files, ret, err);
	}
	records_files_close(&open);
	return r;
}

/* @dir: the folder it is in, or NULL. */
static int
scan_one(struct scan_walk *w, const struct merged *dir, const struct merged *x, struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *file = NULL;
	struct scan_counts counts = {0};
	bool is_database = false;
	int r = ERR_NOENT;

	if (merged_entry(x)->type != ENTRY_FILE)
		return 0;
	w->bytes += merged_entry(x)->size;
	if (dir != NULL && records_is_database(x, &is_database, NULL) == 0 && is_database)
		r = scan_stored_database(dir, merged_entry(x)->name, &counts, NULL);
	if (r < 0) {
		r = tree_file_open(merged_item(x), &file, err);
		if (r == 0)
			r = scan_bytes(file, &counts, err);
	}
	if (r < 0)
		return r;
	scan_found(w->s, buf_slice(&w->path), &counts);
	return 0;
}

/* Folders may be as deep as a path can be long: NESTING_MAX ends what isn't honest. */
#define NESTING_MAX 2048u

static int
scan_folder(struct scan_walk *w, const struct merged *dir, unsigned depth, struct err *err)
{
	CLEANUP(merged_cursor_closep) struct merged_cursor *cursor = NULL;
	const struct merged *x;
	size_t len = w->path.len;
	int r = merged_cursor_open(dir, &cursor, err);

	while (r == 0 && (r = merged_cursor_next(cursor, &x, err)) == 0) {
		struct err why = ERR_INIT;

		w->path.len = len;
		if (len > 0)
			buf_append_u8(&w->path, '/');
		buf_append(&w->path, merged_entry(x)->name.p, merged_entry(x)->name.len);
		if (merged_entry(x)->type == ENTRY_DIR && depth < NESTING_MAX)
			r = scan_folder(w, x, depth + 1, err);
		else if (scan_one(w, dir, x, &why) < 0)
			scan_not_read(w->s, buf_slice(&w->path), why.msg);
	}
	w->path.len = len;
	return r == ERR_NOENT ? 0 : r;
}

static int
scan_target(struct scan_walk *w, struct session *s, const struct target *t, struct err *err)
{
	CLEANUP(merge_freep) struct merge *merge = merge_new(s->reader, t->opened);
	CLEANUP(merged_fini) struct merged start = {0}, dir = {0};
	int r = merge_resolve(merge, t->path, &start, err);
	size_t parent;

	if (r < 0)
		return r;
	merge_path_clean(t->path, &w->path);
	if (merged_entry(&start)->type == ENTRY_DIR)
		return scan_folder(w, &start, 0, err);
	for (parent = w->path.len; parent > 0 && w->path.p[parent - 1] != '/';)
		parent--;
	r = merge_resolve(merge, slice_of(w->path.p, parent), &dir, err);
	return r < 0 ? r : scan_one(w, &dir, &start, err);
}

int
scan_snapshot(struct scanning *scanning, const char *what, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	struct scan_walk w = {.s = scanning};
	struct err why = ERR_INIT;
	int r;

	r = session_open(scanning->c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, what, &t, err);
	if (r < 0)
		return r;
	r = scan_target(&w, &s, &t, &why);
	session_recorded(&s, w.bytes, r, &why);
	buf_fini(&w.path);
	if (r < 0)
		*err = why;
	return r;
}
