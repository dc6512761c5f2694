/*
 * apply.c - the next entry changes the state, or is refused and changes nothing.
 *
 * The decisions are made, in their order, on a copy of the lists, whose records share what they
 * own with the old ones; everything that can be refused is refused there.  Then the copy takes the
 * old lists' place, and the sets of hashes, where nothing can be refused, are changed.
 *
 * Layer 2.  Format: docs/format.md section 7.
 */
#include <inttypes.h>

#include "internal.h"

/* One entry being applied. */
struct step {
	const struct ledger_state *before;
	struct ledger_state next; /* records below before's counts share what they own with it */
	const struct ledger_entry *entry;
	struct err *err;
};

static int
refuse(struct step *s, const char *why)
{
	return err_set(s->err, ERR_CORRUPT, "%s", why);
}

static struct buf
owned(struct slice bytes)
{
	struct buf b = BUF_INIT;

	buf_append(&b, bytes.p, bytes.len);
	return b;
}

/* ---- people and writers */

static int
enrol_writer(struct step *s, const struct decision *d)
{
	static const struct writer_id nobody;
	struct ledger_state *n = &s->next;
	struct ledger_writer *w;

	if (writer_id_equal(&d->writer, &nobody))
		return refuse(s, "it enrols a writer without an id");
	if (find_writer(n, &d->writer) != NULL)
		return refuse(s, "it enrols a writer whose id is taken");
	array_reserve(n->writers, n->n_writers, n->cap_writers);
	w = &n->writers[n->n_writers++];
	*w = (struct ledger_writer){.id = d->writer,
				    .n_keys = 1,
				    .name_sealed = owned(d->sealed),
				    .since = s->entry->time};
	w->keys = mem_alloc(sizeof *w->keys);
	w->keys[0] = (struct ledger_writer_key){1, d->box_pk, d->sign_pk};
	return 0;
}

static int
add_admin(struct step *s, const struct decision *d)
{
	struct ledger_state *n = &s->next;
	struct fingerprint f;

	seal_fingerprint(&d->box_pk, &d->sign_pk, &f);
	if (find_admin(n, &f) != NULL)
		return refuse(s, "it adds an admin who is one already");
	if (count_admins(n) >= LEDGER_ADMINS_MAX)
		return refuse(s, "it adds one admin more than a repository can have");
	array_reserve(n->admins, n->n_admins, n->cap_admins);
	n->admins[n->n_admins++] = (struct ledger_admin){.fingerprint = f,
							 .box_pk = d->box_pk,
							 .sign_pk = d->sign_pk,
							 .name_sealed = owned(d->sealed),
							 .roster_box = owned(d->roster_box),
							 .since = s->entry->time};
	return 0;
}

static int
remove_admin(struct step *s, const struct decision *d)
{
	struct ledger_admin *a = find_admin(&s->next, &d->person);

	if (a == NULL)
		return refuse(s, "it removes somebody who is no admin");
	if (count_admins(&s->next) == 1)
		return refuse(s, "it removes the last admin");
	a->removed = true;
	a->removed_at = s->entry->time;
	return 0;
}

static int
revoke_writer(struct step *s, const struct decision *d)
{
	struct ledger_writer *w = find_writer(&s->next, &d->writer);

	if (w == NULL)
		return refuse(s, "it revokes a writer that was never enrolled");
	w->revoked = true;
	w->last_seq = d->seq;
	w->last_id.h = d->id;
	return 0;
}

static int
rotate_writer(struct step *s, const struct decision *d)
{
	struct ledger_writer *w = find_writer(&s->next, &d->writer);
	struct ledger_writer_key *keys;
	size_t i;

	if (w == NULL)
		return refuse(s, "it gives new keys to a writer that was never enrolled");
	if (w->revoked)
		return refuse(s, "it gives new keys to a revoked writer");
	if (d->seq <= w->keys[w->n_keys - 1].from_seq)
		return refuse(s, "it gives a writer new keys from before its latest ones");
	keys = mem_array(w->n_keys + 1, sizeof *keys);
	memcpy(keys, w->keys, w->n_keys * sizeof *keys);
	keys[w->n_keys] = (struct ledger_writer_key){d->seq, d->box_pk, d->sign_pk};
	i = (size_t)(w - s->next.writers);
	if (i >= s->before->n_writers || w->keys != s->before->writers[i].keys)
		free(w->keys);
	w->keys = keys;
	w->n_keys++;
	return 0;
}

/* ---- grants and holds */

