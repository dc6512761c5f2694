/*
 * test_transfer.c - traffic with the store: every byte checked, each block fetched once, failures
 * told in words and in time.
 */
#include "fixture_format.h"

#include <pthread.h>
#include <unistd.h>

#include "cache/internal.h"
#include "transfer/internal.h"

/* ---- a store whose calls can be counted and held up ------------------------------------------ */

struct gate {
	struct store *inner;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	unsigned gets, inside; /* calls so far, and those held up now; protected by lock */
	bool closed;
	int code; /* what every get answers; 0: what the inner store does */
	uint64_t last_off, last_len;
};

static int
gate_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct gate *g = arg;
	int code;

	pthread_mutex_lock(&g->lock);
	g->gets++;
	g->inside++;
	g->last_off = off;
	g->last_len = len;
	pthread_cond_broadcast(&g->moved);
	while (g->closed)
		pthread_cond_wait(&g->moved, &g->lock);
	g->inside--;
	code = g->code;
	pthread_mutex_unlock(&g->lock);
	if (code != 0)
		return err_set(err, code, "the gate says so");
	return store_get(g->inner, key, off, len, ret, err);
}

static int
gate_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	return store_size(((struct gate *)arg)->inner, key, ret, err);
}

static int
gate_create(void *arg, const char *key, struct slice body, struct err *err)
{
	return store_create(((struct gate *)arg)->inner, key, body, err);
}

static int
gate_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	return store_list(((struct gate *)arg)->inner, prefix, delimited, fn, fn_arg, err);
}

static int
gate_remove(void *arg, const char *key, struct err *err)
{
	return store_remove(((struct gate *)arg)->inner, key, err);
}

static void
gate_close(void *arg)
{
	(void)arg; /* the fixture's */
}

static const struct store_ops gate_ops = {"gate",    gate_get,    gate_size, gate_create,
					  gate_list, gate_remove, gate_close};

static void
gate_set(struct gate *g, bool closed, int code)
{
	pthread_mutex_lock(&g->lock);
	g->closed = closed;
	g->code = code;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}

static unsigned
gate_gets(struct gate *g)
{
	unsigned n;

	pthread_mutex_lock(&g->lock);
	n = g->gets;
	pthread_mutex_unlock(&g->lock);
	return n;
}

