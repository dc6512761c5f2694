/*
 * test_cache.c - the cache on disk: maps of blocks, the order of eviction, pins, small objects and
 * listings, and whatever may have happened to its files.
 */
#include "fixture_repo.h"

#include "cache/internal.h"

#define BLOCK ((uint64_t)PACK_BLOCK_LEN)
#define QUOTA (16 * MIB)

/* A repository, a cache of it, and packs whose bytes are made of their number. */
struct bench {
	struct fixture *fx;
	struct diskcache *cache;
	struct store *store; /* around the fixture's */
};

static struct diskcache *
open_cache(const struct bench *b, uint64_t max)
{
	CLEANUP(freep) char *dir = str_format("%s/cache", b->fx->dir);
	struct diskcache *cache;
	struct err err = ERR_INIT;

	CHECK_OK(diskcache_open(dir, "test://here", max, &cache, &err), &err);
	return cache;
}

static void
bind_cache(struct bench *b)
{
	CLEANUP(buf_fini) struct buf config = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_get_all(b->store, "config", MIB, &config, &err), &err);
	assert_true(diskcache_is_bound(b->cache));
}

/* The fixture's store is passed on: who closes one closes all. */
static struct bench *
bench_new(void)
{
	struct bench *b = mem_alloc(sizeof *b);

	b->fx = fixture_new("");
	b->cache = open_cache(b, QUOTA);
	b->store = diskcache_store_new(b->fx->store, b->cache, "test://here");
	b->fx->store = NULL;
	assert_false(diskcache_is_bound(b->cache));
	bind_cache(b);
	return b;
}

static void
bench_free(struct bench *b)
{
	store_close(b->store);
	diskcache_close(b->cache);
	fixture_free(b->fx);
	free(b);
}
DEFINE_FREEP(struct bench *, bench_free)

/* As a new process would. */
static void
reopen(struct bench *b)
{
	diskcache_close(b->cache);
	b->cache = open_cache(b, QUOTA);
	assert_true(diskcache_is_bound(b->cache));
}

static struct diskcache_pack
pack_number(uint8_t n, uint64_t body_len)
{
	struct diskcache_pack p = {.object_len = 1000 + body_len, .header_len = 1000};

	memset(&p.id, n, sizeof p.id);
	return p;
}

static void
fill(uint8_t *bytes, uint32_t n, uint8_t pack, uint32_t first)
{
	for (uint32_t i = 0; i < n; i++)
		memset(bytes + i * BLOCK, (int)(pack * 16 + first + i), BLOCK);
}

static void
put(struct bench *b, const struct diskcache_pack *p, uint32_t first, uint32_t n)
{
	CLEANUP(freep) uint8_t *bytes = mem_alloc(n * BLOCK);

	fill(bytes, n, p->id.h.b[0], first);
	diskcache_blocks_put(b->cache, p, first, n, n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX,
			     bytes);
}

/* Reads blocks; those that are there must be right.  Return: which are. */
static uint64_t
get(struct bench *b, const struct diskcache_pack *p, uint32_t first, uint32_t n)
{
	CLEANUP(freep) uint8_t *bytes = mem_alloc(n * BLOCK);
	CLEANUP(freep) uint8_t *right = mem_alloc(n * BLOCK);
	uint64_t got = diskcache_blocks_get(b->cache, p, first, n, bytes);

	fill(right, n, p->id.h.b[0], first);
	for (uint32_t i = 0; i < n; i++)
		if (got >> i & 1)
			assert_memory_equal(bytes + i * BLOCK, right + i * BLOCK,
					    pack_block_len(p, first + i));
	return got;
}

static char *
file_of(const struct bench *b, const struct diskcache_pack *p)
{
	CLEANUP(freep) char *name = pack_file_name(&p->id);

	return str_format("%s/%s", diskcache_folder(b->cache), name);
}

/* ---- blocks */

