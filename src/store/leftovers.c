/*
 * leftovers.c - names of objects while they are written to a distant server, and what broken
 * uploads leave of them.
 *
 * Layer 1.
 */
#include "store/leftovers.h"
#include "store/folders.h"
#include "tillfs/seal.h"

/* No upload takes a day; the rest is for clocks that are wrong. */
#define TEMP_AGE_MAX_SEC (3 * 24 * 60 * 60)
#define TIME_TEXT_LEN    20u /* 2026-11-20T23-00-05Z */

char *
temp_name_new(void)
{
	uint8_t random[12];

	seal_random(random, sizeof random);
	return str_format(TEMP_FOLDER "/%s-%s", time_format_key(time_now()).s,
			  hex_bytes(random, sizeof random).s);
}

bool
temp_name_is_old(const char *name)
{
	int64_t made;

	return strlen(name) > TIME_TEXT_LEN && name[TIME_TEXT_LEN] == '-' &&
	       time_parse_key(slice_of(name, TIME_TEXT_LEN), &made) &&
	       made < time_now() - TEMP_AGE_MAX_SEC;
}

void
leftovers_init(struct leftovers *l)
{
	pthread_mutex_init(&l->lock, NULL);
}

void
leftovers_fini(struct leftovers *l)
{
	while (l->n > 0)
		free(l->all[--l->n]);
	pthread_mutex_destroy(&l->lock);
}

void
leftovers_add(struct leftovers *l, char *name)
{
	pthread_mutex_lock(&l->lock);
	if (l->n < LEFTOVERS_MAX)
		l->all[l->n++] = steal_ptr(&name);
	pthread_mutex_unlock(&l->lock);
	free(name);
}

char *
leftovers_take(struct leftovers *l)
{
	char *name = NULL;

	pthread_mutex_lock(&l->lock);
	if (l->n > 0)
		name = l->all[--l->n];
	pthread_mutex_unlock(&l->lock);
	return name;
}

bool
leftovers_sweep_is_due(struct leftovers *l)
{
	bool due;

	pthread_mutex_lock(&l->lock);
	due = !l->swept;
	l->swept = true;
	pthread_mutex_unlock(&l->lock);
	return due;
}