static void
gate_wait_inside(struct gate *g, unsigned n)
{
	pthread_mutex_lock(&g->lock);
	while (g->inside < n)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

/* ---- the fixture: one pack of random bytes -----------------------------------------------------
 */

struct fixture {
	struct gate gate;
	struct store *store;
	struct buf object;
	struct pack_source source;
	struct pack_key_text key;
	struct rng rng;
	struct transfer *t;
};

static const struct transfer_options options_default = {.memory = 16 * MIB, .timeout_ms = 20000};

static struct fixture *
fixture_new(size_t body_len, const struct transfer_options *options)
{
	CLEANUP(pack_builder_freep) struct pack_builder *b = NULL;
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	CLEANUP(freep) struct pack_place *places = NULL;
	struct fixture *fx = mem_alloc(sizeof *fx);
	struct seal_pair *pair = secret_new(sizeof *pair);
	struct seal_key seed = {{7}};
	struct recipient admin;
	struct repo_id repo = {{1}};
	struct err err = ERR_INIT;
	size_t n_places;

	fx->rng = rng_start("transfer");
	seal_pair_from_seed(&seed, pair);
	admin.box_pk = pair->box_pk;
	seal_fingerprint(&pair->box_pk, &pair->sign_pk, &admin.fingerprint);
	secret_free(pair);

	fx->source.writer = (struct writer_id){{1, 2, 3}};
	b = pack_builder_new(&repo, &fx->source.writer);
	(void)pack_builder_section(b, "general", &admin, 1);
	buf_append_u8(&packed, 0);
	rng_bytes(&fx->rng, buf_extend(&packed, 100000), 100000);
	while (pack_builder_body_len(b) < body_len) {
		uint32_t stored;

		(void)pack_builder_add(b, 0, PACK_DATA, buf_slice(&packed), &stored);
	}
	pack_builder_finish(b, &fx->object, &places, &n_places, &fx->source.id);
	fx->source.object_len = places[0].object_len;
	fx->source.header_len = places[0].header_len;

	fx->gate.inner = store_memory_new();
	pthread_mutex_init(&fx->gate.lock, NULL);
	pthread_cond_init(&fx->gate.moved, NULL);
	fx->store = store_new(&gate_ops, &fx->gate, "gate:");
	fx->key = pack_object_key(&fx->source.writer, &fx->source.id);
	CHECK_OK(store_create(fx->store, fx->key.s, buf_slice(&fx->object), &err), &err);
	fx->t = transfer_new(fx->store, options);
	return fx;
}

static void
fixture_free(struct fixture *fx)
{
	transfer_free(fx->t);
	store_close(fx->store);
	store_close(fx->gate.inner);
	buf_fini(&fx->object);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

static void
replace_object(struct fixture *fx, struct slice body)
{
	struct err err = ERR_INIT;

	CHECK_OK(store_remove(fx->store, fx->key.s, &err), &err);
	CHECK_OK(store_create(fx->store, fx->key.s, body, &err), &err);
}

static uint64_t
body_len(const struct fixture *fx)
{
	return fx->source.object_len - fx->source.header_len;
}

static void
check_read(struct fixture *fx, uint64_t off, size_t len)
{
	CLEANUP(buf_fini) struct buf got = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(transfer_read(fx->t, &fx->source, off, len, &got, &err), &err);
	check_bytes(buf_slice(&got), slice_of(fx->object.p + fx->source.header_len + off, len));
}

static void
check_fails(struct fixture *fx, uint64_t off, size_t len, int code, const char *text)
{
	CLEANUP(buf_fini) struct buf got = BUF_INIT;
	struct err err = ERR_INIT;

	buf_append_str(&got, "before");
	CHECK_REFUSED(transfer_read(fx->t, &fx->source, off, len, &got, &err), code, &err, text);
	assert_int_equal(got.len, 0);
	/* Whatever went wrong, the pack is named. */
	assert_non_null(strstr(err.msg, hex(&fx->source.id.h).s));
}

#define BLOCK ((uint64_t)PACK_BLOCK_LEN)

/* ---- bytes
 * --------------------------------------------------------------------------------------- */

static void
test_transfer__any_range_is_exact(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(6 * MIB, &options_default);

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		size_t len = rng_within(&fx->rng, 1, SEGMENT_STORED_MAX);

		check_read(fx, rng_within(&fx->rng, 0, body_len(fx) - len), len);
	}
	check_read(fx, 0, 1);
	check_read(fx, body_len(fx) - 1, 1);
	check_read(fx, BLOCK - 1, SEGMENT_STORED_MAX); /* as many blocks as can be */
}

static void
test_transfer__a_range_outside_the_body_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);

	(void)state;
	check_fails(fx, body_len(fx), 1, ERR_CORRUPT, "outside");
	check_fails(fx, body_len(fx) - 1, 2, ERR_CORRUPT, "outside");
	check_fails(fx, UINT64_MAX, 2, ERR_CORRUPT, "outside");
	check_fails(fx, 0, SEGMENT_STORED_MAX + 1, ERR_CORRUPT, "outside");
	assert_int_equal(gate_gets(&fx->gate), 0);
}

/* ---- requests
 * ------------------------------------------------------------------------------------ */

static void
test_transfer__the_header_comes_with_the_first_data(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(3 * MIB, &options_default);

	(void)state;
	check_read(fx, 1000, 50000);
	assert_int_equal(gate_gets(&fx->gate), 1);
	assert_int_equal(fx->gate.last_off, 0);
	assert_int_equal(fx->gate.last_len, fx->source.header_len + BLOCK);
}

