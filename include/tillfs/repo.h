/*
 * repo.h - an opened repository: whom it trusts, what stands in its ledger, which snapshots there
 * are, and which of them this identity can open.
 *
 * Trust starts from the founder pinned in the identity's or writer's file.  The highest ledger
 * entry and each writer's highest snapshot seen are pinned in the state folder, so that a store
 * which shows less than before is found out.
 *
 * Layer 3: uses store, ledger, snapshot, keyring.
 */
#ifndef TILLFS_REPO_H
#define TILLFS_REPO_H

#include "tillfs/base.h"
#include "tillfs/keyring.h"
#include "tillfs/ledger.h"
#include "tillfs/snapshot.h"
#include "tillfs/store.h"

struct repo;

/* Something a reader must be told that doesn't stop the work: a rollback, a fork, a gap, a
 * stranger. */
struct repo_finding {
	int code;   /* enum err_code */
	char *text; /* a whole sentence */
};

/* One snapshot as listings show it. */
struct repo_snapshot {
	struct snapshot_name name;
	const char *writer; /* human name, or the id in hexadecimal when the roster doesn't open it;
			       borrowed from the repo */
};

/*
 * An immutable list, newest last (date, time, sequence); reference-counted.  An auditor's has what
 * grants in force open, and nothing else.
 */
struct repo_list {
	const struct repo_snapshot *snapshots;
	size_t n;
};

/**
 * repo_init - make a repository.
 * @store: must hold nothing
 * @founder: gets the pin added to its file
 *
 * Return: 0, ERR_EXISTS when there is anything in the store.
 */
MUST_CHECK int repo_init(struct store *store, struct identity *founder, struct repo_id *ret,
			 struct err *err);

/**
 * repo_open - open for reading with an identity.
 * @store, @identity: borrowed; must outlive the repo
 * @state: the state folder for pins, or NULL to pin nothing
 *
 * Costs: config, the ledger's listing and entries, the snapshots' listing; no snapshot is read.
 * A damaged or missing ledger entry, a fork, or less than was seen before don't stop a reader:
 * what stands before counts, and it is a finding.
 * Return: 0, ERR_NOENT (no repository there), ERR_AUTH (another founder, an entry that no admin
 * signed), ERR_DENIED (an identity that the ledger doesn't know and that has no grant in force),
 * ERR_UNREACHABLE, …
 */
MUST_CHECK int repo_open(struct store *store, const struct identity *identity, const char *state,
			 struct repo **ret, struct err *err);
/**
 * repo_open_by_days - repo_open for a mount, which shows dates first.
 *
 * A distant repository with more than a thousand snapshots or so is opened without their names, in
 * as many round trips as a small one: the list is empty then, repo_dates tells on which dates there
 * are some, and the next repo_refresh lists and judges them all.  An auditor's is listed at once.
 */
MUST_CHECK int repo_open_by_days(struct store *store, const struct identity *identity,
				 const char *state, struct repo **ret, struct err *err);
/* Whether the list is there.  Once it is, it stays.  Threads: any. */
bool repo_is_listed(struct repo *r);
/* Until then: dates that have snapshots, ascending.  @ret: owned by the caller (free). */
void repo_dates(struct repo *r, struct date **ret, size_t *ret_n);
/**
 * repo_list_of_date - until then: the snapshots of one date, as the ledger judges them.
 * @ret: repo_list_put
 * Cost: a listing a writer, all at once.  Return: 0, or what the store says.  Threads: any.
 */
MUST_CHECK int repo_list_of_date(struct repo *r, struct date date, struct repo_list **ret,
				 struct err *err);
/**
 * repo_open_writer - open for writing with a writer's file.
 * A writer needs the whole ledger: it must know for whom to seal.  Only a fork is let pass.
 * Return: as repo_open; ERR_DENIED for a writer that isn't enrolled or is revoked, ERR_AUTH for a
 * ledger that was rolled back, ERR_CORRUPT for one with a damaged or missing entry.
 */
