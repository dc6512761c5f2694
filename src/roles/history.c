/*
 * history.c - by whose decision somebody is an admin, a writer or an auditor: found by walking the
 * entries that made the ledger's state.
 *
 * Layer 4.  Format: docs/format.md section 7.
 */
#include "internal.h"

struct walk {
	const struct ledger_state *s;
	struct roles_history *h;
	struct roles_deed deed; /* of the entry in hand */
};

/* The first record of that person that this isn't known of yet: who was added twice has two. */
static void
note_admin(struct walk *w, const struct fingerprint *who, struct roles_deed *deeds, bool removed)
{
	for (size_t i = 0; i < w->s->n_admins; i++)
		if (hash_equal(&w->s->admins[i].fingerprint.h, &who->h) && deeds[i].entry == 0 &&
		    w->s->admins[i].name_sealed.len + (removed ? 1u : 0u) > 0) {
			deeds[i] = w->deed;
			return;
		}
}

static void
note_writer(struct walk *w, const struct writer_id *id, struct roles_deed *deeds)
{
	for (size_t i = 0; i < w->s->n_writers; i++)
		if (writer_id_equal(&w->s->writers[i].id, id))
			deeds[i] = w->deed;
}

static void
note_grant(struct walk *w, const uint8_t *id, struct roles_deed *deeds)
{
	for (size_t i = 0; i < w->s->n_grants; i++)
		if (memcmp(w->s->grants[i].id, id, GRANT_ID_LEN) == 0)
			deeds[i] = w->deed;
}

static void
note(struct walk *w, const struct decision *d)
{
	struct roles_history *h = w->h;
	struct fingerprint who;

	switch (d->type) {
	case DECISION_ADD_ADMIN:
		seal_fingerprint(&d->box_pk, &d->sign_pk, &who);
		note_admin(w, &who, h->admin_added, false);
		break;
	case DECISION_REMOVE_ADMIN:
		note_admin(w, &d->person, h->admin_removed, true);
		break;
	case DECISION_ENROL_WRITER:
		note_writer(w, &d->writer, h->writer_enrolled);
		break;
	case DECISION_ROTATE_WRITER:
		note_writer(w, &d->writer, h->writer_rotated);
		break;
	case DECISION_REVOKE_WRITER:
		note_writer(w, &d->writer, h->writer_revoked);
		break;
	case DECISION_STANDING_GRANT:
		note_grant(w, d->grant_id, h->grant_made);
		break;
	case DECISION_END_GRANT:
		note_grant(w, d->grant_id, h->grant_ended);
		break;
	default:
		break;
	}
}

static struct roles_deed *
deeds_new(size_t n)
{
	return mem_alloc((n + 1) * sizeof(struct roles_deed));
}

int
roles_history_read(struct repo *r, struct roles_history *ret, struct err *err)
{
	struct walk w = {.s = repo_ledger(r), .h = ret};

	*ret = (struct roles_history){
		.admin_added = deeds_new(w.s->n_admins),
		.admin_removed = deeds_new(w.s->n_admins),
		.writer_enrolled = deeds_new(w.s->n_writers),
		.writer_rotated = deeds_new(w.s->n_writers),
		.writer_revoked = deeds_new(w.s->n_writers),
		.grant_made = deeds_new(w.s->n_grants),
		.grant_ended = deeds_new(w.s->n_grants),
	};
	for (uint64_t seq = 1; seq <= w.s->head.seq; seq++) {
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
		int k = repo_ledger_entry(r, seq, &e, err);

		if (k < 0) {
			roles_history_fini(ret);
			return k;
		}
		w.deed = (struct roles_deed){seq, e->time, e->author};
		for (size_t i = 0; i < e->n_decisions; i++)
			note(&w, &e->decisions[i]);
	}
	return 0;
}

void
roles_history_fini(struct roles_history *h)
{
	free(h->admin_added);
	free(h->admin_removed);
	free(h->writer_enrolled);
	free(h->writer_rotated);
	free(h->writer_revoked);
	free(h->grant_made);
	free(h->grant_ended);
	*h = (struct roles_history){0};
}
