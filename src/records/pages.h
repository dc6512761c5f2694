/*
 * pages.h - which rows of a table lie on pages that two versions of a database don't share.
 *
 * A page with the same number and the same bytes, reached from the table's root in both versions,
 * holds the same rows in both; so every row that differs lies on one of the other pages.  But for
 * rows that go on elsewhere when they don't fit: so, first, all pages that differ are accounted for
 * as pages of b-trees or of the list of free ones.  When some are not, they may be where rows go
 * on.
 *
 * Format: https://www.sqlite.org/fileformat2.html sections 1.3 to 1.6 and 2.1.
 */
#ifndef RECORDS_PAGES_H
#define RECORDS_PAGES_H

#include "tillfs/db_read.h"
#include "tillfs/differ.h"

/* Two versions of a database file, and where they differ. */
struct page_pair;

/**
 * page_pair_open - find the pages that differ.
 * @old, @new: borrowed; neither may have a WAL or a hot journal
 *
 * Reads the streams' nodes and the headers, no other page.
 * Return: 0, ERR_UNSUPPORTED when pages of the two can't be compared (another page size, not the
 * ordinary journal mode, text that isn't UTF-8), ERR_CORRUPT, or what reading gives.
 */
MUST_CHECK int page_pair_open(struct tree_file *old, struct tree_file *new, struct page_pair **ret,
			      struct err *err);
void page_pair_close(struct page_pair *p);
DEFINE_FREEP(struct page_pair *, page_pair_close)

/**
 * page_pair_account - find out whether rows can have changed elsewhere than in their pages.
 * @roots: of all b-trees of the new version, tables and indexes
 *
 * Without it, they are taken to have.  Reads the inner pages of all trees.
 * Return: 0, ERR_CORRUPT, or what reading gives.
 */
MUST_CHECK int page_pair_account(struct page_pair *p, const int64_t *roots, size_t n,
				 struct err *err);

/*
 * Rows of a table that may differ.  A row that is new or has changed lies on a page of the new
 * version that isn't shared, one that is gone on such a page of the old version.
 */
enum page_side { PAGE_OLD, PAGE_NEW };

/* Rowids, both included. */
struct rowid_range {
	int64_t first, last;
};

/**
 * page_pair_rows - the rowids on pages of one side that the other doesn't share.
 * @old_root, @new_root: the table's root pages
 * @ret: owned by the caller; ascending, not touching each other
 *
 * Reads the table's inner pages and the leaves that differ; all leaves, when rows may have changed
 * elsewhere.
 * Return: 0, ERR_UNSUPPORTED (no rowid table), ERR_CORRUPT, or what reading gives.
 */
MUST_CHECK int page_pair_rows(struct page_pair *p, int64_t old_root, int64_t new_root,
			      enum page_side side, struct rowid_range **ret, size_t *n,
			      struct err *err);

/* Keys, both included: @n_key values each. */
struct key_range {
	struct db_value *first, *last; /* may be the same */
	struct buf store;              /* their bytes */
};
struct key_ranges {
	struct key_range *v;
	size_t n, cap;
};
void key_ranges_fini(struct key_ranges *x);

/**
 * page_pair_keys - the same for a table WITHOUT ROWID.
 * @n_key: columns of its key, with which its rows begin
 * @ret:   key_ranges_fini, also on failure; not overlapping, without an order
 *
 * Reads the tree's inner pages and the leaves that differ.
 * Return: 0, ERR_UNSUPPORTED (another kind of table, rows that may have changed elsewhere, a key
 * that doesn't fit into a page), ERR_CORRUPT, or what reading gives.
 */
MUST_CHECK int page_pair_keys(struct page_pair *p, int64_t old_root, int64_t new_root,
			      enum page_side side, unsigned n_key, struct key_ranges *ret,
			      struct err *err);

#endif /* RECORDS_PAGES_H */
