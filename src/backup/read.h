/*
 * read.h - what the files that read one file's content share.
 *
 * Layer 4.
 */
#ifndef BACKUP_READ_H
#define BACKUP_READ_H

#include "backup/internal.h"

struct file_reader {
	struct buf data;          /* read and not yet cut; starts at off */
	struct pieces pieces;     /* of the leaf underway */
	struct scanner *scanner;  /* NULL: nobody looks for card numbers */
	struct scan_counts found; /* in the latest content */
};

/* One file being read. */
struct reading {
	struct file_reader *r;
	struct lane *lane;
	const struct source *from;
	uint64_t size;
	uint64_t off;  /* the next byte to give to a leaf */
	bool leaves;   /* long: an event a leaf */
	bool emitted;  /* leaves were sent */
	uint32_t page; /* 0: content-defined */
	struct chunker_sizes sizes;
};

/* Reads until the buffer holds @want bytes.  Return: 0, ERR_BUSY for a file that got shorter, or
 * why not.  Where an unknown size ends it is known then, and less may be there. */
MUST_CHECK int read_fill(struct reading *rd, uint64_t pos, size_t want, struct err *err);
/* Adds a chunk, split where a leaf ends. */
MUST_CHECK int read_add_chunk(struct reading *rd, const struct chunk_id *id, struct slice data,
			      struct err *err);
/* @known: where the catalog has it, or NULL: made of the pieces so far */
void read_emit_leaf(struct reading *rd, const struct catalog_node *known);

MUST_CHECK int read_pages(struct reading *rd, uint64_t end, struct err *err);

#endif /* BACKUP_READ_H */
