/*
 * s3_versions.c - older versions of an object, and locks against deletion.
 *
 * On a versioned bucket whoever may create may also put another object over one that is there; the
 * old one stays, as an older version.  So what doesn't have the content that its key says is looked
 * for among them, and read from there on.
 *
 * Layer 1.
 */
#include "store/s3.h"

#include <stdio.h>
#include <time.h>

#include "store/xml.h"

#define PAGE_MAX     (8u * MIB)
#define VERSIONS_MAX 1000u /* looked at, of one object */

struct versions {
	const char *wanted; /* the object's whole name */
	bool encoded;
	char **ids; /* newest first, as the service lists them */
	size_t n, cap;
	char *key, *id; /* of the one being read */
};

static void
versions_fini(struct versions *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->ids[i]);
	free(v->ids);
	free(v->key);
	free(v->id);
}

static void
replace(char **text, const char *by)
{
	free(*text);
	*text = str_copy(by);
}

/* Versions and, when they are to go too, the marks that deletions leave. */
static int
end_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct versions *v = arg;
	CLEANUP(freep) char *key = NULL;
	const char *name = strchr(path, '/');

	if (strncmp(path, "ListVersionsResult/", 19) != 0)
		return 0;
	name++;
	if (strcmp(name, "EncodingType") == 0) {
		v->encoded = strcmp(text, "url") == 0;
	} else if (strcmp(name, "Version/Key") == 0 || strcmp(name, "DeleteMarker/Key") == 0) {
		replace(&v->key, text);
	} else if (strcmp(name, "Version/VersionId") == 0 ||
		   strcmp(name, "DeleteMarker/VersionId") == 0) {
		replace(&v->id, text);
	} else if ((strcmp(name, "Version") == 0 || strcmp(name, "DeleteMarker") == 0) &&
		   v->key != NULL && v->id != NULL) {
		if (!s3_decode(v->key, v->encoded, &key))
			return err_set(err, ERR_CORRUPT, "the server's listing has a broken key");
		if (strcmp(key, v->wanted) == 0 && v->n < VERSIONS_MAX) {
			array_reserve(v->ids, v->n, v->cap);
			v->ids[v->n++] = steal_ptr(&v->id);
		}
	}
	return 0;
}

/* All versions of one object; of one page, which holds a thousand. */
static int
find_versions(struct s3 *s, const char *key, struct versions *v, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	CLEANUP(freep) char *full = str_format("%s%s", s->prefix, key);
	struct s3_request q = {.method = "GET", .body_max = PAGE_MAX};
	struct xml_handler handler = {.end = end_element, .arg = v};
	int r;

	s3_query_add(&query, "prefix", full);
	s3_query_add(&query, "versions", "");
	q.query = buf_cstr(&query);
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 200)
		return s3_error(s, &response, err);
	v->wanted = full;
	r = xml_read(buf_slice(&response.body), &handler, err);
	v->wanted = NULL;
	return r;
}

/* ---- reading older ones */

static int
get_version(struct s3 *s, const char *key, const char *id, uint64_t off, uint64_t len,
	    struct http_response *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	struct s3_request q = {.method = "GET", .key = key, .ranged = true, .off = off, .len = len};
	int r;

	s3_query_add(&query, "versionId", id);
	q.query = buf_cstr(&query);
	r = s3_send(s, &q, ret, err);
	return r == 0 && ret->status != 206 ? s3_error(s, ret, err) : r;
}

static void
pin(struct s3 *s, const char *key, const char *version)
{
	size_t i = 0;

	pthread_mutex_lock(&s->lock);
	while (i < s->n_pins && strcmp(s->pins[i].key, key) != 0)
		i++;
	if (i == s->n_pins) {
		array_reserve(s->pins, s->n_pins, s->cap_pins);
		s->pins[s->n_pins++] = (struct s3_pin){str_copy(key), NULL};
	}
	free(s->pins[i].version);
	s->pins[i].version = str_copy(version);
	pthread_mutex_unlock(&s->lock);
}

char *
s3_pinned(struct s3 *s, const char *key)
{
	char *version = NULL;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_pins && version == NULL; i++)
		if (strcmp(s->pins[i].key, key) == 0)
			version = str_copy(s->pins[i].version);
	pthread_mutex_unlock(&s->lock);
	return version;
}

int
s3_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	   void *fits_arg, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(versions_fini) struct versions v = {0};
	int r = find_versions(s, key, &v, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v.n; i++) {
		CLEANUP(http_response_fini) struct http_response response = {0};

		r = get_version(s, key, v.ids[i], off, len, &response, err);
		if (r == ERR_UNREACHABLE || r == ERR_DENIED)
			return r;
		if (r == 0 && fits(fits_arg, buf_slice(&response.body))) {
			pin(s, key, v.ids[i]);
			log_write(LOG_WARN,
				  "%s was overwritten in the storage; read as an older version",
				  key);
			return 0;
		}
	}
	return err_set(err, ERR_NOENT, "no older version of it fits");
}

/* Removes all versions, for good. */
int
s3_purge(void *arg, const char *key, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(versions_fini) struct versions v = {0};
	int r = find_versions(s, key, &v, err);

	for (size_t i = 0; r == 0 && i < v.n; i++) {
		CLEANUP(http_response_fini) struct http_response response = {0};
		CLEANUP(buf_fini) struct buf query = BUF_INIT;
		struct s3_request q = {.method = "DELETE", .key = key};

		s3_query_add(&query, "versionId", v.ids[i]);
		q.query = buf_cstr(&query);
		r = s3_send(s, &q, &response, err);
		if (r == 0 && response.status != 204 && response.status != 200)
			r = s3_error(s, &response, err);
	}
	return r;
}

/* ---- locks */

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
	int r;

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
