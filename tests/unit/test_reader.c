/*
 * test_reader.c - files and directories out of snapshots that real backups made.
 */
#include "fixture_repo.h"

#include <pthread.h>

#include "reader/internal.h"

/* ---- the fixture: a till with one snapshot of a few telling files -------------------------------
 */

#define BIG_LEN     ((size_t)9 * MIB + 4321)
#define MANY        4000u /* names in one directory: a search tree */
#define JOURNALS    120u
#define JOURNAL_LEN 60000u
#define HOLE_AT     ((uint64_t)3 * MIB)
#define HOLE_LEN    ((uint64_t)700 * MIB)
#define SPARSE_LEN  (HOLE_AT + HOLE_LEN + 5000)

struct shop {
	struct fixture *fx;
	struct store *faulty; /* the fixture's store */
	struct rng rng;
	struct snapshot_name name;
	struct repo *repo;
	struct transfer *transfer;
	struct reader *reader;
	struct repo_opened *opened;
	struct tree *tree;
	uint8_t *big; /* the content of src/big.db */
};

/* Half noise, half repetition, so that it compresses like a database. */
static uint8_t *
make_content(struct rng *rng, size_t len)
{
	uint8_t *p = mem_alloc(len);

	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t v = i / 8 % 2 == 0 ? rng_next(rng) : i / 4096;

		memcpy(p + i, &v, 8);
	}
	return p;
}

