/*
 * internal.h - what the rooms of the cache share.
 *
 *	cache.c     opening, and which sub-folder is the repository's
 *	meta.c      the first bytes of a pack's file
 *	file.c      files of packs that are open
 *	blocks.c    headers and blocks in them
 *	table.c     SQLite files that may be damaged or deleted at any time
 *	index.c     sizes and times of use in one
 *	evict.c     the quota: what has to go
 *	pins.c      what stays
 *	objects.c   small objects and listings as files
 *	known.c     which keys there are
 *	store.c     the store around it
 *
 * A pack's file begins with DISKCACHE_META_LEN bytes that name it, then a byte for the header and
 * one for each block: 1 when it is there.  Bytes and not bits, so that two processes can set
 * neighbours at once.  From FILE_DATA on stand the object's own bytes, where they are there.
 * Bytes are written before their mark; after a crash a mark may be wrong either way, which the
 * check of what was read finds out.
 *
 * Locks: `lock` for moments only; `index.lock` over SQLite and the files that are evicted.  None is
 * held while the other is taken, except lock inside index.lock.
 *
 * Layer 3.
 */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "tillfs/cache.h"
#include "tillfs/db.h"

#define FILE_MARKS    ((uint64_t)DISKCACHE_META_LEN)
#define FILE_DATA     4096u
#define FILES_OPEN    64u
#define BLOCKS_MAX    (PACK_BODY_MAX / PACK_BLOCK_LEN)
#define TOUCH_S       60     /* how exact times of use are */
#define PAUSE_MS      60000u /* after a failed write */
#define LISTING_MAX   (64u * MIB)
#define TABLE_QUERIES 16u
#define RESERVE_PART  16u /* of the quota is kept free for what is about to come */

/* An open file of a pack.  Reference-counted. */
struct pack_file {
	struct diskcache_pack pack;
	int fd;
	bool writable;
	unsigned refs;   /* protected by lock; the table has one */
	int64_t touched; /* protected by lock; UTC seconds */
	TAILQ_ENTRY(pack_file) list;
};

/* What SQLite is still to be told. */
struct note {
	char *name; /* below the folder */
	int64_t used;
};

/* A database file that somebody may damage or delete at any time. */
struct table {
	const char *file, *schema;
	bool durable;
	struct db *db; /* NULL: not open */
	uint64_t ino;
	struct {
		const char *sql;
		struct db_stmt *stmt;
	} queries[TABLE_QUERIES];
	size_t n_queries;
};

struct index {
	pthread_mutex_t lock; /* protects everything below */
	struct table files, pins;
	bool counted;           /* what lies in the folder was compared with the database */
	uint64_t total;         /* bytes of all files, as of the last look */
	uint64_t stored;        /* bytes stored since */
	uint64_t reserved;      /* bytes being stored */
	uint64_t full_until_ms; /* the quota can't be kept by evicting before */
	uint64_t flushed_ms;
	struct note *notes;
	size_t n, cap;
};

struct diskcache {
	char *root;     /* of all repositories */
	char *url_path; /* the file that says which is meant */
	uint64_t max;
	_Atomic(char *) folder; /* NULL: not known yet */

	pthread_mutex_t lock;                   /* protects everything below */
	TAILQ_HEAD(pack_files, pack_file) open; /* most recently used first */
	size_t n_open;
	uint64_t paused_until_ms; /* nothing is stored before */
	struct diskcache_stats stats;

	struct index index;
};

/* ---- cache.c */

/* Which repository it is.  Keeps it for the next time.  Return: false when it was another. */
MUST_CHECK bool cache_bind(struct diskcache *c, const struct repo_id *repo);
/* Whether storing makes sense now. */
bool cache_may_store(struct diskcache *c);
/* Storing failed: says so in the log, once, and stops for a while. */
void cache_store_failed(struct diskcache *c, const char *what);
void cache_count(struct diskcache *c, uint64_t *counter, uint64_t by); /* one of c->stats */

/* ---- meta.c */

void meta_put(struct buf *b, const struct diskcache_pack *p);
bool pack_equal(const struct diskcache_pack *a, const struct diskcache_pack *b);
uint32_t pack_blocks(const struct diskcache_pack *p);
uint32_t pack_block_len(const struct diskcache_pack *p, uint32_t block);
uint64_t pack_block_at(const struct diskcache_pack *p, uint32_t block); /* in the file */
/* packs/<hh>/<id>; owned by the caller. */
char *pack_file_name(const struct pack_id *id);

/* ---- file.c */

/**
 * pack_file_get - the file of a pack.
 * @make: when there is none
 * @ret_size: its length now
 * Return: a reference, or NULL.
 */
struct pack_file *pack_file_get(struct diskcache *c, const struct diskcache_pack *p, bool make,
				uint64_t *ret_size);
void pack_file_put(struct diskcache *c, struct pack_file *f);
void pack_files_close(struct diskcache *c);
/* Takes blocks out of a file that isn't in @keep, and gives their room back. */
void pack_file_shrink(const char *path, const uint64_t keep[DISKCACHE_MAP_WORDS]);

