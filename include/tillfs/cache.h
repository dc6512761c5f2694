/*
 * cache.h - what was fetched from a distant store, kept on disk: stored ciphertext only.
 *
 *	DIR/urls/<hash of a URL>         which repository lies there
 *	DIR/<repository id>/packs/…      one sparse file a pack, with a map of the blocks it has
 *	DIR/<repository id>/objects/…    config, ledger, snapshots, grants as they are stored
 *	DIR/<repository id>/listings/…   the last listing of each prefix
 *	DIR/<repository id>/index.db     sizes and times of use (for the quota), pins
 *
 * Several processes share a folder at once and it survives them.  Nothing in it is trusted: blocks
 * and objects are checked against their hashes each time they are read, and what fails is dropped
 * and fetched again; so nothing is ever synced.  No failure of the cache's disk fails a read.
 *
 * Names begin with diskcache_, because the reader has a cache in memory.
 *
 * Layer 3: uses store, pack, ledger, db.
 */
#ifndef TILLFS_CACHE_H
#define TILLFS_CACHE_H

#include "tillfs/base.h"
#include "tillfs/pack.h"
#include "tillfs/store.h"

struct diskcache;

#define DISKCACHE_SIZE_DEFAULT ((uint64_t)4 << 30)
#define DISKCACHE_SIZE_MIN     ((uint64_t)16 << 20)
#define DISKCACHE_RUN_MAX      64u /* blocks that one call reads or stores */

/* Counters since the start, of this process. */
struct diskcache_stats {
	uint64_t blocks_hit, blocks_missed, blocks_rotten, objects_hit, objects_missed;
	uint64_t bytes_stored, bytes_evicted;
	uint64_t write_errors; /* each stops storing for a minute */
};

/**
 * diskcache_open - use a folder as a cache.
 * @dir:       absolute; made when missing
 * @url:       of the repository; tells which sub-folder is its own once that was seen
 * @max_bytes: quota of the repository's sub-folder, at least DISKCACHE_SIZE_MIN
 *
 * Return: 0, ERR_DENIED, ERR_NOSPACE, ERR_IO when the folder can't be made; a folder that can only
 * be read is used for reading.
 */
MUST_CHECK int diskcache_open(const char *dir, const char *url, uint64_t max_bytes,
			      struct diskcache **ret, struct err *err);
/* Writes what is still to be noted, and brings the folder under its quota. */
void diskcache_close(struct diskcache *c);
DEFINE_FREEP(struct diskcache *, diskcache_close)
/* Whether it is known which repository lies at the URL. */
bool diskcache_is_bound(struct diskcache *c);
const char *diskcache_root(const struct diskcache *c); /* @dir; borrowed */
/* The repository's sub-folder; NULL until it is bound.  Borrowed. */
const char *diskcache_folder(struct diskcache *c);
/* What was believed of the URL is wrong: another repository lies there now. */
void diskcache_unbind(struct diskcache *c);
uint64_t diskcache_max(const struct diskcache *c);
void diskcache_stats_get(struct diskcache *c, struct diskcache_stats *ret);

/* ---- packs: all functions from any thread */

/* A pack, and its geometry as the snapshot states it. */
struct diskcache_pack {
	struct pack_id id;
	uint64_t object_len;
	uint32_t header_len;
};

/* The header's bytes, unchecked.  @ret: replaced.  Return: false when they aren't there. */
MUST_CHECK bool diskcache_header_get(struct diskcache *c, const struct diskcache_pack *p,
				     struct buf *ret);
void diskcache_header_put(struct diskcache *c, const struct diskcache_pack *p, struct slice bytes);
/**
 * diskcache_blocks_has - which of @n <= DISKCACHE_RUN_MAX blocks are there.
 * Return: bit i for block @first + i.  One small read of a file.
 */
uint64_t diskcache_blocks_has(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
			      uint32_t n);
/**
 * diskcache_blocks_get - read those of @n blocks that are there, unchecked.
 * @ret: room for the blocks, each PACK_BLOCK_LEN apart; what isn't there is left as it was
 * Return: bit i for block @first + i.  Who finds one bad says so with diskcache_blocks_drop.
 */
