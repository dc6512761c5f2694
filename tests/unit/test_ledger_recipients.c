/*
 * test_ledger_recipients.c - whom keys are sealed to.
 */
#include "fixture_ledger.h"

/* ---- whom to seal to */

static void
grant_to(struct fixture *fx, uint8_t id, const struct seal_pair *who, const char *class_name,
	 const struct writer_id *writer, int64_t expiry)
{
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	struct slice class_slice = class_name != NULL ? slice_str(class_name) : slice_str("");
	struct writer_id writer_copy = writer != NULL ? *writer : (struct writer_id){{0}};
	struct grant_terms t = {.case_ref = slice_str("case"),
				.classes = &class_slice,
				.n_classes = class_name != NULL ? 1 : 0,
				.writers = &writer_copy,
				.n_writers = writer != NULL ? 1 : 0};
	struct decision d;

	grant_terms_put(&plain, &t);
	roster_seal(&fx->roster, buf_slice(&plain), &sealed);
	d = standing_grant(fx, id, who, &sealed);
	d.has_expiry = expiry != 0;
	d.expiry = expiry;
	decide(fx, d);
}

struct lists {
	struct recipient *all, *auditors;
	size_t n_all, n_auditors;
};

static void
lists_fini(struct lists *l)
{
	free(l->all);
	free(l->auditors);
	*l = (struct lists){0};
}

static void
lists_get(const struct fixture *fx, const struct writer_id *writer, const char *class_name,
	  int64_t now, struct lists *ret)
{
	struct err err = ERR_INIT;

	lists_fini(ret);
	CHECK_OK(ledger_class_recipients(&fx->state, &fx->roster, writer, class_name, now,
					 &ret->all, &ret->n_all, &ret->auditors, &ret->n_auditors,
					 &err),
		 &err);
	for (size_t i = 1; i < ret->n_all; i++)
		assert_true(memcmp(&ret->all[i - 1], &ret->all[i], 32) < 0);
}

static void
test_ledger__standing_auditors_are_those_of_class_writer_and_time(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(lists_fini) struct lists l = {0};
	const struct writer_id w1 = writer_of_vectors, w2 = writer_2_of_vectors;

	(void)state;
	lists_get(fx, &w1, "sales", 0, &l);
	assert_int_equal(l.n_all, 1);
	assert_int_equal(l.n_auditors, 0);

	grant_to(fx, 1, fx->auditor, "sales", &w1, 0);
	lists_get(fx, &w1, "sales", 0, &l);
	assert_int_equal(l.n_all, 2);
	assert_int_equal(l.n_auditors, 1);
	assert_true(hash_equal(&l.auditors[0].fingerprint.h, &fx->auditor_f.h));
	assert_memory_equal(&l.auditors[0].box_pk, &fx->auditor->box_pk, 32);
	lists_get(fx, &w2, "sales", 0, &l);
	assert_int_equal(l.n_auditors, 0);
	lists_get(fx, &w1, "reports", 0, &l);
	assert_int_equal(l.n_auditors, 0);

	grant_to(fx, 2, fx->other, NULL, NULL, 100); /* everything, for a while */
	lists_get(fx, &w2, "reports", 99, &l);
	assert_int_equal(l.n_auditors, 1);
	lists_get(fx, &w2, "reports", 100, &l);
	assert_int_equal(l.n_auditors, 0);
	decide(fx, by_id(fx, DECISION_END_GRANT, 1));
	lists_get(fx, &w1, "sales", 0, &l);
	assert_int_equal(l.n_auditors, 1);
}

static void
test_ledger__who_is_admin_and_auditor_stands_once_among_recipients(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(lists_fini) struct lists l = {0};
	struct recipient *admins;
	size_t n;

	(void)state;
	grant_to(fx, 1, fx->admin, NULL, NULL, 0);
	grant_to(fx, 2, fx->auditor, "sales", NULL, 0);
	grant_to(fx, 3, fx->auditor, NULL, NULL, 0); /* and with two grants, too */
	lists_get(fx, &writer_of_vectors, "sales", 0, &l);
	assert_int_equal(l.n_all, 2);
	assert_int_equal(l.n_auditors, 2);
	ledger_admin_recipients(&fx->state, &admins, &n);
	assert_int_equal(n, 1);
	assert_true(hash_equal(&admins[0].fingerprint.h, &fx->admin_f.h));
	free(admins);
}

static void
test_ledger__terms_that_do_not_open_stop_the_sealing(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(lists_fini) struct lists l = {0};
	struct err err = ERR_INIT;

	(void)state;
	decide(fx, standing_grant(fx, 1, fx->auditor, NULL));
	CHECK_REFUSED(ledger_class_recipients(&fx->state, &fx->roster, &writer_of_vectors, "sales",
					      0, &l.all, &l.n_all, NULL, NULL, &err),
		      ERR_AUTH, &err, "standing grant 01010101");
	assert_null(l.all);
}

static void
test_ledger__more_recipients_than_a_section_has_room_for_are_refused(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(lists_fini) struct lists l = {0};
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < PACK_KEYS_MAX; i++) {
		CLEANUP(secret_freep) struct seal_pair *who = pair_of((uint8_t)i);
		struct ledger_grant *g;

		who->box_pk.b[31] = 0; /* 256 different people; nothing is sealed to them */
		grant_to(fx, (uint8_t)i, who, NULL, NULL, 0);
		g = &fx->state.grants[i];
		memset(g->fingerprint.h.b, (int)i, sizeof g->fingerprint.h.b);
	}
	CHECK_REFUSED(ledger_class_recipients(&fx->state, &fx->roster, &writer_of_vectors, "sales",
					      0, &l.all, &l.n_all, NULL, NULL, &err),
		      ERR_INVALID, &err, "257 people");
}

static void
test_ledger__admins_are_bounded(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned i = 1; i < LEDGER_ADMINS_MAX; i++) {
		CLEANUP(secret_freep) struct seal_pair *who = pair_of((uint8_t)(100 + i));

		decide(fx, add_admin(fx, who));
	}
	{
		struct decision d = add_admin(fx, fx->other);

		CHECK_REFUSED(decide_as(fx, fx->admin, &d, 1, &err), ERR_CORRUPT, &err,
			      "one admin more");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ledger__standing_auditors_are_those_of_class_writer_and_time),
		cmocka_unit_test(
			test_ledger__who_is_admin_and_auditor_stands_once_among_recipients),
		cmocka_unit_test(test_ledger__terms_that_do_not_open_stop_the_sealing),
		cmocka_unit_test(
			test_ledger__more_recipients_than_a_section_has_room_for_are_refused),
		cmocka_unit_test(test_ledger__admins_are_bounded),
	};

	return cmocka_run_group_tests_name("ledger recipients", tests, start, NULL);
}
