/*
 * revoke.c - ending grants: standing ones in the ledger; of others the object goes, and with it the
 * keys of every client that doesn't cheat.
 *
 * Layer 4.
 */
#include "internal.h"

#include <stdio.h>

#define ID_PREFIX_MIN 4u

static bool
is_meant(const struct roles_grant *g, const char *id, const char *case_ref)
{
	if (id != NULL)
		return strncmp(g->id, id, strlen(id)) == 0;
	return !g->opaque && strcmp(g->cover.case_ref, case_ref) == 0;
}

static int
end_one(struct repo *r, const struct roles_grant *g, struct err *err)
{
	struct decision d = {.type = DECISION_END_GRANT};
	char key[192];
	int k;

	if (g->standing) {
		if (!hex_parse(slice_str(g->id), d.grant_id, sizeof d.grant_id))
			return err_set(err, ERR_INVALID, "%s is no standing grant", g->id);
		return repo_decide(r, &d, 1, err);
	}
	(void)snprintf(key, sizeof key, "grants/%s/%s", hex(&g->grantee.h).s, g->id);
	k = store_remove(repo_store(r), key, err);
	return k < 0 ? err_add(err, k, "deleting %s", key) : 0;
}

/* An ended one needs no ending; a deleted one isn't listed. */
static bool
can_end(const struct roles_grant *g)
{
	return !(g->standing && g->ended);
}

int
roles_revoke(struct repo *r, const char *id, const char *case_ref, size_t *ret_n, struct err *err)
{
	CLEANUP(roles_grants_fini) struct roles_grants all = {0};
	size_t meant = 0;
	int k = 0;

	*ret_n = 0;
	if (!repo_is_admin(r))
		return err_set(err, ERR_DENIED, "only an admin can revoke a grant");
	if (id != NULL && strlen(id) < ID_PREFIX_MIN)
		return err_set(err, ERR_INVALID, "give at least %u digits of the grant's id",
			       ID_PREFIX_MIN);
	k = roles_grants_list(r, &all, err);
	if (k < 0)
		return k;
	for (size_t i = 0; i < all.n; i++)
		meant += is_meant(&all.v[i], id, case_ref) && can_end(&all.v[i]);
	if (meant == 0)
		return err_set(err, ERR_NOENT, "there is no grant in force %s%s",
			       id != NULL ? "whose id starts with " : "in the case ",
			       id != NULL ? id : case_ref);
	if (id != NULL && meant > 1)
		return err_set(err, ERR_INVALID, "%s is the start of %zu grants' ids", id, meant);
	for (size_t i = 0; i < all.n && k == 0; i++)
		if (is_meant(&all.v[i], id, case_ref) && can_end(&all.v[i])) {
			k = end_one(r, &all.v[i], err);
			*ret_n += k == 0;
		}
	return k;
}
