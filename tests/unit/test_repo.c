/*
 * test_repo.c - opening a repository, listing, selecting and opening snapshots.
 *
 * Forks and rollbacks are in test_repo_trust.c, grants in test_repo_grants.c.
 */
#include "fixture_handmade.h"

/* ---- init and open ----------------------------------------------------------------------- */

static void
test_repo__founder_opens_what_init_made(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_empty();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);

	(void)arg;
	assert_memory_equal(repo_id(r), &fx->repo, sizeof fx->repo);
	assert_ptr_equal(repo_store(r), fx->store);
	assert_int_equal(repo_ledger(r)->head.seq, 0);
	assert_int_equal(count_snapshots(r), 0);
	assert_int_equal(count_findings(r), 0);
	assert_memory_equal(identity_pin(fx->admin, &fx->repo), &fx->admin->fingerprint,
			    sizeof fx->admin->fingerprint);
}

static void
test_repo__init_refuses_a_place_in_use(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_empty();
	struct repo_id id;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_FAILS(repo_init(fx->store, fx->admin, &id, &err), ERR_EXISTS, &err,
		    "a repository at");
	CHECK_OK(store_remove(fx->store, "config", &err), &err);
	CHECK_OK(store_create(fx->store, "letters/to-mum", slice_str("hello"), &err), &err);
	CHECK_FAILS(repo_init(fx->store, fx->admin, &id, &err), ERR_EXISTS, &err, "letters/");
}

static void
test_repo__absence_is_told(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_empty();
	struct repo *r;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(store_remove(fx->store, "config", &err), &err);
	CHECK_FAILS(repo_open(fx->store, fx->admin, NULL, &r, &err), ERR_NOENT, &err,
		    "no tillfs repository");
	assert_null(r);
}

/* The storage shows a repository of the same id by somebody else. */
static void
test_repo__another_founder_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *mallory = new_identity(fx, "mallory.key");
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct seal_key roster = {{7}};
	struct repo *r;
	struct err err = ERR_INIT;

	(void)arg;
	config_object_encode(&fx->repo, TIME_1, mallory->pair, &roster, &object);
	replace_object(fx, "config", buf_slice(&object));
	CHECK_FAILS(repo_open(fx->store, fx->admin, NULL, &r, &err), ERR_AUTH, &err, "founded by");
	CHECK_FAILS(repo_open_writer(fx->store, fx->till, NULL, &r, &err), ERR_AUTH, &err,
		    "founded by");
}

static void
test_repo__who_has_no_pin_is_told_to_import_a_card(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *stranger = new_identity(fx, "stranger.key");
	struct repo *r;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_FAILS(repo_open(fx->store, stranger, NULL, &r, &err), ERR_AUTH, &err,
		    "tillfs trust import CARD");
	trust_founder(fx, stranger);
	CHECK_FAILS(repo_open(fx->store, stranger, NULL, &r, &err), ERR_DENIED, &err,
		    "is no admin of repository");
}

static void
test_repo__damaged_config_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_empty();
	struct repo *r;
	struct err err = ERR_INIT;
	int k;

	(void)arg;
	flip_byte(fx, "config", 40);
	k = repo_open(fx->store, fx->admin, NULL, &r, &err);
	assert_true(k == ERR_AUTH || k == ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "config"));
}

/* ---- writers ----------------------------------------------------------------------------- */

static void
test_repo__enrolled_writer_opens_and_has_its_name(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_open_writer(fx->store, fx->till, fx->state, &r, &err), &err);
	assert_string_equal(repo_writer_name(r, &fx->till->card.writer), "till-03");
	assert_string_equal(repo_writer_name(r, &fx->server->card.writer), "server");
	assert_memory_equal(repo_roster(r), fx->till->roster, sizeof *fx->till->roster);
	assert_int_equal(repo_ledger(r)->head.seq, 2);
	assert_string_equal(fx->till->card.name, "till-03");
}

static void
test_repo__names_and_keys_are_enrolled_once(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct public_keys keys = {.kind = "writer",
				   .box_pk = fx->till->pair->box_pk,
				   .sign_pk = fx->till->pair->sign_pk,
				   .fingerprint = fx->till->fingerprint};
	struct card card;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_FAILS(repo_enrol_writer(r, "till-03", &keys, &card, &err), ERR_EXISTS, &err,
		    "named till-03");
	CHECK_FAILS(repo_enrol_writer(r, "till-04", &keys, &card, &err), ERR_EXISTS, &err,
		    "as the writer till-03");
	CHECK_FAILS(repo_enrol_writer(r, "no spaces", &keys, &card, &err), ERR_INVALID, &err,
		    "no name for a writer");
	(void)snprintf(keys.kind, sizeof keys.kind, "identity");
	CHECK_FAILS(repo_enrol_writer(r, "till-04", &keys, &card, &err), ERR_INVALID, &err,
		    "tillfs writer new");
	assert_int_equal(repo_ledger(r)->head.seq, 2);
}