static void
test_cache__blocks_come_back_each_by_itself(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct diskcache_pack p = pack_number(1, 40 * BLOCK + 77);

	(void)state;
	assert_int_equal(diskcache_blocks_has(b->cache, &p, 0, 41), 0);
	put(b, &p, 3, 2);
	put(b, &p, 40, 1); /* the last one is short */
	put(b, &p, 20, 8);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(diskcache_blocks_has(b->cache, &p, 0, 41),
				 3ull << 3 | 0xffull << 20 | 1ull << 40);
		assert_int_equal(get(b, &p, 2, 4), 3 << 1);
		assert_int_equal(get(b, &p, 40, 1), 1);
		assert_int_equal(get(b, &p, 0, 3), 0);
		reopen(b);
	}
	diskcache_blocks_drop(b->cache, &p, 20, 1 << 2 | 1 << 3);
	assert_int_equal(get(b, &p, 20, 8), 0xff & ~(3 << 2));
	/* What no pack has is not there. */
	assert_int_equal(diskcache_blocks_has(b->cache, &p, 41, 1), 0);
	assert_int_equal(diskcache_blocks_has(b->cache, &p, 30, 64), 0);
	assert_int_equal(diskcache_blocks_has(b->cache, &p, UINT32_MAX, 2), 0);
}

static void
test_cache__every_map_of_blocks_is_kept_exactly(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct rng rng = rng_start("test_cache");
	CLEANUP(freep) uint8_t *bytes = mem_alloc(64 * BLOCK);

	(void)state;
	for (uint8_t n = 1; n <= 8; n++) {
		struct diskcache_pack p = pack_number(n, 64 * BLOCK);
		uint64_t which = rng_next(&rng) & rng_next(&rng) & rng_next(&rng);

		fill(bytes, 64, n, 0);
		diskcache_blocks_put(b->cache, &p, 0, 64, which, bytes);
		assert_int_equal(get(b, &p, 0, 64), which);
	}
}

static void
test_cache__headers_come_back(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct diskcache_pack p = pack_number(1, BLOCK), other = p;
	CLEANUP(buf_fini) struct buf got = BUF_INIT;
	uint8_t header[1000];

	(void)state;
	memset(header, 9, sizeof header);
	assert_false(diskcache_header_get(b->cache, &p, &got));
	put(b, &p, 0, 1);
	assert_false(diskcache_header_get(b->cache, &p, &got));
	diskcache_header_put(b->cache, &p, slice_of(header, sizeof header));
	assert_true(diskcache_header_get(b->cache, &p, &got));
	check_bytes(buf_slice(&got), slice_of(header, sizeof header));
	/* A snapshot that gives a pack another length gets nothing of it. */
	other.object_len++;
	assert_false(diskcache_header_get(b->cache, &other, &got));
	assert_int_equal(diskcache_blocks_has(b->cache, &other, 0, 1), 0);
}

