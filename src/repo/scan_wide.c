/*
 * scan_wide.c - the keys under snapshots/ of a distant store, in few round trips however many
 * there are.
 *
 * A listing comes in pages, one after the other.  So the first page is asked for together with the
 * names of the writers' folders; where it isn't all, the folders' dates are next, and then many
 * pages at once: a writer, a year, a month or a day each, as coarse as fits into a page or two.
 *
 * Layer 3.  Format: docs/format.md section 2.
 */
#include "internal.h"

#include <stdio.h>

/* Keys of the first page, less the one that tells of more: a second page is a round trip. */
#define FIRST_MAX  999u
#define PAGES_KEYS 2000u /* keys that a part may have by estimate */
#define THREADS    16u
#define STOP       1 /* what ends a listing: no error */

void
key_prefixes_fini(struct key_prefixes *p)
{
	free(p->v);
	*p = (struct key_prefixes){0};
}

static void
prefix_add(struct key_prefixes *p, const char *text, size_t len)
{
	array_reserve(p->v, p->n, p->cap);
	(void)snprintf(p->v[p->n++].s, sizeof p->v->s, "%.*s", (int)len, text);
}

/* One listing of several.  Parts are listed at the same time and put together in order. */
struct part {
	struct key_prefix prefix;
	bool folders; /* the names of folders, not of snapshots */
	size_t max;   /* snapshots after which to stop; 0: none */
	struct snapshot_names names;
	struct key_prefixes below;
	bool stopped;
	int code;
	struct err err;
};
struct parts {
	struct repo *repo;
	struct part *v;
	size_t n;
};

static void
parts_fini(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++) {
		snapshot_names_fini(&p->v[i].names);
		key_prefixes_fini(&p->v[i].below);
	}
	free(p->v);
}

static int
collect_folder(void *arg, const struct store_entry *entry, struct err *err)
{
	struct key_prefixes *p = arg;

	(void)err;
	/* What isn't a writer's or a date's folder is told by the listing of names, or is empty. */
	if (!entry->is_prefix || strlen(entry->key) >= sizeof p->v->s)
		return 0;
	if (p->n < SNAPSHOT_KEYS_MAX)
		prefix_add(p, entry->key, strlen(entry->key));
	return 0;
}

struct limited {
	struct snapshot_collector c;
	const struct part *part;
};

static int
collect_limited(void *arg, const struct store_entry *entry, struct err *err)
{
	struct limited *l = arg;

	if (l->part->max > 0 && l->part->names.n >= l->part->max)
		return STOP;
	return snapshot_collect(&l->c, entry, err);
}

static void
list_part(void *arg, size_t i)
{
	struct parts *parts = arg;
	struct part *p = &parts->v[i];
	struct limited l = {.c = {.repo = parts->repo, .names = &p->names}, .part = p};

	p->code = p->folders ? store_list(parts->repo->store, p->prefix.s, true, collect_folder,
					  &p->below, &p->err)
			     : store_list(parts->repo->store, p->prefix.s, false, collect_limited,
					  &l, &p->err);
	p->stopped = p->code == STOP;
	if (p->stopped)
		p->code = 0;
}

static int
part_failed(const struct part *p, struct err *err)
{
	if (err != NULL)
		*err = p->err;
	return p->code;
}

static int
list_parts(struct parts *p, struct err *err)
{
	tasks_run(p->n, THREADS, list_part, p);
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].code < 0)
			return part_failed(&p->v[i], err);
	return 0;
}

static struct part
part_of(const char *prefix, size_t len, bool folders)
{
	struct part p = {.folders = folders};

	(void)snprintf(p.prefix.s, sizeof p.prefix.s, "%.*s", (int)len, prefix);
	return p;
}

/* ---- how to divide ---- */

/* The length of the prefix that @level leaves of snapshots/<writer>/2026-11-20/. */
static size_t
level_len(const char *date_folder, unsigned level)
{
	static const size_t cut[] = {11, 6, 3, 0}; /* writer, year, month, day */
	size_t len = strlen(date_folder);

	return len > cut[level] ? len - cut[level] : len;
}

/* Of date folders of one writer: the most that share a prefix of that level. */
static size_t
most_together(const struct key_prefix *dates, size_t n, unsigned level)
{
	size_t most = 0, together = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = level_len(dates[i].s, level);
		bool same = i > 0 && strncmp(dates[i].s, dates[i - 1].s, len) == 0;

		together = same ? together + 1 : 1;
		most = max_u64(most, together);
	}
	return most;
}

/* The parts of a writer's dates; @per_date: snapshots to expect of each. */
static void
divide_writer(const struct key_prefix *dates, size_t n, size_t per_date, struct key_prefixes *ret)
{
	unsigned level = 0;

	while (level < 3 && most_together(dates, n, level) * per_date > PAGES_KEYS)
		level++;
	for (size_t i = 0; i < n; i++) {
		size_t len = level_len(dates[i].s, level);

		if (i == 0 || strncmp(dates[i].s, dates[i - 1].s, len) != 0)
			prefix_add(ret, dates[i].s, len);
	}
}

static void
divide(const struct snapshot_days *days, struct key_prefixes *ret)
{
	const struct key_prefix *v = days->dates.v;

	for (size_t end, i = 0; i < days->dates.n; i = end) {
		size_t len = level_len(v[i].s, 0);

		for (end = i + 1; end < days->dates.n; end++)
			if (strncmp(v[end].s, v[i].s, len) != 0)
				break;
		divide_writer(&v[i], end - i, days->per_date, ret);
	}
}

