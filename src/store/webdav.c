/*
 * webdav.c - a store on a WebDAV server: its operations.
 *
 * PUT replaces what is there, so an object is put under a temporary name and then moved, which
 * `Overwrite: F` forbids where the name is taken.
 *
 * Layer 1.
 */
#include "store/webdav.h"
#include "store/folders.h"
#include "store/url.h"

#define LIST_AHEAD      8u
#define CREATE_ATTEMPTS 3u

static bool
succeeded(const struct http_response *response)
{
	return response->status >= 200 && response->status <= 299;
}

/* ---- one request */

char *
webdav_url(const struct webdav *w, const char *key)
{
	CLEANUP(buf_fini) struct buf url = BUF_INIT;

	buf_append_str(&url, w->origin);
	url_encode(&url, slice_str(w->path), "/");
	buf_append_u8(&url, '/');
	url_encode(&url, slice_str(key), "/");
	return str_copy(buf_cstr(&url));
}

int
webdav_send(struct webdav *w, const char *method, const char *key,
	    const struct http_headers *headers, struct slice body, struct http_response *ret,
	    struct err *err)
{
	CLEANUP(freep) char *url = webdav_url(w, key);
	struct http_request q = {.method = method, .url = url, .headers = headers, .body = body};

	return http_send(w->http, &q, ret, err);
}

/* ---- reading */

static bool
is_folder(struct webdav *w, const char *key)
{
	struct webdav_thing thing = {0};

	return webdav_look(w, key, &thing, NULL) == 0 && thing.is_folder;
}

static int
no_object(struct err *err)
{
	return err_set(err, ERR_NOENT, "no such object, but a folder");
}

static int
webdav_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct webdav *w = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep) char *url = webdav_url(w, key);
	struct http_request q = {.method = "GET", .url = url};
	int r;

	http_request_range(&q, off, len);
	r = http_send(w->http, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status == 206) {
		buf_move(ret, &response.body);
		return 0;
	}
	/* For a folder, servers redirect, refuse or show a page. */
	r = http_error(&response, slice_of(NULL, 0), err);
	if (response.status < 500 && r != ERR_NOENT && is_folder(w, key))
		return no_object(err);
	return r;
}

static int
webdav_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct webdav_thing thing = {0};
	int r = webdav_look(arg, key, &thing, err);

	if (r < 0)
		return r;
	if (thing.is_folder)
		return no_object(err);
	*ret = thing.size;
	return 0;
}

/* ---- creating */

/* Removes what may be removed whatever becomes of it.  False: the server was not reached. */
static bool
try_delete(struct webdav *w, const char *key)
{
	CLEANUP(http_response_fini) struct http_response response = {0};

	return webdav_send(w, "DELETE", key, NULL, slice_of(NULL, 0), &response, NULL) == 0;
}

static void
remove_leftovers(struct webdav *w)
{
	char *temp;

	while ((temp = leftovers_take(&w->leftovers)) != NULL) {
		bool reached = try_delete(w, temp);

		free(temp);
		if (!reached)
			return;
	}
}

/* Once: what others have left for days.  Failing to tidy up is no reason to fail a backup. */
static void
sweep(struct webdav *w)
{
	struct folder_names names = {0};

	if (!leftovers_sweep_is_due(&w->leftovers))
		return;
	(void)webdav_read_folder(w, TEMP_FOLDER "/", &names, NULL);
	for (size_t i = 0; i < names.n; i++)
		if (temp_name_is_old(names.all[i].text))
			leftovers_add(&w->leftovers,
				      str_format(TEMP_FOLDER "/%s", names.all[i].text));
	folder_names_fini(&names);
}

/* Makes the folders that @path lies in, from @from on; those that are there refuse, and so may the
 * ones above that are not ours to touch: what comes next tells whether it was enough. */
