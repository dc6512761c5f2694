/*
 * fetch.c - reading a whole footprint, so that the cache has it.
 *
 * One thread asks, a few requests ahead; the transfer's threads fetch.  Every byte passes its check
 * once more, also what was cached before.
 *
 * Layer 4.
 */
#include "footprint/internal.h"

#define PIECE_BLOCKS 4u /* of one read */
#define AHEAD_BYTES  (UINT64_C(12) * MIB)

/* A stretch of blocks that are needed. */
struct stretch {
	size_t pack;
	uint32_t first, end;
};

/* The next stretch at or behind a place.  False at the end. */
static bool
next_stretch(const struct footprint *f, size_t pack, uint32_t from, struct stretch *ret)
{
	for (; pack < f->n; pack++, from = 0) {
		const struct diskcache_blocks *b = &f->packs[pack];
		uint32_t n = blocks_of(&b->pack);

		while (from < n && !needs_block(b, from))
			from++;
		if (from == n)
			continue;
		*ret = (struct stretch){pack, from, from};
		while (ret->end < n && needs_block(b, ret->end))
			ret->end++;
		return true;
	}
	return false;
}

/* What lies between two blocks of a pack. */
static uint64_t
span_bytes(const struct diskcache_pack *p, uint32_t first, uint32_t end)
{
	return (uint64_t)(end - 1 - first) * PACK_BLOCK_LEN + block_bytes(p, end - 1);
}

struct fetching {
	const struct footprint *f;
	struct transfer *t;
	const struct progress_sink *sink;
	struct progress progress;
	uint64_t asked; /* bytes that were asked for ahead */
	size_t pack;    /* where asking goes on */
	uint32_t from;
};

/* Asks for what comes next, until enough is asked for. */
static void
ask_ahead(struct fetching *x)
{
	struct stretch s;

	while (x->asked < x->progress.bytes_done + AHEAD_BYTES &&
	       next_stretch(x->f, x->pack, x->from, &s)) {
		const struct diskcache_blocks *b = &x->f->packs[s.pack];
		struct pack_source source = source_of(b);
		uint32_t end = (uint32_t)min_u64(s.end, s.first + transfer_request_blocks(x->t));

		transfer_prefetch(x->t, &source, (uint64_t)s.first * PACK_BLOCK_LEN,
				  span_bytes(&b->pack, s.first, end));
		x->asked += span_bytes(&b->pack, s.first, end);
		x->pack = s.pack;
		x->from = end;
	}
}

static int
read_stretch(struct fetching *x, const struct stretch *s, struct err *err)
{
	const struct diskcache_blocks *b = &x->f->packs[s->pack];
	struct pack_source source = source_of(b);
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

	for (uint32_t at = s->first; at < s->end; at += PIECE_BLOCKS) {
		uint32_t end = (uint32_t)min_u64(s->end, at + PIECE_BLOCKS);
		uint64_t len = span_bytes(&b->pack, at, end);
		int r;

		if (progress_cancelled(x->sink))
			return err_set(err, ERR_CANCELLED, "interrupted");
		ask_ahead(x);
		r = transfer_read(x->t, &source, (uint64_t)at * PACK_BLOCK_LEN, (size_t)len, &bytes,
				  err);
		if (r < 0)
			return r;
		x->progress.bytes_done += len;
		progress_report(x->sink, &x->progress);
	}
	return 0;
}

/* Whether the cache has all of it now. */
static int
check_kept(const struct footprint *f, struct diskcache *cache, struct err *err)
{
	uint64_t lacking = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct diskcache_blocks *b = &f->packs[i];
		CLEANUP(buf_fini) struct buf header = BUF_INIT;

		for (uint32_t at = 0; at < blocks_of(&b->pack); at += 64) {
			uint32_t n = (uint32_t)min_u64(64, blocks_of(&b->pack) - at);
			uint64_t has = diskcache_blocks_has(cache, &b->pack, at, n);

			lacking += (uint64_t)__builtin_popcountll(b->map[at / 64] & ~has);
		}
		lacking += !diskcache_header_get(cache, &b->pack, &header);
	}
	if (lacking == 0)
		return 0;
	return err_set(err, ERR_NOSPACE,
		       "the cache didn't keep %llu of the blocks: is its disk full, or may it not "
		       "be written?",
		       (unsigned long long)lacking);
}

int
footprint_fetch(const struct footprint *f, struct transfer *t, struct diskcache *cache,
		const struct progress_sink *sink, struct err *err)
{
	struct fetching x = {.f = f, .t = t, .sink = sink, .progress = {.stage = "fetching"}};
	struct stretch s = {0};

	x.progress.bytes_total = f->stored;
	while (next_stretch(f, s.pack, s.end, &s)) {
		int r = read_stretch(&x, &s, err);

		if (r < 0)
			return r;
	}
	/* Blocks are kept a moment after they were given out. */
	transfer_settle(t);
	return check_kept(f, cache, err);
}