static void
write_at(const char *path, const void *p, size_t len, off_t off)
{
	FILE *f = fopen(path, "r+");

	if (f == NULL)
		f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fseeko(f, off, SEEK_SET), 0);
	assert_int_equal(fwrite(p, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
make_source(struct shop *s)
{
	struct stat st;

	s->big = make_content(&s->rng, BIG_LEN);
	write_at("src/big.db", s->big, BIG_LEN, 0);
	fixture_write("src/config/till.ini", "[till]\nnumber = 3\n");
	fixture_write("src/empty", "");
	assert_int_equal(symlink("big.db", "src/link"), 0);
	assert_int_equal(mkdir("src/nothing", 0700), 0);
	write_at("src/sparse", s->big, HOLE_AT, 0);
	write_at("src/sparse", s->big, 5000, (off_t)(HOLE_AT + HOLE_LEN));
	assert_int_equal(stat("src/sparse", &st), 0);
	assert_int_equal(st.st_size, SPARSE_LEN);
	assert_int_equal(mkdir("src/journal", 0755), 0);
	for (unsigned i = 0; i < JOURNALS; i++) {
		char path[64];

		snprintf(path, sizeof path, "src/journal/%03u", i);
		write_at(path, s->big + i * JOURNAL_LEN, JOURNAL_LEN, 0);
	}
	assert_int_equal(mkdir("src/many", 0755), 0);
	for (unsigned i = 0; i < MANY; i++) {
		char path[64];

		snprintf(path, sizeof path, "src/many/receipt-%05u", i * 2);
		fixture_write(path, path + 4);
	}
}

static void
shop_open(struct shop *s, uint64_t memory)
{
	struct transfer_options options = {.memory = 4 * MIB, .timeout_ms = 5000};
	struct err err = ERR_INIT;

	s->repo = fixture_open(s->fx);
	s->transfer = transfer_new(s->faulty, &options);
	s->reader = reader_new(s->repo, s->transfer, memory);
	CHECK_OK(repo_snapshot_open(s->repo, &s->name, &s->opened, &err), &err);
	s->tree = reader_tree_open(s->reader, s->opened, 0);
}

static void
shop_close(struct shop *s)
{
	tree_close(steal_ptr(&s->tree));
	repo_opened_free(steal_ptr(&s->opened));
	reader_free(steal_ptr(&s->reader));
	transfer_free(steal_ptr(&s->transfer));
	repo_close(steal_ptr(&s->repo));
}

static struct shop shop;

static int
shop_setup(void **state)
{
	(void)state;
	seal_start();
	shop.rng = rng_start("reader");
	shop.faulty = store_fault_new(store_memory_new());
	shop.fx = fixture_new_in(shop.faulty, "");
	fixture_writer(shop.fx, "till-03");
	make_source(&shop);
	shop.name = fixture_backup(shop.fx, "till-03", "2026-11-20", "2026-11-20T23:00:05Z");
	return 0;
}

static int
shop_teardown(void **state)
{
	(void)state;
	fixture_free(shop.fx);
	free(shop.big);
	return 0;
}

static int
each_setup(void **state)
{
	(void)state;
	shop_open(&shop, 16 * MIB);
	return 0;
}

static int
each_teardown(void **state)
{
	(void)state;
	shop_close(&shop);
	return 0;
}

/* ---- helpers
 * ------------------------------------------------------------------------------------- */

static struct tree_item
resolve(struct shop *s, const char *path)
{
	struct tree_item item;
	struct err err = ERR_INIT;

	CHECK_OK(tree_resolve(s->tree, slice_str(path), &item, &err), &err);
	return item;
}

static struct tree_file *
open_file(struct shop *s, const char *path)
{
	CLEANUP(tree_item_fini) struct tree_item item = resolve(s, path);
	struct tree_file *f;
	struct err err = ERR_INIT;

	CHECK_OK(tree_file_open(&item, &f, &err), &err);
	return f;
}

static void
check_range(struct tree_file *f, const uint8_t *content, uint64_t off, size_t len)
{
	CLEANUP(freep) uint8_t *p = mem_alloc(len);
	struct err err = ERR_INIT;
	size_t got;

	CHECK_OK(tree_file_read(f, off, p, len, &got, &err), &err);
	check_bytes(slice_of(p, got),
		    slice_of(content + off, min_u64(len, tree_file_size(f) - off)));
}

static struct reader_stats
stats(struct shop *s)
{
	struct reader_stats ret;

	reader_stats_get(s->reader, &ret);
	return ret;
}

/* ---- names
 * ----------------------------------------------------------------------------------------- */

static void
test_reader__paths_lead_to_entries(void **state)
{
	CLEANUP(tree_item_fini) struct tree_item ini = resolve(&shop, "src/config/till.ini");
	CLEANUP(tree_item_fini) struct tree_item link = resolve(&shop, "src/link");
	CLEANUP(tree_item_fini) struct tree_item root = resolve(&shop, "");
	struct tree_item none;
	struct err err = ERR_INIT;

	(void)state;
	assert_string_equal(tree_class(shop.tree), "general");
	assert_int_equal(ini.entry.type, ENTRY_FILE);
	assert_int_equal(ini.entry.size, strlen("[till]\nnumber = 3\n"));
	assert_int_equal(link.entry.type, ENTRY_SYMLINK);
	check_bytes(link.entry.target, slice_str("big.db"));
	assert_int_equal(root.entry.type, ENTRY_DIR);

	CHECK_REFUSED(tree_resolve(shop.tree, slice_str("src/nobody"), &none, &err), ERR_NOENT,
		      &err, "no such file");
	assert_null(none.tree);
	CHECK_REFUSED(tree_resolve(shop.tree, slice_str("src/big.db/x"), &none, &err), ERR_INVALID,
		      &err, "not a directory");
	CHECK_REFUSED(tree_lookup(&root, slice_str(""), &none, &err), ERR_NOENT, &err, "no such");
}

static void
test_reader__a_large_directory_is_found_by_name_and_by_position(void **state)
{
	CLEANUP(tree_item_fini) struct tree_item dir = resolve(&shop, "src/many");
	struct tree_item item;
	struct err err = ERR_INIT;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < MANY; i += 7) {
		snprintf(name, sizeof name, "receipt-%05u", i * 2);
		CHECK_OK(tree_lookup(&dir, slice_str(name), &item, &err), &err);
		check_bytes(item.entry.name, slice_str(name));
		tree_item_fini(&item);
		CHECK_OK(tree_at(&dir, i, &item, &err), &err);
		check_bytes(item.entry.name, slice_str(name));
		tree_item_fini(&item);
		snprintf(name, sizeof name, "receipt-%05u", i * 2 + 1);
		CHECK_REFUSED(tree_lookup(&dir, slice_str(name), &item, &err), ERR_NOENT, &err, "");
	}
	CHECK_REFUSED(tree_lookup(&dir, slice_str("a"), &item, &err), ERR_NOENT, &err, "");
	CHECK_REFUSED(tree_lookup(&dir, slice_str("z"), &item, &err), ERR_NOENT, &err, "");
	CHECK_REFUSED(tree_at(&dir, MANY, &item, &err), ERR_NOENT, &err, "");
	CHECK_REFUSED(tree_at(&dir, UINT64_MAX, &item, &err), ERR_NOENT, &err, "");
}

static void
test_reader__a_cursor_lists_everything_in_order(void **state)
{
	CLEANUP(tree_item_fini) struct tree_item dir = resolve(&shop, "src/many");
	CLEANUP(tree_cursor_closep) struct tree_cursor *c = NULL;
	const struct tree_item *item;
	struct err err = ERR_INIT;
	char name[32];

	(void)state;
	CHECK_OK(tree_cursor_open(&dir, &c, &err), &err);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "receipt-%05u", i * 2);
		CHECK_OK(tree_cursor_next(c, &item, &err), &err);
		check_bytes(item->entry.name, slice_str(name));
	}
	CHECK_REFUSED(tree_cursor_next(c, &item, &err), ERR_NOENT, &err, "end");
	assert_null(item);
	/* A node is loaded once, and lies in few leaves. */
	assert_true(stats(&shop).nodes_decoded < MANY / 100);
}

