/*
 * s3_send.c - one request: signed, sent, its refusal understood.
 *
 * Layer 1.
 */
#include "store/s3.h"

#include <stdio.h>

#include "store/xml.h"

void
s3_query_add(struct buf *query, const char *name, const char *value)
{
	buf_appendf(query, "%s%s=", query->len > 0 ? "&" : "", name);
	url_encode(query, slice_str(value), "");
}

/* ---- what a refusal says */

struct refusal {
	char code[64];
	char message[256];
	char region[64];
};

static void
copy_text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from);
}

static int
refusal_end(void *arg, const char *path, const char *text, struct err *err)
{
	struct refusal *refusal = arg;

	(void)err;
	if (strcmp(path, "Error/Code") == 0)
		copy_text(refusal->code, sizeof(refusal->code), text);
	else if (strcmp(path, "Error/Message") == 0)
		copy_text(refusal->message, sizeof(refusal->message), text);
	else if (strcmp(path, "Error/Region") == 0)
		copy_text(refusal->region, sizeof(refusal->region), text);
	return 0;
}

static struct refusal
understand(const struct http_response *r)
{
	struct refusal refusal = {0};
	struct xml_handler handler = {.end = refusal_end, .arg = &refusal};

	/* Where it isn't XML, the status alone has to do. */
	if (r->body.len > 0)
		(void)!xml_read(buf_slice(&r->body), &handler, NULL);
	return refusal;
}

void
s3_error_code(const struct http_response *r, char *ret, size_t size)
{
	struct refusal refusal = understand(r);

	copy_text(ret, size, refusal.code);
}

int
s3_error(const struct s3 *s, const struct http_response *r, struct err *err)
{
	CLEANUP(freep) char *region = http_response_header(r, "x-amz-bucket-region");
	CLEANUP(buf_fini) struct buf said = BUF_INIT;
	struct refusal refusal = understand(r);

	if (region == NULL && refusal.region[0] != '\0')
		region = str_copy(refusal.region);
	if (strcmp(refusal.code, "NoSuchBucket") == 0)
		return err_set(err, ERR_INVALID, "there is no bucket \"%s\" at %s", s->bucket,
			       s->origin);
	if (region != NULL && strcmp(region, s->region) != 0 && r->status < 404)
		return err_set(err, ERR_INVALID,
			       "bucket \"%s\" lies in region %.32s, not %s; say so by "
			       "region=%.32s in the URL",
			       s->bucket, region, s->region, region);
	if (refusal.code[0] != '\0')
		buf_appendf(&said, "%s%s%s", refusal.code, refusal.message[0] != '\0' ? ": " : "",
			    refusal.message);
	/* Some call a limit of requests a refusal of service. */
	if (strcmp(refusal.code, "SlowDown") == 0 && r->status < 500)
		return err_set(err, ERR_UNREACHABLE,
			       "the server asks to be left alone for a while");
	return http_error(r, buf_slice(&said), err);
}

/* ---- refusals that a second try may cure */

/* What a request was signed with.  Others, on their way at the same time, may have been refused
 * and have put both right in the meantime. */
struct signing {
	int64_t skew;
	unsigned credentials_turn;
};

/* Whether the credentials, read anew, are others than those that the request was signed with. */
static bool
credentials_changed(struct s3 *s, const struct signing *used)
{
	CLEANUP(secret_freep) struct aws_credentials *fresh = secret_new(sizeof(*fresh));
	bool changed;

	if (aws_credentials_load(&s->options, s->profile, fresh, NULL) < 0)
		return false;
	pthread_mutex_lock(&s->lock);
	if (!seal_equal(fresh, s->credentials, sizeof(*fresh))) {
		*s->credentials = *fresh;
		s->credentials_turn++;
	}
	changed = s->credentials_turn != used->credentials_turn;
	pthread_mutex_unlock(&s->lock);
	return changed;
}

static bool
worth_another_try(struct s3 *s, const struct signing *used, const struct http_response *r)
{
	char code[64];

	if (r->status == 400) {
		s3_error_code(r, code, sizeof(code));
		if (strcmp(code, "ExpiredToken") != 0 && strcmp(code, "InvalidToken") != 0)
			return false;
	} else if (r->status != 401 && r->status != 403) {
		return false;
	}
	return http_clock_corrected(r, used->skew, &s->clock_skew) || credentials_changed(s, used);
}

/* ---- sending */

static void
append_path(const struct s3 *s, const char *key, struct buf *ret)
{
	buf_append_str(ret, s->base);
	buf_append_u8(ret, '/');
	if (key != NULL) {
		url_encode(ret, slice_str(s->prefix), "/");
		url_encode(ret, slice_str(key), "/");
	} else if (s->base[0] != '\0') {
		ret->len--; /* a bucket in the path ends without a slash */
	}
}

/* Over TLS a body needs no hash of its own. */
static struct hex64
payload_hash(const struct s3 *s, const struct s3_request *q)
{
	struct hash hash;

	if (q->body_hash != NULL)
		return hex(q->body_hash);
	if (q->body.len > 0 && s->encrypted)
		return (struct hex64){AWS_UNSIGNED_PAYLOAD};
	seal_sha256(q->body.p, q->body.len, &hash);
	return hex(&hash);
}

static int
send_once(struct s3 *s, const struct s3_request *q, const struct hex64 *payload,
	  struct signing *ret_used, struct http_response *ret, struct err *err)
{
	CLEANUP(http_headers_fini) struct http_headers headers = {0};
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(freep) char *url = NULL;
	const char *query = q->query != NULL ? q->query : "";
	struct aws_request to_sign = {.method = q->method,
				      .host = s->host,
				      .query = query,
				      .payload = payload->s,
				      .region = s->region};
	struct http_request h = {.method = q->method, .body = q->body, .body_max = q->body_max};

	ret_used->skew = atomic_load(&s->clock_skew);
	to_sign.time = time_now() + ret_used->skew;
	append_path(s, q->key, &path);
	to_sign.path = buf_cstr(&path);
	for (size_t i = 0; i < q->headers.n; i++)
		http_headers_add(&headers, "%s", q->headers.lines[i]);
	pthread_mutex_lock(&s->lock);
	ret_used->credentials_turn = s->credentials_turn;
	aws_sign(s->dialect, s->credentials, &to_sign, &headers);
	pthread_mutex_unlock(&s->lock);

	url = str_format("%s%s%s%s", s->origin, buf_cstr(&path), query[0] != '\0' ? "?" : "",
			 query);
	h.url = url;
	h.headers = &headers;
	if (q->ranged)
		http_request_range(&h, q->off, q->len);
	return http_send(s->http, &h, ret, err);
}

int
s3_send(struct s3 *s, struct s3_request *q, struct http_response *ret, struct err *err)
{
	struct hex64 payload = payload_hash(s, q);
	struct signing used;
	int r;

	if (q->body.len > 0)
		http_headers_add(&q->headers, "Content-Type: application/octet-stream");
	r = send_once(s, q, &payload, &used, ret, err);
	if (r == 0 && worth_another_try(s, &used, ret))
		r = send_once(s, q, &payload, &used, ret, err);
	http_headers_fini(&q->headers);
	return r;
}
