/*
 * s3_list.c - listings (ListObjectsV2), page by page.
 *
 * Layer 1.
 */
#include "store/s3.h"

#include <ctype.h>

#include "store/listed.h"
#include "store/xml.h"

#define PAGE_MAX (8u * MIB) /* a page of 1000 keys has at most 2 */

/* A page while it is read. */
struct page {
	const char *prefix; /* of the store */
	struct listed *listed;
	bool encoded, truncated;
	char *token; /* where the next page begins */
	char *key;   /* of the object being read */
	uint64_t size;
};

bool
s3_decode(const char *value, bool encoded, char **ret)
{
	CLEANUP(freep) char *spaced = NULL;

	if (!encoded) {
		*ret = str_copy(value);
		return true;
	}
	/* Encoded as in forms: a space may be a plus. */
	spaced = str_copy(value);
	for (char *c = spaced; *c != '\0'; c++)
		if (*c == '+')
			*c = ' ';
	*ret = url_decode(slice_str(spaced));
	return *ret != NULL;
}

static int
broken(struct err *err)
{
	return err_set(err, ERR_CORRUPT, "the server's listing has a broken key or size");
}

static int
take_key(struct page *p, const char *text, char **ret, struct err *err)
{
	CLEANUP(freep) char *key = NULL;
	size_t skip = strlen(p->prefix);

	if (!s3_decode(text, p->encoded, &key))
		return broken(err);
	/* What lies outside of the store's prefix wasn't asked for; it is dropped by its order. */
	if (strncmp(key, p->prefix, skip) != 0)
		return broken(err);
	free(*ret);
	*ret = str_copy(key + skip);
	return 0;
}

static int
take_size(const char *text, uint64_t *ret, struct err *err)
{
	char *end;

	*ret = strtoull(text, &end, 10);
	return isdigit((unsigned char)text[0]) && *end == '\0' ? 0 : broken(err);
}

static int
end_element(void *arg, const char *path, const char *text, struct err *err)
{
	struct page *p = arg;
	CLEANUP(freep) char *prefix = NULL;
	const char *name = strchr(path, '/');
	int r = 0;

	if (strncmp(path, "ListBucketResult/", 17) != 0)
		return 0;
	name++;
	if (strcmp(name, "EncodingType") == 0) {
		p->encoded = strcmp(text, "url") == 0;
	} else if (strcmp(name, "IsTruncated") == 0) {
		p->truncated = strcmp(text, "true") == 0;
	} else if (strcmp(name, "NextContinuationToken") == 0) {
		free(p->token);
		p->token = str_copy(text);
	} else if (strcmp(name, "Contents/Key") == 0) {
		r = take_key(p, text, &p->key, err);
	} else if (strcmp(name, "Contents/Size") == 0) {
		r = take_size(text, &p->size, err);
	} else if (strcmp(name, "Contents") == 0 && p->key != NULL) {
		listed_add(p->listed, steal_ptr(&p->key), p->size, false);
		p->size = 0;
	} else if (strcmp(name, "CommonPrefixes/Prefix") == 0) {
		r = take_key(p, text, &prefix, err);
		if (r == 0)
			listed_add(p->listed, steal_ptr(&prefix), 0, true);
	}
	return r;
}

/* The encoding stands in front of the keys only with some servers; it is looked for first. */
static int
find_encoding(void *arg, const char *path, const char *text, struct err *err)
{
	struct page *p = arg;

	(void)err;
	if (strcmp(path, "ListBucketResult/EncodingType") == 0)
		p->encoded = strcmp(text, "url") == 0;
	return 0;
}

static void
page_fini(struct page *p)
{
	free(p->token);
	free(p->key);
}

int
s3_page_read(const char *prefix, struct slice document, struct listed *ret, bool *ret_more,
	     char **ret_token, struct err *err)
{
	CLEANUP(page_fini) struct page p = {.prefix = prefix, .listed = ret};
	struct xml_handler handler = {.end = find_encoding, .arg = &p};
	int r = xml_read(document, &handler, err);

	*ret_more = false;
	*ret_token = NULL;
	handler.end = end_element;
	if (r == 0)
		r = xml_read(document, &handler, err);
	if (r != 0)
		return r;
	*ret_more = p.truncated;
	*ret_token = steal_ptr(&p.token);
	return 0;
}

static int
fetch_page(struct s3 *s, const char *prefix, bool delimited, const char *token, struct listed *ret,
	   bool *ret_more, char **ret_token, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(buf_fini) struct buf query = BUF_INIT;
	CLEANUP(freep) char *full = str_format("%s%s", s->prefix, prefix);
	struct s3_request q = {.method = "GET", .body_max = PAGE_MAX};
	int r;

	if (token != NULL)
		s3_query_add(&query, "continuation-token", token);
	if (delimited)
		s3_query_add(&query, "delimiter", "/");
	s3_query_add(&query, "encoding-type", "url");
	s3_query_add(&query, "list-type", "2");
	s3_query_add(&query, "prefix", full);
	q.query = buf_cstr(&query);
	r = s3_send(s, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 200)
		return s3_error(s, &response, err);
	return s3_page_read(s->prefix, buf_slice(&response.body), ret, ret_more, ret_token, err);
}

static int
list_pages(struct s3 *s, const char *prefix, bool delimited, struct listed *listed,
	   store_list_fn *fn, void *fn_arg, struct err *err)
{
	CLEANUP(freep) char *token = NULL;
	unsigned idle = 0; /* pages in a row without news: what was deleted may stand there */

	for (;;) {
		CLEANUP(freep) char *next = NULL;
		bool more = false, news;
		int r = fetch_page(s, prefix, delimited, token, listed, &more, &next, err);

		if (r == 0)
			r = listed_tell(listed, prefix, fn, fn_arg, &news, err);
		if (r != 0 || !more)
			return r;
		idle = news ? 0 : idle + 1;
		if (next == NULL || (token != NULL && strcmp(next, token) == 0) ||
		    idle > LISTED_IDLE_MAX)
			return err_set(err, ERR_IO, "the server's listing doesn't get on");
		free(token);
		token = steal_ptr(&next);
	}
}

int
s3_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	struct err *err)
{
	CLEANUP(listed_fini) struct listed listed = {0};

	return list_pages(arg, prefix, delimited, &listed, fn, fn_arg, err);
}
