/*
 * pack.h - packs: header, areas, segments.
 *
 * Building one (struct pack_builder collects sealed segments in memory and finishes into the stored
 * object), parsing a header, checking blocks, opening a segment.  Getting bytes is transfer's
 * business, deciding what goes into a segment backup's.
 *
 * Layer 2: uses seal, codec, cbor, object.  Format: docs/format.md section 5.
 */
#ifndef TILLFS_PACK_H
#define TILLFS_PACK_H

#include "tillfs/base.h"
#include "tillfs/codec.h"
#include "tillfs/object.h"
#include "tillfs/seal.h"

#define PACK_BLOCK_LEN     (128u * KIB)
#define PACK_BODY_MAX      (64u * MIB)
#define PACK_HEADER_MAX    (1u * MIB)
#define PACK_SECTIONS_MAX  64u
#define PACK_KEYS_MAX      256u /* recipients of one section */
#define SEGMENT_PLAIN_MAX  (512u * KIB)
#define SEGMENT_STORED_MAX (SEGMENT_PLAIN_MAX + 1u + SEAL_TAG_LEN)
#define CLASS_NAME_MAX     32u
#define PACK_BOX_STRIDE    (KEY_BOX_LEN + 2u) /* a box behind the CBOR head of its byte string */

enum pack_area { PACK_DATA = 1, PACK_TREE = 2 }; /* also the purpose byte of segment keys */

/* Somebody that section and part keys are sealed to.  Lists are in fingerprint order. */
struct recipient {
	struct fingerprint fingerprint;
	struct seal_box_pk box_pk;
};

/* A pack as a snapshot's class lists it (format.md section 8.2). */
struct pack_place {
	struct pack_id id;
	uint64_t object_len;
	uint32_t header_len;
	uint32_t ordinal; /* of the class's section */
	uint64_t data_off, data_len,
		tree_len; /* in the body; the tree area follows the data area */
};

/* What a segment's key is bound to, besides its section. */
struct segment_scope {
	struct writer_id writer;
	char class_name[CLASS_NAME_MAX + 1];
};

/* packs/<writer>/<hh>/<id> */
struct pack_key_text {
	char s[128];
};
struct pack_key_text pack_object_key(const struct writer_id *writer, const struct pack_id *id);
/* Return: false for anything but a key that pack_object_key could have written. */
MUST_CHECK bool pack_key_parse(const char *key, struct writer_id *ret_writer,
			       struct pack_id *ret_id);
/* Padmé: the length that an object of @len bytes is padded to. */
uint64_t pack_padded_len(uint64_t len);

/* ---- segments */

/**
 * segment_seal - encrypt packed bytes (codec_pack's output) for one place.
 * @ret: appended to
 * Threads: any.
 */
void segment_seal(const struct seal_key *section_key, const struct segment_scope *scope,
		  enum pack_area area, uint64_t off, struct slice packed, struct buf *ret);

/**
 * segment_open - decrypt and decompress one segment whose blocks were checked.
 * @plain_len: as the reference says; at most SEGMENT_PLAIN_MAX
 * @ret: replaced; exactly @plain_len bytes, or empty on failure
 *
 * Return: 0, ERR_AUTH when it was sealed for another place or key, ERR_CORRUPT.
 */
MUST_CHECK int segment_open(const struct seal_key *section_key, const struct segment_scope *scope,
			    enum pack_area area, uint64_t off, struct slice stored,
			    size_t plain_len, struct codec *codec, struct buf *ret,
			    struct err *err);

/* ---- building: one thread */

struct pack_builder;

struct pack_builder *pack_builder_new(const struct repo_id *repo, const struct writer_id *writer);
void pack_builder_free(struct pack_builder *b);
DEFINE_FREEP(struct pack_builder *, pack_builder_free)

/**
 * pack_builder_section - the ordinal of a class's section, made on first use.
 * @recipients: borrowed for the call; in fingerprint order, 1 … PACK_KEYS_MAX
 *
 * Return: the ordinal.  Fewer than PACK_SECTIONS_MAX sections is the caller's promise.
 */
uint32_t pack_builder_section(struct pack_builder *b, const char *class_name,
			      const struct recipient *recipients, size_t n);

/* Seals packed bytes into an area and returns their offset in it.  @ret_stored_len: length as
 * stored. */
uint64_t pack_builder_add(struct pack_builder *b, uint32_t ordinal, enum pack_area area,
			  struct slice packed, uint32_t *ret_stored_len);
uint64_t pack_builder_body_len(const struct pack_builder *b); /* without padding */

/* How much padding it would get with @more bytes behind those it has.  Cost: about one segment's
 * hash. */
uint64_t pack_builder_padding(const struct pack_builder *b, uint64_t more);

/**
 * pack_builder_finish - lay out the areas, pad, hash, and forget the section keys.
 * @object:     replaced by the whole stored object, in memory that starts at a multiple of 4096
 * @places:     array of one place a section, in ordinal order; owned by the caller (free)
 *
 * The builder is empty afterwards and may be used for the next pack.
 * Cost: one pass of BLAKE2b over the body.
 */
void pack_builder_finish(struct pack_builder *b, struct buf *object, struct pack_place **places,
			 size_t *n_places, struct pack_id *id);

/* Takes back a stored object's memory for the next one.  Threads: any. */
void pack_builder_recycle(struct pack_builder *b, struct buf *object);

/* ---- reading */

struct pack_section {
	struct hash key_hash;
	const uint8_t *boxes; /* n_boxes sealed keys, PACK_BOX_STRIDE bytes apart */
	uint32_t n_boxes;
};

/* A parsed header that matched its id.  Immutable; any thread. */
struct pack_header {
	struct repo_id repo;
	struct writer_id writer;
	uint32_t header_len;
	uint64_t body_len;
	uint32_t n_blocks;
	const uint8_t *block_hashes; /* n_blocks × 32 */
	uint32_t n_sections;
	struct pack_section *sections;
	struct buf bytes; /* owns what the pointers above point into */
};

/**
 * pack_header_parse - check a header against its id and parse it.
 * @bytes: the object's first header_len bytes; copied
 *
 * Return: 0, ERR_CORRUPT when it doesn't hash to @id or breaks the format, ERR_UNSUPPORTED for a
 * newer version.
 */
MUST_CHECK int pack_header_parse(struct slice bytes, const struct pack_id *id,
				 struct pack_header **ret, struct err *err);
void pack_header_free(struct pack_header *h);
DEFINE_FREEP(struct pack_header *, pack_header_free)

/* The length of a header, from an object's first 12 bytes or more.  Return: 0 or ERR_CORRUPT. */
MUST_CHECK int pack_header_len(struct slice start, uint32_t *ret, struct err *err);

/* Block @n of the body.  Return: 0, or ERR_CORRUPT "stored bytes don't match their hash". */
MUST_CHECK int pack_block_check(const struct pack_header *h, uint32_t n, struct slice block,
				struct err *err);

/**
 * pack_section_key - open a section's key.
 * Return: 0, ERR_DENIED when none of the boxes is for @pair, ERR_CORRUPT for a key that doesn't
 * match its hash or an ordinal out of range.
 */
MUST_CHECK int pack_section_key(const struct pack_header *h, uint32_t ordinal,
				const struct seal_pair *pair, struct seal_key *ret,
				struct err *err);

/* The key hash that headers and parts carry beside sealed keys. */
void pack_key_hash(const struct seal_key *key, struct hash *ret);

#endif /* TILLFS_PACK_H */
