/*
 * internal.h - what the rooms of reader share.
 *
 *	reader.c     the whole: making, ending, statistics
 *	section.c    sections of packs: geometry, scope, keys
 *	cache.c      loaded things: counted references, single flight, one bound
 *	load.c       how segments and nodes are loaded: bounds, fetch, decrypt, decode
 *	tree.c       one class of a snapshot, its root, and items
 *	lookup.c     names and positions in directories
 *	cursor.c     listings
 *	file.c       content: which segment holds which bytes
 *	extents.c    content as a map: holes, data, places
 *	asking.c     ranges that transfer is asked for ahead
 *	readahead.c  who reads forward finds segments opened ahead
 *	folder.c     who opens file after file does too
 *	pool.c       the threads that open ahead
 *
 * Two caches, of segments and of nodes, divide the reader's memory, so that reading a large file
 * doesn't throw out the directories.  Locks, in order: the walks', the pool's or a cache's, the
 *sections'. None is held over transfer.
 */
#ifndef READER_INTERNAL_H
#define READER_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "tillfs/reader.h"

#define READER_MEMORY     (32u * MIB)
#define READER_MEMORY_LOW (4u * MIB)
#define NODES_SHARE       4u /* nodes get this part of the memory */
#define CACHE_BUCKETS     1024u
#define CACHE_COLD_MAX    (2u * MIB) /* consumed segments kept for readers a little out of order */
#define SECTION_BUCKETS   256u
#define KEYS_PER_SLAB     64u

/* ---- sections -------------------------------------------------------------------------- */

/* A class's section of a pack.  The same for all snapshots that describe it alike. */
struct section {
	struct segment_scope scope;
	struct pack_source source;
	struct pack_place place;
	_Atomic(const struct seal_key *) key; /* NULL until first needed */
	unsigned refs;                        /* protected by sections->lock, as all below */
	uint64_t next_off, asked_off;         /* data area: where the last segment opened ends, and
						 how far was asked for ahead */
	unsigned streak;                      /* segments opened in a row */
	LIST_ENTRY(section) chain;
};

struct sections {
	pthread_mutex_t lock; /* protects everything below */
	LIST_HEAD(, section) buckets[SECTION_BUCKETS];
	struct seal_key *
		*slabs; /* secret memory, KEYS_PER_SLAB each: a page a key would be waste */
	size_t n_slabs, cap_slabs;
	struct seal_key **free_keys;
	size_t n_free, cap_free;
};

void sections_init(struct sections *s);
void sections_fini(struct sections *s);
/* Return: 0 and a reference, or ERR_CORRUPT for a place that no pack can have. */
MUST_CHECK int section_get(struct sections *s, const struct segment_scope *scope,
			   const struct pack_place *place, struct section **ret, struct err *err);
void section_ref(struct sections *s, struct section *section);
void section_put(struct sections *s, struct section *section);
/* The section's key, unsealed when first asked for.  Valid while the section is referenced. */
MUST_CHECK int section_key(struct reader *r, struct section *section, const struct seal_key **ret,
			   struct err *err);
uint64_t section_area_off(const struct section *s, enum pack_area area); /* in the body */
uint64_t section_area_len(const struct section *s, enum pack_area area);

/* ---- the caches ------------------------------------------------------------------------ */

enum cached_kind { CACHED_SEGMENT, CACHED_DIR, CACHED_STREAM };

/* What is loaded, and all that its meaning depends on. */
struct cached_key {
	struct section *section;
	uint64_t off;   /* the segment's, in its area */
	uint64_t range; /* stream node: bytes of the file below it */
	uint32_t stored_len, plain_len;
	uint32_t node_off, node_len; /* in the segment's plaintext; 0: the segment itself */
	int32_t height;              /* node: what its place demands */
	uint16_t kind, area;
	bool streamed; /* not compared: of a file with a stream of its own, which readahead.c
			  knows better than what lies behind this */
};
enum cached_state { CACHED_LOADING, CACHED_READY, CACHED_FAILED };

/* Immutable once READY, but for what the cache's lock protects. */
struct cached {
	struct cached_key key; /* with a reference to the section */
	struct buf plain;      /* CACHED_SEGMENT */
	struct dir_node *dir;  /* CACHED_DIR */
	struct stream_node *stream;
	uint64_t count; /* CACHED_DIR: entries in it and below */
	size_t cost;
	unsigned refs; /* protected by cache->lock, as all below */
	enum cached_state state;
	bool cold; /* in the list of what goes first */
	struct err *failure;
	struct cached_key beside; /* CACHED_DIR: the leaf behind it in its directory, with a
				     reference; section NULL: none, or not known */
	pthread_cond_t loaded;
	LIST_ENTRY(cached) chain;
	TAILQ_ENTRY(cached) list; /* while READY and refs == 0 */
};
TAILQ_HEAD(cached_list, cached);
LIST_HEAD(cached_bucket, cached);

struct cache {
	struct reader *reader;
	uint64_t memory;
	pthread_mutex_t lock; /* protects everything below */
	struct cached_bucket buckets[CACHE_BUCKETS];
	struct cached_list warm, cold; /* least recently used first */
	uint64_t used, cold_used;
	uint64_t loads, hits;
};

