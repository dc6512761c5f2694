/*
 * test_seal.c - hashes, encryption, boxes, signatures, passphrases, base64.
 *
 * The known answers were computed with Python's hashlib and with libsodium through ctypes, from
 * docs/format.md.
 */
#include "fixture_format.h"

static struct seal_key
key_counting(void)
{
	struct seal_key key;

	for (size_t i = 0; i < sizeof key.b; i++)
		key.b[i] = (uint8_t)i;
	return key;
}

static struct seal_pair *
pair_counting(void)
{
	struct seal_key seed = key_counting();
	struct seal_pair *pair = secret_new(sizeof *pair);

	seal_pair_from_seed(&seed, pair);
	return pair;
}

static void
check_hex(const void *p, size_t len, const char *expected)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	for (size_t i = 0; i < len; i++)
		buf_appendf(&text, "%02x", ((const uint8_t *)p)[i]);
	assert_string_equal(buf_cstr(&text), expected);
}

/* ---- secret memory and random numbers ---- */

static void
test_secret__is_zeroed_and_freed(void **state)
{
	static const uint8_t zero[100];
	CLEANUP(secret_freep) uint8_t *p = secret_new(sizeof zero);
	CLEANUP(secret_freep) void *nothing = secret_new(0);

	(void)state;
	assert_memory_equal(p, zero, sizeof zero);
	assert_non_null(nothing);
	memset(p, 1, sizeof zero);
	seal_wipe(p, sizeof zero);
	assert_memory_equal(p, zero, sizeof zero);
	secret_free(NULL);
}

static void
test_random__stays_below_and_reaches_all(void **state)
{
	static const uint64_t limits[] = {1, 2, 3, 7, 1000, UINT64_C(1) << 63, UINT64_MAX};
	bool seen[7] = {false};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		for (unsigned k = 0; k < 100; k++)
			assert_true(seal_random_below(limits[i]) < limits[i]);
	for (unsigned k = 0; k < 1000; k++)
		seen[seal_random_below(7)] = true;
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		assert_true(seen[i]);
	assert_int_equal(seal_random_below(0), 0);
}

static void
test_equal__compares_every_byte(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	(void)state;
	assert_true(seal_equal(a, b, sizeof a));
	for (size_t i = 0; i < sizeof b; i++) {
		b[i] ^= 0x80;
		assert_false(seal_equal(a, b, sizeof a));
		b[i] ^= 0x80;
	}
}

/* ---- hashes ---- */

