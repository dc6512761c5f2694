/*
 * fetch.c - one ranged read of the store: retries, deadline, checks.
 *
 * Layer 3.
 */
#include <errno.h>
#include <time.h>

#include "transfer/internal.h"

void
cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

bool
wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms)
{
	struct timespec at = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000,
	};

	return pthread_cond_timedwait(cond, lock, &at) != ETIMEDOUT;
}

struct failure *
failure_new(const struct err *err)
{
	struct failure *f = mem_alloc(sizeof *f);

	f->err = *err;
	f->retry_ms = time_monotonic_ms() + FAILURE_MS;
	return f;
}

int
failure_tell(const struct failure *f, struct err *err)
{
	if (err != NULL)
		*err = f->err;
	return f->err.code;
}

/* What may pass by itself.  A disk's error is tried thrice, a silent network until the deadline. */
static bool
worth_retrying(int r, unsigned tries)
{
	return r == ERR_UNREACHABLE || (r == ERR_IO && tries < IO_TRIES);
}

/* Sleeps, but not longer than the transfer lives.  Return: false when it is ending. */
static bool
pause_until(struct transfer *t, uint64_t until_ms)
{
	bool stopping;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping && !store_is_stopping() && time_monotonic_ms() < until_ms)
		(void)wait_until(&t->stop, &t->lock,
				 min_u64(until_ms, time_monotonic_ms() + STOP_LOOK_MS));
	stopping = t->stopping || store_is_stopping();
	pthread_mutex_unlock(&t->lock);
	return !stopping;
}

static uint64_t
begin_request(struct transfer *t, uint64_t len, uint64_t *deadline)
{
	uint64_t now = time_monotonic_us();

	pthread_mutex_lock(&t->lock);
	link_begin_locked(t, len);
	if (t->down)
		*deadline = min_u64(*deadline, now / 1000 + t->timeout_ms / 6);
	pthread_mutex_unlock(&t->lock);
	return now;
}

static void
end_request(struct transfer *t, uint64_t begun_us, uint64_t len, uint64_t got, int r,
	    unsigned tries)
{
	pthread_mutex_lock(&t->lock);
	link_end_locked(t, begun_us, time_monotonic_us(), len, got);
	t->stats.requests++;
	t->stats.bytes_fetched += got;
	t->stats.errors += r < 0;
	t->stats.retries += tries > 1;
	if (r == 0)
		t->down = false;
	pthread_mutex_unlock(&t->lock);
}

/* Others that wait for the same store needn't find that out as slowly. */
static void
note_silence(struct transfer *t, int r)
{
	if (r != ERR_UNREACHABLE)
		return;
	pthread_mutex_lock(&t->lock);
	t->down = true;
	pthread_mutex_unlock(&t->lock);
}

int
fetch_range(struct transfer *t, const struct remote *m, uint64_t off, uint64_t len,
	    uint64_t deadline, struct buf *ret, struct err *err)
{
	struct pack_key_text key = pack_object_key(&m->source.writer, &m->source.id);
	struct err local = ERR_INIT;

	if (err == NULL)
		err = &local;
	for (unsigned tries = 1;; tries++) {
		uint64_t begun = begin_request(t, len, &deadline), next;
		int r;

		*err = ERR_INIT;
		r = store_get(t->store, key.s, off, len, ret, err);
		end_request(t, begun, len, ret->len, r, tries);
		if (r == 0)
			return 0;
		buf_reset(ret);
		next = time_monotonic_ms() + store_backoff_ms(tries, err->retry_after_ms);
		if (!worth_retrying(r, tries) || next >= deadline || !pause_until(t, next)) {
			note_silence(t, r);
			return err_add(err, r, "pack %s", hex(&m->source.id.h).s);
		}
	}
}

uint64_t
bad_blocks(const struct run *run, uint64_t which)
{
	const struct remote *m = run->remote;
	uint64_t bad = 0;
	size_t at = run->skip;

	for (uint32_t i = 0; i < run->n; i++) {
		size_t len = block_len(m, run->first + i);

		if ((which >> i & 1) &&
		    (at > run->bytes.len || len > run->bytes.len - at ||
		     pack_block_check(m->header, run->first + i, slice_of(run->bytes.p + at, len),
				      NULL) < 0))
			bad |= UINT64_C(1) << i;
		at += len;
	}
	return bad;
}

/*
 * How a run's request treats a header that isn't known: it brings it along when it lies near, or
 * has a worker fetch it meanwhile.  Return: the object's offset to read from; *@ret_joined when the
 * header is this request's duty.
 */
