/*
 * diff.h - what cmd_diff.c and diff_rows.c share.
 */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include "database.h"

/* Two snapshots being compared, and what was told so far. */
struct diff {
	bool json;
	struct records_host *host; /* NULL: rows aren't asked for */
	struct records_limits limits;
	struct merge *old, *new;
	struct slice path; /* both sides start below it */
	struct buf text;   /* to be printed */
	struct buf last;   /* the database compared last */
	uint64_t n, rows;  /* lines; of them rows */
	uint64_t counts[CHANGE_UNREADABLE + 1];
	uint64_t n_failed; /* databases that could not be compared */
};

/* A line, or an object, for a path; @extra: JSON to stand behind it, or NULL. */
MUST_CHECK int diff_add(struct diff *d, char letter, const char *word, struct slice path,
			const struct buf *extra, struct err *err);

/**
 * diff_rows - tell the rows that changed, when a path is a database in both snapshots or belongs to
 * one.
 * Return: 0, also when it can't be compared, which was warned of; or what printing gives.
 */
MUST_CHECK int diff_rows(struct diff *d, struct slice path, struct err *err);

#endif /* CLI_DIFF_H */
