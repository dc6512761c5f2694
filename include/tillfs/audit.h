/*
 * audit.h - the record of accesses: who opened what, when, and what came of it.
 *
 * A log is an SQLite file.  Its entries form a hash chain, whose head is signed with the identity
 * of whoever reads the repository: at the start and the end of each session, and every minute in
 * between.  What that proves, and what it can't, is in docs/audit.md.  Several sessions may append
 * to one log at a time.
 *
 * Layer 4: uses db, seal, cbor, object.  Format: docs/audit.md; a published head: docs/format.md
 * section 8.5.
 */
#ifndef TILLFS_AUDIT_H
#define TILLFS_AUDIT_H

#include "tillfs/base.h"
#include "tillfs/seal.h"

#define AUDIT_FILE       "access.db" /* the log's name in a folder that was given for it */
#define AUDIT_LOG_ID_LEN 16u
#define AUDIT_TEXT_MAX   4096u /* of a case reference, a reason, a program, a detail */

struct audit; /* a log open for appending: one session */

/* ---- appending */

struct audit_options {
	const char *path;               /* a file, or an existing folder to have AUDIT_FILE in */
	const char *state;              /* the folder that remembers heads, or NULL */
	const struct seal_pair *signer; /* borrowed; must outlive the log */
	const char *case_ref, *reason;  /* stand in every entry; may be NULL */
	bool required;                  /* an access that can't be recorded must not be answered */
};

/* One access.  Everything is borrowed for the call. */
struct audit_event {
	const char *kind; /* a word: "open", "list", "cat", …; must outlive the log */
	uint32_t uid, gid, pid;
	const char *program;  /* the executable, or NULL */
	const char *snapshot; /* "2026-11-20/till-03.23-00-05Z", or NULL: above all snapshots */
	struct slice path;    /* in the snapshot */
	uint64_t bytes;       /* handed out so far */
	int code;             /* 0, or the enum err_code of a refusal or failure */
	const char *detail;   /* more in words, or NULL */
	uint64_t about;       /* the number of an earlier event that this one ends, or 0 */
};

/**
 * audit_open - open or make a log and begin a session: an entry "start", committed and signed.
 *
 * Sessions whose process is gone, but that didn't end in an orderly way, get an entry "lost".
 * Return: 0, ERR_DENIED, ERR_NOSPACE, ERR_IO, ERR_BUSY, ERR_CORRUPT for what is no log, or
 * ERR_INVALID for a case or reason that is too long.
 * Threads: starts none before the first audit_record.
 */
MUST_CHECK int audit_open(const struct audit_options *options, struct audit **ret, struct err *err);

/**
 * audit_record - record an access before it is answered.
 * @ret_number: how a later audit_end refers to it; may be NULL; 0 when it was dropped
 *
 * Costs a copy; a thread commits what has come together four times a second, and makes it durable.
 * With `required` it returns once the entry is committed, together with those that wait at the
 * same time.  Without, entries that can't be written wait in memory, are dropped beyond 65,536,
 * and their number is written later.
 * Return: 0; with `required` also ERR_NOSPACE, ERR_IO, ERR_BUSY, …: don't answer.
 * Threads: any.
 */
MUST_CHECK int audit_record(struct audit *a, const struct audit_event *event, uint64_t *ret_number,
			    struct err *err);
/**
 * audit_end - an access is over.
 * @number: as audit_record gave it; 0 does nothing
 * @code:   0, or what went wrong while it lasted
 */
void audit_end(struct audit *a, uint64_t number, uint64_t bytes, int code, const char *detail);

/* Ends the session: an entry "stop", a signed head.  Return: 0, or why entries were lost. */
MUST_CHECK int audit_close(struct audit *a, struct err *err);
void audit_free(struct audit *a); /* the same, telling the log of a failure */
DEFINE_FREEP(struct audit *, audit_free)

/* The file; borrowed. */
const char *audit_path(const struct audit *a);
bool audit_required(const struct audit *a);

/* ---- reading */

#define AUDIT_NOBODY UINT64_MAX

