/*
 * ledger_entry.c - the entries that count, one by one, for who wants to know when and by whom.
 *
 * Layer 3.  Format: docs/format.md section 7.
 */
#include "internal.h"

#include <inttypes.h>

int
repo_ledger_entry(struct repo *r, uint64_t seq, struct ledger_entry **ret, struct err *err)
{
	struct ledger_key key = {.seq = seq};
	bool known;

	*ret = NULL;
	pthread_mutex_lock(&r->lock);
	known = seq >= 1 && seq <= r->ledger.n_chain;
	if (known)
		key.id = r->ledger.chain[seq - 1];
	pthread_mutex_unlock(&r->lock);
	if (!known)
		return err_set(err, ERR_NOENT, "the ledger has no entry %" PRIu64, seq);
	/* Its id is the one that was verified when the ledger was read. */
	return ledger_fetch(r, &key, ret, err);
}
