/*
 * crew.c - a piece of work for each of many things, several at a time, since most of it waits for
 * the store.
 *
 * Layer 4.
 */
#include "internal.h"

#define CREW_MAX 8u

/* Protected by lock where not constant. */
struct crew {
	pthread_mutex_t lock;
	crew_fn *fn;
	void *arg;
	const struct progress_sink *sink;
	struct progress progress;
	size_t n, next;
	int code;
	struct err err;
};

static bool
take(struct crew *c, size_t *ret)
{
	bool more;

	pthread_mutex_lock(&c->lock);
	if (c->code == 0 && progress_cancelled(c->sink))
		c->code = err_set(&c->err, ERR_CANCELLED, "interrupted");
	more = c->code == 0 && c->next < c->n;
	if (more)
		*ret = c->next++;
	pthread_mutex_unlock(&c->lock);
	return more;
}

static void
done(struct crew *c, int code, const struct err *err)
{
	pthread_mutex_lock(&c->lock);
	if (code < 0 && c->code == 0) {
		c->code = code;
		c->err = *err;
	}
	c->progress.files_done++;
	progress_report(c->sink, &c->progress);
	pthread_mutex_unlock(&c->lock);
}

static void *
work(void *arg)
{
	struct crew *c = arg;
	size_t i;

	while (take(c, &i)) {
		struct err err = ERR_INIT;
		int r = c->fn(c->arg, i, &err);

		done(c, r, &err);
	}
	return NULL;
}

int
crew_run(const char *stage, size_t n, crew_fn *fn, void *arg, const struct progress_sink *sink,
	 struct err *err)
{
	struct crew c = {.fn = fn, .arg = arg, .sink = sink, .n = n};
	pthread_t threads[CREW_MAX];
	size_t started = 0;

	pthread_mutex_init(&c.lock, NULL);
	c.progress = (struct progress){.stage = stage, .files_total = n};
	/* With fewer threads, or none, it only takes longer. */
	while (started + 1 < CREW_MAX && started + 1 < n &&
	       pthread_create(&threads[started], NULL, work, &c) == 0)
		started++;
	work(&c);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	pthread_mutex_destroy(&c.lock);
	if (c.code < 0 && err != NULL)
		*err = c.err;
	return c.code;
}
