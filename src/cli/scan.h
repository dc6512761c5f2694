/*
 * scan.h - what the files of `tillfs scan` share.
 */
#ifndef CLI_SCAN_H
#define CLI_SCAN_H

#include "internal.h"
#include "tillfs/scan.h"

struct scanning {
	const struct cli *c;
	struct scanner *scanner;
	struct buf json;
	uint64_t files, with_cards, not_read;
	struct scan_counts all;
	bool output_failed;
};

/* What was found in a file. */
void scan_found(struct scanning *s, struct slice path, const struct scan_counts *counts);
/* That a file could not be looked at. */
void scan_not_read(struct scanning *s, struct slice path, const char *why);
/* One database, and what stands beside it. */
MUST_CHECK int scan_files(const struct db_files *files, struct scan_counts *ret, struct err *err);

/* scan_path.c: files of this machine */
MUST_CHECK int scan_path(struct scanning *s, const char *path, struct err *err);
/* scan_snapshot.c: SNAPSHOT[:PATH] */
MUST_CHECK int scan_snapshot(struct scanning *s, const char *what, struct err *err);

#endif /* CLI_SCAN_H */
