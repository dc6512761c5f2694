/*
 * internal.h - what the rooms of verify share.
 *
 *	verify.c     what is meant, and the order of things
 *	chain.c      a writer's snapshots from its first on: signatures, order, gaps
 *	enrolment.c  which ledger entry gave a writer its keys
 *	schedule.c   days without a snapshot
 *	statement.c  the result in words and as JSON
 *
 * Layer 4.
 */
#ifndef VERIFY_INTERNAL_H
#define VERIFY_INTERNAL_H

#include "tillfs/verify.h"

struct work {
	struct repo *repo;
	struct reader *reader;
	const struct verify_options *options;
	struct verify_result *ret;
	struct progress progress;
};

/* Tells a failure. */
void fail(struct work *w, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* What an error means: told, it goes on (0); or it is why verifying can't go on. */
MUST_CHECK int fail_or_stop(struct work *w, int code, const struct err *err);

/* Fills a writer, and what its chain says of each of its verified snapshots. */
MUST_CHECK int chain_verify(struct work *w, size_t writer, struct err *err);
MUST_CHECK int enrolments_find(struct work *w, struct err *err);
void schedule_apply(const struct work *w, struct verify_writer *writer);

#endif /* VERIFY_INTERNAL_H */
