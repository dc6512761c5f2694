/*
 * test_ledger.c - config, roster messages, terms, and entries as bytes.
 */
#include "fixture_ledger.h"

static const struct object_kind config_kind = {"TILLCFG1", "config"};
static const struct object_kind ledger_kind = {"TILLLDG1", "ledger"};

/* ---- config */

static void
test_ledger__the_config_vector_says_what_it_was_made_of(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_wipe) struct buf key = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_memory_equal(&fx->config.repo, &repo_of_vectors, sizeof repo_of_vectors);
	assert_int_equal(fx->config.created, TIME_OF_VECTORS);
	assert_memory_equal(&fx->config.founder_box, &fx->admin->box_pk, 32);
	assert_memory_equal(&fx->config.founder_sign, &fx->admin->sign_pk, 32);
	assert_true(hash_equal(&fx->config.founder.h, &fx->admin_f.h));
	CHECK_OK(seal_box_open(fx->admin, buf_slice(&fx->config.roster_box), &key, &err), &err);
	check_bytes(buf_slice(&key), slice_of(fx->roster.b, 32));
}

static void
test_ledger__a_config_comes_back(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	CLEANUP(repo_config_fini) struct repo_config c = {0};
	CLEANUP(buf_wipe) struct buf key = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	config_object_encode(&repo_of_vectors, -1, fx->other, &fx->roster, &object);
	CHECK_OK(config_object_parse(buf_slice(&object), NULL, &c, &err), &err);
	assert_int_equal(c.created, -1);
	assert_true(hash_equal(&c.founder.h, &fx->other_f.h));
	CHECK_OK(seal_box_open(fx->other, buf_slice(&c.roster_box), &key, &err), &err);
	check_bytes(buf_slice(&key), slice_of(fx->roster.b, 32));
}

static void
test_ledger__another_founders_config_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_config_fini) struct repo_config c = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(config_object_parse(VECTOR(CONFIG), &fx->other_f, &c, &err), ERR_AUTH, &err,
		      "config: this repository was founded by");
}

static void
test_ledger__no_flipped_bit_and_no_cut_of_a_config_goes_unnoticed(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(repo_config_fini) struct repo_config c = {0};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof VECTOR_CONFIG; bit++) {
		buf_set(&bytes, VECTOR(CONFIG));
		bytes.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (config_object_parse(buf_slice(&bytes), &fx->admin_f, &c, &err) == 0)
			fail_msg("bit %zu", bit);
	}
	for (size_t len = 0; len < sizeof VECTOR_CONFIG; len++)
		if (config_object_parse(slice_of(VECTOR_CONFIG, len), &fx->admin_f, &c, &err) == 0)
			fail_msg("cut to %zu bytes", len);
}

#define CONFIG(version, created, box, parameters)                                                  \
	"{0: " version ", 1: h'07'*16, 2: " created ", 3: h'08'*32, 4: h'09'*32, 5: h'0a'*" box    \
	", 6: " parameters "}"
#define FIXED "{0: 131072, 1: 1048576, 2: 256}"

static void
test_ledger__configs_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor;
		int code;
		const char *says;
	} cases[] = {
		/* The last to be checked: the keys above are not the author's. */
		{CONFIG("1", "0", "80", FIXED), ERR_AUTH, "signature"},
		{CONFIG("2", "0", "80", FIXED), ERR_UNSUPPORTED, "newer"},
		{CONFIG("1", "253402300800", "80", FIXED), ERR_CORRUPT, "years"},
		{CONFIG("1", "0", "79", FIXED), ERR_CORRUPT, "79 bytes"},
		{CONFIG("1", "0", "80", "{0: 65536, 1: 1048576, 2: 256}"), ERR_UNSUPPORTED,
		 "block, leaf or fan-out"},
		{CONFIG("1", "0", "80", "{0: 131072, 1: 1048576}"), ERR_CORRUPT,
		 "key 2 is missing"},
		{CONFIG("1", "0", "80", FIXED) "0", ERR_CORRUPT, "too many"},
		{"{0: 1, 1: h'07'*16}", ERR_CORRUPT, "key 2 is missing"},
		{"[]", ERR_CORRUPT, "a map"},
	};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf object = BUF_INIT;
		CLEANUP(repo_config_fini) struct repo_config c = {0};
		struct err err = ERR_INIT;
		struct hash id;

		object_from_text(&config_kind, cases[i].cbor, fx->admin, &object, &id);
		CHECK_REFUSED(config_object_parse(buf_slice(&object), NULL, &c, &err),
			      cases[i].code, &err, cases[i].says);
		assert_non_null(strstr(err.msg, "config"));
		assert_null(c.roster_box.p);
	}
}

