/*
 * test_ledger_state.c - what entries add up to, and which are refused.
 */
#include "fixture_ledger.h"

/* ---- what is refused, and changes nothing */

/* Applies a good decision, then @bad, in one entry; checks that neither counts. */
static void
check_refused(struct fixture *fx, struct decision bad, int code, const char *says)
{
	CLEANUP(buf_fini) struct buf before = BUF_INIT;
	CLEANUP(buf_fini) struct buf after = BUF_INIT;
	struct writer_id fresh = {"unknown"};
	struct decision decisions[] = {enrol(fx, fresh, fx->other),
				       rotate(fresh, fx->writer, 5),
				       rotate(writer_of_vectors, fx->other, 500),
				       by_id(fx, DECISION_HOLD, 0xee),
				       standing_grant(fx, 0xee, fx->other, NULL),
				       bad};
	struct err err = ERR_INIT;
	struct hash head = fx->state.head.id;

	ledger_state_encode(&fx->state, &before);
	CHECK_REFUSED(decide_as(fx, fx->admin, decisions, ARRAY_LEN(decisions), &err), code, &err,
		      says);
	assert_non_null(strstr(err.msg, "decision 6"));
	ledger_state_encode(&fx->state, &after);
	check_bytes(buf_slice(&after), buf_slice(&before));
	assert_true(hash_equal(&fx->state.head.id, &head));
}

static void
test_ledger__decisions_that_make_no_sense_are_refused_and_change_nothing(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	const struct writer_id w = writer_of_vectors, nobody = {{0}}, gone = writer_2_of_vectors,
			       never = {"nobody!"};
	struct hash h = hash_of_byte(1);

	(void)state;
	decide(fx, enrol(fx, w, fx->writer));
	decide(fx, rotate(w, fx->other, 10));
	decide(fx, enrol(fx, gone, fx->writer));
	decide(fx, revoke(gone, 3));
	decide(fx, by_id(fx, DECISION_HOLD, 1));
	decide(fx, standing_grant(fx, 1, fx->auditor, NULL));

	check_refused(fx, enrol(fx, w, fx->other), ERR_CORRUPT, "id is taken");
	check_refused(fx, enrol(fx, nobody, fx->other), ERR_CORRUPT, "without an id");
	check_refused(fx, add_admin(fx, fx->admin), ERR_CORRUPT, "one already");
	check_refused(fx, remove_admin(fx->other_f), ERR_CORRUPT, "no admin");
	check_refused(fx, remove_admin(fx->admin_f), ERR_CORRUPT, "last admin");
	check_refused(fx, revoke(never, 1), ERR_CORRUPT, "never enrolled");
	check_refused(fx, rotate(never, fx->other, 5), ERR_CORRUPT, "never enrolled");
	check_refused(fx, rotate(w, fx->writer, 10), ERR_CORRUPT, "before its latest");
	check_refused(fx, rotate(gone, fx->other, 50), ERR_CORRUPT, "revoked");
	check_refused(fx, standing_grant(fx, 1, fx->other, NULL), ERR_CORRUPT, "id is taken");
	check_refused(fx, by_id(fx, DECISION_END_GRANT, 2), ERR_CORRUPT, "that there isn't");
	check_refused(fx, by_id(fx, DECISION_HOLD, 1), ERR_CORRUPT, "id is taken");
	check_refused(fx, by_id(fx, DECISION_LIFT_HOLD, 2), ERR_CORRUPT, "that there isn't");
	check_refused(fx, about(DECISION_RETIRE, never, &h, 1), ERR_CORRUPT, "never enrolled");
	check_refused(fx, about(DECISION_FORGET, never, &h, 1), ERR_CORRUPT, "never enrolled");
	check_refused(fx, (struct decision){.type = DECISION_SUMMARY, .has_id = true, .id = h},
		      ERR_CORRUPT, "summary");
}

