/*
 * catalog.h - a writer's memory: where its chunks and nodes lie, and what its files looked like.
 *
 * A till can't decrypt what it stored, so what it knows of earlier snapshots stands in this local
 * SQLite database under the state folder.  Losing it costs one backup that stores everything
 * afresh. It is believed only about packs that the store still holds: catalog_keep_only drops the
 * rest.
 *
 * Packs have numbers here, from 1 on, never used again; references in chunks, nodes and directory
 * records are these numbers, and catalog_packs is the table that explains them.
 *
 * Layer 4: uses db, pack, stream.
 */
#ifndef TILLFS_CATALOG_H
#define TILLFS_CATALOG_H

#include "tillfs/base.h"
#include "tillfs/pack.h"
#include "tillfs/stream.h"

struct catalog;

/* A sorted set of pack numbers: those that something reaches. */
struct pack_set {
	uint32_t *v;
	size_t n, cap;
};
void pack_set_add(struct pack_set *s, uint32_t pack);
void pack_set_merge(struct pack_set *to, const struct pack_set *from);
void pack_set_fini(struct pack_set *s);

/* One class's section of a stored pack. */
struct catalog_section {
	uint32_t number; /* of the pack */
	char class_name[CLASS_NAME_MAX + 1];
	struct pack_place place;
};

/* seg.pack is a pack number. */
struct catalog_chunk {
	struct chunk_id id;
	struct segment_ref seg;
	uint32_t off, len;
};

struct catalog_node {
	struct hash logical_id;
	struct node_ref ref;
	struct pack_set reach; /* owned */
};

/**
 * catalog_open - open a writer's catalog and lock it for this process.
 * @state: the state folder; made when missing
 * @ret_note: NULL, or a sentence when a damaged catalog was put aside; owned by the caller
 *
 * Return: 0, ERR_BUSY "another backup of this writer is running", ERR_IO, ERR_NOSPACE.
 * Threads: one at a time.
 */
MUST_CHECK int catalog_open(const char *state, const struct repo_id *repo,
			    const struct writer_id *writer, struct catalog **ret, char **ret_note,
			    struct err *err);
void catalog_close(struct catalog *c);
DEFINE_FREEP(struct catalog *, catalog_close)

/* Numbers and ids of all packs known; grows with catalog_reserve_pack.  Borrowed; a dropped pack's
 * id is zero. */
const struct pack_table *catalog_packs(const struct catalog *c);
/* The section of a class in a pack, or NULL.  Borrowed until the catalog changes. */
const struct catalog_section *catalog_section_find(const struct catalog *c, uint32_t number,
						   const char *class_name);

/* Whether a pack is in the store: what catalog_keep_only asks. */
typedef bool catalog_present_fn(void *arg, const struct pack_id *id, uint64_t object_len);
/* Forgets packs that aren't there, and all that refers to them.  @ret_dropped: how many, beside
 * those that were on their way when a run was broken off. */
MUST_CHECK int catalog_keep_only(struct catalog *c, catalog_present_fn *present, void *arg,
				 size_t *ret_dropped, struct err *err);

/* Return: 0 found, ERR_NOENT, or a database error. */
MUST_CHECK int catalog_chunk_find(struct catalog *c, const struct chunk_id *id,
				  struct catalog_chunk *ret, struct err *err);
/* @ret: its reach is owned by the caller. */
MUST_CHECK int catalog_node_find(struct catalog *c, const struct hash *logical_id,
				 struct catalog_node *ret, struct err *err);
/* What backup remembered of a directory (its own encoding).  @ret: replaced. */
MUST_CHECK int catalog_dir_find(struct catalog *c, struct slice path, struct buf *ret,
				struct err *err);

/* A number for a pack that is being made.  It has no id until catalog_put_pack. */
uint32_t catalog_reserve_pack(struct catalog *c);
/* The id of a reserved pack, as soon as it is known. */
void catalog_name_pack(struct catalog *c, uint32_t number, const struct pack_id *id);

/* What is put between begin and commit is durable together or not at all. */
MUST_CHECK int catalog_begin(struct catalog *c, struct err *err);
MUST_CHECK int catalog_commit(struct catalog *c, struct err *err);
void catalog_abort(struct catalog *c);
MUST_CHECK int catalog_put_section(struct catalog *c, const struct catalog_section *s,
				   struct err *err);
/* The pack is on its way: only its sections and chunks may be put before it has arrived. */
MUST_CHECK int catalog_put_coming(struct catalog *c, uint32_t number, struct err *err);
MUST_CHECK int catalog_put_arrived(struct catalog *c, uint32_t number, struct err *err);
MUST_CHECK int catalog_put_chunk(struct catalog *c, const struct catalog_chunk *chunk,
				 struct err *err);
MUST_CHECK int catalog_put_node(struct catalog *c, const struct catalog_node *node,
				struct err *err);
MUST_CHECK int catalog_put_dir(struct catalog *c, struct slice path, struct slice record,
			       struct err *err);

#endif /* TILLFS_CATALOG_H */
