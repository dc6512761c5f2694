/*
 * test_keyring_grant.c - grants and reseals: keys sealed to one person.
 */
#include "fixture_trust.h"

#include "tillfs/keyring.h"

static const struct object_kind grant_kind = {"TILLGRT1", "grant"};

struct fixture {
	struct seal_pair *admin, *auditor, *other;
	struct codec *codec;
	struct ledger_state state;
};

static struct fixture *
fixture_new(void)
{
	struct fixture *fx = mem_alloc(sizeof *fx);
	CLEANUP(repo_config_fini) struct repo_config config = {0};
	struct err err = ERR_INIT;

	fx->admin = pair_of(ADMIN_SEED);
	fx->auditor = pair_of(AUDITOR_SEED);
	fx->other = pair_of(OTHER_SEED);
	fx->codec = codec_new(CODEC_LEVEL);
	CHECK_OK(config_object_parse(VECTOR(CONFIG), NULL, &config, &err), &err);
	ledger_state_init(&fx->state, &config);
	return fx;
}

static void
fixture_free(struct fixture *fx)
{
	ledger_state_fini(&fx->state);
	codec_free(fx->codec);
	secret_free(fx->admin);
	secret_free(fx->auditor);
	secret_free(fx->other);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

static int
open_as(const struct fixture *fx, struct slice object, bool reseal, const struct seal_pair *who,
	struct err *err)
{
	CLEANUP(grant_freep) struct grant *g = NULL;
	int r = grant_open(object, reseal, &fx->state, who, fx->codec, &g, err);

	assert_true((r == 0) == (g != NULL));
	return r;
}

static void
check_key(const struct seal_key *key, uint8_t byte)
{
	struct seal_key expected = key_of_byte(byte);

	assert_memory_equal(key, &expected, sizeof expected);
}

static void
test_keyring__a_grant_says_what_the_vector_was_made_of(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(grant_freep) struct grant *g = NULL;
	struct hash prev = hash_of_byte(0x31), pack = hash_of_byte(0x52);
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(grant_open(VECTOR(GRANT), false, &fx->state, fx->auditor, fx->codec, &g, &err),
		 &err);
	assert_false(g->reseal);
	check_bytes(slice_of(g->author.h.b, 32), VECTOR(ADMIN_FINGERPRINT));
	check_bytes(slice_of(g->grantee.h.b, 32), VECTOR(AUDITOR_FINGERPRINT));
	assert_int_equal(g->time, TIME_OF_VECTORS);
	assert_true(g->has_expiry);
	assert_int_equal(g->expiry, TIME_OF_VECTORS + 86400);
	assert_string_equal(g->case_ref, "case 7");
	check_key(&g->roster, 0x44);
	assert_int_equal(g->n_parts, 1);
	assert_true(hash_equal(&g->parts[0].snapshot.h, &prev));
	assert_int_equal(g->parts[0].ordinal, 1);
	check_key(&g->parts[0].key, 0x46);
	assert_int_equal(g->n_sections, 2);
	assert_true(hash_equal(&g->sections[1].pack.h, &pack));
	assert_int_equal(g->sections[1].ordinal, 1);
	check_key(&g->sections[1].key, 0x48);
}

static void
test_keyring__a_reseal_is_no_grant_and_the_reverse(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(open_as(fx, VECTOR(RESEAL), true, fx->auditor, &err), &err);
	CHECK_REFUSED(open_as(fx, VECTOR(RESEAL), false, fx->auditor, &err), ERR_CORRUPT, &err,
		      "grant");
	CHECK_REFUSED(open_as(fx, VECTOR(GRANT), true, fx->auditor, &err), ERR_CORRUPT, &err,
		      "reseal");
}

static void
test_keyring__a_grant_opens_for_its_grantee_only(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(open_as(fx, VECTOR(GRANT), false, fx->admin, &err), ERR_DENIED, &err,
		      "not for this identity");
	CHECK_REFUSED(open_as(fx, VECTOR(GRANT), false, fx->other, &err), ERR_DENIED, &err,
		      "not for this identity");
}

static void
test_keyring__a_grant_of_another_repository_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;

	(void)state;
	fx->state.repo.b[0]++;
	CHECK_REFUSED(open_as(fx, VECTOR(GRANT), false, fx->auditor, &err), ERR_CORRUPT, &err,
		      "another repository");
}

