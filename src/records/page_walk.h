/*
 * page_walk.h - b-trees of two versions of a database: for pages.c, page_rows.c and page_keys.c.
 *
 * The bytes are a stranger's: every number is checked, no page is visited twice, and depth is
 * bounded.  What a lying tree can win is a wrong answer about itself.
 */
#ifndef RECORDS_PAGE_WALK_H
#define RECORDS_PAGE_WALK_H

#include "records/pages.h"

enum page_type {
	PAGE_INDEX_TREE = 0x02,
	PAGE_TABLE_TREE = 0x05,
	PAGE_INDEX_LEAF = 0x0a,
	PAGE_TABLE_LEAF = 0x0d,
};

struct page_list {
	uint32_t *v; /* in key order */
	size_t n, cap;
};

/* One version, and the tree in it that was walked last. */
struct side {
	struct db_source file;
	uint32_t n_pages;
	uint8_t *seen; /* a bit a page */
	struct page_list inner, leaves;
};

struct page_pair {
	uint32_t page_size, usable;
	struct side old, new;
	uint8_t *differs;      /* a bit a page of the new version */
	bool in_pages;         /* no row has changed but in the page of its tree */
	uint8_t *page, *other; /* room for one each */
};

static inline bool
page_bit(const uint8_t *bits, uint32_t i)
{
	return (bits[i / 8] >> (i % 8) & 1) != 0;
}

/* As page_pair_open, of any bytes; no page differs yet. */
MUST_CHECK int page_pair_new(const struct db_source *old, const struct db_source *new,
			     struct page_pair **ret, struct err *err);
/* The pages that hold bytes [off, off + len) of the new version differ. */
void page_pair_mark(struct page_pair *p, uint64_t off, uint64_t len);

/* Whether both versions have this page, with these bytes, in the tree walked last. */
static inline bool
page_is_shared(const struct page_pair *p, uint32_t page)
{
	return page <= p->old.n_pages && page <= p->new.n_pages && !page_bit(p->differs, page) &&
	       page_bit(p->old.seen, page) && page_bit(p->new.seen, page);
}

/* A page of a b-tree taken apart. */
struct node {
	const uint8_t *page, *end; /* end of what may be used */
	const uint8_t *pointers;   /* to the cells */
	uint32_t n_cells;
	enum page_type type;
	uint32_t right; /* the last child of an inner page */
};

int page_bad(uint32_t number, const char *what, struct err *err);
/* @buffer: p->page or p->other; the node borrows it.  @number: from 1 */
MUST_CHECK int page_node_read(const struct page_pair *p, const struct side *s, uint32_t number,
			      uint8_t *buffer, struct node *ret, struct err *err);
/* Cell @i; NULL outside of the page. */
const uint8_t *page_cell(const struct node *n, uint32_t i);
/* Section 1.6.  Return: bytes used, or 0 when it doesn't end before @end. */
size_t page_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret);

/* Visits the table's tree in both versions.  Reads inner pages only. */
MUST_CHECK int page_walk_both(struct page_pair *p, int64_t old_root, int64_t new_root,
			      struct err *err);

#endif /* RECORDS_PAGE_WALK_H */
