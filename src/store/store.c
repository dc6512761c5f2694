/*
 * store.c - choosing a back end, and checking what callers ask before it gets there.
 *
 * Layer 1.
 */
#include <inttypes.h>

#include "store/backends.h"
#include "store/url.h"

#define GET_MAX ((uint64_t)64 * MIB)

struct store {
	const struct store_ops *ops;
	void *arg;
	char *url;
};

/* ---- opening */

static int
open_file_url(const char *url, const struct store_options *options, bool create, struct store **ret,
	      struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	const char *rest = url + strlen("file://");

	(void)options;
	if (rest[0] != '/')
		return err_set(err, ERR_INVALID,
			       "%s: a local store is file:// and an absolute path, such as "
			       "file:///srv/pos-backup",
			       url);
	path = url_decode(slice_str(rest));
	if (path == NULL)
		return err_set(err, ERR_INVALID, "%s: a %% must be followed by two digits", url);
	return store_file_open(path, create, ret, err);
}

typedef int open_fn(const char *url, const struct store_options *options, bool create,
		    struct store **ret, struct err *err);

static const struct {
	const char *begin;
	open_fn *open; /* NULL: known, but this build lacks it */
} backends[] = {
	/* clang-format off */
	{"file://", open_file_url},
	{"s3://", store_s3_open},
	{"gs://", store_gs_open},
	{"azure://", store_azure_open},
	{"webdav+https://", store_webdav_open},
	{"webdav+http://", store_webdav_open},
	{"sftp://", store_sftp_open},
	/* clang-format on */
};

int
store_open(const char *url, const struct store_options *options, bool create, struct store **ret,
	   struct err *err)
{
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (strncmp(url, backends[i].begin, strlen(backends[i].begin)) == 0) {
			if (backends[i].open == NULL)
				return err_set(err, ERR_UNSUPPORTED,
					       "this build of tillfs has no %s store",
					       backends[i].begin);
			return backends[i].open(url, options, create, ret, err);
		}
	if (url[0] == '/')
		return err_set(err, ERR_INVALID, "%s: not a URL; did you mean file://%s?", url,
			       url);
	return err_set(err, ERR_INVALID,
		       "%.*s: not the URL of a store, which begins with file://, s3://, gs://, "
		       "azure://, webdav+https:// or sftp://",
		       (int)strcspn(url, "/?@"), url); /* what follows may hold a password */
}

struct store *
store_new(const struct store_ops *ops, void *arg, const char *url)
{
	struct store *s = mem_alloc(sizeof(*s));

	s->ops = ops;
	s->arg = arg;
	s->url = str_copy(url);
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	s->ops->close(s->arg);
	free(s->url);
	free(s);
}

const struct store_ops *
store_ops_of(const struct store *s)
{
	return s->ops;
}

void *
store_arg_of(const struct store *s)
{
	return s->arg;
}

struct store *
store_inner(const struct store *s)
{
	return s->ops->inner != NULL ? s->ops->inner(s->arg) : NULL;
}

const char *
store_url(const struct store *s)
{
	return s->url;
}

const char *
store_local_path(const struct store *s)
{
	const struct store *inner = store_inner(s);

	if (inner != NULL)
		return store_local_path(inner);
	return s->ops->path != NULL ? s->ops->path(s->arg) : NULL;
}

/* ---- checking arguments */

/* Whether each component of @text is a legal one; the last may be empty if @open_ended. */
static bool
components_ok(const char *text, bool open_ended)
{
	for (;;) {
		size_t len = strcspn(text, "/");
		bool last = text[len] == '\0';

		if (len == 0 && !(last && open_ended))
			return false;
		if ((len == 1 || len == 2) && strncmp(text, "..", len) == 0 &&
		    !(last && open_ended))
			return false;
		if (last)
			return true;
		text += len + 1;
	}
}

static bool
text_ok(const char *text)
{
	return strlen(text) <= STORE_KEY_MAX && utf8_valid(slice_str(text));
}

int
store_check_key(const char *key, struct err *err)
{
	CLEANUP(buf_fini) struct buf shown = BUF_INIT;

	if (text_ok(key) && components_ok(key, false))
		return 0;
	text_append_safe(&shown, slice_of(key, strnlen(key, STORE_KEY_MAX)));
	return err_set(err, ERR_INVALID, "\"%s\" is no key of an object", buf_cstr(&shown));
}

/* ---- operations */

int
store_get(struct store *s, const char *key, uint64_t off, uint64_t len, struct buf *ret,
	  struct err *err)
{
	int r;

	buf_reset(ret);
	r = store_check_key(key, err);
	if (r < 0)
		return r;
	if (len > GET_MAX)
		return err_set(err, ERR_INVALID, "%s: %" PRIu64 " bytes at once are too many", key,
			       len);

	r = s->ops->get(s->arg, key, off, len, ret, err);
	if (r < 0) {
		buf_reset(ret);
		return err_add(err, r, "%s", key);
	}
	if (ret->len > len) {
		buf_reset(ret);
		return err_set(err, ERR_IO, "%s: the store sent more than was asked for", key);
	}
	return 0;
}

int
store_get_all(struct store *s, const char *key, uint64_t max, struct buf *ret, struct err *err)
{
	int r;

	/* One byte more than allowed tells an object that is too long. */
	max = min_u64(max, GET_MAX - 1);
	r = store_get(s, key, 0, max + 1, ret, err);
	if (r < 0)
		return r;
	if (ret->len > max) {
		buf_reset(ret);
		return err_set(err, ERR_CORRUPT, "%s: longer than the %" PRIu64 " bytes allowed",
			       key, max);
	}
	return 0;
}

int
store_size(struct store *s, const char *key, uint64_t *ret, struct err *err)
{
	int r;

	*ret = 0;
	r = store_check_key(key, err);
	if (r < 0)
		return r;
	r = s->ops->size(s->arg, key, ret, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}

int
store_create(struct store *s, const char *key, struct slice body, struct err *err)
{
	int r = store_check_key(key, err);

	if (r < 0)
		return r;
	r = s->ops->create(s->arg, key, body, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}

static int
check_prefix(const char *prefix, struct err *err)
{
	if (prefix[0] != '\0' && !(text_ok(prefix) && components_ok(prefix, true)))
		return err_set(err, ERR_INVALID, "\"%.64s\" is no prefix of keys", prefix);
	return 0;
}

int
store_list(struct store *s, const char *prefix, bool delimited, store_list_fn *fn, void *arg,
	   struct err *err)
{
	int r = check_prefix(prefix, err);

	return r < 0 ? r : s->ops->list(s->arg, prefix, delimited, fn, arg, err);
}

int
store_list_names(struct store *s, const char *prefix, store_list_fn *fn, void *arg, struct err *err)
{
	int r;

	if (s->ops->list_names == NULL)
		return store_list(s, prefix, false, fn, arg, err);
	r = check_prefix(prefix, err);
	return r < 0 ? r : s->ops->list_names(s->arg, prefix, fn, arg, err);
}

int
store_remove(struct store *s, const char *key, struct err *err)
{
	int r = store_check_key(key, err);

	if (r < 0)
		return r;
	r = s->ops->remove(s->arg, key, err);
	return r < 0 ? err_add(err, r, "%s", key) : 0;
}
