/*
 * chain.c - a writer's snapshots from its first to the newest that is verified: each is signed,
 * follows the one before it, and none is missing.
 *
 * Layer 4.  Format: docs/format.md section 8.1.
 */
#include <inttypes.h>

#include "internal.h"

static struct verify_snapshot *
find_verified(struct work *w, const struct snapshot_name *name)
{
	for (size_t i = 0; i < w->ret->n_snapshots; i++)
		if (hash_equal(&w->ret->snapshots[i].name.id.h, &name->id.h))
			return &w->ret->snapshots[i];
	return NULL;
}

static bool
is_forgotten(const struct ledger_writer *lw, const struct snapshot_id *id)
{
	for (size_t i = 0; lw != NULL && i < lw->n_forgotten; i++)
		if (hash_equal(&lw->forgotten[i], &id->h))
			return true;
	return false;
}

/* ---- gaps --------------------------------------------------------------------------------- */

/*
 * Numbers first … last aren't there.  The ledger knows forgotten snapshots by id: the one that
 * @after names as its predecessor is known so, and of the others that they are as many.
 */
static void
add_gap(struct work *w, struct verify_writer *vw, uint64_t first, uint64_t last,
	const struct snapshot *after, uint64_t *forgotten_left)
{
	const struct ledger_writer *lw = ledger_find_writer(repo_ledger(w->repo), &vw->id);
	uint64_t n = last - first + 1;
	struct verify_gap gap = {.first = first, .last = last};

	if (n <= *forgotten_left && after != NULL && after->clear.has_prev &&
	    is_forgotten(lw, &after->clear.prev)) {
		gap.forgotten = true;
		*forgotten_left -= n;
	} else {
		vw->ok = false;
		fail(w, ERR_NOENT,
		     "Of %s, snapshots number %" PRIu64 " to %" PRIu64
		     " are missing, and no admin had them forgotten.",
		     vw->name, first, last);
	}
	array_reserve(vw->gaps, vw->n_gaps, vw->cap_gaps);
	vw->gaps[vw->n_gaps++] = gap;
}

/* ---- one link ----------------------------------------------------------------------------- */

/* Notes what a genuine snapshot says of itself. */
static void
note(struct work *w, const struct snapshot *s)
{
	struct verify_snapshot *v = find_verified(w, &s->name);

	if (v == NULL)
		return;
	v->signature_ok = true;
	v->ledger = s->clear.ledger;
	v->has_prev = s->clear.has_prev;
	v->prev = s->clear.prev;
}

/* @before: the listed one before it, or NULL. */
static void
check_link(struct work *w, struct verify_writer *vw, const struct snapshot *s,
	   const struct snapshot_name *before, uint64_t *forgotten_left)
{
	uint64_t expected = before != NULL ? before->seq + 1 : 1;
	struct repo_label label = repo_snapshot_label(w->repo, &s->name);

	if (before != NULL && before->seq == s->name.seq) {
		vw->ok = false;
		fail(w, ERR_AUTH, "Of %s, there are two snapshots number %" PRIu64 ".", vw->name,
		     s->name.seq);
		return;
	}
	if (s->name.seq > expected) {
		add_gap(w, vw, expected, s->name.seq - 1, s, forgotten_left);
		return;
	}
	if (before != NULL && !hash_equal(&before->id.h, &s->clear.prev.h)) {
		vw->ok = false;
		fail(w, ERR_AUTH,
		     "The %s doesn't follow the one with the number before it: it was made from "
		     "another history.",
		     label.s);
		return;
	}
	vw->intact++;
}

static int
check_one(struct work *w, struct verify_writer *vw, const struct snapshot_name *name,
	  const struct snapshot_name *before, uint64_t *forgotten_left, struct err *err)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	int r = repo_snapshot_fetch(w->repo, name, &s, err);

	if (r < 0) {
		vw->ok = false;
		return fail_or_stop(w, r, err);
	}
	note(w, s);
	check_link(w, vw, s, before, forgotten_left);
	return 0;
}

/* ---- the chain ---------------------------------------------------------------------------- */

/* The highest number that is to be verified. */
static uint64_t
last_wanted(const struct work *w, const struct writer_id *id)
{
	uint64_t ret = 0;

	for (size_t i = 0; i < w->ret->n_snapshots; i++)
		if (writer_id_equal(&w->ret->snapshots[i].name.writer, id))
			ret = max_u64(ret, w->ret->snapshots[i].name.seq);
	return ret;
}

int
chain_verify(struct work *w, size_t writer, struct err *err)
{
	struct verify_writer *vw = &w->ret->writers[writer];
	const struct ledger_writer *lw = ledger_find_writer(repo_ledger(w->repo), &vw->id);
	uint64_t last = last_wanted(w, &vw->id);
	uint64_t forgotten_left = lw != NULL ? lw->n_forgotten : 0;
	CLEANUP(freep) struct snapshot_name *names = NULL;
	size_t n;
	int r = 0;

	repo_chain(w->repo, &vw->id, &names, &n);
	vw->head = n > 0 ? names[n - 1].seq : 0;
	w->progress = (struct progress){.stage = "verifying the chain", .files_total = n};
	for (size_t i = 0; r == 0 && i < n && names[i].seq <= last; i++) {
		if (progress_cancelled(&w->options->progress))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = check_one(w, vw, &names[i], i > 0 ? &names[i - 1] : NULL, &forgotten_left, err);
		w->progress.files_done++;
		progress_report(&w->options->progress, &w->progress);
	}
	return r;
}
