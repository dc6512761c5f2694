/*
 * dir.c - directory streams: `.`, `..`, then names in order, each at an offset that stays.
 */
#include "private.h"

#define OFF_FIRST 2u /* of the first name; below are `.` and `..` */

/*
 * Nodes that listings may pin.  Above it they give names only, and what is used comes by lookup.
 * A node with its name and its place in the table takes about a hundred bytes.
 */
#define NODE_COST 100u

struct view_dir {
	LIST_ENTRY(view_dir) in_open; /* protected by the view's lock */
	struct view_node *node;       /* a reference */
	struct buf path; /* below the snapshot's root, with a slash behind; inside only */
	struct view_listing *listing;     /* inside only */
	struct calendar *calendar;        /* own directories only: a reference */
	struct history_index *history;    /* directories of the history only: a reference */
	struct view_records_dir *records; /* directories of records only */
};

int
view_opendir(struct view *v, struct view_node *dir, struct view_dir **ret, struct err *err)
{
	struct view_dir *d = mem_alloc(sizeof *d);
	int r = 0;

	*ret = NULL;
	d->node = dir;
	view_ref(dir, 1);
	pthread_mutex_lock(&v->lock);
	LIST_INSERT_HEAD(&v->dirs, d, in_open);
	pthread_mutex_unlock(&v->lock);
	if (view_node_is_inside(dir)) {
		r = view_listing_open(v, dir, &d->listing, err);
		view_node_path_below(dir, VIEW_SNAPSHOT, &d->path);
		if (d->path.len > 0)
			buf_append_u8(&d->path, '/');
	} else if (view_node_is_history(dir)) {
		r = view_history_index(v, dir, &d->history, err);
	} else if (view_node_is_records(dir)) {
		r = view_records_opendir(v, dir, &d->records, err);
	} else {
		r = view_calendar_for(v, dir, &d->calendar, err);
	}
	if (r < 0) {
		view_closedir(v, d);
		return r;
	}
	*ret = d;
	return 0;
}

void
view_closedir(struct view *v, struct view_dir *d)
{
	if (d == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	LIST_REMOVE(d, in_open);
	pthread_mutex_unlock(&v->lock);
	view_listing_close(v, d->listing);
	calendar_put(d->calendar);
	history_index_put(d->history);
	view_records_closedir(v, d->records);
	buf_fini(&d->path);
	view_unref(v, d->node, 1);
	free(d);
}

void
view_close_dirs(struct view *v)
{
	while (!LIST_EMPTY(&v->dirs))
		view_closedir(v, LIST_FIRST(&v->dirs));
}

/* The inode number of a directory node.  A store that is gone costs the true one of `..`. */
static uint64_t
ino_of_dir(struct view *v, struct view_node *n)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	struct view_entry *e;
	uint64_t rank = 0;

	if (!view_node_is_inside(n)) {
		view_node_path(n, &path);
		return view_ino_own(buf_slice(&path));
	}
	if (view_entry_get(v, n, &e, NULL) == 0) {
		rank = e->at.rank;
		view_entry_put(v, e);
	}
	view_node_path_below(n, VIEW_SNAPSHOT, &path);
	return view_ino_inside(&n->snap->name.id, buf_slice(&path), NULL, rank);
}

/* `.` and `..`. */
static void
read_dot(struct view *v, const struct view_dir *d, uint64_t off, struct view_dirent *ret)
{
	struct view_node *n = d->node;

	if (off == 1 && n->parent != NULL)
		n = n->parent;
	ret->name = slice_str(off == 0 ? "." : "..");
	ret->type = ENTRY_DIR;
	ret->ino = ino_of_dir(v, n);
}

static enum entry_type
type_of_own(enum view_kind kind)
{
	switch (kind) {
	case VIEW_HOST_LINK:
	case VIEW_LATEST_LINK:
		return ENTRY_SYMLINK;
	case VIEW_STATUS:
	case VIEW_LOG:
		return ENTRY_FILE;
	default:
		return ENTRY_DIR;
	}
}