/* A grant by @author, with @n keys of each kind. */
static void
encode(const struct fixture *fx, const struct seal_pair *author, struct rng *rng, size_t n,
       struct grant *g, struct buf *ret)
{
	g->repo = fx->state.repo;
	g->author = fingerprint_of(author);
	g->grantee = fingerprint_of(fx->auditor);
	g->n_parts = n;
	g->n_sections = n;
	g->parts = mem_array(n, sizeof *g->parts);
	g->sections = mem_array(n, sizeof *g->sections);
	for (size_t i = 0; i < n; i++) {
		rng_bytes(rng, &g->parts[i].snapshot, 32);
		g->parts[i].ordinal = (uint32_t)rng_within(rng, 0, SNAPSHOT_CLASSES_MAX);
		rng_bytes(rng, &g->parts[i].key, 32);
		rng_bytes(rng, &g->sections[i].pack, 32);
		g->sections[i].ordinal = (uint32_t)rng_within(rng, 0, PACK_SECTIONS_MAX - 1);
		rng_bytes(rng, &g->sections[i].key, 32);
	}
	grant_encode(g, &fx->auditor->box_pk, author, fx->codec, ret);
}

static void
encoded_fini(struct grant *g)
{
	free(g->parts);
	free(g->sections);
}

static void
test_keyring__random_grants_come_back(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct rng rng = rng_start("grants");

	(void)state;
	for (int round = 0; round < 20; round++) {
		CLEANUP(encoded_fini)
		struct grant in = {.reseal = rng_next(&rng) % 2 == 0,
				   .time = (int64_t)rng_within(&rng, 0, 4102444800),
				   .has_expiry = rng_next(&rng) % 2 == 0,
				   .case_ref = round % 3 == 0 ? NULL : "a case"};
		CLEANUP(grant_freep) struct grant *out = NULL;
		CLEANUP(buf_fini) struct buf object = BUF_INIT;
		struct err err = ERR_INIT;

		in.expiry = in.has_expiry ? in.time + 1 : 0;
		rng_bytes(&rng, &in.roster, sizeof in.roster);
		encode(fx, fx->admin, &rng, rng_within(&rng, 0, 200), &in, &object);
		CHECK_OK(grant_open(buf_slice(&object), in.reseal, &fx->state, fx->auditor,
				    fx->codec, &out, &err),
			 &err);
		assert_int_equal(out->time, in.time);
		assert_int_equal(out->has_expiry, in.has_expiry);
		assert_int_equal(out->expiry, in.expiry);
		assert_string_equal(out->case_ref, in.case_ref != NULL ? in.case_ref : "");
		assert_memory_equal(&out->roster, &in.roster, 32);
		assert_int_equal(out->n_parts, in.n_parts);
		assert_int_equal(out->n_sections, in.n_sections);
		for (size_t i = 0; i < in.n_parts; i++) {
			assert_memory_equal(&out->parts[i], &in.parts[i], sizeof in.parts[i]);
			assert_memory_equal(&out->sections[i], &in.sections[i],
					    sizeof in.sections[i]);
		}
	}
}

static void
test_keyring__a_grant_counts_if_its_author_is_or_was_an_admin(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(encoded_fini) struct grant g = {0};
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct rng rng = rng_start("author");
	struct err err = ERR_INIT;

	(void)state;
	encode(fx, fx->other, &rng, 1, &g, &object);
	CHECK_REFUSED(open_as(fx, buf_slice(&object), false, fx->auditor, &err), ERR_AUTH, &err,
		      "never was an admin");
	fx->state.admins[0].removed = true;
	fx->state.admins[0].removed_at = TIME_OF_VECTORS;
	CHECK_OK(open_as(fx, VECTOR(GRANT), false, fx->auditor, &err), &err);
	fx->state.admins[0].sign_pk = fx->other->sign_pk;
	CHECK_REFUSED(open_as(fx, VECTOR(GRANT), false, fx->auditor, &err), ERR_AUTH, &err,
		      "signature");
}

