/*
 * test_http.c - requests over HTTP: ranges, statuses, and answers that are cut, wrong or hostile.
 */
#include "fixture_script.h"

#include "tillfs/seal.h"

/* Sends one request to a server that answers with @text, and says what came of it. */
static int
send_one(const char *text, const struct http_request *model, struct http_response *ret,
	 struct err *err)
{
	const char *const answers[] = {text, NULL};
	const struct store_options options = {.timeout_ms = 1500};
	struct http *http = http_new(&options, NULL, NULL);
	struct http_request q = *model;
	struct script s;
	int r;

	script_begin(&s, answers);
	q.url = s.url;
	if (q.method == NULL)
		q.method = "GET";
	r = http_send(http, &q, ret, err);
	http_free(http);
	script_end(&s);
	return r;
}

/* Bytes 3 to 6 of "0123456789". */
static void
test_http__takes_a_range_as_servers_send_it(void **state)
{
	static const struct {
		const char *answer, *body;
	} good[] = {
		{"HTTP/1.1 206 Partial\r\nContent-Length: 4\r\nContent-Range: bytes 3-6/10\r\n\r\n"
		 "3456",
		 "3456"},
		{"HTTP/1.1 206 Partial\r\nContent-Range: bytes "
		 "3-6/*\r\ncontent-length:4\r\n\r\n3456",
		 "3456"},
		/* A shorter object. */
		{"HTTP/1.1 206 P\r\nContent-Length: 2\r\nContent-Range: bytes 3-4/5\r\n\r\n34",
		 "34"},
		/* The whole instead. */
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", "3456"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n01234", "34"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n01", ""},
		{"HTTP/1.1 200 OK\r\n\r\n0123456789" CLOSE, "3456"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n",
		 "34"},
		/* Past the end. */
		{"HTTP/1.1 416 No\r\nContent-Range: bytes */3\r\nContent-Length: 4\r\n\r\noops",
		 ""},
		{"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n", ""},
		{"HTTP/1.1 206 P\r\nContent-Length: 0\r\nContent-Range: bytes 3-2/3\r\n\r\n", ""},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 P\r\nContent-Length: 4\r\n"
		 "Content-Range: bytes 3-6/10\r\n\r\n3456",
		 "3456"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP(http_response_fini) struct http_response got = {0};
		struct http_request q = {0};
		struct err err = ERR_INIT;

		http_request_range(&q, 3, 4);
		CHECK_OK(send_one(good[i].answer, &q, &got, &err), &err);
		assert_int_equal(got.status, 206);
		check_bytes(buf_slice(&got.body), slice_str(good[i].body));
	}
}

