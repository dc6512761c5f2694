/*
 * trial.h - what a storage can do, and a credential may, found out by trying.
 *
 * Layer 1: uses store.
 */
#ifndef TILLFS_TRIAL_H
#define TILLFS_TRIAL_H

#include "tillfs/store.h"

enum trial_item {
	TRIAL_CREATE,
	TRIAL_READ,
	TRIAL_RANGE,
	TRIAL_LIST,
	TRIAL_EXCLUSIVE, /* of several that create one key at once, one succeeds */
	TRIAL_VERSIONS,  /* what was removed can still be read */
	TRIAL_DELETE,
	TRIAL_LOCK, /* what is locked can't be deleted */
	TRIAL_ITEMS,
};

enum trial_answer {
	TRIAL_UNTRIED, /* since something before it didn't work */
	TRIAL_YES,
	TRIAL_NO,     /* the storage can't */
	TRIAL_DENIED, /* the credential may not */
	TRIAL_FAILED, /* it went wrong */
};

struct trial_finding {
	enum trial_answer answer;
	char detail[ERR_MESSAGE_MAX]; /* why not; or "" */
};

struct trial {
	struct trial_finding findings[TRIAL_ITEMS];
	char prefix[STORE_KEY_MAX]; /* what it created lies below */
	unsigned n_left;            /* objects that could not be removed again */
};

/**
 * store_trial - try it.
 * @under: a prefix of keys that the credential may create under, without a slash at its end; "" for
 *         anywhere
 *
 * Creates a few objects under a prefix of their own and removes them for good.  A lock is tried for
 * some seconds, and waited for.  The store must not lock by itself what it creates.
 * Return: 0, also when nothing works; ERR_INVALID for an @under that is no prefix of keys.
 */
MUST_CHECK int store_trial(struct store *s, const char *under, struct trial *ret, struct err *err);

#endif /* TILLFS_TRIAL_H */
