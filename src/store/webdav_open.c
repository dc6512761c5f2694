/*
 * webdav_open.c - from the URL of a WebDAV server to a store; credentials.
 *
 *	webdav+https://host[:port]/path
 *
 * Layer 1.
 */
#include "store/url.h"
#include "store/webdav.h"

#define SCHEME_PREFIX "webdav+"

static struct webdav *
webdav_new(bool create)
{
	struct webdav *w = mem_alloc(sizeof(*w));

	w->may_make_root = create;
	leftovers_init(&w->leftovers);
	return w;
}

static void
webdav_free(struct webdav *w)
{
	if (w == NULL)
		return;
	http_free(w->http);
	leftovers_fini(&w->leftovers);
	free(w->origin);
	free(w->path);
	free(w);
}
DEFINE_FREEP(struct webdav *, webdav_free)

void
store_webdav_close(void *arg)
{
	webdav_free(arg);
}

static int
check_url(const struct url *u, struct err *err)
{
	static const char *const known[] = {NULL};
	int r = url_check_params(u, known, err);

	if (r < 0)
		return r;
	if (u->host[0] == '\0')
		return err_set(err, ERR_INVALID, "no server is named");
	if (u->user != NULL)
		return err_set(err, ERR_INVALID,
			       "a URL is no place for a login: put it into ~/.netrc, or into "
			       "TILLFS_WEBDAV_USER and TILLFS_WEBDAV_PASSWORD");
	if (strstr(u->path, "//") != NULL)
		return err_set(err, ERR_INVALID, "its path has an empty part (//)");
	return 0;
}

/* The environment's login, else the configuration's, else that of ~/.netrc, else none. */
static struct http *
new_client(const struct store_options *options)
{
	const char *user = getenv("TILLFS_WEBDAV_USER");
	const char *password = getenv("TILLFS_WEBDAV_PASSWORD");
	struct http *http;

	if (user == NULL && options != NULL) {
		user = options->user;
		password = options->password;
	}
	http = http_new(options, user, password);
	if (user == NULL)
		http_use_netrc(http);
	return http;
}

int
store_webdav_open(const char *url, const struct store_options *options, bool create,
		  struct store **ret, struct err *err)
{
	CLEANUP(url_fini) struct url u = {0};
	CLEANUP(webdav_freep) struct webdav *w = NULL;
	CLEANUP(buf_fini) struct buf shown = BUF_INIT;
	int r;

	*ret = NULL;
	r = url_parse(url, &u, err);
	if (r < 0)
		return r;
	r = check_url(&u, err);
	if (r < 0)
		return err_add(err, r, "%s://%s", u.scheme, u.host);

	w = webdav_new(create);
	w->origin = str_format("%s://%s", u.scheme + strlen(SCHEME_PREFIX), u.host);
	w->path = u.path[0] != '\0' ? str_format("/%s", u.path) : str_copy("");
	w->http = new_client(options);
	url_append_public(&u, &shown);
	*ret = store_new(&store_webdav_ops, steal_ptr(&w), buf_cstr(&shown));
	return 0;
}
