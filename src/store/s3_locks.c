/*
 * s3_locks.c - locks against deletion.
 *
 * A server that knows no locks may take the request for one as an object's content, and so destroy
 * the object (Swift does).  So it is asked about a lock before it is told to set the first one.
 *
 * Layer 1.
 */
#include "store/s3.h"

#define ANSWER_LEN 512u /* of what may be an object's whole content */

void
s3_lock_headers(const struct s3 *s, int64_t until, const struct hash *body_hash,
		struct http_headers *ret)
{
	CLEANUP(buf_fini) struct buf checksum = BUF_INIT;
	const char *begin = s->dialect->header;

	http_headers_add(ret, "%sobject-lock-mode: %s", begin, s->lock_mode);
	http_headers_add(ret, "%sobject-lock-retain-until-date: %s", begin,
			 time_format_rfc3339(until).s);
	if (s->dialect != &aws_dialect_s3)
		return;
	/* Locked objects are taken only with a checksum of their own. */
	seal_base64_append(&checksum, slice_of(body_hash->b, sizeof(body_hash->b)));
	http_headers_add(ret, "x-amz-checksum-sha256: %s", buf_cstr(&checksum));
}

int
s3_lock_get(void *arg, const char *key, int64_t *ret, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep)
	char *name = str_format("%sobject-lock-retain-until-date", s->dialect->header);
	CLEANUP(freep) char *until = NULL;
	struct s3_request q = {.method = "HEAD", .key = key};
	int r = s3_send(s, &q, &response, err);

	if (r < 0)
		return r;
	if (response.status != 200)
		return s3_error(s, &response, err);
	*ret = 0;
	until = http_response_header(&response, name);
	if (until != NULL && !time_parse_rfc3339(slice_str(until), ret))
		return err_set(err, ERR_CORRUPT, "the server says \"%.64s\" for the end of a lock",
			       until);
	return 0;
}

/* Whether an answer speaks of locks, be it that there is none, or that one may not ask. */
static bool
speaks_of_locks(const struct http_response *r)
{
	static const char word[] = "<Retention";

	return r->status != 206 || memmem(r->body.p, r->body.len, word, sizeof(word) - 1) != NULL;
}

int
s3_check_knows_locks(struct s3 *s, const char *key, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct s3_request q = {.method = "GET",
			       .key = key,
			       .query = "retention=",
			       .ranged = true,
			       .len = ANSWER_LEN};
	int r;

	if (atomic_load(&s->knows_locks))
		return 0;
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status >= 500)
		return s3_error(s, &response, err);
	if (!speaks_of_locks(&response))
		return err_set(err, ERR_UNSUPPORTED,
			       "%s knows no locks: asked for an object's lock, it sends the object",
			       s->origin);
	atomic_store(&s->knows_locks, true);
	return 0;
}

int
s3_lock_set(void *arg, const char *key, int64_t until, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(buf_fini) struct buf checksum = BUF_INIT;
	CLEANUP(freep)
	char *body = str_format("<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate>"
				"</Retention>",
				s->lock_mode, time_format_rfc3339(until).s);
	struct s3_request q = {
		.method = "PUT", .key = key, .query = "retention=", .body = slice_str(body)};
	struct hash hash;
	int r = s3_check_knows_locks(s, key, err);

	if (r < 0)
		return r;
	seal_sha256(q.body.p, q.body.len, &hash);
	q.body_hash = &hash;
	if (s->dialect == &aws_dialect_s3) {
		seal_base64_append(&checksum, slice_of(hash.b, sizeof(hash.b)));
		http_headers_add(&q.headers, "x-amz-checksum-sha256: %s", buf_cstr(&checksum));
	}
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	return response.status == 200 ? 0 : s3_error(s, &response, err);
}
