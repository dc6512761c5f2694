/*
 * azure.h - the Azure Blob Storage store: what azure*.c share.
 *
 *	azure_open.c         from URL and options to a store
 *	azure_credentials.c  where keys and tokens come from
 *	azure_send.c         one request: signed, sent, its refusal understood
 *	azure.c              the operations on one blob
 *	azure_list.c         listings
 *	azure_versions.c     older versions
 */
#ifndef TILLFS_STORE_AZURE_H
#define TILLFS_STORE_AZURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/backends.h"
#include "store/http.h"
#include "store/url.h"

/* Only in secret_new memory.  One of the two. */
struct azure_credentials {
	uint8_t key[128];
	size_t key_len; /* 0: none */
	char sas[4096]; /* "sv=…&sig=…" without a question mark; "": none */
};

/* A blob that is read as an older version, since what is there now is not what its key says. */
struct azure_pin {
	char *key, *id;
	const char *kind; /* the parameter that @id is one of */
};

struct azure {
	struct http *http;
	char *account, *container;
	char *prefix;   /* of keys, ends in '/', or "" */
	char *origin;   /* "https://account.blob.core.windows.net" */
	char *base;     /* encoded path of the container */
	bool compliant; /* locks can't be shortened by anybody */
	unsigned object_lock_days;
	struct azure_credentials *credentials; /* immutable */
	atomic_llong clock_skew;               /* seconds that the server's clock is ahead */
	atomic_bool knows_locks;
	pthread_mutex_t lock;
	struct azure_pin *pins; /* protected by lock */
	size_t n_pins, cap_pins;
};

struct azure_request {
	const char *method;
	const char *key; /* NULL: the container */
	struct {
		const char *name, *value; /* not encoded; ascending by name; ends in NULL */
	} query[8];
	struct http_headers headers; /* taken; x-ms-* and If-None-Match, by name */
	const char *if_none_match;   /* NULL: none */
	struct slice body;
	uint64_t body_max;
	bool ranged;
	uint64_t off, len;
};

/* What the environment or the configuration say for this account.  @ret_endpoint: owned by the
 * caller; NULL unless a connection string names one.  Return: 0, ERR_DENIED, ERR_INVALID. */
MUST_CHECK int azure_credentials_load(const struct store_options *options, const char *account,
				      struct azure_credentials *ret, char **ret_endpoint,
				      struct err *err);

MUST_CHECK int azure_send(struct azure *a, struct azure_request *q, struct http_response *ret,
			  struct err *err);
int azure_error(const struct azure *a, const struct http_response *r, struct err *err);
/* Whether the refusal is this one, "BlobAlreadyExists". */
bool azure_said(const struct http_response *r, const char *code);

struct listed;
/*
 * azure_page_read - one page of a listing.
 * @prefix:     of the store, which all names must begin with
 * @ret:        appended to, without the prefix
 * @ret_marker: where the next page begins, NULL at the end; owned by the caller
 *
 * Return: 0, ERR_CORRUPT.
 */
MUST_CHECK int azure_page_read(const char *prefix, struct slice document, struct listed *ret,
			       char **ret_marker, struct err *err);

int azure_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	       struct err *err);
int azure_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
		  void *fits_arg, struct err *err);
/* The version that @key is read as, NULL for what is there now.  Owned by the caller. */
char *azure_pinned(struct azure *a, const char *key, const char **ret_kind);
extern const struct store_ops azure_ops;

#endif /* TILLFS_STORE_AZURE_H */