bool cached_key_equal(const struct cached_key *a, const struct cached_key *b);
void cache_init(struct cache *c, struct reader *r, uint64_t memory);
void cache_fini(struct cache *c);
/**
 * cache_get - what a key stands for, loaded now or found; concurrent callers share one loading.
 * @ret: a reference (cache_put)
 * Return: 0, or what loading gives.
 */
MUST_CHECK int cache_get(struct cache *c, const struct cached_key *key, struct cached **ret,
			 struct err *err);
void cache_ref(struct cache *c, struct cached *x);
/* @consumed: its user will hardly want it again: it goes before all others. */
void cache_put(struct cache *c, struct cached *x, bool consumed);
bool cache_has(struct cache *c, const struct cached_key *key); /* there or being loaded */
/* Remembers which leaf lies behind another one. */
void cache_set_beside(struct cache *c, struct cached *x, const struct cached_key *beside);
/* That leaf, when it is in memory: a reference, or NULL. */
struct cached *cache_beside(struct cache *c, const struct cached *x);

/* ---- loading --------------------------------------------------------------------------- */

/* What one thread at a time needs to open a segment. */
struct bench {
	struct codec *codec;
	struct buf stored;
	SLIST_ENTRY(bench) next;
};

/* Fills a new cached thing by its key.  Takes no lock. */
MUST_CHECK int cached_load(struct reader *r, struct cached *x, struct err *err);
void cached_release(struct reader *r, struct cached *x); /* what it owns, and itself */

/**
 * segment_key_of - where a reference leads.
 * @packs: the table that the reference's number counts in
 * Return: 0, ERR_CORRUPT for a pack that isn't the tree's (I-7) or a place outside the area (I-8).
 * @ret borrows the tree's section.
 */
MUST_CHECK int segment_key_of(struct tree *t, const struct pack_table *packs,
			      const struct segment_ref *ref, enum pack_area area,
			      struct cached_key *ret, struct err *err);
MUST_CHECK int dir_node_get(struct tree *t, const struct pack_table *packs,
			    const struct node_ref *ref, int height, struct cached **ret,
			    struct err *err);
/* The key that dir_node_get loads by. */
MUST_CHECK int dir_node_key(struct tree *t, const struct pack_table *packs,
			    const struct node_ref *ref, int height, struct cached_key *ret,
			    struct err *err);
MUST_CHECK int stream_node_get(struct tree *t, const struct pack_table *packs,
			       const struct node_ref *ref, uint32_t height, uint64_t range,
			       struct cached **ret, struct err *err);

/* ---- trees ----------------------------------------------------------------------------- */

struct tree {
	struct reader *reader;
	const struct snapshot_class *part;
	struct writer_id writer;
	atomic_uint refs;
	pthread_mutex_t lock;
	struct dir_node *root;                /* protected by lock until set: a root that stands in
						 the snapshot */
	_Atomic(struct section *) sections[]; /* one for each of part->packs; NULL: not yet used */
};

struct tree *tree_ref(struct tree *t);
/* The section of a pack.  Return: 0, or ERR_CORRUPT when the class doesn't list it (I-7). */
MUST_CHECK int tree_section(struct tree *t, const struct pack_id *id, struct section **ret,
			    struct err *err);
const struct pack_table *item_packs(const struct tree_item *item);

/* A node of a directory, pinned. */
struct dir_at {
	const struct dir_node *node; /* NULL: the directory is empty */
	struct cached *pin;          /* a reference, or NULL for a root in the snapshot */
	uint64_t count;              /* entries in it and below */
};
MUST_CHECK int dir_top(const struct tree_item *dir, struct dir_at *ret, struct err *err);
/* Descends to the leaf that holds the @index-th entry, which exists; @index becomes the leaf's. */
MUST_CHECK int dir_leaf_at(const struct tree_item *dir, uint64_t *index, struct dir_at *ret,
			   struct err *err);
/*
 * Descends to where @name is or would be.  @ret_index: how many entries of the directory stand
 * before the leaf; ret->node is NULL when the directory is empty.
 */
MUST_CHECK int dir_leaf_for(const struct tree_item *dir, struct slice name, struct dir_at *ret,
			    uint64_t *ret_index, struct err *err);
void dir_at_fini(struct tree *t, struct dir_at *at);
uint32_t dir_count_less(const struct dir_node *leaf, struct slice name); /* names less than @name */
/* Entry @i of a leaf.  @ret takes its own reference. */
void item_from(struct tree *t, const struct dir_at *leaf, uint32_t i, struct tree_item *ret);

/* ---- files ----------------------------------------------------------------------------- */

#define AHEAD_RING 128u

