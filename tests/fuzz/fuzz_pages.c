/*
 * fuzz_pages.c - b-trees of two versions of a database: the halves of the input.
 */
#include "records/page_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint8_t sum; /* so that the reads below happen */

#define ROOTS 4 /* pages 1 … ROOTS are tried as roots */

static int
read_bytes(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	(void)err;
	memcpy(p, (const uint8_t *)arg + off, len);
	return 0;
}

static void
mark_differences(struct page_pair *p, const uint8_t *old, const uint8_t *new, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (old[i] != new[i])
			page_pair_mark(p, i, 1);
}

/* Everything that a range promises to be there is read. */
static void
use(struct page_pair *p, int64_t old_root, int64_t new_root, enum page_side side)
{
	CLEANUP(freep) struct rowid_range *rows = NULL;
	struct key_ranges keys = {0};
	size_t n;

	if (page_pair_rows(p, old_root, new_root, side, &rows, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			sum ^= (uint8_t)(rows[i].first ^ rows[i].last);
	if (page_pair_keys(p, old_root, new_root, side, 2, &keys, NULL) == 0)
		for (size_t i = 0; i < keys.n; i++)
			for (unsigned k = 0; k < 2; k++)
				for (size_t at = 0; at < keys.v[i].last[k].b.len; at++)
					sum ^= keys.v[i].last[k].b.p[at];
	key_ranges_fini(&keys);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(page_pair_closep) struct page_pair *p = NULL;
	size_t half = len / 2;
	const struct db_source old = {half, read_bytes, (void *)data};
	const struct db_source new = {len - half, read_bytes, (void *)(data + half)};
	const int64_t roots[] = {2, 3, 4};

	if (page_pair_new(&old, &new, &p, NULL) < 0)
		return 0;
	mark_differences(p, data, data + half, half);
	for (size_t n = 0; n < 2; n++) {
		for (int64_t root = 1; root <= ROOTS; root++) {
			use(p, root, root, PAGE_OLD);
			use(p, root, root % ROOTS + 1, PAGE_NEW);
		}
		if (page_pair_account(p, roots, n == 0 ? ARRAY_LEN(roots) : 0, NULL) < 0)
			break;
	}
	return 0;
}
