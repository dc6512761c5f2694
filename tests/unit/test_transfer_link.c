/*
 * test_transfer_link.c - what is learnt of a link: the window grows until it is full, follows it
 * down, and stays within its bounds.
 */
#include "fixture_format.h"

#include "transfer/internal.h"

#define MS UINT64_C(1000)

/* A transfer of which only the link is used, and a link of so many bytes a ms and such a delay. */
struct world {
	struct transfer t;
	uint64_t now_us, rtt_us, bytes_per_ms;
};

/* A round trip's worth of requests: as many bytes as the window, or what the link carries. */
static void
pass_round_trip(struct world *w)
{
	uint64_t window = link_window_locked(&w->t);
	uint64_t took = max_u64(w->rtt_us, window * MS / w->bytes_per_ms + w->rtt_us);
	uint64_t begun = w->now_us;

	for (unsigned i = 0; i < 8; i++)
		link_begin_locked(&w->t, window / 8);
	for (unsigned i = 1; i <= 8; i++)
		link_end_locked(&w->t, begun, begun + w->rtt_us + (took - w->rtt_us) * i / 8,
				window / 8, window / 8);
	w->now_us = begun + took;
}

static uint64_t
settle(struct world *w)
{
	for (unsigned i = 0; i < 60; i++)
		pass_round_trip(w);
	return link_window_locked(&w->t);
}

static void
test_link__window_covers_what_the_link_holds(void **state)
{
	static const struct {
		uint64_t rtt_ms, mb_per_s;
	} links[] = {{30, 125}, {100, 12}, {250, 20}, {1, 1000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		struct world w = {.t = {.window_max = 64 * MIB, .run_blocks = 32},
				  .now_us = MS,
				  .rtt_us = links[i].rtt_ms * MS,
				  .bytes_per_ms = links[i].mb_per_s * 1000};
		uint64_t holds = w.bytes_per_ms * links[i].rtt_ms;
		uint64_t window = settle(&w);

		assert_in_range(window, holds, max_u64(8 * holds, WINDOW_MIN));
		assert_in_range(link_run_blocks_locked(&w.t), 1, 32);
	}
}

static void
test_link__window_is_bounded(void **state)
{
	struct world w = {.t = {.window_max = 3 * MIB, .run_blocks = 32},
			  .now_us = MS,
			  .rtt_us = 500 * MS,
			  .bytes_per_ms = 1000 * 1000};

	(void)state;
	assert_int_equal(link_window_locked(&w.t), 3 * MIB); /* before anything is known */
	assert_int_equal(settle(&w), 3 * MIB);
	w.bytes_per_ms = 1;
	w.t.window_max = 64 * MIB;
	assert_int_equal(settle(&w), WINDOW_MIN);
}

static void
test_link__failures_teach_nothing(void **state)
{
	struct world w = {.t = {.window_max = 64 * MIB, .run_blocks = 32}, .now_us = MS};

	(void)state;
	link_begin_locked(&w.t, MIB);
	link_end_locked(&w.t, 0, 5 * MS, MIB, 0);
	assert_int_equal(w.t.link.rtt_us[0], 0);
	assert_int_equal(w.t.link.in_flight, 0);
	assert_int_equal(link_window_locked(&w.t), WINDOW_START);
}

/* A small request on an idle link doesn't make it a slow one. */
static void
test_link__little_asked_shows_little(void **state)
{
	struct world w = {.t = {.window_max = 64 * MIB, .run_blocks = 32}, .now_us = MS};

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		link_begin_locked(&w.t, 1000);
		w.now_us += 30 * MS;
		link_end_locked(&w.t, w.now_us - 30 * MS, w.now_us, 1000, 1000);
	}
	assert_int_equal(link_window_locked(&w.t), WINDOW_START);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link__window_covers_what_the_link_holds),
		cmocka_unit_test(test_link__window_is_bounded),
		cmocka_unit_test(test_link__little_asked_shows_little),
		cmocka_unit_test(test_link__failures_teach_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
