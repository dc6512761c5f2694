/*
 * tasks.c - several things at once: what mostly waits is done by a few threads.
 *
 * Layer 0.
 */
#include <pthread.h>
#include <signal.h>

#include "tillfs/base.h"

#define THREADS_MAX 32u

struct tasks {
	void (*fn)(void *arg, size_t i);
	void *arg;
	size_t n;
	atomic_size_t next;
};

static void *
work(void *arg)
{
	struct tasks *t = arg;
	size_t i;

	while ((i = atomic_fetch_add(&t->next, 1)) < t->n)
		t->fn(t->arg, i);
	return NULL;
}

void
tasks_run(size_t n, unsigned threads, void (*fn)(void *arg, size_t i), void *arg)
{
	struct tasks t = {.fn = fn, .arg = arg, .n = n};
	pthread_t others[THREADS_MAX];
	unsigned started = 0, most = (unsigned)min_u64(min_u64(threads, THREADS_MAX), n);
	sigset_t all, before;

	/* Signals are for the threads that the program started itself. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started + 1 < most && pthread_create(&others[started], NULL, work, &t) == 0)
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)work(&t);
	for (unsigned i = 0; i < started; i++)
		pthread_join(others[i], NULL);
}
