/*
 * test_keyring.c - identities: made, opened, refused, and whom they trust.
 */
#include "fixture_folder.h"
#include "fixture_trust.h"

#include <sys/wait.h>

#include "tillfs/keyring.h"

static int
answer(void *arg, const char *file, struct buf *ret, struct err *err)
{
	(void)file;
	(void)err;
	buf_append_str(ret, arg);
	return 0;
}

/* ---- identities */

static void
check_is_admin(const struct identity *id)
{
	CLEANUP(secret_freep) struct seal_pair *admin = pair_of(ADMIN_SEED);

	check_bytes(slice_of(id->fingerprint.h.b, 32), VECTOR(ADMIN_FINGERPRINT));
	assert_memory_equal(id->pair, admin, sizeof *admin);
}

static void
test_keyring__fingerprints_are_those_of_the_vectors(void **state)
{
	CLEANUP(secret_freep) struct seal_pair *writer = pair_of(WRITER_SEED);
	CLEANUP(secret_freep) struct seal_pair *auditor = pair_of(AUDITOR_SEED);
	struct fingerprint w = fingerprint_of(writer), a = fingerprint_of(auditor);

	(void)state;
	check_bytes(slice_of(w.h.b, 32), VECTOR(WRITER_FINGERPRINT));
	check_bytes(slice_of(a.h.b, 32), VECTOR(AUDITOR_FINGERPRINT));
}

static void
test_keyring__an_identity_in_clear_opens_with_its_pins(void **state)
{
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct err err = ERR_INIT;
	const struct fingerprint *founder;
	const struct repo_id unknown = {{0}};

	(void)state;
	CHECK_OK(identity_parse(VECTOR(IDENTITY_CLEAR), "a.key", NULL, NULL, &id, &err), &err);
	check_is_admin(id);
	founder = identity_pin(id, &repo_of_vectors);
	assert_non_null(founder);
	check_bytes(slice_of(founder->h.b, 32), VECTOR(ADMIN_FINGERPRINT));
	assert_null(identity_pin(id, &unknown));
}

static void
test_keyring__a_protected_identity_opens_with_its_passphrase_only(void **state)
{
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(identity_parse(VECTOR(IDENTITY_SEALED), "a.key", answer, "correct horse", &id,
				&err),
		 &err);
	check_is_admin(id);
	identity_freep(&id);
	CHECK_REFUSED(identity_parse(VECTOR(IDENTITY_SEALED), "a.key", answer, "correct horsf", &id,
				     &err),
		      ERR_AUTH, &err, "a.key: wrong passphrase");
	CHECK_REFUSED(identity_parse(VECTOR(IDENTITY_SEALED), "a.key", answer, "", &id, &err),
		      ERR_AUTH, &err, "a.key: wrong passphrase");
	CHECK_REFUSED(identity_parse(VECTOR(IDENTITY_SEALED), "a.key", NULL, NULL, &id, &err),
		      ERR_AUTH, &err, "a.key is protected");
	assert_null(id);
}

static int
refuse_to_answer(void *arg, const char *file, struct buf *ret, struct err *err)
{
	(void)arg;
	(void)ret;
	return err_set(err, ERR_CANCELLED, "no answer for %s", file);
}

static void
test_keyring__whoever_asks_for_the_passphrase_may_give_up(void **state)
{
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(identity_parse(VECTOR(IDENTITY_SEALED), "a.key", refuse_to_answer, NULL, &id,
				     &err),
		      ERR_CANCELLED, &err, "no answer for a.key");
}

