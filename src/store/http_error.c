/*
 * http_error.c - what a status means, and dates.
 *
 * Layer 1.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <time.h>

#include "store/http_private.h"

#define SAID_MAX   200u
#define SKEW_MIN_S 240 /* services allow some minutes */

static int
code_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
	case 410:
		return ERR_NOENT;
	case 412:
		return ERR_EXISTS;
	case 405:
	case 501:
		return ERR_UNSUPPORTED;
	case 507:
		return ERR_NOSPACE;
	case 408:
	case 425:
	case 429:
		return ERR_UNREACHABLE;
	default:
		return status >= 500 ? ERR_UNREACHABLE : ERR_IO;
	}
}

static const char *
meaning(int status)
{
	switch (status) {
	case 401:
		return "the server wants other credentials";
	case 403:
		return "the server refuses it to these credentials";
	case 404:
	case 410:
		return "there is no such object";
	case 412:
		return "there is such an object already";
	case 405:
	case 501:
		return "the server can't do that";
	case 507:
		return "the server has no room left";
	case 429:
	case 503:
		return "the server asks to be left alone for a while";
	case 407:
		return "the proxy wants credentials";
	default:
		break;
	}
	if (status >= 300 && status <= 399)
		return "the server points elsewhere; is this its right address?";
	return status >= 500 ? "the server has trouble" : "the server refuses it";
}

/* A page of HTML says nothing in a sentence. */
static bool
is_prose(struct slice s)
{
	return s.len > 0 && s.p[0] != '<' && s.p[0] != '{' && utf8_valid(s);
}

int
http_error(const struct http_response *r, struct slice said, struct err *err)
{
	CLEANUP(buf_fini) struct buf words = BUF_INIT;
	CLEANUP(freep) char *location = http_response_header(r, "location");
	int code = code_of(r->status);

	if (said.len == 0 && is_prose(buf_slice(&r->body)))
		said = buf_slice(&r->body);
	if (said.len > 0)
		text_append_safe(&words, slice_of(said.p, min_u64(said.len, SAID_MAX)));
	else if (location != NULL && r->status >= 300 && r->status <= 399)
		text_append_safe(&words, slice_of(location, strnlen(location, SAID_MAX)));

	(void)err_set(err, code, "%s (HTTP status %d%s%s)", meaning(r->status), r->status,
		      words.len > 0 ? ": " : "", buf_cstr(&words));
	if (err != NULL && code == ERR_UNREACHABLE)
		err->retry_after_ms = r->retry_after_ms;
	return code;
}

bool
http_clock_corrected(const struct http_response *r, int64_t used, atomic_llong *skew)
{
	CLEANUP(freep) char *date = http_response_header(r, "date");
	int64_t theirs, found, before;

	if (date == NULL || !http_date_parse(date, &theirs))
		return false;
	found = theirs - time_now();
	if (llabs(found - used) < SKEW_MIN_S)
		return false;
	before = atomic_exchange(skew, found);
	if (llabs(found - before) >= SKEW_MIN_S)
		log_write(LOG_WARN, "this machine's clock is %lld s from the storage's",
			  (long long)-found);
	return true;
}

bool
http_date_parse(const char *text, int64_t *ret)
{
	time_t t = curl_getdate(text, NULL);

	*ret = (int64_t)t;
	return t != (time_t)-1;
}

void
http_date_append(struct buf *ret, int64_t utc_sec)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t t = (time_t)utc_sec;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	buf_appendf(ret, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
		    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
