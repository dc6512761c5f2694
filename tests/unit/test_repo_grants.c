/*
 * test_repo_grants.c - what grants, standing grants and reseals open, and what they do not.
 */
#include "fixture_handmade.h"

#include <pthread.h>

static struct grant
new_grant(struct fixture *fx, const struct identity *to, bool reseal)
{
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);

	return (struct grant){.reseal = reseal,
			      .repo = fx->repo,
			      .author = fx->admin->fingerprint,
			      .grantee = to->fingerprint,
			      .time = TIME_1,
			      .case_ref = "AZ 7",
			      .roster = *repo_roster(r)};
}

static void
store_grant_by(struct fixture *fx, const struct identity *author, const struct identity *to,
	       const struct grant *g)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	CLEANUP(freep) char *key = NULL;
	struct hash id;
	struct err err = ERR_INIT;

	grant_encode(g, &to->pair->box_pk, author->pair, fx->codec, &object);
	seal_hash(object.p, object.len, &id);
	key = str_format("%s/%s/%s", g->reseal ? "reseal" : "grants", hex(&to->fingerprint.h).s,
			 hex(&id).s);
	CHECK_OK(store_create(fx->store, key, buf_slice(&object), &err), &err);
}

static void
store_grant(struct fixture *fx, const struct identity *to, const struct grant *g)
{
	store_grant_by(fx, fx->admin, to, g);
}

/* The key of a part, as the admin who grants it has it. */
static struct granted_part
part_of(struct fixture *fx, const struct snapshot_name *name, uint32_t ordinal)
{
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	struct granted_part ret = {name->id, ordinal, {{0}}};
	struct err err = ERR_INIT;

	CHECK_OK(repo_snapshot_fetch(r, name, &s, &err), &err);
	CHECK_OK(snapshot_part_key(s, ordinal, fx->admin->pair, &ret.key, &err), &err);
	return ret;
}

/* A pack with one section sealed to the admins. */
static struct pack_header *
make_pack(struct fixture *fx, struct pack_id *ret_id)
{
	CLEANUP(pack_builder_freep)
	struct pack_builder *b = pack_builder_new(&fx->repo, &fx->till->card.writer);
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	CLEANUP(freep) struct pack_place *places = NULL;
	struct recipient admins[2];
	size_t n = recipients(fx, NULL, admins), n_places;
	struct pack_header *ret;
	struct err err = ERR_INIT;
	uint32_t ordinal, len;

	codec_pack(fx->codec, slice_str("receipt 1"), &packed);
	ordinal = pack_builder_section(b, "sales", admins, n);
	(void)pack_builder_add(b, ordinal, PACK_DATA, buf_slice(&packed), &len);
	pack_builder_finish(b, &object, &places, &n_places, ret_id);
	CHECK_OK(pack_header_parse(slice_of(object.p, places[0].header_len), ret_id, &ret, &err),
		 &err);
	return ret;
}

static void
test_repo__one_off_grant_opens_its_part_and_no_other(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *auditor = new_identity(fx, "auditor.key");
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct snapshot_name two = add_snapshot(fx, (struct recipe){fx->till, 2, .prev = one.id});
	struct pack_id pack;
	CLEANUP(pack_header_freep) struct pack_header *h = make_pack(fx, &pack);
	struct granted_part part = part_of(fx, &one, 2);
	struct granted_section section = {pack, 0, {{0}}};
	struct grant g = new_grant(fx, auditor, false);
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	struct repo_opened *none;
	struct seal_key key;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(pack_section_key(h, 0, fx->admin->pair, &section.key, &err), &err);
	g.parts = &part;
	g.n_parts = 1;
	g.sections = &section;
	g.n_sections = 1;
	store_grant(fx, auditor, &g);
	trust_founder(fx, auditor);

	r = open_as(fx, auditor);
	assert_string_equal(repo_writer_name(r, &fx->till->card.writer), "till-03");
	CHECK_OK(repo_snapshot_open(r, &one, &o, &err), &err);
	assert_int_equal(o->n_classes, 1);
	assert_string_equal(o->classes[0]->name, "sales");
	assert_int_equal(o->n_closed, 1);
	assert_null(o->details);
	CHECK_FAILS(repo_snapshot_open(r, &two, &none, &err), ERR_DENIED, &err,
		    "no grant in force covers one");
	CHECK_OK(repo_section_key(r, h, &pack, 0, &key, &err), &err);
	assert_memory_equal(&key, &section.key, sizeof key);
	CHECK_FAILS(repo_section_key(r, h, &pack, 1, &key, &err), ERR_CORRUPT, &err, "pack ");
	pack.h.b[0] ^= 1;
	CHECK_FAILS(repo_section_key(r, h, &pack, 0, &key, &err), ERR_DENIED, &err,
		    "no grant in force");
	assert_int_equal(count_findings(r), 0);
}