/* ---- index.c: "locked" with index.lock held */

void index_init(struct index *x);
void index_fini(struct diskcache *c);
/* Something was used.  Told to SQLite in batches. */
void index_touch(struct diskcache *c, const char *name);
/**
 * index_reserve - make sure that @bytes more may be stored; index_stored must follow.
 * Return: false when they would go beyond the quota even now, or nobody knows.
 */
MUST_CHECK bool index_reserve(struct diskcache *c, uint64_t bytes);
/* What was reserved is stored, or not, in the file @name. */
void index_stored(struct diskcache *c, const char *name, uint64_t bytes);

/* ---- table.c */

/* Opens a database, afresh when it isn't the one in the folder any more. */
MUST_CHECK int table_open(struct diskcache *c, struct table *t, struct err *err);
void table_close(struct table *t);
/* Something on it failed with @code: what is damaged is begun anew.  Return: @code. */
int table_failed(struct diskcache *c, struct table *t, int code, const struct err *err);
/**
 * table_query - a statement whose parameters are to be bound.
 * @sql: a literal: it is prepared once
 * @ret: borrowed until the table is closed
 */
MUST_CHECK int table_query(struct table *t, const char *sql, struct db_stmt **ret, struct err *err);
MUST_CHECK int table_begin(struct diskcache *c, struct table *t, struct err *err);
/* Ends what was begun: commits when @code is 0.  Return: @code, or why it can't be committed. */
int table_end(struct diskcache *c, struct table *t, int code, struct err *err);

/* ---- index.c again */

MUST_CHECK int index_flush_locked(struct diskcache *c, struct err *err);
/* Notes how large a file is now, or that it is gone. */
MUST_CHECK int index_measure_locked(struct diskcache *c, const char *name, int64_t used,
				    struct err *err);
MUST_CHECK int index_total_locked(struct diskcache *c, struct err *err);

/* ---- evict.c */

/* Compares the folder with the database, once. */
MUST_CHECK int evict_count_locked(struct diskcache *c, struct err *err);
/* Removes what was used least lately until no more than @target bytes are left, if that can be. */
MUST_CHECK int evict_to_locked(struct diskcache *c, uint64_t target, struct err *err);

/* ---- pins.c */

/* What of a pack is pinned.  Return: 0 or an error; @ret_any: whether anything. */
MUST_CHECK int pins_of_pack_locked(struct diskcache *c, const struct pack_id *id,
				   uint64_t ret[DISKCACHE_MAP_WORDS], bool *ret_any,
				   struct err *err);
MUST_CHECK int pins_any_locked(struct diskcache *c, bool *ret, struct err *err);
MUST_CHECK int pins_has_snapshot_locked(struct diskcache *c, const struct snapshot_id *id,
					bool *ret, struct err *err);

/* ---- objects.c */

bool object_is_kept(const char *key); /* by its prefix */
/* Whether bytes are those that the key promises. */
bool object_matches(const char *key, struct slice bytes);
/* Return: false when it isn't there intact. */
MUST_CHECK bool object_get(struct diskcache *c, const char *key, struct buf *ret);
void object_put(struct diskcache *c, const char *key, struct slice bytes);
void object_remove(struct diskcache *c, const char *key);
/* The file of a listing, unchecked.  Return: false when it isn't there. */
MUST_CHECK bool listing_read(const char *path, struct buf *ret);
void listing_add(struct buf *b, const char *key, uint64_t size, bool is_prefix);
/* @body: what listing_add made.  Writes only what has changed. */
void listing_write(struct diskcache *c, const char *path, const struct buf *body);

/* ---- known.c */

#define KNOWN_FOLDERS 4u

struct known_key {
	char *key;
	uint64_t size;
};

/* In the order of keys, where nothing else is said. */
struct known_keys {
	struct known_key *v;
	size_t n, cap;
};
void known_keys_add(struct known_keys *k, const char *key, uint64_t size); /* at the end */
void known_keys_fini(struct known_keys *k);

/* What listings told of one of the top folders. */
struct known_folder {
	struct known_keys keys, covered; /* covered: prefixes that were listed as a whole */
	bool loaded, changed;
};

struct known {
	pthread_mutex_t lock; /* protects everything below */
	struct known_folder folders[KNOWN_FOLDERS];
	unsigned listing; /* listings that go on */
};
void known_init(struct known *k);
void known_fini(struct known *k);
/* Around a listing.  @told: everything that a whole one told, used up; NULL when it broke off. */
void known_begin(struct known *k);
void known_end(struct known *k, struct diskcache *c, const char *prefix, bool delimited,
	       struct known_keys *told);
/* What earlier listings told.  Return: 0, ERR_OFFLINE, or what @fn returned. */
MUST_CHECK int known_list(struct diskcache *c, const char *prefix, bool delimited,
			  store_list_fn *fn, void *arg, struct err *err);

#endif /* CACHE_INTERNAL_H */
