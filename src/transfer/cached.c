/*
 * cached.c - the cache on disk, asked before the store.
 *
 * What it gives is checked like what the store gives; what fails is dropped there and fetched.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

static struct diskcache_pack
pack_of(const struct remote *m)
{
	return (struct diskcache_pack){.id = m->source.id,
				       .object_len = m->source.object_len,
				       .header_len = m->source.header_len};
}

/* ---- headers */

bool
cached_header(struct transfer *t, const struct remote *m, struct buf *ret)
{
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	struct diskcache_pack p = pack_of(m);

	return t->cache != NULL && diskcache_header_get(t->cache, &p, ret) &&
	       header_check(m, buf_slice(ret), &h, NULL) == 0;
}

/* Has the header ready if the cache has it, so that no request brings it once more. */
static void
take_header(struct transfer *t, struct remote *m)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	bool mine;

	pthread_mutex_lock(&t->lock);
	mine = header_claim_locked(m);
	pthread_mutex_unlock(&t->lock);
	if (!mine)
		return;
	if (cached_header(t, m, &bytes))
		(void)!header_publish(t, m, 0, buf_slice(&bytes), NULL); /* it was checked */
	else
		header_unclaim(t, m);
}

void
cached_header_keep(struct transfer *t, const struct remote *m, struct slice bytes)
{
	struct diskcache_pack p = pack_of(m);

	if (t->cache != NULL)
		diskcache_header_put(t->cache, &p, bytes);
}

/* ---- runs */

/* A bit for each block of [from, to). */
static uint64_t
bits(uint32_t from, uint32_t to)
{
	uint64_t below = to < 64 ? (UINT64_C(1) << to) - 1 : UINT64_MAX;

	return below & ~((UINT64_C(1) << from) - 1);
}

bool
cached_has(struct transfer *t, const struct run *run)
{
	struct diskcache_pack p = pack_of(run->remote);

	return t->cache != NULL && run->n <= DISKCACHE_RUN_MAX &&
	       diskcache_blocks_has(t->cache, &p, run->first, run->n) == bits(0, run->n);
}

/* Reads blocks of a run from the cache and checks them.  Return: those that are good. */
static uint64_t
get_good(struct transfer *t, struct run *run)
{
	struct diskcache_pack p = pack_of(run->remote);
	uint64_t got = diskcache_blocks_get(t->cache, &p, run->first, run->n, run->bytes.p);
	uint64_t bad = bad_blocks(run, got);

	if (bad != 0)
		diskcache_blocks_drop(t->cache, &p, run->first, bad);
	return got & ~bad;
}

/* Fetches blocks [from, to) of a run, counted from its first, into their place.  What the store
 * doesn't have of them stays zero. */
static int
fetch_stretch(struct transfer *t, struct run *run, uint32_t from, uint32_t to, uint64_t deadline,
	      struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	const struct remote *m = run->remote;
	uint64_t at = (uint64_t)from * PACK_BLOCK_LEN;
	uint64_t len =
		(uint64_t)(to - 1 - from) * PACK_BLOCK_LEN + block_len(m, run->first + to - 1);
	int r = fetch_range(t, m, m->source.header_len + (uint64_t)run->first * PACK_BLOCK_LEN + at,
			    len, deadline, &bytes, err);

	if (r < 0)
		return r;
	memset(run->bytes.p + at, 0, (size_t)len);
	memcpy(run->bytes.p + at, bytes.p, (size_t)min_u64(bytes.len, len));
	return 0;
}

/* The end of the stretch of equal bits that begins at @i. */
static uint32_t
stretch_end(uint64_t which, uint32_t i, uint32_t n)
{
	uint32_t end = i + 1;

	while (end < n && (which >> end & 1) == (which >> i & 1))
		end++;
	return end;
}

/* Fetches what isn't @good.  A failure ends it: the rest is lacking.  Return: what was fetched. */
static uint64_t
fetch_missing(struct transfer *t, struct run *run, uint64_t good, uint64_t deadline)
{
	struct err err = ERR_INIT;
	uint64_t fetched = 0;

	for (uint32_t i = 0, end; i < run->n; i = end) {
		end = stretch_end(good, i, run->n);
		if (good >> i & 1)
			continue;
		if (fetch_stretch(t, run, i, end, deadline, &err) < 0) {
			run->lacking = failure_new(&err);
			break;
		}
		fetched |= bits(i, end);
	}
	return fetched & ~bad_blocks(run, fetched);
}

static void
keep(struct transfer *t, const struct run *run, uint64_t which)
{
	struct diskcache_pack p = pack_of(run->remote);

	diskcache_blocks_put(t->cache, &p, run->first, run->n, which, run->bytes.p + run->skip);
}

int
cached_run(struct transfer *t, struct run *run, uint64_t deadline, struct err *err)
{
	struct remote *m = run->remote;
	struct diskcache_pack p = pack_of(m);
	uint64_t good, fresh;
	int r;

	if (t->cache == NULL || run->n > DISKCACHE_RUN_MAX)
		return CACHED_NOTHING;
	if (diskcache_blocks_has(t->cache, &p, run->first, run->n) == 0) {
		diskcache_count_missed(t->cache, run->n);
		take_header(t, m);
		return CACHED_NOTHING;
	}
	r = header_need(t, m, deadline, err);
	if (r < 0)
		return r;
	run->skip = 0;
	(void)buf_extend(&run->bytes, (size_t)(run->n - 1) * PACK_BLOCK_LEN +
					      block_len(m, run->first + run->n - 1));
	good = get_good(t, run);
	fresh = fetch_missing(t, run, good, deadline);
	if (run->lacking == NULL && (good | fresh) != bits(0, run->n)) /* damaged on the way? */
		fresh |= fetch_missing(t, run, good | fresh, deadline);
	run->bad = bits(0, run->n) & ~good & ~fresh;
	keep(t, run, fresh);
	pthread_mutex_lock(&t->lock);
	t->stats.blocks_from_disk += (unsigned)__builtin_popcountll(good);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

void
cached_run_keep(struct transfer *t, const struct run *run)
{
	if (t->cache != NULL && run->n <= DISKCACHE_RUN_MAX)
		keep(t, run, bits(0, run->n) & ~run->bad);
}
