/*
 * access.c - which snapshots an auditor is shown: those that a grant in force opens, no others.
 *
 * A one-off grant names snapshots.  A standing grant names writers and classes, and takes effect
 * with the first snapshot whose writer had read of it: that one is found by trying, starting where
 * the clocks say, since from there on all of them open.
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

/* The earliest standing grant in force that covers it, or NULL.  @class_name: NULL for any. */
static const struct ledger_grant *
find_covering(const struct repo *r, const struct writer_id *writer, const char *class_name)
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
	      find_covering(r, writer, class_name) != NULL;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

/* ---- where a standing grant begins --------------------------------------------------------- */

/* Return: 1 when a class of it is sealed to this identity, 0, or why that isn't known. */
static int
opens(struct repo *r, const struct snapshot_name *name)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	CLEANUP(seal_key_wipe) struct seal_key key = {0};
	int k = snapshot_fetch(r, name, &s, NULL);

	if (k < 0)
		return k;
	for (size_t i = 1; i < s->n_parts; i++)
		if (snapshot_part_key(s, i, r->pair, &key, NULL) == 0)
			return 1;
	return 0;
}

static const struct standing_start *
known_start(const struct repo *r, const struct writer_id *writer, int64_t since)
{
	for (size_t i = 0; i < r->n_starts; i++)
		if (writer_id_equal(&r->starts[i].writer, writer) && r->starts[i].since == since)
			return &r->starts[i];
	return NULL;
}

static void
remember_start(struct repo *r, const struct writer_id *writer, int64_t since, uint64_t seq)
{
	array_reserve(r->starts, r->n_starts, r->cap_starts);
	r->starts[r->n_starts++] = (struct standing_start){*writer, since, seq};
}

/* The first of @names that opens, when none before it does; @guess is right nearly always. */
static size_t
search_start(struct repo *r, const struct snapshot_name *names, size_t n, size_t guess,
	     bool *ret_certain)
{
	size_t lo = 0, hi = n;
	int k = guess > 0 ? opens(r, &names[guess - 1]) : 0;

	*ret_certain = true;
	if (k == 0)
		lo = guess;
	else if (k == 1)
		hi = guess - 1;
	if (k == 0 && guess < n) {
		k = opens(r, &names[guess]);
		if (k == 1)
			return guess;
		lo = guess + 1;
	}
	while (k >= 0 && lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		k = opens(r, &names[mid]);
		if (k == 1)
			hi = mid;
		else
			lo = mid + 1;
	}
	*ret_certain = k >= 0;
	return k < 0 ? guess : lo;
}

size_t
access_standing_start(struct repo *r, const struct writer_id *writer,
		      const struct snapshot_name *names, size_t n)
{
	const struct ledger_grant *g = find_covering(r, writer, NULL);
	const struct standing_start *known;
	size_t guess = 0, ret;
	bool certain;

	if (g == NULL || n == 0)
		return n;
	known = known_start(r, writer, g->since);
	while (guess < n &&
	       (known != NULL ? names[guess].seq < known->seq : names[guess].time < g->since))
		guess++;
	if (known != NULL)
		return guess;
	ret = search_start(r, names, n, guess, &certain);
	if (certain && ret < n)
		remember_start(r, writer, g->since, names[ret].seq);
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
