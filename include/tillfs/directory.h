/*
 * directory.h - directory entries and nodes: encode and decode.
 *
 * A decoded leaf keeps its bytes; entries borrow from it and are decoded one at a time through an
 * index of offsets, so that a cached directory costs little more than its bytes.
 *
 * Layer 2: uses cbor, stream.  Format: docs/format.md sections 6.2 and 6.5.
 */
#ifndef TILLFS_DIRECTORY_H
#define TILLFS_DIRECTORY_H

#include "tillfs/base.h"
#include "tillfs/stream.h"

#define ENTRY_NAME_MAX   255u
#define ENTRY_TARGET_MAX 4095u
#define ENTRY_XATTR_MAX  65536u
#define ENTRY_XATTRS_MAX 1024u
#define DIR_LEAF_MAX     (64u * KIB) /* what a writer aims at; one entry may be larger */
#define DIR_LEAF_MIN     (16u * KIB)
#define DIR_INNER_MAX    1024u
#define DIR_HEIGHT_MAX   6u

enum entry_type {
	ENTRY_FILE = 1,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	ENTRY_FIFO,
	ENTRY_SOCKET,
	ENTRY_CHAR,
	ENTRY_BLOCK,
};

struct xattr {
	struct slice name, value;
};

enum children_kind { CHILDREN_NONE = 0, CHILDREN_NODE, CHILDREN_INLINE };

/* One entry.  Slices are borrowed; content and xattrs are owned (entry_fini). */
struct entry {
	struct slice name;
	enum entry_type type;
	uint32_t mode; /* 07777 bits only */
	uint32_t uid, gid;
	struct slice user, group;
	uint64_t size;
	uint64_t hole_len; /* file: bytes that its source hadn't allocated; tells cp to look for
			      holes */
	struct timestamp mtime, ctime, btime;
	bool has_btime;
	uint64_t nlink;
	uint64_t dev, ino; /* when nlink > 1 */
	uint32_t rdev_major, rdev_minor;
	struct slice target;
	struct xattr *xattrs;
	uint32_t n_xattrs;
	struct content content; /* file */

	/* directory */
	uint64_t n_subdirs, n_bare_subdirs, n_entries;
	bool bare;
	enum children_kind children;
	struct node_ref children_ref; /* CHILDREN_NODE */
	struct slice children_inline; /* CHILDREN_INLINE */
};

void entry_fini(struct entry *e); /* frees the arrays, leaves borrowed slices alone */

/* Appends one entry as CBOR. Numbers in references are those of the node's pack table. */
void entry_put(struct buf *b, const struct entry *e);

/* One decoded directory node.  Immutable; any thread. */
struct dir_node {
	struct pack_table packs;
	struct node_origin origin;
	enum node_kind kind;
	uint32_t height;            /* inner only */
	uint32_t n;                 /* entries of a leaf, children of an inner node */
	uint32_t *offs;             /* leaf: where entry i starts in bytes; n + 1 values */
	struct dir_child *children; /* inner */
	struct buf bytes;
};
struct dir_child {
	struct slice first;
	uint64_t count;
	struct node_ref ref;
};

/**
 * dir_node_decode - check a whole directory node, entry by entry.
 * @bytes:  copied
 * @height: what its place demands: -1 a root (leaf or inner), 0 a leaf, else an inner node of that
 * height
 *
 * Return: 0 or ERR_CORRUPT.  Every entry was checked, so dir_node_entry can't fail.
 */
MUST_CHECK int dir_node_decode(struct slice bytes, const struct node_origin *origin, int height,
			       struct dir_node **ret, struct err *err);
void dir_node_free(struct dir_node *n);
DEFINE_FREEP(struct dir_node *, dir_node_free)
size_t dir_node_memory(const struct dir_node *n); /* bytes it holds */

/* Entry @i of a leaf.  @ret: entry_fini; its slices live as long as the node. */
void dir_node_entry(const struct dir_node *n, uint32_t i, struct entry *ret);
struct slice dir_node_name(const struct dir_node *n, uint32_t i);
/* Leaf: the index of @name, or UINT32_MAX.  Cost: O(log n). */
uint32_t dir_node_find(const struct dir_node *n, struct slice name);
/* Inner: the child whose range holds @name (the last whose first name is not greater), or
 * UINT32_MAX. */
uint32_t dir_node_child_for(const struct dir_node *n, struct slice name);

/* A directory's inner node payload: [height, children]. */
void dir_inner_put(struct buf *b, uint32_t height, const struct dir_child *children, uint32_t n);

/* Whether a writer ends a leaf after this entry, having @leaf_len bytes with it (format.md 6.5). */
bool dir_leaf_ends(struct slice name, size_t leaf_len);

/* One entry by itself: a snapshot's root directory.  @rd stands at the entry. */
void entry_get(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	       bool root, struct entry *ret);

#endif /* TILLFS_DIRECTORY_H */