static int
grant_counts(const struct ledger_state *admins, struct slice object, struct err *err)
{
	CLEANUP(grant_freep) struct grant *g = NULL;

	return grant_read(object, false, admins, &g, err);
}

static void
test_keyring__a_grant_made_after_its_authors_removal_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct ledger_state twice = fx->state;
	struct ledger_admin items[2];
	struct err err = ERR_INIT;

	(void)state;
	fx->state.admins[0].removed = true;
	fx->state.admins[0].removed_at = TIME_OF_VECTORS - 1;
	CHECK_REFUSED(open_as(fx, VECTOR(GRANT), false, fx->auditor, &err), ERR_AUTH, &err,
		      "was removed as an admin");
	CHECK_OK(open_as(fx, VECTOR(RESEAL), true, fx->auditor, &err), &err);

	items[0] = items[1] = fx->state.admins[0];
	items[1].removed = false;
	twice.admins = items;
	twice.n_admins = 2;
	CHECK_OK(grant_counts(&twice, VECTOR(GRANT), &err), &err);
	items[1].removed = true;
	CHECK_REFUSED(grant_counts(&twice, VECTOR(GRANT), &err), ERR_AUTH, &err,
		      "was removed as an admin");
}

static void
test_keyring__no_flipped_bit_and_no_cut_of_a_grant_goes_unnoticed(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof VECTOR_GRANT; bit++) {
		buf_set(&bytes, VECTOR(GRANT));
		bytes.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (open_as(fx, buf_slice(&bytes), false, fx->auditor, &err) == 0)
			fail_msg("bit %zu", bit);
	}
	for (size_t len = 0; len < sizeof VECTOR_GRANT; len++)
		if (open_as(fx, slice_of(VECTOR_GRANT, len), false, fx->auditor, &err) == 0)
			fail_msg("cut to %zu bytes", len);
}

#define GRANT(version, time, box, len, rest)                                                       \
	"{0: " version ", 1: h'07'*16, 2: h'08'*32, 3: " time ", 4: h'09'*32, 6: h'0a'*" box       \
	", 7: " len rest "}"

static void
test_keyring__grants_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor;
		int code;
		const char *says;
	} cases[] = {
		/* What is checked after the form. */
		{GRANT("1", "0", "80", "5", ", 8: h'01'*30"), ERR_CORRUPT, "another repository"},
		{GRANT("2", "0", "80", "5", ", 8: h'01'*30"), ERR_UNSUPPORTED, "newer"},
		{GRANT("1", "253402300800", "80", "5", ", 8: h'01'*30"), ERR_CORRUPT, "years"},
		{GRANT("1", "0", "81", "5", ", 8: h'01'*30"), ERR_CORRUPT, "81 bytes"},
		{GRANT("1", "0", "80", "67108865", ", 8: h'01'*30"), ERR_CORRUPT, "67108865"},
		{GRANT("1", "0", "80", "5", ""), ERR_CORRUPT, "key 8 is missing"},
		{GRANT("1", "0", "80", "5", ", 8: h'01'*30") "0", ERR_CORRUPT, "too many"},
	};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf object = BUF_INIT;
		struct err err = ERR_INIT;
		struct hash id;

		object_from_text(&grant_kind, cases[i].cbor, fx->admin, &object, &id);
		CHECK_REFUSED(open_as(fx, buf_slice(&object), false, fx->auditor, &err),
			      cases[i].code, &err, cases[i].says);
		assert_non_null(strstr(err.msg, hex_short(&id).s));
	}
}