/* An entry as it stands in the log; borrowed for the call. */
struct audit_entry {
	uint64_t seq;     /* from 1 */
	int64_t time_ns;  /* since 1970 */
	uint64_t session; /* the sequence of its "start" */
	uint64_t number;  /* of the event in its session, from 1; 0: not an event */
	struct slice kind;
	uint64_t uid, gid, pid; /* AUDIT_NOBODY in the end of an event: see what it is about */
	struct slice program, snapshot, path;
	uint64_t bytes;
	int64_t ended_ns;    /* 0: no end, or in an entry of its own */
	struct slice result; /* "ok", or the name of an error */
	struct slice detail;
	uint64_t about; /* number of the event, or sequence of the session, that it is about */
	struct slice case_ref, reason;
	struct hash hash;
};
/* Return 0 to go on; anything else ends the reading with that code. */
typedef int audit_entry_fn(void *arg, const struct audit_entry *entry, struct err *err);

/* What to leave out; zero leaves out nothing. */
struct audit_filter {
	bool has_since, has_until;
	int64_t since_ns, until_ns; /* since <= time < until */
	bool has_uid;
	uint64_t uid;
	const char *path;     /* a glob, as glob_match */
	const char *snapshot; /* what its name begins with, or a glob */
	const char *result;   /* "ok", "failed" for all others, or an error's name */
};

/* Return: 0, what @fn returned, ERR_NOENT, ERR_CORRUPT, ERR_IO. */
MUST_CHECK int audit_read(const char *path, const struct audit_filter *filter, audit_entry_fn *fn,
			  void *arg, struct err *err);

/* Appends an entry as a JSON object, and nanoseconds since 1970 as 2026-11-20T23:00:05.123456789Z.
 */
void audit_entry_json(struct buf *b, const struct audit_entry *e);
void audit_time_append(struct buf *b, int64_t ns);

/* ---- heads and verifying */

/* A signed statement that a log had an entry with a hash (docs/format.md section 8.5). */
struct audit_head {
	bool has_repo;
	struct repo_id repo;
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	struct fingerprint signer; /* of the two */
	uint8_t log[AUDIT_LOG_ID_LEN];
	uint64_t seq;
	struct hash hash;
	int64_t time; /* UTC seconds */
};
#define AUDIT_HEAD_MAX 1024u

/* @ret: the stored object, whose id is H of it.  The signer is that of @pair. */
void audit_head_encode(const struct audit_head *head, const struct seal_pair *pair,
		       struct buf *ret);
/* Parses and verifies against the key that stands in it.  Return: 0, ERR_CORRUPT, ERR_AUTH. */
MUST_CHECK int audit_head_parse(struct slice bytes, struct audit_head *ret, struct err *err);
/* The key of a published head, from its bytes; owned by the caller. */
char *audit_head_key(const struct audit_head *head, struct slice bytes);
/* Its prefix: of a signer, or with @log of one log. */
char *audit_head_prefix(const struct fingerprint *signer, const uint8_t *log);

/**
 * audit_latest - the id of a log, and its latest entry, as a head without a signer.
 * Return: 0, or as audit_read; ERR_NOENT for a log without entries.
 */
MUST_CHECK int audit_latest(const char *path, struct audit_head *ret, struct err *err);
/* The head that a state folder remembers.  Return: 0, ERR_NOENT, … */
MUST_CHECK int audit_pin_read(const char *state, const uint8_t *log, struct buf *ret,
			      struct err *err);

struct audit_verdict {
	uint64_t entries, heads;
	uint64_t proven;     /* the last entry that a signed head vouches for, before any break */
	uint64_t chained;    /* the last entry before any break of the chain */
	int64_t proven_time; /* of that head, UTC seconds */
	struct fingerprint *signers; /* of the heads that fit, each once */
	size_t n_signers, cap_signers;
	char **findings; /* sentences: what was tampered with, or is missing */
	size_t n_findings, cap_findings;
	char **notes; /* what is no damage, but worth knowing: sessions without an end */
	size_t n_notes, cap_notes;
};
/**
 * audit_verify - check chain, numbers, signed heads, and heads kept elsewhere.
 * @heads:  parsed heads of this log from elsewhere: published, remembered; may be none
 * @signer: who must have signed, or NULL: anybody
 *
 * Return: 0 when the log could be read to its end (look at ret->n_findings), else as audit_read.
 */
MUST_CHECK int audit_verify(const char *path, const struct audit_head *heads, size_t n_heads,
			    const struct fingerprint *signer, struct audit_verdict *ret,
			    struct err *err);
void audit_verdict_fini(struct audit_verdict *v);

#endif /* TILLFS_AUDIT_H */
