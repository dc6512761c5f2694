/*
 * azure_send.c - one request: signed (Shared Key) or with a token, sent, its refusal understood.
 *
 * Layer 1.
 */
#include "store/azure.h"

#include <ctype.h>

#include "tillfs/seal.h"

#define API_VERSION "2021-12-02"

/* ---- what a refusal says */

bool
azure_said(const struct http_response *r, const char *code)
{
	CLEANUP(freep) char *said = http_response_header(r, "x-ms-error-code");

	return said != NULL && strcmp(said, code) == 0;
}

int
azure_error(const struct azure *a, const struct http_response *r, struct err *err)
{
	CLEANUP(freep) char *code = http_response_header(r, "x-ms-error-code");

	if (azure_said(r, "ContainerNotFound"))
		return err_set(err, ERR_INVALID, "there is no container \"%s\" at %s", a->container,
			       a->origin);
	if (azure_said(r, "BlobImmutableDueToPolicy"))
		return err_set(err, ERR_DENIED, "it is locked against deletion");
	return http_error(r, code != NULL ? slice_str(code) : slice_of(NULL, 0), err);
}

/* ---- signing */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "x-ms-name:value\n" each, in order. */
static void
append_headers(const struct http_headers *headers, struct buf *ret)
{
	char **lines = mem_array(headers->n, sizeof(*lines));
	size_t n = 0;

	for (size_t i = 0; i < headers->n; i++)
		if (strncmp(headers->lines[i], "x-ms-", 5) == 0)
			lines[n++] = headers->lines[i];
	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(lines[i], ":");

		buf_append(ret, lines[i], len + 1);
		buf_appendf(ret, "%s\n", lines[i] + len + strspn(lines[i] + len, ": "));
	}
	free(lines);
}

static void
append_resource(const struct azure *a, const struct azure_request *q, const char *path,
		struct buf *ret)
{
	buf_appendf(ret, "/%s%s", a->account, path);
	for (size_t i = 0; i < ARRAY_LEN(q->query) && q->query[i].name != NULL; i++)
		buf_appendf(ret, "\n%s:%s", q->query[i].name, q->query[i].value);
}

/* What is signed, line by line; "Date" is empty, since x-ms-date stands among the headers. */
static void
sign(const struct azure *a, const struct azure_request *q, const struct http_request *h,
     const char *path, struct http_headers *headers)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(buf_fini) struct buf signature = BUF_INIT;
	CLEANUP(freep)
	char *length = q->body.len > 0 ? str_format("%zu", q->body.len) : str_copy("");
	struct hash mac;

	buf_appendf(&text, "%s\n\n\n%s\n\n%s\n\n\n\n%s\n\n", q->method, length,
		    q->body.len > 0 ? "application/octet-stream" : "",
		    q->if_none_match != NULL ? q->if_none_match : "");
	if (h->ranged)
		http_range_text(h, &text);
	buf_append_u8(&text, '\n');
	append_headers(headers, &text);
	append_resource(a, q, path, &text);

	seal_hmac_sha256(slice_of(a->credentials->key, a->credentials->key_len), buf_slice(&text),
			 &mac);
	seal_base64_append(&signature, slice_of(mac.b, sizeof(mac.b)));
	http_headers_add(headers, "Authorization: SharedKey %s:%s", a->account,
			 buf_cstr(&signature));
}

/* ---- sending */

static void
append_path(const struct azure *a, const char *key, struct buf *ret)
{
	buf_append_str(ret, a->base);
	if (key == NULL)
		return;
	buf_append_u8(ret, '/');
	url_encode(ret, slice_str(a->prefix), "/");
	url_encode(ret, slice_str(key), "/");
}

static void
append_query(const struct azure *a, const struct azure_request *q, struct buf *ret)
{
	char before = '?';

	for (size_t i = 0; i < ARRAY_LEN(q->query) && q->query[i].name != NULL; i++) {
		buf_appendf(ret, "%c%s=", before, q->query[i].name);
		url_encode(ret, slice_str(q->query[i].value), "");
		before = '&';
	}
	if (a->credentials->sas[0] != '\0')
		buf_appendf(ret, "%c%s", before, a->credentials->sas);
}

static int
send_once(struct azure *a, const struct azure_request *q, int64_t skew, struct http_response *ret,
	  struct err *err)
{
	CLEANUP(http_headers_fini) struct http_headers headers = {0};
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(buf_fini) struct buf date = BUF_INIT;
	CLEANUP(buf_wipe) struct buf url = BUF_INIT;
	struct http_request h = {.method = q->method, .body = q->body, .body_max = q->body_max};

	append_path(a, q->key, &path);
	http_date_append(&date, time_now() + skew);
	for (size_t i = 0; i < q->headers.n; i++)
		http_headers_add(&headers, "%s", q->headers.lines[i]);
	http_headers_add(&headers, "x-ms-version: " API_VERSION);
	http_headers_add(&headers, "x-ms-date: %s", buf_cstr(&date));
	if (q->ranged)
		http_request_range(&h, q->off, q->len);
	if (a->credentials->key_len > 0)
		sign(a, q, &h, buf_cstr(&path), &headers);
	if (q->if_none_match != NULL)
		http_headers_add(&headers, "If-None-Match: %s", q->if_none_match);
	if (q->body.len > 0)
		http_headers_add(&headers, "Content-Type: application/octet-stream");
	else if (strcmp(q->method, "PUT") == 0)
		http_headers_add(&headers, "Content-Type:"); /* none, where curl would say one */

	buf_reserve(&url, sizeof(a->credentials->sas) + 4096); /* so that it never moves, unwiped */
	buf_appendf(&url, "%s%s", a->origin, buf_cstr(&path));
	append_query(a, q, &url);
	h.url = buf_cstr(&url);
	h.headers = &headers;
	return http_send(a->http, &h, ret, err);
}

int
azure_send(struct azure *a, struct azure_request *q, struct http_response *ret, struct err *err)
{
	int64_t skew = atomic_load(&a->clock_skew);
	int r = send_once(a, q, skew, ret, err);

	if (r == 0 && ret->status == 403 && http_clock_corrected(ret, skew, &a->clock_skew))
		r = send_once(a, q, atomic_load(&a->clock_skew), ret, err);
	http_headers_fini(&q->headers);
	return r;
}