static int
make_folders(struct webdav *w, const char *path, size_t from, struct err *err)
{
	for (const char *slash = strchr(path + from, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		CLEANUP(http_response_fini) struct http_response response = {0};
		CLEANUP(buf_fini) struct buf url = BUF_INIT;
		struct http_request q = {.method = "MKCOL"};
		int r;

		buf_append_str(&url, w->origin);
		url_encode(&url, slice_of(path, (size_t)(slash - path) + 1), "/");
		q.url = buf_cstr(&url);
		r = http_send(w->http, &q, &response, err);
		if (r < 0)
			return r;
		if (response.status >= 500)
			return http_error(&response, slice_of(NULL, 0), err);
	}
	return 0;
}

/* The folders that @key lies in, and the store's own where it may be made. */
static int
make_parents(struct webdav *w, const char *key, bool root_too, struct err *err)
{
	CLEANUP(freep) char *path = str_format("%s/%s", w->path, key);
	size_t from = root_too && w->may_make_root ? 1 : strlen(w->path) + 1;

	return make_folders(w, path, from, err);
}

/* No folder to put something in, perhaps: by the book it's 409, nginx says 500, rclone 403. */
static bool
lacks_folder(const struct http_response *response)
{
	return response->status == 403 || response->status == 404 || response->status == 409 ||
	       response->status == 500;
}

static int
put(struct webdav *w, const char *temp, struct slice body, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	int r = webdav_send(w, "PUT", temp, NULL, body, &response, err);

	if (r == 0 && lacks_folder(&response)) {
		r = make_parents(w, temp, true, err);
		if (r == 0)
			r = webdav_send(w, "PUT", temp, NULL, body, &response, err);
	}
	if (r < 0)
		return r;
	if (response.status == 404 || response.status == 409)
		return err_set(err, ERR_NOENT,
			       "there is no folder %s on the server, nor can it be made", w->path);
	return succeeded(&response) ? 0 : http_error(&response, slice_of(NULL, 0), err);
}

static int
move_once(struct webdav *w, const char *temp, const char *key, struct http_response *ret,
	  struct err *err)
{
	CLEANUP(http_headers_fini) struct http_headers headers = {0};
	CLEANUP(freep) char *to = webdav_url(w, key);

	http_headers_add(&headers, "Destination: %s", to);
	http_headers_add(&headers, "Overwrite: F");
	return webdav_send(w, "MOVE", temp, &headers, slice_of(NULL, 0), ret, err);
}

/* @ret: the last answer. */
static int
move_and_make(struct webdav *w, const char *temp, const char *key, struct http_response *ret,
	      struct err *err)
{
	int r = move_once(w, temp, key, ret, err);

	for (unsigned i = 0; r == 0 && i < CREATE_ATTEMPTS; i++) {
		if (!lacks_folder(ret))
			return 0;
		r = make_parents(w, key, false, err);
		if (r == 0)
			r = move_once(w, temp, key, ret, err);
	}
	return r;
}

static int
publish(struct webdav *w, const char *temp, const char *key, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct webdav_thing thing = {0};
	int r = move_and_make(w, temp, key, &response, err);

	if (r < 0)
		return r;
	if (response.status == 204 || response.status == 201)
		return 0;
	if (succeeded(&response))
		return err_set(err, ERR_UNSUPPORTED, "the server answers MOVE with status %d",
			       response.status);
	/* A move whose answer got lost underway looks like this; a new attempt will tell. */
	if (response.status == 404 && webdav_look(w, temp, &thing, NULL) == ERR_NOENT)
		return err_set(err, ERR_UNREACHABLE, "the upload was gone before it had its name");
	return http_error(&response, slice_of(NULL, 0), err);
}

static int
webdav_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct webdav *w = arg;
	CLEANUP(freep) char *temp = temp_name_new();
	int r = folders_check_key(key, err);

	if (r < 0)
		return r;
	sweep(w);
	remove_leftovers(w);
	r = put(w, temp, body, err);
	if (r == 0)
		r = publish(w, temp, key, err);
	if (r < 0 && (r == ERR_UNREACHABLE || !try_delete(w, temp)))
		leftovers_add(&w->leftovers, steal_ptr(&temp));
	return r;
}

/* ---- the rest */

static int
webdav_remove(void *arg, const char *key, struct err *err)
{
	struct webdav *w = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct webdav_thing thing = {0};
	int r = folders_check_key(key, err);

	/* DELETE of a folder takes all that is in it. */
	if (r == 0)
		r = webdav_look(w, key, &thing, err);
	if (r < 0)
		return r;
	if (thing.is_folder)
		return no_object(err);
	r = webdav_send(w, "DELETE", key, NULL, slice_of(NULL, 0), &response, err);
	if (r < 0)
		return r;
	return succeeded(&response) ? 0 : http_error(&response, slice_of(NULL, 0), err);
}

static int
webdav_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	    struct err *err)
{
	return folders_list(webdav_read_folder, arg, LIST_AHEAD, prefix, delimited, fn, fn_arg,
			    err);
}

static void
webdav_traffic(void *arg, struct store_traffic *ret)
{
	http_traffic(((struct webdav *)arg)->http, ret);
}

const struct store_ops store_webdav_ops = {
	.scheme = "webdav",
	.get = webdav_get,
	.size = webdav_size,
	.create = webdav_create,
	.list = webdav_list,
	.remove = webdav_remove,
	.traffic = webdav_traffic,
	.close = store_webdav_close,
};