static void
test_repo__granted_key_of_something_else_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *auditor = new_identity(fx, "auditor.key");
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct pack_id pack;
	CLEANUP(pack_header_freep) struct pack_header *h = make_pack(fx, &pack);
	struct granted_part part = part_of(fx, &one, 1);
	struct granted_section section = {pack, 0, {{42}}};
	struct grant g = new_grant(fx, auditor, false);
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct repo_opened *o;
	struct seal_key key;
	struct err err = ERR_INIT;

	(void)arg;
	part.ordinal = 2;
	g.parts = &part;
	g.n_parts = 1;
	g.sections = &section;
	g.n_sections = 1;
	store_grant(fx, auditor, &g);
	trust_founder(fx, auditor);
	r = open_as(fx, auditor);
	CHECK_FAILS(repo_snapshot_open(r, &one, &o, &err), ERR_CORRUPT, &err, "not that of part 2");
	CHECK_FAILS(repo_section_key(r, h, &pack, 0, &key, &err), ERR_CORRUPT, &err,
		    "not that of section 0");
}

static void
test_repo__expired_and_damaged_grants_open_nothing(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *auditor = new_identity(fx, "auditor.key");
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct granted_part part = part_of(fx, &one, 2);
	struct grant g = new_grant(fx, auditor, false);
	struct repo *r;
	struct err err = ERR_INIT;

	(void)arg;
	g.parts = &part;
	g.n_parts = 1;
	g.has_expiry = true;
	g.expiry = time_now() - 1;
	store_grant(fx, auditor, &g);
	trust_founder(fx, auditor);
	CHECK_FAILS(repo_open(fx->store, auditor, NULL, &r, &err), ERR_DENIED, &err, "expired at");

	g.has_expiry = false;
	store_grant(fx, auditor, &g);
	CHECK_OK(repo_open(fx->store, auditor, NULL, &r, &err), &err);
	check_finding(r, "can't be used: it expired at");
	repo_close(r);
}

static void
test_repo__standing_grant_opens_what_was_sealed_under_it(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *auditor = new_identity(fx, "auditor.key");
	CLEANUP(repo_closep) struct repo *admin = open_admin(fx);
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	CLEANUP(repo_list_putp) struct repo_list *list = NULL;
	CLEANUP(buf_fini) struct buf terms = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	struct grant_terms t = {.case_ref = slice_str("AZ 7")};
	struct decision d = {.type = DECISION_STANDING_GRANT,
			     .grant_id = {1},
			     .box_pk = auditor->pair->box_pk,
			     .sign_pk = auditor->pair->sign_pk};
	struct decision end = {.type = DECISION_END_GRANT, .grant_id = {1}};
	struct recipient as = {auditor->fingerprint, auditor->pair->box_pk};
	struct repo_opened *none;
	struct snapshot_name name;
	struct err err = ERR_INIT;

	(void)arg;
	grant_terms_put(&terms, &t);
	roster_seal(repo_roster(admin), buf_slice(&terms), &sealed);
	seal_box(&auditor->pair->box_pk, slice_of(repo_roster(admin), sizeof(struct seal_key)),
		 &box);
	d.sealed = buf_slice(&sealed);
	d.roster_box = buf_slice(&box);
	CHECK_OK(repo_decide(admin, &d, 1, &err), &err);
	name = add_snapshot(fx, (struct recipe){fx->till, 1, .auditor = &as});
	trust_founder(fx, auditor);
	r = open_as(fx, auditor);
	CHECK_OK(repo_snapshot_open(r, &name, &o, &err), &err);
	assert_int_equal(o->n_classes, 1);
	assert_string_equal(o->classes[0]->name, "sales");

	/* Ended: this client shows and opens nothing any more. */
	CHECK_OK(repo_decide(admin, &end, 1, &err), &err);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	list = repo_list_get(r);
	assert_int_equal(list->n, 0);
	check_finding(r, "Access has ended");
	CHECK_FAILS(repo_snapshot_open(r, &name, &none, &err), ERR_DENIED, &err, "till-03");
}

