/*
 * stream.h - references, nodes, and content streams: where a file's bytes lie.
 *
 * Encode and decode only.  A decoded node is flat memory with absolute pack numbers into its own
 * pack table; who fetches what is reader's business.
 *
 * Layer 2: uses cbor, pack (sizes).  Format: docs/format.md sections 6.1 to 6.3.
 */
#ifndef TILLFS_STREAM_H
#define TILLFS_STREAM_H

#include "tillfs/base.h"
#include "tillfs/cbor.h"
#include "tillfs/pack.h"

#define STREAM_LEAF_LEN      (UINT64_C(1) << 20)
#define STREAM_FANOUT        256u
#define STREAM_HEIGHT_MAX    6u
#define STREAM_INLINE_MAX    512u
#define STREAM_EMBED_EXTENTS 32u
#define STREAM_LEAF_EXTENTS  4096u /* of one leaf at most */
#define NODE_LEN_MAX         (256u * KIB)
#define NODE_PACKS_MAX       4096u

enum node_kind {
	NODE_STREAM_LEAF = 1,
	NODE_STREAM_INNER = 2,
	NODE_DIR_LEAF = 3,
	NODE_DIR_INNER = 4
};

/* A node's pack table.  Number 0 is the holder: the pack the node is stored in. */
struct pack_table {
	struct pack_id
		*ids; /* ids[0] is the holder; in a node without holder it is all zero and unused */
	uint32_t n, cap; /* n >= 1 */
	bool has_holder;
};

void pack_table_init(struct pack_table *t, const struct pack_id *holder); /* NULL: no holder */
void pack_table_fini(struct pack_table *t);
/* The number of a pack, added when new.  The holder is number 0.  Cost: O(n), latest first. */
uint32_t pack_table_number(struct pack_table *t, const struct pack_id *id);
/* The ids 1 … n - 1 as one byte string, as in nodes and before a snapshot's root entry. */
void pack_table_put(struct buf *b, const struct pack_table *t);
/* @holder: NULL: none.  @ret: owned by the caller (pack_table_fini), also on failure. */
void pack_table_get(struct cbor_rd *rd, const struct pack_id *holder, struct pack_table *ret);

/* Where a segment lies: absolute. */
struct segment_ref {
	uint32_t pack; /* number in the accompanying pack table */
	uint32_t stored_len;
	uint32_t plain_len;
	uint64_t off; /* in its area */
};

/* Where a node lies.  Decoding resolves "same segment" to the holder's own segment. */
struct node_ref {
	struct segment_ref seg;
	uint32_t off, len; /* in the segment's plaintext */
};

struct extent {
	uint64_t len;
	uint32_t segment; /* 0: a hole, else index + 1 into the leaf's segments */
	uint32_t off;     /* in the segment's plaintext */
};

struct leaf {
	struct segment_ref *segments;
	struct extent *extents;
	uint32_t n_segments, n_extents;
};

/* A file's content as its directory entry has it. */
enum content_kind { CONTENT_EMPTY = 0, CONTENT_INLINE, CONTENT_LEAF, CONTENT_TREE };

struct content {
	enum content_kind kind;
	struct slice bytes;   /* CONTENT_INLINE; borrowed from what was decoded */
	struct leaf leaf;     /* CONTENT_LEAF; the arrays are owned (leaf_fini) */
	uint32_t height;      /* CONTENT_TREE: 1 … STREAM_HEIGHT_MAX */
	struct node_ref root; /* CONTENT_TREE */
};

void leaf_fini(struct leaf *leaf);
void content_fini(struct content *c);

/* A decoded stream node. */
struct stream_node {
	struct pack_table packs;
	enum node_kind kind;
	uint32_t height;           /* inner only */
	struct leaf leaf;          /* leaf only */
	struct node_ref *children; /* inner only; len == 0 and seg.stored_len == 0: a hole */
	uint32_t n_children;
};

/* ---- encoding */

/* "Same segment": encode with seg.stored_len == 0 and seg.plain_len == 0 in a node_ref. */
void node_ref_put(struct buf *b, const struct node_ref *ref);
void leaf_put(struct buf *b, const struct leaf *leaf);
void content_put(struct buf *b, const struct content *c); /* not for CONTENT_EMPTY */
/* [pack table, kind, payload]; @payload is CBOR already, made with numbers of @packs. */
void node_put(struct buf *b, const struct pack_table *packs, enum node_kind kind,
	      struct slice payload);
/* [height, children]; a child with len == 0 is a hole. */
void stream_inner_put(struct buf *b, uint32_t height, const struct node_ref *children, uint32_t n);

/* ---- decoding */

/* Where the bytes being decoded came from: resolves pack number 0 and "same segment". */
struct node_origin {
	bool inline_root; /* stands in a snapshot: neither exists */
	struct pack_id pack;
	struct segment_ref seg; /* with pack == 0 */
	uint32_t off;           /* of the node in the segment's plaintext: it refers backwards */
};

/*
 * node_open - start decoding a node: reads the pack table and the kind; the cursor then stands at
 * the payload.  @ret_kind: 0 … NODE_DIR_INNER; which one must stand there is the caller's to check.
 * @packs: owned by the caller (pack_table_fini), also on failure.
 */
MUST_CHECK int node_open(struct cbor_rd *rd, const struct node_origin *origin,
			 struct pack_table *packs, enum node_kind *ret_kind);
void node_ref_get(struct cbor_rd *rd, const struct node_origin *origin,
		  const struct pack_table *packs, struct node_ref *ret);
/* @range: the length it must cover exactly; @max_extents: bound. */
void leaf_get(struct cbor_rd *rd, const struct pack_table *packs, bool has_holder, uint64_t range,
	      uint32_t max_extents, struct leaf *ret);
/* @size: the file's, from its entry; > 0. */
void content_get(struct cbor_rd *rd, const struct node_origin *origin,
		 const struct pack_table *packs, uint64_t size, struct content *ret);

/**
 * stream_node_decode - decode a stream leaf or inner node.
 * @height: what the reference's place demands: 0 a leaf, else an inner node of that height
 * @range:  the bytes of the file below it (a leaf: exactly; an inner node: bounds its children)
 *
 * Return: 0 or ERR_CORRUPT.
 */
MUST_CHECK int stream_node_decode(struct slice bytes, const struct node_origin *origin,
				  uint32_t height, uint64_t range, struct stream_node **ret,
				  struct err *err);
void stream_node_free(struct stream_node *n);
DEFINE_FREEP(struct stream_node *, stream_node_free)

/* The bytes that one child of an inner node of @height covers: 2^20 · 256^(height-1). */
uint64_t stream_child_range(uint32_t height);
/* The height that a file of @size needs: 1 for up to 256 MiB. */
uint32_t stream_height_for(uint64_t size);

#endif /* TILLFS_STREAM_H */
