/*
 * object.h - the envelope of signed objects: magic, CBOR, signature.
 *
 * Config, ledger entries, snapshots, grants and reseals stand in it; what their CBOR means is
 * theirs. Here is also what their decoders share: bounds on versions and times, and boxes that hold
 * a key.
 *
 * Layer 2: uses seal, cbor, store.  Format: docs/format.md section 1, "Signed object".
 */
#ifndef TILLFS_OBJECT_H
#define TILLFS_OBJECT_H

#include "tillfs/base.h"
#include "tillfs/cbor.h"
#include "tillfs/seal.h"
#include "tillfs/store.h"

#define OBJECT_MAGIC_LEN 8u
#define OBJECT_VERSION   1u
#define KEY_BOX_LEN      (SEAL_KEY_LEN + SEAL_BOX_LEN) /* one key sealed to one person */

/* UTC seconds of 0000-01-01 and of the end of 9999: what texts of times can say. */
#define OBJECT_TIME_MIN INT64_C(-62167219200)
#define OBJECT_TIME_MAX INT64_C(253402300799)

struct object_kind {
	char magic[OBJECT_MAGIC_LEN + 1];
	const char *kind; /* as signatures name it */
};

/* A stored object taken apart; everything borrows from its bytes. */
struct object {
	struct slice signed_bytes; /* magic and CBOR */
	struct slice cbor;
	const uint8_t *signature; /* SEAL_SIGNATURE_LEN bytes */
	struct hash id;           /* H of the whole */
};

/* ---- writing: begin, append CBOR, sign */

void object_begin(const struct object_kind *kind, struct buf *ret); /* @ret: replaced */
void object_sign(const struct object_kind *kind, const struct seal_pair *author, struct buf *b,
		 struct hash *ret_id);

/* Appends text that came from outside.  What isn't UTF-8, or holds a NUL, would make the object
 * unreadable, so it is escaped as in messages. */
void object_put_text(struct buf *b, struct slice text);

/* ---- reading */

/**
 * object_fetch - read an object whose key says its id.
 * @max: in bytes
 * @ret: replaced
 *
 * Where the storage keeps older versions, one of the right id is read instead of what was put over
 * it.  Bytes of another id are returned as they are: they are the caller's to refuse.
 * Return: as store_get_all.
 */
MUST_CHECK int object_fetch(struct store *store, const char *key, const struct hash *id,
			    uint64_t max, struct buf *ret, struct err *err);

/* Return: 0, or ERR_CORRUPT for bytes too short or with another magic. */
MUST_CHECK int object_split(const struct object_kind *kind, struct slice bytes, struct object *ret,
			    struct err *err);
/* Return: 0, or ERR_AUTH. */
MUST_CHECK int object_verify(const struct object_kind *kind, struct slice signed_bytes,
			     const uint8_t *signature, const struct seal_sign_pk *author,
			     struct err *err);

/* The next item as a version: fails the cursor with ERR_UNSUPPORTED when it is a newer one. */
void object_get_version(struct cbor_rd *rd);
/* The next item as UTC seconds within OBJECT_TIME_MIN and OBJECT_TIME_MAX. */
int64_t object_get_time(struct cbor_rd *rd);
/* The next item as a byte string of exactly @len bytes.  Borrowed; empty on failure. */
struct slice object_get_exact(struct cbor_rd *rd, size_t len);
/* Fails the cursor with ERR_UNSUPPORTED and "<what>: <text>". */
void object_unsupported(struct cbor_rd *rd, const char *text);

/* A key sealed to one person.  Appends KEY_BOX_LEN bytes. */
void object_box_key(const struct seal_box_pk *to, const struct seal_key *key, struct buf *ret);
/* Return: 0, or ERR_AUTH when the box is for somebody else, changed, or holds no key. */
MUST_CHECK int object_unbox_key(const struct seal_pair *pair, struct slice box,
				struct seal_key *ret, struct err *err);

#endif /* TILLFS_OBJECT_H */
