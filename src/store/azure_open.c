/*
 * azure_open.c - from URL and options to a store.
 *
 *	azure://account/container[/prefix][?endpoint=URL&lock=governance|compliance]
 *
 * An endpoint is the account's own address, as BlobEndpoint in a connection string.
 *
 * Layer 1.
 */
#include <ctype.h>
#include <strings.h>

#include "store/azure.h"
#include "tillfs/seal.h"

static bool
name_ok(const char *name, size_t min, size_t max, const char *also)
{
	size_t len = strlen(name);

	if (len < min || len > max)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) &&
		    strchr(also, *c) == NULL)
			return false;
	return true;
}

static int
check_url(const struct url *u, struct err *err)
{
	static const char *const known[] = {"endpoint", "lock", NULL};
	int r = url_check_params(u, known, err);

	if (r < 0)
		return r;
	if (u->user != NULL)
		return err_set(
			err, ERR_INVALID,
			"credentials don't belong in an azure:// URL, where others see them");
	if (!name_ok(u->host, 3, 24, ""))
		return err_set(err, ERR_INVALID,
			       "\"%.64s\" is no storage account; give azure://account/container",
			       u->host);
	if (strstr(u->path, "//") != NULL || strlen(u->path) > STORE_KEY_MAX ||
	    !utf8_valid(slice_str(u->path)))
		return err_set(err, ERR_INVALID, "\"%.64s\" is no prefix of keys", u->path);
	return 0;
}

/* The first part of the path, and what is behind it. */
static int
split_path(struct azure *a, const char *path, struct err *err)
{
	size_t len = strcspn(path, "/");

	a->container = str_format("%.*s", (int)len, path);
	a->prefix = path[len] == '/' ? str_format("%s/", path + len + 1) : str_copy("");
	if (!name_ok(a->container, 3, 63, "-$"))
		return err_set(
			err, ERR_INVALID,
			"\"%.64s\" is no name of a container; give azure://account/container",
			a->container);
	return 0;
}

static int
locate(struct azure *a, const char *endpoint, struct err *err)
{
	CLEANUP(freep) char *usual = str_format("https://%s.blob.core.windows.net", a->account);
	CLEANUP(buf_fini) struct buf base = BUF_INIT;
	CLEANUP(url_fini) struct url u = {0};
	int r = url_parse(endpoint != NULL ? endpoint : usual, &u, err);

	if (r < 0)
		return err_add(err, r, "the endpoint");
	if ((strcmp(u.scheme, "https") != 0 && strcmp(u.scheme, "http") != 0) ||
	    u.host[0] == '\0' || u.user != NULL || u.n_params > 0)
		return err_set(err, ERR_INVALID, "endpoint: give it as https://host[:port][/path]");
	a->origin = str_format("%s://%s", u.scheme, u.host);
	if (u.path[0] != '\0') {
		buf_append_u8(&base, '/');
		url_encode(&base, slice_str(u.path), "/");
	}
	buf_appendf(&base, "/%s", a->container);
	a->base = str_copy(buf_cstr(&base));
	return 0;
}

static int
set_lock_mode(struct azure *a, const char *said, struct err *err)
{
	a->compliant = said != NULL && strcasecmp(said, "compliance") == 0;
	if (said == NULL || a->compliant || strcasecmp(said, "governance") == 0)
		return 0;
	return err_set(err, ERR_INVALID, "lock is governance or compliance, not \"%.64s\"", said);
}

static int
fill(struct azure *a, const struct url *u, const struct store_options *options, struct err *err)
{
	CLEANUP(freep) char *connection_endpoint = NULL;
	const char *endpoint = url_param(u, "endpoint");
	int r;

	a->account = str_copy(u->host);
	a->object_lock_days = options != NULL ? options->object_lock_days : 0;
	r = split_path(a, u->path, err);
	if (r == 0)
		r = set_lock_mode(a, url_param(u, "lock"), err);
	if (r == 0)
		r = azure_credentials_load(options, a->account, a->credentials,
					   &connection_endpoint, err);
	if (r == 0)
		r = locate(a, endpoint != NULL ? endpoint : connection_endpoint, err);
	return r;
}

int
store_azure_open(const char *url, const struct store_options *options, bool create,
		 struct store **ret, struct err *err)
{
	CLEANUP(url_fini) struct url u = {0};
	struct azure *a;
	int r = url_parse(url, &u, err);

	(void)create; /* containers are made by people, who choose where, and who pays */
	*ret = NULL;
	if (r == 0)
		r = check_url(&u, err);
	if (r < 0)
		return r;

	a = mem_alloc(sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
	a->credentials = secret_new(sizeof(*a->credentials));
	r = fill(a, &u, options, err);
	if (r < 0) {
		azure_ops.close(a);
		return r;
	}
	a->http = http_new(options, NULL, NULL);
	*ret = store_new(&azure_ops, a, url);
	return 0;
}
