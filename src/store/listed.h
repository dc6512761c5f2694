/*
 * listed.h - one page of a listing, as storage services send it: objects and folders apart, each
 * in order or not.  Collected, sorted, and told in the order of keys, without what was told before.
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_STORE_LISTED_H
#define TILLFS_STORE_LISTED_H

#include "tillfs/store.h"

/* Pages in a row that tell nothing new: more of them are a server's way never to end. */
#define LISTED_IDLE_MAX 100u

struct listed {
	struct store_entry *entries; /* keys owned */
	size_t n, cap;
	char *last; /* the key told last, on whatever page; NULL: none yet */
};

/* @key: taken */
void listed_add(struct listed *l, char *key, uint64_t size, bool is_prefix);

/**
 * listed_tell - sort the page, tell it, and empty it.
 * @ret_news: whether anything was new, so that a listing that repeats itself can be ended
 *
 * Keys that don't begin with @prefix, or are no keys of ours, are passed over: others may have
 * objects in the same place.
 * Return: 0, what @fn returned, or ERR_IO for a page that goes back in the order.
 */
MUST_CHECK int listed_tell(struct listed *l, const char *prefix, store_list_fn *fn, void *fn_arg,
			   bool *ret_news, struct err *err);
void listed_fini(struct listed *l);

#endif /* TILLFS_STORE_LISTED_H */
