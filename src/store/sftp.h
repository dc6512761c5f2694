/*
 * sftp.h - a store on an SSH server: what sftp*.c share.
 *
 *	sftp_open.c  from the URL to a store: user, key, host, folder
 *	sftp_host.c  whether the server is who it should be, and which of its keys to ask for
 *	sftp_call.c  a call to the server: connections, time limits, what went wrong
 *	sftp.c       the store's operations
 *	sftp_list.c  reading a folder
 *
 * Nothing connects before the first operation, so that a mount can live from its cache while the
 * server is away.
 */
#ifndef TILLFS_STORE_SFTP_H
#define TILLFS_STORE_SFTP_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/backends.h"
#include "store/known_hosts.h"
#include "store/leftovers.h"

#define SFTP_IDLE_MAX 64u /* connections that are kept */

struct sftp {
	char *user, *host;
	unsigned port;
	char *root;     /* the folder as the server knows it; relative to the home, or absolute */
	char *root_url; /* the same as an encoded URL, without a slash at its end */
	char *key;      /* file of the private key; NULL: the agent's only */
	char *fingerprint; /* the host's key as the URL names it; NULL: known_hosts decides */
	char *known_hosts; /* the file that people edit, for messages */
	struct host_keys known;
	bool may_make_root;
	unsigned timeout_ms;

	pthread_mutex_t host_lock; /* held while the first connection finds out the type */
	int type_fd;               /* a known_hosts file that names the type; -1: not yet known */

	pthread_mutex_t lock;
	pthread_cond_t may_connect;
	unsigned connecting; /* protected by lock, as all below */
	CURL *idle[SFTP_IDLE_MAX];
	size_t n_idle;

	struct leftovers leftovers;
	atomic_ullong requests, received, sent;
};

enum sftp_what {
	SFTP_NOTHING, /* only the commands */
	SFTP_STAT,
	SFTP_READ,
	SFTP_LIST,
	SFTP_WRITE,
};

/* One call: commands, a transfer, more commands. */
struct sftp_call {
	enum sftp_what what;
	const char *key;           /* what is read or written; a folder's may be "" */
	struct curl_slist *before; /* taken: freed by sftp_call */
	struct curl_slist *after;
	uint64_t off, len; /* SFTP_READ */
	struct slice body; /* SFTP_WRITE */
	struct buf *ret;   /* SFTP_READ, SFTP_LIST */

	int64_t size;  /* SFTP_STAT: of the file */
	CURLcode code; /* how it ended, in curl's words */
	char sentence[CURL_ERROR_SIZE];

	const struct sftp *store; /* the rest is sftp_call.c's */
	CURL *curl;
	size_t sent;
	uint64_t mark_ms, mark_bytes;
	struct err host_err;
};

/**
 * sftp_call - make a call.
 *
 * Return: 0, ERR_NOENT, ERR_EXISTS, ERR_DENIED, ERR_NOSPACE, ERR_AUTH for an unknown host,
 * ERR_UNREACHABLE, ERR_IO for a refusal without a reason.  Threads: any.
 */
MUST_CHECK int sftp_call(struct sftp *s, struct sftp_call *call, struct err *err);
/* Adds "verb path…" to commands; a `*` before the verb lets it fail.  @b: NULL for verbs of one. */
struct curl_slist *sftp_command(struct curl_slist *list, const struct sftp *s, const char *verb,
				const char *a, const char *b);
void sftp_close_idle(struct sftp *s);

/* Sets what makes curl check the host.  The host's refusal is left in call->host_err. */
void sftp_host_setup(struct sftp_call *call, const char *type_path);
#define SFTP_ANY_TYPE "any"
/* The types of keys to ask a host for, the best first; ends in NULL. */
const char **sftp_host_types(const struct sftp *s);
/* A file that makes libcurl ask for a key of that type.  -1 with errno. */
int sftp_host_type_file(const struct sftp *s, const char *type);

/* Reads a folder, as folder_read_fn. */
struct folder_names;
int sftp_read_folder(void *arg, const char *folder, struct folder_names *ret, struct err *err);
/* What names a listing has.  Return: 0, or ERR_UNSUPPORTED for lines nobody understands. */
MUST_CHECK int sftp_parse_listing(struct slice text, struct folder_names *ret, struct err *err);

void store_sftp_close(void *arg);
extern const struct store_ops store_sftp_ops;

#endif /* TILLFS_STORE_SFTP_H */