static void
test_reader__a_cursor_goes_to_positions_and_names(void **state)
{
	CLEANUP(tree_item_fini) struct tree_item dir = resolve(&shop, "src/many");
	CLEANUP(tree_cursor_closep) struct tree_cursor *c = NULL;
	const struct tree_item *item;
	struct err err = ERR_INIT;
	char name[32];

	(void)state;
	CHECK_OK(tree_cursor_open(&dir, &c, &err), &err);
	for (unsigned n = 0; n < 200; n++) {
		uint64_t i = rng_within(&shop.rng, 0, MANY - 1), at;

		CHECK_OK(tree_cursor_seek(c, i, &err), &err);
		CHECK_OK(tree_cursor_next(c, &item, &err), &err);
		snprintf(name, sizeof name, "receipt-%05u", (unsigned)i * 2);
		check_bytes(item->entry.name, slice_str(name));

		/* Between two names: the next one. */
		snprintf(name, sizeof name, "receipt-%05u", (unsigned)i * 2 + 1);
		CHECK_OK(tree_cursor_seek_name(c, slice_str(name), &at, &err), &err);
		assert_int_equal(at, i + 1);
	}
	CHECK_OK(tree_cursor_seek(c, MANY, &err), &err);
	CHECK_REFUSED(tree_cursor_next(c, &item, &err), ERR_NOENT, &err, "");
	CHECK_REFUSED(tree_cursor_seek(c, MANY + 1, &err), ERR_NOENT, &err, "");
}

static void
test_reader__an_empty_directory_lists_nothing(void **state)
{
	CLEANUP(tree_item_fini) struct tree_item dir = resolve(&shop, "src/nothing");
	CLEANUP(tree_cursor_closep) struct tree_cursor *c = NULL;
	const struct tree_item *item;
	struct tree_item none;
	struct err err = ERR_INIT;
	uint64_t at;

	(void)state;
	CHECK_OK(tree_cursor_open(&dir, &c, &err), &err);
	CHECK_REFUSED(tree_cursor_next(c, &item, &err), ERR_NOENT, &err, "");
	CHECK_OK(tree_cursor_seek_name(c, slice_str("x"), &at, &err), &err);
	assert_int_equal(at, 0);
	CHECK_REFUSED(tree_lookup(&dir, slice_str("x"), &none, &err), ERR_NOENT, &err, "");
}