MUST_CHECK int repo_open_writer(struct store *store, const struct writer_file *writer,
				const char *state, struct repo **ret, struct err *err);
void repo_close(struct repo *r);
DEFINE_FREEP(struct repo *, repo_close)

/**
 * repo_refresh - look for new ledger entries and snapshots.
 * @ret_changed: may be NULL
 * An auditor whose last grant has ended is shown an empty list, and a finding says why.
 * Return: 0, or an error that leaves everything as it was; for a writer also ERR_AUTH, ERR_CORRUPT
 * and ERR_DENIED as repo_open_writer.  Threads: any.
 */
MUST_CHECK int repo_refresh(struct repo *r, bool *ret_changed, struct err *err);

const struct repo_id *repo_id(const struct repo *r);
struct store *repo_store(const struct repo *r);
/* The ledger's state as of the last refresh.  Threads: not while another thread may refresh. */
const struct ledger_state *repo_ledger(const struct repo *r);
/**
 * repo_ledger_entry - one entry of those that count, read again.
 * @seq: 1 … repo_ledger()->head.seq
 * Return: 0, ERR_NOENT, or what the store says.  Threads: any.
 */
MUST_CHECK int repo_ledger_entry(struct repo *r, uint64_t seq, struct ledger_entry **ret,
				 struct err *err);
const struct seal_key *repo_roster(const struct repo *r);

struct repo_list *repo_list_get(struct repo *r); /* Threads: any */
void repo_list_put(struct repo_list *l);
DEFINE_FREEP(struct repo_list *, repo_list_put)
/**
 * repo_chain - all snapshots of a writer that count, whoever can open them, by number.
 * @ret: owned by the caller (free)
 */
void repo_chain(struct repo *r, const struct writer_id *writer, struct snapshot_name **ret,
		size_t *ret_n);
/* The human name of a writer, or its id in hexadecimal.  Borrowed for the repo's life. */
const char *repo_writer_name(struct repo *r, const struct writer_id *id);

/* What was found so far; appended, never removed.  @ret: array owned by the caller, texts borrowed.
 */
void repo_findings(struct repo *r, struct repo_finding **ret, size_t *n);

/* A snapshot, read, verified (signature, enrolment, name), with the keys that this identity can
 * open. */
struct repo_opened {
	struct snapshot *snapshot;
	char *writer;                    /* human name */
	struct snapshot_class **classes; /* those that open, in name order */
	size_t n_classes;
	uint32_t *ordinals;               /* the number of each one's part */
	size_t n_closed;                  /* class parts sealed to others */
	struct snapshot_details *details; /* NULL unless an admin */
	struct buf details_bytes;
};

/**
 * repo_snapshot_open - fetch, verify and open one snapshot.
 *
 * Return: 0, ERR_NOENT, ERR_CORRUPT, ERR_AUTH (unknown or revoked writer, bad signature),
 * ERR_DENIED when not a single part opens; each names the snapshot. Threads: any.
 */
MUST_CHECK int repo_snapshot_open(struct repo *r, const struct snapshot_name *name,
				  struct repo_opened **ret, struct err *err);
/* The same without opening parts: what a writer can do. */
MUST_CHECK int repo_snapshot_fetch(struct repo *r, const struct snapshot_name *name,
				   struct snapshot **ret, struct err *err);
void repo_opened_free(struct repo_opened *o);
DEFINE_FREEP(struct repo_opened *, repo_opened_free)
/* "snapshot 2026-11-20/till-03.23-00-05Z": how messages name one. */
struct repo_label {
	char s[128];
};
struct repo_label repo_snapshot_label(struct repo *r, const struct snapshot_name *name);

/**
 * repo_section_key - the key of a class's section, from the pack's header.
 * Return: 0, ERR_DENIED, ERR_CORRUPT.  Threads: any.
 */
MUST_CHECK int repo_section_key(struct repo *r, const struct pack_header *h,
				const struct pack_id *pack, uint32_t ordinal, struct seal_key *ret,
				struct err *err);