/* ---- roster messages and terms */

static void
test_ledger__a_roster_message_opens_with_the_roster_key_only(void **state)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	struct seal_key roster = key_of_byte(0x44), wrong = key_of_byte(0x45);
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(roster_open(&roster, VECTOR(ROSTER_MESSAGE), &plain, &err), &err);
	check_bytes(buf_slice(&plain), slice_str("Kasse S\xc3\xbc"
						 "d"));
	CHECK_REFUSED(roster_open(&wrong, VECTOR(ROSTER_MESSAGE), &plain, &err), ERR_AUTH, &err,
		      "roster key");
	assert_int_equal(plain.len, 0);
	CHECK_REFUSED(roster_open(&roster, slice_of(VECTOR_ROSTER_MESSAGE, 31), &plain, &err),
		      ERR_AUTH, &err, "31 bytes");

	roster_seal(&roster, slice_str("till-03"), &sealed);
	CHECK_OK(roster_open(&roster, buf_slice(&sealed), &plain, &err), &err);
	check_bytes(buf_slice(&plain), slice_str("till-03"));
	sealed.p[3] ^= 1; /* of the nonce */
	CHECK_REFUSED(roster_open(&roster, buf_slice(&sealed), &plain, &err), ERR_AUTH, &err,
		      "roster key");
}

static void
test_ledger__terms_of_a_grant_are_what_the_vector_was_made_of(void **state)
{
	CLEANUP(grant_terms_fini) struct grant_terms t = {0};
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(grant_terms_parse(VECTOR(GRANT_TERMS), &t, &err), &err);
	check_bytes(t.case_ref, slice_str("case 7"));
	assert_int_equal(t.n_classes, 2);
	check_bytes(t.classes[1], slice_str("reports"));
	assert_int_equal(t.n_writers, 1);
	assert_true(writer_id_equal(&t.writers[0], &writer_of_vectors));
	grant_terms_put(&again, &t);
	check_bytes(buf_slice(&again), VECTOR(GRANT_TERMS));
}

static void
test_ledger__terms_of_a_hold_are_what_the_vector_was_made_of(void **state)
{
	CLEANUP(hold_terms_fini) struct hold_terms t = {0};
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(hold_terms_parse(VECTOR(HOLD_TERMS), &t, &err), &err);
	check_bytes(t.case_ref, slice_str("case 8"));
	assert_int_equal(t.n_writers, 0);
	assert_string_equal(date_format(t.from).s, "2026-11-01");
	assert_string_equal(date_format(t.until).s, "2026-11-30");
	hold_terms_put(&again, &t);
	check_bytes(buf_slice(&again), VECTOR(HOLD_TERMS));
}

static void
test_ledger__terms_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor, *says;
	} grants[] =
		{
			{"[\"case\", []]", "[case, classes, writers]"},
			{"['case', [], []]", "text"},
			{"[\"case\", [\"a\"], [h'01'*7]]", "7 bytes"},
			{"[\"case\", [\"a23456789012345678901234567890123\"], []]", "33 bytes"},
			{"[\"case\", [], []] 0", "too many"},
		},
	  holds[] = {
		  {"[\"case\", [], \"2026-11-01\"]", "[case, writers, from, until]"},
		  {"[\"case\", [], \"2026-11-01\", \"2026-11-31\"]", "no date"},
		  {"[\"case\", [], \"2026-11-02\", \"2026-11-01\"]", "before they begin"},
	  };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(grants); i++) {
		CLEANUP(buf_fini) struct buf plain = BUF_INIT;
		CLEANUP(grant_terms_fini) struct grant_terms t = {0};
		struct err err = ERR_INIT;

		cbor_text(&plain, grants[i].cbor);
		CHECK_REFUSED(grant_terms_parse(buf_slice(&plain), &t, &err), ERR_CORRUPT, &err,
			      grants[i].says);
	}
	for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
		CLEANUP(buf_fini) struct buf plain = BUF_INIT;
		CLEANUP(hold_terms_fini) struct hold_terms t = {0};
		struct err err = ERR_INIT;

		cbor_text(&plain, holds[i].cbor);
		CHECK_REFUSED(hold_terms_parse(buf_slice(&plain), &t, &err), ERR_CORRUPT, &err,
			      holds[i].says);
	}
}

