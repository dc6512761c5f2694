/*
 * ahead.c - the threads that fetch ahead of need.
 *
 * They start when first needed, so that a short command has none.  Whoever needs a block that is
 * queued here but not in flight fetches it himself: demand never waits behind readahead.
 *
 * Layer 3.
 */
#include <signal.h>

#include "transfer/internal.h"

/* The next piece of the queue's first range: a run to fetch, or NULL for its pack's header. */
static struct run *
take_locked(struct transfer *t, struct remote **ret_header_of)
{
	struct ahead_range *range = &t->queue[t->queue_head];
	struct remote *m = range->remote;
	uint32_t first, n = 0;
	struct run *run = NULL;

	*ret_header_of = NULL;
	while (range->next < range->end && m->runs[range->next] != NULL)
		range->next++;
	first = range->next;
	while (first + n < range->end && n < t->run_blocks && m->runs[first + n] == NULL)
		n++;
	if (n > 0)
		run = run_new_locked(t, m, first, n);
	else if (range->end == 0)
		*ret_header_of = m;
	range->next += n;
	if (range->next < range->end)
		return run;

	t->queue_head = (t->queue_head + 1) % AHEAD_QUEUE_MAX;
	t->queue_len--;
	/* Who fetches the header keeps the range's reference. */
	if (*ret_header_of == NULL)
		remote_put_locked(t, m);
	return run;
}

/* Nobody is told of a failure now; who needs the header finds it remembered. */
static void
fetch_header(struct transfer *t, struct remote *m, uint64_t deadline)
{
	struct err err = ERR_INIT;

	if (header_need(t, m, deadline, &err) < 0)
		log_write(LOG_DEBUG, "fetching ahead: %s", err.msg);
}

static void
fetch_one_locked(struct transfer *t)
{
	struct remote *header_of;
	struct run *run = take_locked(t, &header_of);
	uint64_t deadline = time_monotonic_ms() + t->timeout_ms;

	pthread_mutex_unlock(&t->lock);
	if (run != NULL)
		run_fetch(t, run, deadline);
	if (header_of != NULL)
		fetch_header(t, header_of, deadline);
	pthread_mutex_lock(&t->lock);
	if (run != NULL)
		run_put_locked(t, run);
	if (header_of != NULL)
		remote_put_locked(t, header_of);
}

static void *
worker(void *arg)
{
	struct transfer *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		if (t->queue_len > 0) {
			fetch_one_locked(t);
			continue;
		}
		t->n_waiting++;
		pthread_cond_wait(&t->work, &t->lock);
		t->n_waiting--;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Signals are for the threads that the program started itself. */
static void
start_worker_locked(struct transfer *t)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&t->workers[t->n_workers], NULL, worker, t) == 0)
		t->n_workers++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
ahead_push_locked(struct transfer *t, struct remote *m, uint32_t next, uint32_t end, bool urgent)
{
	size_t at;

	/* A range too many is dropped: what it would have brought is fetched when needed. */
	if (t->queue_len == AHEAD_QUEUE_MAX || t->stopping)
		return;
	if (urgent) {
		t->queue_head = (t->queue_head + AHEAD_QUEUE_MAX - 1) % AHEAD_QUEUE_MAX;
		at = t->queue_head;
	} else {
		at = (t->queue_head + t->queue_len) % AHEAD_QUEUE_MAX;
	}
	remote_ref_locked(t, m);
	t->queue[at] = (struct ahead_range){.remote = m, .next = next, .end = end};
	t->queue_len++;
	if (t->n_waiting == 0 && t->n_workers < t->max_workers)
		start_worker_locked(t);
	pthread_cond_signal(&t->work);
}

void
ahead_stop(struct transfer *t)
{
	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	pthread_cond_broadcast(&t->work);
	pthread_cond_broadcast(&t->stop);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->n_workers; i++)
		pthread_join(t->workers[i], NULL);

	for (; t->queue_len > 0; t->queue_len--) {
		remote_put_locked(t, t->queue[t->queue_head].remote);
		t->queue_head = (t->queue_head + 1) % AHEAD_QUEUE_MAX;
	}
}

void
transfer_prefetch(struct transfer *t, const struct pack_source *source, uint64_t off, uint64_t len)
{
	uint64_t body_len;
	struct remote *m;
	uint32_t first, end;

	if (len == 0 || remote_check(source, NULL) < 0)
		return;
	body_len = source->object_len - source->header_len;
	if (off >= body_len)
		return;
	len = min_u64(len, body_len - off);
	first = (uint32_t)(off / PACK_BLOCK_LEN);
	end = (uint32_t)((off + len - 1) / PACK_BLOCK_LEN) + 1;

	pthread_mutex_lock(&t->lock);
	m = remote_get_locked(t, source);
	while (first < end && m->runs[first] != NULL)
		first++;
	if (first < end)
		ahead_push_locked(t, m, first, end, false);
	remote_put_locked(t, m);
	pthread_mutex_unlock(&t->lock);
}