static void
test_reader__items_and_cursors_outlive_what_they_came_from(void **state)
{
	CLEANUP(tree_cursor_closep) struct tree_cursor *c = NULL;
	struct tree_item dir = resolve(&shop, "src/many"), copy;
	const struct tree_item *item;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(tree_cursor_open(&dir, &c, &err), &err);
	tree_item_copy(&dir, &copy);
	tree_item_fini(&dir);
	assert_null(dir.tree);
	check_bytes(copy.entry.name, slice_str("many"));
	tree_item_fini(&copy);
	/* The cursor holds the tree. */
	tree_close(steal_ptr(&shop.tree));
	CHECK_OK(tree_cursor_next(c, &item, &err), &err);
	check_bytes(item->entry.name, slice_str("receipt-00000"));
	tree_item_copy(item, &copy);
	CHECK_OK(tree_cursor_next(c, &item, &err), &err);
	check_bytes(copy.entry.name, slice_str("receipt-00000"));
	tree_item_fini(&copy);
}

/* ---- content
 * --------------------------------------------------------------------------------------- */

static void
test_reader__every_byte_comes_back(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = open_file(&shop, "src/big.db");
	uint8_t byte;
	size_t got;

	(void)state;
	assert_int_equal(tree_file_size(f), BIG_LEN);
	for (uint64_t off = 0; off < BIG_LEN; off += 131072)
		check_range(f, shop.big, off, 131072);
	check_range(f, shop.big, 0, BIG_LEN + 100);
	for (unsigned i = 0; i < 100; i++)
		check_range(f, shop.big, rng_within(&shop.rng, 0, BIG_LEN - 1),
			    rng_within(&shop.rng, 1, 300000));
	assert_int_equal(tree_file_read(f, BIG_LEN, &byte, 1, &got, NULL), 0);
	assert_int_equal(got, 0);
	assert_int_equal(tree_file_read(f, UINT64_MAX, &byte, 1, &got, NULL), 0);
	assert_int_equal(got, 0);
}

static void
test_reader__small_and_empty_files_come_back(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *ini = open_file(&shop, "src/config/till.ini");
	CLEANUP(tree_file_closep) struct tree_file *empty = open_file(&shop, "src/empty");
	struct tree_item link = resolve(&shop, "src/link");
	struct tree_file *none;
	struct err err = ERR_INIT;
	uint8_t byte;
	uint64_t at;
	size_t got;

	(void)state;
	check_range(ini, (const uint8_t *)"[till]\nnumber = 3\n", 0, 100);
	CHECK_OK(tree_file_read(empty, 0, &byte, 1, &got, &err), &err);
	assert_int_equal(got, 0);
	CHECK_REFUSED(tree_file_seek(empty, 0, true, &at, &err), ERR_NOENT, &err, "past the end");
	CHECK_REFUSED(tree_file_open(&link, &none, &err), ERR_INVALID, &err, "regular");
	tree_item_fini(&link);
}

static void
test_reader__holes_are_zeros_and_can_be_found(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = open_file(&shop, "src/sparse");
	CLEANUP(freep) uint8_t *zeros = mem_alloc(MIB);
	CLEANUP(freep) uint8_t *p = mem_alloc(MIB);
	struct err err = ERR_INIT;
	uint64_t at;
	size_t got;

	(void)state;
	for (uint64_t off = HOLE_AT; off < HOLE_AT + HOLE_LEN - MIB; off += 97 * MIB) {
		CHECK_OK(tree_file_read(f, off, p, MIB, &got, &err), &err);
		check_bytes(slice_of(p, got), slice_of(zeros, MIB));
	}
	CHECK_OK(tree_file_read(f, HOLE_AT + HOLE_LEN, p, MIB, &got, &err), &err);
	check_bytes(slice_of(p, got), slice_of(shop.big, 5000));

	CHECK_OK(tree_file_seek(f, 0, false, &at, &err), &err);
	assert_int_equal(at, 0);
	CHECK_OK(tree_file_seek(f, 10, true, &at, &err), &err);
	assert_int_equal(at, HOLE_AT);
	CHECK_OK(tree_file_seek(f, HOLE_AT + 5, true, &at, &err), &err);
	assert_int_equal(at, HOLE_AT + 5);
	/* Holes come in pages, so data may begin a little before what was written. */
	CHECK_OK(tree_file_seek(f, HOLE_AT + 5, false, &at, &err), &err);
	assert_true(at > HOLE_AT + HOLE_LEN - 65536 && at <= HOLE_AT + HOLE_LEN);
	CHECK_OK(tree_file_seek(f, at, true, &at, &err), &err);
	assert_int_equal(at, SPARSE_LEN);
	CHECK_REFUSED(tree_file_seek(f, SPARSE_LEN, true, &at, &err), ERR_NOENT, &err, "");
}

