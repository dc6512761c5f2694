/*
 * s3.h - the S3 store: what s3*.c share.
 *
 *	s3_open.c      from URL and options to a store
 *	s3_send.c      one request: signed, sent, its refusal understood
 *	s3.c           the operations on one object
 *	s3_list.c      listings
 *	s3_versions.c  older versions of an object
 *	s3_locks.c     locks against deletion
 *
 * The same code speaks to Google's storage, whose dialect differs in a few words.
 */
#ifndef TILLFS_STORE_S3_H
#define TILLFS_STORE_S3_H

#include <pthread.h>

#include "store/aws_credentials.h"
#include "store/backends.h"
#include "store/url.h"

/* Whether the server refuses to create what is there already. */
enum exclusive {
	EXCLUSIVE_UNKNOWN,
	EXCLUSIVE_YES,
	EXCLUSIVE_IGNORED,     /* it takes the condition and doesn't heed it */
	EXCLUSIVE_UNSUPPORTED, /* it refuses the condition */
};

/* An object that is read as an older version, since its newest is not what its key says. */
struct s3_pin {
	char *key, *version;
};

struct s3 {
	struct http *http;
	const struct aws_dialect *dialect;
	const char *create_header; /* the condition of a create */
	char *origin;              /* "https://host:port" */
	char *host;
	char *base;   /* encoded path of the bucket: "/bucket", or "" when the host names it */
	char *bucket; /* for messages */
	char *prefix; /* of keys, ends in '/', or "" */
	char *region;
	char *profile; /* NULL: none named */
	const char *lock_mode;
	bool encrypted; /* TLS guards bodies, so that they needn't be hashed */
	struct store_options options;
	pthread_mutex_t lock;
	struct aws_credentials *credentials; /* protected by lock, as the pins; secret memory */
	unsigned credentials_turn;           /* how often they changed; protected by lock */
	struct s3_pin *pins;
	size_t n_pins, cap_pins;
	atomic_int exclusive;    /* enum exclusive */
	atomic_llong clock_skew; /* seconds that the server's clock is ahead of ours */
	atomic_bool knows_locks;
};

struct s3_request {
	const char *method;
	const char *key;             /* without the store's prefix; NULL: the bucket itself */
	const char *query;           /* encoded and sorted, or NULL */
	struct http_headers headers; /* taken, and wiped */
	struct slice body;
	const struct hash *body_hash; /* when it's known; else NULL */
	uint64_t body_max;
	bool ranged;
	uint64_t off, len;
};

/* Return: 0 with any status, or as http_send.  Credentials that expired are read anew, once. */
MUST_CHECK int s3_send(struct s3 *s, struct s3_request *q, struct http_response *ret,
		       struct err *err);
/* As http_error, with the server's own words. */
int s3_error(const struct s3 *s, const struct http_response *r, struct err *err);
/* The code of the server's refusal, "NoSuchKey", or "". */
void s3_error_code(const struct http_response *r, char *ret, size_t size);

/* "name=value" of an encoded query, behind a '&' when there is one before. */
void s3_query_add(struct buf *query, const char *name, const char *value);
/* The version that @key is read as, NULL for the newest.  Owned by the caller. */
char *s3_pinned(struct s3 *s, const char *key);

/* Appends @value decoded, if the listing says that it's encoded.  False: it is broken. */
MUST_CHECK bool s3_decode(const char *value, bool encoded, char **ret);

struct listed;
/*
 * s3_page_read - one page of a listing.
 * @prefix:    of the store, which all keys must begin with
 * @ret:       appended to, without the prefix
 * @ret_token: where the next page begins; owned by the caller; may be NULL
 *
 * Return: 0, ERR_CORRUPT.
 */
MUST_CHECK int s3_page_read(const char *prefix, struct slice document, struct listed *ret,
			    bool *ret_more, char **ret_token, struct err *err);

/* Operations of the other files. */
int s3_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	    struct err *err);
int s3_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	       void *fits_arg, struct err *err);
int s3_lock_get(void *arg, const char *key, int64_t *ret, struct err *err);
int s3_lock_set(void *arg, const char *key, int64_t until, struct err *err);
int s3_purge(void *arg, const char *key, struct err *err);
extern const struct store_ops s3_ops;

/* Whether the server, asked for the lock of an object that is there, speaks of locks.  Return: 0,
 * ERR_UNSUPPORTED when it sends the object instead, or as s3_send. */
MUST_CHECK int s3_check_knows_locks(struct s3 *s, const char *key, struct err *err);
/* What asks for a lock when an object is created. */
void s3_lock_headers(const struct s3 *s, int64_t until, const struct hash *body_hash,
		     struct http_headers *ret);

#endif /* TILLFS_STORE_S3_H */
