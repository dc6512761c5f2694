/*
 * test_keyring_writer.c - writers' files and the cards that enrol them.
 */
#include "fixture_folder.h"
#include "fixture_trust.h"

#include "tillfs/keyring.h"

/* ---- writers and cards */

static struct card
vector_card(void)
{
	struct card card;
	struct err err = ERR_INIT;

	CHECK_OK(card_parse(VECTOR(CARD), "card", &card, &err), &err);
	return card;
}

static void
test_keyring__a_card_says_what_the_vector_was_made_of(void **state)
{
	CLEANUP(card_fini) struct card card = vector_card();
	CLEANUP(card_fini) struct card again = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_string_equal(card.kind, "writer");
	assert_string_equal(card.url, "file:///srv/pos-backup");
	assert_memory_equal(&card.pin.repo, &repo_of_vectors, sizeof repo_of_vectors);
	check_bytes(slice_of(card.pin.founder.h.b, 32), VECTOR(ADMIN_FINGERPRINT));
	assert_true(writer_id_equal(&card.writer, &writer_of_vectors));
	assert_string_equal(card.name, "till-03");

	card_format(&card, &text);
	CHECK_OK(card_parse(buf_slice(&text), "again", &again, &err), &err);
	assert_string_equal(again.url, card.url);
	assert_string_equal(again.name, card.name);
	check_bytes(buf_slice(&again.roster_box), buf_slice(&card.roster_box));
}

static void
test_keyring__a_grants_card_comes_back_as_one_line_a_value(void **state)
{
	struct card in = {.kind = "grant", .url = "file:///a b", .case_ref = "case\n7"};
	CLEANUP(card_fini) struct card out = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	in.pin.repo = repo_of_vectors;
	card_format(&in, &text);
	CHECK_OK(card_parse(buf_slice(&text), "card", &out, &err), &err);
	assert_string_equal(out.kind, "grant");
	assert_string_equal(out.url, "file:///a b");
	assert_string_equal(out.case_ref, "case\\x0a7");
	assert_int_equal(out.roster_box.len, 0);
}

static void
test_keyring__cards_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *from, *to;
		int code;
		const char *says;
	} cases[] = {
		{"version = 1", "version = 2", ERR_UNSUPPORTED, "newer tillfs"},
		{"kind = writer", "kind = admin", ERR_INVALID, "writer or grant"},
		{"kind = writer\n", "", ERR_INVALID, "writer or grant"},
		{"kind = writer", "kind = grant", ERR_INVALID, "doesn't belong on the card"},
		{"name = till-03", "name = till 03", ERR_INVALID, "no writer's name"},
		{"name = till-03\n", "", ERR_INVALID, "no writer's name"},
		{"name = till-03", "case = 7", ERR_INVALID, "doesn't belong on the card"},
		{"repository = 10", "repository = 1G", ERR_INVALID, "repository in [card]"},
		{"founder = ", "founder = a", ERR_INVALID, "founder in [card]"},
		{"writer = a0", "writer = ", ERR_INVALID, "writer in [card]"},
		{"roster = ", "roster = AAAA", ERR_INVALID, "roster in [card]"},
		{"roster = ", "# ", ERR_INVALID, "roster is missing"},
		{"[card]", "[writer]", ERR_INVALID, "no such line"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(card_fini) struct card card = {0};
		CLEANUP(freep) char *text = with(VECTOR(CARD), cases[i].from, cases[i].to);
		struct err err = ERR_INIT;

		CHECK_REFUSED(card_parse(slice_str(text), "x.card", &card, &err), cases[i].code,
			      &err, cases[i].says);
		assert_non_null(strstr(err.msg, "x.card"));
	}
}

