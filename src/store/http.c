/*
 * http.c - the client: a pool of curl handles, each with a connection that it keeps.
 *
 * A thread takes a handle for one request and gives it back; the handle used last goes first, so
 * that few connections stay warm rather than many lukewarm.
 *
 * Layer 1.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "store/http_private.h"
#include "tillfs/seal.h"

#define TIMEOUT_DEFAULT_MS 30000u
#define CONNECT_MAX_MS     10000u /* a host that doesn't answer at all is given up sooner */
#define IDLE_MAX           64u    /* handles that are kept */
#define PROGRESS_BYTES     4096u  /* fewer than these in timeout_ms are no progress */
#define RETRY_AFTER_MAX_S  86400

struct http {
	char *cacert;
	char *user, *password;
	bool netrc;
	unsigned timeout_ms;
	pthread_mutex_t lock;
	CURL *idle[IDLE_MAX]; /* protected by lock, as the next */
	size_t n_idle;
	CURLSH *names; /* resolved names, for all handles */
	pthread_mutex_t names_lock;
	atomic_ullong requests, received, sent;
};

/* ---- headers */

void
http_headers_add(struct http_headers *h, const char *fmt, ...)
{
	CLEANUP(buf_wipe) struct buf line = BUF_INIT;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	buf_reserve(&line, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf((char *)line.p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	array_reserve(h->lines, h->n, h->cap);
	h->lines[h->n++] = (char *)steal_ptr(&line.p);
	line = BUF_INIT;
}

static void
wipe_text(char *text)
{
	if (text != NULL)
		seal_wipe(text, strlen(text));
	free(text);
}

void
http_headers_fini(struct http_headers *h)
{
	for (size_t i = 0; i < h->n; i++)
		wipe_text(h->lines[i]);
	free(h->lines);
	*h = (struct http_headers){0};
}

void
http_response_fini(struct http_response *r)
{
	buf_fini(&r->body);
	buf_fini(&r->headers);
	*r = (struct http_response){0};
}

/* ---- the client */

static void
start_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void
names_lock(CURL *curl, curl_lock_data data, curl_lock_access access, void *arg)
{
	struct http *h = arg;

	(void)curl, (void)data, (void)access;
	pthread_mutex_lock(&h->names_lock);
}

static void
names_unlock(CURL *curl, curl_lock_data data, void *arg)
{
	struct http *h = arg;

	(void)curl, (void)data;
	pthread_mutex_unlock(&h->names_lock);
}

static char *
copy_or_null(const char *s)
{
	return s != NULL ? str_copy(s) : NULL;
}

struct http *
http_new(const struct store_options *options, const char *user, const char *password)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *h = mem_alloc(sizeof(*h));

	(void)pthread_once(&once, start_curl);
	h->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (options != NULL && options->timeout_ms > 0)
		h->timeout_ms = options->timeout_ms;
	if (options != NULL)
		h->cacert = copy_or_null(options->cacert);
	h->user = copy_or_null(user);
	h->password = copy_or_null(password);
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->names_lock, NULL);
	h->names = curl_share_init();
	(void)curl_share_setopt(h->names, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	(void)curl_share_setopt(h->names, CURLSHOPT_LOCKFUNC, names_lock);
	(void)curl_share_setopt(h->names, CURLSHOPT_UNLOCKFUNC, names_unlock);
	(void)curl_share_setopt(h->names, CURLSHOPT_USERDATA, h);
	return h;
}

void
http_use_netrc(struct http *h)
{
	h->netrc = true;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n_idle; i++)
		curl_easy_cleanup(h->idle[i]);
	(void)curl_share_cleanup(h->names);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->names_lock);
	free(h->cacert);
	free(h->user);
	wipe_text(h->password);
	free(h);
}

static CURL *
take_handle(struct http *h)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&h->lock);
	if (h->n_idle > 0)
		curl = h->idle[--h->n_idle];
	pthread_mutex_unlock(&h->lock);
	return curl != NULL ? curl : curl_easy_init();
}

