/*
 * scan_snapshot.c - tillfs scan: files of a snapshot.
 */
#include "scan.h"

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
scan_tables(struct scan_walk *w, const struct merged *dir, struct slice name,
	    struct scan_counts *ret, struct err *err)
{
	CLEANUP(records_files_close) struct records_files files = {0};
	int r = records_files_open(dir, name, &files, err);

	return r < 0 ? r : scan_stored(w->s->host, &files, ret, err);
}

static int
scan_whole_file(const struct merged *x, struct scan_counts *ret, struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *file = NULL;
	int r = tree_file_open(merged_item(x), &file, err);

	return r < 0 ? r : scan_bytes(file, ret, err);
}

/* What the tables had before they failed may be in the bytes too: the larger counts are taken. */
static int
scan_damaged(struct scan_walk *w, const struct merged *x, const struct err *why,
	     struct scan_counts *ret, struct err *err)
{
	CLEANUP(freep)
	char *text = str_format("its tables could not be read, and its bytes were looked at "
				"instead: %s",
				why->msg);
	struct scan_counts bytes = {0};
	int r = scan_whole_file(x, &bytes, err);

	if (r < 0)
		return r;
	ret->cards = max_u64(ret->cards, bytes.cards);
	ret->tracks = max_u64(ret->tracks, bytes.tracks);
	scan_not_read(w->s, buf_slice(&w->path), text);
	return 0;
}

/* @dir: the folder it is in. */
static int
scan_one(struct scan_walk *w, const struct merged *dir, const struct merged *x, struct err *err)
{
	struct scan_counts counts = {0};
	struct err why = ERR_INIT;
	bool is_database = false;
	int r;

	if (merged_entry(x)->type != ENTRY_FILE)
		return 0;
	w->bytes += merged_entry(x)->size;
	if (records_is_database(x, &is_database, NULL) < 0 || !is_database)
		r = scan_whole_file(x, &counts, err);
	else if (scan_tables(w, dir, merged_entry(x)->name, &counts, &why) < 0)
		r = scan_damaged(w, x, &why, &counts, err);
	else
		r = 0;
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