/* Snapshots a date in the first page. */
static size_t
density(const struct snapshot_names *first)
{
	size_t dates = 1;

	for (size_t i = 1; i < first->n; i++)
		dates += first->v[i].date.days != first->v[i - 1].date.days ||
			 !writer_id_equal(&first->v[i].writer, &first->v[i - 1].writer);
	return first->n / dates + 1;
}

/* ---- the whole ---- */

void
snapshot_days_free(struct snapshot_days *d)
{
	if (d == NULL)
		return;
	key_prefixes_fini(&d->writers);
	key_prefixes_fini(&d->dates);
	free(d);
}

int
snapshots_writers(struct repo *r, struct snapshot_days **ret, struct err *err)
{
	*ret = mem_alloc(sizeof **ret);
	(*ret)->per_date = 1;
	return store_list(r->store, SNAPSHOTS_PREFIX, true, collect_folder, &(*ret)->writers, err);
}

int
snapshots_dates(struct repo *r, struct snapshot_days *days, struct err *err)
{
	CLEANUP(parts_fini) struct parts dates = {.repo = r};
	int k;

	dates.v = mem_array(days->writers.n, sizeof *dates.v);
	dates.n = days->writers.n;
	for (size_t i = 0; i < dates.n; i++)
		dates.v[i] = part_of(days->writers.v[i].s, strlen(days->writers.v[i].s), true);
	k = list_parts(&dates, err);
	for (size_t i = 0; k == 0 && i < dates.n; i++)
		for (size_t j = 0; j < dates.v[i].below.n; j++)
			prefix_add(&days->dates, dates.v[i].below.v[j].s,
				   strlen(dates.v[i].below.v[j].s));
	return k;
}

int
snapshots_below(struct repo *r, const struct key_prefixes *prefixes, struct snapshot_names *ret,
		struct err *err)
{
	CLEANUP(parts_fini) struct parts all = {.repo = r};
	int k;

	all.v = mem_array(prefixes->n, sizeof *all.v);
	all.n = prefixes->n;
	for (size_t i = 0; i < prefixes->n; i++)
		all.v[i] = part_of(prefixes->v[i].s, strlen(prefixes->v[i].s), false);
	k = list_parts(&all, err);
	for (size_t i = 0; i < all.n && k == 0; i++) {
		const struct snapshot_names *part = &all.v[i].names;

		for (size_t j = 0; j < part->n; j++) {
			if (ret->n >= SNAPSHOT_KEYS_MAX)
				return err_set(err, ERR_CORRUPT, "there are more than %u snapshots",
					       SNAPSHOT_KEYS_MAX);
			array_reserve(ret->v, ret->n, ret->cap);
			ret->v[ret->n++] = part->v[j];
		}
	}
	return k;
}

int
snapshots_first(struct repo *r, struct snapshot_names *ret, struct snapshot_days **ret_days,
		struct err *err)
{
	CLEANUP(parts_fini) struct parts first = {.repo = r};
	struct part *page, *folders;

	*ret_days = NULL;
	first.v = mem_array(2, sizeof *first.v);
	first.n = 2;
	first.v[0] = part_of(SNAPSHOTS_PREFIX, strlen(SNAPSHOTS_PREFIX), false);
	first.v[0].max = FIRST_MAX;
	first.v[1] = part_of(SNAPSHOTS_PREFIX, strlen(SNAPSHOTS_PREFIX), true);
	tasks_run(first.n, THREADS, list_part, &first);

	page = &first.v[0];
	folders = &first.v[1];
	if (page->code < 0)
		return part_failed(page, err);
	if (!page->stopped) {
		*ret = page->names;
		page->names = (struct snapshot_names){0};
		return 0;
	}
	if (folders->code < 0)
		return part_failed(folders, err);
	*ret_days = mem_alloc(sizeof **ret_days);
	(*ret_days)->per_date = density(&page->names);
	(*ret_days)->writers = folders->below;
	folders->below = (struct key_prefixes){0};
	return 0;
}

static int
list_days(struct repo *r, const struct snapshot_days *days, struct snapshot_names *ret,
	  struct err *err)
{
	CLEANUP(key_prefixes_fini) struct key_prefixes parts = {0};

	divide(days, &parts);
	return snapshots_below(r, &parts, ret, err);
}

static int
list_in_parts(struct repo *r, struct snapshot_names *ret, struct err *err)
{
	CLEANUP(snapshot_days_freep) struct snapshot_days *days = NULL;
	int k;

	if (r->days != NULL)
		return list_days(r, r->days, ret, err);
	k = snapshots_first(r, ret, &days, err);
	if (k < 0 || days == NULL)
		return k;
	k = snapshots_dates(r, days, err);
	return k < 0 ? k : list_days(r, days, ret, err);
}

int
snapshots_list_wide(struct repo *r, struct snapshot_names *ret, struct err *err)
{
	struct snapshot_collector c = {.repo = r, .names = ret};
	int k = list_in_parts(r, ret, err);

	if (k != ERR_OFFLINE)
		return k;
	/* The cache was filled by who found the store near, and knows the whole listing only. */
	snapshot_names_fini(ret);
	return store_list(r->store, SNAPSHOTS_PREFIX, false, snapshot_collect, &c, err);
}