/* The auditor's grant, of all writers and classes, in the ledger. */
static void
grant_standing(struct repo *admin, const struct identity *auditor)
{
	CLEANUP(buf_fini) struct buf terms = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	struct grant_terms t = {.case_ref = slice_str("AZ 8")};
	struct decision d = {.type = DECISION_STANDING_GRANT,
			     .grant_id = {2},
			     .box_pk = auditor->pair->box_pk,
			     .sign_pk = auditor->pair->sign_pk};
	struct err err = ERR_INIT;

	grant_terms_put(&terms, &t);
	roster_seal(repo_roster(admin), buf_slice(&terms), &sealed);
	seal_box(&auditor->pair->box_pk, slice_of(repo_roster(admin), sizeof(struct seal_key)),
		 &box);
	d.sealed = buf_slice(&sealed);
	d.roster_box = buf_slice(&box);
	CHECK_OK(repo_decide(admin, &d, 1, &err), &err);
}

/* One older snapshot, and two sealed to the auditor by a till whose clock lags by years. */
static void
three_snapshots(struct fixture *fx, const struct writer_file *w, const struct recipient *auditor)
{
	struct snapshot_name name = add_snapshot(fx, (struct recipe){w, 1});

	name = add_snapshot(fx, (struct recipe){w, 2, .prev = name.id, .auditor = auditor});
	add_snapshot(fx, (struct recipe){w, 3, .prev = name.id, .auditor = auditor});
}

/* So many at once; the others' clocks are believed until a refresh. */
static void
test_repo__standing_grants_of_many_writers_begin_where_they_open(void **arg)
{
	enum { MANY = 70, AT_ONCE = 64 };
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *auditor = new_identity(fx, "auditor.key");
	CLEANUP(repo_closep) struct repo *admin = open_admin(fx);
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct recipient as = {auditor->fingerprint, auditor->pair->box_pk};
	struct err err = ERR_INIT;

	(void)arg;
	for (int i = 0; i < MANY; i++) {
		CLEANUP(freep) char *name = str_format("many-%02d", i);
		CLEANUP(writer_freep) struct writer_file *w = new_writer(fx, admin, name);

		three_snapshots(fx, w, &as);
	}
	grant_standing(admin, auditor);
	trust_founder(fx, auditor);
	r = open_as(fx, auditor);
	assert_int_equal(count_snapshots(r), 2 * AT_ONCE);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(count_snapshots(r), 2 * MANY);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(count_snapshots(r), 2 * MANY);
}

static void
test_repo__added_admin_reads_old_snapshots_by_reseal(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct granted_part parts[3] = {part_of(fx, &one, 0), part_of(fx, &one, 1),
					part_of(fx, &one, 2)};
	struct grant g = new_grant(fx, second, true);
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	struct repo_opened *none;
	struct err err = ERR_INIT;

	(void)arg;
	repo_close(add_admin(fx, second));
	trust_founder(fx, second);
	r = open_as(fx, second);
	CHECK_FAILS(repo_snapshot_open(r, &one, &none, &err), ERR_DENIED, &err, "till-03");
	g.parts = parts;
	g.n_parts = 3;
	store_grant(fx, second, &g);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	CHECK_OK(repo_snapshot_open(r, &one, &o, &err), &err);
	assert_int_equal(o->n_classes, 2);
	assert_non_null(o->details);
	assert_int_equal(count_findings(r), 0);
}

/* ---- threads ----------------------------------------------------------------------------- */

struct crowd {
	struct repo *repo;
	struct snapshot_name name;
	atomic_bool stop;
	atomic_uint opened;
};

