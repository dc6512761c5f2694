/*
 * calendar.h - which dates and writers a repository has, and what their snapshots are called.
 *
 * Made from one listing and never changed; a refresh makes the next one.  What a folder's snapshots
 * are called is worked out when somebody asks, so that a mount of a hundred thousand snapshots is
 * ready at once.
 */
#ifndef TILLFS_VIEW_CALENDAR_H
#define TILLFS_VIEW_CALENDAR_H

#include <pthread.h>

#include "tillfs/repo.h"

struct calendar_name {
	char *name;
	uint32_t at; /* index into the list */
};

/* Names of one folder, ascending. */
struct calendar_names {
	size_t n;
	struct calendar_name e[];
};

struct calendar_day {
	struct date date;
	struct date_text text;
	uint32_t first, n;            /* range of the list */
	int64_t newest;               /* UTC seconds */
	struct calendar_names *names; /* protected by lock; NULL until needed */
};

struct calendar_host {
	char *name; /* unlike any other host's */
	struct writer_id id;
	uint32_t n;
	uint32_t *at;                 /* its snapshots, as indexes into the list, oldest first */
	uint32_t newest;              /* the one of the highest sequence */
	struct calendar_names *names; /* protected by lock; NULL until needed */
	bool counted;                 /* protected by lock: of its newest snapshot */
	uint64_t bytes, files;        /* protected by lock */
};

struct calendar {
	atomic_uint refs;
	struct repo_list *list; /* a reference */
	struct calendar_day *days;
	size_t n_days; /* ascending */
	struct calendar_host *hosts;
	size_t n_hosts;    /* by name */
	uint32_t *host_of; /* of each snapshot of the list */
	int64_t newest;    /* UTC seconds; 0 without snapshots */
	bool records;      /* databases are shown as directories, too */
	pthread_mutex_t lock;
};

/* @list: taken. */
struct calendar *calendar_new(struct repo_list *list);
/* Dates only, ascending, while their snapshots aren't known.  @empty: a list of nothing, taken. */
struct calendar *calendar_new_of_dates(struct repo_list *empty, const struct date *dates, size_t n);
void calendar_put(struct calendar *c);
DEFINE_FREEP(struct calendar *, calendar_put)

static inline struct calendar *
calendar_ref(struct calendar *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

/* Both return NULL for what isn't there.  Cost: O(log n). */
struct calendar_day *calendar_day_find(struct calendar *c, struct slice date);
struct calendar_host *calendar_host_find(struct calendar *c, struct slice name);

/* Names in by-date/<date> and by-host/<writer>.  Live as long as the calendar. */
const struct calendar_names *calendar_day_names(struct calendar *c, struct calendar_day *day);
const struct calendar_names *calendar_host_names(struct calendar *c, struct calendar_host *host);
const struct calendar_name *calendar_names_find(const struct calendar_names *names,
						struct slice name);
/* What the snapshot at a place of the list is called there. */
const char *calendar_names_of(const struct calendar_names *names, uint32_t at);

/* Where a snapshot stands in the list, or UINT32_MAX. */
uint32_t calendar_position(const struct calendar *c, const struct snapshot_name *name);

#endif /* TILLFS_VIEW_CALENDAR_H */
