/*
 * private.h - what the files of the view share.
 *
 *	node.c      the table of nodes that somebody refers to
 *	calendar.c  which dates and writers there are, and what their snapshots are called
 *	own.c       the directories above the snapshots, made from a calendar
 *	snap.c      snapshots, opened on demand and closed again when many are
 *	merged.c    one entry of a snapshot, as all class trees have it that open
 *	listing.c   a directory of a snapshot, merged in name order
 *	attr.c      attributes and inode numbers
 *
 * Locks are leaves: none is held while another is taken, nor over a read from the store.
 */
#ifndef TILLFS_VIEW_PRIVATE_H
#define TILLFS_VIEW_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "calendar.h"
#include "tillfs/view.h"

/* ---- nodes ----------------------------------------------------------------------------- */

enum view_kind {
	VIEW_ROOT,
	VIEW_BY_DATE,
	VIEW_DATE,
	VIEW_BY_HOST,
	VIEW_HOST,
	VIEW_HOST_LINK,
	VIEW_LATEST,
	VIEW_LATEST_LINK,
	VIEW_ABOUT,
	VIEW_STATUS,
	VIEW_LOG,
	VIEW_SNAPSHOT, /* a snapshot's root directory */
	VIEW_INSIDE,   /* anything below one */
};

struct view_node {
	struct view_node *next;   /* in its bucket; protected by the table's lock */
	struct view_node *parent; /* a reference; NULL for the root */
	struct view_snap
		*snap; /* a reference; what a link points to or an entry is in, else NULL */
	_Atomic(uint64_t) refs; /* becomes 0 only under the table's lock */
	uint64_t trees;         /* VIEW_INSIDE: bit i is set when it stands in class i */
	uint32_t hash;
	uint8_t kind;       /* enum view_kind */
	bool detached;      /* another node took its name; protected by the table's lock */
	atomic_bool opened; /* at least once */
	uint8_t name_len;   /* names end at 255 bytes (format.md 6.5) */
	uint8_t name[];
};
_Static_assert(sizeof(struct view_node) <= 64, "the kernel may hold a node for every file");

struct view_nodes {
	pthread_mutex_t lock;
	struct view_node **buckets;
	size_t n_buckets;           /* a power of two */
	struct view_node *detached; /* nodes whose names others took */
	_Atomic(size_t) n;
};

void view_nodes_init(struct view_nodes *t);
void view_nodes_fini(struct view *v,
		     struct view_nodes *t); /* frees every node, referred to or not */

static inline struct slice
view_node_name(const struct view_node *n)
{
	return slice_of(n->name, n->name_len);
}

static inline bool
view_node_is_inside(const struct view_node *n)
{
	return n->kind == VIEW_SNAPSHOT || n->kind == VIEW_INSIDE;
}

/**
 * view_node_get - the node of a name, made when there is none.
 * @snap: NULL, or what the node is bound to; a node of the same name bound otherwise loses the name
 * Return: a reference.
 */
struct view_node *view_node_get(struct view *v, struct view_node *parent, enum view_kind kind,
				struct slice name, struct view_snap *snap, uint64_t trees);
/* A reference to a node that exists already, or NULL. */
struct view_node *view_node_find(struct view *v, struct view_node *parent, struct slice name);
/* Appends the path below the snapshot's root, or for own nodes below the mount's. */
void view_node_path_below(const struct view_node *n, enum view_kind top, struct buf *ret);

/* ---- snapshots ------------------------------------------------------------------------- */

#define VIEW_SNAPS_OPEN    32u   /* kept open without being in use */
#define VIEW_SNAP_RETRY_MS 1000u /* for how long a failure to open is remembered */

struct view_snap {
	LIST_ENTRY(view_snap) in_bucket;
	TAILQ_ENTRY(view_snap) in_lru; /* when opened */
	struct snapshot_name name;
	const char *writer; /* borrowed from the repo */

	/* protected by the table's lock */
	uint64_t refs;
	uint64_t pins; /* what uses opened and trees */
	bool opening;
	struct repo_opened *opened; /* NULL: closed */
	struct tree **trees;        /* n_classes; immutable while pinned */
	struct err *failure;        /* why the last attempt failed */
	uint64_t retry_at_ms;

	/* The classes seen at first, so that a tree's number never changes. */
	char (*classes)[CLASS_NAME_MAX + 1];
	size_t n_classes;
	bool no_xattrs; /* in any of them */
};

struct view_snaps {
	pthread_mutex_t lock;
	pthread_cond_t opened; /* an attempt to open ended */
	LIST_HEAD(, view_snap) buckets[1024];
	TAILQ_HEAD(view_snap_lru, view_snap) lru; /* the opened ones, most recently used first */
	size_t n_opened;
};

void view_snaps_init(struct view_snaps *t);
void view_snaps_fini(struct view_snaps *t);

/* A reference to the snapshot of a name; reads nothing. */
struct view_snap *view_snap_get(struct view *v, const struct repo_snapshot *snapshot);
void view_snap_ref(struct view *v, struct view_snap *s);
void view_snap_put(struct view *v, struct view_snap *s);

/**
 * view_snap_pin - make sure that a snapshot is open, and keep it so.
 * Cost: one object when it was closed.  Threads: any; one of them opens, the others wait.
 * Return: 0, or as repo_snapshot_open; a failure is remembered for VIEW_SNAP_RETRY_MS.
 */
MUST_CHECK int view_snap_pin(struct view *v, struct view_snap *s, struct err *err);
void view_snap_unpin(struct view *v, struct view_snap *s);

/* ---- entries of snapshots -------------------------------------------------------------- */

/* A place in one class tree. */
struct view_standing {
	uint8_t tree;
	struct tree_item item;
};

