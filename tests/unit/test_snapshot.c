/*
 * test_snapshot.c - names, signed objects, and the sealing of parts.
 */
#include "fixture_trust.h"

#include "tillfs/snapshot.h"

static const struct object_kind kind = {"TILLSNP1", "snapshot"};

/* ---- the vector, taken apart */

struct fixture {
	struct seal_pair *admin, *writer, *auditor, *other;
	struct codec *codec;
	struct snapshot_name name;
	struct snapshot *snapshot;
	struct buf bytes;
};

static struct fixture *
fixture_new(void)
{
	struct fixture *fx = mem_alloc(sizeof *fx);
	CLEANUP(freep)
	char *key = str_format("%.*s", (int)sizeof VECTOR_SNAPSHOT_KEY, VECTOR_SNAPSHOT_KEY);
	struct err err = ERR_INIT;

	fx->admin = pair_of(ADMIN_SEED);
	fx->writer = pair_of(WRITER_SEED);
	fx->auditor = pair_of(AUDITOR_SEED);
	fx->other = pair_of(OTHER_SEED);
	fx->codec = codec_new(CODEC_LEVEL);
	assert_true(snapshot_key_parse(key, &fx->name));
	buf_set(&fx->bytes, VECTOR(SNAPSHOT));
	CHECK_OK(snapshot_parse(&fx->name, &fx->bytes, &fx->snapshot, &err), &err);
	return fx;
}