static void
test_transfer__neighbours_are_merged_and_not_fetched_again(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(3 * MIB, &options_default);
	const struct pack_header *h;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(transfer_header(fx->t, &fx->source, &h, &err), &err);
	transfer_header_put(fx->t, h);
	assert_int_equal(gate_gets(&fx->gate), 1);

	check_read(fx, 8 * BLOCK + 5, 3 * PACK_BLOCK_LEN);
	assert_int_equal(gate_gets(&fx->gate), 2);
	assert_int_equal(fx->gate.last_len, 4 * BLOCK);

	/* Two blocks are there; one on either side is missing. */
	check_read(fx, 9 * BLOCK, 2 * PACK_BLOCK_LEN);
	assert_int_equal(gate_gets(&fx->gate), 2);
	check_read(fx, 11 * BLOCK, 2 * PACK_BLOCK_LEN);
	assert_int_equal(gate_gets(&fx->gate), 3);
	assert_int_equal(fx->gate.last_len, BLOCK);
}

struct reading {
	struct fixture *fx;
	uint64_t off;
	size_t len;
};

static void *
read_in_thread(void *arg)
{
	struct reading *x = arg;

	check_read(x->fx, x->off, x->len);
	return NULL;
}

static void
test_transfer__concurrent_callers_share_one_request(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);
	struct reading x = {fx, 100, 70000};
	pthread_t threads[8];

	(void)state;
	gate_set(&fx->gate, true, 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, &x), 0);
	gate_wait_inside(&fx->gate, 1);
	gate_set(&fx->gate, false, 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(gate_gets(&fx->gate), 1);
}

static void
wait_for_gets(struct fixture *fx, unsigned n)
{
	for (unsigned i = 0; i < 2000 && gate_gets(&fx->gate) < n; i++)
		usleep(1000);
	assert_true(gate_gets(&fx->gate) >= n);
}

static void
test_transfer__what_was_prefetched_costs_no_request(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(3 * MIB, &options_default);

	(void)state;
	transfer_prefetch(fx->t, &fx->source, 0, 4 * BLOCK);
	wait_for_gets(fx, 1);
	/* In flight or there already: either way nobody fetches it again. */
	check_read(fx, BLOCK, 2 * PACK_BLOCK_LEN);
	check_read(fx, 3 * BLOCK, PACK_BLOCK_LEN);
	assert_int_equal(gate_gets(&fx->gate), 1);
	/* Nonsense is ignored. */
	transfer_prefetch(fx->t, &fx->source, UINT64_MAX, 5);
	transfer_prefetch(fx->t, &fx->source, body_len(fx) - 1, UINT64_MAX);
	transfer_prefetch(fx->t, &fx->source, 0, 0);
}

static void
test_transfer__demand_passes_readahead(void **state)
{
	struct transfer_options options = {.memory = 16 * MIB, .workers = 1};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(12 * MIB, &options);
	struct reading x = {fx, 80 * BLOCK, 1000};
	pthread_t thread;

	(void)state;
	check_read(fx, 0, 10);
	gate_set(&fx->gate, true, 0);
	transfer_prefetch(fx->t, &fx->source, BLOCK, 90 * BLOCK);
	gate_wait_inside(&fx->gate, 1);
	/* The only worker is busy with a piece before; the block wanted is queued behind it. */
	assert_int_equal(pthread_create(&thread, NULL, read_in_thread, &x), 0);
	gate_wait_inside(&fx->gate, 2);
	gate_set(&fx->gate, false, 0);
	pthread_join(thread, NULL);
}

/* A store that never answers keeps a worker, but no caller. */
static void
test_transfer__a_hanging_store_is_told_within_the_deadline(void **state)
{
	struct transfer_options options = {.timeout_ms = 100};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(3 * MIB, &options);
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	gate_set(&fx->gate, true, 0);
	CHECK_REFUSED(transfer_read(fx->t, &fx->source, 0, 100, &bytes, &err), ERR_UNREACHABLE,
		      &err, "no answer within");
	gate_set(&fx->gate, false, 0);
	wait_for_gets(fx, 1);
}

/* Who reads far ahead on a long link has many requests underway, as many as it is worth. */
static void
test_transfer__a_window_is_fetched_in_many_requests_at_once(void **state)
{
	struct transfer_options options = {.memory = 16 * MIB};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(12 * MIB, &options);

	(void)state;
	check_read(fx, 0, 10);
	gate_set(&fx->gate, true, 0);
	transfer_prefetch(fx->t, &fx->source, BLOCK, 90 * BLOCK);
	gate_wait_inside(&fx->gate, 8);
	gate_set(&fx->gate, false, 0);
	check_read(fx, 50 * BLOCK, 2 * PACK_BLOCK_LEN);
	assert_true(transfer_window(fx->t) > 0);
	assert_true(transfer_window(fx->t) <= transfer_room(fx->t));
}

