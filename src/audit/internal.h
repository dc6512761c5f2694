/*
 * internal.h - what the files of the access log share.
 *
 *	entry.c    an entry as columns, and its hash
 *	chain.c    the SQLite file: appending to the chain, signing its head
 *	pending.c  events on their way to the thread that writes them
 *	session.c  a session, from its entry "start" to its entry "stop"
 *	head.c     signed heads
 *	pin.c      heads remembered in the state folder
 *	read.c     entries, filtered
 *	json.c     an entry as JSON
 *	verify.c   chain, numbers, heads
 */
#ifndef AUDIT_INTERNAL_H
#define AUDIT_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "tillfs/audit.h"
#include "tillfs/db.h"

#define AUDIT_VERSION 1
#define NS_PER_SEC    INT64_C(1000000000)

static inline int64_t
audit_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

/* ---- entries */

#define ENTRY_COLUMNS                                                                              \
	"seq, time, session, number, kind, uid, gid, pid, program, snapshot, path, bytes, ended, " \
	"result, detail, about, case_ref, reason, hash"

void audit_entry_bind(struct db_stmt *s, const struct audit_entry *e);
/* Borrowed until the statement's next step. */
void audit_entry_from_row(struct db_stmt *s, struct audit_entry *ret);
/* The hash of an entry that follows one of hash @before. */
void audit_entry_hash(const struct hash *before, const struct audit_entry *e, struct buf *scratch,
		      struct hash *ret);
/* What stands before the first entry. */
void audit_entry_genesis(const uint8_t log[AUDIT_LOG_ID_LEN], struct hash *ret);

/* ---- the file */

struct chain {
	struct db *db;
	char *path; /* of the file */
	uint8_t id[AUDIT_LOG_ID_LEN];
	struct db_stmt *insert, *tail, *insert_head;
	struct buf scratch;
	const struct seal_pair *signer; /* borrowed */
	char *state;                    /* or NULL */
	struct audit_head latest;       /* of the last commit of ours; seq 0: none */
	uint64_t signed_seq;
	bool unsynced; /* committed, but perhaps not on the disk */
	bool broken;   /* the log lacks what was signed; nobody was told yet under a signature */
};
MUST_CHECK int chain_open(const struct audit_options *options, struct chain *ret, struct err *err);
void chain_close(struct chain *l);
/* Finishes an entry in place: sequence, hash. */
typedef void chain_next_fn(void *arg, struct audit_entry *ret);
/**
 * chain_append - append entries in one transaction, all or none.
 * @next: gives the next one each time; a session of 0 becomes the entry's own sequence
 */
MUST_CHECK int chain_append(struct chain *l, size_t n, chain_next_fn *next, void *arg,
			    struct err *err);
MUST_CHECK int chain_sync(struct chain *l, struct err *err);
/* Signs the latest entry of ours unless that was done.  What was signed is durable. */
MUST_CHECK int chain_sign(struct chain *l, struct err *err);

/* ---- heads remembered */

/* @lower: also when a later one is remembered. */
MUST_CHECK int audit_pin_write(const char *state, const struct audit_head *head, struct slice bytes,
			       bool lower, struct err *err);
/* Whether the log holds what is remembered of it.  Return: 0, 1 when it doesn't hold @ret, or an
 * error. */
MUST_CHECK int audit_pin_check(struct chain *l, struct audit_head *ret, struct err *err);

/* ---- events on their way */

/* Who waits until an entry is committed.  Protected by the log's lock. */
struct pending_waiter {
	bool done;
	int code;
	struct err err;
};
struct pending_event {
	struct audit_entry e;          /* its texts lie behind this struct */
	struct pending_waiter *waiter; /* or NULL */
};
#define PENDING_MAX 65536u

struct pending {
	struct pending_event **items; /* numbers ascending */
	size_t n, cap;
	uint64_t dropped; /* since the last entry that tells of such */
};
struct pending_event *pending_item_new(const struct audit_event *event, const char *case_ref,
				       const char *reason);
void pending_push(struct pending *q, struct pending_event *item);
struct pending_event *pending_find(struct pending *q, uint64_t number); /* or NULL */
void pending_fini(struct pending *q);
/* Puts what could not be written back in front of what came since; waiters don't stay. */
void pending_put_back(struct pending *q, struct pending *unwritten);

/* ---- the session */

struct audit {
	struct chain log; /* the writer thread's, once that runs */
	char *case_ref, *reason, *program;
	uint64_t session;
	bool required;
	struct audit_entry base; /* what all entries of the session share */

	pthread_mutex_t lock;
	pthread_cond_t work; /* for the writer: urgent work, or the end */
	pthread_cond_t done; /* for waiters */
	pthread_t writer;
	/* protected by lock */
	bool running, stopping, urgent;
	uint64_t number; /* of the latest event */
	struct pending queue;
	bool failing; /* so that the log is told once */
};

#endif /* AUDIT_INTERNAL_H */
