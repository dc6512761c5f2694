/*
 * snapshot.h - snapshot objects: encode, sign, parse, verify, and open their parts.
 *
 * Layer 2: uses seal, codec, cbor, pack, directory.  Format: docs/format.md sections 2 and 8.
 */
#ifndef TILLFS_SNAPSHOT_H
#define TILLFS_SNAPSHOT_H

#include "tillfs/base.h"
#include "tillfs/directory.h"
#include "tillfs/pack.h"
#include "tillfs/seal.h"

#define SNAPSHOT_OBJECT_MAX  (64u * MIB)
#define SNAPSHOT_PART_MAX    (64u * MIB)
#define SNAPSHOT_CLASSES_MAX PACK_SECTIONS_MAX
#define SNAPSHOT_SEQ_MAX     UINT64_C(9999999999) /* what ten digits can say */
#define SNAPSHOT_LIST_MAX    (1u << 20)           /* items of one list of the admin part */

/* What a snapshot's key says (I-1); known from a listing alone. */
struct snapshot_name {
	struct writer_id writer;
	struct date date; /* business date */
	int64_t time;     /* UTC seconds */
	uint64_t seq;
	struct snapshot_id id;
};

struct snapshot_key_text {
	char s[192];
};
struct snapshot_key_text snapshot_key_format(const struct snapshot_name *name);
/* Return: false for anything but a key that snapshot_key_format could have written. */
MUST_CHECK bool snapshot_key_parse(const char *key, struct snapshot_name *ret);

/* A place in a chain: a writer's, or the ledger's (writer all zero). */
struct chain_head {
	struct writer_id writer;
	uint64_t seq; /* 0: nothing seen */
	struct hash id;
};

/* The clear part. */
struct snapshot_clear {
	struct repo_id repo;
	struct writer_id writer;
	struct date date;
	int64_t time;
	uint64_t seq;
	bool has_prev;
	struct snapshot_id prev;
	struct chain_head ledger; /* seq 0: empty ledger */
	struct chain_head *heads; /* other writers', by writer id */
	size_t n_heads;
};

struct path_note {
	struct slice path, text;
};

/* The admin part, decoded (format.md 8.3).  Slices are borrowed from the part's bytes. */
struct snapshot_details {
	struct slice *labels; /* name, value, … */
	size_t n_labels;
	struct slice *paths;
	size_t n_paths;
	struct slice zone;
	int64_t cutoff_min;
	struct {
		struct slice name;
		struct slice *patterns;
		size_t n;
	} * classes;
	size_t n_classes;
	struct path_note *unreadable;
	size_t n_unreadable;
	struct path_note *notes;
	size_t n_notes;
	struct slice tool, host;
	int64_t started, finished;
	struct {
		struct slice name;
		struct seal_key key;
	} * hash_keys; /* secret memory */
	size_t n_hash_keys;
};

struct snapshot_counts {
	uint64_t files, dirs, others, bytes;
};

/* A class part, decoded (format.md 8.2). */
struct snapshot_class {
	char name[CLASS_NAME_MAX + 1];
	struct pack_table root_packs; /* for the root entry's references */
	struct entry root;            /* its slices borrow from bytes */
	struct snapshot_counts counts;
	bool no_xattrs; /* no entry has extended attributes; a mount needn't look for any */
	struct pack_place *packs; /* ascending by id */
	size_t n_packs;
	struct buf bytes;
};

/* ---- writing */

/*
 * snapshot_details_put, snapshot_class_put - the plaintext of a part.
 * The root entry's references are numbers of root_packs, a table without holder.
 */
void snapshot_details_put(struct buf *b, const struct snapshot_details *d);
void snapshot_class_put(struct buf *b, const struct snapshot_class *c);

/* One part to seal. */
struct snapshot_part_in {
	struct slice plain;
	const struct recipient *recipients; /* fingerprint order */
	size_t n_recipients;
};

/**
 * snapshot_encode - seal the parts, encode and sign.
 * @parts: parts[0] is the admin part, the others the class parts, class names ascending
 * @ret:   replaced by the stored object
 * @name:  what its key must say
 */
void snapshot_encode(const struct snapshot_clear *clear, const struct snapshot_part_in *parts,
		     size_t n_parts, const struct seal_pair *writer, struct codec *codec,
		     struct buf *ret, struct snapshot_name *name);

/* ---- reading */

struct snapshot_part {
	struct slice *boxes; /* n_boxes sealed keys */
	uint32_t n_boxes;
	struct hash key_hash;
	size_t plain_len;
	struct slice sealed;
};

/* A parsed snapshot whose id matched its key.  The signature is checked with snapshot_verify. */
struct snapshot {
	struct snapshot_name name;
	struct snapshot_clear clear;
	struct snapshot_part *parts; /* parts[0]: admin */
	size_t n_parts;
	struct slice signed_bytes;
	const uint8_t *signature;
	struct buf bytes;
};

/**
 * snapshot_parse - parse a stored object.
 * @name: what its key says; every field must agree (I-1)
 * @bytes: moved from on success
 *
 * Return: 0, ERR_CORRUPT, ERR_UNSUPPORTED (newer version).
 */
MUST_CHECK int snapshot_parse(const struct snapshot_name *name, struct buf *bytes,
			      struct snapshot **ret, struct err *err);
/* Return: 0, or ERR_AUTH. */
MUST_CHECK int snapshot_verify(const struct snapshot *s, const struct seal_sign_pk *writer,
			       struct err *err);
void snapshot_free(struct snapshot *s);
DEFINE_FREEP(struct snapshot *, snapshot_free)

/**
 * snapshot_part_key - the key of part @n, when one of its boxes is for @pair.
 * Return: 0, ERR_DENIED, ERR_CORRUPT.
 */
MUST_CHECK int snapshot_part_key(const struct snapshot *s, size_t n, const struct seal_pair *pair,
				 struct seal_key *ret, struct err *err);
/* The plaintext of part @n.  Return: 0, ERR_AUTH, ERR_CORRUPT.  @ret: replaced. */
MUST_CHECK int snapshot_part_open(const struct snapshot *s, size_t n, const struct seal_key *key,
				  struct codec *codec, struct buf *ret, struct err *err);
/* @plain: moved from on success.  Return: 0 or ERR_CORRUPT. */
MUST_CHECK int snapshot_class_parse(struct buf *plain, struct snapshot_class **ret,
				    struct err *err);
void snapshot_class_free(struct snapshot_class *c);
DEFINE_FREEP(struct snapshot_class *, snapshot_class_free)
/* The place of a pack in a class's list, or NULL.  Cost: O(log n). */
const struct pack_place *snapshot_class_pack(const struct snapshot_class *c,
					     const struct pack_id *id);
/* @plain: borrowed; must outlive @ret.  Return: 0 or ERR_CORRUPT. */
MUST_CHECK int snapshot_details_parse(struct slice plain, struct snapshot_details **ret,
				      struct err *err);
void snapshot_details_free(struct snapshot_details *d);
DEFINE_FREEP(struct snapshot_details *, snapshot_details_free)

#endif /* TILLFS_SNAPSHOT_H */
