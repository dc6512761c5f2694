/*
 * schedule.c - business dates without a snapshot although a schedule wants one.
 *
 * From a writer's first snapshot to yesterday, or to its newest when that is later: today's may
 * still come.
 *
 * Layer 4.
 */
#include "internal.h"

bool
verify_schedule_parse(const char *text, enum verify_schedule *ret)
{
	static const char *const words[] = {
		[SCHEDULE_DAILY] = "daily",
		[SCHEDULE_WEEKDAYS] = "weekdays",
		[SCHEDULE_WEEKLY] = "weekly",
	};

	for (size_t i = SCHEDULE_DAILY; i < ARRAY_LEN(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = (enum verify_schedule)i;
			return true;
		}
	return false;
}

/* 0 Monday … 6 Sunday; 1970-01-01 was a Thursday. */
static int
weekday(int32_t days)
{
	return (int)(((int64_t)days % 7 + 7 + 3) % 7);
}

static int
by_date(const void *a, const void *b)
{
	const struct snapshot_name *x = a, *y = b;

	return (x->date.days > y->date.days) - (x->date.days < y->date.days);
}

static void
add_missed(struct verify_writer *w, int32_t first, int32_t last)
{
	if (w->n_missed > 0 && w->missed[w->n_missed - 1].last.days + 1 == first) {
		w->missed[w->n_missed - 1].last.days = last;
		return;
	}
	array_reserve(w->missed, w->n_missed, w->cap_missed);
	w->missed[w->n_missed++] = (struct verify_missed){{first}, {last}};
}

/* Whether one of the days first … last, from names[*at] on, has a snapshot. */
static bool
has_one(const struct snapshot_name *names, size_t n, size_t *at, int32_t first, int32_t last)
{
	while (*at < n && names[*at].date.days < first)
		++*at;
	return *at < n && names[*at].date.days <= last;
}

void
schedule_apply(const struct work *w, struct verify_writer *writer)
{
	enum verify_schedule schedule = w->options->schedule;
	int32_t step = schedule == SCHEDULE_WEEKLY ? 7 : 1;
	int32_t yesterday = (int32_t)(w->ret->time / 86400) - 1;
	CLEANUP(freep) struct snapshot_name *names = NULL;
	size_t n, at = 0;
	int32_t day, end;

	repo_chain(w->repo, &writer->id, &names, &n);
	if (schedule == SCHEDULE_NONE || n == 0)
		return;
	qsort(names, n, sizeof *names, by_date);
	day = names[0].date.days;
	end = names[n - 1].date.days > yesterday ? names[n - 1].date.days : yesterday;
	if (schedule == SCHEDULE_WEEKLY)
		day -= weekday(day);
	/* A week that isn't over may still get its snapshot. */
	for (; day + step - 1 <= end; day += step) {
		if (schedule == SCHEDULE_WEEKDAYS && weekday(day) > 4)
			continue;
		if (!has_one(names, n, &at, day, day + step - 1))
			add_missed(writer, day, day + step - 1);
	}
}
