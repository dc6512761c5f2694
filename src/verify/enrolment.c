/*
 * enrolment.c - which ledger entry gave a writer the keys that signed a snapshot, and by whom.
 *
 * Layer 4.  Format: docs/format.md section 7.
 */
#include "internal.h"

/* The keys that a writer had at a snapshot's number, as the ledger's state has them. */
static const struct ledger_writer_key *
key_at(struct repo *repo, const struct snapshot_name *name)
{
	const struct ledger_writer *w = ledger_find_writer(repo_ledger(repo), &name->writer);

	for (size_t i = w != NULL ? w->n_keys : 0; i-- > 0;)
		if (w->keys[i].from_seq <= name->seq)
			return &w->keys[i];
	return NULL;
}

static void
note(struct verify_snapshot *s, const struct ledger_entry *e, const struct decision *d)
{
	if ((d->type != DECISION_ENROL_WRITER && d->type != DECISION_ROTATE_WRITER) ||
	    !writer_id_equal(&d->writer, &s->name.writer) ||
	    memcmp(&d->sign_pk, &s->sign_pk, sizeof d->sign_pk) != 0)
		return;
	s->enrolled_seq = e->seq;
	s->enrolled_id = e->id;
	s->enrolled_at = e->time;
	s->enrolled_by = e->author;
	s->enrolment_ok = true;
}

int
enrolments_find(struct work *w, struct err *err)
{
	struct verify_result *ret = w->ret;
	uint64_t head = repo_ledger(w->repo)->head.seq;

	for (size_t i = 0; i < ret->n_snapshots; i++) {
		struct verify_snapshot *s = &ret->snapshots[i];
		const struct ledger_writer_key *key = key_at(w->repo, &s->name);

		if (key == NULL)
			continue;
		s->sign_pk = key->sign_pk;
		seal_fingerprint(&key->box_pk, &key->sign_pk, &s->signer);
	}
	for (uint64_t seq = 1; seq <= head; seq++) {
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
		int r = repo_ledger_entry(w->repo, seq, &e, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < ret->n_snapshots; i++)
			for (size_t k = 0; k < e->n_decisions; k++)
				note(&ret->snapshots[i], e, &e->decisions[k]);
	}
	for (size_t i = 0; i < ret->n_snapshots; i++)
		if (!ret->snapshots[i].enrolment_ok)
			fail(w, ERR_AUTH, "No ledger entry enrols the keys of the %s.",
			     repo_snapshot_label(w->repo, &ret->snapshots[i].name).s);
	return 0;
}
