/*
 * store.h - the object storage: a flat map from key to immutable bytes.
 *
 * A store is {ops, arg}.  Operations block and may be called from many threads at once; who wants
 * concurrency brings threads (transfer), which keeps every back end small.  A store knows nothing
 * of the format, doesn't retry (store_patient_new does), and trusts nobody: what it returns is
 * checked above.
 *
 * Keys are UTF-8, `/` separated, no empty, `.` or `..` component, at most STORE_KEY_MAX bytes.
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_STORE_H
#define TILLFS_STORE_H

#include "tillfs/base.h"

#define STORE_KEY_MAX 512u

struct store;

/* One listed object or, with a delimiter, one common prefix (ends in '/', size 0). */
struct store_entry {
	const char *key; /* the whole key; borrowed for the call */
	uint64_t size;
	bool is_prefix;
};
/* Return 0 to go on; anything else ends the listing with that code. */
typedef int store_list_fn(void *arg, const struct store_entry *entry, struct err *err);

struct store_ops {
	const char *scheme;
	int (*get)(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret,
		   struct err *err);
	int (*size)(void *arg, const char *key, uint64_t *ret, struct err *err);
	int (*create)(void *arg, const char *key, struct slice body, struct err *err);
	int (*list)(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
		    struct err *err);
	int (*remove)(void *arg, const char *key, struct err *err);
	void (*close)(void *arg);
};

/* How to reach a distant store.  Zero is the default for each; texts are borrowed until
 * store_close. */
struct store_options {
	const char *cacert;  /* PEM file of authorities to trust instead of the system's */
	const char *profile; /* whose credentials, in the files where a service keeps several */
	unsigned timeout_ms; /* how long an operation may make no progress; 0: 30,000 */
	unsigned object_lock_days; /* keep what is created from being deleted for so long */
};

/**
 * store_open - open a store by URL.
 * @url:     file:///path
 * @options: may be NULL
 * @create:  make the root folder where it is missing
 *
 * Return: 0, ERR_NOENT when there is nothing at the URL (and not @create), ERR_INVALID for a URL
 * nobody understands, ERR_UNSUPPORTED for a scheme this build lacks, ERR_UNREACHABLE.
 */
MUST_CHECK int store_open(const char *url, const struct store_options *options, bool create,
			  struct store **ret, struct err *err);
void store_close(struct store *s);
DEFINE_FREEP(struct store *, store_close)
const char *store_url(const struct store *s); /* without credentials */
/* The folder of a local store, which a backup must not descend into; NULL for others. */
const char *store_local_path(const struct store *s);

/**
 * store_get - read a range.
 * @len: at most 64 MiB
 * @ret: replaced; on success holds min(len, object size - off) bytes, so less only at the object's
 *       end; empty on failure
 *
 * Return: 0, ERR_NOENT, ERR_DENIED, ERR_IO, ERR_UNREACHABLE.  An @off at or past the end gives 0
 * bytes.
 */
MUST_CHECK int store_get(struct store *s, const char *key, uint64_t off, uint64_t len,
			 struct buf *ret, struct err *err);
/* The whole object, refused with ERR_CORRUPT when it is longer than @max. */
MUST_CHECK int store_get_all(struct store *s, const char *key, uint64_t max, struct buf *ret,
			     struct err *err);
MUST_CHECK int store_size(struct store *s, const char *key, uint64_t *ret, struct err *err);

/**
 * store_create - create an object, durably, or fail leaving nothing under @key.
 *
 * Return: 0, ERR_EXISTS when there is an object of that key already (which stays as it is),
 * ERR_NOSPACE, ERR_DENIED, ERR_IO, ERR_UNREACHABLE.
 */
MUST_CHECK int store_create(struct store *s, const char *key, struct slice body, struct err *err);

/**
 * store_list - list keys in ascending byte order.
 * @prefix:    "" for all; a whole folder ends in '/'
 * @delimited: report the part up to the next '/' once, as a prefix
 *
 * Return: 0, what @fn returned, ERR_IO, ERR_DENIED, ERR_UNREACHABLE.  No object is an empty
 * listing.
 */
MUST_CHECK int store_list(struct store *s, const char *prefix, bool delimited, store_list_fn *fn,
			  void *arg, struct err *err);
/* Return: 0, ERR_NOENT, … */
MUST_CHECK int store_remove(struct store *s, const char *key, struct err *err);

/* ---- patience */

#define STORE_TIMEOUT_MS 30000u /* of one operation, attempts and waits together */

/**
 * store_patient_new - a store that tries again, within a deadline for each operation.
 * @inner:      taken; shall give up on silence within a third of the time
 * @timeout_ms: 0: STORE_TIMEOUT_MS
 *
 * Only ERR_UNREACHABLE is tried again, after random waits below a doubling bound, or what the store
 * asked for (err.retry_after_ms).  An operation whose answer got lost counts as done once: an
 * object that is there by then is compared with the one that was to be created, and a listing tells
 * no key twice.
 */
struct store *store_patient_new(struct store *inner, unsigned timeout_ms);
/* The store below, for who brings a patience of his own; @s itself when it has none.  Borrowed. */
struct store *store_impatient(struct store *s);
/* How long to wait after the @tries-th failure; @retry_after_ms: as in struct err. */
unsigned store_backoff_ms(unsigned tries, unsigned retry_after_ms);

/* Wraps ops of one's own.  @arg: taken. */
struct store *store_new(const struct store_ops *ops, void *arg, const char *url);

/* ---- twins for tests */

/* An empty store in memory. */
struct store *store_memory_new(void);

/**
 * store_fault_new - a store that fails on demand.
 * @inner: taken
 */
struct store *store_fault_new(struct store *inner);
/* The @nth call from now on (1 = the next) fails with @code, once. */
void store_fault_arm(struct store *faulty, unsigned nth, int code);
/* The same, but the call is carried out: only its answer is lost. */
void store_fault_arm_answer(struct store *faulty, unsigned nth, int code);
bool store_fault_fired(struct store *faulty);

#endif /* TILLFS_STORE_H */
