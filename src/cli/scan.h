/*
 * scan.h - what the files of `tillfs scan` share.
 */
#ifndef CLI_SCAN_H
#define CLI_SCAN_H

#include "internal.h"
#include "tillfs/records.h"
#include "tillfs/scan.h"

#define SCAN_VALUE_MAX (256u * MIB) /* of a database */

struct scanning {
	const struct cli *c;
	struct records_host *host;
	struct buf json;
	uint64_t files, with_cards, not_read;
	struct scan_counts all;
	bool output_failed;
};

/* What was found in a file. */
void scan_found(struct scanning *s, struct slice path, const struct scan_counts *counts);
/* That a file could not be looked at. */
void scan_not_read(struct scanning *s, struct slice path, const char *why);
/* One database of this machine, and what stands beside it. */
MUST_CHECK int scan_files(const struct db_files *files, struct scan_counts *ret, struct err *err);

/* scan_path.c: files of this machine */
MUST_CHECK int scan_path(struct scanning *s, const char *path, struct err *err);
/* scan_snapshot.c: SNAPSHOT[:PATH] */
MUST_CHECK int scan_snapshot(struct scanning *s, const char *what, struct err *err);

/* scan_stored.c: a database of a snapshot, in a process of its own.  @ret: also before a
 * failure.  Return: 0, or as records_open and records_query. */
MUST_CHECK int scan_stored(struct records_host *host, const struct records_files *files,
			   struct scan_counts *ret, struct err *err);

#endif /* CLI_SCAN_H */
