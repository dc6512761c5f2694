/*
 * extras.c - what only some storages have: older versions, locks.
 *
 * A store around another may take part (patience tries again, a meter counts); where it has no part
 * in it, it is passed by.
 *
 * Layer 1.
 */
#include "store/backends.h"

#define GET_MAX ((uint64_t)64 * MIB)

static const struct store *
innermost(const struct store *s)
{
	while (store_inner(s) != NULL)
		s = store_inner(s);
	return s;
}

static int
lacks(const struct store *s, const char *what, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "%s:// has no %s", store_ops_of(innermost(s))->scheme,
		       what);
}

/* The outermost store, from @s on, that has a certain operation; NULL: none. */
#define OFFERING(s, operation)                                                                     \
	({                                                                                         \
		const struct store *at_ = (s);                                                     \
		while (at_ != NULL && store_ops_of(at_)->operation == NULL)                        \
			at_ = store_inner(at_);                                                    \
		at_;                                                                               \
	})

/* ---- for stores around another */

int
store_recover_in(const struct store *s, const char *key, uint64_t off, uint64_t len,
		 store_fits_fn *fits, void *fits_arg, struct err *err)
{
	const struct store *at = OFFERING(s, recover);

	if (at == NULL)
		return lacks(s, "older versions", err);
	return store_ops_of(at)->recover(store_arg_of(at), key, off, len, fits, fits_arg, err);
}

int
store_lock_get_in(const struct store *s, const char *key, int64_t *ret, struct err *err)
{
	const struct store *at = OFFERING(s, lock_get);

	if (at == NULL)
		return lacks(s, "locks against deletion", err);
	return store_ops_of(at)->lock_get(store_arg_of(at), key, ret, err);
}

int
store_lock_set_in(const struct store *s, const char *key, int64_t until, struct err *err)
{
	const struct store *at = OFFERING(s, lock_set);

	if (at == NULL)
		return lacks(s, "locks against deletion", err);
	return store_ops_of(at)->lock_set(store_arg_of(at), key, until, err);
}

int
store_purge_in(const struct store *s, const char *key, struct err *err)
{
	const struct store *at = OFFERING(s, purge);

	/* Without older versions, what is removed is gone. */
	if (at == NULL)
		return store_ops_of(s)->remove(store_arg_of(s), key, err);
	return store_ops_of(at)->purge(store_arg_of(at), key, err);
}

/* ---- for everybody */

int
store_recover(struct store *s, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	      void *fits_arg, struct err *err)
{
	int r = store_check_key(key, err);

	if (r == 0)
		r = store_recover_in(s, key, off, min_u64(len, GET_MAX), fits, fits_arg, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}

int
store_exclusive(struct store *s)
{
	const struct store *inner = innermost(s);
	const struct store_ops *ops = store_ops_of(inner);

	return ops->exclusive != NULL ? ops->exclusive(store_arg_of(inner)) : -1;
}

int
store_lock_get(struct store *s, const char *key, int64_t *ret, struct err *err)
{
	int r = store_check_key(key, err);

	*ret = 0;
	if (r == 0)
		r = store_lock_get_in(s, key, ret, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}

int
store_lock_set(struct store *s, const char *key, int64_t until, struct err *err)
{
	int r = store_check_key(key, err);

	if (r == 0)
		r = store_lock_set_in(s, key, until, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}

int
store_purge(struct store *s, const char *key, struct err *err)
{
	int r = store_check_key(key, err);

	if (r == 0)
		r = store_purge_in(s, key, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}
