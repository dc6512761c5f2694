/*
 * http.h - requests over HTTP: what the S3, Azure and WebDAV stores stand on.
 *
 * How a back end uses it: keep one `struct http` for as long as the store is open, and for each
 * operation build a `struct http_request` with the whole URL, percent-encoded (url_encode), and
 * its headers; call http_send; look at the status.  What isn't a success becomes an error by
 * http_error, which gives each status its meaning and takes Retry-After along:
 *
 *	CLEANUP(http_response_fini) struct http_response response = {0};
 *	struct http_request q = {.method = "GET", .url = url, .headers = &headers};
 *
 *	http_request_range(&q, off, len);
 *	r = http_send(s->http, &q, &response, err);
 *	if (r < 0)
 *		return r;
 *	if (response.status != 206)
 *		return http_error(&response, slice_of(NULL, 0), err);
 *	buf_move(ret, &response.body);
 *
 * Connections are kept and used again; as many threads as like may send, each on a connection of
 * its own.  Nothing is retried but a kept connection that turns out to be closed.  Redirections
 * are not followed: a store that answers with one is told of instead.
 *
 * libcurl is included only by http*.c, and by what speaks SFTP.  Layer 1: uses base.
 */
#ifndef TILLFS_STORE_HTTP_H
#define TILLFS_STORE_HTTP_H

#include <stdatomic.h>

#include "tillfs/base.h"
#include "tillfs/store.h"

struct http;

/* Header lines without line ends.  {0} is empty. */
struct http_headers {
	char **lines;
	size_t n, cap;
};
void http_headers_add(struct http_headers *h, const char *fmt, ...) PRINTF_LIKE(2, 3);
void http_headers_fini(struct http_headers *h); /* wipes: some carry credentials */

struct http_request {
	const char *method;                 /* "GET", "HEAD", "PUT", "PROPFIND", … */
	const char *url;                    /* whole and encoded: it is sent as it is */
	const struct http_headers *headers; /* may be NULL */
	struct slice body; /* sent when the method is neither GET nor HEAD; may be empty */
	uint64_t body_max; /* longest answer taken when it is a success; 0: 1 MiB */
	bool ranged;       /* by http_request_range, as the next three */
	uint64_t off, len; /* as asked of the server: at least a byte */
	uint64_t wanted;   /* as asked of us */
};

/* Asks for @len bytes from @off on.  The header is http_send's to add. */
static inline void
http_request_range(struct http_request *q, uint64_t off, uint64_t len)
{
	q->ranged = true;
	q->wanted = len;
	q->len = min_u64(max_u64(len, 1), INT64_MAX);
	q->off = min_u64(off, INT64_MAX - q->len); /* no object is as long as that */
}
/* The value of its Range header, "bytes=0-99", for whoever signs it. */
void http_range_text(const struct http_request *q, struct buf *ret);

struct http_response {
	int status;
	struct buf body;         /* at most 64 KiB when the status is an error */
	struct buf headers;      /* "Name: value\n" each */
	int64_t content_length;  /* as the header says; -1: it doesn't */
	unsigned retry_after_ms; /* 0: not said */
};
void http_response_fini(struct http_response *r);
/* The value of a header, NULL if it isn't there.  Owned by the caller. */
char *http_response_header(const struct http_response *r, const char *name);

/**
 * http_new - a client.
 * @options: may be NULL; cacert and timeout_ms are used, and copied
 * @user, @password: for servers with HTTP's own logins (Basic: the password travels as it is, so
 *                   over TLS only); NULL: none.  Copied, and wiped at the end
 *
 * Proxies are those of the environment, as with curl.
 */
struct http *http_new(const struct store_options *options, const char *user, const char *password);
void http_use_netrc(struct http *h); /* takes the login that ~/.netrc has for the host */
void http_free(struct http *h);      /* no request may be running */
DEFINE_FREEP(struct http *, http_free)
/* All that this client has sent and received. */
void http_traffic(struct http *h, struct store_traffic *ret);

/**
 * http_send - one request and its whole answer.
 * @ret: replaced; owned by the caller (http_response_fini); empty on failure
 *
 * With a range, the status after success is always 206 and the body is what store_get promises:
 * the range, or less where the object ends; no bytes for a range past the end.  An answer that
 * isn't that range is an error; when a server sends the whole object instead, the range is taken
 * out of it.
 *
 * Return: 0 with any status; ERR_UNREACHABLE when no whole answer came in time, or a wrong range;
 * ERR_CORRUPT for an answer longer than body_max; ERR_AUTH when the server's certificate isn't to
 * be trusted; ERR_INVALID for a URL or a file of authorities that is no good.
 * Threads: any.
 */
MUST_CHECK int http_send(struct http *h, const struct http_request *q, struct http_response *ret,
			 struct err *err);

/**
 * http_error - what a status other than success means.
 * @said: the server's own words; empty: the beginning of the body, if it's text
 *
 * Return: ERR_DENIED for 401 and 403; ERR_NOENT for 404 and 410; ERR_EXISTS for 412;
 * ERR_UNREACHABLE for 408, 425, 429, 5xx, with retry_after_ms; ERR_UNSUPPORTED for 405 and 501;
 * ERR_NOSPACE for 507; else ERR_IO.
 */
int http_error(const struct http_response *r, struct slice said, struct err *err);

/* Whether the server's clock is some minutes or more from ours plus @used seconds, with which the
 * refused request was signed; *@skew, of all requests to come, becomes the difference. */
MUST_CHECK bool http_clock_corrected(const struct http_response *r, int64_t used,
				     atomic_llong *skew);

/* "Sun, 06 Nov 1994 08:49:37 GMT", and the older forms. */
MUST_CHECK bool http_date_parse(const char *text, int64_t *ret);
void http_date_append(struct buf *ret, int64_t utc_sec); /* the first form */

#endif /* TILLFS_STORE_HTTP_H */
