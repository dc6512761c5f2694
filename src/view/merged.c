/*
 * merged.c - one entry of a snapshot, as all class trees have it that open.
 *
 * A file stands in one tree.  A directory stands in its class's own and, bare, in every other that
 * has something below it.  Trees that contradict each other (a file in two, a file here and a
 * directory there) are a damaged or dishonest snapshot; the first class in name order wins, so that
 * a path is the same thing at every mount.
 */
#include "private.h"

/* ---- the cache of directories ---------------------------------------------------------- */

void
view_merged_cache_init(struct view_merged_cache *c)
{
	pthread_mutex_init(&c->lock, NULL);
}

void
view_merged_cache_fini(struct view *v, struct view_merged_cache *c)
{
	for (size_t i = 0; i < VIEW_MERGED_SETS; i++)
		for (size_t k = 0; k < VIEW_MERGED_WAYS; k++)
			view_merged_put(v, c->slot[i][k].merged);
	pthread_mutex_destroy(&c->lock);
}

static size_t
set_of(const struct view_node *n)
{
	return (size_t)(((uintptr_t)n >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 56) %
	       VIEW_MERGED_SETS;
}

/* A reference, or NULL. */
static struct view_merged *
cache_get(struct view_merged_cache *c, const struct view_node *n)
{
	struct view_merged *found = NULL;
	size_t set = set_of(n);

	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < VIEW_MERGED_WAYS && found == NULL; k++) {
		if (c->slot[set][k].node != n)
			continue;
		c->slot[set][k].used = ++c->clock;
		found = c->slot[set][k].merged;
		atomic_fetch_add(&found->refs, 1);
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

/* Puts a directory in, for whoever comes next. */
static void
cache_put(struct view *v, const struct view_node *n, struct view_merged *m)
{
	struct view_merged_cache *c = &v->merged;
	struct view_merged *old;
	size_t set = set_of(n), way = 0;

	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < VIEW_MERGED_WAYS; k++) {
		if (c->slot[set][k].node == n) {
			way = k;
			break;
		}
		if (c->slot[set][k].used < c->slot[set][way].used)
			way = k;
	}
	old = c->slot[set][way].merged;
	atomic_fetch_add(&m->refs, 1);
	c->slot[set][way].node = n;
	c->slot[set][way].merged = m;
	c->slot[set][way].used = ++c->clock;
	pthread_mutex_unlock(&c->lock);

	view_merged_put(v, old);
}

void
view_merged_forget(struct view *v, const struct view_node *n)
{
	struct view_merged_cache *c = &v->merged;
	struct view_merged *old = NULL;
	size_t set = set_of(n);

	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < VIEW_MERGED_WAYS; k++) {
		if (c->slot[set][k].node != n)
			continue;
		old = steal_ptr(&c->slot[set][k].merged);
		c->slot[set][k].node = NULL;
		c->slot[set][k].used = 0;
		break;
	}
	pthread_mutex_unlock(&c->lock);
	view_merged_put(v, old);
}

/* ---- making one ------------------------------------------------------------------------ */

/* An empty one with room for @room standings; takes over a pin of the caller. */
static struct view_merged *
merged_new(struct view *v, struct view_snap *pinned, size_t room)
{
	struct view_merged *m = mem_alloc(sizeof *m + room * sizeof m->in[0]);

	atomic_init(&m->refs, 1);
	view_snap_ref(v, pinned);
	m->snap = pinned;
	return m;
}

void
view_merged_put(struct view *v, struct view_merged *m)
{
	if (m == NULL || atomic_fetch_sub(&m->refs, 1) > 1)
		return;
	for (uint32_t i = 0; i < m->n; i++)
		tree_item_fini(&m->in[i].item);
	view_snap_unpin(v, m->snap);
	view_snap_put(v, m->snap);
	free(m);
}

/* Whether @e may stand beside what is in @m already: directories merge, nothing else does. */
static bool
fits(const struct view_merged *m, const struct entry *e)
{
	return m->n == 0 || (m->in[0].item.entry.type == ENTRY_DIR && e->type == ENTRY_DIR);
}

/* Counts the item just filled in. */
static void
accept(struct view_merged *m, uint8_t tree)
{
	m->in[m->n].tree = tree;
	if (m->n > 0 && view_entry_better(&view_merged_main(m)->entry, &m->in[m->n].item.entry))
		m->main = m->n;
	m->n++;
}

/* The root directory of a snapshot. */
static int
merged_root(struct view *v, struct view_snap *s, struct view_merged **ret, struct err *err)
{
	struct view_merged *m;
	int r;

	r = view_snap_pin(v, s, err);
	if (r < 0)
		return r;
	m = merged_new(v, s, s->n_classes);
	for (size_t i = 0; i < s->n_classes; i++) {
		tree_root(s->trees[i], &m->in[m->n].item);
		accept(m, (uint8_t)i);
	}
	if (m->n == 0) {
		view_merged_put(v, m);
		return err_set(err, ERR_DENIED, "%s: nothing in it is granted to this identity",
			       repo_snapshot_label(v->repo, &s->name).s);
	}
	*ret = m;
	return 0;
}

int
view_merged_child(struct view *v, struct view_merged *dir, struct slice name,
		  struct view_merged **ret, struct err *err)
{
	struct view_merged *m;
	int r;

	*ret = NULL;
	/* The parent's pin makes this one cheap: the snapshot is open. */
	r = view_snap_pin(v, dir->snap, err);
	if (r < 0)
		return r;
	m = merged_new(v, dir->snap, dir->n);
	for (uint32_t i = 0; i < dir->n; i++) {
		struct tree_item *item = &m->in[m->n].item;

		r = tree_lookup(&dir->in[i].item, name, item, err);
		if (r == ERR_NOENT)
			continue;
		if (r < 0) {
			view_merged_put(v, m);
			return r;
		}
		if (fits(m, &item->entry)) {
			accept(m, dir->in[i].tree);
		} else {
			tree_item_fini(item);
			memset(item, 0, sizeof *item);
		}
	}
	if (m->n == 0) {
		view_merged_put(v, m);
		return err_set(err, ERR_NOENT, "no such file");
	}
	*ret = m;
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
climb(struct view *v, struct view_node *n, struct climb *way, struct view_merged **ret,
      struct err *err)
{
	int r;

	for (; n->kind == VIEW_INSIDE; n = n->parent) {
		*ret = cache_get(&v->merged, n);
		if (*ret != NULL)
			return 0;
		array_reserve(way->nodes, way->n, way->cap);
		way->nodes[way->n++] = n;
	}
	*ret = cache_get(&v->merged, n);
	if (*ret != NULL)
		return 0;
	r = merged_root(v, n->snap, ret, err);
	if (r == 0)
		cache_put(v, n, *ret);
	return r;
}

int
view_merged_get(struct view *v, struct view_node *n, struct view_merged **ret, struct err *err)
{
	CLEANUP(climb_fini) struct climb way = {0};
	struct view_merged *m = NULL, *child;
	int r;

	*ret = NULL;
	r = climb(v, n, &way, &m, err);
	if (r < 0)
		return r;

	while (way.n > 0) {
		struct view_node *below = way.nodes[--way.n];

		r = view_merged_child(v, m, view_node_name(below), &child, err);
		view_merged_put(v, m);
		if (r == ERR_NOENT)
			return err_set(err, ERR_CORRUPT, "the entry was there and is no longer");
		if (r < 0)
			return r;
		m = child;
		if (view_merged_main(m)->entry.type == ENTRY_DIR)
			cache_put(v, below, m);
	}
	*ret = m;
	return 0;
}