static uint64_t
start_of_request(struct transfer *t, const struct run *run, bool *ret_joined)
{
	struct remote *m = run->remote;
	uint32_t near = t->local ? 0 : HEADER_JOIN_BLOCKS;
	uint64_t body_at = m->source.header_len;

	*ret_joined = false;
	pthread_mutex_lock(&t->lock);
	if (run->first <= near && header_claim_locked(m)) {
		*ret_joined = true;
	} else if (m->state == HEADER_ABSENT && !t->local) {
		m->state = HEADER_QUEUED;
		ahead_push_locked(t, m, 0, 0, true);
	}
	pthread_mutex_unlock(&t->lock);
	return *ret_joined ? 0 : body_at + (uint64_t)run->first * PACK_BLOCK_LEN;
}

int
fetch_with_header(struct transfer *t, const struct remote *m, uint64_t len, uint64_t deadline,
		  struct buf *ret, struct err *err)
{
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	int r = fetch_range(t, m, 0, len, deadline, ret, err);

	if (r < 0 || t->local || header_check(m, buf_slice(ret), &h, NULL) == 0)
		return r;
	buf_reset(ret);
	return fetch_range(t, m, 0, len, deadline, ret, err);
}

/* Asks once more for blocks that arrived damaged; a failure leaves them so. */
static void
fetch_bad_again(struct transfer *t, struct run *run, uint64_t off, uint64_t len, uint64_t deadline)
{
	struct buf first = BUF_INIT;
	size_t first_skip = run->skip;
	uint64_t bad = run->bad;

	buf_move(&first, &run->bytes);
	run->skip = 0;
	if (fetch_range(t, run->remote, off, len, deadline, &run->bytes, NULL) == 0)
		run->bad = bad_blocks(run, UINT64_MAX);
	if (run->bytes.len == 0 || (run->bad & ~bad) != 0) {
		buf_move(&run->bytes, &first);
		run->skip = first_skip;
		run->bad = bad;
	}
	buf_fini(&first);
}

static int
fetch_blocks(struct transfer *t, struct run *run, uint64_t deadline, struct err *err)
{
	struct remote *m = run->remote;
	uint32_t last = run->first + run->n - 1;
	uint64_t start = m->source.header_len + (uint64_t)run->first * PACK_BLOCK_LEN;
	uint64_t end = m->source.header_len + (uint64_t)last * PACK_BLOCK_LEN + block_len(m, last);
	bool joined;
	uint64_t from = start_of_request(t, run, &joined);
	int r;

	run->skip = start - from;
	if (joined)
		r = fetch_with_header(t, m, end, deadline, &run->bytes, err);
	else
		r = fetch_range(t, m, from, end - from, deadline, &run->bytes, err);
	if (joined)
		r = header_publish(t, m, r, buf_slice(&run->bytes), err);
	if (r < 0)
		return r;
	if (joined && !m->recovered)
		cached_header_keep(t, m, buf_slice(&run->bytes));
	r = header_need(t, m, deadline, err);
	if (r < 0)
		return r;
	run->bad = bad_blocks(run, UINT64_MAX);
	if (run->bad != 0 && !t->local)
		fetch_bad_again(t, run, start, end - start, deadline);
	return 0;
}

/* Damaged blocks may be those of an object that was put over ours. */
static int
fetch_checked(struct transfer *t, struct run *run, uint64_t deadline, struct err *err)
{
	int r = fetch_blocks(t, run, deadline, err);

	if (r < 0 || run->bad == 0 || !run_recover(t, run))
		return r;
	return fetch_blocks(t, run, deadline, err);
}

static void
count_fetching(struct transfer *t, int by)
{
	pthread_mutex_lock(&t->lock);
	t->n_fetching += (unsigned)by;
	if (t->n_fetching == 0)
		pthread_cond_broadcast(&t->quiet);
	pthread_mutex_unlock(&t->lock);
}

void
run_fetch(struct transfer *t, struct run *run, uint64_t deadline)
{
	struct err err = ERR_INIT;
	int r = header_failed(t, run->remote, &err);

	bool from_store = false;

	count_fetching(t, 1);

	/* Without its header no byte of the pack could be checked. */
	if (r == 0)
		r = cached_run(t, run, deadline, &err);
	if (r == CACHED_NOTHING) {
		r = fetch_checked(t, run, deadline, &err);
		from_store = r == 0;
	}
	run_finish(t, run, r < 0 ? failure_new(&err) : NULL);
	if (from_store)
		cached_run_keep(t, run);
	count_fetching(t, -1);
}