struct sum {
	uint64_t off, holes;
	const struct snapshot_class *part;
};

static int
add_extent(void *arg, const struct tree_extent *x, struct err *err)
{
	struct sum *s = arg;

	if (x->off != s->off || x->len == 0)
		return err_set(err, ERR_CORRUPT, "extents with a gap");
	if (x->seg.stored_len == 0)
		s->holes += x->len;
	else if (snapshot_class_pack(s->part, &x->pack) == NULL)
		return err_set(err, ERR_CORRUPT, "an extent in a pack nobody lists");
	s->off += x->len;
	return 0;
}

static void
test_reader__extents_cover_the_file(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = open_file(&shop, "src/sparse");
	struct sum sum = {.part = tree_class_part(shop.tree)};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(tree_file_extents(f, add_extent, &sum, &err), &err);
	assert_int_equal(sum.off, SPARSE_LEN);
	assert_true(sum.holes >= HOLE_LEN - 65536 && sum.holes <= HOLE_LEN);
}

/* ---- cost
 * ------------------------------------------------------------------------------------------ */

static void
test_reader__a_random_read_opens_what_it_reads(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = open_file(&shop, "src/big.db");
	uint64_t before, reads = 0;

	(void)state;
	check_range(f, shop.big, 7 * MIB, 100); /* the stream's nodes are there now */
	before = stats(&shop).segments_opened;
	for (uint64_t mib = 1; mib < 7; mib += 2) {
		check_range(f, shop.big, (mib * 3 % 8) * MIB + 8192, 4096);
		reads++;
	}
	usleep(20000); /* readahead, if there were any, would show */
	/* A range may lie across a border. */
	assert_true(stats(&shop).segments_opened - before <= 2 * reads);
}

/* Waits until nothing is left to be opened ahead.  Return: how far that went. */
static uint64_t
wait_for_readahead(struct tree_file *f)
{
	struct pool *p = &shop.reader->pool;
	uint64_t end = 0;

	for (unsigned i = 0; i < 10000 && end == 0; i++) {
		pthread_mutex_lock(&p->lock);
		if (f->ahead.next >= f->ahead.end && f->ahead.active == 0)
			end = f->ahead.end;
		pthread_mutex_unlock(&p->lock);
		usleep(1000);
	}
	return end;
}

static void
test_reader__a_forward_reader_finds_segments_opened_ahead(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = open_file(&shop, "src/big.db");
	CLEANUP(tree_file_closep) struct tree_file *probe = open_file(&shop, "src/big.db");
	uint64_t end, opened;

	(void)state;
	check_range(f, shop.big, 0, 131072);
	check_range(f, shop.big, 131072, 131072);
	end = wait_for_readahead(f);
	assert_true(end > 262144);
	assert_true(end <= 262144 + 1048576); /* it went no further than the window */

	opened = stats(&shop).segments_opened;
	for (uint64_t off = 262144; off + 4096 <= end; off += 131072)
		check_range(probe, shop.big, off, 4096);
	assert_int_equal(stats(&shop).segments_opened, opened);
}

static void
read_journal(unsigned i)
{
	CLEANUP(tree_file_closep) struct tree_file *f = NULL;
	char path[64];

	snprintf(path, sizeof path, "src/journal/%03u", i);
	f = open_file(&shop, path);
	check_range(f, shop.big + i * JOURNAL_LEN, 0, JOURNAL_LEN);
}