static void
test_keyring__a_writer_is_made_and_enrolled(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "till-03.writer");
	CLEANUP(freep) char *pub = in(f, "till-03.writer.pub");
	CLEANUP(writer_freep) struct writer_file *w = NULL;
	CLEANUP(card_fini) struct card card = vector_card();
	struct seal_key roster = key_of_byte(0x77);
	struct public_keys keys;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(writer_create(path, &err), &err);
	assert_int_equal(mode_of(path), 0600);
	CHECK_OK(public_keys_read(pub, &keys, &err), &err);
	assert_string_equal(keys.kind, "writer");
	CHECK_OK(writer_open(path, &w, &err), &err);
	assert_false(w->enrolled);
	assert_null(w->roster);

	buf_reset(&card.roster_box);
	object_box_key(&keys.box_pk, &roster, &card.roster_box);
	CHECK_OK(writer_import(path, &card, &err), &err);
	assert_int_equal(mode_of(path), 0600);
	writer_freep(&w);
	CHECK_OK(writer_open(path, &w, &err), &err);
	assert_true(w->enrolled);
	assert_true(hash_equal(&w->fingerprint.h, &keys.fingerprint.h));
	assert_string_equal(w->card.name, "till-03");
	assert_memory_equal(w->roster, &roster, sizeof roster);
	CHECK_REFUSED(writer_import(path, &card, &err), ERR_EXISTS, &err, "enrolled already");
}

static void
test_keyring__a_card_for_another_writer_is_refused(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "other.writer");
	CLEANUP(freep) char *text = NULL;
	CLEANUP(writer_freep) struct writer_file *w = NULL;
	CLEANUP(card_fini) struct card card = vector_card();
	CLEANUP(buf_fini) struct buf both = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(writer_create(path, &err), &err);
	CHECK_REFUSED(writer_import(path, &card, &err), ERR_AUTH, &err, "another writer's key");
	text = text_of(path);
	assert_null(strstr(text, "[card]"));
	buf_append_str(&both, text);
	buf_append(&both, VECTOR_CARD, sizeof VECTOR_CARD);
	CHECK_REFUSED(writer_parse(buf_slice(&both), path, &w, &err), ERR_AUTH, &err, path);

	(void)snprintf(card.kind, sizeof card.kind, "grant");
	CHECK_REFUSED(writer_import(path, &card, &err), ERR_INVALID, &err, "for a grant");
}

static struct writer_file *
vector_writer(void)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct writer_file *w = NULL;
	struct err err = ERR_INIT;

	buf_set(&text, VECTOR(WRITER_NEW));
	buf_append(&text, VECTOR_CARD, sizeof VECTOR_CARD);
	CHECK_OK(writer_parse(buf_slice(&text), "w", &w, &err), &err);
	return w;
}

static void
test_keyring__hash_keys_are_those_of_the_vectors(void **state)
{
	CLEANUP(writer_freep) struct writer_file *w = vector_writer();
	CLEANUP(secret_freep) struct seal_pair *auditor = pair_of(AUDITOR_SEED);
	struct recipient auditors[] = {{fingerprint_of(auditor), auditor->box_pk}};
	struct seal_key roster = key_of_byte(0x44), key;

	(void)state;
	assert_memory_equal(w->roster, &roster, sizeof roster);
	writer_hash_key(w, "sales", NULL, 0, &key);
	check_bytes(slice_of(key.b, 32), VECTOR(HASH_KEY_ALONE));
	writer_hash_key(w, "sales", auditors, 1, &key);
	check_bytes(slice_of(key.b, 32), VECTOR(HASH_KEY_AUDITED));
}

static void
test_keyring__writer_names_are_short_and_plain(void **state)
{
	(void)state;
	assert_true(writer_name_valid("till-03"));
	assert_true(writer_name_valid("A_z9"));
	assert_true(writer_name_valid(
		"0123456789012345678901234567890123456789012345678901234567890123"));
	assert_false(writer_name_valid(
		"01234567890123456789012345678901234567890123456789012345678901234"));
	assert_false(writer_name_valid(""));
	assert_false(writer_name_valid("till.03"));
	assert_false(writer_name_valid("till/03"));
	assert_false(writer_name_valid("s\xc3\xbc"
				       "d"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyring__a_card_says_what_the_vector_was_made_of),
		cmocka_unit_test(test_keyring__a_grants_card_comes_back_as_one_line_a_value),
		cmocka_unit_test(test_keyring__cards_with_one_defect_are_refused),
		cmocka_unit_test(test_keyring__a_writer_is_made_and_enrolled),
		cmocka_unit_test(test_keyring__a_card_for_another_writer_is_refused),
		cmocka_unit_test(test_keyring__hash_keys_are_those_of_the_vectors),
		cmocka_unit_test(test_keyring__writer_names_are_short_and_plain),
	};

	return cmocka_run_group_tests_name("keyring writer", tests, start, NULL);
}