static void
test_ledger__an_entry_that_does_not_fit_the_chain_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct decision d = by_id(fx, DECISION_HOLD, 1);
	struct ledger_state wrong;
	struct err err = ERR_INIT;

	(void)state;
	for (int defect = 0; defect < 3; defect++) {
		static const char *const says[] = {"doesn't follow entry 0", "as the entry before",
						   "another repository"};
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;

		wrong = fx->state;
		if (defect == 0)
			wrong.head.seq++;
		else if (defect == 1)
			wrong.head.id.b[0]++;
		else
			wrong.repo.b[0]++;
		e = entry_after(&wrong, fx->admin, 0, &d, 1);
		CHECK_REFUSED(ledger_apply(&fx->state, e, &err), ERR_CORRUPT, &err, says[defect]);
		assert_non_null(strstr(err.msg, "ledger entry"));
	}
	assert_int_equal(fx->state.n_holds, 0);
}

static void
test_ledger__who_is_no_admin_decides_nothing(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct decision d = by_id(fx, DECISION_HOLD, 1);
	struct decision new_admin = add_admin(fx, fx->other);
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(decide_as(fx, fx->other, &d, 1, &err), ERR_AUTH, &err, "is no admin");
	decide(fx, new_admin);
	CHECK_OK(decide_as(fx, fx->other, &d, 1, &err), &err);
	decide(fx, remove_admin(fx->other_f));
	d = by_id(fx, DECISION_HOLD, 2);
	CHECK_REFUSED(decide_as(fx, fx->other, &d, 1, &err), ERR_AUTH, &err, "is no admin");
	decide(fx, new_admin); /* whoever was removed may come back */
	CHECK_OK(decide_as(fx, fx->other, &d, 1, &err), &err);
}

static void
test_ledger__a_signature_by_somebody_else_is_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	struct ledger_entry in = {.repo = fx->state.repo,
				  .seq = 1,
				  .prev = fx->state.head.id,
				  .author = fx->admin_f};
	struct err err = ERR_INIT;
	struct hash id;

	(void)state;
	ledger_entry_encode(&in, fx->other, &object, &id);
	CHECK_OK(ledger_entry_parse(&object, &e, &err), &err);
	CHECK_REFUSED(ledger_apply(&fx->state, e, &err), ERR_AUTH, &err, "signature");
}

/* ---- the state's answers */

static void
test_ledger__keys_of_a_writer_follow_rotation_and_revocation(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	const struct writer_id id = writer_of_vectors;
	const struct ledger_writer *w;
	struct hash last = hash_of_byte(0x70);

	(void)state;
	decide(fx, enrol(fx, id, fx->writer));
	decide(fx, rotate(id, fx->other, 10));
	w = ledger_find_writer(&fx->state, &id);
	assert_null(ledger_writer_key_at(w, 0));
	assert_memory_equal(ledger_writer_key_at(w, 1), &fx->writer->sign_pk, 32);
	assert_memory_equal(ledger_writer_key_at(w, 9), &fx->writer->sign_pk, 32);
	assert_memory_equal(ledger_writer_key_at(w, 10), &fx->other->sign_pk, 32);

	decide(fx, revoke(id, 11));
	w = ledger_find_writer(&fx->state, &id);
	assert_non_null(ledger_writer_key_at(w, 11));
	assert_null(ledger_writer_key_at(w, 12));
	assert_true(hash_equal(&w->last_id.h, &last));
	decide(fx, revoke(id, 0)); /* nothing of it is to be believed after all */
	w = ledger_find_writer(&fx->state, &id);
	assert_null(ledger_writer_key_at(w, 1));
	assert_null(ledger_find_writer(&fx->state, &writer_2_of_vectors));
	assert_null(ledger_writer_key_at(NULL, 1));
}