static void
test_repo__revoked_and_unknown_writers_are_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct decision d = {.type = DECISION_REVOKE_WRITER, .writer = fx->till->card.writer};
	struct repo *w;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_decide(r, &d, 1, &err), &err);
	CHECK_FAILS(repo_open_writer(fx->store, fx->till, NULL, &w, &err), ERR_DENIED, &err,
		    "revoked the writer till-03");
	fx->server->card.writer.b[0] ^= 1;
	CHECK_FAILS(repo_open_writer(fx->store, fx->server, NULL, &w, &err), ERR_DENIED, &err,
		    "doesn't know the writer");
	fx->server->enrolled = false;
	CHECK_FAILS(repo_open_writer(fx->store, fx->server, NULL, &w, &err), ERR_DENIED, &err,
		    "tillfs writer import");
}

/* ---- the list ---------------------------------------------------------------------------- */

static void
test_repo__list_is_in_the_order_of_days_and_times(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name a, b, c, d;
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(repo_list_putp) struct repo_list *l = NULL;

	(void)arg;
	d = add_snapshot(fx, (struct recipe){fx->till, 1, .day = 2});
	a = add_snapshot(fx, (struct recipe){fx->till, 2, .later = 10, .prev = d.id});
	b = add_snapshot(fx, (struct recipe){fx->till, 3, .later = 10, .prev = a.id});
	c = add_snapshot(fx, (struct recipe){fx->server, 1, .later = 20});
	r = open_admin(fx);
	l = repo_list_get(r);
	assert_int_equal(l->n, 4);
	assert_memory_equal(&l->snapshots[0].name.id, &a.id, sizeof a.id);
	assert_memory_equal(&l->snapshots[1].name.id, &b.id, sizeof b.id);
	assert_memory_equal(&l->snapshots[2].name.id, &c.id, sizeof c.id);
	assert_memory_equal(&l->snapshots[3].name.id, &d.id, sizeof d.id);
	assert_string_equal(l->snapshots[0].writer, "till-03");
	assert_string_equal(l->snapshots[2].writer, "server");
	assert_string_equal(repo_snapshot_label(r, &a).s, "snapshot 2026-11-20/till-03.23-00-15Z");
	assert_int_equal(count_findings(r), 0);
}

static void
test_repo__list_stays_while_it_is_held(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	CLEANUP(repo_list_putp) struct repo_list *before = repo_list_get(r);
	CLEANUP(repo_list_putp) struct repo_list *after = NULL;
	struct err err = ERR_INIT;
	bool changed = false;

	(void)arg;
	CHECK_OK(repo_refresh(r, &changed, &err), &err);
	assert_false(changed);
	(void)add_snapshot(fx, (struct recipe){fx->till, 1});
	CHECK_OK(repo_refresh(r, &changed, &err), &err);
	assert_true(changed);
	after = repo_list_get(r);
	assert_int_equal(before->n, 0);
	assert_int_equal(after->n, 1);
}

static void
test_repo__strangers_are_left_out_and_told(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	(void)add_snapshot(fx, (struct recipe){fx->till, 1});
	fx->server->card.writer.b[0] ^= 1;
	(void)add_snapshot(fx, (struct recipe){fx->server, 1});
	CHECK_OK(store_create(fx->store, "snapshots/notes.txt", slice_str("x"), &err), &err);
	r = open_admin(fx);
	assert_int_equal(count_snapshots(r), 1);
	check_finding(r, "no admin enrolled it");
	check_finding(r, "snapshots/notes.txt is not named as a snapshot is");
	assert_int_equal(count_findings(r), 2);
}

static void
test_repo__forgotten_snapshots_are_hidden_and_explain_gaps(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct snapshot_name one, two, three;
	struct snapshot_id ids[2];
	struct decision d = {.type = DECISION_FORGET, .writer = fx->till->card.writer};
	struct err err = ERR_INIT;

	(void)arg;
	one = add_snapshot(fx, (struct recipe){fx->till, 1});
	two = add_snapshot(fx, (struct recipe){fx->till, 2, .day = 1, .prev = one.id});
	three = add_snapshot(fx, (struct recipe){fx->till, 3, .day = 2, .prev = two.id});
	ids[0] = one.id;
	ids[1] = two.id;
	d.hashes = slice_of(ids, sizeof ids);
	CHECK_OK(repo_decide(r, &d, 1, &err), &err);
	CHECK_OK(store_remove(fx->store, snapshot_key_format(&one).s, &err), &err);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(count_snapshots(r), 1);
	assert_int_equal(count_findings(r), 0);
	CHECK_OK(repo_select(r, "latest", &two, &err), &err);
	assert_memory_equal(&two.id, &three.id, sizeof two.id);
}

