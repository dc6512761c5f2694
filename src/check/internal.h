/*
 * internal.h - what the rooms of check share.
 *
 *	check.c      the order of things
 *	inventory.c  what the store holds, from one listing
 *	snapshots.c  every snapshot: signature, name, chain, parts, and the packs it lists
 *	packs.c      every pack that somebody lists: is it there, with the right length
 *	tree.c       every folder and stream node, once, whichever snapshots share it
 *	extents.c    where files lie: inside their areas, in packs that their snapshot lists
 *	data.c       every stored byte, and every segment that was found reachable
 *	table.c      a hash table
 *
 * Layer 4.
 */
#ifndef CHECK_INTERNAL_H
#define CHECK_INTERNAL_H

#include <pthread.h>

#include "tillfs/catalog.h"
#include "tillfs/check.h"

/* ---- table.c ---------------------------------------------------------------------------- */

/* Something in a pack; a pack itself with zeros. */
struct place_key {
	struct hash pack;
	uint64_t section; /* its ordinal: offsets are counted from its area's start */
	uint64_t seg_off;
	uint64_t off;
};

/* From place_key to a number below UINT32_MAX. */
struct table {
	struct table_slot *slots;
	size_t n, n_slots; /* a power of two */
};
void table_fini(struct table *t);
/* UINT32_MAX: not there. */
uint32_t table_find(const struct table *t, const struct place_key *key);
void table_put(struct table *t, const struct place_key *key, uint32_t value);

/* ---- inventory.c ------------------------------------------------------------------------ */

struct stored_pack {
	struct pack_id id;
	struct writer_id writer;
	uint64_t len;
};

struct inventory {
	struct stored_pack *packs; /* ascending by id */
	size_t n_packs, cap_packs;
	char **sealed; /* keys under grants/ and reseal/ */
	size_t n_sealed, cap_sealed;
	uint64_t pack_bytes;
};
void inventory_fini(struct inventory *inv);

/* ---- packs.c ---------------------------------------------------------------------------- */

/* A segment of a pack that something reaches. */
struct wanted {
	uint64_t off;
	uint32_t stored_len, plain_len;
	uint32_t section; /* index into the pack's sections */
};

/* A class's part of a pack, as snapshots describe it. */
struct listed_section {
	struct pack_place place;
	char class_name[CLASS_NAME_MAX + 1];
};

/* A pack that some snapshot lists. */
struct listed_pack {
	struct pack_id id;
	struct writer_id writer;
	uint64_t object_len;
	uint32_t header_len;
	char *bad; /* NULL, or why nothing in it is worth reading: missing, of another length, … */
	struct listed_section *sections;
	size_t n_sections, cap_sections;
	uint32_t *snapshots; /* whose list it is in: numbers, ascending */
	size_t n_snapshots, cap_snapshots;
	struct wanted *wanted; /* only when all data is to be read */
	size_t n_wanted, cap_wanted;
};

struct job {
	struct repo *repo;
	struct reader *reader;
	const struct check_options *options;
	struct check_result *ret;
	struct progress progress;

	pthread_mutex_t lock; /* over ret and what is told, once there are threads */
	struct inventory inventory;
	struct repo_list *list; /* the snapshots; a number is an index */
	size_t n_findings;      /* of the repo, told already */

	struct listed_pack *packs; /* a number is an index */
	size_t n_packs, cap_packs;
	struct table pack_numbers;

	struct table nodes; /* numbers of what tree.c has been at */
	struct node_seen *seen;
	size_t n_seen, cap_seen;
};

/* A folder's or file's tree that was visited. */
struct node_seen {
	struct pack_set reach; /* numbers of the packs that it needs, one of the catalog's sets */
	bool bad;              /* there is damage in it, which was told */
};

/* ---- telling ---------------------------------------------------------------------------- */

/* Tells a finding.  @damage: data is lost or altered. */
void tell(struct job *job, bool damage, int code, const char *sentence);
/*
 * What an error means for the check: told as damage, it goes on (0); or it is why the check can't
 * go on (the code).
 */
MUST_CHECK int tell_error(struct job *job, int code, const struct err *err);
/* ": snapshots A, B and 3 more need it", for messages. */
void append_snapshots(struct job *job, const struct listed_pack *p, struct buf *ret);

/* ---- the parts, in their order ------------------------------------------------------------ */

MUST_CHECK int inventory_take(struct job *job, struct err *err);
/* Opens every snapshot, notes its packs, visits its trees. */
MUST_CHECK int snapshots_check(struct job *job, struct err *err);
/* Notes what a class lists, and finds it in the inventory.  @number: the snapshot's. */
void packs_note(struct job *job, uint32_t number, const struct snapshot *s,
		const struct snapshot_class *c);
/* Tells which packs are bad, now that it is known who needs them, and counts the others. */
void packs_tell(struct job *job);
void packs_fini(struct job *job);
/* The number of a pack, or UINT32_MAX. */
uint32_t pack_number(const struct job *job, const struct pack_id *id);
/* Remembers a data segment for data_check. */
void pack_want(struct job *job, uint32_t pack, const char *class_name,
	       const struct segment_ref *seg);

/* @label: names the snapshot. */
MUST_CHECK int tree_check(struct job *job, struct tree *t, const char *label, struct err *err);
/*
 * Checks where a file lies.
 * @reach: the packs that it needs are added
 * Return: 0, ERR_CORRUPT, or what fetching gives.
 */
MUST_CHECK int extents_check(struct job *job, const struct tree_item *file, struct pack_set *reach,
			     struct err *err);
MUST_CHECK int data_check(struct job *job, struct err *err);

#endif /* CHECK_INTERNAL_H */
