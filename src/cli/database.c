/*
 * database.c - from SNAPSHOT:PATH to an open database inside a snapshot.
 */
#include "database.h"

int
database_find(struct session *s, struct target *t, struct database *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(buf_fini) struct buf safe = BUF_INIT;
	CLEANUP(merged_fini) struct merged dir = {0};
	const uint8_t *slash;
	struct slice name;
	int r;

	merge_path_clean(t->path, &path);
	if (path.len == 0)
		return err_set(err, CLI_USAGE, "give the database too: SNAPSHOT:PATH");
	slash = memrchr(path.p, '/', path.len);
	name = buf_slice(&path);
	if (slash != NULL) {
		name.p = slash + 1;
		name.len = path.len - (size_t)(slash + 1 - path.p);
	}
	ret->merge = merge_new(s->reader, t->opened);
	r = merge_resolve(ret->merge,
			  slice_of(path.p, slash != NULL ? (size_t)(slash - path.p) : 0), &dir,
			  err);
	if (r == 0)
		r = records_files_open(&dir, name, &ret->files, err);
	if (r == 0)
		return 0;
	text_append_safe(&safe, t->path);
	return err_add(err, r, "%s", buf_cstr(&safe));
}

void
database_close(struct database *d)
{
	records_files_close(&d->files);
	merge_free(d->merge);
	*d = (struct database){0};
}