/* A grant that an admin signed around a body that is wrong. */
static void
grant_around(const struct fixture *fx, const char *body, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	CLEANUP(buf_fini) struct buf message = BUF_INIT;
	struct seal_key key = key_of_byte(0x49), derived;
	struct fingerprint author = fingerprint_of(fx->admin),
			   grantee = fingerprint_of(fx->auditor);
	struct hash id;

	cbor_text(&plain, body);
	codec_pack(fx->codec, buf_slice(&plain), &packed);
	buf_append(&message, fx->state.repo.b, sizeof fx->state.repo.b);
	buf_append(&message, grantee.h.b, 32);
	seal_derive(&key, "tillfs grant", buf_slice(&message), &derived);
	seal_encrypt(&derived, buf_slice(&packed), &sealed);
	object_box_key(&fx->auditor->box_pk, &key, &box);

	object_begin(&grant_kind, ret);
	cbor_put_map(ret, 8);
	cbor_text(ret, "0 1 1");
	cbor_put_bytes(ret, fx->state.repo.b, sizeof fx->state.repo.b);
	cbor_text(ret, "2");
	cbor_put_bytes(ret, author.h.b, 32);
	cbor_text(ret, "3 0 4");
	cbor_put_bytes(ret, grantee.h.b, 32);
	cbor_text(ret, "6");
	cbor_put_bytes(ret, box.p, box.len);
	cbor_text(ret, "7");
	cbor_put_uint(ret, plain.len);
	cbor_text(ret, "8");
	cbor_put_bytes(ret, sealed.p, sealed.len);
	object_sign(&grant_kind, fx->admin, ret, &id);
}

#define BODY(parts, sections) "{0: \"case\", 1: h'44'*32, 2: [" parts "], 3: [" sections "]}"

static void
test_keyring__bodies_of_grants_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *body, *says;
	} cases[] = {
		{BODY("", ""), NULL},
		{BODY("[h'01'*32, 64, h'02'*32]", "[h'01'*32, 63, h'02'*32]"), NULL},
		{BODY("[h'01'*32, 65, h'02'*32]", ""), "65"},
		{BODY("", "[h'01'*32, 64, h'02'*32]"), "64"},
		{BODY("[h'01'*32, 1]", ""), "[id, ordinal, key]"},
		{BODY("[h'01'*32, 1, h'02'*31]", ""), "31 bytes"},
		{"{0: \"case\", 1: h'44'*32, 2: []}", "key 3 is missing"},
		{"{0: \"case\", 1: h'44'*31, 2: [], 3: []}", "31 bytes"},
	};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf object = BUF_INIT;
		struct err err = ERR_INIT;

		grant_around(fx, cases[i].body, &object);
		if (cases[i].says == NULL)
			CHECK_OK(open_as(fx, buf_slice(&object), false, fx->auditor, &err), &err);
		else
			CHECK_REFUSED(open_as(fx, buf_slice(&object), false, fx->auditor, &err),
				      ERR_CORRUPT, &err, cases[i].says);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyring__a_grant_says_what_the_vector_was_made_of),
		cmocka_unit_test(test_keyring__a_reseal_is_no_grant_and_the_reverse),
		cmocka_unit_test(test_keyring__a_grant_opens_for_its_grantee_only),
		cmocka_unit_test(test_keyring__a_grant_of_another_repository_is_refused),
		cmocka_unit_test(test_keyring__random_grants_come_back),
		cmocka_unit_test(test_keyring__a_grant_counts_if_its_author_is_or_was_an_admin),
		cmocka_unit_test(test_keyring__a_grant_made_after_its_authors_removal_is_refused),
		cmocka_unit_test(test_keyring__no_flipped_bit_and_no_cut_of_a_grant_goes_unnoticed),
		cmocka_unit_test(test_keyring__grants_with_one_defect_are_refused),
		cmocka_unit_test(test_keyring__bodies_of_grants_with_one_defect_are_refused),
	};

	return cmocka_run_group_tests_name("keyring grants", tests, start, NULL);
}
