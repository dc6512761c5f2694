/*
 * runs.c - runs of neighbouring blocks: what is in flight, and the memory of checked blocks.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

uint32_t
block_len(const struct remote *m, uint32_t block)
{
	return (uint32_t)min_u64(PACK_BLOCK_LEN, m->body_len - (uint64_t)block * PACK_BLOCK_LEN);
}

/* What a run takes of the memory; known before its bytes are there, so that they have room. */
static uint64_t
run_cost(const struct run *run)
{
	return sizeof *run +
	       (run->state == RUN_FETCHING ? (uint64_t)run->n * PACK_BLOCK_LEN : run->bytes.cap);
}

static void
run_unmap_locked(struct transfer *t, struct run *run, uint32_t block)
{
	run->remote->runs[block] = NULL;
	if (--run->mapped > 0)
		return;
	if (run->in_memory)
		TAILQ_REMOVE(&t->list, run, list);
	run->in_memory = false;
	run_put_locked(t, run);
}

/* Forgets a run; its last user frees it. */
static void
run_drop_locked(struct transfer *t, struct run *run)
{
	struct remote *m = run->remote;
	uint32_t first = run->first, end = run->first + run->n;

	/* The last block that is unmapped may free the run. */
	for (uint32_t b = first; b < end; b++) {
		if (m->runs[b] == run)
			run_unmap_locked(t, run, b); /* NOLINT(clang-analyzer-unix.Malloc) */
	}
}

void
run_put_locked(struct transfer *t, struct run *run)
{
	if (--run->refs > 0)
		return;
	t->run_bytes -= run_cost(run);
	buf_fini(&run->bytes);
	free(run->failure);
	free(run->lacking);
	pthread_cond_destroy(&run->done);
	remote_put_locked(t, run->remote);
	free(run);
}

/* Drops what was least recently used and nobody uses now. */
static void
make_room_locked(struct transfer *t)
{
	struct run *run, *next;

	for (run = TAILQ_FIRST(&t->list); run != NULL; run = next) {
		if (t->run_bytes + t->header_bytes <= t->memory)
			return;
		next = TAILQ_NEXT(run, list);
		if (run->refs == 1)
			run_drop_locked(t, run);
	}
}

/* Whether a block must be fetched afresh: its failure has been remembered for long enough. */
static bool
is_stale(const struct run *run, uint32_t block)
{
	if (run->state == RUN_FAILED)
		return time_monotonic_ms() >= run->failure->retry_ms;
	return run->state == RUN_DONE && (run->bad >> (block - run->first) & 1) &&
	       time_monotonic_ms() >= run->retry_ms;
}

struct run *
run_find_locked(struct transfer *t, struct remote *m, uint32_t block)
{
	struct run *run = m->runs[block];

	if (run != NULL && is_stale(run, block)) {
		if (run->state == RUN_FAILED)
			run_drop_locked(t, run);
		else
			run_unmap_locked(t, run, block);
		run = NULL;
	}
	if (run != NULL)
		run->refs++;
	return run;
}

struct run *
run_new_locked(struct transfer *t, struct remote *m, uint32_t first, uint32_t n)
{
	struct run *run = mem_alloc(sizeof *run);

	remote_ref_locked(t, m);
	run->remote = m;
	run->first = first;
	run->n = n;
	run->refs = 2;
	run->mapped = n;
	cond_init_monotonic(&run->done);
	for (uint32_t i = 0; i < n; i++)
		m->runs[first + i] = run;
	t->run_bytes += run_cost(run);
	make_room_locked(t);
	return run;
}

void
run_finish(struct transfer *t, struct run *run, struct failure *failure)
{
	pthread_mutex_lock(&t->lock);
	t->run_bytes -= run_cost(run);
	run->failure = failure;
	run->state = failure == NULL ? RUN_DONE : RUN_FAILED;
	run->retry_ms = time_monotonic_ms() + FAILURE_MS;
	if (failure != NULL)
		buf_fini(&run->bytes);
	t->run_bytes += run_cost(run);
	if (run->mapped > 0) {
		TAILQ_INSERT_TAIL(&t->list, run, list);
		run->in_memory = true;
	}
	make_room_locked(t);
	pthread_cond_broadcast(&run->done);
	pthread_mutex_unlock(&t->lock);
}

void
run_used_locked(struct transfer *t, struct run *run, uint64_t bytes)
{
	run->served += bytes;
	if (!run->in_memory)
		return;
	TAILQ_REMOVE(&t->list, run, list);
	/* Who reads forward is done with it, and what was fetched ahead must not give way to it. */
	if (run->served >= (uint64_t)run->n * PACK_BLOCK_LEN)
		TAILQ_INSERT_HEAD(&t->list, run, list);
	else
		TAILQ_INSERT_TAIL(&t->list, run, list);
}

int
run_wait(struct transfer *t, struct run *run, uint64_t deadline, struct err *err)
{
	bool in_time = true;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	while (run->state == RUN_FETCHING && in_time)
		in_time = wait_until(&run->done, &t->lock, deadline);
	if (run->state == RUN_FAILED)
		r = failure_tell(run->failure, err);
	else if (run->state == RUN_FETCHING)
		r = err_set(err, ERR_UNREACHABLE, "pack %s: no answer within %u s",
			    hex(&run->remote->source.id.h).s, t->timeout_ms / 1000);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int
run_block(const struct run *run, uint32_t block, struct slice *ret, struct err *err)
{
	const struct remote *m = run->remote;
	size_t at = run->skip + (size_t)(block - run->first) * PACK_BLOCK_LEN;
	size_t len = block_len(m, block);

	*ret = (struct slice){0};
	if (at > run->bytes.len || len > run->bytes.len - at)
		return err_set(err, ERR_CORRUPT,
			       "pack %s: the stored object ends before the end of block %u; run "
			       "'tillfs check' to see what is affected",
			       hex(&m->source.id.h).s, block);
	if ((run->bad >> (block - run->first) & 1) && run->lacking != NULL)
		return failure_tell(run->lacking, err);
	if (run->bad >> (block - run->first) & 1)
		return err_set(err, ERR_CORRUPT,
			       "pack %s: block %u: stored bytes don't match their hash; run "
			       "'tillfs check' to see what is affected",
			       hex(&m->source.id.h).s, block);
	*ret = slice_of(run->bytes.p + at, len);
	return 0;
}

void
runs_free(struct transfer *t)
{
	struct run *run;

	while ((run = TAILQ_FIRST(&t->list)) != NULL)
		run_drop_locked(t, run);
}
