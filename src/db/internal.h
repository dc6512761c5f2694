/*
 * internal.h - what the files of this module share.
 */
#ifndef DB_INTERNAL_H
#define DB_INTERNAL_H

#include <sqlite3.h>

#include "tillfs/base.h"

/* What one of SQLite's result codes is to a caller. */
int db_code_of(int rc);

#endif /* DB_INTERNAL_H */