static void
test_ledger__packs_are_retired_revived_deleted_and_damaged(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	const struct writer_id id = writer_of_vectors;
	struct pack_id p[] = {{hash_of_byte(3)},
			      {hash_of_byte(1)},
			      {hash_of_byte(2)},
			      {hash_of_byte(4)}};
	const struct ledger_writer *w;

	(void)state;
	decide(fx, enrol(fx, id, fx->writer));
	decide(fx, about(DECISION_RETIRE, id, p, 3));
	decide(fx, about(DECISION_RETIRE, id, p, 1)); /* again: nothing new */
	decide(fx, about(DECISION_DAMAGED, id, p + 1, 1));
	decide(fx, about(DECISION_DAMAGED, id, p + 3, 1));
	w = ledger_find_writer(&fx->state, &id);
	assert_int_equal(w->n_retired, 3);
	assert_int_equal(w->n_damaged, 2);
	for (size_t i = 0; i < 4; i++)
		assert_false(ledger_pack_usable(w, &p[i]));

	decide(fx, about(DECISION_REVIVE, id, p, 2));
	w = ledger_find_writer(&fx->state, &id);
	assert_true(ledger_pack_usable(w, &p[0]));
	assert_false(ledger_pack_usable(w, &p[1])); /* still damaged */

	decide(fx, about(DECISION_DELETED, id, p, 2));
	w = ledger_find_writer(&fx->state, &id);
	assert_int_equal(w->n_deleted, 2);
	assert_int_equal(w->n_retired, 3);
	assert_int_equal(w->n_damaged, 1);
	assert_int_equal(w->retired_at[0], 1000);
	assert_false(ledger_pack_usable(w, &p[0]));
	decide(fx, about(DECISION_REVIVE, id, p, 1)); /* stored again, from a copy */
	w = ledger_find_writer(&fx->state, &id);
	assert_int_equal(w->n_deleted, 1);
	assert_true(ledger_pack_usable(w, &p[0]));
}

static void
test_ledger__a_time_of_retirement_is_the_first(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	const struct writer_id id = writer_of_vectors;
	struct hash both[] = {hash_of_byte(2), hash_of_byte(1)};
	const struct ledger_writer *w;
	struct err err = ERR_INIT;

	(void)state;
	decide(fx, enrol(fx, id, fx->writer));
	for (size_t i = 1; i <= 2; i++) {
		struct decision d = about(DECISION_RETIRE, id, both, i);
		CLEANUP(ledger_entry_freep)
		struct ledger_entry *e =
			entry_after(&fx->state, fx->admin, 500 * (int64_t)i, &d, 1);

		CHECK_OK(ledger_apply(&fx->state, e, &err), &err);
	}
	w = ledger_find_writer(&fx->state, &id);
	assert_int_equal(w->n_retired, 2);
	assert_int_equal(w->retired_at[0], 1000);
	assert_int_equal(w->retired_at[1], 500);
}

static void
test_ledger__merged_heads_and_forgotten_snapshots_are_recorded(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	const struct writer_id id = writer_of_vectors;
	struct hash heads[] = {hash_of_byte(9), hash_of_byte(8), hash_of_byte(9)};
	const struct ledger_writer *w;

	(void)state;
	decide(fx, enrol(fx, id, fx->writer));
	decide(fx, (struct decision){.type = DECISION_MERGE, .hashes = slice_of(heads, 96)});
	decide(fx, about(DECISION_FORGET, id, heads, 2));
	assert_int_equal(fx->state.n_merged, 2);
	assert_true(hash_equal(&fx->state.merged[0], &heads[1]));
	assert_true(hash_equal(&fx->state.merged[1], &heads[0]));
	w = ledger_find_writer(&fx->state, &id);
	assert_int_equal(w->n_forgotten, 2);
	assert_true(hash_equal(&w->forgotten[0], &heads[1]));
}

/* ---- random chains */