static void
test_hash__known_answers(void **state)
{
	struct seal_key key = key_counting(), derived;
	struct hash h;

	(void)state;
	seal_hash("abc", 3, &h);
	check_hex(&h, 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
	seal_hash(NULL, 0, &h);
	check_hex(&h, 32, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
	seal_hash_purpose("tillfs finger", "abc", 3, &h);
	check_hex(&h, 32, "c5494610debaedb5183383ca4d852476545dd8bcc1437085b646fea8e01a6843");
	seal_hash_keyed(&key, "tillfs gear", "abc", 3, &h);
	check_hex(&h, 32, "8bd7e648b23b53134eae01e4048b7195a6503c40997d9644d0265bf88a9d4d6b");
	seal_derive(&key, "tillfs gear", slice_str("abc"), &derived);
	assert_memory_equal(&derived, &h, 32);
	seal_derive(&key, "0123456789abcdef", slice_of(NULL, 0), &derived); /* all 16 bytes */
	check_hex(&derived, 32, "a7227fe49648d3ccf7d341fce52868045aa03d84ba6412062704f0eaaf7ddb54");
}

static void
test_hasher__pieces_give_the_hash_of_the_whole(void **state)
{
	CLEANUP(freep) uint8_t *bytes = mem_alloc(10000);
	struct rng rng = rng_start("hasher");
	struct hash whole, pieces;

	(void)state;
	rng_bytes(&rng, bytes, 10000);
	for (unsigned i = 0; i < 50; i++) {
		CLEANUP(seal_hasher_freep) struct seal_hasher *h = seal_hasher_new();
		size_t len = rng_within(&rng, 0, 10000);

		for (size_t at = 0, n; at < len; at += n) {
			n = min_u64(rng_within(&rng, 0, 700), len - at);
			seal_hasher_add(h, bytes + at, n);
		}
		seal_hasher_finish(h, &pieces);
		seal_hash(bytes, len, &whole);
		assert_true(hash_equal(&whole, &pieces));
	}
}

/* ---- encryption ---- */

static void
test_encrypt__known_answer(void **state)
{
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	struct seal_key key = key_counting();

	(void)state;
	buf_append_str(&sealed, "before");
	seal_encrypt(&key, slice_str("receipt 4711"), &sealed);
	assert_memory_equal(sealed.p, "before", 6);
	check_hex(sealed.p + 6, sealed.len - 6,
		  "e763efa285f8913922b94e08fa01596c36fb6485376f5a70180d34b1");
}

static void
test_decrypt__refuses_every_flipped_bit_and_every_cut(void **state)
{
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct seal_key key = key_counting();
	struct err err = ERR_INIT;

	(void)state;
	seal_encrypt(&key, slice_str("receipt 4711"), &sealed);
	CHECK_OK(seal_decrypt(&key, buf_slice(&sealed), &plain, &err), &err);
	check_bytes(buf_slice(&plain), slice_str("receipt 4711"));

	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_REFUSED(seal_decrypt(&key, buf_slice(&sealed), &plain, &err), ERR_AUTH, &err,
			      "changed");
		assert_int_equal(plain.len, 0);
		sealed.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < sealed.len; len++)
		assert_int_equal(seal_decrypt(&key, slice_of(sealed.p, len), &plain, &err),
				 ERR_AUTH);
	key.b[31] ^= 1;
	assert_int_equal(seal_decrypt(&key, buf_slice(&sealed), &plain, &err), ERR_AUTH);
}

static void
test_encrypt__takes_an_empty_message(void **state)
{
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct seal_key key = key_counting();
	struct err err = ERR_INIT;

	(void)state;
	seal_encrypt(&key, slice_of(NULL, 0), &sealed);
	assert_int_equal(sealed.len, SEAL_TAG_LEN);
	buf_append_str(&plain, "old");
	CHECK_OK(seal_decrypt(&key, buf_slice(&sealed), &plain, &err), &err);
	assert_int_equal(plain.len, 0);
}

/* ---- people ---- */

static void
test_pair__known_answers(void **state)
{
	CLEANUP(secret_freep) struct seal_pair *pair = pair_counting();
	struct fingerprint f;

	(void)state;
	check_hex(&pair->box_pk, 32,
		  "2cc5b1c62a7cb2e72c92fa317bd6f13d771c6e1ca942656cf36ee402bc784d41");
	check_hex(&pair->sign_pk, 32,
		  "76e3447080fdf3afd784afef3de8bcde850b1ca683acbeae81dcfaa4cf3447a8");
	seal_fingerprint(&pair->box_pk, &pair->sign_pk, &f);
	check_hex(&f, 32, "97bddad29e98e98d57c8cbcd07283a0d0854844fd07d5d8bf50c7c18921330f4");
}

static void
test_box__opens_for_its_person_only(void **state)
{
	CLEANUP(secret_freep) struct seal_pair *pair = pair_counting();
	CLEANUP(secret_freep) struct seal_pair *other = secret_new(sizeof *other);
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct seal_key seed = {{1}};
	struct err err = ERR_INIT;

	(void)state;
	seal_pair_from_seed(&seed, other);
	seal_box(&pair->box_pk, slice_str("a key"), &box);
	seal_box(&pair->box_pk, slice_str("a key"), &again);
	assert_int_equal(box.len, 5 + SEAL_BOX_LEN);
	assert_false(slice_equal(buf_slice(&box), buf_slice(&again)));

	CHECK_OK(seal_box_open(pair, buf_slice(&box), &plain, &err), &err);
	check_bytes(buf_slice(&plain), slice_str("a key"));
	CHECK_REFUSED(seal_box_open(other, buf_slice(&box), &plain, &err), ERR_AUTH, &err,
		      "somebody else");
	assert_int_equal(plain.len, 0);

	for (size_t i = 0; i < box.len; i++) {
		/* X25519 ignores the top bit of a public key, crypto_box_seal's nonce doesn't. */
		box.p[i] ^= 0x80;
		assert_int_equal(seal_box_open(pair, buf_slice(&box), &plain, &err), ERR_AUTH);
		box.p[i] ^= 0x80;
	}
	for (size_t len = 0; len < box.len; len++)
		assert_int_equal(seal_box_open(pair, slice_of(box.p, len), &plain, &err), ERR_AUTH);
}

/* A key of low order would make the same secret for everybody. */
static void
test_box__to_a_low_order_key_opens_for_nobody(void **state)
{
	CLEANUP(secret_freep) struct seal_pair *pair = pair_counting();
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct seal_box_pk nobody = {{0}};

	(void)state;
	seal_box(&nobody, slice_str("a key"), &box);
	assert_int_equal(box.len, 5 + SEAL_BOX_LEN);
	assert_null(memmem(box.p, box.len, "a key", 5));
	assert_int_equal(seal_box_open(pair, buf_slice(&box), &plain, NULL), ERR_AUTH);
}

static void
test_sign__known_answer_and_what_it_covers(void **state)
{
	CLEANUP(secret_freep) struct seal_pair *pair = pair_counting();
	uint8_t sig[SEAL_SIGNATURE_LEN];
	struct err err = ERR_INIT;

	(void)state;
	seal_sign(pair, "snapshot", slice_str("abc"), sig);
	check_hex(sig, sizeof sig,
		  "f00f79962d9b21198ff0b56c9f180cf97f833acd123a1d782f106f52149f9297"
		  "4c7a297149c293db335756358908d3ec1a24b63ddbc20b1057cf87d9e44aa007");
	CHECK_OK(seal_verify(&pair->sign_pk, "snapshot", slice_str("abc"), sig, &err), &err);

	CHECK_REFUSED(seal_verify(&pair->sign_pk, "ledger", slice_str("abc"), sig, &err), ERR_AUTH,
		      &err, "signature");
	assert_int_equal(seal_verify(&pair->sign_pk, "snapshot", slice_str("abd"), sig, &err),
			 ERR_AUTH);
	assert_int_equal(seal_verify(&pair->sign_pk, "snapshot", slice_str(""), sig, &err),
			 ERR_AUTH);
	for (size_t bit = 0; bit < sizeof sig * 8; bit++) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(seal_verify(&pair->sign_pk, "snapshot", slice_str("abc"), sig,
					     &err),
				 ERR_AUTH);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* A key of order 1 would verify anything under a zero signature. */
static void
test_verify__refuses_keys_of_low_order(void **state)
{
	struct seal_sign_pk neutral = {{1}};
	uint8_t sig[SEAL_SIGNATURE_LEN] = {1};

	(void)state;
	assert_int_equal(seal_verify(&neutral, "snapshot", slice_str("abc"), sig, NULL), ERR_AUTH);
}

/* ---- passphrases ---- */

static void
test_password__known_answer(void **state)
{
	uint8_t salt[SEAL_SALT_LEN];
	struct seal_key key;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof salt; i++)
		salt[i] = (uint8_t)i;
	CHECK_OK(seal_password(slice_str("correct horse"), salt, 1, 8 * MIB, &key, &err), &err);
	check_hex(&key, 32, "68aa6b3e6343f355586e5dd84710fb380cc542b0a47fa8a06ad81318fa48e3b3");
	CHECK_OK(seal_password(slice_of(NULL, 0), salt, 1, 8 * MIB, &key, &err), &err);
}

static void
test_password__refuses_parameters_out_of_bounds(void **state)
{
	static const struct {
		uint32_t ops;
		uint64_t memory;
	} refused[] = {
		{0, 8 * MIB}, {17, 8 * MIB},   {UINT32_MAX, 8 * MIB},        {1, 8 * MIB - 1},
		{1, 0},       {1, UINT64_MAX}, {1, UINT64_C(1024) * MIB + 1}};
	uint8_t salt[SEAL_SALT_LEN] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct seal_key key = {{1}};
		struct err err = ERR_INIT;

		CHECK_REFUSED(seal_password(slice_str("x"), salt, refused[i].ops, refused[i].memory,
					    &key, &err),
			      ERR_INVALID, &err, "Argon2id");
		assert_int_equal(key.b[0], 0);
	}
}

