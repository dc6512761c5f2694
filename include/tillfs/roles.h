/*
 * roles.h - who may read and write: the jobs behind `admin`, `writer`, `grant` and `trust`.
 *
 * An admin reads everything; keys of what is older than the admin are resealed to it.  An auditor
 * reads what was granted: a grant is the keys of snapshots' classes and of the sections of the
 * packs that they reach.  A class is a set of files, whole ones, and a section holds what its
 * snapshots share: a grant covers all that shares those sections.  A standing grant is a ledger
 * entry, by which writers seal a class to an auditor from then on.
 *
 * Layer 4: uses repo, keyring.
 */
#ifndef TILLFS_ROLES_H
#define TILLFS_ROLES_H

#include "tillfs/base.h"
#include "tillfs/keyring.h"
#include "tillfs/repo.h"

struct roles_options {
	struct progress_sink progress;
	/* Called for what could not be read and so not be handed over; a whole sentence. */
	void (*told)(void *arg, const char *sentence);
	void *told_arg;
};

/* What somebody got. */
struct roles_handed {
	uint64_t snapshots, sections, packs; /* sections of so many packs */
	uint64_t objects;                    /* written for it */
	uint64_t skipped;                    /* could not be read: told */
	struct date first, last;             /* business dates of the snapshots */
	struct hash id;                      /* of the last object */
};

/* ---- admins */

/**
 * roles_add_admin - make somebody an admin, and hand over the keys of all that is there.
 * @name: as writers' names
 * @ret_known: that it was an admin already; what it lacks is handed over all the same
 *
 * Cost: one small read a snapshot and a pack, several at a time.
 * Return: 0, ERR_INVALID, ERR_EXISTS for a name that another admin has, or as repo_decide.  When
 * handing over was broken off, the same call completes it.
 */
MUST_CHECK int roles_add_admin(struct repo *r, const char *name, const struct public_keys *keys,
			       const struct roles_options *o, struct roles_handed *ret,
			       bool *ret_known, struct err *err);
/**
 * roles_remove_admin - by name, or the beginning of a fingerprint (at least 8 digits).
 * Return: 0, ERR_NOENT, ERR_INVALID when several are meant, or as repo_decide.
 */
MUST_CHECK int roles_remove_admin(struct repo *r, const char *who, struct fingerprint *ret,
				  struct err *err);
/* The human name of an admin, "founder", or the start of the fingerprint.  Owned by the caller. */
char *roles_admin_name(struct repo *r, const struct ledger_admin *a);
char *roles_person_name(struct repo *r, const struct fingerprint *f);
/* What is handed to an auditor or admin beside the grant.  @case_ref: may be NULL. */
void roles_card(struct repo *r, const char *case_ref, struct card *ret);

/* ---- writers */

/**
 * roles_revoke_writer - nothing later than @last counts.
 * @last: selects a snapshot of it, "none", or NULL for its newest that is there and genuine
 * @ret: the number of the last accepted one, 0 for none
 * Return: 0, ERR_NOENT, ERR_INVALID, or as repo_decide.
 */
MUST_CHECK int roles_revoke_writer(struct repo *r, const char *name, const char *last,
				   uint64_t *ret, struct err *err);

/* ---- grants */

struct roles_wish {
	const struct public_keys *to;
	const char *const *writers; /* names; none: all */
	size_t n_writers;
	const char *const *classes; /* none: all */
	size_t n_classes;
	bool has_from, has_until;
	struct date from, until; /* business dates, both included */
	bool standing;           /* later snapshots too; older ones only when has_from */
	bool has_expiry;
	int64_t expiry;
	const char *case_ref;
};
/**
 * roles_grant - grant.
 *
 * A section that any snapshot of its writer names under another class than the granted one isn't
 * handed over, nor anything else then: whoever took a till over could ask for it so.
 *
 * Cost: a small read a granted snapshot and pack, and with named classes also one each other
 * snapshot of the writers; several at a time.
 * Return: 0, ERR_NOENT when nothing matches, ERR_INVALID for what makes no sense, ERR_CORRUPT when
 * snapshots contradict each other about a section's class, or as repo_decide and repo_hand_over.
 */
MUST_CHECK int roles_grant(struct repo *r, const struct roles_wish *wish,
			   const struct roles_options *o, struct roles_handed *ret,
			   struct err *err);

/* A grant as listings show it. */
struct roles_grant {
	bool standing;
	char id[65]; /* 32 digits of a standing one, 64 of an object */
	struct fingerprint grantee, author;
	int64_t since;
	bool has_expiry;
	int64_t expiry;
	bool ended;  /* by an admin, or expired */
	bool opaque; /* what it covers isn't said, or not in a way that opens */
	struct grant_cover cover;
};
struct roles_grants {
	struct roles_grant *v; /* standing ones first, then by time */
	size_t n, cap;
};
/* Standing ones from the ledger, the others from the store; an auditor's own only. */
MUST_CHECK int roles_grants_list(struct repo *r, struct roles_grants *ret, struct err *err);
void roles_grants_fini(struct roles_grants *g);
/**
 * roles_revoke - end standing grants, delete the objects of others.
 * @id: the beginning of an id, at least four digits; or NULL
 * @case_ref: all of a case, when @id is NULL
 * @ret_n: how many
 * Return: 0, ERR_NOENT, ERR_INVALID when @id means several, or as repo_decide and store_remove.
 */
MUST_CHECK int roles_revoke(struct repo *r, const char *id, const char *case_ref, size_t *ret_n,
			    struct err *err);

/* ---- by whose decision */

/* An entry of the ledger that decided something; entry 0: none, as for the founder. */
struct roles_deed {
	uint64_t entry;
	int64_t time;
	struct fingerprint author;
};
/* Who decided what of the ledger's state; each array is parallel to the state's. */
struct roles_history {
	struct roles_deed *admin_added, *admin_removed;
	struct roles_deed *writer_enrolled, *writer_rotated, *writer_revoked; /* the latest */
	struct roles_deed *grant_made, *grant_ended;
};
/* Cost: a small read each ledger entry. */
MUST_CHECK int roles_history_read(struct repo *r, struct roles_history *ret, struct err *err);
void roles_history_fini(struct roles_history *h);

#endif /* TILLFS_ROLES_H */
