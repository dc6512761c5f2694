/*
 * reader.h - files and directories inside snapshots: fetch, decrypt, decode, read ahead.
 *
 * Holds decrypted segments and decoded nodes in LRUs of one bounded memory.  Concurrent readers of
 * a segment share one decryption.  Knows one class's tree at a time; merging classes is view's.
 *
 * Layer 3: uses transfer, repo and the format modules.
 */
#ifndef TILLFS_READER_H
#define TILLFS_READER_H

#include "tillfs/base.h"
#include "tillfs/directory.h"
#include "tillfs/repo.h"
#include "tillfs/transfer.h"

struct reader;

/* @repo, @transfer: borrowed; @memory: bytes for segments and nodes, 0: 32 MiB. */
struct reader *reader_new(struct repo *repo, struct transfer *transfer, uint64_t memory);
void reader_free(struct reader *r);
DEFINE_FREEP(struct reader *, reader_free)

struct reader_stats {
	uint64_t segments_opened, segments_from_memory, nodes_decoded, nodes_from_memory,
		memory_used;
};
void reader_stats_get(struct reader *r, struct reader_stats *ret);

/* One class of one opened snapshot.  Reference-counted by files and directories open in it. */
struct tree;

/**
 * reader_tree_open - a class of a snapshot.
 * @opened: borrowed; must outlive the tree
 * Reads nothing.
 */
struct tree *reader_tree_open(struct reader *r, const struct repo_opened *opened,
			      size_t class_index);
void tree_close(struct tree *t);
DEFINE_FREEP(struct tree *, tree_close)
const char *tree_class(const struct tree *t);

/*
 * An entry together with what its slices and references live in.  Zero-initialised is empty.
 * Threads: one thread an item; items may be copied with tree_item_copy.
 */
struct tree_item {
	struct entry entry;
	struct tree *tree;           /* borrowed */
	const struct dir_node *node; /* holds the slices; NULL for a root */
	void *pin;
};
void tree_item_fini(struct tree_item *item);
void tree_item_copy(const struct tree_item *from, struct tree_item *to);
void tree_root(struct tree *t, struct tree_item *ret);

/**
 * tree_lookup - find a name in a directory.
 * @ret: replaced (tree_item_fini first if in use); zero on failure
 * Cost: O(log n) nodes, each a segment at most.
 * Return: 0, ERR_NOENT "no such file", ERR_INVALID when @dir is no directory, or what fetching
 * gives.
 */
MUST_CHECK int tree_lookup(const struct tree_item *dir, struct slice name, struct tree_item *ret,
			   struct err *err);
/* The same; @ret_less: how many entries have lesser names, also when there is none of that name. */
MUST_CHECK int tree_lookup_rank(const struct tree_item *dir, struct slice name,
				struct tree_item *ret, uint64_t *ret_less, struct err *err);
/* The @index-th entry of a directory in name order.  Return: ERR_NOENT past the end. */
MUST_CHECK int tree_at(const struct tree_item *dir, uint64_t index, struct tree_item *ret,
		       struct err *err);
/* Walks a path; "" is the root. */
MUST_CHECK int tree_resolve(struct tree *t, struct slice path, struct tree_item *ret,
			    struct err *err);

/*
 * A position in a directory, for listings: cheap to advance, keeps one leaf pinned.
 */
struct tree_cursor;
MUST_CHECK int tree_cursor_open(const struct tree_item *dir, struct tree_cursor **ret,
				struct err *err);
void tree_cursor_close(struct tree_cursor *c);
DEFINE_FREEP(struct tree_cursor *, tree_cursor_close)
/* Moves to the @index-th entry (0 … count; count is the end). */
MUST_CHECK int tree_cursor_seek(struct tree_cursor *c, uint64_t index, struct err *err);
/* Moves to the first entry whose name is not less than @name; returns its index too. */
MUST_CHECK int tree_cursor_seek_name(struct tree_cursor *c, struct slice name, uint64_t *ret_index,
				     struct err *err);
/**
 * tree_cursor_next - the entry at the position; advances.
 * @ret: borrowed from the cursor until the next call; copy with tree_item_copy to keep
 * Return: 0, ERR_NOENT at the end, or what fetching gives.
 */
MUST_CHECK int tree_cursor_next(struct tree_cursor *c, const struct tree_item **ret,
				struct err *err);

/* An open file. */
struct tree_file;
MUST_CHECK int tree_file_open(const struct tree_item *file, struct tree_file **ret,
			      struct err *err);
void tree_file_close(struct tree_file *f);
DEFINE_FREEP(struct tree_file *, tree_file_close)
uint64_t tree_file_size(const struct tree_file *f);

/**
 * tree_file_read - bytes of a file, all of them checked.
 * @len: any; the result is cut at the end of the file
 * @ret_len: bytes stored at @p
 *
 * Reads ahead for forward readers.  Holes are zeros.
 * Return: 0, or what fetching gives: nothing at @p is valid then.  Threads: any.
 */
MUST_CHECK int tree_file_read(struct tree_file *f, uint64_t off, void *p, size_t len,
			      size_t *ret_len, struct err *err);

/**
 * tree_file_seek - the next data or hole at or after @off, as lseek's SEEK_DATA and SEEK_HOLE.
 * Return: 0, ERR_NOENT (ENXIO: past the end, or no data behind @off).
 */
MUST_CHECK int tree_file_seek(struct tree_file *f, uint64_t off, bool hole, uint64_t *ret,
			      struct err *err);

/* Where a range of a file is stored: for check, cost and history. Holes have seg.stored_len == 0.
 */
struct tree_extent {
	uint64_t off, len;
	struct pack_id pack;
	struct segment_ref seg;
	uint32_t seg_off;
};
typedef int tree_extent_fn(void *arg, const struct tree_extent *x, struct err *err);
MUST_CHECK int tree_file_extents(struct tree_file *f, tree_extent_fn *fn, void *arg,
				 struct err *err);

/* The same of a file that nobody is going to read: nothing is opened ahead. */
MUST_CHECK int tree_item_extents(const struct tree_item *file, tree_extent_fn *fn, void *arg,
				 struct err *err);

/* Visits each pack that the tree lists, with its geometry. */
const struct snapshot_class *tree_class_part(const struct tree *t);

#endif /* TILLFS_READER_H */