static struct decision
random_decision(struct rng *rng, struct fixture *fx, struct hash hashes[static 3])
{
	static const enum decision_type sets[] = {DECISION_FORGET, DECISION_RETIRE, DECISION_REVIVE,
						  DECISION_DELETED, DECISION_DAMAGED};
	struct seal_pair *const pairs[] = {fx->admin, fx->writer, fx->auditor, fx->other};
	const struct seal_pair *who = pairs[rng_within(rng, 0, 3)];
	uint8_t n = (uint8_t)rng_within(rng, 0, 5);
	struct writer_id id;

	memset(id.b, n, sizeof id.b);
	for (size_t i = 0; i < 3; i++)
		hashes[i] = hash_of_byte((uint8_t)rng_within(rng, 0, 20));
	switch (rng_within(rng, 0, 9)) {
	case 0:
		return enrol(fx, id, who);
	case 1:
		return rotate(id, who, rng_within(rng, 0, 50));
	case 2:
		return revoke(id, rng_within(rng, 0, 50));
	case 3:
		return add_admin(fx, who);
	case 4: /* not the author of all entries */
		return remove_admin(who == fx->admin ? fx->other_f : fingerprint_of(who));
	case 5:
		return standing_grant(fx, n, who, NULL);
	case 6:
		return by_id(fx, DECISION_END_GRANT, n);
	case 7:
		return by_id(fx, rng_next(rng) % 2 == 0 ? DECISION_HOLD : DECISION_LIFT_HOLD, n);
	case 8:
		return (struct decision){.type = DECISION_MERGE, .hashes = slice_of(hashes, 96)};
	default:
		return about(sets[rng_within(rng, 0, 4)], id, hashes, rng_within(rng, 1, 3));
	}
}

/* The entry's bytes are what is stored; another reader applies them to a state of its own. */
static int
replay(struct ledger_state *s, const struct ledger_entry *e, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(ledger_entry_freep) struct ledger_entry *copy = NULL;

	buf_set(&bytes, buf_slice(&e->bytes));
	CHECK_OK(ledger_entry_parse(&bytes, &copy, err), err);
	return ledger_apply(s, copy, err);
}

static struct decision
summary_of(const struct ledger_state *s)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct decision d = {.type = DECISION_SUMMARY, .has_id = true};

	ledger_state_encode(s, &bytes);
	seal_hash(bytes.p, bytes.len, &d.id);
	return d;
}

static void
test_ledger__a_chain_of_random_decisions_means_the_same_to_every_reader(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(fixture_freep) struct fixture *reader = fixture_new();
	struct rng rng = rng_start("ledger");
	unsigned applied = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		CLEANUP(buf_fini) struct buf before = BUF_INIT;
		CLEANUP(buf_fini) struct buf after = BUF_INIT;
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
		struct decision d[4];
		struct hash hashes[4][3];
		struct err err = ERR_INIT;
		size_t n = rng_within(&rng, 0, 3) == 0 ? 4 : 1;
		int r;

		for (size_t i = 0; i < n; i++)
			d[i] = random_decision(&rng, fx, hashes[i]);
		if (round % 50 == 49)
			d[n - 1] = summary_of(&fx->state);
		ledger_state_encode(&fx->state, &before);
		e = entry_after(&fx->state, fx->admin, round, d, n);
		r = ledger_apply(&fx->state, e, &err);
		assert_int_equal(replay(&reader->state, e, &err), r);
		ledger_state_encode(r == 0 ? &reader->state : &fx->state, &after);
		if (r == 0) {
			applied++;
			buf_reset(&before);
			ledger_state_encode(&fx->state, &before);
		}
		check_bytes(buf_slice(&after), buf_slice(&before));
	}
	assert_int_equal(fx->state.head.seq, applied);
	assert_true(applied > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_ledger__decisions_that_make_no_sense_are_refused_and_change_nothing),
		cmocka_unit_test(test_ledger__an_entry_that_does_not_fit_the_chain_is_refused),
		cmocka_unit_test(test_ledger__who_is_no_admin_decides_nothing),
		cmocka_unit_test(test_ledger__a_signature_by_somebody_else_is_refused),
		cmocka_unit_test(test_ledger__keys_of_a_writer_follow_rotation_and_revocation),
		cmocka_unit_test(test_ledger__packs_are_retired_revived_deleted_and_damaged),
		cmocka_unit_test(test_ledger__a_time_of_retirement_is_the_first),
		cmocka_unit_test(test_ledger__merged_heads_and_forgotten_snapshots_are_recorded),
		cmocka_unit_test(
			test_ledger__a_chain_of_random_decisions_means_the_same_to_every_reader),
	};

	return cmocka_run_group_tests_name("ledger state", tests, start, NULL);
}
