/*
 * test_repo_trust.c - what a storage that lies gets away with: nothing.
 */
#include "fixture_handmade.h"

/* ---- ledger entries made by hand --------------------------------------------------------- */

static struct chain_head
forge_entry(struct fixture *fx, const struct identity *author, const struct chain_head *after,
	    const struct decision *decisions, size_t n)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct ledger_entry e = {.repo = fx->repo,
				 .seq = after->seq + 1,
				 .prev = after->id,
				 .time = TIME_1,
				 .author = author->fingerprint,
				 .decisions = (struct decision *)decisions,
				 .n_decisions = n};
	struct chain_head ret = {.seq = e.seq};
	struct err err = ERR_INIT;

	ledger_entry_encode(&e, author->pair, &object, &ret.id);
	CHECK_OK(store_create(fx->store, ledger_key_format(ret.seq, &ret.id).s, buf_slice(&object),
			      &err),
		 &err);
	return ret;
}

static struct decision
revocation(const struct writer_file *w)
{
	return (struct decision){.type = DECISION_REVOKE_WRITER, .writer = w->card.writer};
}

static struct decision
merge(const struct chain_head *other)
{
	return (struct decision){.type = DECISION_MERGE,
				 .hashes = slice_of(&other->id, sizeof other->id)};
}

static bool
is_revoked(struct repo *r, const struct writer_file *w)
{
	return ledger_find_writer(repo_ledger(r), &w->card.writer)->revoked;
}

/* ---- damage and gaps --------------------------------------------------------------------- */

static void
test_repo__reader_goes_on_before_a_damaged_entry(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name name = add_snapshot(fx, (struct recipe){fx->till, 1});
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	struct decision d = revocation(fx->server);
	struct repo *w;
	struct err err = ERR_INIT;

	(void)arg;
	flip_byte(fx, ledger_key_of(fx, 2).key, 50);
	r = open_admin(fx);
	check_finding(r, "The ledger's entry 2 can't be read (ledger/0000000000000002-");
	CHECK_OK(repo_snapshot_open(r, &name, &o, &err), &err);
	CHECK_FAILS(repo_open_writer(fx->store, fx->till, NULL, &w, &err), ERR_CORRUPT, &err,
		    "entry 2");
	CHECK_FAILS(repo_decide(r, &d, 1, &err), ERR_CORRUPT, &err, "nothing can be decided now");

	/* It comes back by itself when the damage was of the moment. */
	flip_byte(fx, ledger_key_of(fx, 2).key, 50);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(repo_ledger(r)->head.seq, 2);
}

static void
test_repo__missing_entry_is_told(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct repo *w;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(store_remove(fx->store, ledger_key_of(fx, 1).key, &err), &err);
	r = open_admin(fx);
	check_finding(r, "The ledger's entry 1 is not in the store although entry 2 is");
	assert_int_equal(repo_ledger(r)->head.seq, 0);
	CHECK_FAILS(repo_open_writer(fx->store, fx->till, NULL, &w, &err), ERR_CORRUPT, &err,
		    "withheld");
}

static void
test_repo__entry_by_a_stranger_is_refused(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *mallory = new_identity(fx, "mallory.key");
	struct chain_head head = ledger_head_of(fx, 2);
	struct decision d = revocation(fx->till);
	struct repo *r;
	struct err err = ERR_INIT;

	(void)arg;
	(void)forge_entry(fx, mallory, &head, &d, 1);
	CHECK_FAILS(repo_open(fx->store, fx->admin, NULL, &r, &err), ERR_AUTH, &err,
		    "ledger/0000000000000003-");
}

/* ---- forks ------------------------------------------------------------------------------- */

