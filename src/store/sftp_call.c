/*
 * sftp_call.c - a call to an SSH server: connections, time limits, what went wrong.
 *
 * As with HTTP, a thread takes a curl handle with the connection it keeps, and gives it back.
 * OpenSSH refuses at random when more than ten clients stand before its door (MaxStartups), so
 * few connect at once.
 *
 * Layer 1.
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/sftp.h"
#include "store/url.h"

#define CONNECTING_MAX 4u
#define PROGRESS_BYTES 4096u /* fewer than these in timeout_ms are no progress */

/* ---- commands */

/* A path in the quotes that curl's commands understand. */
static void
append_quoted(struct buf *b, const struct sftp *s, const char *key)
{
	CLEANUP(freep) char *path = str_format("%s%s%s", s->root, key[0] != '\0' ? "/" : "", key);

	buf_append_str(b, " \"");
	for (const char *c = path; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			buf_append_u8(b, '\\');
		buf_append_u8(b, (uint8_t)*c);
	}
	buf_append_str(b, "\"");
}

struct curl_slist *
sftp_command(struct curl_slist *list, const struct sftp *s, const char *verb, const char *a,
	     const char *b)
{
	CLEANUP(buf_fini) struct buf line = BUF_INIT;
	struct curl_slist *longer;

	buf_append_str(&line, verb);
	append_quoted(&line, s, a);
	if (b != NULL)
		append_quoted(&line, s, b);
	longer = curl_slist_append(list, buf_cstr(&line));
	return longer != NULL ? longer : list;
}

/* ---- what curl calls */

static size_t
on_data(char *p, size_t size, size_t n, void *arg)
{
	struct sftp_call *call = arg;
	size_t len = size * n;
	curl_off_t whole = -1;

	if (call->what == SFTP_READ) {
		/* Where it could not learn the size, libcurl forgets the range too. */
		(void)curl_easy_getinfo(call->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &whole);
		if (whole < 0 && call->off > 0)
			return 0;
		if (len > call->len - call->ret->len)
			return 0;
	}
	buf_append(call->ret, p, len);
	return len;
}

static size_t
on_wish(char *p, size_t size, size_t n, void *arg)
{
	struct sftp_call *call = arg;
	size_t len = min_u64(size * n, call->body.len - call->sent);

	if (len > 0)
		memcpy(p, call->body.p + call->sent, len);
	call->sent += len;
	return len;
}

/* curl asks at least once a second.  Ends what has made no progress for too long. */
static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	struct sftp_call *call = arg;
	uint64_t now = time_monotonic_ms();
	uint64_t moved = (uint64_t)down + (uint64_t)up;

	(void)down_total, (void)up_total;
	if (moved >= call->mark_bytes + PROGRESS_BYTES || moved < call->mark_bytes) {
		call->mark_bytes = moved;
		call->mark_ms = now;
	}
	return store_is_stopping() || now - call->mark_ms > call->store->timeout_ms;
}

/* ---- setting a handle up */

static void
set_url(const struct sftp *s, struct sftp_call *call)
{
	CLEANUP(buf_fini) struct buf url = BUF_INIT;
	bool folder = call->what == SFTP_LIST || call->what == SFTP_NOTHING;

	buf_append_str(&url, s->root_url);
	if (call->what != SFTP_NOTHING && call->key[0] != '\0') {
		buf_append_u8(&url, '/');
		url_encode(&url, slice_str(call->key), "/");
	}
	if (folder && url.p[url.len - 1] != '/')
		buf_append_u8(&url, '/');
	(void)curl_easy_setopt(call->curl, CURLOPT_URL, buf_cstr(&url));
	(void)curl_easy_setopt(call->curl, CURLOPT_PATH_AS_IS, 1L);
}

static void
set_login(const struct sftp *s, CURL *curl)
{
	long auth = CURLSSH_AUTH_AGENT;

	if (s->key != NULL) {
		auth |= CURLSSH_AUTH_PUBLICKEY;
		(void)curl_easy_setopt(curl, CURLOPT_SSH_PRIVATE_KEYFILE, s->key);
	}
	(void)curl_easy_setopt(curl, CURLOPT_SSH_AUTH_TYPES, auth);
	(void)curl_easy_setopt(curl, CURLOPT_USERNAME, s->user);
}

/*
 * libssh2 keeps four buffers of reads in flight, and goes on to do so behind the end of what was
 * asked for: a large buffer is fast, and wastes traffic at the end of a range.
 */
static long
read_buffer(uint64_t len)
{
	return (long)max_u64(min_u64(len / 8, 256 * KIB), 16 * KIB);
}

static void
set_transfer(struct sftp_call *call)
{
	CURL *curl = call->curl;
	char range[48];

	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	switch (call->what) {
	case SFTP_NOTHING:
	case SFTP_STAT:
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		break;
	case SFTP_READ:
		(void)snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, call->off,
			       call->off + call->len - 1);
		(void)curl_easy_setopt(curl, CURLOPT_RANGE, range);
		(void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, read_buffer(call->len));
		break;
	case SFTP_LIST:
		break;
	case SFTP_WRITE:
		(void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body.len);
		(void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_wish);
		(void)curl_easy_setopt(curl, CURLOPT_READDATA, call);
		(void)curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)MIB);
		break;
	}
}

