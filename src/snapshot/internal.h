/*
 * internal.h - what the files of snapshot share.
 *
 *	key.c      names of snapshots
 *	encode.c   clear part and parts become a signed object
 *	parse.c    the inverse
 *	part.c     sealing and opening a part
 *	details.c  the admin part's plaintext
 *	class.c    a class part's plaintext
 *
 * Layer 2.
 */
#ifndef SNAPSHOT_INTERNAL_H
#define SNAPSHOT_INTERNAL_H

#include "tillfs/object.h"
#include "tillfs/snapshot.h"

#define SNAPSHOT_HEADS_MAX 65536u

/* Keys of the clear part's map. */
enum snapshot_key {
	KEY_VERSION = 0,
	KEY_REPO,
	KEY_WRITER,
	KEY_DATE,
	KEY_TIME,
	KEY_SEQ,
	KEY_PREV,
	KEY_LEDGER,
	KEY_HEADS,
	KEY_ADMIN_PART,
	KEY_CLASS_PARTS,
};

extern const struct object_kind snapshot_kind;

/* Appends part @n, sealed under a key of its own. */
void part_put(struct buf *b, const struct snapshot_clear *clear, size_t n,
	      const struct snapshot_part_in *in, struct codec *codec);
/* @ret: its boxes are owned (free), also on failure. */
void part_get(struct cbor_rd *rd, struct snapshot_part *ret);

#endif /* SNAPSHOT_INTERNAL_H */