static void
test_repo__fork_counts_up_to_where_it_begins(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	CLEANUP(repo_closep) struct repo *r = add_admin(fx, second);
	CLEANUP(repo_closep) struct repo *w = NULL;
	struct chain_head base = repo_ledger(r)->head;
	struct decision a = revocation(fx->server), b = revocation(fx->till);
	struct err err = ERR_INIT;

	(void)arg;
	(void)forge_entry(fx, fx->admin, &base, &a, 1);
	(void)forge_entry(fx, second, &base, &b, 1);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	check_finding(r, "The ledger is forked: there are several entries number 4");
	assert_int_equal(repo_ledger(r)->head.seq, 3);
	assert_false(is_revoked(r, fx->server));
	assert_false(is_revoked(r, fx->till));
	CHECK_FAILS(repo_decide(r, &a, 1, &err), ERR_CORRUPT, &err, "forked at entry 4");

	/* Backups go on from the common prefix. */
	CHECK_OK(repo_open_writer(fx->store, fx->till, NULL, &w, &err), &err);
	check_finding(w, "forked");
}

static void
test_repo__merge_settles_a_fork(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	CLEANUP(repo_closep) struct repo *r = add_admin(fx, second);
	struct chain_head base = repo_ledger(r)->head, ours, theirs, settled;
	struct decision a = revocation(fx->server), b = revocation(fx->till), m;
	struct err err = ERR_INIT;

	(void)arg;
	ours = forge_entry(fx, fx->admin, &base, &a, 1);
	theirs = forge_entry(fx, second, &base, &b, 1);
	theirs = forge_entry(fx, second, &theirs, &b, 1);
	theirs = forge_entry(fx, second, &theirs, &b, 1);
	m = merge(&theirs);
	settled = forge_entry(fx, fx->admin, &ours, &m, 1);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(count_findings(r), 0);
	assert_memory_equal(&repo_ledger(r)->head.id, &settled.id, sizeof settled.id);
	assert_true(is_revoked(r, fx->server));
	assert_false(is_revoked(r, fx->till));

	/* And decisions go on behind it, where the other branch has an entry of that number. */
	CHECK_OK(repo_decide(r, &b, 1, &err), &err);
	assert_true(is_revoked(r, fx->till));
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(repo_ledger(r)->head.seq, 6);
	assert_int_equal(count_findings(r), 0);
}

static void
test_repo__merges_that_contradict_settle_nothing(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	CLEANUP(repo_closep) struct repo *r = add_admin(fx, second);
	struct chain_head base = repo_ledger(r)->head, ours, theirs;
	struct decision a = revocation(fx->server), b = revocation(fx->till), m;
	struct err err = ERR_INIT;

	(void)arg;
	ours = forge_entry(fx, fx->admin, &base, &a, 1);
	theirs = forge_entry(fx, second, &base, &b, 1);
	m = merge(&theirs);
	(void)forge_entry(fx, fx->admin, &ours, &m, 1);
	m = merge(&ours);
	(void)forge_entry(fx, second, &theirs, &m, 1);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	check_finding(r, "forked");
	assert_int_equal(repo_ledger(r)->head.seq, 3);
}

/* Who was removed forks off before it and merges the removal away. */
static void
test_repo__merge_by_a_removed_admin_does_not_count(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *second = new_identity(fx, "second.key");
	CLEANUP(repo_closep) struct repo *r = add_admin(fx, second);
	struct chain_head base = repo_ledger(r)->head, removal, branch;
	struct decision remove = {.type = DECISION_REMOVE_ADMIN, .person = second->fingerprint};
	struct decision b = revocation(fx->till), m;
	struct err err = ERR_INIT;

	(void)arg;
	removal = forge_entry(fx, fx->admin, &base, &remove, 1);
	branch = forge_entry(fx, second, &base, &b, 1);
	m = merge(&removal);
	(void)forge_entry(fx, second, &branch, &m, 1);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(repo_ledger(r)->head.seq, 3);
	check_finding(r, "forked");

	/* The founder's merge does. */
	m = merge(&branch);
	(void)forge_entry(fx, fx->admin, &removal, &m, 1);
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(repo_ledger(r)->head.seq, 5);
	assert_false(ledger_is_admin(repo_ledger(r), &second->fingerprint));
}

