/*
 * s3_open.c - from URL and options to a store.
 *
 *	s3://bucket[/prefix][?endpoint=URL&region=NAME&profile=NAME&style=path|host&lock=MODE]
 *	gs://bucket[/prefix][?…]
 *
 * Layer 1.
 */
#include "store/s3.h"

#include <ctype.h>
#include <strings.h>

#define REGION_DEFAULT "us-east-1"

/* What differs between the two services. */
struct service {
	const struct aws_dialect *dialect;
	const char *create_header;
	const char *region;   /* NULL: looked for */
	const char *endpoint; /* NULL: of the region */
	bool host_style;      /* unless an endpoint is named */
};

static const struct service amazon = {&aws_dialect_s3, "If-None-Match: *", NULL, NULL, true};
static const struct service google = {&aws_dialect_gs, "x-goog-if-generation-match: 0", "auto",
				      "https://storage.googleapis.com", false};

static bool
bucket_ok(const char *name)
{
	size_t len = strlen(name);

	return len >= 3 && len <= 222 && isalnum((unsigned char)name[0]) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") ==
		       len;
}

/* A prefix is made of what keys are made of. */
static bool
prefix_ok(const char *path)
{
	return strlen(path) <= STORE_KEY_MAX && utf8_valid(slice_str(path)) &&
	       strstr(path, "//") == NULL && strstr(path, "/../") == NULL;
}

/* "host:port" without a port that goes without saying, as it will stand in the Host header. */
static char *
host_header(const struct url *endpoint)
{
	const char *usual = strcmp(endpoint->scheme, "https") == 0 ? ":443" : ":80";
	size_t len = strlen(endpoint->host), tail = strlen(usual);

	if (len > tail && strcmp(endpoint->host + len - tail, usual) == 0)
		len -= tail;
	return str_format("%.*s", (int)len, endpoint->host);
}

static int
parse_endpoint(const char *text, struct url *ret, struct err *err)
{
	int r = url_parse(text, ret, err);

	if (r < 0)
		return err_add(err, r, "endpoint=%.128s", text);
	if ((strcmp(ret->scheme, "https") != 0 && strcmp(ret->scheme, "http") != 0) ||
	    ret->host[0] == '\0' || ret->user != NULL || ret->n_params > 0) {
		url_fini(ret);
		return err_set(err, ERR_INVALID,
			       "endpoint: give it as https://host[:port], not \"%.128s\"", text);
	}
	return 0;
}

/* Where the bucket is: its origin and base path. */
static int
locate(struct s3 *s, const struct service *service, const struct url *u, struct err *err)
{
	CLEANUP(url_fini) struct url endpoint = {0};
	CLEANUP(buf_fini) struct buf base = BUF_INIT;
	CLEANUP(freep)
	char *of_region = str_format("https://s3.%s.amazonaws.com%s", s->region,
				     strncmp(s->region, "cn-", 3) == 0 ? ".cn" : "");
	CLEANUP(freep) char *host = NULL;
	const char *said = url_param(u, "endpoint");
	const char *style = url_param(u, "style");
	bool host_style = said == NULL && service->host_style && strchr(u->host, '.') == NULL;
	int r;

	if (style != NULL && strcmp(style, "path") != 0 && strcmp(style, "host") != 0)
		return err_set(err, ERR_INVALID, "style is path or host, not \"%.64s\"", style);
	if (style != NULL)
		host_style = strcmp(style, "host") == 0;
	if (said == NULL)
		said = service->endpoint != NULL ? service->endpoint : of_region;
	r = parse_endpoint(said, &endpoint, err);
	if (r < 0)
		return r;

	host = host_header(&endpoint);
	s->host = host_style ? str_format("%s.%s", u->host, host) : str_copy(host);
	s->origin = str_format("%s://%s", endpoint.scheme, s->host);
	s->encrypted = strcmp(endpoint.scheme, "https") == 0;
	if (endpoint.path[0] != '\0') {
		buf_append_u8(&base, '/');
		url_encode(&base, slice_str(endpoint.path), "/");
	}
	if (!host_style)
		buf_appendf(&base, "/%s", u->host);
	s->base = str_copy(buf_cstr(&base));
	return 0;
}

static int
check_url(const struct url *u, struct err *err)
{
	static const char *const known[] = {"endpoint", "region", "profile", "style", "lock", NULL};
	int r = url_check_params(u, known, err);

	if (r < 0)
		return r;
	if (u->user != NULL)
		return err_set(err, ERR_INVALID,
			       "credentials don't belong in an %s:// URL, where others see them",
			       u->scheme);
	if (!bucket_ok(u->host))
		return err_set(err, ERR_INVALID, "\"%.64s\" is no name of a bucket", u->host);
	if (!prefix_ok(u->path))
		return err_set(err, ERR_INVALID, "\"%.64s\" is no prefix of keys", u->path);
	return 0;
}

static int
set_lock_mode(struct s3 *s, const char *said, struct err *err)
{
	s->lock_mode = "GOVERNANCE";
	if (said == NULL || strcasecmp(said, s->lock_mode) == 0)
		return 0;
	s->lock_mode = "COMPLIANCE";
	if (strcasecmp(said, s->lock_mode) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "lock is governance or compliance, not \"%.64s\"", said);
}

static char *
copy_or_null(const char *s)
{
	return s != NULL ? str_copy(s) : NULL;
}

static int
fill(struct s3 *s, const struct service *service, const struct url *u, struct err *err)
{
	const char *profile = url_param(u, "profile");
	const char *region = url_param(u, "region");
	int r;

	s->profile = copy_or_null(s->options.profile != NULL ? s->options.profile : profile);
	if (region == NULL)
		region = service->region;
	s->region = region != NULL ? str_copy(region) : aws_region_find(s->profile);
	if (s->region == NULL)
		s->region = str_copy(REGION_DEFAULT);
	s->bucket = str_copy(u->host);
	s->prefix = u->path[0] != '\0' ? str_format("%s/", u->path) : str_copy("");
	if (strspn(s->region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(s->region))
		return err_set(err, ERR_INVALID, "\"%.64s\" is no name of a region", s->region);
	r = locate(s, service, u, err);
	if (r == 0)
		r = set_lock_mode(s, url_param(u, "lock"), err);
	if (r == 0)
		r = aws_credentials_load(&s->options, s->profile, s->credentials, err);
	return r;
}

static int
open_service(const struct service *service, const char *url, const struct store_options *options,
	     struct store **ret, struct err *err)
{
	CLEANUP(url_fini) struct url u = {0};
	struct s3 *s;
	int r = url_parse(url, &u, err);

	*ret = NULL;
	if (r == 0)
		r = check_url(&u, err);
	if (r < 0)
		return r;

	s = mem_alloc(sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	s->dialect = service->dialect;
	s->create_header = service->create_header;
	if (options != NULL)
		s->options = *options;
	s->credentials = secret_new(sizeof(*s->credentials));
	r = fill(s, service, &u, err);
	if (r < 0) {
		s3_ops.close(s);
		return r;
	}
	s->http = http_new(options, NULL, NULL);
	*ret = store_new(&s3_ops, s, url);
	return 0;
}

int
store_s3_open(const char *url, const struct store_options *options, bool create, struct store **ret,
	      struct err *err)
{
	(void)create; /* buckets are made by people, who choose where, and who pays */
	return open_service(&amazon, url, options, ret, err);
}

int
store_gs_open(const char *url, const struct store_options *options, bool create, struct store **ret,
	      struct err *err)
{
	(void)create;
	return open_service(&google, url, options, ret, err);
}