/* One entry as it stands in the class trees that open.  Immutable, reference-counted. */
struct view_merged {
	atomic_uint refs;
	struct view_snap *snap; /* a reference and a pin */
	uint32_t n, main;       /* standings; the one that gives the attributes */
	struct view_standing in[];
};

/* Merged directories used lately, so that a lookup needn't start at the root. */
#define VIEW_MERGED_SETS 16u
#define VIEW_MERGED_WAYS 4u
struct view_merged_cache {
	pthread_mutex_t lock;
	uint64_t clock;
	struct {
		const struct view_node *node;
		struct view_merged *merged;
		uint64_t used;
	} slot[VIEW_MERGED_SETS][VIEW_MERGED_WAYS];
};
void view_merged_cache_init(struct view_merged_cache *c);
void view_merged_cache_fini(struct view *v, struct view_merged_cache *c);

/* @n: VIEW_SNAPSHOT or VIEW_INSIDE. */
MUST_CHECK int view_merged_get(struct view *v, struct view_node *n, struct view_merged **ret,
			       struct err *err);
/* Return: 0, ERR_NOENT, or what reading gives. */
MUST_CHECK int view_merged_child(struct view *v, struct view_merged *dir, struct slice name,
				 struct view_merged **ret, struct err *err);
void view_merged_put(struct view *v, struct view_merged *m);
void view_merged_forget(struct view *v, const struct view_node *n); /* the node goes */

static inline const struct tree_item *
view_merged_main(const struct view_merged *m)
{
	return &m->in[m->main].item;
}

static inline uint64_t
view_merged_trees(const struct view_merged *m)
{
	uint64_t trees = 0;

	for (uint32_t i = 0; i < m->n; i++)
		trees |= UINT64_C(1) << m->in[i].tree;
	return trees;
}

/* Whether @b is the better one to give a path its attributes: a real directory over a bare one. */
static inline bool
view_entry_better(const struct entry *a, const struct entry *b)
{
	return a->type == ENTRY_DIR && a->bare && b->type == ENTRY_DIR && !b->bare;
}

/* ---- listings -------------------------------------------------------------------------- */

struct view_listing;

/* What stands at a position; borrowed until the listing moves. */
struct view_listed {
	const struct tree_item *main;
	uint64_t trees;
	uint32_t n_trees;
	uint64_t n_subdirs, n_bare_subdirs; /* sums over the trees */
};

MUST_CHECK int view_listing_open(struct view *v, struct view_merged *dir, struct view_listing **ret,
				 struct err *err);
void view_listing_close(struct view *v, struct view_listing *l);
/**
 * view_listing_at - the @index-th name.
 * Cost: nothing for the same or the next one; O(log n) in a single class, else O(n).
 * Return: 0, ERR_NOENT past the end, or what reading gives.
 */
MUST_CHECK int view_listing_at(struct view_listing *l, uint64_t index, struct view_listed *ret,
			       struct err *err);
struct view_merged *view_listing_dir(struct view_listing *l);

/* ---- attributes ------------------------------------------------------------------------ */

uint64_t view_ino_own(struct slice path);
uint64_t view_ino_inside(const struct snapshot_id *snapshot, struct slice path,
			 const struct entry *e);

/**
 * view_attr_inside - attributes of an entry of a snapshot.
 * @path: below the snapshot's root
 * Return: 0, or what reading gives: link counts of some merged directories need their listing.
 */
MUST_CHECK int view_attr_inside(struct view *v, struct view_merged *m, struct slice path,
				struct view_attr *ret, struct err *err);
/*
 * The same from a listing.  Return: false when the link count can't be told from it.
 */
MUST_CHECK bool view_attr_listed(const struct view_snap *s, const struct view_listed *l,
				 struct slice path, struct view_attr *ret);

/* ---- the mount's own directories ------------------------------------------------------- */

/* A name in one of them. */
struct view_own {
	const char *name;
	enum view_kind kind;
	const struct repo_snapshot *snapshot; /* what it is bound to, or NULL */
};
/* Both: false when there is none.  @ret borrows from @c. */
bool view_own_find(struct calendar *c, const struct view_node *dir, struct slice name,
		   struct view_own *ret);
bool view_own_at(struct calendar *c, const struct view_node *dir, uint64_t index,
		 struct view_own *ret);
MUST_CHECK int view_own_lookup(struct view *v, struct view_node *dir, struct slice name,
			       struct view_node **ret, struct view_attr *ret_attr, struct err *err);
void view_own_attr(struct view *v, const struct view_node *n, struct view_attr *ret);
/* Where a link points.  Return: 0, or ERR_NOENT when its snapshot is gone. */
MUST_CHECK int view_own_readlink(struct view *v, const struct view_node *n, struct buf *ret,
				 struct err *err);
struct view_node *view_own_node(struct view *v, struct view_node *dir, const struct view_own *own);
uint64_t view_own_ino(const struct view_node *dir, const struct view_own *own);

/* ---- the whole ------------------------------------------------------------------------- */

struct view {
	struct repo *repo; /* borrowed */
	struct transfer *transfer;
	struct reader *reader;
	struct view_options options;
	int64_t since; /* UTC seconds */

	struct view_node *root, *by_date, *by_host, *latest; /* references */
	struct view_nodes nodes;
	struct view_snaps snaps;
	struct view_merged_cache merged;

	pthread_mutex_t lock;
	struct calendar *calendar; /* protected by lock */
	int64_t refreshed;         /* protected by lock: when the last refresh succeeded */
	char *refresh_error;       /* protected by lock: why the last one failed, or NULL */
	int64_t refresh_failed;    /* protected by lock */
};

struct calendar *view_calendar(struct view *v); /* a reference: calendar_put */

void view_status_text(struct view *v, struct buf *ret);

#endif /* TILLFS_VIEW_PRIVATE_H */
