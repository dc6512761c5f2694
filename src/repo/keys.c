/*
 * keys.c - what this identity can open: the roster key, its own boxes, and the keys that came to it
 * in grants and reseals.
 *
 * An admin and an auditor with a standing grant open boxes sealed to themselves; an auditor with a
 * one-off grant, and an admin who was added later, also have keys of parts and sections sealed to
 * them in objects of their own.
 *
 * Layer 3.  Format: docs/format.md sections 3, 7 and 8.4.
 */
#include "internal.h"

static const struct ledger_admin *
find_admin(const struct ledger_state *s, const struct fingerprint *f)
{
	for (size_t i = 0; i < s->n_admins; i++)
		if (!s->admins[i].removed && hash_equal(&s->admins[i].fingerprint.h, &f->h))
			return &s->admins[i];
	return NULL;
}

/* The standing grant of this identity that lasts longest, or NULL. */
static const struct ledger_grant *
find_standing(const struct ledger_state *s, const struct fingerprint *f, int64_t *ret_until)
{
	const struct ledger_grant *ret = NULL;

	*ret_until = 0;
	for (size_t i = 0; i < s->n_grants; i++) {
		const struct ledger_grant *g = &s->grants[i];
		int64_t until = g->has_expiry ? g->expiry : INT64_MAX;

		if (g->ended || !hash_equal(&g->fingerprint.h, &f->h) || until <= *ret_until)
			continue; /* one that expired is found too, and says so */
		ret = g;
		*ret_until = until;
	}
	return ret;
}

static int
open_roster_box(struct repo *r, struct slice box, struct err *err)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	int k;

	if (r->roster != NULL)
		return 0;
	k = seal_box_open(r->pair, box, &plain, err);
	if (k < 0)
		return err_add(err, k, "the roster key sealed to this identity");
	if (plain.len != sizeof *r->roster)
		return err_set(err, ERR_CORRUPT,
			       "the roster key sealed to this identity has %zu bytes, not %zu",
			       plain.len, sizeof *r->roster);
	r->roster = secret_new(sizeof *r->roster);
	memcpy(r->roster, plain.p, plain.len);
	return 0;
}

static void
set_pair_until(struct repo *r, int64_t until)
{
	pthread_mutex_lock(&r->lock);
	r->pair_until = until;
	pthread_mutex_unlock(&r->lock);
}

static int
denied(struct repo *r, struct err *err)
{
	const char *more = r->ledger.broken != NULL
				   ? "; but not all of the ledger can be read, see the findings"
				   : "";

	if (r->expired_at != 0)
		return err_set(err, ERR_DENIED,
			       "%s: what was granted to this identity (fingerprint %s) expired at "
			       "%s: ask an admin%s",
			       repo_self_path(r), hex_short(&r->self.h).s,
			       time_format_rfc3339(r->expired_at).s, more);
	return err_set(err, ERR_DENIED,
		       "%s: this identity (fingerprint %s) is no admin of repository %s and has no "
		       "grant in it that is in force: ask an admin for one%s",
		       repo_self_path(r), hex_short(&r->self.h).s,
		       hex_bytes(&r->config.repo, sizeof r->config.repo).s, more);
}

int
access_find(struct repo *r, struct err *err)
{
	const struct ledger_state *s = &r->ledger.state;
	const struct ledger_admin *admin = find_admin(s, &r->self);
	const struct ledger_grant *standing;
	int64_t until;

	if (admin != NULL) {
		bool founder = hash_equal(&r->self.h, &r->config.founder.h);

		set_pair_until(r, INT64_MAX);
		return open_roster_box(
			r, buf_slice(founder ? &r->config.roster_box : &admin->roster_box), err);
	}
	standing = find_standing(s, &r->self, &until);
	set_pair_until(r, until);
	if (standing != NULL && until > time_now())
		return open_roster_box(r, buf_slice(&standing->roster_box), err);
	if (standing != NULL && until > r->expired_at)
		r->expired_at = until;
	/* The roster came with a one-off grant, if there is one. */
	return r->parts.n > 0 && r->roster != NULL ? 0 : denied(r, err);
}

