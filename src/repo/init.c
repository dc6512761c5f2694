/*
 * init.c - make a repository: a config in an empty store.
 *
 * Layer 3.  Format: docs/format.md section 4.
 */
#include "internal.h"

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
