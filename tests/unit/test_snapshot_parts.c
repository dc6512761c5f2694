/*
 * test_snapshot_parts.c - what stands in the sealed parts of a snapshot.
 */
#include "fixture_trust.h"

#include "tillfs/snapshot.h"

/* ---- the admin part */

static void
check_text(struct slice actual, const char *expected)
{
	check_bytes(actual, slice_str(expected));
}

static void
test_snapshot__details_say_what_the_vector_was_made_of(void **state)
{
	CLEANUP(snapshot_details_freep) struct snapshot_details *d = NULL;
	CLEANUP(buf_wipe) struct buf again = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(snapshot_details_parse(VECTOR(DETAILS), &d, &err), &err);
	assert_int_equal(d->n_labels, 2);
	check_text(d->labels[1], "late");
	assert_int_equal(d->n_paths, 2);
	check_text(d->paths[0], "/srv/pos");
	check_text(d->zone, "Europe/Berlin");
	assert_int_equal(d->cutoff_min, 240);
	assert_int_equal(d->n_classes, 2);
	check_text(d->classes[0].name, "sales");
	check_text(d->classes[0].patterns[0], "sales/**");
	check_text(d->classes[1].name, "!");
	assert_int_equal(d->n_unreadable, 1);
	check_text(d->unreadable[0].path, "srv/pos/locked\xff");
	check_text(d->unreadable[0].text, "Permission denied");
	assert_int_equal(d->n_notes, 1);
	check_text(d->notes[0].text, "changed while read");
	check_text(d->tool, "tillfs 0.1.0");
	check_text(d->host, "till-03");
	assert_int_equal(d->n_hash_keys, 1);
	check_text(d->hash_keys[0].name, "sales");
	check_bytes(slice_of(d->hash_keys[0].key.b, 32), VECTOR(HASH_KEY_AUDITED));
	assert_int_equal(d->started, TIME_OF_VECTORS);
	assert_int_equal(d->finished, TIME_OF_VECTORS + 4);

	snapshot_details_put(&again, d);
	check_bytes(buf_slice(&again), VECTOR(DETAILS));
}

#define DETAILS(labels, cutoff, classes, keys, span)                                               \
	"{0: " labels ", 1: ['a'], 2: \"\", 3: " cutoff ", 4: " classes ", 5: [], 6: [], 7: \"t\"" \
	", 8: " keys ", 9: 'h', 10: " span "}"

static void
test_snapshot__details_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor, *says;
	} cases[] = {
		{DETAILS("[]", "0", "[]", "[]", "[0, 0]"), NULL},
		{DETAILS("[\"a\"]", "0", "[]", "[]", "[0, 0]"), "no value"},
		{DETAILS("['a', 'b']", "0", "[]", "[]", "[0, 0]"), "text must be"},
		{DETAILS("[]", "1440", "[]", "[]", "[0, 0]"), "1440"},
		{DETAILS("[]", "0", "[[\"a\"]]", "[]", "[0, 0]"), "array of two"},
		{DETAILS("[]", "0", "[]", "[[\"a\", h'01'*31]]", "[0, 0]"), "31 bytes"},
		{DETAILS("[]", "0", "[]", "[]", "[0]"), "array of two"},
		{DETAILS("[]", "0", "[]", "[]", "[0, 253402300800]"), "years"},
		{DETAILS("[]", "0", "[]", "[]", "[0, 0]") "0", "too many"},
		{"{0: []}", "key 1 is missing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf plain = BUF_INIT;
		CLEANUP(snapshot_details_freep) struct snapshot_details *d = NULL;
		struct err err = ERR_INIT;

		cbor_text(&plain, cases[i].cbor);
		if (cases[i].says == NULL)
			CHECK_OK(snapshot_details_parse(buf_slice(&plain), &d, &err), &err);
		else
			CHECK_REFUSED(snapshot_details_parse(buf_slice(&plain), &d, &err),
				      ERR_CORRUPT, &err, cases[i].says);
	}
}

static void
test_snapshot__text_that_is_not_utf8_is_escaped_so_that_it_stays_readable(void **state)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(snapshot_details_freep) struct snapshot_details *d = NULL;
	struct slice labels[] = {slice_str("caf\xe9"), slice_of("a\0b", 3)};
	struct snapshot_details in = {.labels = labels, .n_labels = 2};
	struct err err = ERR_INIT;

	(void)state;
	snapshot_details_put(&plain, &in);
	CHECK_OK(snapshot_details_parse(buf_slice(&plain), &d, &err), &err);
	check_text(d->labels[0], "caf\\xe9");
	check_text(d->labels[1], "a\\x00b");
}

