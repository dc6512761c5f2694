/*
 * open.c - open, refresh, close: in which order things are read, and when they are believed.
 *
 * Config first, against the pinned founder.  Then snapshots' names before the ledger: what a
 * snapshot refers to was there before it.  All is fetched before any of it is published, so that a
 * failure leaves everything as it was.
 *
 * Layer 3.  Format: docs/format.md sections 2 to 4.
 */
#include "internal.h"

/* ---- reading all of it ------------------------------------------------------------------ */

/* What was fetched and isn't published yet. */
struct fetched {
	struct snapshot_names names;
	struct hash digest;
	struct ledger_keys keys;
	struct ledger_view view;
	bool new_ledger; /* view is filled and to be published */
	struct grant_objects grants;
};

static void
fetched_fini(struct fetched *f)
{
	snapshot_names_fini(&f->names);
	ledger_keys_fini(&f->keys);
	ledger_view_fini(&f->view);
	grant_objects_fini(&f->grants);
}

/* A writer must know for whom to seal and what it may refer to: it needs the whole ledger. */
static int
check_for_writing(struct repo *r, const struct ledger_view *view, struct err *err)
{
	if (view->broken != NULL)
		return err_set(err, ERR_CORRUPT, "%s", view->broken);
	return trust_check_enrolled(r, &view->state, err);
}

static bool
same_view(const struct ledger_view *a, const struct ledger_view *b)
{
	return hash_equal(&a->state.head.id, &b->state.head.id) && a->forked_at == b->forked_at &&
	       (a->broken == NULL) == (b->broken == NULL);
}

static int
fetch_ledger(struct repo *r, struct fetched *f, struct err *err)
{
	bool rolled_back, shorter;
	int k;

	if (!early_ledger(r, &f->keys, &k, err))
		k = ledger_list(r, &f->keys, err);
	if (k < 0)
		return k;
	if (r->opened && r->ledger.broken == NULL && ledger_keys_equal(&f->keys, &r->ledger_keys))
		return r->writer != NULL ? pins_check_ledger(r, &f->keys, &r->ledger, err) : 0;
	k = ledger_load(r, &f->keys, &f->view, err);
	if (k < 0)
		return k;
	k = pins_check_ledger(r, &f->keys, &f->view, err);
	rolled_back = k < 0;
	if (r->writer != NULL) {
		if (k == 0)
			k = check_for_writing(r, &f->view, err);
		if (k < 0)
			return k;
	}
	/* Once open, what was proved isn't given up because the store shows less. */
	shorter = f->view.broken != NULL && f->view.n_chain < r->ledger.n_chain;
	f->new_ledger = !r->opened || !(rolled_back || shorter || same_view(&f->view, &r->ledger));
	return 0;
}

static int
fetch_all(struct repo *r, struct fetched *f, struct err *err)
{
	int k;

	if (!early_snapshots(r, &f->names, &k, err))
		k = snapshots_scan(r, &f->names, err);
	if (k < 0)
		return k;
	snapshots_digest(&f->names, &f->digest);
	k = fetch_ledger(r, f, err);
	if (k < 0)
		return k;
	return grants_fetch(r, f->new_ledger ? &f->view.state : &r->ledger.state, &f->grants, err);
}

void
repo_publish_ledger(struct repo *r, struct ledger_view *view)
{
	struct ledger_view old;

	pthread_mutex_lock(&r->lock);
	old = r->ledger;
	r->ledger = *view;
	pthread_mutex_unlock(&r->lock);
	*view = (struct ledger_view){0};
	ledger_view_fini(&old);
	r->list_stale = true;
}

/* Only dates are known: an auditor is shown what grants open, which takes the names. */
static int
list_for_auditor(struct repo *r, struct fetched *f, struct err *err)
{
	int k;

	if (r->opened || r->days == NULL || access_shows_all(r))
		return 0;
	k = snapshots_scan(r, &f->names, err);
	if (k < 0)
		return k;
	snapshots_digest(&f->names, &f->digest);
	days_end(r);
	return 0;
}

static void
publish_list(struct repo *r, struct fetched *f)
{
	snapshots_drop_copies(r, &f->names);
	list_publish(r, &f->names);
	r->list_digest = f->digest;
	r->list_stale = r->probe_more;
	r->shown_until = keys_end(r);
}

/* From here on nothing fails for want of the store, but for an auditor's first listing of many. */
static int
publish(struct repo *r, struct fetched *f, bool *ret_changed, struct err *err)
{
	int k;

	if (f->new_ledger) {
		repo_publish_ledger(r, &f->view);
		*ret_changed = true;
	}
	ledger_keys_fini(&r->ledger_keys);
	r->ledger_keys = f->keys;
	f->keys = (struct ledger_keys){0};
	if (r->identity != NULL) {
		grants_take(r, &f->grants);
		k = access_find(r, err);
		if (k < 0 && !(k == ERR_DENIED && r->opened))
			return k;
		if (k < 0)
			finding_add(r, k,
				    "Access has ended: no grant for this identity is in force "
				    "any more.");
	}
	k = list_for_auditor(r, f, err);
	if (k < 0)
		return k;
	if (time_now() >= r->shown_until)
		r->list_stale = true;
	if (!r->opened && r->days != NULL) {
		list_publish_none(r);
		r->list_stale = true;
	} else if (r->list_stale || !hash_equal(&f->digest, &r->list_digest)) {
		publish_list(r, f);
		*ret_changed = true;
	}
	pins_update(r);
	if (r->opened && r->days != NULL) {
		days_end(r);
		cross_check_unchecked(r);
	}
	r->opened = true;
	return 0;
}

