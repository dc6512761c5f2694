/*
 * refresh.c - the calendar of the moment: replaced when there are new snapshots, with word to
 * whoever may have cached the old one; and the figures that statfs tells of it.
 */
#include "private.h"

/* How many snapshots one statfs may open to learn their counts; the rest come with later calls. */
#define STATFS_OPENS 8u

struct calendar *
view_calendar(struct view *v)
{
	struct calendar *c;

	pthread_mutex_lock(&v->lock);
	c = calendar_ref(v->calendar);
	pthread_mutex_unlock(&v->lock);
	return c;
}

/* ---- telling what changed -------------------------------------------------------------- */

struct telling {
	struct view *view;
	view_changed_fn *fn;
	void *arg;
};

/* Tells of a name in a directory that the kernel may know. */
static void
tell(const struct telling *t, struct view_node *dir, const char *name)
{
	if (dir != NULL)
		t->fn(t->arg, dir, slice_str(name));
}

/* The name of a snapshot in a directory that the kernel may know, if it does. */
static void
tell_below(const struct telling *t, struct view_node *parent, const char *dir_name,
	   const struct calendar_names *names, uint32_t at)
{
	struct view_node *dir = view_node_find(t->view, parent, slice_str(dir_name));

	if (dir == NULL)
		return;
	tell(t, dir, calendar_names_of(names, at));
	view_unref(t->view, dir, 1);
}

/* A snapshot that is in @with and not in @without. */
static void
tell_snapshot(const struct telling *t, struct calendar *with, struct calendar *without, uint32_t at)
{
	struct calendar_host *host = &with->hosts[with->host_of[at]];
	struct date_text date = date_format(with->list->snapshots[at].name.date);
	struct calendar_day *day = calendar_day_find(with, slice_str(date.s));

	if (calendar_day_find(without, slice_str(date.s)) == NULL)
		tell(t, t->view->by_date, date.s);
	if (calendar_host_find(without, slice_str(host->name)) == NULL)
		tell(t, t->view->by_host, host->name);
	tell_below(t, t->view->by_date, date.s, calendar_day_names(with, day), at);
	tell_below(t, t->view->by_host, host->name, calendar_host_names(with, host), at);
	if (host->newest == at)
		tell(t, t->view->latest, host->name);
}

static void
tell_missing(const struct telling *t, struct calendar *with, struct calendar *without)
{
	for (size_t i = 0; i < with->list->n; i++)
		if (calendar_position(without, &with->list->snapshots[i].name) == UINT32_MAX)
			tell_snapshot(t, with, without, (uint32_t)i);
}

/* ---- the first list, where only dates were known ----------------------------------------- */

/* That a directory is another; names in it stay, since somebody may be in there. */
static void
tell_again(const struct telling *t, struct view_node *parent, const char *dir_name)
{
	struct view_node *dir = view_node_find(t->view, parent, slice_str(dir_name));

	if (dir == NULL)
		return;
	tell(t, dir, "");
	view_unref(t->view, dir, 1);
}

static void
tell_first(const struct telling *t, struct calendar *new, struct calendar *old)
{
	struct view *v = t->view;
	struct view_node *records = view_node_find(v, v->root, slice_str("records"));

	for (size_t i = 0; i < old->n_days; i++) {
		const char *date = old->days[i].text.s;

		if (calendar_day_find(new, slice_str(date)) == NULL)
			tell(t, v->by_date, date);
		tell_again(t, v->by_date, date);
		if (records != NULL)
			tell_again(t, records, date);
	}
	tell(t, v->by_date, "");
	tell(t, v->by_host, "");
	tell(t, v->latest, "");
	tell(t, v->root, "");
	tell_again(t, v->root, "history");
	if (records != NULL) {
		tell(t, records, "");
		view_unref(v, records, 1);
	}
}

/* ---- refreshing ------------------------------------------------------------------------ */

static void
keep_counts(struct calendar *new, struct calendar *old)
{
	for (size_t i = 0; i < new->n_hosts; i++) {
		struct calendar_host *h = &new->hosts[i];
		const struct calendar_host *was = calendar_host_find(old, slice_str(h->name));

		if (was == NULL || !hash_equal(&new->list->snapshots[h->newest].name.id.h,
					       &old->list->snapshots[was->newest].name.id.h))
			continue;
		pthread_mutex_lock(&old->lock);
		h->counted = was->counted;
		h->bytes = was->bytes;
		h->files = was->files;
		pthread_mutex_unlock(&old->lock);
	}
}

