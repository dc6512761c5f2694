/*
 * days.c - a mount of a distant repository with many snapshots: on which dates there are some is
 * known after two round trips, their names only after listing them all.
 *
 * What is told here before the whole list is judged by the ledger alone.  Gaps, forks, copies and
 * what others saw are found when the whole list is there.
 *
 * Layer 3.
 */
#include "internal.h"

/* The date of snapshots/<writer>/<date>/, if its writer is enrolled.  Under lock. */
static bool
date_of(const struct repo *r, const struct key_prefix *folder, struct date *ret)
{
	const char *writer = folder->s + strlen(SNAPSHOTS_PREFIX);
	size_t len = strlen(folder->s);
	struct writer_id id;

	return len == strlen(SNAPSHOTS_PREFIX) + 2 * sizeof id + 1 + 11 &&
	       hex_parse(slice_of(writer, 2 * sizeof id), &id, sizeof id) &&
	       ledger_find_writer(&r->ledger.state, &id) != NULL &&
	       date_parse(slice_of(folder->s + len - 11, 10), ret);
}

static int
date_cmp(const void *a, const void *b)
{
	const struct date *x = a, *y = b;

	return (x->days > y->days) - (x->days < y->days);
}

bool
repo_is_listed(struct repo *r)
{
	bool ret;

	pthread_mutex_lock(&r->lock);
	ret = r->days == NULL;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void
days_end(struct repo *r)
{
	struct snapshot_days *old;

	pthread_mutex_lock(&r->lock);
	old = steal_ptr(&r->days);
	pthread_mutex_unlock(&r->lock);
	snapshot_days_free(old);
}

void
repo_dates(struct repo *r, struct date **ret, size_t *ret_n)
{
	struct date *v;
	size_t n = 0, total = 0;

	pthread_mutex_lock(&r->lock);
	if (r->days != NULL)
		total = r->days->dates.n;
	v = mem_array(total + 1, sizeof *v);
	for (size_t i = 0; i < total; i++)
		if (date_of(r, &r->days->dates.v[i], &v[n]))
			n++;
	pthread_mutex_unlock(&r->lock);

	if (n > 0)
		qsort(v, n, sizeof *v, date_cmp);
	*ret = v;
	*ret_n = 0;
	for (size_t i = 0; i < n; i++)
		if (i == 0 || v[i].days != v[i - 1].days)
			v[(*ret_n)++] = v[i];
}

/* The folders of a date, of all writers. */
static void
folders_of(struct repo *r, struct date date, struct key_prefixes *ret)
{
	struct date found;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; r->days != NULL && i < r->days->dates.n; i++) {
		if (!date_of(r, &r->days->dates.v[i], &found) || found.days != date.days)
			continue;
		array_reserve(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = r->days->dates.v[i];
	}
	pthread_mutex_unlock(&r->lock);
}

int
repo_list_of_date(struct repo *r, struct date date, struct repo_list **ret, struct err *err)
{
	CLEANUP(key_prefixes_fini) struct key_prefixes folders = {0};
	CLEANUP(snapshot_names_fini) struct snapshot_names names = {0};
	int k;

	*ret = NULL;
	folders_of(r, date, &folders);
	k = snapshots_below(r, &folders, &names, err);
	if (k < 0)
		return err_add(err, k, "listing the snapshots of %s", date_format(date).s);
	*ret = list_of_names(r, &names);
	return 0;
}
