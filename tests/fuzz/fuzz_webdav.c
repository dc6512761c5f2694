/*
 * fuzz_webdav.c - what a WebDAV server answers to PROPFIND.
 *
 * What is accepted names legal parts of keys, and lies directly in the folder that was asked for.
 */
#include "store/folders.h"
#include "store/webdav.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_name(const struct folder_name *name)
{
	size_t len = strlen(name->text);
	const char *slash = strchr(name->text, '/');

	if (len == 0 || (slash != NULL && slash != name->text + len - 1) ||
	    strcmp(name->text, "./") == 0 || strcmp(name->text, "../") == 0 ||
	    strcmp(name->text, ".") == 0 || strcmp(name->text, "..") == 0 ||
	    !utf8_valid(slice_str(name->text)) || name->size > INT64_MAX)
		abort();
}

static void
try_folder(struct slice xml)
{
	struct folder_names names = {0};
	struct webdav_thing self = {0};
	struct err err = ERR_INIT;
	int r = webdav_parse(xml, "/dav/repo/", &names, &self, &err);

	if (r < 0 && (err.code != r || err.msg[0] == '\0'))
		abort();
	for (size_t i = 0; r == 0 && i < names.n; i++)
		check_name(&names.all[i]);
	folder_names_fini(&names);
}

static void
try_thing(struct slice xml)
{
	struct webdav_thing self = {0};
	struct err err = ERR_INIT;
	int r = webdav_parse(xml, "/dav/repo/config", NULL, &self, &err);

	if ((r < 0 && err.code != r) || self.size > INT64_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_folder(slice_of(data, len));
	try_thing(slice_of(data, len));
	return 0;
}
