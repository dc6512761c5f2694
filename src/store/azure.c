/*
 * azure.c - the operations on one blob.
 *
 * Layer 1.
 */
#include "store/azure.h"

#include "tillfs/seal.h"

static int
azure_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct azure *a = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct azure_request q = {
		.method = "GET", .key = key, .ranged = true, .off = off, .len = len};
	CLEANUP(freep) char *version = azure_pinned(a, key, &q.query[0].name);
	int r;

	q.query[0].value = version;
	r = azure_send(a, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 206)
		return azure_error(a, &response, err);
	buf_move(ret, &response.body);
	return 0;
}

static int
head(struct azure *a, const char *key, struct http_response *ret, struct err *err)
{
	struct azure_request q = {.method = "HEAD", .key = key};
	CLEANUP(freep) char *version = azure_pinned(a, key, &q.query[0].name);
	int r;

	q.query[0].value = version;
	r = azure_send(a, &q, ret, err);
	return r == 0 && ret->status != 200 ? azure_error(a, ret, err) : r;
}

static int
azure_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	int r = head(arg, key, &response, err);

	if (r < 0)
		return r;
	if (response.content_length < 0)
		return err_set(err, ERR_UNREACHABLE, "the server doesn't say how long it is");
	*ret = (uint64_t)response.content_length;
	return 0;
}

static void
add_lock(const struct azure *a, int64_t until, struct http_headers *headers)
{
	CLEANUP(buf_fini) struct buf date = BUF_INIT;

	http_date_append(&date, until);
	http_headers_add(headers, "x-ms-immutability-policy-mode: %s",
			 a->compliant ? "Locked" : "Unlocked");
	http_headers_add(headers, "x-ms-immutability-policy-until-date: %s", buf_cstr(&date));
}

static int
azure_remove(void *arg, const char *key, struct err *err)
{
	struct azure *a = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct azure_request q = {.method = "DELETE", .key = key};
	int r;

	http_headers_add(&q.headers, "x-ms-delete-snapshots: include");
	r = azure_send(a, &q, &response, err);
	if (r < 0)
		return r;
	return response.status == 202 ? 0 : azure_error(a, &response, err);
}

static int
azure_lock_get(void *arg, const char *key, int64_t *ret, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep) char *until = NULL;
	int r = head(arg, key, &response, err);

	if (r < 0)
		return r;
	*ret = 0;
	until = http_response_header(&response, "x-ms-immutability-policy-until-date");
	if (until != NULL && !http_date_parse(until, ret))
		return err_set(err, ERR_CORRUPT, "the server says \"%.64s\" for the end of a lock",
			       until);
	return 0;
}

/* After the first create that asks for a lock: who doesn't know that may have passed it over.  What
 * can't be found out is no failure of the create. */
static int
check_lock(struct azure *a, const char *key, struct err *err)
{
	int64_t until = 0;

	if (a->object_lock_days == 0 || atomic_load(&a->knows_locks) ||
	    azure_lock_get(a, key, &until, NULL) < 0)
		return 0;
	if (until != 0) {
		atomic_store(&a->knows_locks, true);
		return 0;
	}
	(void)azure_remove(a, key, NULL); /* so that nothing is left of what failed */
	return err_set(err, ERR_UNSUPPORTED,
		       "asking for object lock: %s takes the object and forgets the lock; without "
		       "--object-lock-days it goes on",
		       a->origin);
}

static int
azure_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct azure *a = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct azure_request q = {.method = "PUT", .key = key, .if_none_match = "*", .body = body};
	int r;

	http_headers_add(&q.headers, "x-ms-blob-type: BlockBlob");
	if (a->object_lock_days > 0)
		add_lock(a, time_now() + (int64_t)a->object_lock_days * 86400, &q.headers);
	r = azure_send(a, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status == 201)
		return check_lock(a, key, err);
	if (response.status == 412 || azure_said(&response, "BlobAlreadyExists") ||
	    azure_said(&response, "BlobImmutableDueToPolicy"))
		return err_set(err, ERR_EXISTS, "there is such an object already");
	return azure_error(a, &response, err);
}

/* ---- locks */

static int
azure_lock_set(void *arg, const char *key, int64_t until, struct err *err)
{
	struct azure *a = arg;
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct azure_request q = {.method = "PUT",
				  .key = key,
				  .query = {{"comp", "immutabilityPolicies"}}};
	int r;

	add_lock(a, until, &q.headers);
	r = azure_send(a, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status == 501)
		return err_set(err, ERR_UNSUPPORTED,
			       "%s knows no locks (immutability policies of blobs)", a->origin);
	return response.status == 200 ? 0 : azure_error(a, &response, err);
}

static void
azure_close(void *arg)
{
	struct azure *a = arg;

	http_free(a->http);
	secret_free(a->credentials);
	free(a->account);
	free(a->container);
	free(a->prefix);
	free(a->origin);
	free(a->base);
	for (size_t i = 0; i < a->n_pins; i++) {
		free(a->pins[i].key);
		free(a->pins[i].id);
	}
	free(a->pins);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void
azure_traffic(void *arg, struct store_traffic *ret)
{
	http_traffic(((struct azure *)arg)->http, ret);
}

const struct store_ops azure_ops = {
	.scheme = "azure",
	.get = azure_get,
	.size = azure_size,
	.create = azure_create,
	.list = azure_list,
	.remove = azure_remove,
	.recover = azure_recover,
	.lock_get = azure_lock_get,
	.lock_set = azure_lock_set,
	.traffic = azure_traffic,
	.close = azure_close,
};