static void
fixture_free(struct fixture *fx)
{
	snapshot_free(fx->snapshot);
	buf_fini(&fx->bytes);
	codec_free(fx->codec);
	secret_free(fx->admin);
	secret_free(fx->writer);
	secret_free(fx->auditor);
	secret_free(fx->other);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

/* ---- names */

static void
test_snapshot__a_key_says_what_its_name_says(void **state)
{
	struct snapshot_name name;
	const char *key = "snapshots/a0a1a2a3a4a5a6a7/2026-11-20/2026-11-21T03-59-59Z-0000000042-"
			  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

	(void)state;
	assert_true(snapshot_key_parse(key, &name));
	assert_true(writer_id_equal(&name.writer, &writer_of_vectors));
	assert_string_equal(date_format(name.date).s, "2026-11-20");
	assert_string_equal(time_format_rfc3339(name.time).s, "2026-11-21T03:59:59Z");
	assert_int_equal(name.seq, 42);
	assert_int_equal(name.id.h.b[1], 0x11);
	assert_string_equal(snapshot_key_format(&name).s, key);
}

static void
test_snapshot__a_key_in_any_other_form_is_refused(void **state)
{
#define W  "snapshots/a0a1a2a3a4a5a6a7"
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const char *const keys[] = {
		"",
		W "/2026-11-20/2026-11-21T03-59-59Z-0000000042-" ID "0",
		W "/2026-11-20/2026-11-21T03-59-59Z-0000000042-" ID "/",
		W "/2026-11-20/2026-11-21T03-59-59Z-0000000000-" ID,
		W "/2026-11-20/2026-11-21T03-59-59Z-000000004x-" ID,
		W "/2026-11-20/2026-11-21T03-59-59Z- 000000042-" ID,
		W "/2026-11-20/2026-11-21T24-59-59Z-0000000042-" ID,
		W "/2026-11-31/2026-11-21T03-59-59Z-0000000042-" ID,
		W "/2026-11-20/2026-11-21T03:59:59Z-0000000042-" ID,
		W "-2026-11-20/2026-11-21T03-59-59Z-0000000042-" ID,
		W "/2026-11-20/2026-11-21T03-59-59Z/0000000042-" ID,
		"snapshotz/a0a1a2a3a4a5a6a7/2026-11-20/2026-11-21T03-59-59Z-0000000042-" ID,
		"snapshots/A0a1a2a3a4a5a6a7/2026-11-20/2026-11-21T03-59-59Z-0000000042-" ID,
	};
	struct snapshot_name name;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (snapshot_key_parse(keys[i], &name))
			fail_msg("accepted %s", keys[i]);
#undef W
#undef ID
}

/* ---- the whole object */

static void
test_snapshot__the_vector_says_what_it_was_made_of(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	const struct snapshot_clear *c = &fx->snapshot->clear;
	struct err err = ERR_INIT;
	struct hash prev = hash_of_byte(0x31), head = hash_of_byte(0x70);

	(void)state;
	assert_memory_equal(&c->repo, &repo_of_vectors, sizeof c->repo);
	assert_true(writer_id_equal(&c->writer, &writer_of_vectors));
	assert_string_equal(date_format(c->date).s, "2026-11-20");
	assert_int_equal(c->time, TIME_OF_VECTORS);
	assert_int_equal(c->seq, 2);
	assert_true(c->has_prev && hash_equal(&c->prev.h, &prev));
	assert_int_equal(c->ledger.seq, 1);
	assert_int_equal(c->n_heads, 1);
	assert_true(writer_id_equal(&c->heads[0].writer, &writer_2_of_vectors));
	assert_int_equal(c->heads[0].seq, 7);
	assert_true(hash_equal(&c->heads[0].id, &head));
	assert_int_equal(fx->snapshot->n_parts, 2);
	assert_int_equal(fx->snapshot->parts[0].n_boxes, 1);
	assert_int_equal(fx->snapshot->parts[1].n_boxes, 2);
	CHECK_OK(snapshot_verify(fx->snapshot, &fx->writer->sign_pk, &err), &err);
	CHECK_REFUSED(snapshot_verify(fx->snapshot, &fx->other->sign_pk, &err), ERR_AUTH, &err,
		      "snapshots/a0a1a2a3a4a5a6a7/2026-11-20/2026-11-20T23-00-00Z-0000000002-");
}

static void
check_part(const struct fixture *fx, size_t n, const struct seal_pair *who, uint8_t key_byte,
	   struct slice plain)
{
	CLEANUP(buf_wipe) struct buf out = BUF_INIT;
	struct seal_key key, expected = key_of_byte(key_byte);
	struct err err = ERR_INIT;

	CHECK_OK(snapshot_part_key(fx->snapshot, n, who, &key, &err), &err);
	assert_memory_equal(&key, &expected, sizeof key);
	CHECK_OK(snapshot_part_open(fx->snapshot, n, &key, fx->codec, &out, &err), &err);
	check_bytes(buf_slice(&out), plain);
}

static void
test_snapshot__parts_open_for_whom_they_are_sealed_to(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;
	struct seal_key key;

	(void)state;
	check_part(fx, 0, fx->admin, 0x45, VECTOR(DETAILS));
	check_part(fx, 1, fx->admin, 0x46, VECTOR(CLASS));
	check_part(fx, 1, fx->auditor, 0x46, VECTOR(CLASS));
	CHECK_REFUSED(snapshot_part_key(fx->snapshot, 0, fx->auditor, &key, &err), ERR_DENIED, &err,
		      "admin part");
	CHECK_REFUSED(snapshot_part_key(fx->snapshot, 1, fx->writer, &key, &err), ERR_DENIED, &err,
		      "class part 1");
}

static void
test_snapshot__a_part_opens_with_its_own_key_and_place_only(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_wipe) struct buf out = BUF_INIT;
	struct seal_key key = key_of_byte(0x46);
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(snapshot_part_open(fx->snapshot, 0, &key, fx->codec, &out, &err), ERR_AUTH,
		      &err, "admin part");
	fx->snapshot->clear.seq++; /* as if the part had been moved to another snapshot */
	CHECK_REFUSED(snapshot_part_open(fx->snapshot, 1, &key, fx->codec, &out, &err), ERR_AUTH,
		      &err, "class part 1");
	assert_int_equal(out.len, 0);
	fx->snapshot->clear.seq--;
	fx->snapshot->parts[1].plain_len--;
	CHECK_REFUSED(snapshot_part_open(fx->snapshot, 1, &key, fx->codec, &out, &err), ERR_CORRUPT,
		      &err, "class part 1");
	assert_int_equal(out.len, 0);
}

static void
test_snapshot__a_key_that_its_hash_does_not_name_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;
	struct seal_key key;

	(void)state;
	fx->snapshot->parts[0].key_hash.b[31] ^= 1;
	CHECK_REFUSED(snapshot_part_key(fx->snapshot, 0, fx->admin, &key, &err), ERR_CORRUPT, &err,
		      "is not the key its hash names");
}

static int
parse_changed(const struct fixture *fx, const struct snapshot_name *name, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	int r;

	buf_set(&bytes, buf_slice(&fx->snapshot->bytes));
	r = snapshot_parse(name, &bytes, &s, err);
	assert_true((r == 0) == (s != NULL));
	assert_true((r == 0) == (bytes.p == NULL)); /* moved from on success only */
	return r;
}

