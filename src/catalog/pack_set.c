/*
 * pack_set.c - sorted sets of pack numbers.
 *
 * Layer 4.
 */
#include "tillfs/catalog.h"

void
pack_set_add(struct pack_set *s, uint32_t pack)
{
	size_t lo = 0, hi = s->n;

	/* Mostly the newest pack, which is the largest number. */
	if (s->n > 0 && s->v[s->n - 1] < pack)
		lo = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid] < pack)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < s->n && s->v[lo] == pack)
		return;
	array_reserve(s->v, s->n, s->cap);
	memmove(s->v + lo + 1, s->v + lo, (s->n - lo) * sizeof *s->v);
	s->v[lo] = pack;
	s->n++;
}

void
pack_set_merge(struct pack_set *to, const struct pack_set *from)
{
	for (size_t i = 0; i < from->n; i++)
		pack_set_add(to, from->v[i]);
}

void
pack_set_fini(struct pack_set *s)
{
	free(s->v);
	*s = (struct pack_set){0};
}
