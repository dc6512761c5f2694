/*
 * s3_versions.c - older versions of an object.
 *
 * On a versioned bucket whoever may create may also put another object over one that is there; the
 * old one stays, as an older version.  So what doesn't have the content that its key says is looked
 * for among them, and read from there on.
 *
 * Layer 1.
 */
#include "store/s3.h"

#include "store/xml.h"

#define PAGE_MAX      (8u * MIB)
#define PAGES_MAX     1000u /* of a thousand versions each: more than that is somebody's attack */
#define VERSIONS_KEPT 1000u

struct version {
	char *id, *etag; /* @etag: NULL where the server tells none */
};

/* The versions of one object, as the service lists them: the newest first. */
struct versions {
	char *wanted; /* the object's whole name */
	bool encoded, deleted_too;
	struct version kept[VERSIONS_KEPT]; /* the oldest of those listed, in a ring */
	size_t n;                           /* that were listed */
	bool truncated;
	char *next_key, *next_id; /* where the next page begins */
	char *key;                /* of the one being read, as the next */
	struct version reading;
};

static void
version_fini(struct version *v)
{
	free(v->id);
	free(v->etag);
	*v = (struct version){0};
}

static void
versions_free(struct versions *v)
{
	for (size_t i = 0; i < VERSIONS_KEPT; i++)
		version_fini(&v->kept[i]);
	version_fini(&v->reading);
	free(v->wanted);
	free(v->next_key);
	free(v->next_id);
	free(v->key);
	free(v);
}
DEFINE_FREEP(struct versions *, versions_free)

static struct versions *
versions_new(const struct s3 *s, const char *key, bool deleted_too)
{
	struct versions *v = mem_alloc(sizeof(*v));

	v->wanted = str_format("%s%s", s->prefix, key);
	v->deleted_too = deleted_too;
	return v;
}

static size_t
n_kept(const struct versions *v)
{
	return v->n < VERSIONS_KEPT ? v->n : VERSIONS_KEPT;
}

/* The @i-th oldest. */
static const struct version *
oldest(const struct versions *v, size_t i)
{
	return &v->kept[(v->n - 1 - i) % VERSIONS_KEPT];
}

static void
keep(struct versions *v)
{
	struct version *slot = &v->kept[v->n++ % VERSIONS_KEPT];

	version_fini(slot);
	*slot = v->reading;
	v->reading = (struct version){0};
}

static void
replace(char **text, const char *by)
{
	free(*text);
	*text = str_copy(by);
}

static int
end_version(struct versions *v, bool is_mark, struct err *err)
{
	CLEANUP(freep) char *key = NULL;

	if (v->key != NULL && !s3_decode(v->key, v->encoded, &key))
		return err_set(err, ERR_CORRUPT, "the server's listing has a broken key");
	if (key != NULL && v->reading.id != NULL && strcmp(key, v->wanted) == 0 &&
	    (!is_mark || v->deleted_too))
		keep(v);
	version_fini(&v->reading);
	return 0;
}

static int
end_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct versions *v = arg;
	const char *name = strchr(path, '/');
	const char *part;

	if (strncmp(path, "ListVersionsResult/", 19) != 0)
		return 0;
	name++;
	part = strchr(name, '/');
	if (strcmp(name, "EncodingType") == 0)
		v->encoded = strcmp(text, "url") == 0;
	else if (strcmp(name, "IsTruncated") == 0)
		v->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextKeyMarker") == 0)
		replace(&v->next_key, text);
	else if (strcmp(name, "NextVersionIdMarker") == 0)
		replace(&v->next_id, text);
	else if (strcmp(name, "Version") == 0 || strcmp(name, "DeleteMarker") == 0)
		return end_version(v, name[0] == 'D', err);
	else if (part == NULL)
		return 0;
	else if (strcmp(part, "/Key") == 0)
		replace(&v->key, text);
	else if (strcmp(part, "/VersionId") == 0)
		replace(&v->reading.id, text);
	else if (strcmp(part, "/ETag") == 0)
		replace(&v->reading.etag, text);
	return 0;
}