static void
test_cache__a_file_cut_short_or_replaced_has_less(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct diskcache_pack p = pack_number(1, 8 * BLOCK);
	CLEANUP(freep) char *path = file_of(b, &p);

	(void)state;
	put(b, &p, 0, 8);
	assert_int_equal(truncate(path, (off_t)(FILE_DATA + 1000 + 5 * BLOCK + 1)), 0);
	assert_int_equal(get(b, &p, 0, 8), 0x1f);
	put(b, &p, 5, 3);
	assert_int_equal(get(b, &p, 0, 8), 0xff);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(get(b, &p, 0, 8), 0);
	put(b, &p, 2, 1);
	assert_int_equal(get(b, &p, 0, 8), 1 << 2);
	assert_int_equal(truncate(path, 30), 0);
	reopen(b);
	assert_int_equal(get(b, &p, 0, 8), 0);
	put(b, &p, 1, 1);
	assert_int_equal(get(b, &p, 0, 8), 1 << 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(get(b, &p, 0, 8), 0);
	put(b, &p, 1, 1); /* fails, and says so to nobody but the log */
	assert_int_equal(get(b, &p, 0, 8), 0);
}

/* ---- the quota */

static uint64_t
pack_bytes(struct bench *b)
{
	CLEANUP(freep)
	char *command = str_format("test $(du -sk %s/packs | cut -f1) -le %u",
				   diskcache_folder(b->cache), QUOTA / KIB);

	return (uint64_t)system(command);
}

static void
set_used(struct bench *b, const struct diskcache_pack *p, int64_t when)
{
	CLEANUP(freep) char *name = pack_file_name(&p->id);
	struct index *x = &b->cache->index;
	struct err err = ERR_INIT;
	struct db_stmt *s;

	pthread_mutex_lock(&x->lock);
	CHECK_OK(index_flush_locked(b->cache, &err), &err);
	CHECK_OK(table_query(&x->files, "UPDATE files SET used = ?1 WHERE name = ?2", &s, &err),
		 &err);
	db_bind_int(s, 1, when);
	db_bind_bytes(s, 2, name, strlen(name));
	CHECK_OK(db_run(s, &err), &err);
	pthread_mutex_unlock(&x->lock);
}

static void
test_cache__what_was_used_least_lately_goes_first(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct diskcache_pack p[5];

	(void)state;
	for (uint8_t i = 0; i < 5; i++)
		p[i] = pack_number((uint8_t)(i + 1), 32 * BLOCK);
	for (uint8_t i = 0; i < 3; i++)
		put(b, &p[i], 0, 32); /* 12 of 16 MiB */
	set_used(b, &p[0], 300);
	set_used(b, &p[1], 100);
	set_used(b, &p[2], 200);
	put(b, &p[3], 0, 32);
	put(b, &p[4], 0, 32);
	assert_int_equal(diskcache_blocks_has(b->cache, &p[1], 0, 32), 0);
	assert_int_equal(diskcache_blocks_has(b->cache, &p[2], 0, 32), 0);
	assert_int_equal(get(b, &p[0], 0, 32), UINT32_MAX);
	assert_int_equal(get(b, &p[3], 0, 32), UINT32_MAX);
	assert_int_equal(get(b, &p[4], 0, 32), UINT32_MAX);
	assert_int_equal(pack_bytes(b), 0);
}

static void
test_cache__the_quota_holds_for_what_a_killed_process_left(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	CLEANUP(freep) char *index = str_format("%s/index.db", diskcache_folder(b->cache));

	(void)state;
	for (uint8_t i = 1; i <= 3; i++) {
		struct diskcache_pack p = pack_number(i, 32 * BLOCK);

		put(b, &p, 0, 32);
	}
	/* Nothing is written down of it. */
	reopen(b);
	assert_int_equal(unlink(index), 0);
	for (uint8_t i = 4; i <= 7; i++) {
		struct diskcache_pack p = pack_number(i, 32 * BLOCK);

		put(b, &p, 0, 32);
		assert_int_equal(get(b, &p, 0, 32), UINT32_MAX);
		assert_int_equal(pack_bytes(b), 0);
	}
}

static void
test_cache__two_share_a_folder(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct bench other = {.fx = b->fx, .cache = open_cache(b, QUOTA)};
	struct diskcache_pack p = pack_number(1, 16 * BLOCK);

	(void)state;
	put(b, &p, 0, 4);
	put(&other, &p, 4, 4);
	assert_int_equal(get(b, &p, 0, 16), 0xff);
	assert_int_equal(get(&other, &p, 0, 16), 0xff);
	/* One evicts; the other finds out, and doesn't write into a file without a name. */
	for (uint8_t i = 2; i <= 8; i++) {
		struct diskcache_pack more = pack_number(i, 32 * BLOCK);

		put(b, &more, 0, 32);
	}
	assert_int_equal(get(&other, &p, 0, 16), 0);
	put(&other, &p, 1, 1);
	assert_int_equal(get(b, &p, 0, 16), 1 << 1);
	diskcache_close(other.cache);
}

/* ---- pins */

static int64_t
pin(struct bench *b, const struct diskcache_pack *p, uint64_t which, int code)
{
	struct diskcache_blocks blocks = {.pack = *p, .map = {which}};
	struct snapshot_id snapshot = {{{7}}};
	struct err err = ERR_INIT;
	int64_t number;
	int r = diskcache_pin_add(b->cache, &snapshot, slice_str("sealed"), &blocks, 1, &number,
				  &err);

	assert_int_equal(r, code);
	return number;
}

static void
test_cache__pinned_blocks_stay(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct diskcache_pack p = pack_number(1, 32 * BLOCK);
	struct diskcache_pin *pins;
	struct err err = ERR_INIT;
	int64_t number;
	size_t n;

	(void)state;
	put(b, &p, 0, 32);
	number = pin(b, &p, 0xff00, 0);
	set_used(b, &p, 1);
	for (uint8_t i = 2; i <= 8; i++) {
		struct diskcache_pack more = pack_number(i, 32 * BLOCK);

		put(b, &more, 0, 32);
	}
	assert_int_equal(get(b, &p, 0, 32), 0xff00);
	assert_int_equal(pack_bytes(b), 0);

	CHECK_OK(diskcache_pins_get(b->cache, &pins, &n, &err), &err);
	assert_int_equal(n, 1);
	assert_int_equal(pins[0].number, number);
	assert_int_equal(pins[0].bytes, 8 * BLOCK + 1000);
	check_bytes(buf_slice(&pins[0].sealed), slice_str("sealed"));
	diskcache_pins_free(pins, n);

	CHECK_OK(diskcache_pin_remove(b->cache, number, &err), &err);
	set_used(b, &p, 1);
	for (uint8_t i = 2; i <= 8; i++) {
		struct diskcache_pack more = pack_number((uint8_t)(i + 8), 32 * BLOCK);

		put(b, &more, 0, 32);
	}
	assert_int_equal(get(b, &p, 0, 32), 0);
}

static void
test_cache__pins_that_do_not_fit_are_refused(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	struct diskcache_pack p = pack_number(1, 64 * BLOCK), q = pack_number(2, 64 * BLOCK);

	(void)state;
	pin(b, &p, UINT64_MAX, 0);
	pin(b, &p, UINT64_MAX, 0); /* the same blocks once more take no more room */
	pin(b, &q, UINT64_MAX, ERR_NOSPACE);
	pin(b, &q, UINT32_MAX, 0);
}

/* ---- small objects and listings */

static int
copy_key(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)err;
	(void)snprintf(arg, STORE_KEY_MAX + 1, "%s", entry->key);
	return 0;
}

