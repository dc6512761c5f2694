/*
 * view.c - the view as a whole, and which half of it a call is for: the mount's own directories or
 * the inside of a snapshot.
 */
#include <fcntl.h>

#include "private.h"

#define MEMORY_DEFAULT (64u * MIB)
#define MEMORY_DISTANT (96u * MIB) /* more is underway, and what is dropped is dear */

static struct calendar *
first_calendar(struct repo *repo, bool *ret_listed)
{
	CLEANUP(freep) struct date *dates = NULL;
	size_t n;

	*ret_listed = repo_is_listed(repo);
	if (*ret_listed)
		return calendar_new(repo_list_get(repo));
	repo_dates(repo, &dates, &n);
	return calendar_new_of_dates(repo_list_get(repo), dates, n);
}

int
view_new(struct repo *repo, const struct view_options *options, struct view **ret, struct err *err)
{
	struct view *v = mem_alloc(sizeof *v);
	struct transfer_options transfer = {0};
	bool distant = store_local_path(repo_store(repo)) == NULL;

	(void)err;
	v->repo = repo;
	v->options = *options;
	if (v->options.memory == 0)
		v->options.memory = distant ? MEMORY_DISTANT : MEMORY_DEFAULT;
	v->since = v->refreshed = time_now();
	v->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	/* For blocks, for plaintext and nodes; the rest is for what is being read. */
	transfer.memory = distant ? v->options.memory / 2 : v->options.memory / 4;
	transfer.timeout_ms = v->options.timeout_ms;
	transfer.cache = v->options.cache;
	v->transfer = transfer_new(repo_store(repo), &transfer);
	v->reader = reader_new(repo, v->transfer,
			       distant ? v->options.memory / 3 : v->options.memory / 2);

	pthread_mutex_init(&v->lock, NULL);
	view_nodes_init(&v->nodes);
	view_snaps_init(&v->snaps);
	view_cache_init(&v->cache);
	view_histories_init(&v->histories);
	view_dbs_init(&v->dbs);
	pthread_cond_init(&v->was_listed, NULL);
	v->calendar = first_calendar(repo, &v->listed);
	v->calendar->records = v->options.records != NULL;

	v->root = view_node_get(v, NULL, VIEW_ROOT, slice_str(""), NULL);
	v->by_date = view_node_get(v, v->root, VIEW_BY_DATE, slice_str("by-date"), NULL);
	v->by_host = view_node_get(v, v->root, VIEW_BY_HOST, slice_str("by-host"), NULL);
	v->latest = view_node_get(v, v->root, VIEW_LATEST, slice_str("latest"), NULL);
	*ret = v;
	return 0;
}

void
view_free(struct view *v)
{
	if (v == NULL)
		return;
	view_close_files(v);
	view_close_dirs(v);
	view_dbs_fini(v, &v->dbs);
	view_cache_fini(v, &v->cache);
	view_histories_fini(&v->histories);
	view_nodes_fini(v, &v->nodes);
	view_snaps_fini(&v->snaps);
	calendar_put(v->calendar);
	view_early_fini(v);
	pthread_cond_destroy(&v->was_listed);
	reader_free(v->reader);
	transfer_free(v->transfer);
	free(v->refresh_error);
	closep(&v->statm_fd);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

struct view_node *
view_root(struct view *v)
{
	return v->root;
}

bool
view_node_immutable(const struct view_node *n)
{
	return view_node_is_inside(n) || view_node_is_records(n);
}

/* The attributes of an entry whose node is known. */
static int
attr_of(const struct view_node *n, const struct view_entry *e, struct view_attr *ret,
	struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;

	view_node_path_inside(n, &path);
	return view_attr_inside(e->snap, &e->at, buf_slice(&path), ret, err);
}

static int
lookup_inside(struct view *v, struct view_node *dir, struct slice name, struct view_node **ret,
	      struct view_attr *ret_attr, struct err *err)
{
	struct view_entry *parent, *child;
	struct view_node *n;
	int r;

	r = view_entry_get(v, dir, &parent, err);
	if (r < 0)
		return r;
	r = view_entry_child(v, parent, name, &child, err);
	view_entry_put(v, parent);
	if (r < 0)
		return r;

	n = view_node_get(v, dir, VIEW_INSIDE, name, dir->snap);
	r = attr_of(n, child, ret_attr, err);
	view_entry_put(v, child);
	if (r < 0) {
		view_unref(v, n, 1);
		return r;
	}
	*ret = n;
	return 0;
}

int
view_lookup(struct view *v, struct view_node *dir, struct slice name, struct view_node **ret,
	    struct view_attr *ret_attr, struct err *err)
{
	*ret = NULL;
	if (name.len == 0 || name.len > ENTRY_NAME_MAX)
		return err_set(err, ERR_INVALID, "a name of %zu bytes", name.len);
	if (view_node_is_inside(dir))
		return lookup_inside(v, dir, name, ret, ret_attr, err);
	if (view_node_is_history(dir))
		return view_history_lookup(v, dir, name, ret, ret_attr, err);
	if (view_node_is_records(dir))
		return view_records_lookup(v, dir, name, ret, ret_attr, err);
	return view_own_lookup(v, dir, name, ret, ret_attr, err);
}

int
view_getattr(struct view *v, struct view_node *n, struct view_attr *ret, struct err *err)
{
	struct view_entry *e;
	int r;

	if (view_node_is_records(n))
		return view_records_attr(v, n, ret, err);
	if (!view_node_is_inside(n)) {
		view_own_attr(v, n, ret);
		return 0;
	}
	r = view_entry_get(v, n, &e, err);
	if (r < 0)
		return r;
	r = attr_of(n, e, ret, err);
	view_entry_put(v, e);
	return r;
}

int
view_readlink(struct view *v, struct view_node *n, struct buf *ret, struct err *err)
{
	const struct entry *at;
	struct view_entry *e;
	int r;

	buf_reset(ret);
	if (n->kind == VIEW_HOST_LINK || n->kind == VIEW_LATEST_LINK)
		return view_own_readlink(v, n, ret, err);
	if (n->kind == VIEW_SOURCE) {
		view_records_readlink(n, ret);
		return 0;
	}
	if (!view_node_is_inside(n))
		return err_set(err, ERR_INVALID, "not a symbolic link");
	r = view_entry_get(v, n, &e, err);
	if (r < 0)
		return r;
	at = merged_entry(&e->at);
	if (at->type == ENTRY_SYMLINK)
		buf_append(ret, at->target.p, at->target.len);
	else
		r = err_set(err, ERR_INVALID, "not a symbolic link");
	view_entry_put(v, e);
	return r;
}
