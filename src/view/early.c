/*
 * early.c - what a mount of many distant snapshots shows before all of them are listed: the dates,
 * and a date's snapshots to who goes there.  Everything else waits for the list, which the first
 * refresh brings.
 */
#include "private.h"

#define WAIT_MS 30000u

bool
view_is_listed(struct view *v)
{
	bool ret;

	pthread_mutex_lock(&v->lock);
	ret = v->listed;
	pthread_mutex_unlock(&v->lock);
	return ret;
}

/* ---- a date alone ---------------------------------------------------------------------- */

static struct calendar *
early_find(struct view *v, struct date date)
{
	struct calendar *ret = NULL;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < VIEW_EARLY_DATES && ret == NULL; i++)
		if (v->early[i].calendar != NULL && v->early[i].date.days == date.days)
			ret = calendar_ref(v->early[i].calendar);
	pthread_mutex_unlock(&v->lock);
	return ret;
}

static void
early_keep(struct view *v, struct date date, struct calendar *c)
{
	struct calendar *old = NULL;

	pthread_mutex_lock(&v->lock);
	if (!v->listed) {
		size_t at = v->n_early++ % VIEW_EARLY_DATES;

		old = v->early[at].calendar;
		v->early[at].date = date;
		v->early[at].calendar = calendar_ref(c);
	}
	pthread_mutex_unlock(&v->lock);
	calendar_put(old);
}

/* Under lock. */
void
view_early_fini(struct view *v)
{
	for (size_t i = 0; i < VIEW_EARLY_DATES; i++)
		calendar_put(steal_ptr(&v->early[i].calendar));
}

static int
calendar_of_date(struct view *v, struct date date, struct calendar **ret, struct err *err)
{
	struct repo_list *list;
	int r;

	*ret = early_find(v, date);
	if (*ret != NULL)
		return 0;
	r = repo_list_of_date(v->repo, date, &list, err);
	if (r < 0)
		return r;
	*ret = calendar_new(list);
	(*ret)->records = v->options.records != NULL;
	early_keep(v, date, *ret);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------- */

static struct timespec
deadline(const struct view *v)
{
	unsigned ms = v->options.timeout_ms > 0 ? v->options.timeout_ms : WAIT_MS;
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	return t;
}

void
view_on_wait(struct view *v, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&v->lock);
	v->on_wait = fn;
	v->on_wait_arg = arg;
	pthread_mutex_unlock(&v->lock);
}

void
view_end_waits(struct view *v)
{
	pthread_mutex_lock(&v->lock);
	v->ending = true;
	pthread_cond_broadcast(&v->was_listed);
	pthread_mutex_unlock(&v->lock);
}

static void
ask_for_list(struct view *v)
{
	void (*fn)(void *arg);
	void *arg;

	pthread_mutex_lock(&v->lock);
	fn = v->listed ? NULL : v->on_wait;
	arg = v->on_wait_arg;
	v->on_wait = NULL;
	pthread_mutex_unlock(&v->lock);
	if (fn != NULL)
		fn(arg);
}

/* Waits for the list.  A failure to get it is told at once; it is tried again meanwhile. */
static int
await_list(struct view *v, struct err *err)
{
	struct timespec until = deadline(v);
	int r = 0;

	ask_for_list(v);
	pthread_mutex_lock(&v->lock);
	while (!v->listed && !v->ending && v->refresh_error == NULL && r == 0)
		r = pthread_cond_timedwait(&v->was_listed, &v->lock, &until);
	r = v->listed ? 0
		      : err_set(err, ERR_UNREACHABLE, "the snapshots aren't listed yet%s%s",
				v->refresh_error != NULL ? ": " : "",
				v->refresh_error != NULL ? v->refresh_error : "");
	pthread_mutex_unlock(&v->lock);
	return r;
}

int
view_calendar_for(struct view *v, const struct view_node *dir, struct calendar **ret,
		  struct err *err)
{
	struct slice name = view_node_name(dir);
	struct date date;
	int r = 0;

	*ret = NULL;
	switch (dir->kind) {
	case VIEW_ROOT:
	case VIEW_ABOUT:
	case VIEW_BY_DATE:
	case VIEW_RECORDS:
		break;
	case VIEW_DATE:
	case VIEW_RECORDS_DATE:
		if (!view_is_listed(v) && date_parse(name, &date) && !repo_is_listed(v->repo))
			return calendar_of_date(v, date, ret, err);
		r = await_list(v, err);
		break;
	default:
		r = await_list(v, err);
	}
	if (r == 0)
		*ret = view_calendar(v);
	return r;
}
