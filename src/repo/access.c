/*
 * access.c - which snapshots an auditor is shown: those that a grant in force opens, no others.
 *
 * A one-off grant names snapshots.  A standing grant names writers and classes, and takes effect
 * with the first snapshot whose writer had read of it (access_probe.c).
 *
 * Layer 3.  Format: docs/format.md sections 7 and 8.4.
 */
#include "internal.h"

/* Admins and writers see all there is. */
bool
access_shows_all(struct repo *r)
{
	return r->identity == NULL || ledger_is_admin(&r->ledger.state, &r->self);
}

bool
repo_is_admin(struct repo *r)
{
	bool ret;

	pthread_mutex_lock(&r->lock);
	ret = r->identity != NULL && ledger_is_admin(&r->ledger.state, &r->self);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static bool
in_force(const struct ledger_grant *g, const struct fingerprint *self, int64_t now)
{
	return !g->ended && hash_equal(&g->fingerprint.h, &self->h) &&
	       (!g->has_expiry || now < g->expiry);
}

const struct ledger_grant *
access_covering(const struct repo *r, const struct writer_id *writer, const char *class_name)
{
	const struct ledger_state *s = &r->ledger.state;
	int64_t now = time_now();

	for (size_t i = 0; r->roster != NULL && i < s->n_grants; i++) {
		bool covers;

		if (in_force(&s->grants[i], &r->self, now) &&
		    ledger_grant_covers(&s->grants[i], r->roster, writer, class_name, &covers,
					NULL) == 0 &&
		    covers)
			return &s->grants[i];
	}
	return NULL;
}

bool
access_covers(struct repo *r, const struct writer_id *writer, const char *class_name)
{
	bool ret;

	pthread_mutex_lock(&r->lock);
	ret = ledger_is_admin(&r->ledger.state, &r->self) ||
	      access_covering(r, writer, class_name) != NULL;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

/* ---- handing keys over ---------------------------------------------------------------------- */

int
repo_hand_over(struct repo *r, struct grant *g, const struct seal_box_pk *grantee,
	       struct hash *ret_id, struct err *err)
{
	CLEANUP(codec_freep) struct codec *codec = codec_new(3);
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	char key[192];
	int k;

	*ret_id = (struct hash){0};
	if (!repo_is_admin(r))
		return err_set(err, ERR_DENIED, "%s: this identity is no admin of the repository",
			       repo_self_path(r));
	g->repo = r->config.repo;
	g->author = r->self;
	g->time = time_now();
	g->roster = *r->roster;
	grant_encode(g, grantee, r->pair, codec, &object);
	seal_hash(object.p, object.len, ret_id);
	grant_key_format(g->reseal, &g->grantee, ret_id, key, sizeof key);
	k = store_create(r->store, key, buf_slice(&object), err);
	return k < 0 ? err_add(err, k, "storing %s", key) : 0;
}
