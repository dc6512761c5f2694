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

/* ---- transactions over several databases ------------------------------------------------- */

#define SUPER_TAIL     16u /* length, sum, magic */
#define SUPER_NAME_MAX 512u

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The super-journal that a journal names at its end.  @ret: its name without folders, or empty. */
static int
super_journal(struct tree_file *journal, struct buf *ret, struct err *err)
{
	static const uint8_t magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
	uint64_t size = tree_file_size(journal);
	uint8_t tail[SUPER_TAIL + SUPER_NAME_MAX];
	size_t want = (size_t)min_u64(size, sizeof tail), len;
	const uint8_t *end, *slash;
	uint32_t name_len, sum = 0;
	int r;

	r = tree_file_read(journal, size - want, tail, want, &len, err);
	if (r < 0 || len != want || len <= SUPER_TAIL)
		return r;
	end = tail + len - SUPER_TAIL;
	name_len = be32(end);
	if (memcmp(end + 8, magic, sizeof magic) != 0 || name_len == 0 ||
	    name_len > (size_t)(end - tail))
		return 0;
	for (uint32_t i = 0; i < name_len; i++)
		sum += (uint32_t)(int8_t)end[-1 - (int64_t)i];
	if (sum != be32(end + 4))
		return 0;
	slash = memrchr(end - name_len, '/', name_len);
	slash = slash != NULL ? slash + 1 : end - name_len;
	buf_append(ret, slash, (size_t)(end - slash));
	return 0;
}

/*
 * A journal whose super-journal is gone belongs to a transaction that was committed: SQLite deletes
 * that file at this moment, and the journals afterwards.
 */
static int
drop_committed(const struct merged *dir, struct tree_file **journal, struct err *err)
{
	CLEANUP(buf_fini) struct buf name = BUF_INIT;
	CLEANUP(merged_fini) struct merged found = {0};
	int r;

	if (*journal == NULL)
		return 0;
	r = super_journal(*journal, &name, err);
	if (r < 0 || name.len == 0)
		return r;
	r = name.len > ENTRY_NAME_MAX ? ERR_NOENT
				      : merged_lookup(dir, buf_slice(&name), &found, err);
	if (r != ERR_NOENT)
		return r;
	tree_file_close(*journal);
	*journal = NULL;
	return 0;
}

/* ---- databases --------------------------------------------------------------------------- */

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
	if (r != 0)
		return r;
	if (!is_database)
		return err_set(err, ERR_INVALID, "not a SQLite database");
	r = open_companion(dir, name, "-wal", &f.wal, err);
	if (r == 0)
		r = open_companion(dir, name, "-journal", &f.journal, err);
	if (r == 0)
		r = drop_committed(dir, &f.journal, err);
	if (r < 0)
		return r;
	*ret = f;
	f = (struct records_files){0};
	return 0;
}
