/*
 * trial.c - what a storage can do, and a credential may, found out by trying.
 *
 * Layer 1.
 */
#include "tillfs/trial.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "store/backends.h"
#include "tillfs/seal.h"

#define SMALL_LEN     100u
#define LARGE_LEN     (300u * KIB)
#define LOCK_S        6  /* long enough to be tried */
#define UNLOCK_WAIT_S 30 /* for clocks that differ */
#define RACERS        4u
#define RACES         3u

struct run {
	struct store *store;
	struct trial *trial;
	struct buf small, large;
};

/* ---- answers */

static void
answer(struct run *t, enum trial_item item, enum trial_answer a, const char *detail)
{
	struct trial_finding *f = &t->trial->findings[item];

	f->answer = a;
	(void)snprintf(f->detail, sizeof(f->detail), "%s", detail);
}

/* What an operation that should have succeeded says of it. */
static void
answer_failure(struct run *t, enum trial_item item, int r, const struct err *err)
{
	switch (r) {
	case ERR_DENIED:
		answer(t, item, TRIAL_DENIED, err->msg);
		break;
	case ERR_UNSUPPORTED:
		answer(t, item, TRIAL_NO, err->msg);
		break;
	default:
		answer(t, item, TRIAL_FAILED, err->msg);
	}
}

static bool
is_yes(const struct run *t, enum trial_item item)
{
	return t->trial->findings[item].answer == TRIAL_YES;
}

static char *
key_of(const struct run *t, const char *name)
{
	return str_format("%s/%s", t->trial->prefix, name);
}

/* ---- creating and reading */

static void
try_create(struct run *t)
{
	CLEANUP(freep) char *small = key_of(t, "small");
	CLEANUP(freep) char *large = key_of(t, "large");
	struct err err = ERR_INIT;
	int r = store_create(t->store, small, buf_slice(&t->small), &err);

	if (r == 0)
		r = store_create(t->store, large, buf_slice(&t->large), &err);
	if (r == 0)
		answer(t, TRIAL_CREATE, TRIAL_YES, "");
	else
		answer_failure(t, TRIAL_CREATE, r, &err);
}

/* Who may not create can still ask for what isn't there, or is a repository's. */
static void
try_read_anything(struct run *t)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	int r = store_get(t->store, "config", 0, 1, &b, &err);

	if (r == 0)
		answer(t, TRIAL_READ, TRIAL_YES, "");
	else if (r == ERR_NOENT)
		answer(t, TRIAL_READ, TRIAL_UNTRIED, "there is nothing to read");
	else
		answer_failure(t, TRIAL_READ, r, &err);
}

static void
try_read(struct run *t)
{
	CLEANUP(freep) char *key = key_of(t, "small");
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	int r;

	if (!is_yes(t, TRIAL_CREATE)) {
		try_read_anything(t);
		return;
	}
	r = store_get_all(t->store, key, SMALL_LEN, &b, &err);
	if (r < 0)
		answer_failure(t, TRIAL_READ, r, &err);
	else if (!slice_equal(buf_slice(&b), buf_slice(&t->small)))
		answer(t, TRIAL_READ, TRIAL_FAILED, "other bytes came back than were sent");
	else
		answer(t, TRIAL_READ, TRIAL_YES, "");
}

static void
try_range(struct run *t)
{
	static const struct {
		uint64_t off, len, got;
	} ranges[] = {{131072, 4096, 4096}, {LARGE_LEN - 10, 100, 10}, {LARGE_LEN, 10, 0}};
	CLEANUP(freep) char *key = key_of(t, "large");
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	if (!is_yes(t, TRIAL_CREATE) || !is_yes(t, TRIAL_READ))
		return;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		struct err err = ERR_INIT;
		int r = store_get(t->store, key, ranges[i].off, ranges[i].len, &b, &err);

		if (r < 0) {
			answer_failure(t, TRIAL_RANGE, r, &err);
			return;
		}
		if (b.len != ranges[i].got ||
		    (b.len > 0 && memcmp(b.p, t->large.p + ranges[i].off, b.len) != 0)) {
			answer(t, TRIAL_RANGE, TRIAL_FAILED,
			       "other bytes came back than asked for");
			return;
		}
	}
	answer(t, TRIAL_RANGE, TRIAL_YES, "");
}

