/*
 * node.c - the table of nodes that somebody refers to, by parent and name.
 *
 * The kernel's references are counted here and nowhere else.  A node keeps its parent, so a path
 * can always be told; what it stands for is found again by name.
 */
#include "private.h"

#define BUCKETS_MIN 1024u

void
view_nodes_init(struct view_nodes *t)
{
	pthread_mutex_init(&t->lock, NULL);
	t->n_buckets = BUCKETS_MIN;
	t->buckets = mem_array(t->n_buckets, sizeof *t->buckets);
	atomic_init(&t->n, 0);
}

static void
free_chain(struct view *v, struct view_node *n)
{
	struct view_node *next;

	for (; n != NULL; n = next) {
		next = n->next;
		if (n->snap != NULL)
			view_snap_put(v, n->snap);
		free(n);
	}
}

void
view_nodes_fini(struct view *v, struct view_nodes *t)
{
	for (size_t i = 0; i < t->n_buckets; i++)
		free_chain(v, t->buckets[i]);
	free_chain(v, t->detached);
	free(t->buckets);
	pthread_mutex_destroy(&t->lock);
}

/* FNV-1a over the name, started with the parent's address. */
static uint32_t
hash_of(const struct view_node *parent, struct slice name)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ ((uintptr_t)parent >> 4);

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ name.p[i]) * UINT64_C(1099511628211);
	return (uint32_t)(h ^ (h >> 32));
}

static struct view_node **
bucket_of(struct view_nodes *t, uint32_t hash)
{
	return &t->buckets[hash & (t->n_buckets - 1)];
}

static void
grow(struct view_nodes *t)
{
	struct view_node **old = t->buckets;
	size_t n_old = t->n_buckets;

	t->n_buckets *= 2;
	t->buckets = mem_array(t->n_buckets, sizeof *t->buckets);
	for (size_t i = 0; i < n_old; i++) {
		struct view_node *next;

		for (struct view_node *n = old[i]; n != NULL; n = next) {
			struct view_node **bucket = bucket_of(t, n->hash);

			next = n->next;
			n->next = *bucket;
			*bucket = n;
		}
	}
	free(old);
}

static void
insert(struct view_nodes *t, struct view_node *n)
{
	struct view_node **bucket;

	if (atomic_fetch_add(&t->n, 1) >= t->n_buckets)
		grow(t);
	bucket = bucket_of(t, n->hash);
	n->next = *bucket;
	*bucket = n;
}

static void
take_out(struct view_nodes *t, struct view_node *n)
{
	struct view_node **p = n->detached ? &t->detached : bucket_of(t, n->hash);

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	atomic_fetch_sub(&t->n, 1);
}

/* Takes the name from a node that lives on for those who refer to it. */
static void
detach(struct view_nodes *t, struct view_node *n)
{
	take_out(t, n);
	n->detached = true;
	n->next = t->detached;
	t->detached = n;
	atomic_fetch_add(&t->n, 1);
}

static struct view_node *
find(struct view_nodes *t, const struct view_node *parent, struct slice name, uint32_t hash)
{
	for (struct view_node *n = *bucket_of(t, hash); n != NULL; n = n->next)
		if (n->hash == hash && n->parent == parent && slice_equal(view_node_name(n), name))
			return n;
	return NULL;
}

static struct view_node *
node_new(struct view *v, struct view_node *parent, enum view_kind kind, struct slice name,
	 struct view_snap *snap, uint32_t hash)
{
	struct view_node *n = mem_alloc(sizeof *n + name.len);

	n->parent = parent;
	if (parent != NULL)
		view_ref(parent, 1);
	n->snap = snap;
	if (snap != NULL)
		view_snap_ref(v, snap);
	atomic_init(&n->refs, 1);
	n->hash = hash;
	n->kind = (uint8_t)kind;
	n->name_len = (uint8_t)name.len;
	if (name.len > 0)
		memcpy(n->name, name.p, name.len);
	return n;
}

static void
node_free(struct view *v, struct view_node *n)
{
	if (view_node_is_inside(n))
		view_cache_forget(v, n);
	if (n->snap != NULL)
		view_snap_put(v, n->snap);
	free(n);
}