static void
test_http__refuses_what_is_not_the_range(void **state)
{
	static const struct {
		const char *answer, *text;
	} bad[] = {
		{"HTTP/1.1 206 P\r\nContent-Length: 4\r\nContent-Range: bytes 4-7/10\r\n\r\n4567",
		 "4-7"},
		{"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 3-5/10\r\n\r\n345",
		 "only a part"},
		{"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 3-6/10\r\n\r\n345",
		 "3 bytes as"},
		{"HTTP/1.1 206 P\r\nContent-Length: 4\r\nContent-Range: bytes 3-6/5\r\n\r\n3456",
		 "3-6/5"},
		{"HTTP/1.1 206 P\r\nContent-Length: 4\r\nContent-Range: lines 3-6/10\r\n\r\n3456",
		 "lines"},
		{"HTTP/1.1 206 P\r\nContent-Length: 4\r\n"
		 "Content-Range: bytes 99999999999999999999999-6/10\r\n\r\n3456",
		 "9999"},
		{"HTTP/1.1 206 P\r\nContent-Length: 4\r\n\r\n3456", "no Content-Range"},
		{"HTTP/1.1 206 P\r\nContent-Length: 9\r\nContent-Range: bytes 3-6/10\r\n\r\n"
		 "345678901",
		 "longer"},
		{"HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */10\r\n\r\n",
		 "lies inside"},
		/* Cut: by the length told, by chunks, and by nothing that tells. */
		{"HTTP/1.1 206 P\r\nContent-Length: 4\r\nContent-Range: bytes "
		 "3-6/10\r\n\r\n34" CLOSE,
		 ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234" CLOSE, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0123" CLOSE, ""},
		{"HTTP/1.1 200 OK\r\n\r\n01234" CLOSE, "without its length"},
		{"HTTP/1.1 2" CLOSE, ""},
		{CLOSE, ""},
		{"220 smtp ready\r\n" CLOSE, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(http_response_fini) struct http_response got = {0};
		struct http_request q = {0};
		struct err err = ERR_INIT;

		http_request_range(&q, 3, 4);
		CHECK_REFUSED(send_one(bad[i].answer, &q, &got, &err), ERR_UNREACHABLE, &err,
			      bad[i].text);
		assert_int_equal(got.body.len, 0);
	}
}

static void
test_http__gives_up_on_a_server_that_stalls(void **state)
{
	static const char *const stalled[] = {
		STALL,
		"HTTP/1.1 200 OK\r\nConten" STALL,
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123" STALL,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stalled); i++) {
		CLEANUP(http_response_fini) struct http_response got = {0};
		struct http_request q = {0};
		struct err err = ERR_INIT;

		CHECK_REFUSED(send_one(stalled[i], &q, &got, &err), ERR_UNREACHABLE, &err,
			      "nothing has come for 2 s");
	}
}

static void
test_http__a_body_is_bounded(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345";
	CLEANUP(http_response_fini) struct http_response got = {0};
	struct http_request q = {.body_max = 5};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(send_one(answer, &q, &got, &err), &err);
	check_bytes(buf_slice(&got.body), slice_str("12345"));
	assert_int_equal(got.content_length, 5);

	q.body_max = 4;
	CHECK_REFUSED(send_one(answer, &q, &got, &err), ERR_CORRUPT, &err, "longer");
}

static void
test_http__a_head_is_bounded(void **state)
{
	CLEANUP(http_response_fini) struct http_response got = {0};
	CLEANUP(buf_fini) struct buf answer = BUF_INIT;
	struct http_request q = {0};
	struct err err = ERR_INIT;

	(void)state;
	buf_append_str(&answer, "HTTP/1.1 200 OK\r\n");
	for (unsigned i = 0; i < 100; i++)
		buf_appendf(&answer, "X-%u: %01000d\r\n", i, 0);
	buf_append_str(&answer, "Content-Length: 0\r\n\r\n");
	CHECK_REFUSED(send_one(buf_cstr(&answer), &q, &got, &err), ERR_UNREACHABLE, &err,
		      "no HTTP");
}

static void
test_http_error__gives_each_status_its_meaning(void **state)
{
	static const struct {
		int status, code;
	} meanings[] = {
		{400, ERR_IO},          {401, ERR_DENIED},      {403, ERR_DENIED},
		{404, ERR_NOENT},       {410, ERR_NOENT},       {405, ERR_UNSUPPORTED},
		{408, ERR_UNREACHABLE}, {412, ERR_EXISTS},      {429, ERR_UNREACHABLE},
		{500, ERR_UNREACHABLE}, {501, ERR_UNSUPPORTED}, {503, ERR_UNREACHABLE},
		{507, ERR_NOSPACE},     {301, ERR_IO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		CLEANUP(freep)
		char *answer = str_format("HTTP/1.1 %d X\r\nContent-Length: 9\r\n"
					  "Retry-After: 7\r\nLocation: there\r\n\r\n"
					  "my reason",
					  meanings[i].status);
		CLEANUP(http_response_fini) struct http_response got = {0};
		struct http_request q = {0};
		struct err err = ERR_INIT;

		http_request_range(&q, 3, 4);
		CHECK_OK(send_one(answer, &q, &got, &err), &err);
		assert_int_equal(got.status, meanings[i].status);
		CHECK_REFUSED(http_error(&got, slice_of(NULL, 0), &err), meanings[i].code, &err,
			      "my reason");
		assert_int_equal(err.retry_after_ms,
				 meanings[i].code == ERR_UNREACHABLE ? 7000 : 0);
		CHECK_REFUSED(http_error(&got, slice_str("said\x1b"), &err), meanings[i].code, &err,
			      "said\\x1b");
	}
}

static void
test_http__retry_after_may_be_a_date(void **state)
{
	CLEANUP(http_response_fini) struct http_response got = {0};
	CLEANUP(buf_fini) struct buf answer = BUF_INIT;
	struct http_request q = {0};
	struct err err = ERR_INIT;

	(void)state;
	buf_append_str(&answer, "HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: ");
	http_date_append(&answer, time_now() + 100);
	buf_append_str(&answer, "\r\n\r\n");
	CHECK_OK(send_one(buf_cstr(&answer), &q, &got, &err), &err);
	assert_in_range(got.retry_after_ms, 40000, 100000);

	/* The clock that counts is the server's. */
	CHECK_OK(send_one("HTTP/1.1 503 X\r\nContent-Length: 0\r\n"
			  "Date: Fri, 20 Nov 2020 10:00:00 GMT\r\n"
			  "Retry-After: Fri, 20 Nov 2020 10:00:07 GMT\r\n\r\n",
			  &q, &got, &err),
		 &err);
	assert_int_equal(got.retry_after_ms, 7000);

	CHECK_OK(send_one("HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: soon\r\n\r\n", &q,
			  &got, &err),
		 &err);
	assert_int_equal(got.retry_after_ms, 0);
}

static void
test_http__keeps_its_connection(void **state)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	const char *const answers[] = {ok, ok,
				       ok, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" CLOSE,
				       ok, NULL};
	struct http *http = http_new(NULL, "user", "pass word");
	CLEANUP(http_headers_fini) struct http_headers headers = {0};
	struct http_request q = {.method = "PUT", .headers = &headers, .body = slice_str("body")};
	CLEANUP(http_response_fini) struct http_response got = {0};
	struct err err = ERR_INIT;
	struct script s;

	(void)state;
	http_headers_add(&headers, "X-Key: %s", "value");
	script_begin(&s, answers);
	q.url = s.url;
	for (unsigned i = 0; i < 5; i++)
		CHECK_OK(http_send(http, &q, &got, &err), &err);
	http_free(http);
	pthread_join(s.thread, NULL);
	assert_int_equal(s.connections, 2);
	assert_non_null(strstr(buf_cstr(&s.requests), "PUT /thing HTTP/1.1\r\n"));
	assert_non_null(strstr(buf_cstr(&s.requests), "X-Key: value\r\n"));
	assert_non_null(strstr(buf_cstr(&s.requests), "Basic dXNlcjpwYXNzIHdvcmQ="));
	assert_non_null(strstr(buf_cstr(&s.requests), "Content-Length: 4\r\n"));
	assert_null(strstr(buf_cstr(&s.requests), "Expect"));
	close(s.listener);
	buf_fini(&s.requests);
}

static void
test_http__nobody_there(void **state)
{
	CLEANUP(http_freep) struct http *http = http_new(NULL, NULL, NULL);
	CLEANUP(http_response_fini) struct http_response got = {0};
	struct http_request q = {.method = "GET", .url = "http://127.0.0.1:1/x"};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(http_send(http, &q, &got, &err), ERR_UNREACHABLE, &err, "connect");
	q.url = "http://nowhere.invalid/x";
	CHECK_REFUSED(http_send(http, &q, &got, &err), ERR_UNREACHABLE, &err, "esol");
}

static void
test_http_date__reads_what_it_writes(void **state)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	int64_t t;

	(void)state;
	http_date_append(&b, 784111777);
	assert_string_equal(buf_cstr(&b), "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_true(http_date_parse(buf_cstr(&b), &t));
	assert_int_equal(t, 784111777);
	assert_true(http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT", &t));
	assert_int_equal(t, 784111777);
	assert_false(http_date_parse("some day", &t));
}

/* Of requests on their way at once, all were signed with the wrong time; the first that is refused
 * puts it right, and the others must be worth another try nevertheless. */
static void
test_http_clock__counts_from_what_the_request_was_signed_with(void **state)
{
	CLEANUP(http_response_fini) struct http_response r = {.status = 403};
	CLEANUP(buf_fini) struct buf date = BUF_INIT;
	const int64_t day = 86400;
	atomic_llong skew = 0;

	(void)state;
	assert_false(http_clock_corrected(&r, 0, &skew)); /* no date */
	http_date_append(&date, time_now() - day);
	buf_appendf(&r.headers, "Date: %s\n", buf_cstr(&date));
	for (int i = 0; i < 2; i++) {
		assert_true(http_clock_corrected(&r, 0, &skew));
		assert_in_range(-atomic_load(&skew), day, day + 60);
	}
	assert_false(http_clock_corrected(&r, atomic_load(&skew), &skew));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http__takes_a_range_as_servers_send_it),
		cmocka_unit_test(test_http__refuses_what_is_not_the_range),
		cmocka_unit_test(test_http__gives_up_on_a_server_that_stalls),
		cmocka_unit_test(test_http__a_body_is_bounded),
		cmocka_unit_test(test_http__a_head_is_bounded),
		cmocka_unit_test(test_http_error__gives_each_status_its_meaning),
		cmocka_unit_test(test_http__retry_after_may_be_a_date),
		cmocka_unit_test(test_http__keeps_its_connection),
		cmocka_unit_test(test_http__nobody_there),
		cmocka_unit_test(test_http_date__reads_what_it_writes),
		cmocka_unit_test(test_http_clock__counts_from_what_the_request_was_signed_with),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