/* The first page, or the one behind the last. */
static int
fetch_page(struct s3 *s, struct versions *v, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	struct s3_request q = {.method = "GET", .body_max = PAGE_MAX};
	struct xml_handler handler = {.end = end_element, .arg = v};
	int r;

	if (v->next_key != NULL)
		s3_query_add(&query, "key-marker", v->next_key);
	s3_query_add(&query, "prefix", v->wanted);
	if (v->next_id != NULL)
		s3_query_add(&query, "version-id-marker", v->next_id);
	s3_query_add(&query, "versions", "");
	q.query = buf_cstr(&query);
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 200)
		return s3_error(s, &response, err);
	v->truncated = false;
	free(steal_ptr(&v->next_key));
	free(steal_ptr(&v->next_id));
	return xml_read(buf_slice(&response.body), &handler, err);
}

/* Whether a page that goes on goes on with versions of the same object. */
static bool
goes_on(const struct versions *v)
{
	return v->truncated && v->next_key != NULL && v->next_id != NULL &&
	       strcmp(v->next_key, v->wanted) == 0;
}

/* All versions, or the oldest of very many. */
static int
find_versions(struct s3 *s, struct versions *v, struct err *err)
{
	unsigned pages = 0;
	int r;

	do {
		r = fetch_page(s, v, err);
	} while (r == 0 && goes_on(v) && ++pages < PAGES_MAX);
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

/* Whether an older version of the same content was tried before. */
static bool
is_known(const struct versions *v, size_t i)
{
	const char *etag = oldest(v, i)->etag;

	for (size_t k = 0; k < i && etag != NULL; k++)
		if (oldest(v, k)->etag != NULL && strcmp(oldest(v, k)->etag, etag) == 0)
			return true;
	return false;
}

/* Whether one version is the right one, which then is read from now on. */
static int
try_version(struct s3 *s, const char *key, const char *id, uint64_t off, uint64_t len,
	    store_fits_fn *fits, void *fits_arg, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	int r = get_version(s, key, id, off, len, &response, err);

	if (r < 0)
		return r;
	if (!fits(fits_arg, buf_slice(&response.body)))
		return ERR_NOENT;
	pin(s, key, id);
	log_write(LOG_WARN, "%s was overwritten in the storage; read as an older version", key);
	return 0;
}

/* Somebody may have put a great many over it, so the one that was there first is tried first. */
int
s3_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	   void *fits_arg, struct err *err)
{
	struct s3 *s = arg;
	CLEANUP(versions_freep) struct versions *v = versions_new(s, key, false);
	int r = find_versions(s, v, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n_kept(v); i++) {
		if (is_known(v, i))
			continue;
		r = try_version(s, key, oldest(v, i)->id, off, len, fits, fits_arg, err);
		if (r == 0 || r == ERR_UNREACHABLE || r == ERR_DENIED || r == ERR_CANCELLED)
			return r;
	}
	return err_set(err, ERR_NOENT, "no older version of it fits");
}

/* ---- removing */

static int
remove_version(struct s3 *s, const char *key, const char *id, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	struct s3_request q = {.method = "DELETE", .key = key};
	int r;

	s3_query_add(&query, "versionId", id);
	q.query = buf_cstr(&query);
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	return response.status == 204 || response.status == 200 ? 0 : s3_error(s, &response, err);
}

/* Removes all versions, for good, with the marks that deletions leave: page after page. */
int
s3_purge(void *arg, const char *key, struct err *err)
{
	struct s3 *s = arg;

	for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
		CLEANUP(versions_freep) struct versions *v = versions_new(s, key, true);
		int r = fetch_page(s, v, err);

		for (size_t i = 0; r == 0 && i < n_kept(v); i++)
			r = remove_version(s, key, oldest(v, i)->id, err);
		if (r < 0 || !goes_on(v))
			return r;
	}
	return err_set(err, ERR_IO, "there is no end to its versions");
}