static void
test_snapshot__a_name_that_says_something_else_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name name = fx->name;
	struct err err = ERR_INIT;

	(void)state;
	name.writer.b[0]++;
	CHECK_REFUSED(parse_changed(fx, &name, &err), ERR_CORRUPT, &err, "snapshot of writer");
	name = fx->name;
	name.date.days++;
	CHECK_REFUSED(parse_changed(fx, &name, &err), ERR_CORRUPT, &err, "under another date");
	name = fx->name;
	name.time++;
	CHECK_REFUSED(parse_changed(fx, &name, &err), ERR_CORRUPT, &err, "it was made at");
	name = fx->name;
	name.seq++;
	CHECK_REFUSED(parse_changed(fx, &name, &err), ERR_CORRUPT, &err, "number 2");
	name = fx->name;
	name.id.h.b[0]++;
	CHECK_REFUSED(parse_changed(fx, &name, &err), ERR_CORRUPT, &err, "don't have the id");
	assert_non_null(strstr(err.msg, snapshot_key_format(&name).s));
}

/* Parses bytes under whatever id they have, as a dishonest storage would have it. */
static int
parse_as_named(const struct snapshot_name *like, struct buf *bytes,
	       const struct seal_sign_pk *writer, struct err *err)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	struct snapshot_name name = *like;
	int r;

	seal_hash(bytes->p, bytes->len, &name.id.h);
	r = snapshot_parse(&name, bytes, &s, err);
	return r < 0 ? r : snapshot_verify(s, writer, err);
}

static void
test_snapshot__no_flipped_bit_and_no_cut_goes_unnoticed(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof VECTOR_SNAPSHOT; bit++) {
		buf_set(&bytes, VECTOR(SNAPSHOT));
		bytes.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (parse_as_named(&fx->name, &bytes, &fx->writer->sign_pk, &err) == 0)
			fail_msg("bit %zu", bit);
	}
	for (size_t len = 0; len < sizeof VECTOR_SNAPSHOT; len++) {
		buf_set(&bytes, slice_of(VECTOR_SNAPSHOT, len));
		if (parse_as_named(&fx->name, &bytes, &fx->writer->sign_pk, &err) == 0)
			fail_msg("cut to %zu bytes", len);
	}
}

/* ---- objects with one defect */

#define HEAD  "0: 1, 1: h'00'*16, 2: h'a0a1a2a3a4a5a6a7', "
#define WHEN  "3: \"2026-11-20\", 4: 1795215600, "
#define PREV  "5: 2, 6: h'31'*32, "
#define PART  "{0: [h'01'*80], 1: h'02'*32, 2: 5, 3: h'03'*22}"
#define PARTS "9: " PART ", 10: [" PART "]"