static void
test_reader__who_copies_a_folder_finds_the_next_files_opened_ahead(void **state)
{
	uint64_t opened;

	(void)state;
	read_journal(20); /* directories and one segment of data */
	opened = stats(&shop).segments_opened;
	for (unsigned i = 0; i < 3; i++)
		read_journal(i);
	/* Three files are 180 KB, so one segment or two; those behind make it more. */
	for (unsigned i = 0; i < 5000 && stats(&shop).segments_opened < opened + 4; i++)
		usleep(1000);
	assert_true(stats(&shop).segments_opened >= opened + 4);
	/* But not the whole folder. */
	usleep(20000);
	assert_true(stats(&shop).segments_opened < opened + JOURNALS * JOURNAL_LEN / 262144);
}

static void
test_reader__who_picks_files_here_and_there_pays_for_these_alone(void **state)
{
	uint64_t opened;

	(void)state;
	read_journal(20);
	opened = stats(&shop).segments_opened;
	read_journal(2);
	read_journal(35);
	read_journal(11);
	usleep(20000); /* what was opened ahead, if anything, would show */
	/* A file may lie in two segments. */
	assert_true(stats(&shop).segments_opened <= opened + 6);
}

static void
test_reader__memory_is_bounded(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = NULL;

	(void)state;
	shop_close(&shop);
	shop_open(&shop, READER_MEMORY_LOW);
	f = open_file(&shop, "src/big.db");
	for (uint64_t off = 0; off < BIG_LEN; off += 131072) {
		check_range(f, shop.big, off, 131072);
		/* What is being used at this moment comes on top: one segment a thread. */
		assert_true(stats(&shop).memory_used <= READER_MEMORY_LOW + 3 * SEGMENT_PLAIN_MAX);
	}
}

static void
test_reader__snapshots_share_what_was_opened(void **state)
{
	struct snapshot_name later;
	struct repo_opened *opened;
	struct tree *tree, *first = shop.tree;
	struct tree_file *f;
	struct err err = ERR_INIT;
	uint64_t before;

	(void)state;
	later = fixture_backup(shop.fx, "till-03", "2026-11-21", "2026-11-21T23:00:05Z");
	CHECK_OK(repo_refresh(shop.repo, NULL, &err), &err);
	CHECK_OK(repo_snapshot_open(shop.repo, &later, &opened, &err), &err);
	tree = reader_tree_open(shop.reader, opened, 0);

	f = open_file(&shop, "src/config/till.ini");
	tree_file_close(f);
	f = open_file(&shop, "src/big.db");
	check_range(f, shop.big, 5 * MIB, 4096);
	tree_file_close(f);
	before = stats(&shop).segments_opened;

	shop.tree = tree;
	f = open_file(&shop, "src/big.db");
	check_range(f, shop.big, 5 * MIB, 4096);
	tree_file_close(f);
	shop.tree = first;
	/* At most the later snapshot's own directories. */
	assert_true(stats(&shop).segments_opened - before <= 1);
	tree_close(tree);
	repo_opened_free(opened);
}

/* ---- what is wrong
 * -------------------------------------------------------------------------------- */

/* Opens the tree over a class part that was tampered with after its signature was checked. */
static void
check_refused_at(const char *path, const char *text)
{
	struct tree_item item;
	struct err err = ERR_INIT;

	CHECK_REFUSED(tree_resolve(shop.tree, slice_str(path), &item, &err), ERR_CORRUPT, &err,
		      text);
	assert_null(item.tree);
}

static void
test_reader__a_pack_that_is_not_listed_is_refused(void **state)
{
	size_t *n = &shop.opened->classes[0]->n_packs, kept = *n;

	(void)state;
	tree_close(steal_ptr(&shop.tree));
	*n = 0;
	shop.tree = reader_tree_open(shop.reader, shop.opened, 0);
	check_refused_at("src/big.db", "doesn't list it");
	tree_close(steal_ptr(&shop.tree));
	*n = kept;
}

static void
test_reader__a_segment_outside_its_area_is_refused(void **state)
{
	struct snapshot_class *part = shop.opened->classes[0];

	(void)state;
	for (size_t i = 0; i < part->n_packs; i++)
		part->packs[i].tree_len = 10;
	check_refused_at("src/big.db", "leads outside");
}

