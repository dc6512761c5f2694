/*
 * s3.c - the operations on one object.
 *
 * Creating.  A create carries the condition "if there is none".  Servers that don't heed it are
 * found out at the first small create of a process: the same object is sent again, and a server
 * that takes it twice doesn't heed the condition.  Until the server is known to heed it, small
 * objects are looked for before they are created, which is not exclusive but nearly so; a pack's
 * key is the hash of its content, so that two of one key are one.
 *
 * Layer 1.
 */
#include "store/s3.h"

#include <ctype.h>

#define PROBE_MAX (64u * KIB) /* no larger object is sent twice, or looked for beforehand */

static int
s3_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	CLEANUP(freep) char *version = s3_pinned(s, key);
	struct s3_request q = {.method = "GET", .key = key, .ranged = true, .off = off, .len = len};
	int r;

	if (version != NULL) {
		s3_query_add(&query, "versionId", version);
		q.query = buf_cstr(&query);
	}
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 206)
		return s3_error(s, &response, err);
	buf_move(ret, &response.body);
	return 0;
}

/* Return: 0 when the object is there. */
static int
head(struct s3 *s, const char *key, struct http_response *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	CLEANUP(freep) char *version = s3_pinned(s, key);
	struct s3_request q = {.method = "HEAD", .key = key};
	int r;

	if (version != NULL) {
		s3_query_add(&query, "versionId", version);
		q.query = buf_cstr(&query);
	}
	r = s3_send(s, &q, ret, err);
	return r == 0 && ret->status != 200 ? s3_error(s, ret, err) : r;
}

/* From the range that a part is said to be. */
static int
size_by_range(struct s3 *s, const char *key, uint64_t *ret, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep) char *said = NULL;
	struct s3_request q = {.method = "GET", .key = key, .ranged = true, .len = 1};
	const char *total;
	char *end;
	int r = s3_send(s, &q, &response, err);

	if (r < 0)
		return r;
	if (response.status != 206)
		return s3_error(s, &response, err);
	said = http_response_header(&response, "content-range");
	total = said != NULL ? strchr(said, '/') : NULL;
	if (total == NULL || !isdigit((unsigned char)total[1]))
		return err_set(err, ERR_IO, "the server doesn't say how long it is");
	*ret = strtoull(total + 1, &end, 10);
	return *end == '\0' ? 0
			    : err_set(err, ERR_IO, "the server says \"%.64s\" of its length", said);
}

static int
s3_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	int r = head(arg, key, &response, err);

	if (r < 0)
		return r;
	if (response.content_length < 0)
		return size_by_range(arg, key, ret, err);
	*ret = (uint64_t)response.content_length;
	return 0;
}

/* ---- removing */

/* The service says yes also to removing what isn't there, so it is looked for. */
static int
s3_remove(void *arg, const char *key, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(http_response_fini) struct http_response there = {0};
	struct s3_request q = {.method = "DELETE", .key = key};
	int r = head(s, key, &there, err);

	if (r < 0 && r != ERR_DENIED)
		return r;
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	return response.status == 204 || response.status == 200 ? 0 : s3_error(s, &response, err);
}

/* ---- creating */

static int
there_already(struct err *err)
{
	return err_set(err, ERR_EXISTS, "there is such an object already");
}

/* ERR_EXISTS when it's there; 0 when it isn't, or nobody may say. */
static int
look_for(struct s3 *s, const char *key, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	int r = head(s, key, &response, err);

	if (r == 0)
		return there_already(err);
	return r == ERR_NOENT || r == ERR_DENIED ? 0 : r;
}

static int
put(struct s3 *s, const char *key, struct slice body, bool conditional, struct http_response *ret,
    struct err *err)
{
	struct s3_request q = {.method = "PUT", .key = key, .body = body};
	struct hash hash;

	if (conditional)
		http_headers_add(&q.headers, "%s", s->create_header);
	if (s->options.object_lock_days > 0) {
		seal_sha256(body.p, body.len, &hash);
		q.body_hash = &hash;
		s3_lock_headers(s, time_now() + (int64_t)s->options.object_lock_days * 86400, &hash,
				&q.headers);
	}
	return s3_send(s, &q, ret, err);
}

