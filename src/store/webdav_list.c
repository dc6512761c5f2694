/*
 * webdav_list.c - reading a folder of a WebDAV server, and looking at one thing.
 *
 * The answer names each thing by its path, in one of many encodings, or by a whole URL.  Only what
 * lies directly in the folder that was asked for is believed.
 *
 * Layer 1.
 */
#include "store/folders.h"
#include "store/url.h"
#include "store/webdav.h"
#include "store/xml.h"

#define LISTING_MAX ((uint64_t)64 * MIB)

static const char question[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
			       "<propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/>"
			       "</prop></propfind>";

/* ---- what a server says of one thing */

struct reading {
	const char *path;
	size_t path_len; /* without a slash at its end */
	struct folder_names *names;
	struct webdav_thing *self;
	bool self_seen;
	/* the response we are in */
	char *href;
	bool is_folder;
	bool has_size;
	uint64_t size;
};

/* The path of an href, decoded; NULL when it is broken.  Owned by the caller. */
static char *
path_of(const char *href)
{
	const char *authority = strstr(href, "://");
	const char *path = href;

	if (href[0] != '/' && authority != NULL) {
		path = strchr(authority + 3, '/');
		if (path == NULL)
			path = "/";
	}
	return url_decode(slice_of(path, strcspn(path, "?#")));
}

static int
parse_size(struct reading *rd, const char *text, struct err *err)
{
	char *end;

	if (text[0] == '\0') /* a property that it doesn't have */
		return 0;
	rd->size = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || rd->size > INT64_MAX)
		return err_set(err, ERR_CORRUPT, "the server tells a length of \"%.32s\"", text);
	rd->has_size = true;
	return 0;
}

static int
take_self(struct reading *rd)
{
	rd->self_seen = true;
	if (rd->self != NULL)
		*rd->self = (struct webdav_thing){rd->is_folder, rd->size};
	return 0;
}

/* A thing is known whole now. */
static int
take_thing(struct reading *rd, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	const char *name;
	size_t len;

	if (rd->href == NULL || (path = path_of(rd->href)) == NULL)
		return err_set(err, ERR_CORRUPT, "the server's answer names something no path");
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	if (len < rd->path_len || memcmp(path, rd->path, rd->path_len) != 0)
		return err_set(err, ERR_CORRUPT,
			       "the server speaks of \"%.128s\" when asked for \"%s\"", rd->href,
			       rd->path);
	if (len == rd->path_len)
		return take_self(rd);
	if (path[rd->path_len] != '/' || rd->names == NULL)
		return err_set(err, ERR_CORRUPT,
			       "the server speaks of \"%.128s\" when asked for \"%s\"", rd->href,
			       rd->path);

	name = path + rd->path_len + 1;
	if (!rd->is_folder && !rd->has_size)
		return err_set(err, ERR_UNSUPPORTED,
			       "the server doesn't tell how long \"%.128s\" is", name);
	folder_names_add(rd->names, slice_of(name, len - rd->path_len - 1), rd->is_folder,
			 rd->size);
	return 0;
}

static int
on_begin(void *arg, const char *path, struct err *err)
{
	struct reading *rd = arg;

	(void)err;
	if (strcmp(path, "multistatus/response") == 0) {
		free(steal_ptr(&rd->href));
		rd->is_folder = rd->has_size = false;
		rd->size = 0;
	}
	return 0;
}

static int
on_end(void *arg, const char *path, const char *text, struct err *err)
{
	static const char response[] = "multistatus/response";
	struct reading *rd = arg;

	if (strncmp(path, response, strlen(response)) != 0)
		return 0;
	path += strlen(response);
	if (path[0] == '\0')
		return take_thing(rd, err);
	if (strcmp(path, "/href") == 0 && rd->href == NULL)
		rd->href = str_copy(text);
	else if (strcmp(path, "/propstat/prop/resourcetype/collection") == 0)
		rd->is_folder = true;
	else if (strcmp(path, "/propstat/prop/getcontentlength") == 0)
		return parse_size(rd, text, err);
	return 0;
}

int
webdav_parse(struct slice xml, const char *path, struct folder_names *ret,
	     struct webdav_thing *ret_self, struct err *err)
{
	struct reading rd = {.path = path, .names = ret, .self = ret_self};
	struct xml_handler handler = {on_begin, on_end, &rd};
	int r;

	rd.path_len = strlen(path);
	while (rd.path_len > 0 && path[rd.path_len - 1] == '/')
		rd.path_len--;
	r = xml_read(xml, &handler, err);
	free(rd.href);
	if (r == 0 && !rd.self_seen)
		return err_set(err, ERR_NOENT, "the server tells nothing of it");
	return r;
}

/* ---- asking */

static int
no_webdav(const struct http_response *response, struct err *err)
{
	(void)http_error(response, slice_of(NULL, 0), err);
	return err_add(err, ERR_UNSUPPORTED, "nobody speaks WebDAV there (PROPFIND)");
}

static int
propfind(struct webdav *w, const char *key, const char *depth, struct http_response *ret,
	 struct err *err)
{
	CLEANUP(http_headers_fini) struct http_headers headers = {0};
	CLEANUP(freep) char *url = webdav_url(w, key);
	struct http_request q = {.method = "PROPFIND",
				 .url = url,
				 .headers = &headers,
				 .body = slice_str(question),
				 .body_max = LISTING_MAX};
	int r;

	http_headers_add(&headers, "Depth: %s", depth);
	http_headers_add(&headers, "Content-Type: application/xml");
	r = http_send(w->http, &q, ret, err);
	if (r < 0)
		return r;
	if (ret->status == 207)
		return 0;
	if (ret->status == 405 || ret->status == 501 || ret->status / 100 == 2)
		return no_webdav(ret, err);
	return http_error(ret, slice_of(NULL, 0), err);
}

int
webdav_look(struct webdav *w, const char *key, struct webdav_thing *ret, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep) char *path = str_format("%s/%s", w->path, key);
	int r = propfind(w, key, "0", &response, err);

	return r < 0 ? r : webdav_parse(buf_slice(&response.body), path, NULL, ret, err);
}

int
webdav_read_folder(void *arg, const char *folder, struct folder_names *ret, struct err *err)
{
	struct webdav *w = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep) char *path = str_format("%s/%s", w->path, folder);
	struct webdav_thing self = {0};
	int r = propfind(w, folder, "1", &response, err);

	if (r == ERR_NOENT)
		return 0;
	if (r == 0)
		r = webdav_parse(buf_slice(&response.body), path, ret, &self, err);
	if (r == ERR_NOENT) /* an answer that says nothing isn't an empty folder */
		r = err_set(err, ERR_CORRUPT, "the server's listing doesn't tell of what it lists");
	if (r < 0)
		return err_add(err, r, "listing \"%s\"", folder);
	return 0;
}
