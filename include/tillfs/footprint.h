/*
 * footprint.h - which stored blocks a path of a snapshot needs: for pins, and for what a copy
 * costs.
 *
 * Measuring reads directories and the maps of large files, and no content.  What it reads is part
 * of the footprint, so it is noted on the way: the transfer must have been made with
 * footprint_watch_seen, and nothing else may read through it meanwhile.
 *
 * Layer 4: uses cache, transfer, reader, merge.
 */
#ifndef TILLFS_FOOTPRINT_H
#define TILLFS_FOOTPRINT_H

#include "tillfs/base.h"
#include "tillfs/cache.h"
#include "tillfs/merge.h"
#include "tillfs/transfer.h"

struct footprint_watch;

struct footprint_watch *footprint_watch_new(void);
void footprint_watch_free(struct footprint_watch *w);
DEFINE_FREEP(struct footprint_watch *, footprint_watch_free)
/* A transfer_seen_fn; @watch: a footprint_watch.  Threads: any. */
void footprint_watch_seen(void *watch, const struct pack_source *source, uint64_t off, size_t len);

struct footprint {
	struct diskcache_blocks *packs; /* ascending by id */
	size_t n;
	uint64_t files, folders, content; /* content: bytes as files have them */
	uint64_t stored;                  /* bytes of the blocks, and of the packs' headers */
};

/**
 * footprint_measure - what reading all of a path would read.
 * @watch: empty: whatever it has seen counts
 * @sink:  may be NULL
 * @ret:   owned by the caller (footprint_fini); empty on failure
 *
 * Return: 0, ERR_NOENT, ERR_CORRUPT, ERR_CANCELLED, or what fetching gives.
 */
MUST_CHECK int footprint_measure(struct footprint_watch *watch, struct reader *reader,
				 const struct repo_opened *opened, struct slice path,
				 const struct progress_sink *sink, struct footprint *ret,
				 struct err *err);
void footprint_fini(struct footprint *f);

/**
 * footprint_fetch - read all of it through a transfer with a cache.
 * Return: 0, ERR_CANCELLED, ERR_NOSPACE when the cache didn't keep it all, or what fetching gives.
 */
MUST_CHECK int footprint_fetch(const struct footprint *f, struct transfer *t,
			       struct diskcache *cache, const struct progress_sink *sink,
			       struct err *err);

/* What a copy would fetch now. */
struct footprint_cost {
	uint64_t bytes, requests; /* from the store; the fewest requests that it takes */
	uint64_t cached;          /* bytes that are in the cache */
};
/* @cache: NULL: nothing is cached. */
void footprint_cost(const struct footprint *f, const struct transfer *t, struct diskcache *cache,
		    struct footprint_cost *ret);

#endif /* TILLFS_FOOTPRINT_H */