static void
set_up(const struct sftp *s, struct sftp_call *call, int type_fd)
{
	CURL *curl = call->curl;
	char type_path[48];

	(void)snprintf(type_path, sizeof type_path, "/proc/self/fd/%d", type_fd);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "sftp");
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)s->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->sentence);
	(void)curl_easy_setopt(curl, CURLOPT_QUOTE, call->before);
	(void)curl_easy_setopt(curl, CURLOPT_POSTQUOTE, call->after);
	sftp_host_setup(call, type_path);
	set_login(s, curl);
	set_url(s, call);
	set_transfer(call);
}

/* ---- what went wrong */

static bool
says(const struct sftp_call *call, const char *words)
{
	return strstr(call->sentence, words) != NULL;
}

/* The server's own reason, which libcurl has put into words only. */
static int
explain_refusal(const struct sftp_call *call, const char *why, struct err *err)
{
	if (says(call, "No such file"))
		return err_set(err, ERR_NOENT, "no such file on the server");
	if (says(call, "already exists"))
		return err_set(err, ERR_EXISTS, "there is such a file already");
	if (says(call, "Permission denied") || says(call, "write protected"))
		return err_set(err, ERR_DENIED, "the server refuses it to this user");
	if (says(call, "Disk full") || says(call, "quota"))
		return err_set(err, ERR_NOSPACE, "the server has no room left");
	return err_set(err, ERR_IO, "the server refuses it without a reason (%s)", why);
}

static int
explain_login(const struct sftp *s, struct err *err)
{
	bool agent = getenv("SSH_AUTH_SOCK") != NULL;

	return err_set(
		err, ERR_DENIED,
		"%s lets %s in with neither %s nor %s: is the public key among "
		"~/.ssh/authorized_keys there?  A key with a passphrase must be in the agent "
		"(ssh-add)",
		s->host, s->user, s->key != NULL ? s->key : "a key file, since there is none,",
		agent ? "the agent's keys" : "an agent, since none is running");
}

static int
explain(const struct sftp *s, const struct sftp_call *call, struct err *err)
{
	const char *why =
		call->sentence[0] != '\0' ? call->sentence : curl_easy_strerror(call->code);

	switch (call->code) {
	case CURLE_OK:
		return 0;
	case CURLE_REMOTE_FILE_NOT_FOUND:
		return err_set(err, ERR_NOENT, "no such file on the server");
	case CURLE_REMOTE_ACCESS_DENIED:
		return err_set(err, ERR_DENIED, "the server refuses it to user %s", s->user);
	case CURLE_LOGIN_DENIED:
		return explain_login(s, err);
	case CURLE_REMOTE_DISK_FULL:
		return err_set(err, ERR_NOSPACE, "the server has no room left");
	case CURLE_REMOTE_FILE_EXISTS:
		return err_set(err, ERR_EXISTS, "there is such a file already");
	case CURLE_PEER_FAILED_VERIFICATION:
		if (call->host_err.code == 0)
			return err_set(err, ERR_AUTH, "%s shows no key of its own", s->host);
		if (err != NULL)
			*err = call->host_err;
		return ERR_AUTH;
	case CURLE_QUOTE_ERROR:
		return explain_refusal(call, why, err);
	case CURLE_SSH:
		if (says(call, "Operation failed") || says(call, "not supported"))
			return explain_refusal(call, why, err);
		return err_set(err, ERR_UNREACHABLE, "%s: %s", s->host, why);
	case CURLE_ABORTED_BY_CALLBACK:
		if (store_is_stopping())
			return store_stopped(err);
		return err_set(err, ERR_UNREACHABLE, "nothing has come from %s for %u s", s->host,
			       (s->timeout_ms + 999) / 1000);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, ERR_UNSUPPORTED, "libcurl on this system has no SFTP: %s", why);
	default:
		return err_set(err, ERR_UNREACHABLE, "%s: %s", s->host, why);
	}
}

