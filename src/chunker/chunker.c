/*
 * chunker.c - FastCDC with a keyed gear table.  The algorithm, exactly, is in chunker.h.
 *
 * Layer 1.
 */
#include "tillfs/chunker.h"

#define WINDOW 64u /* a shift a byte: after 64, a byte has left the hash */

struct chunker {
	uint64_t gear[256];
};

static uint64_t
load_u64le(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

struct chunker *
chunker_new(const struct seal_key *hash_key)
{
	struct chunker *c = mem_alloc(sizeof(*c));
	CLEANUP(seal_key_wipe) struct seal_key four = {0};

	for (uint32_t i = 0; i < 64; i++) {
		uint8_t counter[4] = {(uint8_t)i, 0, 0, 0};

		seal_derive(hash_key, "tillfs gear", slice_of(counter, sizeof(counter)), &four);
		for (unsigned j = 0; j < 4; j++)
			c->gear[4 * i + j] = load_u64le(four.b + 8 * j);
	}
	return c;
}

void
chunker_free(struct chunker *c)
{
	if (c != NULL)
		seal_wipe(c, sizeof(*c)); /* who knows the table can predict the cuts */
	free(c);
}

struct chunker_sizes
chunker_sizes_for(uint64_t file_len)
{
	if (file_len > UINT64_C(16) << 30)
		return (struct chunker_sizes){64 * KIB, 128 * KIB, 256 * KIB};
	return (struct chunker_sizes){16 * KIB, 64 * KIB, 256 * KIB};
}

/*
 * Rolls *@fp over p[from … to) until it falls below @limit: the top bits of it are zero.
 * Returns the index behind that byte, or 0.
 */
static size_t
roll_until_below(const struct chunker *c, const uint8_t *p, size_t from, size_t to, uint64_t limit,
		 uint64_t *fp)
{
	uint64_t h = *fp;

	for (size_t i = from; i < to; i++) {
		h = (h << 1) + c->gear[p[i]];
		if (h < limit)
			return i + 1;
	}
	*fp = h;
	return 0;
}

size_t
chunker_cut(const struct chunker *c, struct chunker_sizes sizes, struct slice data)
{
	unsigned bits = (unsigned)__builtin_ctz(sizes.avg);
	size_t end = (size_t)min_u64(data.len, sizes.max);
	size_t normal = (size_t)min_u64(end, sizes.avg);
	size_t warm = sizes.min > WINDOW ? sizes.min - WINDOW : 0;
	uint64_t fp = 0;
	size_t cut;

	if (data.len <= sizes.min)
		return data.len;

	/* Whether a place is a cut depends on the 64 bytes before it only, not on the last cut. */
	(void)roll_until_below(c, data.p, warm, sizes.min, 0, &fp);

	/* Normalised: rarer cuts before the average size, more frequent ones after it. */
	cut = roll_until_below(c, data.p, sizes.min, normal, UINT64_C(1) << (64 - bits - 2), &fp);
	if (cut == 0)
		cut = roll_until_below(c, data.p, (size_t)max_u64(normal, sizes.min), end,
				       UINT64_C(1) << (64 - bits + 2), &fp);
	return cut != 0 ? cut : end;
}
