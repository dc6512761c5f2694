/*
 * transfer.c - the calls: what a read needs, who fetches it, and its copy.
 *
 * A read runs in its caller's thread: it takes the runs that are there or in flight, fetches the
 * others itself, then waits for those of others.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

/* Which run gives which of a read's blocks, in order; some runs are this caller's to fetch. */
struct step {
	struct run *run;
	uint32_t end; /* the block behind the last one that it gives */
	bool mine;
};
struct plan {
	struct step steps[READ_RUNS_MAX];
	size_t n;
};

struct transfer *
transfer_new(struct store *store, const struct transfer_options *options)
{
	struct transfer *t = mem_alloc(sizeof *t);
	uint64_t memory = options->memory ? options->memory : TRANSFER_MEMORY;
	uint32_t run_max;

	t->patient = store;
	t->store = store_impatient(store);
	t->cache = options->cache;
	t->seen = options->seen;
	t->seen_arg = options->seen_arg;
	t->local = store_local_path(store) != NULL;
	t->memory = max_u64(memory, TRANSFER_MEMORY_LOW);
	if (t->local)
		t->memory = min_u64(t->memory, TRANSFER_LOCAL_MAX);
	t->header_memory = t->memory / 4;
	t->timeout_ms = options->timeout_ms ? options->timeout_ms : TRANSFER_TIMEOUT_MS;
	run_max = t->local ? RUN_BLOCKS_LOCAL : RUN_BLOCKS_MAX;
	t->run_blocks = (uint32_t)min_u64(run_max, t->memory / 8 / PACK_BLOCK_LEN);
	t->window_max = t->memory / 2;
	t->max_ahead = options->workers ? options->workers : (t->local ? 1 : AHEAD_WORKERS_MAX);
	t->max_ahead = (unsigned)min_u64(t->max_ahead, AHEAD_WORKERS_MAX);

	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->quiet, NULL);
	cond_init_monotonic(&t->stop);
	TAILQ_INIT(&t->idle);
	TAILQ_INIT(&t->list);
	TAILQ_INIT(&t->wanted);
	return t;
}

void
transfer_free(struct transfer *t)
{
	if (t == NULL)
		return;
	workers_stop(t);
	ahead_clear(t);
	runs_free(t);
	remotes_free(t);
	pthread_cond_destroy(&t->stop);
	pthread_cond_destroy(&t->quiet);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* One run for each stretch of blocks nobody has, so that neighbours come in one request. */
static void
plan_locked(struct transfer *t, struct remote *m, uint32_t first, uint32_t last, struct plan *plan)
{
	uint32_t b = first;

	while (b <= last) {
		struct step *step = &plan->steps[plan->n++];

		step->run = run_find_locked(t, m, b);
		step->mine = step->run == NULL;
		step->end = b + 1;
		if (step->mine) {
			while (step->end <= last && m->runs[step->end] == NULL)
				step->end++;
			step->run = run_new_locked(t, m, b, step->end - b);
		} else {
			t->stats.blocks_from_memory++;
		}
		b = step->end;
	}
	t->stats.blocks_served += last - first + 1;
}

/* Appends the part of [off, end) that a step gives. */
static int
copy_step(const struct step *step, uint64_t *off, uint64_t end, struct buf *ret, struct err *err)
{
	while (*off < end && *off / PACK_BLOCK_LEN < step->end) {
		uint32_t block = (uint32_t)(*off / PACK_BLOCK_LEN);
		size_t in = *off % PACK_BLOCK_LEN;
		struct slice bytes;
		size_t n;
		int r = run_block(step->run, block, &bytes, err);

		if (r < 0)
			return r;
		n = min_u64(bytes.len - in, end - *off);
		buf_append(ret, bytes.p + in, n);
		*off += n;
	}
	return 0;
}

/* A distant run is for a worker, but what the cache has is read at once.  Return: false when this
 * thread must fetch it. */
static bool
have_fetched(struct transfer *t, struct run *run)
{
	bool wanted;

	if (t->local || cached_has(t, run))
		return false;
	pthread_mutex_lock(&t->lock);
	wanted = workers_want_locked(t, run);
	pthread_mutex_unlock(&t->lock);
	return wanted;
}

static int
carry_out(struct transfer *t, const struct plan *plan, uint64_t off, size_t len, struct buf *ret,
	  struct err *err)
{
	uint64_t deadline = time_monotonic_ms() + t->timeout_ms;
	uint64_t end = off + len;

	for (size_t i = 0; i < plan->n; i++) {
		if (plan->steps[i].mine && !have_fetched(t, plan->steps[i].run))
			run_fetch(t, plan->steps[i].run, deadline);
	}
	buf_reserve(ret, len);
	for (size_t i = 0; i < plan->n; i++) {
		int r = run_wait(t, plan->steps[i].run, deadline, err);

		if (r == 0)
			r = copy_step(&plan->steps[i], &off, end, ret, err);
		if (r < 0) {
			buf_reset(ret);
			return r;
		}
	}
	return 0;
}

int
transfer_read(struct transfer *t, const struct pack_source *source, uint64_t off, size_t len,
	      struct buf *ret, struct err *err)
{
	struct plan plan = {.n = 0};
	uint64_t at = off;
	struct remote *m;
	int r;

	buf_reset(ret);
	r = remote_check(source, err);
	if (r < 0)
		return r;
	if (len > SEGMENT_STORED_MAX || off > source->object_len - source->header_len ||
	    len > source->object_len - source->header_len - off)
		return err_set(err, ERR_CORRUPT, "pack %s: a reference leads outside of it",
			       hex(&source->id.h).s);
	if (len == 0)
		return 0;
	if (t->seen != NULL)
		t->seen(t->seen_arg, source, off, len);

	pthread_mutex_lock(&t->lock);
	m = remote_get_locked(t, source);
	plan_locked(t, m, (uint32_t)(off / PACK_BLOCK_LEN),
		    (uint32_t)((off + len - 1) / PACK_BLOCK_LEN), &plan);
	pthread_mutex_unlock(&t->lock);

	r = carry_out(t, &plan, off, len, ret, err);

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < plan.n; i++) {
		uint64_t end = min_u64((uint64_t)plan.steps[i].end * PACK_BLOCK_LEN, off + len);

		run_used_locked(t, plan.steps[i].run, end - at);
		run_put_locked(t, plan.steps[i].run);
		at = end;
	}
	remote_put_locked(t, m);
	pthread_mutex_unlock(&t->lock);
	return r;
}

uint32_t
transfer_request_blocks(const struct transfer *t)
{
	return t->run_blocks;
}

void
transfer_settle(struct transfer *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->n_fetching > 0)
		pthread_cond_wait(&t->quiet, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

void
transfer_stats_get(struct transfer *t, struct transfer_stats *ret)
{
	pthread_mutex_lock(&t->lock);
	*ret = t->stats;
	if (!t->local)
		link_tell_locked(t, &ret->rtt_us, &ret->rate);
	pthread_mutex_unlock(&t->lock);
}