/* How somebody reads a file, and what was opened ahead.  Protected by the pool's lock. */
struct readahead {
	uint64_t high;      /* end of what was read forward */
	uint64_t streak;    /* bytes read forward since the last jump */
	uint64_t window;    /* how far to be ahead; 0: nobody reads forward */
	uint64_t next, end; /* what is still to be opened */
	uint64_t asked;     /* how far transfer was asked to fetch */
	uint64_t reach;     /* a distant store: stored bytes to be asked for before the reader */
	uint64_t asked_plain, asked_stored; /* lengths of what was asked for: how they relate */
	unsigned generation;
	unsigned active; /* threads at work on this file */
	bool queued;     /* in the pool's list */
	bool looking;    /* a thread looks for its next segment */
	struct {
		uint64_t until;
		uint32_t cost;
	} ring[AHEAD_RING]; /* segments opened ahead, and where reading has passed them */
	size_t ring_head, ring_len;
	uint64_t cost; /* sum over the ring */
};

enum leaf_pin { PIN_READ, PIN_AHEAD, PIN_ASK, PINS };

struct tree_file {
	struct tree *tree; /* a reference */
	struct tree_item item;
	uint64_t size;
	pthread_mutex_t lock;
	struct {
		struct cached *leaf; /* a reference, or NULL */
		uint64_t off, len;
	} pins[PINS]; /* the leaves used last; protected by lock */
	struct readahead ahead;
	TAILQ_ENTRY(tree_file) ready;
};

/* As tree_file_open, without opening anything ahead. */
MUST_CHECK int file_new(const struct tree_item *file, struct tree_file **ret, struct err *err);

/* What a range of a file is: a leaf's extents, or a hole. */
struct span {
	uint64_t off, len;
	const struct leaf *leaf; /* NULL: a hole */
	const struct pack_table *packs;
	struct cached *pin; /* a reference, or NULL */
};
/* The span around @off < size.  Not for CONTENT_INLINE. */
MUST_CHECK int file_span(struct tree_file *f, uint64_t off, enum leaf_pin which, struct span *ret,
			 struct err *err);
void span_fini(struct tree_file *f, struct span *s);

/* ---- asking transfer ahead ------------------------------------------------------------- */

/* Ranges of stored bytes on their way to transfer_prefetch.  Zero but for what a caller sets. */
struct asking {
	struct reader *reader;
	uint64_t limit;          /* bytes to ask for at most; 0: no limit */
	uint64_t bytes;          /* asked for so far */
	struct section *section; /* borrowed: of the range being gathered, [from, to) of the body */
	uint64_t from, to;
};
/* Asks for a segment that isn't opened yet.  Return: false when the limit is reached. */
bool asking_add(struct asking *a, const struct cached_key *segment);
void asking_end(struct asking *a); /* what was gathered last goes out */
/*
 * Of a distant store: the nodes of the directories named in a listed one, or of its other parts;
 * and the leaves of a stream.  One round trip for all instead of one for each.
 */
void dir_ask_below(struct tree *t, const struct dir_node *node);
void stream_ask_below(struct tree_file *f, const struct stream_node *node);

/* ---- folders --------------------------------------------------------------------------- */

/* Somebody opening files of a directory leaf one after the other. */
struct folder_walk {
	const struct dir_node *node; /* compared, never followed */
	uint32_t next;               /* the entry expected */
	uint32_t looked;             /* entries before this one were looked at */
	uint64_t ahead;              /* bytes of files in [next, looked) */
	unsigned streak;
	uint32_t opened; /* files, in any order */
	uint32_t asked;  /* a distant store: entries before this one were asked for */
	uint64_t asked_bytes, used_bytes; /* of those, and of files opened */
	uint64_t moved;
};

struct folder_walks {
	pthread_mutex_t lock; /* protects everything below */
	struct folder_walk walks[32];
	uint64_t clock;
};
/* A file was opened: opens ahead what the next ones in its folder need. */
void folder_note(struct tree_file *f);

/* ---- reading ahead --------------------------------------------------------------------- */

#define POOL_THREADS 2u
#define POOL_KEYS    32u

struct pool {
	pthread_mutex_t lock; /* protects everything below, and each file's readahead */
	pthread_cond_t work, idle;
	TAILQ_HEAD(, tree_file) ready;
	struct cached_key keys[POOL_KEYS]; /* segments asked for, with references to sections */
	size_t keys_head, keys_len;
	pthread_t threads[POOL_THREADS];
	unsigned n_threads, n_waiting;
	uint64_t cost; /* of all files */
	bool stopping;
};
void pool_init(struct pool *p);
void pool_fini(struct reader *r);
/* Opens a segment in the background; dropped when there is too much to do. */
void pool_push(struct reader *r, const struct cached_key *key);
void pool_start_locked(struct reader *r);
/* Opens one segment of a file ahead.  Called and left with the pool's lock held. */
void readahead_step_locked(struct tree_file *f);
/* Somebody reads [off, off + len).  Return: whether he reads forward. */
bool readahead_note(struct tree_file *f, uint64_t off, uint64_t len);
void readahead_end(struct tree_file *f); /* waits for threads at work on it */

/* ---- the whole ------------------------------------------------------------------------- */

struct reader {
	struct repo *repo;
	struct transfer *transfer;
	struct sections sections;
	struct cache segments, nodes;
	struct pool pool;
	struct folder_walks walks;
	pthread_mutex_t bench_lock;
	SLIST_HEAD(, bench) benches; /* idle ones; protected by bench_lock */
};

#endif /* READER_INTERNAL_H */