static int
standing_grant(struct step *s, const struct decision *d)
{
	struct ledger_state *n = &s->next;
	struct ledger_grant *g;

	if (find_grant(n, d->grant_id) != NULL)
		return refuse(s, "it makes a standing grant whose id is taken");
	array_reserve(n->grants, n->n_grants, n->cap_grants);
	g = &n->grants[n->n_grants++];
	*g = (struct ledger_grant){.box_pk = d->box_pk,
				   .sign_pk = d->sign_pk,
				   .terms_sealed = owned(d->sealed),
				   .roster_box = owned(d->roster_box),
				   .has_expiry = d->has_expiry,
				   .expiry = d->expiry,
				   .since = s->entry->time};
	memcpy(g->id, d->grant_id, sizeof g->id);
	seal_fingerprint(&d->box_pk, &d->sign_pk, &g->fingerprint);
	return 0;
}

static int
end_grant(struct step *s, const struct decision *d)
{
	struct ledger_grant *g = find_grant(&s->next, d->grant_id);

	if (g == NULL || g->ended)
		return refuse(s, "it ends a standing grant that there isn't");
	g->ended = true;
	return 0;
}

static int
hold(struct step *s, const struct decision *d)
{
	struct ledger_state *n = &s->next;
	struct ledger_hold *h;

	if (find_hold(n, d->grant_id) != NULL)
		return refuse(s, "it makes a legal hold whose id is taken");
	array_reserve(n->holds, n->n_holds, n->cap_holds);
	h = &n->holds[n->n_holds++];
	*h = (struct ledger_hold){.terms_sealed = owned(d->sealed), .since = s->entry->time};
	memcpy(h->id, d->grant_id, sizeof h->id);
	return 0;
}

static int
lift_hold(struct step *s, const struct decision *d)
{
	struct ledger_hold *h = find_hold(&s->next, d->grant_id);

	if (h == NULL || h->lifted)
		return refuse(s, "it lifts a legal hold that there isn't");
	h->lifted = true;
	return 0;
}

/* ---- sets */

static int
check_writer(struct step *s, const struct decision *d)
{
	if (find_writer(&s->next, &d->writer) == NULL)
		return refuse(s, "it is about a writer that was never enrolled");
	return 0;
}

/* A summary tells of the state before its entry. */
static int
check_summary(struct step *s, const struct decision *d)
{
	CLEANUP(buf_fini) struct buf state = BUF_INIT;
	struct hash id;

	ledger_state_encode(s->before, &state);
	seal_hash(state.p, state.len, &id);
	if (!hash_equal(&id, &d->id))
		return refuse(s, "its summary doesn't match what was decided before it");
	return 0;
}

/* Whatever check_writer let through. */
static void
change_sets(struct ledger_state *s, const struct decision *d, int64_t now)
{
	struct ledger_writer *w = find_writer(s, &d->writer);

	switch (d->type) {
	case DECISION_FORGET:
		hash_set_add(&w->forgotten, &w->n_forgotten, d->hashes, NULL, 0);
		break;
	case DECISION_RETIRE:
		hash_set_add(&w->retired, &w->n_retired, d->hashes, &w->retired_at, now);
		break;
	case DECISION_REVIVE:
		hash_set_remove(w->retired, &w->n_retired, d->hashes, w->retired_at);
		hash_set_remove(w->deleted, &w->n_deleted, d->hashes, NULL);
		break;
	case DECISION_DELETED:
		/* It stays retired, so that nobody refers to it who hasn't heard. */
		hash_set_add(&w->retired, &w->n_retired, d->hashes, &w->retired_at, now);
		hash_set_add(&w->deleted, &w->n_deleted, d->hashes, NULL, 0);
		hash_set_remove(w->damaged, &w->n_damaged, d->hashes, NULL);
		break;
	case DECISION_DAMAGED:
		hash_set_add(&w->damaged, &w->n_damaged, d->hashes, NULL, 0);
		break;
	case DECISION_MERGE:
		hash_set_add(&s->merged, &s->n_merged, d->hashes, NULL, 0);
		break;
	default:
		break;
	}
}

/* ---- the entry */

