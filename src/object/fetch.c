/*
 * fetch.c - an object by the id that its key says.
 *
 * Layer 2.
 */
#include "tillfs/object.h"

static bool
has_id(void *arg, struct slice bytes)
{
	struct hash found;

	seal_hash(bytes.p, bytes.len, &found);
	return hash_equal(&found, arg);
}

int
object_fetch(struct store *store, const char *key, const struct hash *id, uint64_t max,
	     struct buf *ret, struct err *err)
{
	struct hash wanted = *id;
	int r = store_get_all(store, key, max, ret, err);

	if (r < 0 && r != ERR_CORRUPT)
		return r;
	if (r == 0 && has_id(&wanted, buf_slice(ret)))
		return 0;
	/* No older version fits, or there are none: then what is there is the caller's to judge. */
	if (store_recover(store, key, 0, max + 1, has_id, &wanted, NULL) < 0)
		return r;
	return store_get_all(store, key, max, ret, err);
}