static void
give_back(struct http *h, CURL *curl)
{
	curl_easy_reset(curl); /* what it points to is gone; its connection stays */
	pthread_mutex_lock(&h->lock);
	if (h->n_idle < IDLE_MAX) {
		h->idle[h->n_idle++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (curl != NULL)
		curl_easy_cleanup(curl);
}

/* ---- what curl calls */

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	size_t len = size * n;

	return intake_header(arg, slice_of(p, len)) ? len : 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	size_t len = size * n;

	return intake_body(arg, slice_of(p, len)) ? len : 0;
}

struct watch {
	const struct http *h;
	struct intake *in;
};

/* curl asks at least once a second.  Ends what has made no progress for too long. */
static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	const struct watch *w = arg;
	struct intake *in = w->in;
	uint64_t now = time_monotonic_ms();
	uint64_t moved = (uint64_t)down + (uint64_t)up;

	(void)down_total, (void)up_total;
	if (moved >= in->mark_bytes + PROGRESS_BYTES || moved < in->mark_bytes) {
		in->mark_bytes = moved;
		in->mark_ms = now;
	}
	return store_is_stopping() || now - in->mark_ms > w->h->timeout_ms;
}

/* ---- a request */

static struct curl_slist *
add_line(struct curl_slist *list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(list, line);

	return longer != NULL ? longer : list;
}

static struct curl_slist *
header_list(const struct http_request *q)
{
	CLEANUP(buf_fini) struct buf range = BUF_INIT;
	struct curl_slist *list = add_line(NULL, "Expect:"); /* no pause before a body */

	for (size_t i = 0; q->headers != NULL && i < q->headers->n; i++)
		list = add_line(list, q->headers->lines[i]);
	if (q->ranged) {
		buf_append_str(&range, "Range: ");
		http_range_text(q, &range);
		list = add_line(list, buf_cstr(&range));
	}
	return list;
}

static void
set_method(CURL *curl, const struct http_request *q)
{
	if (strcmp(q->method, "GET") == 0)
		return;
	if (strcmp(q->method, "HEAD") == 0) {
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
	if (q->body.len == 0 && strcmp(q->method, "PUT") != 0 && strcmp(q->method, "POST") != 0)
		return; /* DELETE and its like have none, not an empty one */
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
			       q->body.len > 0 ? (const char *)q->body.p : "");
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
}

static void
set_connection(const struct http *h, CURL *curl)
{
	unsigned connect_ms = h->timeout_ms < CONNECT_MAX_MS ? h->timeout_ms : CONNECT_MAX_MS;

	(void)curl_easy_setopt(curl, CURLOPT_SHARE, h->names);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	(void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L * 1024);
	(void)curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "tillfs/" TILLFS_VERSION);
	if (h->cacert != NULL)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, h->cacert);
	if (h->netrc)
		(void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	if (h->user != NULL) {
		(void)curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		(void)curl_easy_setopt(curl, CURLOPT_USERNAME, h->user);
		(void)curl_easy_setopt(curl, CURLOPT_PASSWORD,
				       h->password != NULL ? h->password : "");
	}
}

static void
set_request(CURL *curl, const struct http_request *q, struct curl_slist *list, struct watch *watch,
	    char *sentence)
{
	(void)curl_easy_setopt(curl, CURLOPT_URL, q->url);
	(void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, watch->in);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, watch->in);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, watch);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, sentence);
	set_method(curl, q);
}

/* ---- what became of it */

static void
count_traffic(struct http *h, CURL *curl)
{
	curl_off_t down = 0, up = 0;
	long head = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_SIZE_DOWNLOAD_T, &down);
	(void)curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &up);
	(void)curl_easy_getinfo(curl, CURLINFO_HEADER_SIZE, &head);
	atomic_fetch_add(&h->requests, 1);
	atomic_fetch_add(&h->received, (uint64_t)down + (uint64_t)head);
	atomic_fetch_add(&h->sent, (uint64_t)up);
}

