/*
 * ahead.c - what is wanted ahead of need: a queue of ranges, taken piece by piece.
 *
 * Whoever needs a block that is queued here but not in flight has it fetched at once: demand never
 * waits behind readahead.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

/* The next piece of the queue's first range: a run to fetch, or NULL for its pack's header. */
static struct run *
take_locked(struct transfer *t, struct remote **ret_header_of)
{
	struct ahead_range *range = &t->queue[t->queue_head];
	struct remote *m = range->remote;
	uint32_t most = t->local ? t->run_blocks : link_run_blocks_locked(t);
	uint32_t first, n = 0;
	struct run *run = NULL;

	*ret_header_of = NULL;
	while (range->next < range->end && m->runs[range->next] != NULL)
		range->next++;
	first = range->next;
	while (first + n < range->end && n < most && m->runs[first + n] == NULL)
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

bool
ahead_may_start_locked(const struct transfer *t)
{
	unsigned limit = t->max_ahead;

	if (t->queue_len == 0)
		return false;
	/* A request underway waits for this header. */
	if (t->queue[t->queue_head].end == 0)
		return true;
	if (!t->local)
		limit = (unsigned)min_u64(limit, link_window_locked(t) / PACK_BLOCK_LEN /
								 link_run_blocks_locked(t) +
							 1);
	return t->n_ahead < limit;
}

void
ahead_fetch_one_locked(struct transfer *t)
{
	struct remote *header_of;
	struct run *run = take_locked(t, &header_of);
	uint64_t deadline = time_monotonic_ms() + t->timeout_ms;

	t->n_ahead++;
	if (ahead_may_start_locked(t))
		workers_wake_locked(t);
	pthread_mutex_unlock(&t->lock);
	if (run != NULL)
		run_fetch(t, run, deadline);
	if (header_of != NULL)
		fetch_header(t, header_of, deadline);
	pthread_mutex_lock(&t->lock);
	t->n_ahead--;
	if (run != NULL)
		run_put_locked(t, run);
	if (header_of != NULL)
		remote_put_locked(t, header_of);
}

/* Appends to the range queued last where this one goes on from it. */
static bool
joins_last_locked(struct transfer *t, const struct remote *m, uint32_t next, uint32_t end)
{
	struct ahead_range *last;

	if (t->queue_len == 0)
		return false;
	last = &t->queue[(t->queue_head + t->queue_len - 1) % AHEAD_QUEUE_MAX];
	if (last->remote != m || last->end == 0 || next < last->next || next > last->end)
		return false;
	last->end = (uint32_t)max_u64(last->end, end);
	return true;
}

void
ahead_push_locked(struct transfer *t, struct remote *m, uint32_t next, uint32_t end, bool urgent)
{
	size_t at;

	/* A range too many is dropped: what it would have brought is fetched when needed. */
	if (t->queue_len == AHEAD_QUEUE_MAX || t->stopping)
		return;
	if (!urgent && joins_last_locked(t, m, next, end))
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
	workers_wake_locked(t);
}

void
ahead_clear(struct transfer *t)
{
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