static void
test_repo__second_entry_by_a_stranger_is_no_fork(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(identity_freep) struct identity *mallory = new_identity(fx, "mallory.key");
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct chain_head first = ledger_head_of(fx, 1);
	struct decision d = revocation(fx->till);

	(void)arg;
	(void)forge_entry(fx, mallory, &first, &d, 1);
	r = open_admin(fx);
	check_finding(r, "is not signed by an admin; it is ignored");
	assert_int_equal(repo_ledger(r)->head.seq, 2);
	assert_false(is_revoked(r, fx->till));
	assert_int_equal(count_findings(r), 1);
}

static void
test_repo__entry_under_another_name_is_ignored(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct chain_head first = ledger_head_of(fx, 1);

	(void)arg;
	copy_object(fx, ledger_key_of(fx, 1).key, ledger_key_format(2, &first.id).s);
	r = open_admin(fx);
	check_finding(r, "the object is entry 1");
	assert_int_equal(repo_ledger(r)->head.seq, 2);
}

/* ---- deciding at the same time ----------------------------------------------------------- */

static void
test_repo__slower_admin_is_told_to_look_again(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *a = open_admin(fx);
	CLEANUP(repo_closep) struct repo *b = open_admin(fx);
	struct decision d = revocation(fx->till), e = revocation(fx->server);
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_decide(a, &d, 1, &err), &err);
	CHECK_FAILS(repo_decide(b, &e, 1, &err), ERR_BUSY, &err, "another admin decided");
	assert_int_equal(repo_ledger(b)->head.seq, 2);
	CHECK_OK(repo_refresh(b, NULL, &err), &err);
	CHECK_OK(repo_decide(b, &e, 1, &err), &err);
	assert_int_equal(repo_ledger(b)->head.seq, 4);
}

/* A store in which another admin's entry appears just before ours is created. */
struct race {
	struct fixture *fx;
	struct chain_head base;
	struct decision decision;
	bool armed;
};

static int
race_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	return store_get(((struct race *)arg)->fx->store, key, off, len, ret, err);
}

static int
race_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	return store_size(((struct race *)arg)->fx->store, key, ret, err);
}

static int
race_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct race *race = arg;

	if (race->armed) {
		race->armed = false;
		(void)forge_entry(race->fx, race->fx->admin, &race->base, &race->decision, 1);
	}
	return store_create(race->fx->store, key, body, err);
}

static int
race_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	return store_list(((struct race *)arg)->fx->store, prefix, delimited, fn, fn_arg, err);
}

static int
race_remove(void *arg, const char *key, struct err *err)
{
	return store_remove(((struct race *)arg)->fx->store, key, err);
}

static void
race_close(void *arg)
{
	(void)arg; /* the fixture owns all of it */
}

static void
test_repo__fork_made_at_the_same_moment_is_told(void **arg)
{
	static const struct store_ops ops = {"race",    race_get,    race_size, race_create,
					     race_list, race_remove, race_close};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct race race = {fx, ledger_head_of(fx, 2), revocation(fx->server), true};
	CLEANUP(store_closep) struct store *store = store_new(&ops, &race, "race:");
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct decision d = revocation(fx->till);
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_open(store, fx->admin, NULL, &r, &err), &err);
	CHECK_FAILS(repo_decide(r, &d, 1, &err), ERR_CORRUPT, &err, "now exists twice");
	check_finding(r, "The ledger is forked: entry 3 was decided twice");
	assert_false(is_revoked(r, fx->till));
}

/* A decision that readers would refuse must never reach the store. */
static void
test_repo__senseless_decision_is_not_stored(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	CLEANUP(repo_closep) struct repo *w = NULL;
	struct decision d = {.type = DECISION_REVOKE_WRITER, .writer = {{1, 2, 3}}};
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_FAILS(repo_decide(r, &d, 1, &err), ERR_CORRUPT, &err, "nothing was decided");
	assert_int_equal(find_key(fx, "ledger/").n, 2);
	CHECK_FAILS(repo_decide(r, &d, 0, &err), ERR_INVALID, &err, "1 to");
	CHECK_OK(repo_open_writer(fx->store, fx->till, NULL, &w, &err), &err);
	d = revocation(fx->server);
	CHECK_FAILS(repo_decide(w, &d, 1, &err), ERR_DENIED, &err, "needs an admin");
}