static int
decide(struct step *s, const struct decision *d)
{
	switch (d->type) {
	case DECISION_ENROL_WRITER:
		return enrol_writer(s, d);
	case DECISION_ADD_ADMIN:
		return add_admin(s, d);
	case DECISION_REMOVE_ADMIN:
		return remove_admin(s, d);
	case DECISION_REVOKE_WRITER:
		return revoke_writer(s, d);
	case DECISION_ROTATE_WRITER:
		return rotate_writer(s, d);
	case DECISION_STANDING_GRANT:
		return standing_grant(s, d);
	case DECISION_END_GRANT:
		return end_grant(s, d);
	case DECISION_FORGET:
	case DECISION_RETIRE:
	case DECISION_REVIVE:
	case DECISION_DELETED:
	case DECISION_DAMAGED:
		return check_writer(s, d);
	case DECISION_HOLD:
		return hold(s, d);
	case DECISION_LIFT_HOLD:
		return lift_hold(s, d);
	case DECISION_MERGE:
		return 0;
	case DECISION_SUMMARY:
		return check_summary(s, d);
	}
	return err_set(s->err, ERR_UNSUPPORTED, "decision type %d", (int)d->type);
}

/* Chain, author, signature (I-11). */
static int
check_entry(const struct ledger_state *s, const struct ledger_entry *e, struct err *err)
{
	const struct ledger_admin *author;

	if (memcmp(e->repo.b, s->repo.b, sizeof s->repo.b) != 0)
		return err_set(err, ERR_CORRUPT, "it belongs to another repository, %s",
			       hex_bytes(e->repo.b, sizeof e->repo.b).s);
	if (e->seq != s->head.seq + 1)
		return err_set(err, ERR_CORRUPT, "it doesn't follow entry %" PRIu64, s->head.seq);
	if (!hash_equal(&e->prev, &s->head.id))
		return err_set(err, ERR_CORRUPT, "it names %s as the entry before it, which is %s",
			       hex_short(&e->prev).s, hex_short(&s->head.id).s);
	author = find_admin(s, &e->author);
	if (author == NULL)
		return err_set(err, ERR_AUTH, "its author %s is no admin",
			       hex_short(&e->author.h).s);
	return object_verify(&ledger_kind, e->signed_bytes, e->signature, &author->sign_pk, err);
}

static void
begin(struct step *s)
{
	const struct ledger_state *b = s->before;
	struct ledger_state *n = &s->next;

	*n = *b;
	n->admins = mem_copy(b->admins, b->n_admins * sizeof *b->admins);
	n->writers = mem_copy(b->writers, b->n_writers * sizeof *b->writers);
	n->grants = mem_copy(b->grants, b->n_grants * sizeof *b->grants);
	n->holds = mem_copy(b->holds, b->n_holds * sizeof *b->holds);
	n->cap_admins = n->n_admins;
	n->cap_writers = n->n_writers;
	n->cap_grants = n->n_grants;
	n->cap_holds = n->n_holds;
}

static void
free_lists(struct ledger_state *s)
{
	free(s->admins);
	free(s->writers);
	free(s->grants);
	free(s->holds);
}

/* Frees what only the copy owns: new records, and new arrays of keys. */
static void
abandon(struct step *s)
{
	const struct ledger_state *b = s->before;
	struct ledger_state *n = &s->next;

	for (size_t i = b->n_admins; i < n->n_admins; i++)
		admin_fini(&n->admins[i]);
	for (size_t i = b->n_writers; i < n->n_writers; i++)
		writer_fini(&n->writers[i]);
	for (size_t i = b->n_grants; i < n->n_grants; i++)
		grant_fini(&n->grants[i]);
	for (size_t i = b->n_holds; i < n->n_holds; i++)
		hold_fini(&n->holds[i]);
	for (size_t i = 0; i < b->n_writers; i++)
		if (n->writers[i].keys != b->writers[i].keys)
			free(n->writers[i].keys);
	free_lists(n);
}

static void
commit(struct step *s, struct ledger_state *state)
{
	const struct ledger_entry *e = s->entry;

	for (size_t i = 0; i < state->n_writers; i++)
		if (s->next.writers[i].keys != state->writers[i].keys)
			free(state->writers[i].keys);
	free_lists(state);
	*state = s->next;
	for (size_t i = 0; i < e->n_decisions; i++)
		change_sets(state, &e->decisions[i], e->time);
	state->head.seq = e->seq;
	state->head.id = e->id;
}

int
ledger_apply(struct ledger_state *s, const struct ledger_entry *e, struct err *err)
{
	struct step step = {.before = s, .entry = e, .err = err};
	int r;

	r = check_entry(s, e, err);
	if (r < 0)
		return err_add(err, r, "ledger entry %" PRIu64, e->seq);
	begin(&step);
	for (size_t i = 0; i < e->n_decisions; i++) {
		r = decide(&step, &e->decisions[i]);
		if (r < 0) {
			abandon(&step);
			return err_add(err, r, "ledger entry %" PRIu64 ", decision %zu", e->seq,
				       i + 1);
		}
	}
	commit(&step, s);
	return 0;
}