static void
test_keyring__identities_with_one_defect_are_refused(void **state)
{
	static const struct {
		bool sealed;
		const char *from, *to;
		int code;
		const char *says;
	} cases[] = {
		{false, "version = 1", "version = 2", ERR_UNSUPPORTED, "newer tillfs"},
		{false, "version = 1", "version = 0", ERR_INVALID, "version in [identity]"},
		{false, "version = 1", "version = 99999999999999999999", ERR_INVALID, "version"},
		{false, "version = 1\n", "", ERR_INVALID, "version is missing"},
		{false, "fingerprint = ", "fingerprint = 0", ERR_INVALID, "fingerprint in"},
		{false, "public = ", "public = A", ERR_INVALID, "public in [identity]"},
		{false, "public = ", "secret = ", ERR_INVALID, "secret is given twice"},
		{false, "secret = AQ", "secret = Ag", ERR_INVALID, "doesn't belong to"},
		{false, "secret = AQ", "secret = Q", ERR_INVALID, "secret in [identity]"},
		{false, "secret = ", "secrets = ", ERR_INVALID, "a.key:5: no such line"},
		{false, "[trust]", "ops = 1\n[trust]", ERR_INVALID, "in clear and sealed"},
		{false, "[trust]\n", "[trust]\nrepository = 00 11\n", ERR_INVALID,
		 "expected a repo"},
		{false, "[identity]", "[identitx]", ERR_INVALID, "no such line"},
		{true, "ops = 1", "ops = 0", ERR_INVALID, "too small"},
		{true, "ops = 1", "ops = 17", ERR_INVALID, "ops in [identity]"},
		{true, "memory = 8388608", "memory = 8388607", ERR_INVALID, "too small"},
		{true, "memory = 8388608", "memory = 1073741825", ERR_INVALID, "memory in"},
		{true, "memory = 8388608", "memory = -1", ERR_INVALID, "memory in"},
		{true, "salt = ", "# ", ERR_INVALID, "salt is missing"},
		{true, "sealed = ", "# ", ERR_INVALID, "sealed is missing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(identity_freep) struct identity *id = NULL;
		CLEANUP(freep)
		char *text =
			with(cases[i].sealed ? VECTOR(IDENTITY_SEALED) : VECTOR(IDENTITY_CLEAR),
			     cases[i].from, cases[i].to);
		struct err err = ERR_INIT;

		CHECK_REFUSED(identity_parse(slice_str(text), "a.key", answer, "correct horse", &id,
					     &err),
			      cases[i].code, &err, cases[i].says);
		assert_non_null(strstr(err.msg, "a.key"));
		assert_null(id);
	}
}

static void
test_keyring__messages_never_show_a_secret(void **state)
{
	CLEANUP(identity_freep) struct identity *id = NULL;
	CLEANUP(freep) char *text = with(VECTOR(IDENTITY_CLEAR), "secret = AQ", "secret = Ag");
	CLEANUP(freep) char *key = with(VECTOR(IDENTITY_CLEAR), "secret = AQ", "sekret = AQ");
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(identity_parse(slice_str(text), "a.key", NULL, NULL, &id, &err), ERR_INVALID,
		      &err, "a.key");
	assert_null(strstr(err.msg, "EBAQEBAQEB"));
	CHECK_REFUSED(identity_parse(slice_str(key), "a.key", NULL, NULL, &id, &err), ERR_INVALID,
		      &err, "a.key");
	assert_null(strstr(err.msg, "EBAQEBAQEB"));
}

static void
test_keyring__a_new_identity_opens_again(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "admin.key");
	CLEANUP(freep) char *pub = in(f, "admin.key.pub");
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct public_keys keys;
	struct fingerprint made;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(identity_create(path, slice_str(""), &made, &err), &err);
	assert_int_equal(mode_of(path), 0600);
	CHECK_OK(identity_open(path, NULL, NULL, &id, &err), &err);
	assert_true(hash_equal(&id->fingerprint.h, &made.h));
	assert_string_equal(id->path, path);
	CHECK_OK(public_keys_read(pub, &keys, &err), &err);
	assert_string_equal(keys.kind, "identity");
	assert_true(hash_equal(&keys.fingerprint.h, &made.h));
	assert_memory_equal(&keys.box_pk, &id->pair->box_pk, 32);
	assert_memory_equal(&keys.sign_pk, &id->pair->sign_pk, 32);
	identity_freep(&id);
	CHECK_REFUSED(identity_open("/nonexistent/key", NULL, NULL, &id, &err), ERR_NOENT, &err,
		      "/nonexistent/key");
}

static void
test_keyring__a_new_identity_with_a_passphrase_holds_no_secret_in_clear(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "admin.key");
	CLEANUP(freep) char *text = NULL;
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct fingerprint made;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(identity_create(path, slice_str("pass"), &made, &err), &err);
	text = text_of(path);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "sealed = "));
	CHECK_REFUSED(identity_open(path, answer, "paß", &id, &err), ERR_AUTH, &err, path);
	CHECK_OK(identity_open(path, answer, "pass", &id, &err), &err);
	assert_true(hash_equal(&id->fingerprint.h, &made.h));
}

static void
test_keyring__a_key_is_never_overwritten(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "k");
	CLEANUP(freep) char *pub = in(f, "k.pub");
	CLEANUP(freep) char *text = NULL;
	struct fingerprint made;
	struct err err = ERR_INIT;

	(void)state;
	write_file(path, slice_str("mine"));
	CHECK_REFUSED(identity_create(path, slice_str(""), &made, &err), ERR_EXISTS, &err, path);
	CHECK_REFUSED(writer_create(path, &err), ERR_EXISTS, &err, path);
	text = text_of(path);
	assert_string_equal(text, "mine");
	assert_int_equal(access(pub, F_OK), -1);

	/* With only the public half in the way nothing is left behind either. */
	assert_int_equal(rename(path, pub), 0);
	CHECK_REFUSED(identity_create(path, slice_str(""), &made, &err), ERR_EXISTS, &err, pub);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(symlink("elsewhere", path), 0);
	CHECK_REFUSED(writer_create(path, &err), ERR_EXISTS, &err, path);
}

