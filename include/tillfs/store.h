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

/* Whether these bytes are the right ones. */
typedef bool store_fits_fn(void *arg, struct slice bytes);

/* What went over the link so far: requests, and bytes with the headers of answers, failed attempts
 * and listings among them. */
struct store_traffic {
	uint64_t requests, received, sent;
};

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
	/* The keys alone; NULL: list tells sizes at no cost. */
	int (*list_names)(void *arg, const char *prefix, store_list_fn *fn, void *fn_arg,
			  struct err *err);
	/* NULL where the storage has nothing of the kind. */
	int (*recover)(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
		       void *fits_arg, struct err *err);
	int (*lock_get)(void *arg, const char *key, int64_t *ret, struct err *err);
	int (*lock_set)(void *arg, const char *key, int64_t until, struct err *err);
	int (*purge)(void *arg, const char *key, struct err *err);
	int (*exclusive)(void *arg);
	void (*traffic)(void *arg, struct store_traffic *ret);
	const char *(*path)(void *arg);    /* of a local store: its folder; may be NULL */
	struct store *(*inner)(void *arg); /* of a store around another: that one, or NULL; may be
					      NULL */
};

/* How to reach a distant store.  Zero is the default for each; texts are borrowed until
 * store_close. */
struct store_options {
	const char *cacert;  /* PEM file of authorities to trust instead of the system's */
	const char *profile; /* whose credentials, in the files where a service keeps several */
	unsigned timeout_ms; /* how long an operation may make no progress; 0: 30,000 */
	unsigned object_lock_days; /* keep what is created from being deleted for so long */
	/* Credentials that the configuration holds; NULL: none.  What the environment says wins. */
	const char *access_key, *secret_key, *session_token; /* S3, Google */
	const char *account_key, *sas_token;                 /* Azure */
	const char *user, *password;                         /* WebDAV */
	const char *ssh_key; /* file, for SFTP; NULL: ~/.ssh/id_ed25519 */
};

/**
 * store_open - open a store by URL.
 * @url:     file:///path, sftp://user@host:port/path?key=FILE&hostkey=SHA256:…,
 *           webdav+https://host/path
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
/**
 * store_post - one HTTP POST, for services beside the stores.
 * @cacert: PEM file of authorities to trust instead of the system's, or NULL
 * @ret:    replaced by the body of a 200 answer, at most 1 MiB
 * Return: 0, or as a store's operations.
 */
MUST_CHECK int store_post(const char *url, const char *content_type, struct slice body,
			  const char *cacert, struct buf *ret, struct err *err);
/* Tells which files of this machine a store opens later, beside what TLS and resolvers read: keys,
 * certificates.  A relative path is of the current folder. */
void store_reads(const char *url, const struct store_options *options,
		 void (*fn)(void *arg, const char *path), void *arg);
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
/* The same, not delimited, for who doesn't look at sizes (they may be 0): a folder's files needn't
 * be looked at one by one then. */
MUST_CHECK int store_list_names(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
				struct err *err);
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

/**
 * store_stop_all - have everything that waits for a distant store give up within a second or two.
 *
 * For a process that is about to end: all requests of all stores fail with ERR_CANCELLED from then
 * on.  May be called by a signal handler.
 */
void store_stop_all(void);
bool store_is_stopping(void);
/* Sets ERR_CANCELLED, as whoever gives up for that reason should. */
int store_stopped(struct err *err);
/* Return: false when the wait was cut short by store_stop_all. */
bool store_sleep_until(uint64_t monotonic_ms);

/* ---- what only some storages have; ERR_UNSUPPORTED with the others */

/**
 * store_recover - go back to an older version of an object that was overwritten.
 * @fits: told bytes [off, off + len) of each version, newest first (fewer at its end): whether it
 *        is the one
 *
 * From then on this store reads @key as that version.
 * Return: 0, ERR_NOENT when no version fits, ERR_UNSUPPORTED, ERR_DENIED, ERR_UNREACHABLE.
 */
MUST_CHECK int store_recover(struct store *s, const char *key, uint64_t off, uint64_t len,
			     store_fits_fn *fits, void *fits_arg, struct err *err);

/* Whether the storage creates exclusively, as far as creates so far told: 1 yes, 0 no, -1 unknown.
 */
int store_exclusive(struct store *s);

/* Until when the storage refuses to delete an object; 0: it isn't locked. */
MUST_CHECK int store_lock_get(struct store *s, const char *key, int64_t *ret, struct err *err);
/* Locks an object, or extends its lock.  Return: 0, ERR_DENIED, ERR_INVALID, … */
MUST_CHECK int store_lock_set(struct store *s, const char *key, int64_t until, struct err *err);
/* Removes an object with all its older versions, for good; ERR_DENIED while one is locked. */
MUST_CHECK int store_purge(struct store *s, const char *key, struct err *err);

/* Wraps ops of one's own.  @arg: taken. */
struct store *store_new(const struct store_ops *ops, void *arg, const char *url);
/* For a store around another: operations whose arguments were checked on the way in. */
const struct store_ops *store_ops_of(const struct store *s);
void *store_arg_of(const struct store *s);
struct store *store_inner(const struct store *s); /* borrowed, or NULL */

/* ---- metering */

/* What went over the link, as the store itself counts it; of a store that doesn't, the content of
 * objects, and a request for each operation and every thousand keys of a listing. */
struct store_meter_stats {
	uint64_t requests, bytes_fetched, bytes_sent, errors;
	uint64_t refused; /* reads beyond the budget */
};

/**
 * store_meter_new - a store that counts, and may refuse to read more than so much an hour.
 * @inner:  taken
 * @budget: bytes an hour, 0: any
 *
 * All that is received counts, whatever it was for and whether it was of any use.  An hour begins
 * with the first read after the last one is over.  Beyond the budget a read is ERR_BUDGET, and the
 * first of an hour is told in the log; listings and small answers of other operations count too,
 * but are never refused.  Threads: any.
 */
struct store *store_meter_new(struct store *inner, uint64_t budget);
/* @metered: made by store_meter_new. */
void store_meter_stats_get(struct store *metered, struct store_meter_stats *ret);
/* For tests: lets the hour be over. */
void store_meter_expire(struct store *metered);

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