static void
test_transfer__memory_is_bounded(void **state)
{
	struct transfer_options options = {.memory = 2 * MIB};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(12 * MIB, &options);

	(void)state;
	for (uint64_t off = 0; off + PACK_BLOCK_LEN <= body_len(fx); off += BLOCK) {
		check_read(fx, off, PACK_BLOCK_LEN);
		pthread_mutex_lock(&fx->t->lock);
		assert_true(fx->t->run_bytes + fx->t->header_bytes <= fx->t->memory);
		pthread_mutex_unlock(&fx->t->lock);
	}
}

/* ---- damage
 * -------------------------------------------------------------------------------------- */

static void
test_transfer__a_flipped_byte_is_refused_and_the_rest_served(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(2 * MIB, &options_default);
	CLEANUP(buf_fini) struct buf bad = BUF_INIT;
	unsigned gets;

	(void)state;
	buf_append(&bad, fx->object.p, fx->object.len);
	bad.p[fx->source.header_len + 3 * BLOCK + 77] ^= 4;
	replace_object(fx, buf_slice(&bad));

	check_fails(fx, 2 * BLOCK, 3 * PACK_BLOCK_LEN, ERR_CORRUPT, "block 3");
	gets = gate_gets(&fx->gate);
	/* It is remembered, and its neighbours of the same request are good. */
	check_fails(fx, 3 * BLOCK, 10, ERR_CORRUPT, "tillfs check");
	check_read(fx, 2 * BLOCK, PACK_BLOCK_LEN);
	check_read(fx, 4 * BLOCK, PACK_BLOCK_LEN);
	assert_int_equal(gate_gets(&fx->gate), gets);

	/* But not for ever. */
	replace_object(fx, buf_slice(&fx->object));
	usleep((FAILURE_MS + 100) * 1000);
	check_read(fx, 2 * BLOCK, 3 * PACK_BLOCK_LEN);
}

static void
test_transfer__a_truncated_object_serves_what_is_there(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(2 * MIB, &options_default);
	size_t kept = fx->source.header_len + 5 * PACK_BLOCK_LEN + 10;

	(void)state;
	replace_object(fx, slice_of(fx->object.p, kept));
	check_read(fx, 0, 2 * PACK_BLOCK_LEN);
	check_fails(fx, 4 * BLOCK, 2 * PACK_BLOCK_LEN, ERR_CORRUPT, "ends before");
	check_read(fx, 4 * BLOCK, PACK_BLOCK_LEN);
	check_fails(fx, 7 * BLOCK, 1, ERR_CORRUPT, "block 7");
}

static void
test_transfer__a_damaged_header_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);
	CLEANUP(buf_fini) struct buf bad = BUF_INIT;

	(void)state;
	buf_append(&bad, fx->object.p, fx->object.len);
	bad.p[fx->source.header_len - 1] ^= 1;
	replace_object(fx, buf_slice(&bad));
	check_fails(fx, 0, 100, ERR_CORRUPT, "");
	check_fails(fx, 6 * BLOCK, 100, ERR_CORRUPT, "");
	replace_object(fx, slice_of(fx->object.p, 20));
	usleep((FAILURE_MS + 100) * 1000);
	check_fails(fx, 0, 100, ERR_CORRUPT, "inside its header");
}

static void
test_transfer__lengths_that_are_not_the_headers_are_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);
	struct pack_source right = fx->source;

	(void)state;
	fx->source.object_len -= 1;
	check_fails(fx, 0, 100, ERR_CORRUPT, "other lengths");
	fx->source = right;
	fx->source.header_len -= 1;
	check_fails(fx, 0, 100, ERR_CORRUPT, "");
	fx->source.header_len = 0;
	check_fails(fx, 0, 100, ERR_CORRUPT, "impossible lengths");
	fx->source.header_len = PACK_HEADER_MAX + 1;
	check_fails(fx, 0, 100, ERR_CORRUPT, "impossible lengths");
	fx->source = right;
	fx->source.object_len = UINT64_MAX;
	check_fails(fx, 0, 100, ERR_CORRUPT, "impossible lengths");
	fx->source = right;
	check_read(fx, 0, 100);
}

