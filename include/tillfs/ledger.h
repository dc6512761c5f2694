/*
 * ledger.h - what admins decided: config, ledger entries, and the state they add up to.
 *
 * Layer 2: uses seal, cbor, object, pack (recipients), snapshot (chain heads).  Format:
 * docs/format.md sections 4 and 7.
 */
#ifndef TILLFS_LEDGER_H
#define TILLFS_LEDGER_H

#include "tillfs/base.h"
#include "tillfs/pack.h"
#include "tillfs/seal.h"
#include "tillfs/snapshot.h"

#define CONFIG_OBJECT_MAX    (64u * KIB)
#define LEDGER_OBJECT_MAX    (4u * MIB)
#define LEDGER_DECISIONS_MAX 4096u
#define WRITER_NAME_MAX      64u
#define ROSTER_MAX           4096u /* of one roster message's plaintext */
#define GRANT_ID_LEN         16u
#define LEDGER_ADMINS_MAX    128u /* at one time: sections have PACK_KEYS_MAX recipients at most */
#define LEDGER_SEQ_MAX       UINT64_C(9999999999999999) /* what sixteen digits can say */

/* ---- config */

struct repo_config {
	struct repo_id repo;
	int64_t created;
	struct seal_box_pk founder_box;
	struct seal_sign_pk founder_sign;
	struct fingerprint founder; /* derived from the two */
	struct buf roster_box;      /* box(founder, roster key) */
	struct hash id;             /* H of the object */
};

/* Makes a repository's config.  @roster: drawn by the caller.  @ret: the stored object. */
void config_object_encode(const struct repo_id *repo, int64_t created,
			  const struct seal_pair *founder, const struct seal_key *roster,
			  struct buf *ret);
/**
 * config_object_parse - parse and verify against the founder that is trusted.
 * @founder: from an identity's, writer's or card's file; NULL checks the signature only
 *
 * Return: 0, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_AUTH for another founder or a bad signature.
 */
MUST_CHECK int config_object_parse(struct slice bytes, const struct fingerprint *founder,
				   struct repo_config *ret, struct err *err);
void repo_config_fini(struct repo_config *c);

/* ---- roster messages */

void roster_seal(const struct seal_key *roster, struct slice plain, struct buf *ret); /* appends */
/* Return: 0 or ERR_AUTH. */
MUST_CHECK int roster_open(const struct seal_key *roster, struct slice sealed, struct buf *ret,
			   struct err *err);

/* What a standing grant covers: the plaintext of its roster message. */
struct grant_terms {
	struct slice case_ref;
	struct slice *classes; /* names; none: all */
	size_t n_classes;
	struct writer_id *writers; /* none: all */
	size_t n_writers;
};
void grant_terms_put(struct buf *b, const struct grant_terms *t);
/* @plain: borrowed; must outlive @ret (grant_terms_fini).  Return: 0 or ERR_CORRUPT. */
MUST_CHECK int grant_terms_parse(struct slice plain, struct grant_terms *ret, struct err *err);
void grant_terms_fini(struct grant_terms *t);

/* What a legal hold covers. */
struct hold_terms {
	struct slice case_ref;
	struct writer_id *writers; /* none: all */
	size_t n_writers;
	struct date from, until; /* business dates, both included */
};
void hold_terms_put(struct buf *b, const struct hold_terms *t);
/* As grant_terms_parse. */
MUST_CHECK int hold_terms_parse(struct slice plain, struct hold_terms *ret, struct err *err);
void hold_terms_fini(struct hold_terms *t);

/* ---- entries */

enum decision_type {
	DECISION_ENROL_WRITER = 1,
	DECISION_ADD_ADMIN,
	DECISION_REMOVE_ADMIN,
	DECISION_REVOKE_WRITER,
	DECISION_ROTATE_WRITER,
	DECISION_STANDING_GRANT,
	DECISION_END_GRANT,
	DECISION_FORGET,
	DECISION_RETIRE,
	DECISION_REVIVE,
	DECISION_DELETED,
	DECISION_DAMAGED,
	DECISION_HOLD,
	DECISION_LIFT_HOLD,
	DECISION_MERGE,
	DECISION_SUMMARY,
};

/* One decision; the fields its type uses (format.md section 7).  Slices are borrowed. */
struct decision {
	enum decision_type type;
	struct writer_id writer;
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	struct slice sealed;     /* the roster message of the type */
	struct slice roster_box; /* box(person, roster key) */
	struct fingerprint person;
	uint64_t seq;
	bool has_id;
	struct hash id;                 /* revoke: last snapshot; summary: state */
	uint8_t grant_id[GRANT_ID_LEN]; /* grants and holds */
	bool has_expiry;
	int64_t expiry;
	struct slice hashes; /* forget, retire, …, merge: 32 bytes each */
};

struct ledger_entry {
	struct repo_id repo;
	uint64_t seq;
	struct hash prev;
	int64_t time;
	struct fingerprint author;
	struct decision *decisions;
	size_t n_decisions;
	struct hash id; /* H of the object */
	struct slice signed_bytes;
	const uint8_t *signature;
	struct buf bytes;
};

struct ledger_key_text {
	char s[128];
};
struct ledger_key_text ledger_key_format(uint64_t seq, const struct hash *id);
MUST_CHECK bool ledger_key_parse(const char *key, uint64_t *ret_seq, struct hash *ret_id);