static void
test_keyring__a_pin_is_added_once_and_for_one_founder(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "admin.key");
	CLEANUP(freep) char *before = NULL;
	CLEANUP(freep) char *after = NULL;
	CLEANUP(identity_freep) struct identity *id = NULL;
	CLEANUP(identity_freep) struct identity *again = NULL;
	struct trust_pin one = {{{1}}, {hash_of_byte(1)}}, two = {{{2}}, {hash_of_byte(2)}};
	struct trust_pin rival = {{{1}}, {hash_of_byte(3)}};
	struct err err = ERR_INIT;

	(void)state;
	write_file(path, VECTOR(IDENTITY_CLEAR));
	CHECK_OK(identity_open(path, NULL, NULL, &id, &err), &err);
	CHECK_OK(identity_add_pin(id, &one, &err), &err);
	CHECK_OK(identity_add_pin(id, &two, &err), &err);
	before = text_of(path);
	CHECK_OK(identity_add_pin(id, &one, &err), &err);
	CHECK_REFUSED(identity_add_pin(id, &rival, &err), ERR_EXISTS, &err, path);
	after = text_of(path);
	assert_string_equal(before, after);
	assert_int_equal(mode_of(path), 0600);

	CHECK_OK(identity_open(path, NULL, NULL, &again, &err), &err);
	assert_int_equal(again->n_pins, 3);
	assert_true(hash_equal(&identity_pin(again, &two.repo)->h, &two.founder.h));
	assert_non_null(identity_pin(again, &repo_of_vectors));
	assert_int_equal(id->n_pins, 3);
}

/* Two processes found repositories with one identity at the same time. */
static void
test_keyring__no_pin_is_lost_when_several_are_added_at_once(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "admin.key");
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct err err = ERR_INIT;
	int status;

	(void)state;
	write_file(path, VECTOR(IDENTITY_SEALED));
	CHECK_OK(identity_open(path, answer, "correct horse", &id, &err), &err);
	for (uint8_t child = 1; child <= 4; child++) {
		if (fork() != 0)
			continue;
		for (uint8_t i = 0; i < 25; i++) {
			struct trust_pin pin = {{{child, i}}, {hash_of_byte(i)}};

			if (identity_add_pin(id, &pin, NULL) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int child = 0; child < 4; child++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	identity_freep(&id);
	CHECK_OK(identity_open(path, answer, "correct horse", &id, &err), &err);
	assert_int_equal(id->n_pins, 100);
}

static void
test_keyring__a_key_file_behind_a_link_stays_behind_it(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "admin.key");
	CLEANUP(freep) char *link = in(f, "link");
	CLEANUP(identity_freep) struct identity *id = NULL;
	struct trust_pin pin = {{{1}}, {hash_of_byte(1)}};
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	write_file(path, VECTOR(IDENTITY_CLEAR));
	assert_int_equal(symlink("admin.key", link), 0);
	CHECK_OK(identity_open(link, NULL, NULL, &id, &err), &err);
	CHECK_OK(identity_add_pin(id, &pin, &err), &err);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	identity_freep(&id);
	CHECK_OK(identity_open(path, NULL, NULL, &id, &err), &err);
	assert_int_equal(id->n_pins, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyring__fingerprints_are_those_of_the_vectors),
		cmocka_unit_test(test_keyring__an_identity_in_clear_opens_with_its_pins),
		cmocka_unit_test(test_keyring__a_protected_identity_opens_with_its_passphrase_only),
		cmocka_unit_test(test_keyring__whoever_asks_for_the_passphrase_may_give_up),
		cmocka_unit_test(test_keyring__identities_with_one_defect_are_refused),
		cmocka_unit_test(test_keyring__messages_never_show_a_secret),
		cmocka_unit_test(test_keyring__a_new_identity_opens_again),
		cmocka_unit_test(
			test_keyring__a_new_identity_with_a_passphrase_holds_no_secret_in_clear),
		cmocka_unit_test(test_keyring__a_key_is_never_overwritten),
		cmocka_unit_test(test_keyring__a_pin_is_added_once_and_for_one_founder),
		cmocka_unit_test(test_keyring__no_pin_is_lost_when_several_are_added_at_once),
		cmocka_unit_test(test_keyring__a_key_file_behind_a_link_stays_behind_it),
	};

	return cmocka_run_group_tests_name("keyring", tests, start, NULL);
}
