/*
 * file.c - open files: those of snapshots, and the mount's own texts as they were when opened.
 */
#include "private.h"

struct view_file {
	LIST_ENTRY(view_file) in_open; /* protected by the view's lock */
	struct view_entry *entry; /* a reference: keeps the snapshot open; NULL for own texts */
	struct tree_file *file;   /* inside a snapshot */
	struct buf text;          /* own, and rows of databases */
	bool fixed;               /* the text stays as it is */
};

static int
open_inside(struct view *v, struct view_node *n, struct view_file *f, struct err *err)
{
	int r = view_entry_get(v, n, &f->entry, err);

	if (r < 0)
		return r;
	if (merged_entry(&f->entry->at)->type != ENTRY_FILE)
		return err_set(err, ERR_INVALID, "not a regular file");
	return tree_file_open(merged_item(&f->entry->at), &f->file, err);
}

int
view_open(struct view *v, struct view_node *n, struct view_file **ret, struct err *err)
{
	struct view_file *f = mem_alloc(sizeof *f);
	int r = 0;

	*ret = NULL;
	pthread_mutex_lock(&v->lock);
	LIST_INSERT_HEAD(&v->files, f, in_open);
	pthread_mutex_unlock(&v->lock);
	if (view_node_is_inside(n))
		r = open_inside(v, n, f, err);
	else if ((f->fixed = view_node_is_records(n)))
		r = view_records_text(v, n, &f->text, err);
	else if (n->kind == VIEW_STATUS)
		view_status_text(v, &f->text);
	else if (n->kind == VIEW_LOG)
		log_snapshot(&f->text);
	else
		r = err_set(err, ERR_INVALID, "not a regular file");
	if (r < 0) {
		view_close(v, f);
		return r;
	}
	*ret = f;
	return 0;
}

void
view_close(struct view *v, struct view_file *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	LIST_REMOVE(f, in_open);
	pthread_mutex_unlock(&v->lock);
	tree_file_close(f->file);
	view_entry_put(v, f->entry);
	buf_fini(&f->text);
	free(f);
}

void
view_close_files(struct view *v)
{
	while (!LIST_EMPTY(&v->files))
		view_close(v, LIST_FIRST(&v->files));
}

bool
view_file_immutable(const struct view_file *f)
{
	return f->file != NULL || f->fixed;
}

uint64_t
view_file_size(const struct view_file *f)
{
	return f->file != NULL ? tree_file_size(f->file) : f->text.len;
}

int
view_read(struct view *v, struct view_file *f, uint64_t off, void *p, size_t len, size_t *ret_len,
	  struct err *err)
{
	(void)v;
	*ret_len = 0;
	if (f->file != NULL)
		return tree_file_read(f->file, off, p, len, ret_len, err);
	if (off < f->text.len) {
		*ret_len = min_u64(len, f->text.len - off);
		memcpy(p, f->text.p + off, *ret_len);
	}
	return 0;
}

int
view_seek(struct view *v, struct view_file *f, uint64_t off, bool hole, uint64_t *ret,
	  struct err *err)
{
	(void)v;
	if (f->file != NULL)
		return tree_file_seek(f->file, off, hole, ret, err);
	if (off >= f->text.len)
		return err_set(err, ERR_NOENT, "past the end");
	*ret = hole ? f->text.len : off;
	return 0;
}