/* ---- listing */

static int
append_key(void *arg, const struct store_entry *e, struct err *err)
{
	(void)err;
	buf_appendf(arg, "%s\n", e->key);
	return 0;
}

static void
try_list(struct run *t)
{
	CLEANUP(freep) char *prefix = str_format("%s/", t->trial->prefix);
	CLEANUP(freep) char *expected = str_format("%slarge\n%ssmall\n", prefix, prefix);
	CLEANUP(buf_fini) struct buf all = BUF_INIT;
	CLEANUP(buf_fini) struct buf level = BUF_INIT;
	struct err err = ERR_INIT;
	int r = store_list(t->store, prefix, false, append_key, &all, &err);

	if (r == 0)
		r = store_list(t->store, prefix, true, append_key, &level, &err);
	if (r < 0)
		answer_failure(t, TRIAL_LIST, r, &err);
	else if (is_yes(t, TRIAL_CREATE) &&
		 (strcmp(buf_cstr(&all), expected) != 0 || strcmp(buf_cstr(&level), expected) != 0))
		answer(t, TRIAL_LIST, TRIAL_FAILED, "it doesn't show what was just created");
	else
		answer(t, TRIAL_LIST, TRIAL_YES, "");
}

/* ---- creating exclusively */

struct racer {
	struct store *store;
	const char *key;
	pthread_barrier_t *start;
	uint8_t number;
	int result;
	pthread_t thread;
};

static void *
race(void *arg)
{
	struct racer *racer = arg;

	(void)pthread_barrier_wait(racer->start);
	racer->result = store_create(racer->store, racer->key, slice_of(&racer->number, 1), NULL);
	return NULL;
}

/* How many of several that create one key at once succeed. */
static unsigned
winners(struct run *t, const char *key)
{
	struct racer racers[RACERS];
	pthread_barrier_t start;
	unsigned n = 0;

	pthread_barrier_init(&start, NULL, RACERS);
	for (uint8_t i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){t->store, key, &start, i, 0, 0};
		if (pthread_create(&racers[i].thread, NULL, race, &racers[i]) != 0)
			abort(); /* as any allocation that fails */
	}
	for (unsigned i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		n += racers[i].result == 0;
	}
	pthread_barrier_destroy(&start);
	return n;
}

static void
try_exclusive(struct run *t)
{
	static const char several[] =
		"of several that create one object at once, more than one succeeds";

	if (!is_yes(t, TRIAL_CREATE))
		return;
	if (store_exclusive(t->store) == 0) {
		answer(t, TRIAL_EXCLUSIVE, TRIAL_NO, several);
		return;
	}
	for (unsigned i = 0; i < RACES; i++) {
		CLEANUP(freep) char *name = str_format("race-%u", i);
		CLEANUP(freep) char *key = key_of(t, name);
		unsigned n = winners(t, key);

		if (n != 1) {
			answer(t, TRIAL_EXCLUSIVE, n == 0 ? TRIAL_FAILED : TRIAL_NO,
			       n == 0 ? "none succeeded" : several);
			return;
		}
	}
	answer(t, TRIAL_EXCLUSIVE, TRIAL_YES, "");
}

/* ---- deleting, versions, locks */

static bool
is_small(void *arg, struct slice bytes)
{
	const struct run *t = arg;

	return slice_equal(bytes, buf_slice(&t->small));
}

/* What was removed is looked for among the older versions. */
static void
try_versions(struct run *t, const char *removed)
{
	struct err err = ERR_INIT;
	int r = store_recover(t->store, removed, 0, SMALL_LEN, is_small, t, &err);

	if (r == 0)
		answer(t, TRIAL_VERSIONS, TRIAL_YES, "");
	else if (r == ERR_NOENT)
		answer(t, TRIAL_VERSIONS, TRIAL_NO, "what is removed is gone");
	else
		answer_failure(t, TRIAL_VERSIONS, r, &err);
}

