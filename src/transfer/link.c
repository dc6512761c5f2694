/*
 * link.c - how long a round trip takes, how much the link carries: what is worth asking ahead.
 *
 * The round trip is the shortest request of late.  The rate is what arrived while something was in
 * flight all the time, the best of late.  A window of several times their product grows until the
 * link is full: as long as more requests bring more bytes, the rate that they show asks for more.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

#define PERIOD_US     UINT64_C(10000000) /* a round trip is forgotten after two of these */
#define SAMPLE_US_MIN UINT64_C(20000)
#define WINDOW_FACTOR 3u /* round trips' worth: requests wait in the server and in memory too */

static uint64_t
rtt_us(const struct link *l)
{
	if (l->rtt_us[0] == 0 || l->rtt_us[1] == 0)
		return max_u64(l->rtt_us[0], l->rtt_us[1]);
	return min_u64(l->rtt_us[0], l->rtt_us[1]);
}

void
link_begin_locked(struct transfer *t, uint64_t now_us)
{
	struct link *l = &t->link;

	if (l->in_flight++ == 0) {
		l->mark_us = now_us;
		l->bytes = 0;
	}
}

void
link_end_locked(struct transfer *t, uint64_t begun_us, uint64_t now_us, uint64_t bytes)
{
	struct link *l = &t->link;
	uint64_t took = max_u64(now_us - begun_us, 1), since;

	l->in_flight--;
	if (bytes == 0)
		return; /* it failed, and says nothing of the link */
	if (now_us - l->period_us > PERIOD_US) {
		l->rtt_us[1] = l->rtt_us[0];
		l->rtt_us[0] = 0;
		l->period_us = now_us;
	}
	if (l->rtt_us[0] == 0 || took < l->rtt_us[0])
		l->rtt_us[0] = took;

	l->bytes += bytes;
	since = now_us - l->mark_us;
	if (since < max_u64(2 * rtt_us(l), SAMPLE_US_MIN))
		return;
	l->rate = max_u64(l->bytes * 1000000 / since, l->rate - l->rate / 8);
	l->mark_us = now_us;
	l->bytes = 0;
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
