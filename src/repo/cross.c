/*
 * cross.c - what a snapshot's signed part says about the rest of the repository.
 *
 * Its writer had seen a ledger entry and other writers' snapshots.  If the store doesn't show them,
 * it withholds them.  They may also merely be newer than what was read here: the store is asked
 * again before that is said.
 *
 * Layer 3.  Format: docs/format.md section 8.1.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>

enum verdict { AS_SEEN, OTHER_ID, NOT_SEEN };

static enum verdict
judge_ledger(struct repo *r, const struct chain_head *seen)
{
	enum verdict ret = NOT_SEEN;

	pthread_mutex_lock(&r->lock);
	if (seen->seq == 0)
		ret = AS_SEEN;
	else if (seen->seq <= r->ledger.n_chain)
		ret = hash_equal(&r->ledger.chain[seen->seq - 1], &seen->id) ? AS_SEEN : OTHER_ID;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static void
check_ledger(struct repo *r, const struct chain_head *seen)
{
	enum verdict v = judge_ledger(r, seen);
	char text[ERR_MESSAGE_MAX];
	uint64_t size;

	if (v == AS_SEEN)
		return;
	(void)snprintf(text, sizeof text,
		       "The ledger's entry %" PRIu64
		       " (%s), which snapshots refer to, is not there%s.",
		       seen->seq, hex_short(&seen->id).s,
		       v == NOT_SEEN ? ": the storage withholds entries or was rolled back"
				     : ", but another of that number is");
	if (finding_is_known(r, text))
		return;
	/* It is in the store: newer than what was read here, or on a branch that doesn't count. */
	if (store_size(r->store, ledger_key_format(seen->seq, &seen->id).s, &size, NULL) ==
	    ERR_NOENT)
		finding_add(r, ERR_AUTH, "%s", text);
}

static enum verdict
judge_writer(struct repo *r, const struct chain_head *seen)
{
	const struct ledger_writer *w;
	const struct chain_head *head = NULL;
	struct snapshot_id id = {seen->id};
	enum verdict ret = AS_SEEN;

	pthread_mutex_lock(&r->lock);
	w = ledger_find_writer(&r->ledger.state, &seen->writer);
	for (size_t i = 0; i < r->n_heads && head == NULL; i++)
		if (writer_id_equal(&r->heads[i].writer, &seen->writer))
			head = &r->heads[i];
	/* An unknown writer is the ledger's matter; deleting follows forgetting. */
	if (w == NULL || snapshot_is_forgotten(w, &id) ||
	    ledger_writer_key_at(w, seen->seq) == NULL)
		ret = AS_SEEN;
	else if (head == NULL || head->seq < seen->seq)
		ret = NOT_SEEN;
	else if (head->seq == seen->seq && !hash_equal(&head->id, &seen->id))
		ret = OTHER_ID;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

struct finder {
	const struct chain_head *wanted;
	bool found;
};

static int
find_one(void *arg, const struct store_entry *entry, struct err *err)
{
	struct finder *f = arg;
	struct snapshot_name name;

	(void)err; /* never fails */
	if (snapshot_key_parse(entry->key, &name) && name.seq == f->wanted->seq &&
	    hash_equal(&name.id.h, &f->wanted->id))
		f->found = true;
	return 0;
}

/* Whether this reader is shown anything of a writer: an auditor isn't told of the others. */
static bool
is_shown(struct repo *r, const struct writer_id *writer)
{
	CLEANUP(repo_list_putp) struct repo_list *l = NULL;
	bool ret = r->identity == NULL || repo_is_admin(r);

	if (ret)
		return true;
	l = repo_list_get(r);
	for (size_t i = 0; i < l->n && !ret; i++)
		ret = writer_id_equal(&l->snapshots[i].name.writer, writer);
	return ret;
}

static void
check_writer(struct repo *r, const struct chain_head *seen)
{
	enum verdict v = judge_writer(r, seen);
	struct finder f = {.wanted = seen};
	char text[ERR_MESSAGE_MAX];
	char prefix[96];

	if (v == AS_SEEN || !is_shown(r, &seen->writer))
		return;
	(void)snprintf(text, sizeof text,
		       "Snapshot number %" PRIu64 " of %s (%s), which other snapshots refer to, is "
		       "not there%s.",
		       seen->seq, repo_writer_name(r, &seen->writer), hex_short(&seen->id).s,
		       v == NOT_SEEN ? ": the storage withholds snapshots or was rolled back"
				     : ", but another of that number is");
	if (finding_is_known(r, text))
		return;
	(void)snprintf(prefix, sizeof prefix, "snapshots/%s/",
		       hex_bytes(&seen->writer, sizeof seen->writer).s);
	if (store_list(r->store, prefix, false, find_one, &f, NULL) == 0 && !f.found)
		finding_add(r, ERR_AUTH, "%s", text);
}

/* Until the snapshots are listed nothing can be said of them.  Return: whether that is so. */
static bool
put_off(struct repo *r, const struct snapshot *s)
{
	bool ret;

	pthread_mutex_lock(&r->lock);
	ret = r->days != NULL;
	for (size_t i = 0; ret && i < s->clear.n_heads; i++) {
		if (writer_id_equal(&s->clear.heads[i].writer, &s->clear.writer))
			continue;
		array_reserve(r->unchecked, r->n_unchecked, r->cap_unchecked);
		r->unchecked[r->n_unchecked++] = s->clear.heads[i];
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void
cross_check_unchecked(struct repo *r)
{
	CLEANUP(freep) struct chain_head *heads = NULL;
	size_t n;

	pthread_mutex_lock(&r->lock);
	heads = steal_ptr(&r->unchecked);
	n = r->n_unchecked;
	r->n_unchecked = r->cap_unchecked = 0;
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < n; i++)
		check_writer(r, &heads[i]);
}

void
cross_check(struct repo *r, const struct snapshot *s)
{
	check_ledger(r, &s->clear.ledger);
	if (put_off(r, s))
		return;
	for (size_t i = 0; i < s->clear.n_heads; i++)
		if (!writer_id_equal(&s->clear.heads[i].writer, &s->clear.writer))
			check_writer(r, &s->clear.heads[i]);
}
