/*
 * entry.c - entries of snapshots, found again by their nodes.
 *
 * A node says no more than its name and its directory.  Directories that were used lately are
 * remembered, so that finding an entry is mostly one lookup.
 */
#include "private.h"

/* ---- the cache of directories ---------------------------------------------------------- */

void
view_cache_init(struct view_cache *c)
{
	pthread_mutex_init(&c->lock, NULL);
}

void
view_cache_fini(struct view *v, struct view_cache *c)
{
	for (size_t i = 0; i < VIEW_CACHE_SETS; i++)
		for (size_t k = 0; k < VIEW_CACHE_WAYS; k++)
			view_entry_put(v, c->slot[i][k].entry);
	pthread_mutex_destroy(&c->lock);
}

static size_t
set_of(const struct view_node *n)
{
	return (size_t)(((uintptr_t)n >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 56) % VIEW_CACHE_SETS;
}

/* A reference, or NULL. */
static struct view_entry *
cache_get(struct view_cache *c, const struct view_node *n)
{
	struct view_entry *found = NULL;
	size_t set = set_of(n);

	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < VIEW_CACHE_WAYS && found == NULL; k++) {
		if (c->slot[set][k].node != n)
			continue;
		c->slot[set][k].used = ++c->clock;
		found = c->slot[set][k].entry;
		atomic_fetch_add(&found->refs, 1);
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

/* Puts a directory in, for whoever comes next. */
static void
cache_put(struct view *v, const struct view_node *n, struct view_entry *e)
{
	struct view_cache *c = &v->cache;
	struct view_entry *old;
	size_t set = set_of(n), way = 0;

	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < VIEW_CACHE_WAYS; k++) {
		if (c->slot[set][k].node == n) {
			way = k;
			break;
		}
		if (c->slot[set][k].used < c->slot[set][way].used)
			way = k;
	}
	old = c->slot[set][way].entry;
	atomic_fetch_add(&e->refs, 1);
	c->slot[set][way].node = n;
	c->slot[set][way].entry = e;
	c->slot[set][way].used = ++c->clock;
	pthread_mutex_unlock(&c->lock);

	view_entry_put(v, old);
}

void
view_cache_forget(struct view *v, const struct view_node *n)
{
	struct view_cache *c = &v->cache;
	struct view_entry *old = NULL;
	size_t set = set_of(n);

	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < VIEW_CACHE_WAYS; k++) {
		if (c->slot[set][k].node != n)
			continue;
		old = steal_ptr(&c->slot[set][k].entry);
		c->slot[set][k].node = NULL;
		c->slot[set][k].used = 0;
		break;
	}
	pthread_mutex_unlock(&c->lock);
	view_entry_put(v, old);
}

/* ---- entries --------------------------------------------------------------------------- */

/* @at: taken.  Takes over a pin of the caller, too. */
static struct view_entry *
entry_new(struct view *v, struct view_snap *pinned, const struct merged *at)
{
	struct view_entry *e = mem_alloc(sizeof *e);

	atomic_init(&e->refs, 1);
	view_snap_ref(v, pinned);
	e->snap = pinned;
	e->at = *at;
	return e;
}

void
view_entry_put(struct view *v, struct view_entry *e)
{
	if (e == NULL || atomic_fetch_sub(&e->refs, 1) > 1)
		return;
	merged_fini(&e->at);
	view_snap_unpin(v, e->snap);
	view_snap_put(v, e->snap);
	free(e);
}

/* The root directory of a snapshot. */
static int
entry_root(struct view *v, struct view_snap *s, struct view_entry **ret, struct err *err)
{
	struct merged at;
	int r;

	r = view_snap_pin(v, s, err);
	if (r < 0)
		return r;
	r = merge_root(s->merge, &at, err);
	if (r < 0) {
		view_snap_unpin(v, s);
		return err_add(err, r, "%s", repo_snapshot_label(v->repo, &s->name).s);
	}
	*ret = entry_new(v, s, &at);
	return 0;
}

int
view_entry_child(struct view *v, struct view_entry *dir, struct slice name, struct view_entry **ret,
		 struct err *err)
{
	struct merged at;
	int r;

	*ret = NULL;
	r = merged_lookup(&dir->at, name, &at, err);
	if (r < 0)
		return r;
	/* The directory's pin keeps the snapshot open, so this can't fail. */
	r = view_snap_pin(v, dir->snap, err);
	if (r < 0) {
		merged_fini(&at);
		return r;
	}
	*ret = entry_new(v, dir->snap, &at);
	return 0;
}

/* ---- finding the one of a node --------------------------------------------------------- */

/* The way from a node up to something known. */
struct climb {
	struct view_node **nodes; /* the lowest first */
	size_t n, cap;
};

static void
climb_fini(struct climb *c)
{
	free(c->nodes);
}

/* Climbs to the first directory that is in the cache, or to the snapshot's root. */
static int
climb(struct view *v, struct view_node *n, struct climb *way, struct view_entry **ret,
      struct err *err)
{
	int r;

	for (; n->kind == VIEW_INSIDE; n = n->parent) {
		*ret = cache_get(&v->cache, n);
		if (*ret != NULL)
			return 0;
		array_reserve(way->nodes, way->n, way->cap);
		way->nodes[way->n++] = n;
	}
	*ret = cache_get(&v->cache, n);
	if (*ret != NULL)
		return 0;
	r = entry_root(v, n->snap, ret, err);
	if (r == 0)
		cache_put(v, n, *ret);
	return r;
}

/* The entry that a node of another tree stands for, from the snapshot's root down the path that its
 * directories tell. */
static int
entry_by_path(struct view *v, struct view_node *n, struct view_entry **ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	struct merged at;
	int r;

	view_node_path_inside(n, &path);
	r = view_snap_pin(v, n->snap, err);
	if (r < 0)
		return r;
	r = merge_resolve(n->snap->merge, buf_slice(&path), &at, err);
	if (r < 0) {
		view_snap_unpin(v, n->snap);
		return r;
	}
	*ret = entry_new(v, n->snap, &at);
	return 0;
}

int
view_entry_get(struct view *v, struct view_node *n, struct view_entry **ret, struct err *err)
{
	CLEANUP(climb_fini) struct climb way = {0};
	struct view_entry *e = NULL, *child;
	int r;

	*ret = NULL;
	if (n->kind == VIEW_VERSION || view_node_is_records(n))
		return entry_by_path(v, n, ret, err);
	r = climb(v, n, &way, &e, err);
	if (r < 0)
		return r;

	while (way.n > 0) {
		struct view_node *below = way.nodes[--way.n];

		r = view_entry_child(v, e, view_node_name(below), &child, err);
		view_entry_put(v, e);
		if (r == ERR_NOENT)
			return err_set(err, ERR_CORRUPT, "the entry was there and is no longer");
		if (r < 0)
			return r;
		e = child;
		if (merged_entry(&e->at)->type == ENTRY_DIR)
			cache_put(v, below, e);
	}
	*ret = e;
	return 0;
}