/* Conflict: somebody else is creating it just now, or did. */
static int
conflict(struct s3 *s, const char *key, const struct http_response *response, struct err *err)
{
	char code[64];
	int r;

	s3_error_code(response, code, sizeof(code));
	if (strcmp(code, "ConditionalRequestConflict") != 0 &&
	    strcmp(code, "OperationAborted") != 0)
		return s3_error(s, response, err);
	r = look_for(s, key, err);
	return r < 0 ? r : err_set(err, ERR_UNREACHABLE, "somebody else is writing it just now");
}

/* Whether the server heeds the condition, now that the object is there. */
static void
probe(struct s3 *s, const char *key, struct slice body)
{
	CLEANUP(http_response_fini) struct http_response response = {0};

	/* A failure tells nothing, and isn't the create's. */
	if (put(s, key, body, true, &response, NULL) < 0)
		return;
	if (response.status == 412 || response.status == 409) {
		atomic_store(&s->exclusive, EXCLUSIVE_YES);
	} else if (response.status == 200) {
		atomic_store(&s->exclusive, EXCLUSIVE_IGNORED);
		log_write(LOG_WARN,
			  "%s can't create exclusively: it takes a second object of the same key",
			  s->origin);
	}
}

/* After the first create that asks for a lock: some servers don't heed that.  What can't be found
 * out is no failure of the create. */
static int
check_lock(struct s3 *s, const char *key, struct err *err)
{
	struct err why = ERR_INIT;

	if (s->options.object_lock_days == 0 ||
	    s3_check_knows_locks(s, key, &why) != ERR_UNSUPPORTED)
		return 0;
	(void)s3_remove(s, key, NULL); /* so that nothing is left of what failed */
	return err_set(err, ERR_UNSUPPORTED,
		       "asking for object lock: %s; without --object-lock-days it goes on",
		       why.msg);
}

static int
s3_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	int known = atomic_load(&s->exclusive);
	int r = 0;

	if (known != EXCLUSIVE_YES && (body.len <= PROBE_MAX || known != EXCLUSIVE_UNKNOWN))
		r = look_for(s, key, err);
	if (r == 0)
		r = put(s, key, body, known != EXCLUSIVE_UNSUPPORTED, &response, err);
	if (r == 0 && response.status == 501 && known != EXCLUSIVE_UNSUPPORTED) {
		atomic_store(&s->exclusive, EXCLUSIVE_UNSUPPORTED);
		r = put(s, key, body, false, &response, err);
	}
	if (r < 0)
		return r;
	if (response.status == 412) {
		atomic_store(&s->exclusive, EXCLUSIVE_YES);
		return there_already(err);
	}
	if (response.status == 409)
		return conflict(s, key, &response, err);
	if (response.status == 400 && s->options.object_lock_days > 0)
		return err_add(err, s3_error(s, &response, err),
			       "asking for object lock (does the bucket have it?)");
	if (response.status != 200)
		return s3_error(s, &response, err);
	r = check_lock(s, key, err);
	if (r < 0)
		return r;
	if (known == EXCLUSIVE_UNKNOWN && atomic_load(&s->exclusive) == EXCLUSIVE_UNKNOWN &&
	    body.len <= PROBE_MAX)
		probe(s, key, body);
	return 0;
}

static void
s3_close(void *arg)
{
	struct s3 *s = arg;

	http_free(s->http);
	secret_free(s->credentials);
	for (size_t i = 0; i < s->n_pins; i++) {
		free(s->pins[i].key);
		free(s->pins[i].version);
	}
	free(s->pins);
	free(s->origin);
	free(s->host);
	free(s->base);
	free(s->bucket);
	free(s->prefix);
	free(s->region);
	free(s->profile);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int
s3_exclusive(void *arg)
{
	struct s3 *s = arg;

	switch ((enum exclusive)atomic_load(&s->exclusive)) {
	case EXCLUSIVE_UNKNOWN:
		return -1;
	case EXCLUSIVE_YES:
		return 1;
	default:
		return 0;
	}
}

static void
s3_traffic(void *arg, struct store_traffic *ret)
{
	http_traffic(((struct s3 *)arg)->http, ret);
}

const struct store_ops s3_ops = {
	.scheme = "s3",
	.get = s3_get,
	.size = s3_size,
	.create = s3_create,
	.list = s3_list,
	.remove = s3_remove,
	.recover = s3_recover,
	.lock_get = s3_lock_get,
	.lock_set = s3_lock_set,
	.purge = s3_purge,
	.exclusive = s3_exclusive,
	.traffic = s3_traffic,
	.close = s3_close,
};
