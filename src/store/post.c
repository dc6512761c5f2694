/*
 * post.c - one POST, for services beside the stores.
 *
 * Layer 1.
 */
#include "store/http.h"

int
store_post(const char *url, const char *content_type, struct slice body, const char *cacert,
	   struct buf *ret, struct err *err)
{
	struct store_options options = {.cacert = cacert};
	CLEANUP(http_headers_fini) struct http_headers headers = {0};
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(http_freep) struct http *http = http_new(&options, NULL, NULL);
	struct http_request q = {.method = "POST", .url = url, .headers = &headers, .body = body};
	int r;

	buf_reset(ret);
	http_headers_add(&headers, "Content-Type: %s", content_type);
	r = http_send(http, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 200)
		return http_error(&response, slice_of(NULL, 0), err);
	buf_move(ret, &response.body);
	return 0;
}