static int
refresh(struct repo *r, bool *ret_changed, struct err *err)
{
	CLEANUP(fetched_fini) struct fetched f = {0};
	int k = fetch_all(r, &f, err);

	if (k < 0)
		return k;
	return publish(r, &f, ret_changed, err);
}

int
repo_refresh(struct repo *r, bool *ret_changed, struct err *err)
{
	bool changed = false;
	int k;

	pthread_mutex_lock(&r->refreshing);
	k = refresh(r, &changed, err);
	early_end(r);
	ledger_batch_free(r);
	pthread_mutex_unlock(&r->refreshing);
	if (ret_changed != NULL)
		*ret_changed = k == 0 && changed;
	return k;
}

/* ---- open and close --------------------------------------------------------------------- */

static struct repo *
repo_new(struct store *store, const char *state)
{
	struct repo *r = mem_alloc(sizeof *r);

	r->store = store;
	r->distant = store_local_path(store) == NULL;
	r->state = state != NULL ? str_copy(state) : NULL;
	pthread_mutex_init(&r->refreshing, NULL);
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

/* Config, trust, then everything else. */
static int
open_all(struct repo *r, struct err *err)
{
	int k;

	early_begin(r);
	k = trust_read_config(r, err);
	if (k < 0)
		return k;
	k = r->identity != NULL ? trust_check_identity(r, err) : trust_check_writer(r, err);
	if (k < 0)
		return k;
	pins_load(r);
	return repo_refresh(r, NULL, err);
}

static int
open_reader(struct store *store, const struct identity *identity, const char *state, bool by_days,
	    struct repo **ret, struct err *err)
{
	CLEANUP(repo_closep) struct repo *r = repo_new(store, state);
	int k;

	*ret = NULL;
	r->by_days = by_days;
	r->identity = identity;
	r->pair = identity->pair;
	r->self = identity->fingerprint;
	k = open_all(r, err);
	if (k < 0)
		return k;
	*ret = steal_ptr(&r);
	return 0;
}

int
repo_open(struct store *store, const struct identity *identity, const char *state,
	  struct repo **ret, struct err *err)
{
	return open_reader(store, identity, state, false, ret, err);
}

int
repo_open_by_days(struct store *store, const struct identity *identity, const char *state,
		  struct repo **ret, struct err *err)
{
	return open_reader(store, identity, state, true, ret, err);
}

int
repo_open_writer(struct store *store, const struct writer_file *writer, const char *state,
		 struct repo **ret, struct err *err)
{
	CLEANUP(repo_closep) struct repo *r = repo_new(store, state);
	int k;

	*ret = NULL;
	if (!writer->enrolled)
		return err_set(
			err, ERR_DENIED,
			"%s isn't enrolled yet: have an admin run `tillfs writer add` with its "
			".pub file, then run `tillfs writer import` with the card",
			writer->path);
	r->writer = writer;
	r->pair = writer->pair;
	r->self = writer->fingerprint;
	r->roster = secret_new(sizeof *r->roster);
	*r->roster = *writer->roster;
	k = open_all(r, err);
	if (k < 0)
		return k;
	*ret = steal_ptr(&r);
	return 0;
}

void
repo_close(struct repo *r)
{
	if (r == NULL)
		return;
	repo_list_put(r->list);
	snapshot_days_free(r->days);
	snapshot_names_fini(&r->remembered);
	free(r->unchecked);
	free(r->heads);
	free(r->chains);
	keys_fini(r);
	names_fini(r);
	findings_fini(r);
	early_end(r);
	pins_fini(&r->pins);
	ledger_keys_fini(&r->ledger_keys);
	ledger_view_fini(&r->ledger);
	repo_config_fini(&r->config);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->refreshing);
	free(r->state);
	free(r);
}

/* ---- what is known ---------------------------------------------------------------------- */

const char *
repo_self_path(const struct repo *r)
{
	return r->identity != NULL ? r->identity->path : r->writer->path;
}

const struct repo_id *
repo_id(const struct repo *r)
{
	return &r->config.repo;
}

struct store *
repo_store(const struct repo *r)
{
	return r->store;
}

const struct ledger_state *
repo_ledger(const struct repo *r)
{
	return &r->ledger.state;
}

const struct seal_key *
repo_roster(const struct repo *r)
{
	return r->roster;
}

const struct fingerprint *
repo_self(const struct repo *r)
{
	return &r->self;
}