static void
test_cache__small_objects_are_served_without_the_store(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	CLEANUP(store_closep) struct store *offline = NULL;
	CLEANUP(buf_fini) struct buf online_bytes = BUF_INIT;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(freep) char *path = NULL;
	struct err err = ERR_INIT;
	char key[STORE_KEY_MAX + 1] = "";

	(void)state;
	CHECK_OK(store_list(b->store, "ledger/", false, copy_key, key, &err), &err);
	if (key[0] == '\0') /* a new repository may have no entry yet */
		(void)snprintf(key, sizeof key, "config");
	CHECK_OK(store_get_all(b->store, key, MIB, &online_bytes, &err), &err);

	offline = diskcache_store_new(NULL, b->cache, "test://here");
	CHECK_OK(store_get_all(offline, key, MIB, &bytes, &err), &err);
	check_bytes(buf_slice(&bytes), buf_slice(&online_bytes));

	/* Damage is noticed: not there any more offline, fetched again online. */
	path = str_format("%s/objects/%s", diskcache_folder(b->cache), key);
	bytes.p[bytes.len / 2] ^= 1;
	CHECK_OK(file_write_atomic(path, buf_slice(&bytes), 0600, &err), &err);
	CHECK_REFUSED(store_get_all(offline, key, MIB, &bytes, &err), ERR_OFFLINE, &err,
		      "not in the cache");
	CHECK_OK(store_get_all(b->store, key, MIB, &bytes, &err), &err);
	check_bytes(buf_slice(&bytes), buf_slice(&online_bytes));
	CHECK_OK(store_get_all(offline, key, MIB, &bytes, &err), &err);
}

/* Keys that a listing told, one behind the other. */
static int
note_key(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)err;
	buf_append_str(arg, entry->key);
	buf_append_u8(arg, ' ');
	return 0;
}

static int
stop_at_once(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)arg;
	(void)entry;
	(void)err;
	return 1;
}