/**
 * repo_select - the snapshot a user means: `latest`, `latest@writer`, a date, a date@writer, an id
 * prefix of at least 4 digits, or as labels have it, `2026-11-20/till-03.23-00-05Z`.
 * Of one writer's the highest sequence is the newest, whatever its clock says.
 * Return: 0, ERR_NOENT, ERR_INVALID with the candidates when several writers match.
 */
MUST_CHECK int repo_select(struct repo *r, const char *selector, struct snapshot_name *ret,
			   struct err *err);

/**
 * repo_decide - append an entry to the ledger.
 * @decisions: borrowed
 *
 * The entry is applied to a state read afresh before it is stored, so what readers would refuse is
 * not stored.  The list follows at the next refresh.
 * Return: 0, ERR_DENIED when the identity is no admin, ERR_BUSY when another admin was faster
 * (refresh and decide again), ERR_AUTH for a ledger that was rolled back, ERR_CORRUPT for one that
 * is damaged or forked, for a decision that makes no sense, and when another admin decided at the
 * same moment, so that the ledger is forked now.  Threads: any.
 */
MUST_CHECK int repo_decide(struct repo *r, const struct decision *decisions, size_t n,
			   struct err *err);

/* What a merge did. */
struct repo_merge {
	struct hash kept;         /* head of the branch that counts */
	size_t heads;             /* other branches' heads that were settled */
	size_t repeated, dropped; /* of their decisions: decided again, no longer possible */
};
/**
 * repo_merge_fork - settle a forked ledger.
 * @keep: the beginning of the id of a branch's last entry, or NULL for the longest branch of those
 *        on which nobody decided whom another branch removes
 *
 * What other branches decided is decided again in the merge, as far as it makes sense there, except
 * what somebody decided whom a branch removes.
 * Return: as repo_decide; ERR_NOENT when the ledger isn't forked or no branch fits @keep.
 */
MUST_CHECK int repo_merge_fork(struct repo *r, const char *keep, struct repo_merge *ret,
			       struct err *err);

/**
 * repo_enrol_writer - enrol a writer's public keys under a name.
 * @ret: the card for the writer
 * Return: as repo_decide; ERR_EXISTS for a name or key that is enrolled, ERR_INVALID for a bad
 * name.
 */
MUST_CHECK int repo_enrol_writer(struct repo *r, const char *name, const struct public_keys *keys,
				 struct card *ret, struct err *err);

/* Who opened it. */
const struct fingerprint *repo_self(const struct repo *r);
/* Whether the identity is an admin now.  Threads: any. */
bool repo_is_admin(struct repo *r);

/**
 * repo_part_key - the key of a snapshot's part, for handing it over.
 * Return: 0, ERR_DENIED, ERR_CORRUPT.  Threads: any.
 */
MUST_CHECK int repo_part_key(struct repo *r, const struct snapshot *s, size_t n,
			     struct seal_key *ret, struct err *err);
/**
 * repo_hand_over - store a grant or reseal: keys for one person.
 * @g: grantee, keys, expiry, case and cover are the caller's; the rest is filled in
 * Return: 0, ERR_DENIED when the identity is no admin, or what storing gives.
 */
MUST_CHECK int repo_hand_over(struct repo *r, struct grant *g, const struct seal_box_pk *grantee,
			      struct hash *ret_id, struct err *err);
/**
 * repo_rotate_writer - give an enrolled writer new keys under its name.
 * @ret: the card for the writer's new file
 * Return: as repo_enrol_writer; ERR_NOENT for an unknown or revoked writer, ERR_INVALID when it has
 * made no snapshot with the keys that it has.
 */
MUST_CHECK int repo_rotate_writer(struct repo *r, const char *name, const struct public_keys *keys,
				  struct card *ret, struct err *err);

/*
 * Every writer's highest snapshot seen, by writer id: for a snapshot's clear part, and for a
 * writer's own next number.  Also those that were seen once and aren't there now, or are forgotten.
 * @ret: owned by the caller.
 */
void repo_heads(struct repo *r, struct chain_head **ret, size_t *n);

#endif /* TILLFS_REPO_H */