/* ---- rollback ---------------------------------------------------------------------------- */

static void
test_repo__rolled_back_ledger_is_found_out(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	CLEANUP(repo_closep) struct repo *again = NULL;
	struct repo *w;
	struct decision d = revocation(fx->till);
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(store_remove(fx->store, ledger_key_of(fx, 2).key, &err), &err);
	again = open_admin(fx);
	check_finding(again, "The ledger ends at 1 but 2 was seen before: the storage withholds");
	CHECK_FAILS(repo_decide(again, &d, 1, &err), ERR_AUTH, &err, "2 was seen before");
	CHECK_FAILS(repo_open_writer(fx->store, fx->till, fx->state, &w, &err), ERR_AUTH, &err,
		    "2 was seen before");
	assert_int_equal(count_findings(again), 1);

	/* Who was open keeps what it knew. */
	CHECK_OK(repo_refresh(r, NULL, &err), &err);
	assert_int_equal(repo_ledger(r)->head.seq, 2);
	check_finding(r, "2 was seen before");
}

static void
test_repo__rewritten_ledger_is_found_out(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct chain_head first = ledger_head_of(fx, 1);
	struct decision d = revocation(fx->till);
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(store_remove(fx->store, ledger_key_of(fx, 2).key, &err), &err);
	(void)forge_entry(fx, fx->admin, &first, &d, 1);
	r = open_admin(fx);
	check_finding(r, "The ledger's entry 2 that was seen before");
}

static void
test_repo__writer_notices_a_rollback_while_it_works(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *w = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_open_writer(fx->store, fx->till, fx->state, &w, &err), &err);
	CHECK_OK(store_remove(fx->store, ledger_key_of(fx, 2).key, &err), &err);
	CHECK_FAILS(repo_refresh(w, NULL, &err), ERR_AUTH, &err, "rolled back");
	CHECK_FAILS(repo_refresh(w, NULL, &err), ERR_AUTH, &err, "rolled back");
}

static void
test_repo__withheld_snapshot_is_found_out(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct snapshot_name one = add_snapshot(fx, (struct recipe){fx->till, 1});
	struct snapshot_name two = add_snapshot(fx, (struct recipe){fx->till, 2, .prev = one.id});
	CLEANUP(repo_closep) struct repo *r = NULL;
	CLEANUP(freep) struct chain_head *heads = NULL;
	struct err err = ERR_INIT;
	size_t n;

	(void)arg;
	repo_close(open_admin(fx));
	CHECK_OK(store_remove(fx->store, snapshot_key_format(&two).s, &err), &err);
	r = open_admin(fx);
	check_finding(r, "The newest snapshot of till-03 in the store is number 1 but number 2");
	assert_int_equal(count_findings(r), 1);

	/* The next snapshot must not take the number again. */
	repo_heads(r, &heads, &n);
	assert_int_equal(n, 1);
	assert_int_equal(heads[0].seq, 2);
	assert_memory_equal(&heads[0].id, &two.id, sizeof two.id);
}

static void
test_repo__pins_never_fall_and_damaged_ones_are_told(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(freep)
	char *path = str_format("%s/pins/%s", fx->state, hex_bytes(&fx->repo, sizeof fx->repo).s);
	CLEANUP(buf_fini) struct buf before = BUF_INIT;
	CLEANUP(buf_fini) struct buf after = BUF_INIT;
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	repo_close(open_admin(fx));
	CHECK_OK(file_read(path, MIB, &before, &err), &err);
	assert_non_null(strstr(buf_cstr(&before), "head = 2 "));
	CHECK_OK(store_remove(fx->store, ledger_key_of(fx, 2).key, &err), &err);
	repo_close(open_admin(fx));
	CHECK_OK(file_read(path, MIB, &after, &err), &err);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));

	CHECK_OK(file_write_atomic(path, slice_str("[ledger]\nhead = many\n"), 0600, &err), &err);
	r = open_admin(fx);
	check_finding(r, "may go unnoticed this once");
	assert_int_equal(count_findings(r), 1);
}

