/*
 * stop.c - giving up all waits for distant stores, when the process is about to end.
 *
 * Layer 1.
 */
#include <time.h>

#include "store/backends.h"

#define LOOK_MS 100u /* how soon a wait is given up */

static atomic_bool stopping;

void
store_stop_all(void)
{
	atomic_store(&stopping, true);
}

bool
store_is_stopping(void)
{
	return atomic_load(&stopping);
}

int
store_stopped(struct err *err)
{
	return err_set(err, ERR_CANCELLED, "given up, since the program is ending");
}

bool
store_sleep_until(uint64_t monotonic_ms)
{
	uint64_t now;

	while (!store_is_stopping() && (now = time_monotonic_ms()) < monotonic_ms) {
		uint64_t ms = min_u64(monotonic_ms - now, LOOK_MS);
		struct timespec left = {.tv_nsec = (long)ms * 1000000};

		(void)nanosleep(&left, NULL); /* a signal shortens it, no more */
	}
	return !store_is_stopping();
}