uint64_t diskcache_blocks_get(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
			      uint32_t n, uint8_t *ret);
void diskcache_blocks_drop(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
			   uint64_t which);
/* For the counters: blocks that were wanted, and not asked for because none was there. */
void diskcache_count_missed(struct diskcache *c, uint32_t n);
/* Stores checked blocks: those of @which, laid out as in diskcache_blocks_get. */
void diskcache_blocks_put(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
			  uint32_t n, uint64_t which, const uint8_t *bytes);

/* ---- the store around it */

/**
 * diskcache_store_new - a store that keeps small objects and the last listings on disk.
 * @inner: taken; NULL to work offline
 * @cache: borrowed; must outlive the store
 * @url:   what store_url says
 *
 * config, ledger/, snapshots/, grants/ and reseal/ are read from disk when they are there and match
 * the hash in their key (config: its signature); packs are not its business.  With @inner, listings
 * always come from it.  Offline, what isn't there is ERR_OFFLINE, and nothing can be changed.
 */
struct store *diskcache_store_new(struct store *inner, struct diskcache *cache, const char *url);

/* ---- pins: what stays for offline use */

/* Blocks of a pack: bit i of map[i / 64]. */
#define DISKCACHE_MAP_WORDS (PACK_BODY_MAX / PACK_BLOCK_LEN / 64u)
struct diskcache_blocks {
	struct diskcache_pack pack;
	struct writer_id writer;
	uint64_t map[DISKCACHE_MAP_WORDS];
};

struct diskcache_pin {
	int64_t number;
	struct snapshot_id snapshot;
	int64_t time;      /* UTC seconds */
	uint64_t bytes;    /* of its blocks and headers */
	struct buf sealed; /* what was pinned, sealed by who did it */
};

/**
 * diskcache_pin_add - keep a snapshot's object and blocks from being evicted.
 * @sealed: a description that only the user can read
 * Nothing is fetched.  Return: 0, ERR_NOSPACE when all pins together would not fit the quota,
 * ERR_IO, ERR_DENIED, ERR_BUSY.
 */
MUST_CHECK int diskcache_pin_add(struct diskcache *c, const struct snapshot_id *snapshot,
				 struct slice sealed, const struct diskcache_blocks *blocks,
				 size_t n, int64_t *ret_number, struct err *err);
/* @ret: array owned by the caller: diskcache_pins_free. */
MUST_CHECK int diskcache_pins_get(struct diskcache *c, struct diskcache_pin **ret, size_t *n,
				  struct err *err);
void diskcache_pins_free(struct diskcache_pin *pins, size_t n);
/* Its blocks stay until room is needed.  Return: 0, ERR_NOENT, … */
MUST_CHECK int diskcache_pin_remove(struct diskcache *c, int64_t number, struct err *err);

/* ---- money */

/* What a store's owner asks for reading, in any currency; 0: nothing, or not known. */
struct prices {
	double per_gb, per_1000_requests; /* 10^9 bytes */
};
static inline bool
prices_known(const struct prices *p)
{
	return p->per_gb > 0 || p->per_1000_requests > 0;
}
static inline double
prices_cost(const struct prices *p, uint64_t bytes, uint64_t requests)
{
	return p->per_gb * (double)bytes / 1e9 + p->per_1000_requests * (double)requests / 1000;
}

/* ---- formats read back, for fuzzing: never more than @len bytes are looked at */

/* The first bytes of a pack's file. */
#define DISKCACHE_META_LEN 64u
MUST_CHECK bool diskcache_meta_parse(struct slice bytes, struct diskcache_pack *ret);
/* A remembered listing; calls @fn as store_list does.  Return: 0, ERR_CORRUPT, or what @fn did. */
MUST_CHECK int diskcache_listing_parse(struct slice bytes, store_list_fn *fn, void *arg,
				       struct err *err);

#endif /* TILLFS_CACHE_H */