static void
check_left_out(struct path_note *notes, size_t n, size_t expected, const char *says)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(snapshot_details_freep) struct snapshot_details *d = NULL;
	struct snapshot_details in = {.unreadable = notes, .n_unreadable = n};
	struct err err = ERR_INIT;

	snapshot_details_put(&plain, &in);
	assert_true(plain.len < SNAPSHOT_PART_MAX);
	CHECK_OK(snapshot_details_parse(buf_slice(&plain), &d, &err), &err);
	assert_int_equal(d->n_unreadable, expected);
	check_text(d->unreadable[expected - 1].text, says);
}

static void
test_snapshot__notes_that_do_not_fit_are_counted(void **state)
{
	size_t n = SNAPSHOT_LIST_MAX + 1;
	CLEANUP(freep) struct path_note *notes = mem_array(n, sizeof *notes);
	CLEANUP(freep) char *path = mem_alloc(MIB);

	(void)state;
	for (size_t i = 0; i < n; i++)
		notes[i].text = slice_of("gone", 1);
	check_left_out(notes, 3, 3, "g");
	check_left_out(notes, n, 466033 + 1, "582544 more were left out");
	for (size_t i = 0; i < n; i++)
		notes[i].path = slice_of(path, MIB);
	check_left_out(notes, 100, 15 + 1, "85 more were left out");
}

/* ---- a class part */

static void
test_snapshot__a_class_says_what_the_vector_was_made_of(void **state)
{
	CLEANUP(snapshot_class_freep) struct snapshot_class *c = NULL;
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(buf_wipe) struct buf again = BUF_INIT;
	struct pack_id a = {hash_of_byte(0x51)}, b = {hash_of_byte(0x52)}, none = {{{0}}};
	struct err err = ERR_INIT;

	(void)state;
	buf_set(&plain, VECTOR(CLASS));
	CHECK_OK(snapshot_class_parse(&plain, &c, &err), &err);
	assert_string_equal(c->name, "sales");
	assert_false(c->no_xattrs); /* left out: false */
	assert_int_equal(c->counts.files, 2);
	assert_int_equal(c->counts.bytes, 12345);
	assert_int_equal(c->root.type, ENTRY_DIR);
	assert_int_equal(c->root.mode, 0755);
	assert_int_equal(c->root.mtime.sec, TIME_OF_VECTORS);
	assert_int_equal(c->root.n_entries, 3);
	assert_int_equal(c->root.children, CHILDREN_NODE);
	assert_int_equal(c->root.children_ref.seg.pack, 1);
	assert_int_equal(c->root_packs.n, 2);
	assert_true(hash_equal(&c->root_packs.ids[1].h, &b.h));
	assert_int_equal(c->n_packs, 2);
	assert_ptr_equal(snapshot_class_pack(c, &a), &c->packs[0]);
	assert_ptr_equal(snapshot_class_pack(c, &b), &c->packs[1]);
	assert_null(snapshot_class_pack(c, &none));
	assert_int_equal(c->packs[1].object_len, 80000);
	assert_int_equal(c->packs[1].header_len, 600);
	assert_int_equal(c->packs[1].ordinal, 1);
	assert_int_equal(c->packs[1].data_off, 2000);
	assert_int_equal(c->packs[1].data_len, 60000);
	assert_int_equal(c->packs[1].tree_len, 1000);

	snapshot_class_put(&again, c);
	check_bytes(buf_slice(&again), VECTOR(CLASS));
}

#define ROOT            "{0: h'', 1: 2, 2: 493, 8: 0, 10: 0}"
#define PLACE(id, rest) "[h'" id "'*32, " rest "]"
#define GOOD            "70000, 500, 0, 0, 60000, 1000"
#define CLASS(name, table, root, packs)                                                            \
	"{0: \"" name "\", 1: [" table ", " root "], 2: [0, 1, 0, 0], 3: [" packs "]}"