static void
test_reader__an_area_outside_its_pack_is_refused(void **state)
{
	struct snapshot_class *part = shop.opened->classes[0];

	(void)state;
	for (size_t i = 0; i < part->n_packs; i++)
		part->packs[i].tree_len = UINT64_MAX;
	check_refused_at("src/big.db", "outside");
}

static void
test_reader__an_area_at_another_place_does_not_open(void **state)
{
	struct snapshot_class *part = shop.opened->classes[0];
	struct tree_item item;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < part->n_packs; i++) {
		part->packs[i].data_off += 1;
		part->packs[i].data_len -= 1;
	}
	CHECK_OK(tree_resolve(shop.tree, slice_str("src/big.db"), &item, &err), &err);
	{
		CLEANUP(tree_file_closep) struct tree_file *f = NULL;
		uint8_t p[100];
		size_t got = 1;

		CHECK_OK(tree_file_open(&item, &f, &err), &err);
		CHECK_REFUSED(tree_file_read(f, 0, p, sizeof p, &got, &err), ERR_AUTH, &err,
			      "pack ");
		assert_int_equal(got, 0);
	}
	tree_item_fini(&item);
}

/* Reads a file of one's own to the end.  Return: 0, with every byte right, or the error. */
static int
read_all(struct shop *s, struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *f = NULL;
	CLEANUP(tree_item_fini) struct tree_item item = {0};
	CLEANUP(freep) uint8_t *p = mem_alloc(300000);
	int r = tree_resolve(s->tree, slice_str("src/big.db"), &item, err);

	if (r == 0)
		r = tree_file_open(&item, &f, err);
	for (uint64_t off = 0; r == 0 && off < BIG_LEN; off += 300000) {
		size_t got;

		r = tree_file_read(f, off, p, 300000, &got, err);
		if (r == 0)
			check_bytes(slice_of(p, got), slice_of(s->big + off, got));
		else
			assert_int_equal(got, 0);
	}
	return r;
}

static void
test_reader__every_store_failure_is_reported(void **state)
{
	bool told = false;

	(void)state;
	for (unsigned nth = 1;; nth++) {
		struct err err = ERR_INIT;
		int r;

		shop_close(&shop);
		shop_open(&shop, 16 * MIB);
		store_fault_arm(shop.faulty, nth, ERR_DENIED);
		r = read_all(&shop, &err);
		/* A failure of readahead may pass unnoticed, if somebody asks again later. */
		assert_true(r == 0 || (r == ERR_DENIED && strstr(err.msg, "pack ") != NULL));
		told |= r < 0;
		if (!store_fault_fired(shop.faulty)) {
			CHECK_OK(r, &err);
			assert_true(nth > 3);
			break;
		}
	}
	assert_true(told);
	store_fault_arm(shop.faulty, 0, 0);
}

/* ---- many at once
 * ---------------------------------------------------------------------------------- */

struct visitor {
	struct shop *shop;
	struct tree_file *shared;
	uint64_t seed;
	unsigned kind;
};

static void
visit_directory(struct visitor *v, struct rng *rng)
{
	CLEANUP(tree_item_fini) struct tree_item dir = resolve(v->shop, "src/many");
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < 100; i++) {
		struct tree_item item;

		CHECK_OK(tree_at(&dir, rng_within(rng, 0, MANY - 1), &item, &err), &err);
		{
			CLEANUP(tree_file_closep) struct tree_file *f = NULL;
			char text[64];
			size_t got;

			CHECK_OK(tree_file_open(&item, &f, &err), &err);
			CHECK_OK(tree_file_read(f, 0, text, sizeof text, &got, &err), &err);
			check_bytes(slice_of(text + 5, got - 5), item.entry.name);
		}
		tree_item_fini(&item);
	}
}