/* @ret: the stored object; @ret_id: its id.  entry->author must be @author's fingerprint. */
void ledger_entry_encode(const struct ledger_entry *entry, const struct seal_pair *author,
			 struct buf *ret, struct hash *ret_id);
/* @bytes: moved from on success.  Return: 0, ERR_CORRUPT, ERR_UNSUPPORTED (version or decision
 * type). */
MUST_CHECK int ledger_entry_parse(struct buf *bytes, struct ledger_entry **ret, struct err *err);
void ledger_entry_free(struct ledger_entry *e);
DEFINE_FREEP(struct ledger_entry *, ledger_entry_free)

/* ---- state */

struct ledger_admin {
	struct fingerprint fingerprint;
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	struct buf name_sealed; /* empty for the founder */
	struct buf roster_box;
	int64_t since;
	bool removed;
	int64_t removed_at; /* the time of the entry that did it */
};

struct ledger_writer_key {
	uint64_t from_seq; /* snapshots from here on are signed with it */
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
};

struct ledger_writer {
	struct writer_id id;
	struct ledger_writer_key *keys; /* ascending from_seq */
	size_t n_keys;
	struct buf name_sealed;
	int64_t since;
	bool revoked;
	uint64_t last_seq;          /* when revoked: later snapshots are refused; 0: all are */
	struct snapshot_id last_id; /* when revoked and last_seq > 0: the last one accepted */
	struct hash *forgotten, *retired, *deleted, *damaged; /* sorted sets */
	size_t n_forgotten, n_retired, n_deleted, n_damaged;
	int64_t *retired_at; /* retired_at[i]: when retired[i] was retired */
};

struct ledger_grant {
	uint8_t id[GRANT_ID_LEN];
	struct fingerprint fingerprint;
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	struct buf terms_sealed; /* roster(CBOR [case, classes, writers]) */
	struct buf roster_box;
	bool has_expiry;
	int64_t expiry;
	int64_t since;
	bool ended;
};

struct ledger_hold {
	uint8_t id[GRANT_ID_LEN];
	struct buf terms_sealed;
	int64_t since;
	bool lifted;
};

/* What the entries up to head add up to.  Changed by ledger_apply only. */
struct ledger_state {
	struct repo_id repo;
	struct chain_head head; /* seq 0 and the config's id before the first entry */
	struct ledger_admin *admins;
	size_t n_admins, cap_admins;
	struct ledger_writer *writers;
	size_t n_writers, cap_writers;
	struct ledger_grant *grants;
	size_t n_grants, cap_grants;
	struct ledger_hold *holds;
	size_t n_holds, cap_holds;
	struct hash *merged; /* sorted set: heads of forks that an admin has settled */
	size_t n_merged;
};

void ledger_state_init(struct ledger_state *s, const struct repo_config *config);
void ledger_state_fini(struct ledger_state *s);
/**
 * ledger_apply - check the next entry (chain, author, signature, sense) and apply it.
 * Nothing changes on failure.
 * Return: 0, ERR_CORRUPT for a chain that doesn't fit, ERR_AUTH for an author who isn't an admin or
 * a bad signature.
 */
MUST_CHECK int ledger_apply(struct ledger_state *s, const struct ledger_entry *e, struct err *err);
/* Appends the state's lists as CBOR: what a summary's id is the hash of (format.md section 7.1). */
void ledger_state_encode(const struct ledger_state *s, struct buf *ret);

const struct ledger_writer *ledger_find_writer(const struct ledger_state *s,
					       const struct writer_id *id);
/* The signing key for a writer's snapshot @seq, or NULL when it isn't accepted (unknown or
 * revoked). */
const struct seal_sign_pk *ledger_writer_key_at(const struct ledger_writer *w, uint64_t seq);
/* Whether a new snapshot may refer to a pack: it is neither retired nor deleted nor damaged. */
bool ledger_pack_usable(const struct ledger_writer *w, const struct pack_id *id);
bool ledger_is_admin(const struct ledger_state *s, const struct fingerprint *f);
/**
 * ledger_grant_covers - whether a standing grant's terms cover a writer's class.
 * @class_name: NULL for any class
 * Return: 0, ERR_AUTH or ERR_CORRUPT when the terms can't be read with @roster.
 */
MUST_CHECK int ledger_grant_covers(const struct ledger_grant *g, const struct seal_key *roster,
				   const struct writer_id *writer, const char *class_name,
				   bool *ret, struct err *err);
/* Whom to seal to.  @ret: in fingerprint order; owned by the caller (free). */
void ledger_admin_recipients(const struct ledger_state *s, struct recipient **ret, size_t *ret_n);
/**
 * ledger_class_recipients - the admins, and the standing auditors of a class of a writer at @now.
 * @auditors: may be NULL; else receives the auditors alone, for the hash key; owned by the caller
 * A person who is both stands once in @ret.
 * Return: 0, ERR_AUTH or ERR_CORRUPT when a grant's terms can't be read with @roster, ERR_INVALID
 * when they are more than PACK_KEYS_MAX.
 */
MUST_CHECK int ledger_class_recipients(const struct ledger_state *s, const struct seal_key *roster,
				       const struct writer_id *writer, const char *class_name,
				       int64_t now, struct recipient **ret, size_t *ret_n,
				       struct recipient **auditors, size_t *n_auditors,
				       struct err *err);

#endif /* TILLFS_LEDGER_H */