bool
access_by_pair(struct repo *r)
{
	bool ret;

	pthread_mutex_lock(&r->lock);
	ret = r->pair_until > time_now();
	pthread_mutex_unlock(&r->lock);
	return ret;
}

/* Where the keys of (@of, @ordinal) are, or belong. */
static size_t
held_position(const struct held_keys *h, const struct hash *of, uint32_t ordinal)
{
	struct held_key wanted = {.of = *of, .ordinal = ordinal, .until = INT64_MAX};
	size_t lo = 0, hi = h->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (held_key_cmp(&h->v[mid], &wanted) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The key of (@of, @ordinal) that may still be used, or NULL. */
static const struct held_key *
held_find(const struct held_keys *h, const struct hash *of, uint32_t ordinal)
{
	size_t i = held_position(h, of, ordinal);

	if (i == h->n || !hash_equal(&h->v[i].of, of) || h->v[i].ordinal != ordinal ||
	    h->v[i].until <= time_now())
		return NULL;
	return &h->v[i];
}

static bool
held_copy(struct repo *r, const struct held_keys *held, const struct hash *of, uint32_t ordinal,
	  struct seal_key *ret)
{
	const struct held_key *key;

	pthread_mutex_lock(&r->lock);
	key = held_find(held, of, ordinal);
	if (key != NULL)
		*ret = key->key;
	pthread_mutex_unlock(&r->lock);
	return key != NULL;
}

bool
held_part_key(struct repo *r, const struct snapshot_id *id, uint32_t ordinal, struct seal_key *ret)
{
	return held_copy(r, &r->parts, &id->h, ordinal, ret);
}

/* Whether a grant in force opens any part of a snapshot. */
bool
held_any_part(struct repo *r, const struct snapshot_id *id)
{
	int64_t now = time_now();
	bool ret = false;

	pthread_mutex_lock(&r->lock);
	for (size_t i = held_position(&r->parts, &id->h, 0);
	     i < r->parts.n && hash_equal(&r->parts.v[i].of, &id->h) && !ret; i++)
		ret = r->parts.v[i].until > now;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

int
repo_section_key(struct repo *r, const struct pack_header *h, const struct pack_id *pack,
		 uint32_t ordinal, struct seal_key *ret, struct err *err)
{
	struct hash found;

	if (ordinal >= h->n_sections)
		return err_set(err, ERR_CORRUPT, "pack %s has %u sections, and none of number %u",
			       hex(&pack->h).s, h->n_sections, ordinal);
	if (access_by_pair(r)) {
		int k = pack_section_key(h, ordinal, r->pair, ret, err);

		if (k == 0)
			return 0;
		if (k != ERR_DENIED)
			return err_add(err, k, "pack %s", hex(&pack->h).s);
	}
	if (!held_copy(r, &r->sections, &pack->h, ordinal, ret))
		return err_set(err, ERR_DENIED,
			       "pack %s: section %u isn't sealed to this identity, and no grant in "
			       "force covers it",
			       hex(&pack->h).s, ordinal);
	/* The encryption doesn't commit to its key; its hash does (I-6). */
	pack_key_hash(ret, &found);
	if (!hash_equal(&found, &h->sections[ordinal].key_hash)) {
		seal_key_wipe(ret);
		return err_set(err, ERR_CORRUPT,
			       "pack %s: the granted key is not that of section %u",
			       hex(&pack->h).s, ordinal);
	}
	return 0;
}

int64_t
keys_end(struct repo *r)
{
	int64_t now = time_now(), ret = INT64_MAX;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->parts.n; i++)
		if (r->parts.v[i].until > now && r->parts.v[i].until < ret)
			ret = r->parts.v[i].until;
	for (size_t i = 0; i < r->ledger.state.n_grants; i++) {
		const struct ledger_grant *g = &r->ledger.state.grants[i];

		if (g->has_expiry && g->expiry > now && g->expiry < ret)
			ret = g->expiry;
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void
keys_fini(struct repo *r)
{
	secret_free(r->parts.v);
	secret_free(r->sections.v);
	secret_free(r->roster);
	free(r->known_grants);
	free(r->starts);
}
