/*
 * chunker.h - where to cut a file: content-defined (FastCDC) or at a database's page size.
 *
 * The gear table is drawn from the class's hash key, so that cut positions can't be predicted by
 * who doesn't hold it.  Sizes are settled by measurement (docs/measurements.md).
 *
 * Content-defined cuts, exactly.  The gear table's numbers 4i … 4i+3 are the little-endian u64 of
 * KDF(hash key, "tillfs gear", u32(i)), for i = 0 … 63.  Let h(n) be the sum of gear[data[n-1-k]] ·
 * 2^k over k = 0 … 63, modulo 2^64, for bytes at n-1-k >= max(min, 64) - 64, counted from the last
 * cut: a hash of the 64 bytes before n.  The cut is after n bytes, n being the least with
 *
 *	min < n <= avg and h(n) < 2^64 / (4 avg),  or
 *	avg < n <= max and h(n) < 2^64 / (avg / 4),
 *
 * else after max bytes, or where the file ends.  A file's cuts are nobody's business but its
 * writer's (references carry every length), so a reader needs none of this.
 *
 * Layer 1: uses base, seal.  Source: Xia et al., "FastCDC", USENIX ATC 2016 (normalised chunking,
 * level 2).
 */
#ifndef TILLFS_CHUNKER_H
#define TILLFS_CHUNKER_H

#include "tillfs/base.h"
#include "tillfs/seal.h"

#define CHUNK_MAX (256u * KIB)

struct chunker_sizes {
	uint32_t min, avg, max; /* avg a power of two; max <= CHUNK_MAX */
};

struct chunker; /* a gear table and sizes; immutable, any thread */

struct chunker *chunker_new(const struct seal_key *hash_key);
void chunker_free(struct chunker *c);
DEFINE_FREEP(struct chunker *, chunker_free)

/* The sizes for a file of this length: 16/64/256 KiB, above 16 GiB 64/128/256 KiB. */
struct chunker_sizes chunker_sizes_for(uint64_t file_len);

/**
 * chunker_cut - the length of the first chunk of @data.
 * @data: the bytes from the last cut on; at least sizes.max of them unless the file ends there
 *
 * Return: 1 … min(data.len, sizes.max); data.len when data.len <= sizes.min.
 * Cost: about 3 GB/s.  Threads: any.
 */
size_t chunker_cut(const struct chunker *c, struct chunker_sizes sizes, struct slice data);

/**
 * chunker_page_size - the page size at which to cut a database file, or 0 for content-defined.
 * @head: the file's first bytes, at least 100 where the file has them
 * @file_len: the file's length
 *
 * Knows SQLite (its header), InnoDB tablespaces (16 KiB pages: page number 0, type FSP_HDR, length
 * a multiple) and PostgreSQL heap files (8 KiB: a page header with that size and layout version 4).
 * SQLite pages below 4 KiB are cut in multiples that make 4 KiB.
 */
uint32_t chunker_page_size(struct slice head, uint64_t file_len);

#endif /* TILLFS_CHUNKER_H */
