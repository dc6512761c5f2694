/*
 * hash_set.c - sorted sets of hashes: snapshots forgotten, packs retired, and the like.
 *
 * Layer 2.
 */
#include "internal.h"

static int
hash_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct hash));
}

bool
hash_set_has(const struct hash *set, size_t n, const struct hash *h)
{
	return n > 0 && bsearch(h, set, n, sizeof *set, hash_cmp) != NULL;
}

/* @hashes in ascending order; owned by the caller. */
static struct hash *
sorted(struct slice hashes, size_t *ret_n)
{
	struct hash *v = mem_copy(hashes.p, hashes.len);

	*ret_n = hashes.len / sizeof *v;
	qsort(v, *ret_n, sizeof *v, hash_cmp);
	return v;
}

void
hash_set_add(struct hash **set, size_t *n, struct slice hashes, int64_t **at, int64_t now)
{
	size_t n_new;
	CLEANUP(freep) struct hash *new = sorted(hashes, &n_new);
	struct hash *merged = mem_array(*n + n_new, sizeof *merged);
	int64_t *merged_at = at != NULL ? mem_array(*n + n_new, sizeof *merged_at) : NULL;
	size_t i = 0, j = 0, k = 0;

	while (i < *n || j < n_new) {
		/* What is in both comes from the set, so that it keeps its time. */
		bool old = j == n_new || (i < *n && hash_cmp(&(*set)[i], &new[j]) <= 0);
		const struct hash *h = old ? &(*set)[i] : &new[j];

		if (k == 0 || hash_cmp(&merged[k - 1], h) != 0) {
			if (at != NULL)
				merged_at[k] = old ? (*at)[i] : now;
			merged[k++] = *h;
		}
		if (old)
			i++;
		else
			j++;
	}
	free(*set);
	*set = merged;
	*n = k;
	if (at != NULL) {
		free(*at);
		*at = merged_at;
	}
}

void
hash_set_remove(struct hash *set, size_t *n, struct slice hashes, int64_t *at)
{
	size_t n_gone;
	CLEANUP(freep) struct hash *gone = sorted(hashes, &n_gone);
	size_t k = 0;

	for (size_t i = 0; i < *n; i++) {
		if (hash_set_has(gone, n_gone, &set[i]))
			continue;
		if (at != NULL)
			at[k] = at[i];
		set[k++] = set[i];
	}
	*n = k;
}