/* ---- entries */

static void
test_ledger__a_key_says_sequence_and_id_in_one_form_only(void **state)
{
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const char *const wrong[] = {
		"",
		"ledger/000000000000042-" ID,
		"ledger/0000000000000000-" ID,
		"ledger/0000000000000042_" ID,
		"ledgez/0000000000000042-" ID,
		"ledger/00000000000000x2-" ID,
		"ledger/0000000000000042-" ID "0",
		"ledger/0000000000000042-A0112233445566778899aabbccddeeff00112233445566778899aabb"
		"ccddeeff",
	};
	uint64_t seq;
	struct hash id;

	(void)state;
	assert_true(ledger_key_parse("ledger/0000000000000042-" ID, &seq, &id));
	assert_int_equal(seq, 42);
	assert_string_equal(ledger_key_format(seq, &id).s, "ledger/0000000000000042-" ID);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (ledger_key_parse(wrong[i], &seq, &id))
			fail_msg("accepted %s", wrong[i]);
#undef ID
}

static struct ledger_entry *
vector_entry(void)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct ledger_entry *e = NULL;
	struct err err = ERR_INIT;

	buf_set(&bytes, VECTOR(ENTRY));
	CHECK_OK(ledger_entry_parse(&bytes, &e, &err), &err);
	return e;
}

static void
test_ledger__an_entry_with_every_decision_encodes_to_the_vector(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = vector_entry();
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct hash id;

	(void)state;
	assert_int_equal(e->n_decisions, 17);
	assert_int_equal(e->decisions[6].type, DECISION_STANDING_GRANT);
	assert_int_equal(e->decisions[6].expiry, TIME_OF_VECTORS + 86400);
	ledger_entry_encode(e, fx->admin, &again, &id);
	check_bytes(buf_slice(&again), VECTOR(ENTRY));
	assert_true(hash_equal(&id, &e->id));
}

static void
test_ledger__the_vector_leaves_the_state_that_it_should(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = vector_entry();
	CLEANUP(buf_fini) struct buf after = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(ledger_apply(&fx->state, e, &err), &err);
	assert_int_equal(fx->state.head.seq, 1);
	assert_true(hash_equal(&fx->state.head.id, &e->id));
	ledger_state_encode(&fx->state, &after);
	check_bytes(buf_slice(&after), VECTOR(STATE));
}

static void
test_ledger__no_flipped_bit_and_no_cut_of_an_entry_goes_unnoticed(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 9 * sizeof VECTOR_ENTRY; i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
		size_t cut = i - 8 * sizeof VECTOR_ENTRY;

		if (i < 8 * sizeof VECTOR_ENTRY) {
			buf_set(&bytes, VECTOR(ENTRY));
			bytes.p[i / 8] ^= (uint8_t)(1u << i % 8);
		} else {
			buf_set(&bytes, slice_of(VECTOR_ENTRY, cut));
		}
		if (ledger_entry_parse(&bytes, &e, &err) < 0)
			continue;
		if (ledger_apply(&fx->state, e, &err) == 0)
			fail_msg("change %zu", i);
	}
	assert_int_equal(fx->state.head.seq, 0);
}

#define ENTRY(seq, decisions)                                                                      \
	"{0: 1, 1: h'07'*16, 2: " seq ", 3: h'08'*32, 4: 0, 5: h'09'*32, 6: " decisions "}"