static void
test_repo__gaps_and_doubles_are_told(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct snapshot_id prev = {{{1}}};

	(void)arg;
	(void)add_snapshot(fx, (struct recipe){fx->till, 1});
	(void)add_snapshot(fx, (struct recipe){fx->till, 4, .prev = prev});
	(void)add_snapshot(fx, (struct recipe){fx->server, 1});
	(void)add_snapshot(fx, (struct recipe){fx->server, 1, .later = 1});
	r = open_admin(fx);
	assert_int_equal(count_snapshots(r), 4);
	check_finding(r, "Snapshots of till-03 are missing, the first is number 2");
	check_finding(r, "several snapshots number 1 of server");
	assert_int_equal(count_findings(r), 2);
}

static void
test_repo__snapshots_after_a_revocation_are_left_out(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct snapshot_name two, other;
	struct decision d = {.type = DECISION_REVOKE_WRITER,
			     .writer = fx->till->card.writer,
			     .seq = 1,
			     .has_id = true,
			     .id = one.id.h};
	struct snapshot *s;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_decide(r, &d, 1, &err), &err);
	two = add_snapshot(fx, (struct recipe){fx->till, 2, .prev = one.id});
	/* Made after the theft, under a number that was accepted. */
	other = add_snapshot(fx, (struct recipe){fx->till, 1, .later = 5});
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(count_snapshots(r), 1);
	check_finding(r, "after it was revoked: the last accepted is number 1");
	CHECK_FAILS(repo_snapshot_fetch(r, &two, &s, &err), ERR_AUTH, &err, "was revoked");
	CHECK_FAILS(repo_snapshot_fetch(r, &other, &s, &err), ERR_AUTH, &err, "was revoked");
	CHECK_OK(repo_snapshot_fetch(r, &one, &s, &err), &err);
	snapshot_free(s);
}

/* ---- opening snapshots ------------------------------------------------------------------- */

static void
test_repo__admin_opens_all_parts(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name name = add_snapshot(fx, (struct recipe){fx->till, 1});
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_snapshot_open(r, &name, &o, &err), &err);
	assert_string_equal(o->writer, "till-03");
	assert_int_equal(o->n_classes, 2);
	assert_int_equal(o->n_closed, 0);
	assert_string_equal(o->classes[0]->name, "general");
	assert_string_equal(o->classes[1]->name, "sales");
	assert_non_null(o->details);
	assert_true(slice_equal(o->details->host, slice_str("host")));
}

static void
test_repo__writer_fetches_but_opens_nothing(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name name = add_snapshot(fx, (struct recipe){fx->till, 1});
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	struct repo_opened *o;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_open_writer(fx->store, fx->till, NULL, &r, &err), &err);
	CHECK_OK(repo_snapshot_fetch(r, &name, &s, &err), &err);
	assert_int_equal(s->clear.seq, 1);
	CHECK_FAILS(repo_snapshot_open(r, &name, &o, &err), ERR_DENIED, &err,
		    "snapshot 2026-11-20/till-03.23-00-05Z");
	assert_null(o);
}

/* Every byte of the object, flipped, is noticed and named. */
static void
test_repo__damaged_snapshot_is_refused_by_name(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name name = add_snapshot(fx, (struct recipe){fx->till, 1});
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct snapshot_key_text key = snapshot_key_format(&name);
	struct repo_opened *o;
	struct err err = ERR_INIT;
	uint64_t size;

	(void)arg;
	CHECK_OK(store_size(fx->store, key.s, &size, &err), &err);
	for (size_t off = 0; off < size; off += 7) {
		flip_byte(fx, key.s, off);
		CHECK_FAILS(repo_snapshot_open(r, &name, &o, &err), ERR_CORRUPT, &err,
			    "snapshot 2026-11-20/till-03.23-00-05Z: snapshots/");
		flip_byte(fx, key.s, off);
	}
	CHECK_OK(store_remove(fx->store, key.s, &err), &err);
	CHECK_FAILS(repo_snapshot_open(r, &name, &o, &err), ERR_NOENT, &err, key.s);
}

