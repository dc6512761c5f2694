/*
 * internal.h - what the files of this module share.
 *
 * Layer 4.
 */
#ifndef CAPTURE_INTERNAL_H
#define CAPTURE_INTERNAL_H

#include "tillfs/capture.h"
#include "tillfs/db_copy.h"

/* The captured database, once its check has ended.  Borrowed. */
struct db_foreign *capture_db(struct capture *c);

#endif /* CAPTURE_INTERNAL_H */
