/*
 * verify.h - what can be proven of snapshots: who signed them, that an admin enrolled that writer,
 * where they stand in the writer's chain, and that every byte they reach is the one signed for.
 *
 * What is missing is listed beside it: numbers of the chain that the store doesn't show, and days
 * of a schedule without a snapshot.
 *
 * Layer 4: uses repo, reader, check.
 */
#ifndef TILLFS_VERIFY_H
#define TILLFS_VERIFY_H

#include "tillfs/base.h"
#include "tillfs/reader.h"
#include "tillfs/repo.h"

/* Which business dates ought to have a snapshot. */
enum verify_schedule {
	SCHEDULE_NONE,
	SCHEDULE_DAILY,    /* each */
	SCHEDULE_WEEKDAYS, /* Monday to Friday */
	SCHEDULE_WEEKLY,   /* one in each week from Monday to Sunday */
};

struct verify_options {
	enum verify_schedule schedule;
	struct progress_sink progress;
	/* Called for each failure with a whole sentence, as it is found; may be NULL. */
	void (*found)(void *arg, int code, const char *sentence);
	void *found_arg;
};

/* Numbers of a writer's chain, both included, that the store doesn't show. */
struct verify_gap {
	uint64_t first, last;
	bool forgotten; /* the ledger says that snapshots were forgotten: not a failure */
};

/* Business dates, both included, without a snapshot although the schedule wants one. */
struct verify_missed {
	struct date first, last;
};

/* A writer of whom something was verified, and its whole chain. */
struct verify_writer {
	struct writer_id id;
	char *name;
	uint64_t head;   /* number of its newest snapshot in the store */
	uint64_t intact; /* snapshots up to the newest verified one whose signature holds and that
			    name the one before them */
	struct verify_gap *gaps;
	size_t n_gaps, cap_gaps;
	struct verify_missed *missed; /* from its first snapshot to its newest, or to yesterday */
	size_t n_missed, cap_missed;
	bool ok; /* the chain holds, and nothing is missing that nobody had forgotten */
};

/* One verified snapshot. */
struct verify_snapshot {
	struct snapshot_name name;
	size_t writer;               /* index into writers */
	struct fingerprint signer;   /* of the writer's keys that signed it */
	struct seal_sign_pk sign_pk; /* what its signature is checked with */
	uint64_t enrolled_seq;       /* ledger entry by which an admin gave the writer these keys */
	struct hash enrolled_id;
	int64_t enrolled_at;
	struct fingerprint enrolled_by;
	struct chain_head ledger; /* the ledger's head when it was made */
	bool has_prev;
	struct snapshot_id prev;
	struct snapshot_counts counts;   /* of the classes that were open to the identity */
	size_t n_classes, n_closed;      /* open to it, sealed to others: those can't be read */
	bool signature_ok, enrolment_ok; /* ok needs these, the writer's chain, and all data */
	bool data_ok;                    /* every byte that the identity can open */
};

struct verify_result {
	struct verify_snapshot *snapshots;
	size_t n_snapshots;
	struct verify_writer *writers;
	size_t n_writers, cap_writers;
	uint64_t packs, bytes; /* read, whole */
	uint64_t failures;     /* sentences told to found; 0: everything holds */
	int64_t time;          /* when, UTC seconds */
};

/**
 * verify_select - the snapshots that a user means: a snapshot (as repo_select), all of a DATE, all
 * of a WRITER.
 * @ret: oldest first; owned by the caller (free)
 * Return: 0, ERR_NOENT, ERR_INVALID.
 */
MUST_CHECK int verify_select(struct repo *repo, const char *what, struct snapshot_name **ret,
			     size_t *ret_n, struct err *err);

/**
 * verify_run - verify snapshots.
 * @names: borrowed; any order, any writers
 * @ret:   verify_result_fini; filled as far as it got, also on failure
 *
 * Cost: the snapshots' packs, whole, each once; one small read for each older snapshot of the same
 * writers, and for each ledger entry up to the enrolments.
 * Return: 0 when it ran to the end (look at ret->failures), ERR_CANCELLED, ERR_UNREACHABLE, or why
 * it could not go on.
 */
MUST_CHECK int verify_run(struct repo *repo, struct reader *reader,
			  const struct snapshot_name *names, size_t n,
			  const struct verify_options *options, struct verify_result *ret,
			  struct err *err);
void verify_result_fini(struct verify_result *r);

/* "daily", "weekdays", "weekly".  Return: false for anything else. */
MUST_CHECK bool verify_schedule_parse(const char *text, enum verify_schedule *ret);

/**
 * verify_statement - the result as sentences that a person can file.
 * @ret: appended to
 */
void verify_statement(struct repo *repo, const struct verify_result *result, struct buf *ret);
/* The same as a JSON object; the keys are in docs/tillfs.1. */
void verify_json(struct repo *repo, const struct verify_result *result, struct buf *ret);

#endif /* TILLFS_VERIFY_H */