static void *
visit(void *arg)
{
	struct visitor *v = arg;
	struct rng rng = {v->seed};
	struct err err = ERR_INIT;

	if (v->kind == 0) {
		CHECK_OK(read_all(v->shop, &err), &err);
	} else if (v->kind == 1) {
		for (unsigned i = 0; i < 100; i++)
			check_range(v->shared, v->shop->big, rng_within(&rng, 0, BIG_LEN - 1),
				    rng_within(&rng, 1, 20000));
	} else if (v->kind == 2) {
		/* Opened, read a little, and closed while threads read ahead. */
		for (unsigned i = 0; i < 10; i++) {
			CLEANUP(tree_file_closep)
			struct tree_file *f = open_file(v->shop, "src/big.db");

			check_range(f, v->shop->big, 0, 131072);
			check_range(f, v->shop->big, 131072, 131072);
		}
	} else {
		visit_directory(v, &rng);
	}
	return NULL;
}

static void
test_reader__many_threads_get_the_right_bytes(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *shared = NULL;
	struct visitor visitors[8];
	pthread_t threads[8];

	(void)state;
	shop_close(&shop);
	shop_open(&shop, 5 * MIB);
	shared = open_file(&shop, "src/big.db");
	for (unsigned i = 0; i < 8; i++) {
		visitors[i] = (struct visitor){&shop, shared, rng_next(&shop.rng), i % 4};
		assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
	}
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}

static void *
read_one_place(void *arg)
{
	struct visitor *v = arg;

	check_range(v->shared, v->shop->big, 6 * MIB + 100000, 4096);
	return NULL;
}

static void
test_reader__concurrent_readers_share_one_decryption(void **state)
{
	CLEANUP(tree_file_closep) struct tree_file *f = open_file(&shop, "src/big.db");
	struct visitor v = {&shop, f, 0, 0};
	pthread_t threads[8];
	uint64_t before;

	(void)state;
	check_range(f, shop.big, 0, 10);
	check_range(f, shop.big, 7 * MIB + 900000, 10); /* the leaves are there now */
	check_range(f, shop.big, 6 * MIB + 900000, 10);
	before = stats(&shop).segments_opened;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_one_place, &v), 0);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	/* The range may lie across a border. */
	assert_true(stats(&shop).segments_opened - before <= 2);
}

#define READER_TEST(fn) cmocka_unit_test_setup_teardown(fn, each_setup, each_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		READER_TEST(test_reader__paths_lead_to_entries),
		READER_TEST(test_reader__a_large_directory_is_found_by_name_and_by_position),
		READER_TEST(test_reader__a_cursor_lists_everything_in_order),
		READER_TEST(test_reader__a_cursor_goes_to_positions_and_names),
		READER_TEST(test_reader__an_empty_directory_lists_nothing),
		READER_TEST(test_reader__items_and_cursors_outlive_what_they_came_from),
		READER_TEST(test_reader__every_byte_comes_back),
		READER_TEST(test_reader__small_and_empty_files_come_back),
		READER_TEST(test_reader__holes_are_zeros_and_can_be_found),
		READER_TEST(test_reader__extents_cover_the_file),
		READER_TEST(test_reader__a_random_read_opens_what_it_reads),
		READER_TEST(test_reader__a_forward_reader_finds_segments_opened_ahead),
		READER_TEST(test_reader__who_copies_a_folder_finds_the_next_files_opened_ahead),
		READER_TEST(test_reader__who_picks_files_here_and_there_pays_for_these_alone),
		READER_TEST(test_reader__memory_is_bounded),
		READER_TEST(test_reader__snapshots_share_what_was_opened),
		READER_TEST(test_reader__a_pack_that_is_not_listed_is_refused),
		READER_TEST(test_reader__a_segment_outside_its_area_is_refused),
		READER_TEST(test_reader__an_area_outside_its_pack_is_refused),
		READER_TEST(test_reader__an_area_at_another_place_does_not_open),
		READER_TEST(test_reader__every_store_failure_is_reported),
		READER_TEST(test_reader__many_threads_get_the_right_bytes),
		READER_TEST(test_reader__concurrent_readers_share_one_decryption),
	};

	return cmocka_run_group_tests(tests, shop_setup, shop_teardown);
}