static void
test_ledger__entries_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor;
		int code;
		const char *says;
	} cases[] = {
		{ENTRY("1", "[]"), 0, ""},
		{ENTRY("1", "[[7, {0: h'01'*16, 9: 'new'}]]"), 0, ""}, /* keys to come */
		{"{0: 2}", ERR_UNSUPPORTED, "newer"},
		{ENTRY("0", "[]"), ERR_CORRUPT, "sequence is 0"},
		{ENTRY("10000000000000000", "[]"), ERR_CORRUPT, "10000000000000000"},
		{ENTRY("1", "[[17, {}]]"), ERR_UNSUPPORTED, "use a newer tillfs"},
		{ENTRY("1", "[[0, {}]]"), ERR_UNSUPPORTED, "use a newer tillfs"},
		{ENTRY("1", "[[7]]"), ERR_CORRUPT, "[type, map]"},
		{ENTRY("1", "[[7, {}]]"), ERR_CORRUPT, "key 0 is missing"},
		{ENTRY("1", "[[7, {0: h'01'*15}]]"), ERR_CORRUPT, "15 bytes"},
		{ENTRY("1", "[[1, {0: h'01'*8, 1: h'01'*32, 2: h'01'*32, 3: h'01'*31}]]"),
		 ERR_CORRUPT, "too short"},
		{ENTRY("1", "[[1, {0: h'01'*8, 1: h'01'*32, 2: h'01'*32, 3: h'01'*4129}]]"),
		 ERR_CORRUPT, "4129"},
		{ENTRY("1", "[[4, {0: h'01'*8, 1: 5}]]"), ERR_CORRUPT, "no id"},
		{ENTRY("1", "[[4, {0: h'01'*8, 1: 0, 2: h'01'*32}]]"), ERR_CORRUPT, "no id"},
		{ENTRY("1", "[[8, {0: h'01'*8, 1: h''}]]"), ERR_CORRUPT, "not 32 an id"},
		{ENTRY("1", "[[8, {0: h'01'*8, 1: h'01'*33}]]"), ERR_CORRUPT, "not 32 an id"},
		{ENTRY("1", "[]") "0", ERR_CORRUPT, "too many"},
	};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf object = BUF_INIT;
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
		struct err err = ERR_INIT;
		struct hash id;

		object_from_text(&ledger_kind, cases[i].cbor, fx->admin, &object, &id);
		if (cases[i].code == 0) {
			CHECK_OK(ledger_entry_parse(&object, &e, &err), &err);
			continue;
		}
		CHECK_REFUSED(ledger_entry_parse(&object, &e, &err), cases[i].code, &err,
			      cases[i].says);
		assert_non_null(strstr(err.msg, "ledger entry"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ledger__the_config_vector_says_what_it_was_made_of),
		cmocka_unit_test(test_ledger__a_config_comes_back),
		cmocka_unit_test(test_ledger__another_founders_config_is_refused),
		cmocka_unit_test(test_ledger__no_flipped_bit_and_no_cut_of_a_config_goes_unnoticed),
		cmocka_unit_test(test_ledger__configs_with_one_defect_are_refused),
		cmocka_unit_test(test_ledger__a_roster_message_opens_with_the_roster_key_only),
		cmocka_unit_test(test_ledger__terms_of_a_grant_are_what_the_vector_was_made_of),
		cmocka_unit_test(test_ledger__terms_of_a_hold_are_what_the_vector_was_made_of),
		cmocka_unit_test(test_ledger__terms_with_one_defect_are_refused),
		cmocka_unit_test(test_ledger__a_key_says_sequence_and_id_in_one_form_only),
		cmocka_unit_test(test_ledger__an_entry_with_every_decision_encodes_to_the_vector),
		cmocka_unit_test(test_ledger__the_vector_leaves_the_state_that_it_should),
		cmocka_unit_test(test_ledger__no_flipped_bit_and_no_cut_of_an_entry_goes_unnoticed),
		cmocka_unit_test(test_ledger__entries_with_one_defect_are_refused),
	};

	return cmocka_run_group_tests_name("ledger", tests, start, NULL);
}
