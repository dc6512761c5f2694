/*
 * recover.c - packs that were overwritten in the storage, read as an older version.  No caller
 * tries this again, so that it takes the patient store.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

static bool
header_fits(void *arg, struct slice bytes)
{
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;

	return header_check(arg, bytes, &h, NULL) == 0;
}

bool
header_recover(struct transfer *t, struct remote *m, struct pack_header **ret)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct pack_key_text key = pack_object_key(&m->source.writer, &m->source.id);

	if (store_recover(t->patient, key.s, 0, m->source.header_len, header_fits, m, NULL) < 0 ||
	    store_get(t->patient, key.s, 0, m->source.header_len, &bytes, NULL) < 0)
		return false;
	m->recovered = true;
	return header_check(m, buf_slice(&bytes), ret, NULL) == 0;
}

struct block {
	const struct remote *m;
	uint32_t number;
};

static bool
block_fits(void *arg, struct slice bytes)
{
	const struct block *b = arg;

	return bytes.len == block_len(b->m, b->number) &&
	       pack_block_check(b->m->header, b->number, bytes, NULL) == 0;
}

bool
run_recover(struct transfer *t, const struct run *run)
{
	const struct remote *m = run->remote;
	struct pack_key_text key = pack_object_key(&m->source.writer, &m->source.id);
	struct block first = {m, run->first + (uint32_t)__builtin_ctzll(run->bad)};

	return store_recover(t->patient, key.s,
			     m->source.header_len + (uint64_t)first.number * PACK_BLOCK_LEN,
			     block_len(m, first.number), block_fits, &first, NULL) == 0;
}
