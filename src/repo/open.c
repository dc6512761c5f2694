/*
 * open.c - init, open, refresh, close: in which order things are read, and when they are believed.
 *
 * Config first, against the pinned founder.  Then snapshots' names before the ledger: what a
 * snapshot refers to was there before it.  All is fetched before any of it is published, so that a
 * failure leaves everything as it was.
 *
 * Layer 3.  Format: docs/format.md sections 2 to 4.
 */
#include "internal.h"

#include <inttypes.h>

#define CONFIG_KEY "config"

/* ---- init ------------------------------------------------------------------------------- */

static int
refuse_any(void *arg, const struct store_entry *entry, struct err *err)
{
	const struct store *store = arg;

	if (strcmp(entry->key, CONFIG_KEY) == 0)
		return err_set(err, ERR_EXISTS, "there is a repository at %s already",
			       store_url(store));
	return err_set(err, ERR_EXISTS,
		       "%s isn't empty: there is %s; a repository needs a place of its own",
		       store_url(store), safe(entry->key).s);
}

int
repo_init(struct store *store, struct identity *founder, struct repo_id *ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *roster = secret_new(sizeof *roster);
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct trust_pin pin = {.founder = founder->fingerprint};
	int k;

	*ret = (struct repo_id){0};
	k = store_list(store, "", true, refuse_any, store, err);
	if (k < 0)
		return k;
	seal_random(&pin.repo, sizeof pin.repo);
	seal_random(roster, sizeof *roster);
	config_object_encode(&pin.repo, time_now(), founder->pair, roster, &object);
	k = store_create(store, CONFIG_KEY, buf_slice(&object), err);
	if (k == ERR_EXISTS)
		return err_set(err, k, "there is a repository at %s already", store_url(store));
	if (k < 0)
		return err_add(err, k, "making a repository at %s", store_url(store));
	k = identity_add_pin(founder, &pin, err);
	if (k < 0)
		return err_add(err, k, "the repository was made and can be used, but not its pin");
	*ret = pin.repo;
	return 0;
}

/* ---- trust ------------------------------------------------------------------------------ */

static int
config_read(struct repo *r, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	int k = store_get_all(r->store, CONFIG_KEY, CONFIG_OBJECT_MAX, &bytes, err);

	if (k == ERR_NOENT)
		return err_set(err, k,
			       "there is no tillfs repository at %s (`tillfs init` makes one)",
			       store_url(r->store));
	if (k == 0)
		k = config_object_parse(buf_slice(&bytes), NULL, &r->config, err);
	return k < 0 ? err_add(err, k, "the object `config` of %s", store_url(r->store)) : 0;
}

static int
other_founder(const struct repo *r, const struct fingerprint *trusted, struct err *err)
{
	return err_set(err, ERR_AUTH,
		       "repository %s at %s was founded by %s, but %s trusts %s: it is not the "
		       "repository that it was",
		       hex_bytes(&r->config.repo, sizeof r->config.repo).s, store_url(r->store),
		       hex_short(&r->config.founder.h).s, repo_self_path(r),
		       hex_short(&trusted->h).s);
}

static int
trust_as_identity(const struct repo *r, struct err *err)
{
	const struct fingerprint *pin = identity_pin(r->identity, &r->config.repo);

	if (pin == NULL && hash_equal(&r->self.h, &r->config.founder.h))
		return 0;
	if (pin == NULL)
		return err_set(err, ERR_AUTH,
			       "%s doesn't know who founded repository %s at %s: run `tillfs trust "
			       "import CARD` with the card that came with the grant",
			       repo_self_path(r),
			       hex_bytes(&r->config.repo, sizeof r->config.repo).s,
			       store_url(r->store));
	return hash_equal(&pin->h, &r->config.founder.h) ? 0 : other_founder(r, pin, err);
}

static int
trust_as_writer(const struct repo *r, struct err *err)
{
	const struct trust_pin *pin = &r->writer->card.pin;

	if (memcmp(&pin->repo, &r->config.repo, sizeof pin->repo) != 0)
		return err_set(err, ERR_AUTH,
			       "%s was enrolled in repository %s, but at %s is repository %s",
			       repo_self_path(r), hex_bytes(&pin->repo, sizeof pin->repo).s,
			       store_url(r->store),
			       hex_bytes(&r->config.repo, sizeof r->config.repo).s);
	return hash_equal(&pin->founder.h, &r->config.founder.h)
		       ? 0
		       : other_founder(r, &pin->founder, err);
}

/* Whether the ledger lets this writer make snapshots. */
static int
check_enrolled(struct repo *r, const struct ledger_state *s, struct err *err)
{
	const struct ledger_writer *w = ledger_find_writer(s, &r->writer->card.writer);
	const struct seal_sign_pk *now;

	if (w == NULL || w->n_keys == 0)
		return err_set(err, ERR_DENIED, "%s: the ledger doesn't know the writer %s",
			       repo_self_path(r), r->writer->card.name);
	if (w->revoked)
		return err_set(err, ERR_DENIED, "%s: an admin revoked the writer %s",
			       repo_self_path(r), r->writer->card.name);
	now = &w->keys[w->n_keys - 1].sign_pk;
	if (memcmp(now, &r->pair->sign_pk, sizeof *now) != 0)
		return err_set(err, ERR_DENIED, "%s: the writer %s has other keys now",
			       repo_self_path(r), r->writer->card.name);
	return 0;
}

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
	return check_enrolled(r, &view->state, err);
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
	int k = ledger_list(r, &f->keys, err);
	bool rolled_back, shorter;

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
	int k = snapshots_scan(r, &f->names, err);

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

/* From here on nothing fails for want of the store. */
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
		if (k < 0)
			return k;
	}
	if (r->list_stale || !hash_equal(&f->digest, &r->list_digest)) {
		snapshots_drop_copies(r, &f->names);
		list_publish(r, &f->names);
		r->list_digest = f->digest;
		r->list_stale = false;
		*ret_changed = true;
	}
	pins_update(r);
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
	r->state = state != NULL ? str_copy(state) : NULL;
	pthread_mutex_init(&r->refreshing, NULL);
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

/* Config, trust, then everything else. */
static int
open_all(struct repo *r, struct err *err)
{
	int k = config_read(r, err);

	if (k < 0)
		return k;
	k = r->identity != NULL ? trust_as_identity(r, err) : trust_as_writer(r, err);
	if (k < 0)
		return k;
	pins_load(r);
	return repo_refresh(r, NULL, err);
}

int
repo_open(struct store *store, const struct identity *identity, const char *state,
	  struct repo **ret, struct err *err)
{
	CLEANUP(repo_closep) struct repo *r = repo_new(store, state);
	int k;

	*ret = NULL;
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
	free(r->heads);
	keys_fini(r);
	names_fini(r);
	findings_fini(r);
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
