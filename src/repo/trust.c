/*
 * trust.c - whom to believe: the founder pinned in a key file, and what the ledger says of a
 * writer.
 *
 * Layer 3.  Format: docs/format.md sections 3 and 4, I-3.
 */
#include "internal.h"

int
trust_read_config(struct repo *r, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	int k;

	if (!early_config(r, &bytes, &k, err))
		k = store_get_all(r->store, CONFIG_KEY, CONFIG_OBJECT_MAX, &bytes, err);

	if (k == ERR_NOENT)
		return err_set(err, k,
			       "there is no tillfs repository at %s (`tillfs init` makes one in an "
			       "empty store; if there was one, its `config` object is missing: "
			       "bring it back from a copy)",
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

int
trust_check_identity(const struct repo *r, struct err *err)
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

int
trust_check_writer(const struct repo *r, struct err *err)
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
int
trust_check_enrolled(struct repo *r, const struct ledger_state *s, struct err *err)
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