static void
create(struct bench *b, const char *key)
{
	struct err err = ERR_INIT;

	CHECK_OK(store_create(b->store, key, slice_str(key), &err), &err);
}

static void
list(struct store *s, const char *prefix, bool delimited, const char *expected)
{
	CLEANUP(buf_fini) struct buf told = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_list(s, prefix, delimited, note_key, &told, &err), &err);
	assert_string_equal(buf_cstr(&told), expected);
}

static void
test_cache__what_listings_told_is_remembered_in_whatever_parts(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	CLEANUP(store_closep) struct store *offline = diskcache_store_new(NULL, b->cache, "x:");
	CLEANUP(buf_fini) struct buf told = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	create(b, "snapshots/a/2025-01-01/1");
	create(b, "snapshots/a/2025-02-01/2");
	create(b, "snapshots/b/2025-01-01/3");
	CHECK_REFUSED(store_list(offline, "snapshots/", false, note_key, &told, &err), ERR_OFFLINE,
		      &err, "isn't in the cache");
	/* One that was broken off, or told folders only, isn't all. */
	assert_int_equal(store_list(b->store, "snapshots/", false, stop_at_once, NULL, &err), 1);
	list(b->store, "snapshots/", true, "snapshots/a/ snapshots/b/ ");
	CHECK_REFUSED(store_list(offline, "snapshots/", false, note_key, &told, &err), ERR_OFFLINE,
		      &err, "isn't in the cache");

	list(b->store, "snapshots/a/2025-01", false, "snapshots/a/2025-01-01/1 ");
	list(b->store, "snapshots/a/2025-02", false, "snapshots/a/2025-02-01/2 ");
	list(b->store, "snapshots/b/", false, "snapshots/b/2025-01-01/3 ");
	list(offline, "snapshots/", false,
	     "snapshots/a/2025-01-01/1 snapshots/a/2025-02-01/2 snapshots/b/2025-01-01/3 ");
	list(offline, "snapshots/", true, "snapshots/a/ snapshots/b/ ");
	list(offline, "snapshots/a/", true, "snapshots/a/2025-01-01/ snapshots/a/2025-02-01/ ");
	list(offline, "snapshots/b/2025", false, "snapshots/b/2025-01-01/3 ");

	/* Later listings tell what is new, and what is gone. */
	create(b, "snapshots/c/2025-01-01/4");
	CHECK_OK(store_remove(b->store, "snapshots/a/2025-01-01/1", &err), &err);
	list(b->store, "snapshots/c/", false, "snapshots/c/2025-01-01/4 ");
	list(b->store, "snapshots/a/", false, "snapshots/a/2025-02-01/2 ");
	CHECK_OK(store_remove(b->store, "snapshots/b/2025-01-01/3", &err), &err);
	list(b->store, "snapshots/", true, "snapshots/a/ snapshots/c/ ");
	list(offline, "snapshots/", false, "snapshots/a/2025-02-01/2 snapshots/c/2025-01-01/4 ");
	CHECK_REFUSED(store_list(offline, "grants/x/", false, note_key, &told, &err), ERR_OFFLINE,
		      &err, "isn't in the cache");
}

static void
test_cache__listings_before_the_config_count_too(void **state)
{
	struct bench *b = bench_new();
	CLEANUP(store_closep) struct store *offline = NULL;

	(void)state;
	create(b, "snapshots/a/1");
	diskcache_unbind(b->cache);
	list(b->store, "snapshots/", false, "snapshots/a/1 ");
	bind_cache(b);
	list(b->store, "ledger/x", false, "");
	offline = diskcache_store_new(NULL, b->cache, "x:");
	list(offline, "snapshots/", false, "snapshots/a/1 ");
	bench_free(b);
}

static void
test_cache__a_damaged_listing_is_none(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	CLEANUP(store_closep) struct store *offline = diskcache_store_new(NULL, b->cache, "x:");
	CLEANUP(freep) char *path = str_format("%s/listings/snapshots", diskcache_folder(b->cache));
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	create(b, "snapshots/a/1");
	create(b, "snapshots/a/2");
	list(b->store, "snapshots/", false, "snapshots/a/1 snapshots/a/2 ");
	CHECK_OK(file_read(path, MIB, &bytes, &err), &err);
	assert_int_equal(truncate(path, (off_t)bytes.len - 26), 0);
	CHECK_REFUSED(store_list(offline, "snapshots/", false, note_key, &bytes, &err), ERR_OFFLINE,
		      &err, "isn't in the cache");
}

