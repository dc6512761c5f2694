/*
 * same.h - comparing references of two trees: for same.c and differ.c.
 */
#ifndef READER_SAME_H
#define READER_SAME_H

#include "reader/internal.h"
#include "tillfs/differ.h"

/* What the numbers in references count in. */
struct located {
	struct tree *tree;
	const struct pack_table *packs;
};

/* Whether references of two trees can mean the same at all: one writer, one class. */
bool same_tree(const struct tree *a, const struct tree *b);
bool same_segment(const struct located *a, const struct segment_ref *x, const struct located *b,
		  const struct segment_ref *y);
bool same_node(const struct located *a, const struct node_ref *x, const struct located *b,
	       const struct node_ref *y);

#endif /* READER_SAME_H */