static int
read_own(struct view *v, struct view_dir *d, uint64_t index, struct view_dirent *ret,
	 struct view_node **node, struct err *err)
{
	struct view_own own;

	if (!view_own_at(d->calendar, d->node, index, &own))
		return err_set(err, ERR_NOENT, "the directory ends here");
	ret->name = slice_str(own.name);
	ret->type = type_of_own(own.kind);
	ret->ino = view_own_ino(d->node, &own);
	/* A snapshot's attributes would cost reading it, for each of a date's. */
	if (node != NULL && own.kind != VIEW_SNAPSHOT && own.kind != VIEW_RECORDS_SNAPSHOT) {
		*node = view_own_node(v, d->node, &own);
		view_own_attr(v, *node, &ret->attr);
	}
	return 0;
}

static bool
may_pin(struct view *v)
{
	return atomic_load(&v->nodes.n) < v->options.memory / 4 / NODE_COST;
}

static int
read_history(struct view *v, struct view_dir *d, uint64_t index, struct view_dirent *ret,
	     struct view_node **node, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	const struct history_name *name;

	if (index >= d->history->n)
		return err_set(err, ERR_NOENT, "the directory ends here");
	name = &d->history->names[index];
	ret->name = slice_str(name->name);
	ret->type = name->kind == VIEW_VERSION ? name->attr.type : ENTRY_DIR;
	buf_appendf(&path, "history/%s/%s", d->history->path, name->name);
	ret->ino = name->kind == VIEW_VERSION ? name->attr.ino : view_ino_own(buf_slice(&path));
	if (node == NULL || !may_pin(v))
		return 0;
	*node = view_history_node(v, d->node, name);
	if (name->kind == VIEW_VERSION)
		ret->attr = name->attr;
	else
		view_own_attr(v, *node, &ret->attr);
	return 0;
}

/* Attributes of a row or a table would cost reading it. */
static int
read_records(struct view *v, struct view_dir *d, uint64_t index, struct view_dirent *ret,
	     struct err *err)
{
	uint64_t next;
	int r = view_records_at(v, d->records, index, ret, &next, err);

	ret->next_off = next + OFF_FIRST;
	return r;
}

static int
read_inside(struct view *v, struct view_dir *d, uint64_t index, struct view_dirent *ret,
	    struct view_node **node, struct err *err)
{
	const struct view_snap *snap = d->node->snap;
	size_t dir_len = d->path.len;
	const struct merged *x;
	struct slice path;
	int r;

	r = view_listing_at(d->listing, index, &x, err);
	if (r < 0)
		return r;
	ret->name = merged_entry(x)->name;
	ret->type = merged_entry(x)->type;

	buf_append(&d->path, ret->name.p, ret->name.len);
	path = buf_slice(&d->path);
	if (node != NULL && may_pin(v) && view_attr_cheap(snap, x, path, &ret->attr)) {
		*node = view_node_get(v, d->node, VIEW_INSIDE, ret->name, d->node->snap);
		ret->ino = ret->attr.ino;
	} else {
		ret->ino = view_ino_inside(&snap->name.id, path, merged_entry(x), x->rank);
	}
	d->path.len = dir_len;
	return 0;
}

int
view_readdir(struct view *v, struct view_dir *d, uint64_t off, struct view_dirent *ret,
	     struct view_node **node, struct err *err)
{
	*ret = (struct view_dirent){.next_off = off + 1};
	if (node != NULL)
		*node = NULL;
	if (off < OFF_FIRST) {
		read_dot(v, d, off, ret);
		return 0;
	}
	if (d->listing != NULL)
		return read_inside(v, d, off - OFF_FIRST, ret, node, err);
	if (d->history != NULL)
		return read_history(v, d, off - OFF_FIRST, ret, node, err);
	if (d->records != NULL)
		return read_records(v, d, off - OFF_FIRST, ret, err);
	return read_own(v, d, off - OFF_FIRST, ret, node, err);
}
