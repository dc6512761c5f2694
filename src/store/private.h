/*
 * private.h - the back ends, one function each.
 *
 * Layer 1.
 */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include "tillfs/store.h"

/* One more than the largest object that is read whole, so that a longer one shows. */
#define STORE_GET_MAX (64u * MIB + 1)

MUST_CHECK int store_file_open(const char *url, bool create, struct store **ret, struct err *err);

/* What store_new was given. */
void *store_arg(const struct store *s);

#endif /* STORE_PRIVATE_H */
