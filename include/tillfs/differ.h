/*
 * differ.h - what two snapshots have in common, told by where it is stored.
 *
 * What didn't change between two runs of a writer lies in the same place, so equal references mean
 * equal bytes and nothing below them need be read.  The reverse doesn't hold: what was stored again
 * looks different, and whoever must know reads it.
 *
 * Layer 3, part of reader: uses reader, merge.
 */
#ifndef TILLFS_DIFFER_H
#define TILLFS_DIFFER_H

#include "tillfs/base.h"
#include "tillfs/merge.h"
#include "tillfs/reader.h"

/*
 * Whether two entries have the same content (files) or the same entries below (directories), as far
 * as references tell.  Reads nothing.  Cost: O(extents that stand in the entries themselves).
 */
bool tree_item_same_content(const struct tree_item *a, const struct tree_item *b);
/* The same over all classes; their attributes may differ. */
bool merged_same_content(const struct merged *a, const struct merged *b);
/* Whether their attributes are the same: type, mode, owner, times of change, link, device, xattrs.
 */
bool merged_same_attributes(const struct merged *a, const struct merged *b);

/* Return 0 to go on; anything else ends the comparison with that code. */
typedef int tree_range_fn(void *arg, uint64_t off, uint64_t len, struct err *err);

/**
 * tree_file_differences - the ranges of @new that aren't stored where the same ranges of @old are.
 * @fn: called in ascending order; neighbours are joined; ranges end at the size of @new
 *
 * Reads nodes of the streams, no content; equal nodes aren't read.
 * Return: 0, what @fn returned, or what fetching gives.
 */
MUST_CHECK int tree_file_differences(struct tree_file *old, struct tree_file *new,
				     tree_range_fn *fn, void *arg, struct err *err);

#endif /* TILLFS_DIFFER_H */