/* ---- a store that fails
 * -------------------------------------------------------------------------- */

static void
test_transfer__a_missing_pack_is_named_and_remembered(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);
	struct err err = ERR_INIT;
	unsigned gets;

	(void)state;
	CHECK_OK(store_remove(fx->store, fx->key.s, &err), &err);
	check_fails(fx, 0, 100, ERR_NOENT, "pack ");
	gets = gate_gets(&fx->gate);
	check_fails(fx, 0, 100, ERR_NOENT, "pack ");
	check_fails(fx, 5 * BLOCK, 100, ERR_NOENT, "pack ");
	assert_int_equal(gate_gets(&fx->gate), gets);
}

static void
test_transfer__what_may_pass_is_tried_again(void **state)
{
	static const int codes[] = {ERR_UNREACHABLE, ERR_IO};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);
		struct store *faulty = store_fault_new(steal_ptr(&fx->store));
		struct transfer_stats stats;

		transfer_free(fx->t);
		fx->store = faulty;
		fx->t = transfer_new(faulty, &options_default);
		store_fault_arm(faulty, 1, codes[i]);
		check_read(fx, 0, 1000);
		assert_true(store_fault_fired(faulty));
		transfer_stats_get(fx->t, &stats);
		assert_int_equal(stats.retries, 1);
		assert_int_equal(stats.errors, 1);
	}
}

static void
test_transfer__a_refusal_is_not_tried_again(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);

	(void)state;
	gate_set(&fx->gate, false, ERR_DENIED);
	check_fails(fx, 0, 100, ERR_DENIED, "the gate says so");
	assert_int_equal(gate_gets(&fx->gate), 1);
}

static void
test_transfer__a_disk_error_is_told_after_three_tries(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options_default);

	(void)state;
	gate_set(&fx->gate, false, ERR_IO);
	check_fails(fx, 0, 100, ERR_IO, "the gate says so");
	assert_int_equal(gate_gets(&fx->gate), IO_TRIES);
}

static void
test_transfer__a_dead_store_is_told_within_the_deadline(void **state)
{
	struct transfer_options options = {.memory = 16 * MIB, .timeout_ms = 300};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options);
	uint64_t start = time_monotonic_ms();
	unsigned gets;

	(void)state;
	gate_set(&fx->gate, false, ERR_UNREACHABLE);
	check_fails(fx, 0, 100, ERR_UNREACHABLE, "the gate says so");
	assert_true(time_monotonic_ms() - start < 2000);
	gets = gate_gets(&fx->gate);
	assert_true(gets > 1);
	check_fails(fx, 0, 100, ERR_UNREACHABLE, "the gate says so");
	assert_int_equal(gate_gets(&fx->gate), gets);
}

static void
test_transfer__who_waits_for_anothers_request_has_a_deadline_too(void **state)
{
	struct transfer_options options = {.memory = 16 * MIB, .timeout_ms = 200};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(MIB, &options);

	(void)state;
	check_read(fx, 0, 10);
	gate_set(&fx->gate, true, 0);
	transfer_prefetch(fx->t, &fx->source, BLOCK, BLOCK);
	gate_wait_inside(&fx->gate, 1);
	check_fails(fx, BLOCK, 100, ERR_UNREACHABLE, "no answer");
	gate_set(&fx->gate, false, 0);
}

/* ---- the cache on disk
 * -------------------------------------------------------------------------- */

/* A cache in a folder of its own. */
struct shelf {
	char dir[64];
	struct diskcache *cache;
};

static struct shelf
shelf_open(void)
{
	struct shelf s = {.dir = "/tmp/tillfs-test-XXXXXX"};
	struct repo_id repo = {{1}};
	struct err err = ERR_INIT;

	assert_non_null(mkdtemp(s.dir));
	CHECK_OK(diskcache_open(s.dir, "test:", 64 * MIB, &s.cache, &err), &err);
	assert_true(cache_bind(s.cache, &repo));
	return s;
}

