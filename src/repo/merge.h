/*
 * merge.h - what merge.c and merge_read.c share.
 *
 * Layer 3.
 */
#ifndef REPO_MERGE_H
#define REPO_MERGE_H

#include "internal.h"

struct entries {
	struct ledger_entry **v;
	size_t n, cap;
};

struct merging {
	struct repo *r;
	struct ledger_keys keys;
	struct entries chain;    /* those that count, in order */
	struct entries branches; /* what follows the fork, ascending by sequence */
	size_t *kept;            /* indices into branches: the kept path, in order */
	size_t n_kept;
	struct hash *heads; /* of the other branches */
	size_t n_heads, cap_heads;
	struct decision *decisions;
	size_t n_decisions, cap_decisions;
};

/* Fills keys, chain and branches. */
MUST_CHECK int merging_read(struct merging *m, struct err *err);
void merging_fini(struct merging *m);

#endif /* REPO_MERGE_H */