/* cmocka's checks may only fail in the main thread: this one counts what went right. */
static void *
open_again_and_again(void *arg)
{
	struct crowd *c = arg;

	while (!atomic_load(&c->stop)) {
		CLEANUP(repo_list_putp) struct repo_list *l = repo_list_get(c->repo);
		CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;

		if (l->n > 0 && repo_snapshot_open(c->repo, &c->name, &o, NULL) == 0 &&
		    strcmp(repo_writer_name(c->repo, &c->name.writer), "till-03") == 0)
			atomic_fetch_add(&c->opened, 1);
	}
	return NULL;
}

/* An added admin opens by reseal while the ledger, the list and the keys change under it. */
static void
test_repo__refresh_disturbs_nobody_who_reads(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	struct snapshot_name name = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct granted_part part = part_of(fx, &name, 2);
	struct grant g = new_grant(fx, second, true);
	CLEANUP(repo_closep) struct repo *admin = add_admin(fx, second);
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct crowd crowd = {.name = name};
	pthread_t threads[3];
	struct err err = ERR_INIT;

	(void)arg;
	g.parts = &part;
	g.n_parts = 1;
	store_grant(fx, second, &g);
	trust_founder(fx, second);
	crowd.repo = r = open_as(fx, second);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_again_and_again, &crowd),
				 0);
	for (unsigned round = 0; round < 12; round++) {
		struct decision d = {.type = DECISION_FORGET, .writer = fx->server->card.writer};
		struct hash forgotten = {{(uint8_t)round}};
		bool changed = false;

		d.hashes = slice_of(&forgotten, sizeof forgotten);
		CHECK_OK(repo_decide(admin, &d, 1, &err), &err);
		(void)add_snapshot(fx, (struct recipe){fx->server, 1, .later = round});
		g.time++; /* another object */
		store_grant(fx, second, &g);
		CHECK_OK(repo_refresh(r, &changed, &err), &err);
		assert_true(changed);
	}
	while (atomic_load(&crowd.opened) < 20)
		usleep(1000);
	atomic_store(&crowd.stop, true);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(count_snapshots(r), 13);
	assert_int_equal(repo_ledger(r)->head.seq, 15);
}

/* The decision to remove somebody counts from the time of its entry on. */
static void
test_repo__grants_of_a_removed_admin_count_when_made_before(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	CLEANUP(identity_freep) struct identity *auditor = new_identity(fx, "auditor.key");
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct granted_part part = part_of(fx, &one, 2);
	struct grant g = new_grant(fx, auditor, false);
	struct decision d = {.type = DECISION_REMOVE_ADMIN, .person = second->fingerprint};
	CLEANUP(repo_closep) struct repo *r = add_admin(fx, second);
	CLEANUP(repo_closep) struct repo *both = NULL;
	struct repo *none;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_decide(r, &d, 1, &err), &err);
	trust_founder(fx, auditor);
	g.parts = &part;
	g.n_parts = 1;
	g.author = second->fingerprint;
	g.time = time_now() + 3600;
	store_grant_by(fx, second, auditor, &g);
	CHECK_FAILS(repo_open(fx->store, auditor, fx->state, &none, &err), ERR_DENIED, &err, "");

	g.time = time_now() - 3600;
	store_grant_by(fx, second, auditor, &g);
	both = open_as(fx, auditor);
	assert_int_equal(count_snapshots(both), 1);
	check_finding(both, "was removed as an admin");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repo__one_off_grant_opens_its_part_and_no_other),
		cmocka_unit_test(test_repo__granted_key_of_something_else_is_refused),
		cmocka_unit_test(test_repo__expired_and_damaged_grants_open_nothing),
		cmocka_unit_test(test_repo__standing_grant_opens_what_was_sealed_under_it),
		cmocka_unit_test(test_repo__standing_grants_of_many_writers_begin_where_they_open),
		cmocka_unit_test(test_repo__added_admin_reads_old_snapshots_by_reseal),
		cmocka_unit_test(test_repo__refresh_disturbs_nobody_who_reads),
		cmocka_unit_test(test_repo__grants_of_a_removed_admin_count_when_made_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
