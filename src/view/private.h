/*
 * private.h - what the files of the view share.
 *
 *	node.c      the table of nodes that somebody refers to
 *	calendar.c  which dates and writers there are, and what their snapshots are called
 *	early.c     dates first, where there are many snapshots far away
 *	own.c       the directories above the snapshots, made from a calendar
 *	snap.c      snapshots, opened on demand and closed again when many are
 *	entry.c     entries of snapshots, found again by their nodes; directories are cached
 *	listing.c   a directory of a snapshot by positions
 *	attr.c      attributes and inode numbers
 *	history.c   paths followed through all snapshots of a writer
 *	records*.c  databases of snapshots as directories of tables, and those as directories of
 *rows
 *
 * Locks are leaves: none is held while another is taken, nor over a read from the store.
 */
#ifndef TILLFS_VIEW_PRIVATE_H
#define TILLFS_VIEW_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "calendar.h"
#include "tillfs/merge.h"
#include "tillfs/records.h"
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
	VIEW_HISTORY,
	VIEW_HISTORY_HOST,
	VIEW_HISTORY_PATH, /* a folder or a file, as a directory */
	VIEW_VERSION,      /* a file as it was in one snapshot */
	VIEW_RECORDS,
	VIEW_RECORDS_DATE,
	VIEW_RECORDS_SNAPSHOT, /* from here on, what view_node_is_records is true of */
	VIEW_RECORDS_FOLDER,
	VIEW_DATABASE,
	VIEW_TABLE,
	VIEW_ROW,
	VIEW_SCHEMA,
	VIEW_SOURCE,
};

struct view_node {
	struct view_node *next;   /* in its bucket; protected by the table's lock */
	struct view_node *parent; /* a reference; NULL for the root */
	struct view_snap *snap;   /* a reference: where a link points, what it is in; or NULL */
	_Atomic(uint64_t) refs;   /* becomes 0 only under the table's lock */
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
/* Frees every node, referred to or not. */
void view_nodes_fini(struct view *v, struct view_nodes *t);

static inline struct slice
view_node_name(const struct view_node *n)
{
	return slice_of(n->name, n->name_len);
}

static inline bool
view_node_is_inside(const struct view_node *n)
{
	return n->kind == VIEW_SNAPSHOT || n->kind == VIEW_INSIDE || n->kind == VIEW_VERSION;
}

static inline bool
view_node_is_records(const struct view_node *n)
{
	return n->kind >= VIEW_RECORDS_SNAPSHOT && n->kind <= VIEW_SOURCE;
}

/**
 * view_node_get - the node of a name, made when there is none.
 * @snap: NULL, or what the node is bound to; a node of the same name bound otherwise loses the name
 * Return: a reference.
 */
struct view_node *view_node_get(struct view *v, struct view_node *parent, enum view_kind kind,
				struct slice name, struct view_snap *snap);
/* A reference to a node that exists already, or NULL. */
struct view_node *view_node_find(struct view *v, struct view_node *parent, struct slice name);
/* Appends the path below the nearest directory of a kind, or below the mount's root. */
void view_node_path_below(const struct view_node *n, enum view_kind top, struct buf *ret);
/* Appends the path that a node inside has in its snapshot. */
void view_node_path_inside(const struct view_node *n, struct buf *ret);

/* ---- snapshots ------------------------------------------------------------------------- */

#define VIEW_SNAPS_OPEN    32u   /* kept open without being in use */
#define VIEW_SNAP_RETRY_MS 1000u /* for how long a failure to open is remembered */

struct view_snap {
	LIST_ENTRY(view_snap) in_bucket;
	TAILQ_ENTRY(view_snap) in_lru; /* when opened */
	struct snapshot_name name;
	const char *writer;    /* borrowed from the repo */
	atomic_bool no_xattrs; /* as of the last opening: no entry has any */