static void
try_delete(struct run *t)
{
	CLEANUP(freep) char *key = key_of(t, "small");
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	int r;

	if (!is_yes(t, TRIAL_CREATE))
		return;
	r = store_remove(t->store, key, &err);
	if (r < 0) {
		answer_failure(t, TRIAL_DELETE, r, &err);
		return;
	}
	if (store_get(t->store, key, 0, 1, &b, NULL) == 0) {
		answer(t, TRIAL_DELETE, TRIAL_FAILED, "it is still there");
		return;
	}
	answer(t, TRIAL_DELETE, TRIAL_YES, "");
	try_versions(t, key);
}

static void
wait_a_moment(void)
{
	struct timespec ts = {.tv_sec = 0, .tv_nsec = 500000000};

	(void)nanosleep(&ts, NULL);
}

static void
try_lock(struct run *t)
{
	CLEANUP(freep) char *key = key_of(t, "large");
	struct err err = ERR_INIT;
	int64_t until = 0, end = time_now() + LOCK_S;
	int r;

	if (!is_yes(t, TRIAL_CREATE))
		return;
	r = store_lock_set(t->store, key, end, &err);
	if (r == 0)
		r = store_lock_get(t->store, key, &until, &err);
	if (r == ERR_IO || r == ERR_INVALID)
		answer(t, TRIAL_LOCK, TRIAL_NO,
		       err.msg); /* refused: the bucket isn't made for it */
	else if (r < 0)
		answer_failure(t, TRIAL_LOCK, r, &err);
	else if (until != end)
		answer(t, TRIAL_LOCK, TRIAL_NO, "the storage takes a lock and forgets it");
	else if (store_purge(t->store, key, &err) == 0)
		answer(t, TRIAL_LOCK, TRIAL_NO, "what is locked could be deleted");
	else
		answer(t, TRIAL_LOCK, TRIAL_YES, "");
}

/* ---- clearing up */

/* Removes an object for good; one that is locked, once it isn't any more. */
static bool
clear(struct run *t, const char *key)
{
	uint64_t give_up = time_monotonic_ms() + UNLOCK_WAIT_S * 1000;
	bool locked = is_yes(t, TRIAL_LOCK);

	for (;;) {
		int r = store_purge(t->store, key, NULL);

		if (r == 0 || r == ERR_NOENT)
			return true;
		if (!locked || time_monotonic_ms() > give_up)
			return store_remove(t->store, key, NULL) == 0;
		wait_a_moment();
	}
}

static void
clear_up(struct run *t)
{
	static const char *const names[] = {"small", "large", "race-0", "race-1", "race-2"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(freep) char *key = key_of(t, names[i]);
		uint64_t size;

		if (clear(t, key) || store_size(t->store, key, &size, NULL) == ERR_NOENT)
			continue;
		if (t->trial->findings[TRIAL_CREATE].answer == TRIAL_YES)
			t->trial->n_left++;
	}
}

/* ---- all of it */

static void
fill(struct buf *b, size_t len)
{
	seal_random(buf_extend(b, len), len);
}

int
store_trial(struct store *s, const char *under, struct trial *ret, struct err *err)
{
	CLEANUP(freep) char *prefix = NULL;
	struct run t = {.store = s, .trial = ret};
	uint8_t id[8];

	*ret = (struct trial){0};
	seal_random(id, sizeof(id));
	prefix = str_format("%s%stillfs-test-%s", under, under[0] != '\0' ? "/" : "",
			    hex_bytes(id, sizeof(id)).s);
	if (strlen(prefix) > sizeof(ret->prefix) - 32)
		return err_set(err, ERR_INVALID, "\"%.64s\" is too long", under);
	(void)strcpy(ret->prefix, prefix);
	fill(&t.small, SMALL_LEN);
	fill(&t.large, LARGE_LEN);

	try_create(&t);
	try_read(&t);
	try_range(&t);
	try_list(&t);
	try_exclusive(&t);
	try_lock(&t);
	try_delete(&t);
	clear_up(&t);
	buf_fini(&t.small);
	buf_fini(&t.large);
	return 0;
}
