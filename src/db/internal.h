/*
 * internal.h - what the files of this module share.
 */
#ifndef DB_INTERNAL_H
#define DB_INTERNAL_H

#include <sqlite3.h>

#include "tillfs/db_copy.h"

/* What one of SQLite's result codes is to a caller. */
int db_code_of(int rc);

struct db_foreign {
	sqlite3 *handle;
	char *path;
	struct db_patience patience;
	uint64_t deadline_ms;       /* for others' locks */
	uint64_t query_deadline_ms; /* for a query; 0: none */
};
bool db_foreign_cancelled(const struct db_foreign *d);

#endif /* DB_INTERNAL_H */