static void
test_repo__pins_that_cannot_be_written_stop_nobody(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(freep) char *nowhere = str_format("%s/admin.key/state", fx->folder);
	CLEANUP(repo_closep) struct repo *r = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	CHECK_OK(repo_open(fx->store, fx->admin, nowhere, &r, &err), &err);
	check_finding(r, "What was seen of the repository can't be kept");
}

static void
test_repo__what_a_snapshot_saw_must_be_there(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	struct chain_head ledger = {.seq = 9, .id = {{9}}};
	struct chain_head head = {.writer = fx->server->card.writer, .seq = 5, .id = {{5}}};
	struct snapshot_name name =
		add_snapshot(fx, (struct recipe){fx->till, 1, .ledger = ledger, .head = head});
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	struct err err = ERR_INIT;

	(void)arg;
	assert_int_equal(count_findings(r), 0);
	CHECK_OK(repo_snapshot_open(r, &name, &o, &err), &err);
	check_finding(r, "The ledger's entry 9 (");
	check_finding(r, "Snapshot number 5 of server (");
	assert_int_equal(count_findings(r), 2);
}

/* What appeared since the last refresh isn't withheld. */
static void
test_repo__newer_than_the_last_refresh_is_no_finding(void **arg)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);
	struct chain_head ledger = ledger_head_of(fx, 2);
	struct decision d = revocation(fx->server);
	struct snapshot_name other = add_snapshot(fx, (struct recipe){fx->server, 1});
	struct chain_head head = {fx->server->card.writer, 1, other.id.h};
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	struct snapshot_name name;
	struct err err = ERR_INIT;

	(void)arg;
	ledger = forge_entry(fx, fx->admin, &ledger, &d, 1);
	name = add_snapshot(fx, (struct recipe){fx->till, 1, .ledger = ledger, .head = head});
	CHECK_OK(repo_snapshot_open(r, &name, &o, &err), &err);
	assert_int_equal(count_findings(r), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repo__reader_goes_on_before_a_damaged_entry),
		cmocka_unit_test(test_repo__missing_entry_is_told),
		cmocka_unit_test(test_repo__entry_by_a_stranger_is_refused),
		cmocka_unit_test(test_repo__fork_counts_up_to_where_it_begins),
		cmocka_unit_test(test_repo__merge_settles_a_fork),
		cmocka_unit_test(test_repo__merges_that_contradict_settle_nothing),
		cmocka_unit_test(test_repo__merge_by_a_removed_admin_does_not_count),
		cmocka_unit_test(test_repo__second_entry_by_a_stranger_is_no_fork),
		cmocka_unit_test(test_repo__entry_under_another_name_is_ignored),
		cmocka_unit_test(test_repo__slower_admin_is_told_to_look_again),
		cmocka_unit_test(test_repo__fork_made_at_the_same_moment_is_told),
		cmocka_unit_test(test_repo__senseless_decision_is_not_stored),
		cmocka_unit_test(test_repo__rolled_back_ledger_is_found_out),
		cmocka_unit_test(test_repo__rewritten_ledger_is_found_out),
		cmocka_unit_test(test_repo__writer_notices_a_rollback_while_it_works),
		cmocka_unit_test(test_repo__withheld_snapshot_is_found_out),
		cmocka_unit_test(test_repo__pins_never_fall_and_damaged_ones_are_told),
		cmocka_unit_test(test_repo__pins_that_cannot_be_written_stop_nobody),
		cmocka_unit_test(test_repo__what_a_snapshot_saw_must_be_there),
		cmocka_unit_test(test_repo__newer_than_the_last_refresh_is_no_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
