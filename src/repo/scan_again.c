/*
 * scan_again.c - what is new among a distant store's many snapshots, without all their names again.
 *
 * The dates of all writers are listed, and then the names of those dates only that weren't there
 * before, and of each writer's latest ones.  A snapshot that comes into an older date, from a till
 * whose clock was wrong, or goes from one is noticed with the next listing of everything, at most
 * an hour later.
 *
 * Layer 3.
 */
#include "internal.h"

#include <stdio.h>

#define LATEST   2u  /* dates of a writer in which something may still come */
#define WORTH_IT 64u /* names that a request must spare: a page has a thousand */
#define VALID_MS (3600u * 1000u)

static size_t
count_writers(const struct snapshot_names *names)
{
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		n += i == 0 || !writer_id_equal(&names->v[i].writer, &names->v[i - 1].writer);
	return n;
}

void
scan_remember(struct repo *r, const struct snapshot_names *names, bool whole)
{
	snapshot_names_fini(&r->remembered);
	if (!r->distant || names->n < 1000 ||
	    names->n / WORTH_IT < 1 + count_writers(names) * (1 + LATEST))
		return;
	r->remembered.v = mem_copy(names->v, names->n * sizeof *names->v);
	r->remembered.n = r->remembered.cap = names->n;
	if (whole)
		r->listed_at_ms = time_monotonic_ms();
}

bool
scan_may_go_on(const struct repo *r)
{
	return r->remembered.n > 0 && time_monotonic_ms() - r->listed_at_ms < VALID_MS;
}

/* ---- folders ---- */

static struct key_prefix
folder_of(const struct snapshot_name *name)
{
	struct key_prefix p;

	(void)snprintf(p.s, sizeof p.s, SNAPSHOTS_PREFIX "%s/%s/",
		       hex_bytes(&name->writer, sizeof name->writer).s, date_format(name->date).s);
	return p;
}

static int
folder_cmp(const void *a, const void *b)
{
	return strcmp(((const struct key_prefix *)a)->s, ((const struct key_prefix *)b)->s);
}

static bool
folders_have(const struct key_prefixes *sorted, const struct key_prefix *p)
{
	return sorted->n > 0 &&
	       bsearch(p, sorted->v, sorted->n, sizeof *sorted->v, folder_cmp) != NULL;
}

static void
folders_of_names(const struct snapshot_names *names, struct key_prefixes *ret)
{
	ret->v = mem_array(names->n + 1, sizeof *ret->v);
	ret->n = ret->cap = names->n;
	for (size_t i = 0; i < names->n; i++)
		ret->v[i] = folder_of(&names->v[i]);
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof *ret->v, folder_cmp);
}

/* Whether the @i-th date is among its writer's latest; they ascend, writer by writer. */
static bool
is_late(const struct key_prefixes *dates, size_t i)
{
	size_t writer_len = strlen(SNAPSHOTS_PREFIX) + 2 * sizeof(struct writer_id) + 1;

	return i + LATEST >= dates->n ||
	       strncmp(dates->v[i].s, dates->v[i + LATEST].s, writer_len) != 0;
}

static void
choose_folders(const struct key_prefixes *dates, const struct key_prefixes *known,
	       struct key_prefixes *ret)
{
	for (size_t i = 0; i < dates->n; i++) {
		if (!is_late(dates, i) && folders_have(known, &dates->v[i]))
			continue;
		array_reserve(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = dates->v[i];
	}
}

/* ---- the whole ---- */

int
snapshots_list_again(struct repo *r, struct snapshot_names *ret, struct err *err)
{
	CLEANUP(snapshot_days_freep) struct snapshot_days *days = NULL;
	CLEANUP(key_prefixes_fini) struct key_prefixes known = {0};
	CLEANUP(key_prefixes_fini) struct key_prefixes chosen = {0};
	int k = snapshots_writers(r, &days, err);

	if (k == 0)
		k = snapshots_dates(r, days, err);
	if (k < 0)
		return k;
	folders_of_names(&r->remembered, &known);
	choose_folders(&days->dates, &known, &chosen);
	for (size_t i = 0; i < r->remembered.n; i++) {
		struct key_prefix folder = folder_of(&r->remembered.v[i]);

		if (!folders_have(&days->dates, &folder) || folders_have(&chosen, &folder))
			continue;
		array_reserve(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = r->remembered.v[i];
	}
	return snapshots_below(r, &chosen, ret, err);
}
