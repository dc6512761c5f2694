/*
 * cmd_cat.c - tillfs cat: a file's bytes to standard output.
 */
#include <unistd.h>

#include "internal.h"

#define PIECE_LEN (1u * MIB)

static int
copy_out(struct tree_file *file, uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = mem_alloc(PIECE_LEN);
	uint64_t size = tree_file_size(file);
	size_t got;

	for (uint64_t off = 0; off < size; off += got) {
		int r = tree_file_read(file, off, piece, PIECE_LEN, &got, err);

		if (r < 0)
			return r;
		if (got == 0)
			return err_set(err, ERR_CORRUPT, "the content ends before the file's size");
		if (fd_write_full(STDOUT_FILENO, piece, got) < 0)
			return err_sys(err, "writing to standard output");
		*ret_bytes += got;
	}
	return 0;
}

static int
cat(struct session *s, const struct target *t, uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(merge_freep) struct merge *merge = merge_new(s->reader, t->opened);
	CLEANUP(merged_fini) struct merged found = {0};
	CLEANUP(tree_file_closep) struct tree_file *file = NULL;
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	int r;

	r = merge_resolve(merge, t->path, &found, err);
	if (r < 0)
		return r;
	text_append_safe(&path, t->path);
	if (merged_entry(&found)->type != ENTRY_FILE)
		return err_set(err, ERR_INVALID, "/%s is no regular file", buf_cstr(&path));
	r = tree_file_open(merged_item(&found), &file, err);
	if (r == 0)
		r = copy_out(file, ret_bytes, err);
	return r < 0 ? err_add(err, r, "%s", buf_cstr(&path)) : 0;
}

int
cmd_cat(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	struct err why = ERR_INIT;
	uint64_t bytes = 0;
	int r;

	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, operand(c, 0), &t, err);
	if (r < 0)
		return r;
	r = cat(&s, &t, &bytes, &why);
	session_recorded(&s, bytes, r, &why);
	if (r < 0)
		*err = why;
	return r;
}