static void
shelf_close(struct shelf *s)
{
	CLEANUP(freep) char *command = str_format("rm -rf %s", s->dir);

	diskcache_close(s->cache);
	assert_int_equal(system(command), 0);
}

/* Another process's transfer: it has nothing in memory. */
static void
begin_anew(struct fixture *fx, struct shelf *s)
{
	struct transfer_options options = {.memory = 16 * MIB,
					   .timeout_ms = 5000,
					   .cache = s->cache};

	transfer_settle(fx->t);
	transfer_free(fx->t);
	fx->t = transfer_new(fx->store, &options);
}

static void
test_transfer__what_the_cache_has_costs_no_request(void **state)
{
	struct shelf shelf = shelf_open();
	struct fixture *fx = fixture_new(3 * MIB, &options_default);
	struct transfer_stats stats;
	unsigned gets;

	(void)state;
	begin_anew(fx, &shelf);
	check_read(fx, 100, 3 * PACK_BLOCK_LEN);
	check_read(fx, body_len(fx) - 10, 10);
	gets = gate_gets(&fx->gate);
	begin_anew(fx, &shelf);
	gate_set(&fx->gate, false, ERR_DENIED);
	check_read(fx, 100, 3 * PACK_BLOCK_LEN);
	check_read(fx, body_len(fx) - 10, 10);
	assert_int_equal(gate_gets(&fx->gate), gets);
	transfer_stats_get(fx->t, &stats);
	assert_int_equal(stats.blocks_from_disk, 5);
	fixture_free(fx);
	shelf_close(&shelf);
}

static void
test_transfer__a_run_that_is_partly_cached_is_served_in_part(void **state)
{
	struct shelf shelf = shelf_open();
	struct fixture *fx = fixture_new(3 * MIB, &options_default);

	(void)state;
	begin_anew(fx, &shelf);
	check_read(fx, 0, 2 * PACK_BLOCK_LEN);
	check_read(fx, 5 * BLOCK, PACK_BLOCK_LEN);
	begin_anew(fx, &shelf);
	gate_set(&fx->gate, false, ERR_DENIED);
	transfer_prefetch(fx->t, &fx->source, 0, 8 * BLOCK);
	check_read(fx, 0, 2 * PACK_BLOCK_LEN);
	check_read(fx, 5 * BLOCK, PACK_BLOCK_LEN);
	check_fails(fx, BLOCK, 2 * PACK_BLOCK_LEN, ERR_DENIED, "the gate says so");
	check_read(fx, 5 * BLOCK, PACK_BLOCK_LEN);
	/* The store is back: only what isn't there is fetched, and kept. */
	gate_set(&fx->gate, false, 0);
	usleep((FAILURE_MS + 100) * 1000);
	check_read(fx, BLOCK, 3 * PACK_BLOCK_LEN);
	begin_anew(fx, &shelf);
	gate_set(&fx->gate, false, ERR_DENIED);
	check_read(fx, 0, 4 * PACK_BLOCK_LEN);
	fixture_free(fx);
	shelf_close(&shelf);
}

static void
test_transfer__rotten_blocks_in_the_cache_are_fetched_again(void **state)
{
	struct shelf shelf = shelf_open();
	struct fixture *fx = fixture_new(3 * MIB, &options_default);
	struct diskcache_pack p = {fx->source.id, fx->source.object_len, fx->source.header_len};
	CLEANUP(freep) char *name = pack_file_name(&p.id);
	CLEANUP(freep) char *path = str_format("%s/%s", diskcache_folder(shelf.cache), name);
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	begin_anew(fx, &shelf);
	check_read(fx, 0, 4 * PACK_BLOCK_LEN);
	transfer_settle(fx->t);
	/* A block, and then the header. */
	for (size_t at = pack_block_at(&p, 2) + 5; at != 0; at = at > FILE_DATA ? FILE_DATA : 0) {
		CHECK_OK(file_read(path, 64 * MIB, &bytes, &err), &err);
		bytes.p[at] ^= 1;
		CHECK_OK(file_write_atomic(path, buf_slice(&bytes), 0600, &err), &err);
		begin_anew(fx, &shelf);
		check_read(fx, 0, 4 * PACK_BLOCK_LEN);
		begin_anew(fx, &shelf);
		gate_set(&fx->gate, false, ERR_DENIED);
		check_read(fx, 0, 4 * PACK_BLOCK_LEN);
		gate_set(&fx->gate, false, 0);
	}
	fixture_free(fx);
	shelf_close(&shelf);
}

