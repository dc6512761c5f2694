/*
 * chunker.c - where to cut a file.
 *
 * FastCDC with normalised chunking: a rolling gear hash, h = (h << 1) + gear[byte], is compared
 * with a mask of more bits before the average size and of fewer behind it, so that most chunks come
 * out near the average.  The masks take the hash's high bits, which 64 bytes have a part in.
 *
 * Layer 1.
 */
#include "tillfs/chunker.h"

struct chunker {
	uint64_t gear[256];
};

struct chunker *
chunker_new(const struct seal_key *hash_key)
{
	struct chunker *c = mem_alloc(sizeof *c);

	for (uint32_t i = 0; i < 64; i++) {
		CLEANUP(seal_key_wipe) struct seal_key out;
		uint8_t counter[4] = {(uint8_t)i, 0, 0, 0};

		seal_derive(hash_key, "tillfs gear", slice_of(counter, sizeof counter), &out);
		for (size_t k = 0; k < 4; k++)
			for (size_t byte = 0; byte < 8; byte++)
				c->gear[i * 4 + k] |= (uint64_t)out.b[k * 8 + byte] << (8 * byte);
	}
	return c;
}

void
chunker_free(struct chunker *c)
{
	if (c == NULL)
		return;
	/* Who knows the gear can tell what cuts where. */
	seal_wipe(c, sizeof *c);
	free(c);
}

struct chunker_sizes
chunker_sizes_for(uint64_t file_len)
{
	if (file_len > UINT64_C(16) << 30)
		return (struct chunker_sizes){64 * KIB, 128 * KIB, 256 * KIB};
	return (struct chunker_sizes){16 * KIB, 64 * KIB, 256 * KIB};
}

static uint64_t
high_bits(unsigned n)
{
	return ~UINT64_C(0) << (64 - n);
}

/* Rolls on from @at to @end.  Return: where a cut is, or @end. */
static size_t
roll(const struct chunker *c, const uint8_t *p, size_t at, size_t end, uint64_t mask,
     uint64_t *hash)
{
	uint64_t h = *hash;

	while (at < end) {
		h = (h << 1) + c->gear[p[at++]];
		if ((h & mask) == 0)
			break;
	}
	*hash = h;
	return at;
}

size_t
chunker_cut(const struct chunker *c, struct chunker_sizes sizes, struct slice data)
{
	unsigned bits = (unsigned)__builtin_ctz(sizes.avg);
	size_t end = min_u64(data.len, sizes.max);
	size_t middle = min_u64(end, sizes.avg);
	uint64_t hash = 0;
	size_t at;

	if (end <= sizes.min)
		return end;
	at = roll(c, data.p, sizes.min, middle, high_bits(bits + 2), &hash);
	/* A match at the very middle is found again by the wider mask's test of the same hash. */
	if (at < middle || (hash & high_bits(bits + 2)) == 0)
		return at;
	return roll(c, data.p, at, end, high_bits(bits - 2), &hash);
}

/* ---- databases ---- */

static uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t
be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static uint32_t
sqlite_page(struct slice head)
{
	uint32_t page;

	if (head.len < 100 || memcmp(head.p, "SQLite format 3", 16) != 0)
		return 0;
	page = be16(head.p + 16);
	if (page == 1)
		page = 65536;
	if (page < 512 || (page & (page - 1)) != 0)
		return 0;
	return page < 4096 ? 4096 : page;
}

/* FIL header: checksum, page number 0 … page type 8 (FSP_HDR) at 24. */
static uint32_t
innodb_page(struct slice head, uint64_t file_len)
{
	if (head.len < 38 || file_len % (16 * KIB) != 0 || be32(head.p + 4) != 0 ||
	    be16(head.p + 24) != 8)
		return 0;
	return 16 * KIB;
}

/* Page header: pd_lower at 12, pd_upper, pd_special, then page size | layout version 4. */
static uint32_t
postgres_page(struct slice head, uint64_t file_len)
{
	uint32_t lower, upper, special, size_version;

	if (head.len < 24 || file_len % (8 * KIB) != 0)
		return 0;
	lower = head.p[12] | (uint32_t)head.p[13] << 8;
	upper = head.p[14] | (uint32_t)head.p[15] << 8;
	special = head.p[16] | (uint32_t)head.p[17] << 8;
	size_version = head.p[18] | (uint32_t)head.p[19] << 8;
	if (size_version != (8 * KIB | 4) || lower < 24 || lower > upper || upper > special ||
	    special > 8 * KIB)
		return 0;
	return 8 * KIB;
}

uint32_t
chunker_page_size(struct slice head, uint64_t file_len)
{
	uint32_t page = sqlite_page(head);

	if (page == 0)
		page = postgres_page(head, file_len);
	if (page == 0)
		page = innodb_page(head, file_len);
	return page;
}
