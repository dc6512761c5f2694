/*
 * writer.c - revoking a writer: from which of its snapshots on nothing counts.
 *
 * Layer 4.
 */
#include "internal.h"

static const struct ledger_writer *
find_by_name(struct repo *r, const char *name)
{
	const struct ledger_state *s = repo_ledger(r);
	const struct ledger_writer *ret = NULL;

	/* Of several of one name, all but the last were revoked. */
	for (size_t i = 0; i < s->n_writers; i++)
		if (strcmp(repo_writer_name(r, &s->writers[i].id), name) == 0)
			ret = &s->writers[i];
	return ret;
}

/* The newest that is there and genuine; none is accepted when none is. */
static int
find_newest(struct repo *r, const struct writer_id *id, struct decision *d, struct err *err)
{
	CLEANUP(freep) struct snapshot_name *names = NULL;
	size_t n;

	repo_chain(r, id, &names, &n);
	while (n-- > 0) {
		CLEANUP(snapshot_freep) struct snapshot *s = NULL;
		int k = repo_snapshot_fetch(r, &names[n], &s, err);

		if (k == ERR_CORRUPT || k == ERR_AUTH || k == ERR_NOENT)
			continue;
		if (k < 0)
			return k;
		d->seq = names[n].seq;
		d->id = names[n].id.h;
		d->has_id = true;
		return 0;
	}
	return 0;
}

static int
find_selected(struct repo *r, const struct writer_id *id, const char *last, struct decision *d,
	      struct err *err)
{
	struct snapshot_name name;
	int k = repo_select(r, last, &name, err);

	if (k < 0)
		return k;
	if (!writer_id_equal(&name.writer, id))
		return err_set(err, ERR_INVALID, "%s is not that writer's",
			       repo_snapshot_label(r, &name).s);
	d->seq = name.seq;
	d->id = name.id.h;
	d->has_id = true;
	return 0;
}

int
roles_revoke_writer(struct repo *r, const char *name, const char *last, uint64_t *ret,
		    struct err *err)
{
	const struct ledger_writer *w = find_by_name(r, name);
	struct decision d = {.type = DECISION_REVOKE_WRITER};
	int k = 0;

	*ret = 0;
	if (w == NULL)
		return err_set(err, ERR_NOENT, "there is no writer named %s", name);
	d.writer = w->id;
	if (last == NULL)
		k = find_newest(r, &d.writer, &d, err);
	else if (strcmp(last, "none") != 0)
		k = find_selected(r, &d.writer, last, &d, err);
	if (k == 0)
		k = repo_decide(r, &d, 1, err);
	if (k == 0)
		*ret = d.seq;
	return k;
}