static int
perform(struct sftp *s, struct sftp_call *call, int type_fd, struct err *err)
{
	curl_off_t size = -1, down = 0;
	int r;

	call->store = s;
	call->sent = 0;
	call->sentence[0] = '\0';
	call->host_err = ERR_INIT;
	call->mark_ms = time_monotonic_ms();
	call->mark_bytes = 0;
	set_up(s, call, type_fd);
	call->code = curl_easy_perform(call->curl);
	(void)curl_easy_getinfo(call->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	call->size = size > 0 ? size : 0;
	(void)curl_easy_getinfo(call->curl, CURLINFO_SIZE_DOWNLOAD_T, &down);
	atomic_fetch_add(&s->requests, 1);
	atomic_fetch_add(&s->received, (uint64_t)down);
	atomic_fetch_add(&s->sent, call->sent);
	r = explain(s, call, err);
	curl_easy_reset(call->curl); /* what it points to is gone; its connection stays */
	return r;
}

/* ---- connecting */

/* Connects a handle, asking for a key of one type. */
static int
connect_as(struct sftp *s, CURL *curl, int type_fd, CURLcode *ret, struct err *err)
{
	struct sftp_call hello = {.what = SFTP_NOTHING, .curl = curl};
	int r = perform(s, &hello, type_fd, err);

	*ret = hello.code;
	return r;
}

/* Whether the server may do better with another type of key. */
static bool
try_next_type(const struct sftp *s, CURLcode code)
{
	return code == CURLE_FAILED_INIT ||
	       (code == CURLE_PEER_FAILED_VERIFICATION && s->fingerprint != NULL);
}

/* The first connection: finds the type of key that the server has and we know. */
static int
find_type(struct sftp *s, CURL *curl, struct err *err)
{
	CLEANUP(freep) const char **types = sftp_host_types(s);
	struct err first = ERR_INIT;
	int r = ERR_UNREACHABLE;

	for (const char **type = types; *type != NULL; type++) {
		CLEANUP(closep) int fd = sftp_host_type_file(s, *type);
		struct err why = ERR_INIT;
		CURLcode code = CURLE_OK;

		if (fd < 0)
			return err_sys(err, "keeping the type of the host's key");
		r = connect_as(s, curl, fd, &code, &why);
		if (r == 0) {
			s->type_fd = fd;
			fd = -1;
			return 0;
		}
		/* A refused key says more than a type that the server doesn't have. */
		if (first.code == 0 || (r == ERR_AUTH && first.code != ERR_AUTH))
			first = why;
		if (!try_next_type(s, code))
			break;
	}
	if (err != NULL)
		*err = first;
	return first.code != 0 ? first.code : r;
}

static int
connect_handle(struct sftp *s, CURL *curl, struct err *err)
{
	CURLcode code;
	bool known;
	int r;

	pthread_mutex_lock(&s->lock);
	while (s->connecting >= CONNECTING_MAX)
		pthread_cond_wait(&s->may_connect, &s->lock);
	s->connecting++;
	pthread_mutex_unlock(&s->lock);

	pthread_mutex_lock(&s->host_lock);
	known = s->type_fd >= 0;
	r = known ? 0 : find_type(s, curl, err);
	pthread_mutex_unlock(&s->host_lock);
	if (known)
		r = connect_as(s, curl, s->type_fd, &code, err);

	pthread_mutex_lock(&s->lock);
	s->connecting--;
	pthread_cond_signal(&s->may_connect);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- the pool */

/* @ret_used: whether it has a connection, which may have died since. */
static int
take_handle(struct sftp *s, bool fresh, CURL **ret, bool *ret_used, struct err *err)
{
	CURL *curl = NULL;
	int r;

	*ret = NULL;
	pthread_mutex_lock(&s->lock);
	if (!fresh && s->n_idle > 0)
		curl = s->idle[--s->n_idle];
	pthread_mutex_unlock(&s->lock);
	*ret_used = curl != NULL;
	if (curl == NULL) {
		curl = curl_easy_init();
		if (curl == NULL)
			return err_set(err, ERR_IO, "libcurl can't start");
		r = connect_handle(s, curl, err);
		if (r < 0) {
			curl_easy_cleanup(curl);
			return r;
		}
	}
	*ret = curl;
	return 0;
}

/* What is unreachable has no connection worth keeping. */
static void
give_back(struct sftp *s, CURL *curl, int r)
{
	pthread_mutex_lock(&s->lock);
	if (r != ERR_UNREACHABLE && s->n_idle < SFTP_IDLE_MAX) {
		s->idle[s->n_idle++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	if (curl != NULL)
		curl_easy_cleanup(curl);
}

void
sftp_close_idle(struct sftp *s)
{
	while (s->n_idle > 0)
		curl_easy_cleanup(s->idle[--s->n_idle]);
}

static int
call_once(struct sftp *s, struct sftp_call *call, bool fresh, bool *ret_used, struct err *err)
{
	int r;

	if (store_is_stopping())
		return store_stopped(err);
	r = take_handle(s, fresh, &call->curl, ret_used, err);
	if (r < 0)
		return r;
	r = perform(s, call, s->type_fd, err);
	give_back(s, steal_ptr(&call->curl), r);
	return r;
}

int
sftp_call(struct sftp *s, struct sftp_call *call, struct err *err)
{
	bool used = false;
	int r = call_once(s, call, false, &used, err);

	/* A kept connection that turns out to be closed is no failure of the server's.  What was
	 * to change something may have happened, though: that is for the caller to find out. */
	if (r == ERR_UNREACHABLE && used && call->code != CURLE_ABORTED_BY_CALLBACK &&
	    call->what != SFTP_WRITE && call->before == NULL) {
		if (call->ret != NULL)
			buf_reset(call->ret);
		r = call_once(s, call, true, &used, err);
	}
	curl_slist_free_all(call->before);
	curl_slist_free_all(call->after);
	call->before = call->after = NULL;
	return r;
}