static void
test_snapshot__class_parts_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor, *says;
	} cases[] = {
		{CLASS("sales", "h''", ROOT, ""), NULL},
		{CLASS("sales", "h'51'*32", ROOT, PLACE("51", GOOD)), NULL},
		{CLASS("Sales", "h''", ROOT, ""), "name of a class"},
		{CLASS("", "h''", ROOT, ""), "name of a class"},
		{CLASS("sales", "h'51'*33", ROOT, PLACE("51", GOOD)), "pack table"},
		{CLASS("sales", "h'52'*32", ROOT, PLACE("51", GOOD)), "not in its list"},
		{CLASS("sales", "h'51'*64", ROOT, PLACE("51", GOOD)), "twice"},
		{CLASS("sales", "h''", "{0: h'', 1: 4, 2: 493, 8: 0, 10: 0}", ""), "no directory"},
		{CLASS("sales", "h''", "{0: 'x', 1: 2, 2: 493, 8: 0, 10: 0}", ""), "name"},
		{CLASS("sales", "h''", ROOT, PLACE("52", GOOD) PLACE("51", GOOD)), "order"},
		{CLASS("sales", "h''", ROOT, PLACE("51", GOOD) PLACE("51", GOOD)), "order"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "70000, 12, 0, 0, 1, 1")), "header"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "500, 500, 0, 0, 0, 0")), "header"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "70000, 500, 64, 0, 1, 1")), "64"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "70000, 500, 0, 69500, 0, 1")), "behind"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "70000, 500, 0, 1, 69500, 0")), "behind"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "70000, 500, 0, 0, 67108865, 0")),
		 "67108865"},
		{CLASS("sales", "h''", ROOT, PLACE("51", "70000, 500, 0, 0, 1")), "seven"},
		{"{0: \"sales\", 1: [h'', " ROOT "], 2: [0, 1, 0], 3: []}", "four numbers"},
		{"{0: \"sales\", 1: [h'', " ROOT "], 2: [0, 1, 0, 0]}", "key 3 is missing"},
		{CLASS("sales", "h''", ROOT, "") "1", "too many"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf plain = BUF_INIT;
		CLEANUP(snapshot_class_freep) struct snapshot_class *c = NULL;
		struct err err = ERR_INIT;

		cbor_text(&plain, cases[i].cbor);
		if (cases[i].says == NULL)
			CHECK_OK(snapshot_class_parse(&plain, &c, &err), &err);
		else
			CHECK_REFUSED(snapshot_class_parse(&plain, &c, &err), ERR_CORRUPT, &err,
				      cases[i].says);
		assert_true((c != NULL) == (plain.p == NULL)); /* moved from on success only */
	}
}

static void
test_snapshot__a_small_root_stands_inline(void **state)
{
	CLEANUP(snapshot_class_freep) struct snapshot_class *c = NULL;
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf node = BUF_INIT;
	struct snapshot_class in = {.name = "general", .no_xattrs = true};
	struct err err = ERR_INIT;

	(void)state;
	cbor_text(&node, "[h'', 3, [{0: 'a', 1: 4, 2: 420, 8: 1, 10: 2}]]");
	in.root = (struct entry){.type = ENTRY_DIR,
				 .mode = 0700,
				 .nlink = 1,
				 .mtime = {.sec = -5, .nsec = 999999999},
				 .n_entries = 1,
				 .children = CHILDREN_INLINE,
				 .children_inline = buf_slice(&node)};
	snapshot_class_put(&plain, &in);
	CHECK_OK(snapshot_class_parse(&plain, &c, &err), &err);
	assert_true(c->no_xattrs);
	assert_int_equal(c->root.mtime.sec, -5);
	assert_int_equal(c->root.mtime.nsec, 999999999);
	assert_int_equal(c->root.children, CHILDREN_INLINE);
	check_bytes(c->root.children_inline, buf_slice(&node));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshot__details_say_what_the_vector_was_made_of),
		cmocka_unit_test(test_snapshot__details_with_one_defect_are_refused),
		cmocka_unit_test(
			test_snapshot__text_that_is_not_utf8_is_escaped_so_that_it_stays_readable),
		cmocka_unit_test(test_snapshot__notes_that_do_not_fit_are_counted),
		cmocka_unit_test(test_snapshot__a_class_says_what_the_vector_was_made_of),
		cmocka_unit_test(test_snapshot__class_parts_with_one_defect_are_refused),
		cmocka_unit_test(test_snapshot__a_small_root_stands_inline),
	};

	return cmocka_run_group_tests_name("snapshot parts", tests, start, NULL);
}