	/* protected by the table's lock; opened and merge stay while pinned */
	uint64_t refs;
	uint64_t pins; /* what uses opened and merge */
	bool opening;
	struct repo_opened *opened; /* NULL: closed */
	struct merge *merge;
	struct err *failure; /* why the last attempt failed */
	uint64_t retry_at_ms;
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

/* An entry, with what keeps it.  Immutable, reference-counted. */
struct view_entry {
	atomic_uint refs;
	struct view_snap *snap; /* a reference and a pin */
	struct merged at;
};

/* Directories used lately, so that a lookup needn't start at the root. */
#define VIEW_CACHE_SETS 16u
#define VIEW_CACHE_WAYS 4u
struct view_cache {
	pthread_mutex_t lock;
	uint64_t clock;
	struct {
		const struct view_node *node;
		struct view_entry *entry;
		uint64_t used;
	} slot[VIEW_CACHE_SETS][VIEW_CACHE_WAYS];
};
void view_cache_init(struct view_cache *c);
void view_cache_fini(struct view *v, struct view_cache *c);
void view_cache_forget(struct view *v, const struct view_node *n); /* the node goes */

/* The entry of a VIEW_SNAPSHOT or VIEW_INSIDE node.  @ret: a reference. */
MUST_CHECK int view_entry_get(struct view *v, struct view_node *n, struct view_entry **ret,
			      struct err *err);
/* Return: 0, ERR_NOENT, or what reading gives. */
MUST_CHECK int view_entry_child(struct view *v, struct view_entry *dir, struct slice name,
				struct view_entry **ret, struct err *err);
void view_entry_put(struct view *v, struct view_entry *e);

/* ---- listings -------------------------------------------------------------------------- */

/* A directory of a snapshot at a position. */
struct view_listing {
	struct view_entry *dir; /* a reference */
	struct merged_cursor *cursor;
	uint64_t next;            /* the index that the cursor comes to next */
	const struct merged *now; /* what it has passed last, of index next - 1; NULL: nothing */
};

MUST_CHECK int view_listing_open(struct view *v, struct view_node *dir, struct view_listing **ret,
				 struct err *err);
void view_listing_close(struct view *v, struct view_listing *l);
/**
 * view_listing_at - the @index-th name.
 * @ret: borrowed until the listing moves
 * Cost: nothing for the same or the next one; O(log n) in a single class, else O(n).
 * Return: 0, ERR_NOENT past the end, or what reading gives.
 */
MUST_CHECK int view_listing_at(struct view_listing *l, uint64_t index, const struct merged **ret,
			       struct err *err);

/* ---- attributes ------------------------------------------------------------------------ */

uint64_t view_ino_own(struct slice path);
/* @e: NULL: a directory; @rank: as merged has it */
uint64_t view_ino_inside(const struct snapshot_id *snapshot, struct slice path,
			 const struct entry *e, uint64_t rank);

/**
 * view_attr_inside - attributes of an entry of a snapshot.
 * @s:    pinned
 * @path: below the snapshot's root
 * Return: 0, or what reading gives: link counts of some merged directories need their listing.
 */
MUST_CHECK int view_attr_inside(const struct view_snap *s, const struct merged *x,
				struct slice path, struct view_attr *ret, struct err *err);
/* The same without ever reading.  Return: false when the link count needs that. */
MUST_CHECK bool view_attr_cheap(const struct view_snap *s, const struct merged *x,
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

/* ---- history --------------------------------------------------------------------------- */

/* A name in a directory of the history. */
struct history_name {
	char *name;
	enum view_kind kind;           /* VIEW_HISTORY_PATH or VIEW_VERSION */
	struct repo_snapshot snapshot; /* VIEW_VERSION: the first one that has it */
	struct view_attr attr;         /* VIEW_VERSION */
};

/* All names of one, ascending.  Immutable, reference-counted. */
struct history_index {
	atomic_uint refs;
	struct calendar *calendar; /* a reference: what it was made from */
	char *path;                /* below history/ */
	struct history_name *names;
	size_t n;
};
void history_index_put(struct history_index *x);
DEFINE_FREEP(struct history_index *, history_index_put)
const struct history_name *history_index_find(const struct history_index *x, struct slice name);

/* Those made last. */
struct view_histories {
	pthread_mutex_t lock;
	uint64_t clock;
	struct {
		struct history_index *index;
		uint64_t used;
	} slot[16];
};
void view_histories_init(struct view_histories *t);
void view_histories_fini(struct view_histories *t);

/* VIEW_HISTORY_HOST and VIEW_HISTORY_PATH. */
bool view_node_is_history(const struct view_node *n);
/**
 * view_history_index - the names of a directory of the history.
 * @ret: a reference
 * Cost: every snapshot of the writer is opened, unless the index is one of those made last.
 * Return: 0, ERR_NOENT, or what reading gives.
 */
MUST_CHECK int view_history_index(struct view *v, const struct view_node *dir,
				  struct history_index **ret, struct err *err);
struct view_node *view_history_node(struct view *v, struct view_node *dir,
				    const struct history_name *name);
MUST_CHECK int view_history_lookup(struct view *v, struct view_node *dir, struct slice name,
				   struct view_node **ret, struct view_attr *ret_attr,
				   struct err *err);

/* ---- records --------------------------------------------------------------------------- */

/* A database of a snapshot, open in a worker. */
struct view_db;

#define VIEW_DBS_MAX 4u /* processes beside this one */

struct view_dbs {
	pthread_mutex_t lock;
	pthread_cond_t released;
	TAILQ_HEAD(view_db_list, view_db) idle; /* the least recently used first */
	unsigned n;                             /* idle, in use, and being opened */
};
void view_dbs_init(struct view_dbs *t);
void view_dbs_fini(struct view *v, struct view_dbs *t);

/**
 * view_db_run - do something with the database that a node is or is in.
 * @fn: may be called twice, when the worker died of something earlier
 * Return: what @fn returned, as records_open, or ERR_UNREACHABLE when all workers stay busy.
 */
typedef int view_db_fn(struct records_db *db, void *arg, struct err *err);
MUST_CHECK int view_db_run(struct view *v, const struct view_node *n, view_db_fn *fn, void *arg,
			   struct err *err);

MUST_CHECK int view_records_lookup(struct view *v, struct view_node *dir, struct slice name,
				   struct view_node **ret, struct view_attr *ret_attr,
				   struct err *err);
MUST_CHECK int view_records_attr(struct view *v, struct view_node *n, struct view_attr *ret,
				 struct err *err);
/* The text of a row or a schema.  @ret: replaced. */
MUST_CHECK int view_records_text(struct view *v, const struct view_node *n, struct buf *ret,
				 struct err *err);
/* Where the original lies, from a _source. */
void view_records_readlink(const struct view_node *n, struct buf *ret);
/* user.tillfs.original and .derived.  Return: whether it is one of these. */
bool view_records_xattr(const struct view_node *n, struct slice name, struct buf *ret);

/* A directory of records being listed. */
struct view_records_dir;
MUST_CHECK int view_records_opendir(struct view *v, struct view_node *dir,
				    struct view_records_dir **ret, struct err *err);
void view_records_closedir(struct view *v, struct view_records_dir *d);
/* The first name at or behind @index.  @ret: name, type, inode number, and where the next one is.
 * Return: 0, ERR_NOENT at the end, or what reading gives. */
MUST_CHECK int view_records_at(struct view *v, struct view_records_dir *d, uint64_t index,
			       struct view_dirent *ret, uint64_t *ret_next, struct err *err);

/* ---- the whole ------------------------------------------------------------------------- */

#define VIEW_EARLY_DATES 16u

struct view {
	struct repo *repo; /* borrowed */
	struct transfer *transfer;
	struct reader *reader;
	struct view_options options;
	int64_t since; /* UTC seconds */
	int statm_fd;  /* the process's memory; opened before a sandbox forbids it; -1: unknown */

	struct view_node *root, *by_date, *by_host, *latest; /* references */
	struct view_nodes nodes;
	struct view_snaps snaps;
	struct view_cache cache;
	struct view_histories histories;
	struct view_dbs dbs;

	pthread_mutex_t lock;
	LIST_HEAD(, view_file) files; /* protected by lock: the open ones */
	LIST_HEAD(, view_dir) dirs;   /* protected by lock: the open ones */
	struct calendar *calendar;    /* protected by lock */
	bool listed;                  /* protected by lock: the calendar has all snapshots */
	bool ending;                  /* protected by lock: nobody will list them */
	pthread_cond_t was_listed;    /* they are, or one of: that failed, ending */
	void (*on_wait)(void *arg);   /* protected by lock */
	void *on_wait_arg;            /* protected by lock */
	struct {
		struct date date;
		struct calendar *calendar;
	} early[VIEW_EARLY_DATES]; /* protected by lock: dates alone; none once listed */
	size_t n_early;            /* protected by lock */
	int64_t refreshed;         /* protected by lock: when the last refresh succeeded */
	char *refresh_error;       /* protected by lock: why the last one failed, or NULL */
	int64_t refresh_failed;    /* protected by lock */
};

struct calendar *view_calendar(struct view *v); /* as far as it is known; calendar_put */
/**
 * view_calendar_for - the calendar that has what is in one of the mount's own directories.
 * @ret: calendar_put
 * Until all snapshots are listed: the dates, a date alone, or a wait.
 * Return: 0, ERR_UNREACHABLE, or what listing a date gives.
 */
MUST_CHECK int view_calendar_for(struct view *v, const struct view_node *dir, struct calendar **ret,
				 struct err *err);
void view_early_fini(struct view *v);

void view_status_text(struct view *v, struct buf *ret);

/* Close what nobody closed: a mount that is told to end doesn't wait for those who have files open.
 */
void view_close_files(struct view *v);
void view_close_dirs(struct view *v);

#endif /* TILLFS_VIEW_PRIVATE_H */
