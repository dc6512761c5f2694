/*
 * reads.c - which files of this machine a store opens while it works, for who confines it.
 *
 * Layer 1.
 */
#include "store/url.h"
#include "tillfs/store.h"

static void
tell_ssh(const struct url *u, void (*fn)(void *arg, const char *path), void *arg)
{
	const char *home = getenv("HOME");
	CLEANUP(freep) char *usual = str_format("%s/.ssh", home != NULL ? home : "/root");
	static const char *const named[] = {"key", "known_hosts"};

	fn(arg, usual);
	fn(arg, "/etc/ssh/ssh_known_hosts");
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		const char *path = url_param(u, named[i]);
		CLEANUP(freep) char *in_home = NULL;

		if (path == NULL)
			continue;
		if (strncmp(path, "~/", 2) == 0 && home != NULL)
			in_home = str_format("%s/%s", home, path + 2);
		fn(arg, in_home != NULL ? in_home : path);
	}
}

void
store_reads(const char *url, const struct store_options *options,
	    void (*fn)(void *arg, const char *path), void *arg)
{
	CLEANUP(url_fini) struct url u = {0};
	struct url parsed;

	if (options != NULL && options->cacert != NULL)
		fn(arg, options->cacert);
	if (url_parse(url, &parsed, NULL) < 0)
		return; /* of a local folder, say */
	u = parsed;
	if (strcmp(u.scheme, "sftp") == 0)
		tell_ssh(&u, fn, arg);
}
