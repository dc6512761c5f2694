/*
 * merge_read.c - what a merge works on: the entries that count, and those that follow the fork.
 *
 * Layer 3.  Format: docs/format.md section 7.2.
 */
#include "merge.h"

#define MERGE_ENTRIES_MAX 65536u

static void
entries_fini(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		ledger_entry_free(e->v[i]);
	free(e->v);
}

void
merging_fini(struct merging *m)
{
	ledger_keys_fini(&m->keys);
	entries_fini(&m->chain);
	entries_fini(&m->branches);
	free(m->kept);
	free(m->heads);
	free(m->decisions);
}

static void
entries_add(struct entries *e, struct ledger_entry *entry)
{
	array_reserve(e->v, e->n, e->cap);
	e->v[e->n++] = entry;
}

/* ---- reading ------------------------------------------------------------------------------ */

static int
read_chain(struct merging *m, struct err *err)
{
	for (uint64_t seq = 1; seq <= m->r->ledger.state.head.seq; seq++) {
		struct ledger_entry *e;
		int k = repo_ledger_entry(m->r, seq, &e, err);

		if (k < 0)
			return k;
		entries_add(&m->chain, e);
	}
	return 0;
}

/* Whether an entry hangs on the last one that counts, directly or not. */
static bool
follows(const struct merging *m, const struct ledger_entry *e)
{
	const struct chain_head *base = &m->r->ledger.state.head;

	if (e->seq == base->seq + 1)
		return hash_equal(&e->prev, &base->id);
	for (size_t i = 0; i < m->branches.n; i++)
		if (hash_equal(&m->branches.v[i]->id, &e->prev))
			return true;
	return false;
}

static int
read_branches(struct merging *m, struct err *err)
{
	for (size_t i = 0; i < m->keys.n; i++) {
		CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
		int k;

		if (m->keys.v[i].seq <= m->r->ledger.state.head.seq)
			continue;
		if (m->branches.n >= MERGE_ENTRIES_MAX)
			return err_set(err, ERR_CORRUPT, "there are too many entries to merge");
		k = ledger_fetch(m->r, &m->keys.v[i], &e, err);
		if (k == ERR_CORRUPT || k == ERR_NOENT)
			continue; /* readers leave it out too */
		if (k < 0)
			return k;
		if (follows(m, e))
			entries_add(&m->branches, steal_ptr(&e));
	}
	return 0;
}

int
merging_read(struct merging *m, struct err *err)
{
	int k = ledger_list(m->r, &m->keys, err);

	if (k == 0)
		k = read_chain(m, err);
	return k == 0 ? read_branches(m, err) : k;
}