static void
note_failure(struct view *v, const struct err *err)
{
	log_write(LOG_WARN, "looking for new snapshots: %s", err->msg);
	pthread_mutex_lock(&v->lock);
	free(v->refresh_error);
	v->refresh_error = str_copy(err->msg);
	v->refresh_failed = time_now();
	pthread_cond_broadcast(&v->was_listed);
	pthread_mutex_unlock(&v->lock);
}

static void
note_success(struct view *v)
{
	pthread_mutex_lock(&v->lock);
	free(steal_ptr(&v->refresh_error));
	v->refreshed = time_now();
	pthread_mutex_unlock(&v->lock);
}

/* Return: whether all snapshots were listed before. */
static bool
replace_calendar(struct view *v, struct calendar *new)
{
	bool was_listed;

	pthread_mutex_lock(&v->lock);
	calendar_put(v->calendar);
	v->calendar = calendar_ref(new);
	was_listed = v->listed;
	v->listed = true;
	if (!was_listed)
		view_early_fini(v);
	pthread_cond_broadcast(&v->was_listed);
	pthread_mutex_unlock(&v->lock);
	return was_listed;
}

int
view_refresh(struct view *v, view_changed_fn *changed, void *arg, struct err *err)
{
	CLEANUP(calendar_putp) struct calendar *old = NULL;
	CLEANUP(calendar_putp) struct calendar *new = NULL;
	struct telling t = {v, changed, arg};
	struct err why = ERR_INIT;
	bool any = false;
	int r;

	r = repo_refresh(v->repo, &any, &why);
	if (r < 0) {
		note_failure(v, &why);
		if (err != NULL)
			*err = why;
		return r;
	}
	note_success(v);
	if (!any)
		return 0;

	old = view_calendar(v);
	new = calendar_new(repo_list_get(v->repo));
	new->records = old->records;
	keep_counts(new, old);
	if (!replace_calendar(v, new)) {
		tell_first(&t, new, old);
		return 0;
	}
	tell_missing(&t, new, old);
	tell_missing(&t, old, new);
	return 0;
}

/* ---- statfs ---------------------------------------------------------------------------- */

/* Sums a snapshot's counts over the classes that open. */
static int
count_snapshot(struct view *v, const struct repo_snapshot *snapshot, uint64_t *bytes,
	       uint64_t *files)
{
	struct view_snap *s = view_snap_get(v, snapshot);
	int r = view_snap_pin(v, s, NULL);

	*bytes = *files = 0;
	for (size_t i = 0; r == 0 && i < s->opened->n_classes; i++) {
		const struct snapshot_counts *c = &s->opened->classes[i]->counts;

		*bytes += c->bytes;
		*files += c->files + c->dirs + c->others;
	}
	if (r == 0)
		view_snap_unpin(v, s);
	view_snap_put(v, s);
	return r;
}

void
view_statfs(struct view *v, struct view_statfs *ret)
{
	CLEANUP(calendar_putp) struct calendar *c = view_calendar(v);
	unsigned opens = 0;

	*ret = (struct view_statfs){0};
	for (size_t i = 0; i < c->n_hosts; i++) {
		struct calendar_host *h = &c->hosts[i];
		uint64_t bytes, files;
		bool counted;

		pthread_mutex_lock(&c->lock);
		counted = h->counted;
		bytes = h->bytes;
		files = h->files;
		pthread_mutex_unlock(&c->lock);

		if (!counted) {
			if (opens++ >= STATFS_OPENS)
				continue;
			if (count_snapshot(v, &c->list->snapshots[h->newest], &bytes, &files) < 0) {
				/* A store that is down isn't asked for the next one. */
				opens = STATFS_OPENS;
				continue;
			}
			pthread_mutex_lock(&c->lock);
			h->counted = true;
			h->bytes = bytes;
			h->files = files;
			pthread_mutex_unlock(&c->lock);
		}
		ret->bytes += bytes;
		ret->files += files;
	}
}
