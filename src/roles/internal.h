/*
 * internal.h - what the rooms of roles share.
 *
 *	crew.c      a piece of work for each of many things, several at a time
 *	bag.c       keys being collected, in secret memory
 *	claims.c    which snapshot says that a section is of which class
 *	collect.c   the keys of snapshots' parts and of packs' sections
 *	handover.c  a bag becomes grants or reseals in the store
 *	admin.c, writer.c, grant.c   the jobs
 *	listing.c, revoke.c          grants that there are
 *	history.c   by whose decision
 *
 * Layer 4.
 */
#ifndef ROLES_INTERNAL_H
#define ROLES_INTERNAL_H

#include <pthread.h>

#include "tillfs/roles.h"

/* ---- crew.c ------------------------------------------------------------------------------- */

/* Does number @i.  Any thread.  Return: 0, or why nothing more should be done. */
typedef int crew_fn(void *arg, size_t i, struct err *err);
/* Return: 0, ERR_CANCELLED, or the first error of @fn. */
MUST_CHECK int crew_run(const char *stage, size_t n, crew_fn *fn, void *arg,
			const struct progress_sink *sink, struct err *err);

/* ---- bag.c -------------------------------------------------------------------------------- */

/* Keys on their way to somebody; secret memory. */
struct bag {
	struct granted_part *parts;
	size_t n_parts, cap_parts;
	struct granted_section *sections;
	size_t n_sections, cap_sections;
};
void bag_add_part(struct bag *b, const struct granted_part *part);
void bag_add_section(struct bag *b, const struct granted_section *section);
void bag_fini(struct bag *b);

/* ---- claims.c ----------------------------------------------------------------------------- */

struct job;

/* A snapshot says that a section of a pack is of a class. */
struct claim {
	struct pack_id pack;
	struct writer_id writer;
	uint32_t ordinal;
	uint32_t snapshot; /* number among the job's names */
	bool granted;      /* the section's key would be handed over for it */
	char class_name[CLASS_NAME_MAX + 1];
};
struct claims {
	struct claim *v;
	size_t n, cap;
};
void claims_add(struct claims *c, const struct claim *claim);
/* Return: 0, or ERR_CORRUPT for a granted section that is claimed for two classes. */
MUST_CHECK int claims_check(struct job *j, struct err *err);
void claims_fini(struct claims *c);

/* ---- collect.c ---------------------------------------------------------------------------- */

/* A pack of which sections are wanted. */
struct wanted_pack {
	struct pack_id id;
	struct writer_id writer;
	uint64_t ordinals; /* bit n: section n */
};

struct job {
	struct repo *repo;
	const struct roles_options *options;
	struct roles_handed *ret;
	const struct roles_wish *wish; /* NULL: everything, for an admin */

	pthread_mutex_t lock; /* over all that follows, and ret */
	struct bag bag;
	struct snapshot_name *names; /* which snapshots, and behind them those only to compare */
	size_t n_names, n_compared;
	struct claims claims;
	struct wanted_pack *packs;
	size_t n_packs, cap_packs;
};
void job_init(struct job *j, struct repo *r, const struct roles_options *o,
	      const struct roles_wish *wish, struct roles_handed *ret);
void job_fini(struct job *j);
/*
 * Fills the bag from the named snapshots; with no wish also from every pack in the store.
 * Return: 0, ERR_CORRUPT when snapshots contradict each other about a wanted section's class, …
 */
MUST_CHECK int collect(struct job *j, struct err *err);

/* ---- handover.c --------------------------------------------------------------------------- */

/* @template: grantee, expiry, case, cover.  The bag stays. */
MUST_CHECK int hand_over(struct job *j, const struct grant *template,
			 const struct seal_box_pk *grantee, struct err *err);

#endif /* ROLES_INTERNAL_H */