static void
test_cache__offline_nothing_can_be_changed(void **state)
{
	CLEANUP(bench_freep) struct bench *b = bench_new();
	CLEANUP(store_closep) struct store *offline = diskcache_store_new(NULL, b->cache, "x:");
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;
	uint64_t size;

	(void)state;
	CHECK_REFUSED(store_create(offline, "packs/a", slice_str("1"), &err), ERR_OFFLINE, &err,
		      "offline");
	CHECK_REFUSED(store_remove(offline, "packs/a", &err), ERR_OFFLINE, &err, "offline");
	CHECK_REFUSED(store_size(offline, "packs/a", &size, &err), ERR_OFFLINE, &err, "offline");
	CHECK_REFUSED(store_get(offline, "packs/a", 5, 10, &bytes, &err), ERR_OFFLINE, &err,
		      "tillfs pin");
}

/* ---- the meter */

static void
test_cache__a_meter_counts_and_refuses_beyond_its_budget(void **state)
{
	CLEANUP(store_closep) struct store *m = store_meter_new(store_memory_new(), 1000);
	CLEANUP(freep) char *body = mem_alloc(5000);
	CLEANUP(buf_fini) struct buf got = BUF_INIT;
	struct store_meter_stats s;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(store_create(m, "a", slice_of(body, 5000), &err), &err);
	CHECK_OK(store_get(m, "a", 0, 600, &got, &err), &err);
	CHECK_REFUSED(store_get(m, "a", 600, 600, &got, &err), ERR_BUDGET, &err, "used up");
	/* What isn't there costs nothing, and less than asked for less. */
	CHECK_OK(store_get(m, "a", 4900, 400, &got, &err), &err);
	assert_int_equal(got.len, 100);
	CHECK_OK(store_get(m, "a", 0, 300, &got, &err), &err);
	CHECK_REFUSED(store_get(m, "a", 0, 1, &got, &err), ERR_BUDGET, &err, "1000 B");
	store_meter_stats_get(m, &s);
	assert_int_equal(s.requests, 4);
	assert_int_equal(s.bytes_fetched, 1000);
	assert_int_equal(s.bytes_sent, 5000);
	assert_int_equal(s.refused, 2);
	assert_int_equal(s.errors, 0);

	/* The next hour. */
	store_meter_expire(m);
	CHECK_OK(store_get_all(m, "a", 64 * MIB - 2, &got, &err), &err); /* paid for afterwards */
	CHECK_REFUSED(store_get(m, "a", 0, 1, &got, &err), ERR_BUDGET, &err, "used up");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache__blocks_come_back_each_by_itself),
		cmocka_unit_test(test_cache__every_map_of_blocks_is_kept_exactly),
		cmocka_unit_test(test_cache__headers_come_back),
		cmocka_unit_test(test_cache__a_file_cut_short_or_replaced_has_less),
		cmocka_unit_test(test_cache__what_was_used_least_lately_goes_first),
		cmocka_unit_test(test_cache__the_quota_holds_for_what_a_killed_process_left),
		cmocka_unit_test(test_cache__two_share_a_folder),
		cmocka_unit_test(test_cache__pinned_blocks_stay),
		cmocka_unit_test(test_cache__pins_that_do_not_fit_are_refused),
		cmocka_unit_test(test_cache__small_objects_are_served_without_the_store),
		cmocka_unit_test(test_cache__what_listings_told_is_remembered_in_whatever_parts),
		cmocka_unit_test(test_cache__listings_before_the_config_count_too),
		cmocka_unit_test(test_cache__a_damaged_listing_is_none),
		cmocka_unit_test(test_cache__offline_nothing_can_be_changed),
		cmocka_unit_test(test_cache__a_meter_counts_and_refuses_beyond_its_budget),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