struct view_node *
view_node_get(struct view *v, struct view_node *parent, enum view_kind kind, struct slice name,
	      struct view_snap *snap)
{
	struct view_nodes *t = &v->nodes;
	uint32_t hash = hash_of(parent, name);
	struct view_node *fresh = NULL, *n;

	for (;;) {
		pthread_mutex_lock(&t->lock);
		n = find(t, parent, name, hash);
		if (n != NULL && n->kind == kind && n->snap == snap) {
			view_ref(n, 1);
			break;
		}
		if (fresh != NULL) {
			if (n != NULL)
				detach(t, n);
			insert(t, fresh);
			n = steal_ptr(&fresh);
			break;
		}
		pthread_mutex_unlock(&t->lock);
		fresh = node_new(v, parent, kind, name, snap, hash);
	}
	pthread_mutex_unlock(&t->lock);

	if (fresh != NULL) {
		/* Another thread was faster; the parent has at least that node's reference left. */
		node_free(v, fresh);
		if (parent != NULL)
			view_unref(v, parent, 1);
	}
	return n;
}

struct view_node *
view_node_find(struct view *v, struct view_node *parent, struct slice name)
{
	struct view_node *n;

	pthread_mutex_lock(&v->nodes.lock);
	n = find(&v->nodes, parent, name, hash_of(parent, name));
	if (n != NULL)
		view_ref(n, 1);
	pthread_mutex_unlock(&v->nodes.lock);
	return n;
}

void
view_ref(struct view_node *n, uint64_t count)
{
	atomic_fetch_add(&n->refs, count);
}

/* Drops references unless these are the last ones. */
static bool
unref_early(struct view_node *n, uint64_t count)
{
	uint64_t refs = atomic_load(&n->refs);

	while (refs > count)
		if (atomic_compare_exchange_weak(&n->refs, &refs, refs - count))
			return true;
	return false;
}

void
view_unref(struct view *v, struct view_node *n, uint64_t count)
{
	/* Upwards in a loop: a path may be longer than any stack. */
	while (n != NULL && !unref_early(n, count)) {
		struct view_node *parent = n->parent;

		pthread_mutex_lock(&v->nodes.lock);
		if (unref_early(n, count)) {
			pthread_mutex_unlock(&v->nodes.lock);
			return;
		}
		atomic_store(&n->refs, 0);
		take_out(&v->nodes, n);
		pthread_mutex_unlock(&v->nodes.lock);

		node_free(v, n);
		n = parent;
		count = 1;
	}
}

bool
view_node_first_open(struct view_node *n)
{
	return !atomic_exchange(&n->opened, true);
}

/* The length that the path up to and including @n has, each name with a slash in front. */
static size_t
path_len(const struct view_node *n, enum view_kind top)
{
	size_t len = 0;

	for (; n->kind != top && n->parent != NULL; n = n->parent)
		len += 1u + n->name_len;
	return len;
}

void
view_node_path_below(const struct view_node *n, enum view_kind top, struct buf *ret)
{
	size_t len = path_len(n, top);
	uint8_t *end;

	if (len == 0)
		return;
	end = buf_extend(ret, len - 1) + (len - 1);
	for (;;) {
		end -= n->name_len;
		memcpy(end, n->name, n->name_len);
		n = n->parent;
		if (n->kind == top || n->parent == NULL)
			return;
		*--end = '/';
	}
}

void
view_node_path(const struct view_node *n, struct buf *ret)
{
	view_node_path_below(n, VIEW_ROOT, ret);
}

void
view_node_path_inside(const struct view_node *n, struct buf *ret)
{
	/* A version's directory is called as its file was. */
	if (n->kind == VIEW_VERSION) {
		view_node_path_below(n->parent, VIEW_HISTORY_HOST, ret);
	} else if (view_node_is_records(n)) {
		/* What is made of a database lies in its file. */
		while (n->kind > VIEW_DATABASE)
			n = n->parent;
		view_node_path_below(n, VIEW_RECORDS_SNAPSHOT, ret);
	} else {
		view_node_path_below(n, VIEW_SNAPSHOT, ret);
	}
}
