/*
 * test_roles_grant.c - what a one-off grant hands over when a till that was taken over lies about
 * the classes of its sections.
 */
#include "fixture_handmade.h"

#include "tillfs/roles.h"

static struct fixture *
fixture_with_auditor(void)
{
	struct fixture *fx = fixture_new();

	identity_free(new_identity(fx, "auditor.key"));
	return fx;
}

/* An old pack of the till: general lies in places[0], sales in places[1]. */
static void
store_pack(struct fixture *fx, struct pack_place places[2])
{
	static const char *const classes[] = {"general", "sales"};
	CLEANUP(pack_builder_freep)
	struct pack_builder *b = pack_builder_new(&fx->repo, &fx->till->card.writer);
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	CLEANUP(freep) struct pack_place *made = NULL;
	struct recipient admins[2];
	size_t n_admins = recipients(fx, NULL, admins), n;
	struct pack_id id;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		CLEANUP(buf_fini) struct buf packed = BUF_INIT;
		uint32_t len, ordinal = pack_builder_section(b, classes[i], admins, n_admins);

		codec_pack(fx->codec, slice_str(classes[i]), &packed);
		(void)pack_builder_add(b, ordinal, PACK_DATA, buf_slice(&packed), &len);
	}
	pack_builder_finish(b, &object, &made, &n, &id);
	assert_int_equal(n, 2);
	memcpy(places, made, 2 * sizeof *places);
	CHECK_OK(store_create(fx->store, pack_object_key(&fx->till->card.writer, &id).s,
			      buf_slice(&object), &err),
		 &err);
}

/* Grants a class, or with NULL all, of the days from @from to @until after DAY_1. */
static int
grant(struct fixture *fx, const char *class_name, int32_t from, int32_t until,
      struct roles_handed *ret, struct err *err)
{
	CLEANUP(freep) char *pub = str_format("%s/auditor.key.pub", fx->folder);
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct roles_options o = {.told = NULL};
	struct public_keys keys;
	struct roles_wish w = {.to = &keys,
			       .classes = &class_name,
			       .n_classes = class_name != NULL,
			       .has_from = true,
			       .has_until = true,
			       .from = {DAY_1 + from},
			       .until = {DAY_1 + until},
			       .case_ref = "AZ 7"};

	CHECK_OK(public_keys_read(pub, &keys, err), err);
	return roles_grant(r, &w, &o, ret, err);
}

/* A pack with a section of each class, and a snapshot that says so.  @ret_at: general, sales */
static struct snapshot_name
add_first_day(struct fixture *fx, struct pack_place ret_at[2])
{
	store_pack(fx, ret_at);
	return add_snapshot(fx, (struct recipe){.writer = fx->till,
						.seq = 1,
						.general_pack = &ret_at[0],
						.sales_pack = &ret_at[1]});
}

static void
test_roles__snapshots_that_share_a_section_are_granted(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_with_auditor();
	struct pack_place at[2];
	struct roles_handed handed;
	struct snapshot_name one;
	struct err err = ERR_INIT;

	(void)arg;
	one = add_first_day(fx, at);
	(void)add_snapshot(fx, (struct recipe){.writer = fx->till,
					       .seq = 2,
					       .day = 1,
					       .later = 86400,
					       .prev = one.id,
					       .general_pack = &at[0],
					       .sales_pack = &at[1]});
	CHECK_OK(grant(fx, "sales", 0, 1, &handed, &err), &err);
	assert_int_equal(handed.snapshots, 2);
	assert_int_equal(handed.sections, 1);
	CHECK_OK(grant(fx, "sales", 1, 1, &handed, &err), &err);
	assert_int_equal(handed.snapshots, 1);
	assert_int_equal(handed.sections, 1);
	assert_int_equal(handed.skipped, 0);
}

/* The snapshot of the second day says that the general section is sales. */
static void
test_roles__a_section_of_another_class_is_not_handed_over(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_with_auditor();
	struct pack_place at[2];
	struct roles_handed handed;
	struct snapshot_name one, forged;
	struct err err = ERR_INIT;

	(void)arg;
	one = add_first_day(fx, at);
	forged = add_snapshot(fx, (struct recipe){.writer = fx->till,
						  .seq = 2,
						  .day = 1,
						  .later = 86400,
						  .prev = one.id,
						  .sales_pack = &at[0]});
	for (int32_t from = 0; from <= 1; from++) {
		int r = grant(fx, "sales", from, 1, &handed, &err);

		assert_non_null(strstr(err.msg, hex(&at[0].id.h).s));
		assert_non_null(strstr(err.msg, "data class \"sales\""));
		assert_non_null(strstr(err.msg, "of \"general\""));
		assert_non_null(strstr(err.msg, "2026-11-20/till-03"));
		CHECK_FAILS(r, ERR_CORRUPT, &err, "2026-11-21/till-03");
	}
	assert_int_equal(find_key(fx, "grants/").n, 0);

	/* What the lie doesn't touch, and all classes together, can be granted. */
	CHECK_OK(grant(fx, "sales", 0, 0, &handed, &err), &err);
	assert_int_equal(handed.sections, 1);
	CHECK_OK(grant(fx, NULL, 1, 1, &handed, &err), &err);
	assert_int_equal(handed.sections, 1);

	/* One that can't be read is told. */
	flip_byte(fx, snapshot_key_format(&forged).s, 100);
	CHECK_OK(grant(fx, "sales", 0, 0, &handed, &err), &err);
	assert_int_equal(handed.skipped, 1);
}

static void
test_roles__one_snapshot_with_a_section_in_two_classes_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_with_auditor();
	struct pack_place at[2];
	struct roles_handed handed;
	struct err err = ERR_INIT;

	(void)arg;
	store_pack(fx, at);
	(void)add_snapshot(fx, (struct recipe){.writer = fx->till,
					       .seq = 1,
					       .general_pack = &at[0],
					       .sales_pack = &at[0]});
	CHECK_FAILS(grant(fx, "sales", 0, 0, &handed, &err), ERR_CORRUPT, &err,
		    "nothing was granted");
}

static void
test_roles__a_till_revoked_before_its_lie_can_be_granted(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_with_auditor();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct pack_place at[2];
	struct roles_handed handed;
	struct snapshot_name one;
	uint64_t last;
	struct err err = ERR_INIT;

	(void)arg;
	one = add_first_day(fx, at);
	(void)add_snapshot(fx, (struct recipe){.writer = fx->till,
					       .seq = 2,
					       .day = 1,
					       .later = 86400,
					       .prev = one.id,
					       .general_pack = &at[1]});
	CHECK_FAILS(grant(fx, "sales", 0, 1, &handed, &err), ERR_CORRUPT, &err,
		    "nothing was granted");
	r = open_admin(fx);
	CHECK_OK(roles_revoke_writer(r, "till-03", "2026-11-20", &last, &err), &err);
	assert_int_equal(last, 1);
	CHECK_OK(grant(fx, "sales", 0, 1, &handed, &err), &err);
	assert_int_equal(handed.snapshots, 1);
	assert_int_equal(handed.sections, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles__snapshots_that_share_a_section_are_granted),
		cmocka_unit_test(test_roles__a_section_of_another_class_is_not_handed_over),
		cmocka_unit_test(test_roles__one_snapshot_with_a_section_in_two_classes_is_refused),
		cmocka_unit_test(test_roles__a_till_revoked_before_its_lie_can_be_granted),
	};

	return cmocka_run_group_tests_name("granting", tests, NULL, NULL);
}
