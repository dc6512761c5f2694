/*
 * link.c - how long a round trip takes, how much the link carries: what is worth asking ahead.
 *
 * The round trip is the shortest request of late.  The rate is what arrived between the end of one
 * request and that of later ones, so that the wait for the first byte doesn't count, the best of
 * late.  While little was asked for, it shows only that the link can do as much.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

#define PERIOD_US     UINT64_C(10000000) /* a round trip is forgotten after two of these */
#define SAMPLE_US_MIN UINT64_C(10000)
#define WINDOW_FACTOR 3u /* round trips' worth: requests wait in the server and in memory too */

static uint64_t
rtt_us(const struct link *l)
{
	if (l->rtt_us[0] == 0 || l->rtt_us[1] == 0)
		return max_u64(l->rtt_us[0], l->rtt_us[1]);
	return min_u64(l->rtt_us[0], l->rtt_us[1]);
}

void
link_begin_locked(struct transfer *t, uint64_t len)
{
	t->link.asked += len;
	if (t->link.in_flight++ == 0)
		t->link.mark_us = 0;
}

static void
note_round_trip(struct link *l, uint64_t now_us, uint64_t took)
{
	if (now_us - l->period_us > PERIOD_US) {
		l->rtt_us[1] = l->rtt_us[0];
		l->rtt_us[0] = 0;
		l->period_us = now_us;
	}
	if (l->rtt_us[0] == 0 || took < l->rtt_us[0])
		l->rtt_us[0] = took;
}

/* Bytes arrived since the mark: whether that was long enough to say something. */
static void
take_sample(struct link *l, uint64_t now_us)
{
	uint64_t since = now_us - l->mark_us, rate;

	if (l->mark_us == 0 || since < max_u64(rtt_us(l) / 2, SAMPLE_US_MIN))
		return;
	rate = l->bytes * 1000000 / since;
	if (l->is_full)
		l->rate = max_u64(rate, l->rate - l->rate / 8);
	else if (l->rate > 0)
		l->rate = max_u64(rate, l->rate);
	l->mark_us = 0;
}

void
link_end_locked(struct transfer *t, uint64_t begun_us, uint64_t now_us, uint64_t len, uint64_t got)
{
	struct link *l = &t->link;

	l->in_flight--;
	l->asked -= len;
	if (got == 0)
		return; /* it failed, and says nothing of the link */
	note_round_trip(l, now_us, max_u64(now_us - begun_us, 1));
	l->bytes += got;
	take_sample(l, now_us);
	if (l->mark_us > 0)
		return;
	l->mark_us = now_us;
	l->bytes = 0;
	l->is_full = l->asked + len >= link_window_locked(t) / 2;
}

uint64_t
link_window_locked(const struct transfer *t)
{
	const struct link *l = &t->link;
	uint64_t window;

	if (l->rate == 0)
		return min_u64(WINDOW_START, t->window_max);
	window = WINDOW_FACTOR * (l->rate / 1000) * (rtt_us(l) / 1000 + 1);
	return min_u64(max_u64(window, WINDOW_MIN), t->window_max);
}

uint32_t
link_run_blocks_locked(const struct transfer *t)
{
	uint64_t blocks = link_window_locked(t) / WINDOW_PARTS / PACK_BLOCK_LEN;

	return (uint32_t)min_u64(max_u64(blocks, 1), t->run_blocks);
}

void
link_tell_locked(const struct transfer *t, uint64_t *ret_rtt_us, uint64_t *ret_rate)
{
	*ret_rtt_us = rtt_us(&t->link);
	*ret_rate = t->link.rate;
}

uint64_t
transfer_window(struct transfer *t)
{
	uint64_t window;

	if (t->local)
		return 0;
	pthread_mutex_lock(&t->lock);
	window = link_window_locked(t);
	pthread_mutex_unlock(&t->lock);
	return window;
}

uint64_t
transfer_room(const struct transfer *t)
{
	return t->local ? 0 : t->window_max;
}
