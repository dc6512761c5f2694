/*
 * reads.c - which files of this machine a store opens while it works, for who confines it.
 *
 * Layer 1.
 */
#include "store/url.h"
#include "tillfs/store.h"

typedef void tell_fn(void *arg, const char *path);

static void
tell_home(const char *name, tell_fn *fn, void *arg)
{
	const char *home = getenv("HOME");
	CLEANUP(freep) char *path = str_format("%s/%s", home != NULL ? home : "/root", name);

	fn(arg, path);
}

/* A path as people give it. */
static void
tell_named(const char *path, tell_fn *fn, void *arg)
{
	if (path == NULL)
		return;
	if (strncmp(path, "~/", 2) == 0)
		tell_home(path + 2, fn, arg);
	else
		fn(arg, path);
}

static void
tell_ssh(const struct url *u, const struct store_options *options, tell_fn *fn, void *arg)
{
	tell_home(".ssh", fn, arg);
	fn(arg, "/etc/ssh/ssh_known_hosts");
	tell_named(url_param(u, "key"), fn, arg);
	tell_named(url_param(u, "known_hosts"), fn, arg);
	if (options != NULL)
		tell_named(options->ssh_key, fn, arg);
}

/* Where credentials that have expired are read anew. */
static void
tell_aws(tell_fn *fn, void *arg)
{
	tell_home(".aws", fn, arg);
	tell_named(getenv("AWS_SHARED_CREDENTIALS_FILE"), fn, arg);
	tell_named(getenv("AWS_CONFIG_FILE"), fn, arg);
}

void
store_reads(const char *url, const struct store_options *options, tell_fn *fn, void *arg)
{
	CLEANUP(url_fini) struct url u = {0};
	struct url parsed;

	if (options != NULL && options->cacert != NULL)
		fn(arg, options->cacert);
	if (url_parse(url, &parsed, NULL) < 0)
		return; /* of a local folder, say */
	u = parsed;
	if (strcmp(u.scheme, "sftp") == 0)
		tell_ssh(&u, options, fn, arg);
	else if (strncmp(u.scheme, "webdav+", 7) == 0)
		tell_home(".netrc", fn, arg);
	else if (strcmp(u.scheme, "s3") == 0 || strcmp(u.scheme, "gs") == 0)
		tell_aws(fn, arg);
}
