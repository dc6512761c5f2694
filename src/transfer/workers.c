/*
 * workers.c - the threads that fetch.  They start when first needed, so that a short command has
 * few.
 *
 * Layer 3.
 */
#include <signal.h>

#include "transfer/internal.h"

static void
fetch_wanted_locked(struct transfer *t)
{
	struct run *run = TAILQ_FIRST(&t->wanted);

	TAILQ_REMOVE(&t->wanted, run, wanted);
	pthread_mutex_unlock(&t->lock);
	run_fetch(t, run, time_monotonic_ms() + t->timeout_ms);
	pthread_mutex_lock(&t->lock);
	run_put_locked(t, run);
}

static void *
worker(void *arg)
{
	struct transfer *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		if (!TAILQ_EMPTY(&t->wanted)) {
			fetch_wanted_locked(t);
		} else if (ahead_may_start_locked(t)) {
			ahead_fetch_one_locked(t);
		} else {
			t->n_waiting++;
			pthread_cond_wait(&t->work, &t->lock);
			t->n_waiting--;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Signals are for the threads that the program started itself. */
static void
start_locked(struct transfer *t)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&t->workers[t->n_workers], NULL, worker, t) == 0)
		t->n_workers++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
workers_wake_locked(struct transfer *t)
{
	bool wanted = !TAILQ_EMPTY(&t->wanted);
	unsigned most = t->max_ahead + (t->local ? 0 : DEMAND_WORKERS_MAX);

	if (t->n_waiting == 0 && t->n_workers < most && (wanted || ahead_may_start_locked(t)))
		start_locked(t);
	pthread_cond_signal(&t->work);
}

bool
workers_want_locked(struct transfer *t, struct run *run)
{
	run->refs++;
	TAILQ_INSERT_TAIL(&t->wanted, run, wanted);
	workers_wake_locked(t);
	if (t->n_workers > 0)
		return true;
	TAILQ_REMOVE(&t->wanted, run, wanted);
	run->refs--;
	return false;
}

/* Nobody waits any more for what is left: its callers were told that time is over. */
static void
drop_wanted(struct transfer *t)
{
	struct err err = ERR_INIT;
	struct run *run;

	(void)err_set(&err, ERR_CANCELLED, "ended before it was fetched");
	while ((run = TAILQ_FIRST(&t->wanted)) != NULL) {
		TAILQ_REMOVE(&t->wanted, run, wanted);
		run_finish(t, run, failure_new(&err));
		run_put_locked(t, run);
	}
}

void
workers_stop(struct transfer *t)
{
	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	pthread_cond_broadcast(&t->work);
	pthread_cond_broadcast(&t->stop);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->n_workers; i++)
		pthread_join(t->workers[i], NULL);
	drop_wanted(t);
}
