/*
 * aws_sign.c - AWS Signature Version 4, and Google's way of saying the same.
 *
 * Layer 1.
 */
#include "store/aws_sign.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

const struct aws_dialect aws_dialect_s3 = {"AWS4-HMAC-SHA256", "AWS4", "s3", "aws4_request",
					   "x-amz-"};
const struct aws_dialect aws_dialect_gs = {"GOOG4-HMAC-SHA256", "GOOG4", "storage", "goog4_request",
					   "x-goog-"};

/* A header as it is signed. */
struct signed_header {
	char *name; /* lower case */
	const char *value;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct signed_header *)a)->name,
		      ((const struct signed_header *)b)->name);
}

static struct signed_header
split_line(const char *line)
{
	size_t len = strcspn(line, ":");
	struct signed_header h = {.name = str_format("%.*s", (int)len, line)};

	for (char *c = h.name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	h.value = line[len] == ':' ? line + len + 1 : "";
	while (*h.value == ' ')
		h.value++;
	return h;
}

/* "name:value\n" each, and the names joined by ';'. */
static void
append_canonical(const struct http_headers *headers, struct buf *ret, struct buf *ret_names)
{
	struct signed_header *all = mem_array(headers->n, sizeof(*all));

	for (size_t i = 0; i < headers->n; i++)
		all[i] = split_line(headers->lines[i]);
	qsort(all, headers->n, sizeof(*all), by_name);
	for (size_t i = 0; i < headers->n; i++) {
		buf_appendf(ret, "%s:%s\n", all[i].name, all[i].value);
		buf_appendf(ret_names, "%s%s", i > 0 ? ";" : "", all[i].name);
		free(all[i].name);
	}
	free(all);
}

static void
chain(struct hash *key, const char *message)
{
	struct hash next;

	seal_hmac_sha256(slice_of(key->b, sizeof(key->b)), slice_str(message), &next);
	*key = next;
	seal_wipe(&next, sizeof(next));
}

/* The key of one day, region and service. */
static void
signing_key(const struct aws_dialect *d, const struct aws_credentials *c, const char *day,
	    const char *region, struct hash *ret)
{
	CLEANUP(buf_wipe) struct buf first = BUF_INIT;

	buf_reserve(&first, sizeof(c->secret_key) + 8); /* so that it never moves, unwiped */
	buf_append_str(&first, d->key_begin);
	buf_append_str(&first, c->secret_key);
	seal_hmac_sha256(buf_slice(&first), slice_str(day), ret);
	chain(ret, region);
	chain(ret, d->service);
	chain(ret, d->end);
}

void
aws_sign(const struct aws_dialect *d, const struct aws_credentials *c, const struct aws_request *q,
	 struct http_headers *headers)
{
	CLEANUP(buf_wipe) struct buf canonical = BUF_INIT;
	CLEANUP(buf_fini) struct buf names = BUF_INIT;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(freep) char *scope = NULL;
	time_t t = (time_t)q->time;
	char when[32], day[16];
	struct hash hash, key;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	(void)strftime(day, sizeof(day), "%Y%m%d", &tm);
	scope = str_format("%s/%s/%s/%s", day, q->region, d->service, d->end);

	http_headers_add(headers, "Host: %s", q->host);
	http_headers_add(headers, "%sdate: %s", d->header, when);
	http_headers_add(headers, "%scontent-sha256: %s", d->header, q->payload);
	if (c->session_token[0] != '\0')
		http_headers_add(headers, "%ssecurity-token: %s", d->header, c->session_token);

	buf_appendf(&canonical, "%s\n%s\n%s\n", q->method, q->path, q->query);
	append_canonical(headers, &canonical, &names);
	buf_appendf(&canonical, "\n%s\n%s", buf_cstr(&names), q->payload);

	seal_sha256(canonical.p, canonical.len, &hash);
	buf_appendf(&text, "%s\n%s\n%s\n%s", d->algorithm, when, scope, hex(&hash).s);
	signing_key(d, c, day, q->region, &key);
	seal_hmac_sha256(slice_of(key.b, sizeof(key.b)), buf_slice(&text), &hash);
	seal_wipe(&key, sizeof(key));
	http_headers_add(headers,
			 "Authorization: %s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			 d->algorithm, c->access_key, scope, buf_cstr(&names), hex(&hash).s);
}
