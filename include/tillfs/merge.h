/*
 * merge.h - a snapshot as one tree: its class trees, as many as open, laid over each other.
 *
 * A file stands in one class tree.  A directory stands in its class's own and, bare, in every other
 * that has something below it; the one that isn't bare gives the attributes.  Trees that contradict
 * each other are a dishonest snapshot: the first class in name order wins, so that a path is the
 * same thing for every command.
 *
 * Layer 3, part of reader: uses reader.
 */
#ifndef TILLFS_MERGE_H
#define TILLFS_MERGE_H

#include "tillfs/base.h"
#include "tillfs/reader.h"

/* The trees of one opened snapshot. */
struct merge;

/* @reader, @opened: borrowed; must outlive it.  Reads nothing. */
struct merge *merge_new(struct reader *reader, const struct repo_opened *opened);
void merge_free(struct merge *m);
DEFINE_FREEP(struct merge *, merge_free)

/* One path, in each tree that has it.  Zero-initialised is empty.  Threads: one at a time. */
struct merged {
	const struct tree_item **in; /* n of them, in class order */
	uint32_t n, main;            /* main: which of them gives the attributes */
	uint64_t rank; /* how many entries of its directory have lesser names, over all trees:
			  ascending with the names; 0 for a root */
	struct tree_item *owned; /* NULL when borrowed from a cursor */
};
void merged_fini(struct merged *x);
/* @to: replaced; owned by the caller. */
void merged_copy(const struct merged *from, struct merged *to);

static inline const struct tree_item *
merged_item(const struct merged *x)
{
	return x->in[x->main];
}

static inline const struct entry *
merged_entry(const struct merged *x)
{
	return &merged_item(x)->entry;
}

/* The root directory.  Return: 0, or ERR_DENIED when no tree opens. */
MUST_CHECK int merge_root(struct merge *m, struct merged *ret, struct err *err);
/* A path as users may write it, without slashes around it, empty components and `.`.  @ret:
 * replaced. */
void merge_path_clean(struct slice path, struct buf *ret);
/**
 * merge_resolve - walk a path, which may be unclean.
 * @ret: merged_fini; empty on failure
 * Return: 0, ERR_NOENT naming the path, ERR_DENIED, or what fetching gives.
 */
MUST_CHECK int merge_resolve(struct merge *m, struct slice path, struct merged *ret,
			     struct err *err);
/* Return: 0, ERR_NOENT, ERR_INVALID when @dir is no directory, or what fetching gives. */
MUST_CHECK int merged_lookup(const struct merged *dir, struct slice name, struct merged *ret,
			     struct err *err);

/* All names of a directory in byte order, each once. */
struct merged_cursor;
MUST_CHECK int merged_cursor_open(const struct merged *dir, struct merged_cursor **ret,
				  struct err *err);
void merged_cursor_close(struct merged_cursor *c);
DEFINE_FREEP(struct merged_cursor *, merged_cursor_close)
/**
 * merged_cursor_next - the next entry.
 * @ret: borrowed until the next call; merged_copy to keep
 * Return: 0, ERR_NOENT at the end, or what fetching gives.
 */
MUST_CHECK int merged_cursor_next(struct merged_cursor *c, const struct merged **ret,
				  struct err *err);
/**
 * merged_cursor_seek - make the @index-th name the next.
 * Cost: O(log n) where one tree has the directory, else O(@index).
 * Return: 0, also past the end, or what fetching gives.
 */
MUST_CHECK int merged_cursor_seek(struct merged_cursor *c, uint64_t index, struct err *err);

#endif /* TILLFS_MERGE_H */
