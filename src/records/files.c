/*
 * files.c - a database and its companions in a directory of a snapshot.
 */
#include "internal.h"

void
records_files_close(struct records_files *f)
{
	tree_file_close(f->main);
	tree_file_close(f->wal);
	tree_file_close(f->journal);
	*f = (struct records_files){0};
}

/* @ret: NULL when there is no such file. */
static int
open_companion(const struct merged *dir, struct slice name, const char *ending,
	       struct tree_file **ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf whole = BUF_INIT;
	CLEANUP(merged_fini) struct merged found = {0};
	int r;

	*ret = NULL;
	buf_append(&whole, name.p, name.len);
	buf_append_str(&whole, ending);
	if (whole.len > ENTRY_NAME_MAX)
		return 0;
	r = merged_lookup(dir, buf_slice(&whole), &found, err);
	if (r == ERR_NOENT || (r == 0 && merged_entry(&found)->type != ENTRY_FILE))
		return 0;
	if (r == 0)
		r = tree_file_open(merged_item(&found), ret, err);
	return r;
}

/* An empty file is a database without tables, but nothing says that it was meant as one. */
static int
check_header(struct tree_file *file, bool *ret, struct err *err)
{
	uint8_t header[DB_HEADER_LEN];
	size_t len;
	int r = tree_file_read(file, 0, header, sizeof header, &len, err);

	*ret = r == 0 && db_is_database(slice_of(header, len));
	return r;
}

int
records_is_database(const struct merged *file, bool *ret, struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *f = NULL;
	const struct entry *e = merged_entry(file);
	int r;

	*ret = false;
	/* The smallest has a page of 512 bytes. */
	if (e->type != ENTRY_FILE || e->size < 512)
		return 0;
	r = tree_file_open(merged_item(file), &f, err);
	return r < 0 ? r : check_header(f, ret, err);
}

int
records_files_open(const struct merged *dir, struct slice name, struct records_files *ret,
		   struct err *err)
{
	CLEANUP(records_files_close) struct records_files f = {0};
	CLEANUP(merged_fini) struct merged found = {0};
	bool is_database;
	int r;

	*ret = (struct records_files){0};
	r = merged_lookup(dir, name, &found, err);
	if (r == 0)
		r = tree_file_open(merged_item(&found), &f.main, err);
	if (r == 0)
		r = check_header(f.main, &is_database, err);
	if (r < 0)
		return r;
	if (!is_database)
		return err_set(err, ERR_INVALID, "not a SQLite database");
	r = open_companion(dir, name, "-wal", &f.wal, err);
	if (r == 0)
		r = open_companion(dir, name, "-journal", &f.journal, err);
	if (r < 0)
		return r;
	*ret = f;
	f = (struct records_files){0};
	return 0;
}