static void
test_repo__forged_snapshot_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct snapshot_name name;
	struct repo_opened *o;
	struct err err = ERR_INIT;

	(void)arg;
	/* The server signs in the till's name. */
	fx->server->card.writer = fx->till->card.writer;
	name = add_snapshot(fx, (struct recipe){fx->server, 1});
	r = open_admin(fx);
	CHECK_FAILS(repo_snapshot_open(r, &name, &o, &err), ERR_AUTH, &err, "signature");
}

static void
test_repo__copy_under_another_date_is_dropped(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name name = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct snapshot_name moved = name, found;
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct repo_opened *o;
	struct err err = ERR_INIT;

	(void)arg;
	moved.date.days += 3;
	copy_object(fx, snapshot_key_format(&name).s, snapshot_key_format(&moved).s);
	r = open_admin(fx);
	assert_int_equal(count_snapshots(r), 1);
	check_finding(r, "A copy of a snapshot under another name is ignored");
	assert_int_equal(count_findings(r), 1);
	CHECK_OK(repo_select(r, "latest", &found, &err), &err);
	assert_int_equal(found.date.days, name.date.days);

	/* Without the original it is listed, and refused when opened. */
	CHECK_OK(store_remove(fx->store, snapshot_key_format(&name).s, &err), &err);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(count_snapshots(r), 1);
	CHECK_FAILS(repo_snapshot_open(r, &moved, &o, &err), ERR_CORRUPT, &err,
		    "under another date");
}

/* ---- selecting --------------------------------------------------------------------------- */

static void
check_select(struct repo *r, const char *selector, const struct snapshot_name *expected)
{
	struct snapshot_name found;
	struct err err = ERR_INIT;

	CHECK_OK(repo_select(r, selector, &found, &err), &err);
	if (!hash_equal(&found.id.h, &expected->id.h))
		fail_msg("%s gives %s, not %s", selector, repo_snapshot_label(r, &found).s,
			 repo_snapshot_label(r, expected).s);
}

static void
test_repo__select_finds_what_the_user_means(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct snapshot_name a, b, c, d;

	(void)arg;
	/* The till's clock went back between its first and second snapshot of one day. */
	a = add_snapshot(fx, (struct recipe){fx->till, 1, .later = 60});
	b = add_snapshot(fx, (struct recipe){fx->till, 2, .later = 10, .prev = a.id});
	c = add_snapshot(fx, (struct recipe){fx->server, 1, .later = 30});
	d = add_snapshot(fx, (struct recipe){fx->server, 2, .day = 1, .later = 40, .prev = c.id});
	r = open_admin(fx);
	check_select(r, "latest", &d);
	check_select(r, "latest@till-03", &b);
	check_select(r, "latest@server", &d);
	check_select(r, "2026-11-20@till-03", &b);
	check_select(r, "2026-11-20@server", &c);
	check_select(r, "2026-11-21", &d);
	check_select(r, hex(&a.id.h).s, &a);
	check_select(r, hex_short(&c.id.h).s, &c);
	check_select(r, "2026-11-20/till-03.23-01-05Z", &a);
	check_select(r, "2026-11-21@server", &d);
}

static void
test_repo__select_says_why_not(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct snapshot_name found;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_FAILS(repo_select(r, "latest", &found, &err), ERR_NOENT, &err, "no snapshot yet");
	(void)add_snapshot(fx, (struct recipe){fx->till, 1, .later = 60});
	(void)add_snapshot(fx, (struct recipe){fx->server, 1, .later = 30});
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	CHECK_FAILS(repo_select(r, "2026-11-20", &found, &err), ERR_INVALID, &err,
		    "2026-11-20/till-03.23-01-05Z");
	CHECK_FAILS(repo_select(r, "2026-11-20", &found, &err), ERR_INVALID, &err,
		    "2026-11-20/server.23-00-35Z");
	CHECK_FAILS(repo_select(r, "2026-11-22", &found, &err), ERR_NOENT, &err,
		    "from 2026-11-20 to 2026-11-20");
	CHECK_FAILS(repo_select(r, "latest@till-99", &found, &err), ERR_NOENT, &err,
		    "writer till-99");
	CHECK_FAILS(repo_select(r, "ffffffffffffffffffff", &found, &err), ERR_NOENT, &err,
		    "starts with");
	CHECK_FAILS(repo_select(r, "abc", &found, &err), ERR_INVALID, &err, "at least 4 digits");
	CHECK_FAILS(repo_select(r, "2026-02-30", &found, &err), ERR_INVALID, &err,
		    "is no snapshot");
	CHECK_FAILS(repo_select(r, "", &found, &err), ERR_INVALID, &err, "is no snapshot");
}