/* ---- everything at once
 * -------------------------------------------------------------------------- */

struct crowd {
	struct fixture *fx;
	uint64_t seed;
	unsigned failures;
};

static void *
read_at_random(void *arg)
{
	struct crowd *c = arg;
	struct fixture *fx = c->fx;
	struct rng rng = {c->seed};
	CLEANUP(buf_fini) struct buf got = BUF_INIT;

	for (unsigned i = 0; i < 300; i++) {
		size_t len = rng_within(&rng, 1, 200000);
		uint64_t off = rng_within(&rng, 0, body_len(fx) - len);
		struct err err = ERR_INIT;
		int r;

		if (i % 10 == 0)
			transfer_prefetch(fx->t, &fx->source, off, 20 * BLOCK);
		r = transfer_read(fx->t, &fx->source, off, len, &got, &err);
		c->failures += r < 0;
		if (r == 0)
			check_bytes(buf_slice(&got),
				    slice_of(fx->object.p + fx->source.header_len + off, len));
		else
			assert_int_equal(got.len, 0);
	}
	return NULL;
}

static void
test_transfer__many_threads_get_the_right_bytes(void **state)
{
	struct transfer_options options = {.memory = 3 * MIB, .workers = 3};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(12 * MIB, &options);
	struct crowd crowd[6];
	pthread_t threads[6];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		crowd[i] = (struct crowd){fx, rng_next(&fx->rng), 0};
		assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &crowd[i]), 0);
	}
	/* For a moment the store denies everything: told, and forgotten a second later. */
	usleep(20000);
	gate_set(&fx->gate, false, ERR_DENIED);
	usleep(5000);
	gate_set(&fx->gate, false, 0);
	for (size_t i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	usleep((FAILURE_MS + 100) * 1000);
	check_read(fx, 0, 100000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transfer__any_range_is_exact),
		cmocka_unit_test(test_transfer__a_range_outside_the_body_is_refused),
		cmocka_unit_test(test_transfer__the_header_comes_with_the_first_data),
		cmocka_unit_test(test_transfer__neighbours_are_merged_and_not_fetched_again),
		cmocka_unit_test(test_transfer__concurrent_callers_share_one_request),
		cmocka_unit_test(test_transfer__what_was_prefetched_costs_no_request),
		cmocka_unit_test(test_transfer__demand_passes_readahead),
		cmocka_unit_test(test_transfer__a_hanging_store_is_told_within_the_deadline),
		cmocka_unit_test(test_transfer__a_window_is_fetched_in_many_requests_at_once),
		cmocka_unit_test(test_transfer__memory_is_bounded),
		cmocka_unit_test(test_transfer__a_flipped_byte_is_refused_and_the_rest_served),
		cmocka_unit_test(test_transfer__a_truncated_object_serves_what_is_there),
		cmocka_unit_test(test_transfer__a_damaged_header_is_refused),
		cmocka_unit_test(test_transfer__lengths_that_are_not_the_headers_are_refused),
		cmocka_unit_test(test_transfer__a_missing_pack_is_named_and_remembered),
		cmocka_unit_test(test_transfer__what_may_pass_is_tried_again),
		cmocka_unit_test(test_transfer__a_refusal_is_not_tried_again),
		cmocka_unit_test(test_transfer__a_disk_error_is_told_after_three_tries),
		cmocka_unit_test(test_transfer__a_dead_store_is_told_within_the_deadline),
		cmocka_unit_test(test_transfer__who_waits_for_anothers_request_has_a_deadline_too),
		cmocka_unit_test(test_transfer__what_the_cache_has_costs_no_request),
		cmocka_unit_test(test_transfer__a_run_that_is_partly_cached_is_served_in_part),
		cmocka_unit_test(test_transfer__rotten_blocks_in_the_cache_are_fetched_again),
		cmocka_unit_test(test_transfer__many_threads_get_the_right_bytes),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
