/*
 * transfer.h - traffic with the store: blocks of packs, checked, each fetched once.
 *
 * Callers ask for a range of a pack's body.  transfer works in aligned 128 KiB blocks, gives
 * concurrent callers of a block one request (single flight), merges neighbouring misses into one
 * ranged read (a pack's header travels with the first data asked of it), checks each block against
 * the header before anybody sees it, serves demand before readahead, retries what may be retried
 * with backoff, and answers within a deadline.  It keeps a bounded number of checked blocks and
 * headers in memory; keys and plaintext are none of its business.
 *
 * Layer 3: uses store, pack, cache.
 */
#ifndef TILLFS_TRANSFER_H
#define TILLFS_TRANSFER_H

#include "tillfs/base.h"
#include "tillfs/cache.h"
#include "tillfs/pack.h"
#include "tillfs/store.h"

struct transfer;

struct pack_source;
/* Told of each range of a body that is read (not prefetched), by the thread that reads. */
typedef void transfer_seen_fn(void *arg, const struct pack_source *source, uint64_t off,
			      size_t len);

struct transfer_options {
	unsigned workers;        /* threads that fetch ahead at a time; 0: chosen for the store */
	uint64_t memory;         /* bytes for blocks and headers; 0: 48 MiB, 8 for a local store */
	unsigned timeout_ms;     /* deadline of one call; 0: 30,000 */
	struct diskcache *cache; /* asked before the store; borrowed; NULL: none */
	transfer_seen_fn *seen;  /* NULL: nobody */
	void *seen_arg;
};

/* The pack that somebody wants bytes of; all of it is in the snapshot's pack list. */
struct pack_source {
	struct writer_id writer;
	struct pack_id id;
	uint64_t object_len;
	uint32_t header_len;
};

/* Counters since the start; any thread may ask. */
struct transfer_stats {
	uint64_t requests, bytes_fetched, blocks_served, blocks_from_memory, blocks_from_disk,
		retries, errors;
	uint64_t rtt_us, rate; /* of a distant store's link, bytes a second; 0: not known yet */
};

/* @store: borrowed; must outlive the transfer. */
struct transfer *transfer_new(struct store *store, const struct transfer_options *options);
void transfer_free(struct transfer *t); /* ends its threads; no call may be running */
DEFINE_FREEP(struct transfer *, transfer_free)

/**
 * transfer_header - a pack's header, checked against its id, its lengths against @source.
 * @ret: borrowed reference; transfer_header_put gives it back
 *
 * Return: 0, ERR_NOENT (the pack is missing), ERR_CORRUPT, ERR_UNREACHABLE, ERR_IO, ERR_DENIED;
 * each names the pack.  A failure is remembered for a second, so that a dead store isn't hammered.
 */
MUST_CHECK int transfer_header(struct transfer *t, const struct pack_source *source,
			       const struct pack_header **ret, struct err *err);
void transfer_header_put(struct transfer *t, const struct pack_header *h);

/**
 * transfer_read - bytes [off, off + len) of a pack's body, checked.
 * @len: at most SEGMENT_STORED_MAX
 * @ret: replaced; exactly @len bytes, or empty on failure
 *
 * Return: as transfer_header; ERR_CORRUPT also for a range outside the body.
 * Threads: any.
 */
MUST_CHECK int transfer_read(struct transfer *t, const struct pack_source *source, uint64_t off,
			     size_t len, struct buf *ret, struct err *err);

/* Reads into the block memory ahead of need, in the background; never blocks; may be dropped. */
void transfer_prefetch(struct transfer *t, const struct pack_source *source, uint64_t off,
		       uint64_t len);

/**
 * transfer_window - how many stored bytes a forward reader should have asked for ahead.
 *
 * Twice to three times what the link holds by what was measured, at most half the memory.
 * Return: bytes; 0 for a local store, which has no round trip to hide.
 */
uint64_t transfer_window(struct transfer *t);
/* The most that can be kept of what was fetched ahead and isn't used yet; 0 for a local store. */
uint64_t transfer_room(const struct transfer *t);
/* How many blocks one request brings at most. */
uint32_t transfer_request_blocks(const struct transfer *t);
/* Waits until nothing is being fetched, or put into the cache. */
void transfer_settle(struct transfer *t);

void transfer_stats_get(struct transfer *t, struct transfer_stats *ret);

#endif /* TILLFS_TRANSFER_H */