/* ---- base64 ---- */

static void
test_base64__agrees_with_rfc_4648(void **state)
{
	static const char *const known[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xfe", "+//+"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;
		CLEANUP(buf_fini) struct buf back = BUF_INIT;

		buf_append_str(&text, "x=");
		seal_base64_append(&text, slice_str(known[i][0]));
		assert_string_equal(buf_cstr(&text) + 2, known[i][1]);
		assert_true(seal_base64_parse(slice_str(known[i][1]), &back));
		check_bytes(buf_slice(&back), slice_str(known[i][0]));
	}
}

static void
test_base64__refuses_other_spellings(void **state)
{
	static const char *const refused[] = {"Zg",   "Zg=",   "Zg===", "Z",       "=",
					      "Zh==", "Zm9=",  "Zm9v ", " Zm9v",   "Zm\n9v",
					      "-__-", "Zm9v=", "Zm9vZ", "Zm9v\x80"};
	CLEANUP(buf_fini) struct buf back = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (seal_base64_parse(slice_str(refused[i]), &back))
			fail_msg("\"%s\"", refused[i]);
		assert_int_equal(back.len, 0);
	}
	assert_false(seal_base64_parse(slice_of("Zm9v\0", 5), &back));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret__is_zeroed_and_freed),
		cmocka_unit_test(test_random__stays_below_and_reaches_all),
		cmocka_unit_test(test_equal__compares_every_byte),
		cmocka_unit_test(test_hash__known_answers),
		cmocka_unit_test(test_hasher__pieces_give_the_hash_of_the_whole),
		cmocka_unit_test(test_encrypt__known_answer),
		cmocka_unit_test(test_decrypt__refuses_every_flipped_bit_and_every_cut),
		cmocka_unit_test(test_encrypt__takes_an_empty_message),
		cmocka_unit_test(test_pair__known_answers),
		cmocka_unit_test(test_box__opens_for_its_person_only),
		cmocka_unit_test(test_box__to_a_low_order_key_opens_for_nobody),
		cmocka_unit_test(test_sign__known_answer_and_what_it_covers),
		cmocka_unit_test(test_verify__refuses_keys_of_low_order),
		cmocka_unit_test(test_password__known_answer),
		cmocka_unit_test(test_password__refuses_parameters_out_of_bounds),
		cmocka_unit_test(test_base64__agrees_with_rfc_4648),
		cmocka_unit_test(test_base64__refuses_other_spellings),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