static void
test_snapshot__objects_with_one_defect_are_refused(void **state)
{
	static const struct {
		const char *cbor;
		int code;
		const char *says;
	} cases[] = {
		{"{" HEAD WHEN PREV "8: [], " PARTS "}", 0, ""},
		{"{" HEAD WHEN PREV "8: [], " PARTS ", 11: 'new'}", 0, ""}, /* keys to come */
		{"{0: 2, " WHEN PREV "8: [], " PARTS "}", ERR_UNSUPPORTED, "newer"},
		{"{0: 0, " WHEN PREV "8: [], " PARTS "}", ERR_CORRUPT, "never existed"},
		{"{" HEAD WHEN PREV PARTS "}", ERR_CORRUPT, "key 8 is missing"},
		{"{" HEAD WHEN "5: 2, 8: [], " PARTS "}", ERR_CORRUPT, "the snapshot before"},
		{"{" HEAD WHEN "5: 0, 8: [], " PARTS "}", ERR_CORRUPT, "number 0"},
		{"{" HEAD "3: \"2026-02-30\", 4: 1795215600, " PREV "8: [], " PARTS "}",
		 ERR_CORRUPT, "no date"},
		{"{" HEAD "3: \"2026-11-20\", 4: 253402300800, " PREV "8: [], " PARTS "}",
		 ERR_CORRUPT, "years"},
		{"{" HEAD WHEN PREV "7: [0, h'01'*32], 8: [], " PARTS "}", ERR_CORRUPT,
		 "sequence 0"},
		{"{" HEAD WHEN PREV "7: [1], 8: [], " PARTS "}", ERR_CORRUPT, "ledger head"},
		{"{" HEAD WHEN PREV "8: [[h'02'*8, 1, h'05'*32], [h'01'*8, 1, h'05'*32]], " PARTS
		 "}",
		 ERR_CORRUPT, "order"},
		{"{" HEAD WHEN PREV "8: [[h'02'*8, 1, h'05'*32], [h'02'*8, 1, h'05'*32]], " PARTS
		 "}",
		 ERR_CORRUPT, "order"},
		{"{" HEAD WHEN PREV "8: [[h'02'*8, 0, h'05'*32]], " PARTS "}", ERR_CORRUPT,
		 "sequence 0"},
		{"{" HEAD WHEN PREV "8: [], 10: [" PART "]}", ERR_CORRUPT, "admin part"},
		{"{" HEAD WHEN PREV "8: [], 9: {0: [], 1: h'02'*32, 2: 5, 3: h'03'*22}, 10: []}",
		 ERR_CORRUPT, "nobody"},
		{"{" HEAD WHEN PREV
		 "8: [], 9: {0: [h'01'*79], 1: h'02'*32, 2: 5, 3: h'03'*22}, 10: []}",
		 ERR_CORRUPT, "79 bytes"},
		{"{" HEAD WHEN PREV
		 "8: [], 9: {0: [h'01'*80], 1: h'02'*32, 2: 67108865, 3: h'03'*22}, 10: []}",
		 ERR_CORRUPT, "67108865"},
		{"{" HEAD WHEN PREV "8: [], 9: {0: [h'01'*80], 1: h'02'*32, 3: h'03'*22}, 10: []}",
		 ERR_CORRUPT, "key 2 is missing"},
		{"{" HEAD WHEN PREV "8: [], " PARTS "} 0", ERR_CORRUPT, "too many"},
	};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct hash id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct snapshot_name name = fx->name;

		object_from_text(&kind, cases[i].cbor, fx->writer, &bytes, &id);
		/* The name agrees with whatever sequence stands there. */
		if (strstr(cases[i].cbor, "5: 0, ") != NULL)
			name.seq = 1;
		if (cases[i].code == 0)
			CHECK_OK(parse_as_named(&name, &bytes, &fx->writer->sign_pk, &err), &err);
		else
			CHECK_REFUSED(parse_as_named(&name, &bytes, &fx->writer->sign_pk, &err),
				      cases[i].code, &err, cases[i].says);
		if (cases[i].code != 0)
			assert_non_null(strstr(err.msg, "snapshots/a0a1a2a3a4a5a6a7/2026-11-20/"));
	}
}

static void
test_snapshot__another_kind_of_object_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	buf_set(&bytes, VECTOR(ENTRY));
	CHECK_REFUSED(parse_as_named(&fx->name, &bytes, &fx->admin->sign_pk, &err), ERR_CORRUPT,
		      &err, "doesn't begin as a snapshot");
}

/* ---- round trip */

#define PARTS_MAX 9u
#define HEADS_MAX 8u

struct random_snapshot {
	struct snapshot_clear clear;
	struct chain_head heads[HEADS_MAX];
	struct snapshot_part_in parts[PARTS_MAX];
	struct recipient recipients[PARTS_MAX][3];
	struct buf plain[PARTS_MAX];
	size_t n_parts;
};

static void
random_clear(struct rng *rng, struct random_snapshot *s)
{
	struct snapshot_clear *c = &s->clear;

	rng_bytes(rng, &c->repo, sizeof c->repo);
	rng_bytes(rng, &c->writer, sizeof c->writer);
	c->date.days = (int32_t)rng_within(rng, 0, 40000);
	c->time = (int64_t)rng_within(rng, 0, 4102444800);
	c->seq = rng_within(rng, 1, 3) == 1 ? 1 : rng_within(rng, 2, SNAPSHOT_SEQ_MAX);
	c->has_prev = c->seq > 1;
	if (c->has_prev)
		rng_bytes(rng, &c->prev, sizeof c->prev);
	c->ledger.seq = rng_within(rng, 0, 2);
	if (c->ledger.seq > 0)
		rng_bytes(rng, &c->ledger.id, sizeof c->ledger.id);
	c->heads = s->heads;
	c->n_heads = rng_within(rng, 0, HEADS_MAX);
	for (size_t i = 0; i < c->n_heads; i++) {
		memset(s->heads[i].writer.b, (int)i, sizeof s->heads[i].writer.b);
		s->heads[i].seq = rng_within(rng, 1, SNAPSHOT_SEQ_MAX);
		rng_bytes(rng, &s->heads[i].id, sizeof s->heads[i].id);
	}
}