void
http_traffic(struct http *h, struct store_traffic *ret)
{
	ret->requests = atomic_load(&h->requests);
	ret->received = atomic_load(&h->received);
	ret->sent = atomic_load(&h->sent);
}

/* Now, as the server has it: what it says of times is to be compared with that. */
static int64_t
server_time(const struct http_response *r)
{
	CLEANUP(freep) char *said = http_response_header(r, "date");
	int64_t date;

	return said != NULL && http_date_parse(said, &date) ? date : time_now();
}

static unsigned
retry_after_ms(const struct http_response *r)
{
	CLEANUP(freep) char *said = http_response_header(r, "retry-after");
	int64_t seconds, date;
	char *end;

	if (said == NULL)
		return 0;
	seconds = strtoll(said, &end, 10);
	if (end == said || *end != '\0') {
		if (!http_date_parse(said, &date))
			return 0;
		seconds = date - server_time(r);
	}
	if (seconds <= 0)
		return 0;
	return (unsigned)min_u64((uint64_t)seconds, RETRY_AFTER_MAX_S) * 1000u;
}

static int
explain(const struct http *h, const struct intake *in, CURLcode code, const char *sentence,
	struct err *err)
{
	const char *why = sentence[0] != '\0' ? sentence : curl_easy_strerror(code);

	switch (code) {
	case CURLE_WRITE_ERROR:
		if (in->end == INTAKE_TOO_LONG)
			return err_set(err, in->q->ranged ? ERR_UNREACHABLE : ERR_CORRUPT,
				       "the server's answer is longer than it may be");
		return err_set(err, ERR_UNREACHABLE, "the server's answer is no HTTP");
	case CURLE_ABORTED_BY_CALLBACK:
		if (store_is_stopping())
			return store_stopped(err);
		return err_set(err, ERR_UNREACHABLE, "nothing has come for %u s",
			       (h->timeout_ms + 999) / 1000);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(err, ERR_AUTH,
			       "the server's certificate is not to be trusted: %s; --cacert names "
			       "an authority of one's own",
			       why);
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(err, ERR_INVALID, "%s: no file of certificates (PEM)",
			       h->cacert != NULL ? h->cacert : why);
	case CURLE_URL_MALFORMAT:
		return err_set(err, ERR_INVALID, "%s", why);
	default:
		return err_set(err, ERR_UNREACHABLE, "%s", why);
	}
}

static int
finish(const struct http *h, struct intake *in, CURL *curl, CURLcode code, const char *sentence,
       struct err *err)
{
	curl_off_t length = -1;
	int r;

	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && in->end == INTAKE_ENOUGH))
		return explain(h, in, code, sentence, err);
	(void)curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	in->response.content_length = length;
	r = intake_check_coding(in, err);
	if (r < 0)
		return r;
	in->response.retry_after_ms = retry_after_ms(&in->response);
	return in->q->ranged ? intake_check_range(in, err) : 0;
}

int
http_send(struct http *h, const struct http_request *q, struct http_response *ret, struct err *err)
{
	struct intake in = {.q = q, .mark_ms = time_monotonic_ms()};
	struct watch watch = {h, &in};
	char sentence[CURL_ERROR_SIZE] = "";
	struct curl_slist *list;
	CURLcode code;
	CURL *curl;
	int r;

	http_response_fini(ret);
	if (store_is_stopping())
		return store_stopped(err);
	curl = take_handle(h);
	if (curl == NULL)
		return err_set(err, ERR_IO, "libcurl can't start");
	list = header_list(q);
	set_connection(h, curl);
	set_request(curl, q, list, &watch, sentence);
	code = curl_easy_perform(curl);
	count_traffic(h, curl);
	r = finish(h, &in, curl, code, sentence, err);
	give_back(h, curl);
	curl_slist_free_all(list);

	if (r == 0) {
		*ret = in.response;
		in.response = (struct http_response){0};
	}
	http_response_fini(&in.response);
	return r;
}