/* ---- faults ------------------------------------------------------------------------------ */

/* Opens, looks at a snapshot, enrols a writer, refreshes.  Return: 0 or the first error. */
static int
work(struct fixture *fx, const char *name, const struct public_keys *keys, struct err *err)
{
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	CLEANUP(card_fini) struct card card = {0};
	struct snapshot_name found;
	int k;

	k = repo_open(fx->store, fx->admin, NULL, &r, err);
	if (k < 0) {
		assert_null(r);
		return k;
	}
	k = repo_select(r, "latest", &found, err);
	if (k == 0)
		k = repo_snapshot_open(r, &found, &o, err);
	if (k == 0)
		k = repo_enrol_writer(r, name, keys, &card, err);
	if (k == 0)
		k = repo_refresh(r, NULL, err);
	/* Whatever failed: what is known still holds. */
	assert_int_equal(count_snapshots(r), 1);
	assert_string_equal(repo_writer_name(r, &fx->till->card.writer), "till-03");
	return k;
}

static void
test_repo__every_store_failure_is_reported(void **arg)
{
	unsigned tolerated = 0;

	(void)arg;
	for (unsigned nth = 1;; nth++) {
		CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
		CLEANUP(repo_closep) struct repo *after = NULL;
		struct public_keys keys = {.kind = "writer"};
		struct err err = ERR_INIT;
		bool fired;
		int k;

		(void)add_snapshot(fx, (struct recipe){fx->till, 1});
		seal_random(&keys.box_pk, sizeof keys.box_pk);
		seal_random(&keys.sign_pk, sizeof keys.sign_pk);
		store_fault_arm(fx->store, nth, ERR_UNREACHABLE);
		k = work(fx, "till-04", &keys, &err);
		fired = store_fault_fired(fx->store);

		/* The repository is as before, or has the decision. */
		store_fault_arm(fx->store, 1000000, ERR_UNREACHABLE);
		after = open_admin(fx);
		assert_in_range(repo_ledger(after)->head.seq, 2, 3);
		assert_int_equal(count_findings(after), 0);
		assert_int_equal(count_snapshots(after), 1);
		if (!fired) {
			CHECK_OK(k, &err);
			assert_true(nth - tolerated > 8);
			break;
		}
		if (k == 0) {
			/* The look for a rival, made after the entry stood; or an entry fetched
			 * together with others, which is fetched again alone. */
			tolerated++;
			assert_int_equal(repo_ledger(after)->head.seq, 3);
			continue;
		}
		CHECK_FAILS(k, ERR_UNREACHABLE, &err, "fault");
	}
	assert_true(tolerated >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repo__founder_opens_what_init_made),
		cmocka_unit_test(test_repo__init_refuses_a_place_in_use),
		cmocka_unit_test(test_repo__absence_is_told),
		cmocka_unit_test(test_repo__another_founder_is_refused),
		cmocka_unit_test(test_repo__who_has_no_pin_is_told_to_import_a_card),
		cmocka_unit_test(test_repo__damaged_config_is_refused),
		cmocka_unit_test(test_repo__enrolled_writer_opens_and_has_its_name),
		cmocka_unit_test(test_repo__names_and_keys_are_enrolled_once),
		cmocka_unit_test(test_repo__revoked_and_unknown_writers_are_refused),
		cmocka_unit_test(test_repo__list_is_in_the_order_of_days_and_times),
		cmocka_unit_test(test_repo__list_stays_while_it_is_held),
		cmocka_unit_test(test_repo__strangers_are_left_out_and_told),
		cmocka_unit_test(test_repo__forgotten_snapshots_are_hidden_and_explain_gaps),
		cmocka_unit_test(test_repo__gaps_and_doubles_are_told),
		cmocka_unit_test(test_repo__snapshots_after_a_revocation_are_left_out),
		cmocka_unit_test(test_repo__admin_opens_all_parts),
		cmocka_unit_test(test_repo__writer_fetches_but_opens_nothing),
		cmocka_unit_test(test_repo__damaged_snapshot_is_refused_by_name),
		cmocka_unit_test(test_repo__forged_snapshot_is_refused),
		cmocka_unit_test(test_repo__copy_under_another_date_is_dropped),
		cmocka_unit_test(test_repo__select_finds_what_the_user_means),
		cmocka_unit_test(test_repo__select_says_why_not),
		cmocka_unit_test(test_repo__every_store_failure_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