/* Half of a part compresses; the admin can open all, the others some. */
static void
random_part(struct rng *rng, const struct fixture *fx, struct random_snapshot *s, size_t n)
{
	const struct seal_pair *const pairs[] = {fx->admin, fx->auditor, fx->other};
	struct snapshot_part_in *part = &s->parts[n];
	size_t len = rng_within(rng, 0, 3000);

	memset(buf_extend(&s->plain[n], len), 'x', len);
	rng_bytes(rng, s->plain[n].p, len / 2);
	part->plain = buf_slice(&s->plain[n]);
	part->recipients = s->recipients[n];
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (i == 0 || rng_next(rng) % 2 == 0)
			s->recipients[n][part->n_recipients++] =
				(struct recipient){fingerprint_of(pairs[i]), pairs[i]->box_pk};
}

static void
random_snapshot(struct rng *rng, const struct fixture *fx, struct random_snapshot *ret)
{
	*ret = (struct random_snapshot){.n_parts = rng_within(rng, 1, PARTS_MAX)};
	random_clear(rng, ret);
	for (size_t i = 0; i < ret->n_parts; i++)
		random_part(rng, fx, ret, i);
}

static void
check_same(const struct random_snapshot *in, const struct snapshot *out, const struct fixture *fx)
{
	const struct snapshot_clear *a = &in->clear, *b = &out->clear;
	struct err err = ERR_INIT;

	assert_memory_equal(&a->repo, &b->repo, sizeof a->repo);
	assert_int_equal(a->has_prev, b->has_prev);
	assert_memory_equal(&a->prev, &b->prev, sizeof a->prev);
	assert_int_equal(a->ledger.seq, b->ledger.seq);
	assert_true(hash_equal(&a->ledger.id, &b->ledger.id));
	assert_int_equal(a->n_heads, b->n_heads);
	for (size_t i = 0; i < a->n_heads; i++) {
		assert_true(writer_id_equal(&a->heads[i].writer, &b->heads[i].writer));
		assert_int_equal(a->heads[i].seq, b->heads[i].seq);
		assert_true(hash_equal(&a->heads[i].id, &b->heads[i].id));
	}
	assert_int_equal(in->n_parts, out->n_parts);
	for (size_t i = 0; i < in->n_parts; i++) {
		CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
		struct seal_key key;

		CHECK_OK(snapshot_part_key(out, i, fx->admin, &key, &err), &err);
		CHECK_OK(snapshot_part_open(out, i, &key, fx->codec, &plain, &err), &err);
		check_bytes(buf_slice(&plain), buf_slice(&in->plain[i]));
	}
}

static void
test_snapshot__random_snapshots_come_back(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct rng rng = rng_start("snapshots");

	(void)state;
	for (int round = 0; round < 30; round++) {
		CLEANUP(buf_fini) struct buf object = BUF_INIT;
		CLEANUP(snapshot_freep) struct snapshot *s = NULL;
		struct random_snapshot in;
		struct snapshot_name name;
		struct err err = ERR_INIT;

		random_snapshot(&rng, fx, &in);
		snapshot_encode(&in.clear, in.parts, in.n_parts, fx->writer, fx->codec, &object,
				&name);
		CHECK_OK(snapshot_parse(&name, &object, &s, &err), &err);
		CHECK_OK(snapshot_verify(s, &fx->writer->sign_pk, &err), &err);
		check_same(&in, s, fx);
		for (size_t i = 0; i < in.n_parts; i++)
			buf_fini(&in.plain[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshot__a_key_says_what_its_name_says),
		cmocka_unit_test(test_snapshot__a_key_in_any_other_form_is_refused),
		cmocka_unit_test(test_snapshot__the_vector_says_what_it_was_made_of),
		cmocka_unit_test(test_snapshot__parts_open_for_whom_they_are_sealed_to),
		cmocka_unit_test(test_snapshot__a_part_opens_with_its_own_key_and_place_only),
		cmocka_unit_test(test_snapshot__a_key_that_its_hash_does_not_name_is_refused),
		cmocka_unit_test(test_snapshot__a_name_that_says_something_else_is_refused),
		cmocka_unit_test(test_snapshot__no_flipped_bit_and_no_cut_goes_unnoticed),
		cmocka_unit_test(test_snapshot__objects_with_one_defect_are_refused),
		cmocka_unit_test(test_snapshot__another_kind_of_object_is_refused),
		cmocka_unit_test(test_snapshot__random_snapshots_come_back),
	};

	return cmocka_run_group_tests_name("snapshot", tests, start, NULL);
}
