/*
 * test_store_s3.c - what the S3 store makes of answers that no real server gives on demand: refused
 * conditions, conflicts, clocks that differ, listings that are hostile.
 */
#include "fixture_script.h"
#include "fixture_store.h"

#include "tillfs/seal.h"

#define OK      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define MISSING "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
#define EXISTS  "HTTP/1.1 412 X\r\nContent-Length: 0\r\n\r\n"

/* A store whose server gives these answers.  @s: script_end when the store is closed. */
static struct store *
open_script(struct script *s, const char *const *answers)
{
	CLEANUP(freep) char *url = NULL;
	struct store *store = NULL;
	struct err err = ERR_INIT;

	setenv("AWS_ACCESS_KEY_ID", "KEY", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRET", 1);
	script_begin(s, answers);
	url = str_format("s3://bucket/p?endpoint=%.*s", (int)(strrchr(s->url, '/') - s->url),
			 s->url);
	CHECK_OK(store_open(url, NULL, false, &store, &err), &err);
	return store;
}

/* One small create; what came of it, and the requests. */
static int
create_one(const char *const *answers, struct buf *ret_requests, int *ret_exclusive,
	   struct err *err)
{
	struct script s;
	struct store *store = open_script(&s, answers);
	int r = store_create(store, "key", slice_str("body"), err);

	*ret_exclusive = store_exclusive(store);
	store_close(store);
	shutdown(s.listener, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	buf_move(ret_requests, &s.requests);
	close(s.listener);
	return r;
}

static void
test_s3_create__finds_out_whether_it_is_exclusive(void **state)
{
	static const struct {
		const char *answers[6];
		int code, exclusive;
	} cases[] = {
		{{MISSING, OK, EXISTS}, 0, 1}, /* sent twice, taken once */
		{{MISSING, OK, OK}, 0, 0},     /* taken twice */
		{{MISSING, "HTTP/1.1 501 X\r\nContent-Length: 0\r\n\r\n", OK}, 0, 0},
		{{OK}, ERR_EXISTS, -1},
		{{MISSING, EXISTS}, ERR_EXISTS, 1},
		{{MISSING,
		  "HTTP/1.1 409 X\r\nContent-Length: 53\r\n\r\n"
		  "<Error><Code>ConditionalRequestConflict</Code></Error>",
		  OK},
		 ERR_EXISTS,
		 -1},
		{{MISSING,
		  "HTTP/1.1 409 X\r\nContent-Length: 53\r\n\r\n"
		  "<Error><Code>ConditionalRequestConflict</Code></Error>",
		  MISSING},
		 ERR_UNREACHABLE,
		 -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf requests = BUF_INIT;
		struct err err = ERR_INIT;
		int exclusive;
		int r = create_one(cases[i].answers, &requests, &exclusive, &err);

		if (r != cases[i].code || exclusive != cases[i].exclusive)
			fail_msg("case %zu: %d (%s), exclusive %d", i, r, err.msg, exclusive);
		assert_non_null(strstr(buf_cstr(&requests), "HEAD /bucket/p/key HTTP/1.1"));
	}
}

static void
test_s3__signs_with_the_servers_clock_when_ours_is_wrong(void **state)
{
	CLEANUP(buf_fini) struct buf date = BUF_INIT;
	CLEANUP(freep) char *skewed = NULL;
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	const char *answers[] = {NULL,
				 "HTTP/1.1 206 P\r\nContent-Length: 1\r\n"
				 "Content-Range: bytes 0-0/1\r\n\r\nx",
				 NULL};
	struct err err = ERR_INIT;
	struct store *store;
	struct script s;

	(void)state;
	http_date_append(&date, 1893456000); /* 2030-01-01 */
	skewed = str_format("HTTP/1.1 403 X\r\nContent-Length: 0\r\nDate: %s\r\n\r\n",
			    buf_cstr(&date));
	answers[0] = skewed;
	store = open_script(&s, answers);
	CHECK_OK(store_get(store, "key", 0, 1, &b, &err), &err);
	store_close(store);
	shutdown(s.listener, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	assert_non_null(strstr(buf_cstr(&s.requests), "x-amz-date: 20300101T0"));
	close(s.listener);
	buf_fini(&s.requests);
}

static void
test_s3__says_where_a_bucket_is(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 301 X\r\nContent-Length: 0\r\nx-amz-bucket-region: eu-west-3\r\n\r\n",
		"HTTP/1.1 404 X\r\nContent-Length: 41\r\n\r\n"
		"<Error><Code>NoSuchBucket</Code></Error>\n",
		"HTTP/1.1 503 X\r\nRetry-After: 3\r\nContent-Length: 36\r\n\r\n"
		"<Error><Code>SlowDown</Code></Error>",
		"HTTP/1.1 400 X\r\nContent-Length: 84\r\n\r\n"
		"<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-south-1</Region></"
		"Error>\n\n",
		NULL};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct script s;
	struct store *store = open_script(&s, answers);

	(void)state;
	CHECK_REFUSED(store_get(store, "key", 0, 1, &b, &err), ERR_INVALID, &err,
		      "region=eu-west-3");
	CHECK_REFUSED(store_get(store, "key", 0, 1, &b, &err), ERR_INVALID, &err, "no bucket");
	CHECK_REFUSED(store_get(store, "key", 0, 1, &b, &err), ERR_UNREACHABLE, &err, "SlowDown");
	assert_int_equal(err.retry_after_ms, 3000);
	CHECK_REFUSED(store_get(store, "key", 0, 1, &b, &err), ERR_INVALID, &err,
		      "region=ap-south-1");
	store_close(store);
	script_end(&s);
}

/* Proxies take the length out of answers that have no body. */
static void
test_s3_size__is_found_without_a_length(void **state)
{
#define NO_LENGTH "HTTP/1.1 200 OK\r\n\r\n"
#define PART(range, length, body)                                                                  \
	"HTTP/1.1 206 P\r\nContent-Length: " length "\r\nContent-Range: bytes " range              \
	"\r\n\r\n" body
	static const char *const answers[] = {
		NO_LENGTH,
		PART("0-0/12345", "1", "x"),
		NO_LENGTH,
		"HTTP/1.1 416 X\r\nContent-Length: 0\r\nContent-Range: bytes */0\r\n\r\n",
		NO_LENGTH,
		PART("0-0/*", "1", "x"),
		NO_LENGTH,
		NULL};
	struct err err = ERR_INIT;
	struct script s;
	struct store *store = open_script(&s, answers);
	uint64_t size = 0;

	(void)state;
	CHECK_OK(store_size(store, "key", &size, &err), &err);
	assert_int_equal(size, 12345);
	CHECK_OK(store_size(store, "key", &size, &err), &err);
	assert_int_equal(size, 0);
	CHECK_REFUSED(store_size(store, "key", &size, &err), ERR_IO, &err, "how long");
	/* Whether it is there, is known without. */
	CHECK_REFUSED(store_create(store, "key", slice_str("x"), &err), ERR_EXISTS, &err,
		      "already");
	store_close(store);
	script_end(&s);
}

static void
test_s3_get__compressed_content_is_told(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/3\r\n"
		"Content-Encoding: gzip\r\n\r\nabc",
		NULL};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct script s;
	struct store *store = open_script(&s, answers);

	(void)state;
	CHECK_REFUSED(store_get(store, "key", 0, 3, &b, &err), ERR_IO, &err, "gzip");
	assert_int_equal(b.len, 0);
	store_close(store);
	script_end(&s);
}

static int
ignore_entry(void *arg, const struct store_entry *e, struct err *err)
{
	(void)arg, (void)e, (void)err;
	return 0;
}

/* Each page says that there is another one. */
static void
test_s3_list__a_listing_without_an_end_is_ended(void **state)
{
	enum { PAGES = 150 };
	char *answers[PAGES + 1] = {NULL};
	struct err err = ERR_INIT;
	struct script s;
	struct store *store;

	(void)state;
	for (size_t i = 0; i < PAGES; i++) {
		CLEANUP(freep)
		char *xml =
			str_format("<ListBucketResult><IsTruncated>true</IsTruncated>"
				   "<NextContinuationToken>t/+&amp;= %zu</NextContinuationToken>"
				   "</ListBucketResult>",
				   i);
		answers[i] = str_format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
					strlen(xml), xml);
	}
	store = open_script(&s, (const char *const *)answers);
	CHECK_REFUSED(store_list(store, "", false, ignore_entry, NULL, &err), ERR_IO, &err,
		      "doesn't get on");
	store_close(store);
	shutdown(s.listener, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	assert_non_null(strstr(buf_cstr(&s.requests), "continuation-token=t%2F%2B%26%3D%207&"));
	close(s.listener);
	buf_fini(&s.requests);
	for (size_t i = 0; i < PAGES; i++)
		free(answers[i]);
}

static void
test_s3_list__hostile_pages_are_refused(void **state)
{
	static const struct {
		const char *xml;
		int code;
		const char *text;
	} pages[] = {
		{"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>p/b+c%2B</Key>"
		 "<Size>5</Size></Contents><Contents><Key>p/a</Key><Size>1</Size></Contents>"
		 "<IsTruncated>false</IsTruncated></ListBucketResult>",
		 0, "a:1 b c+:5 "},
		{"<ListBucketResult></ListBucketResult>", 0, ""},
		{"<ListBucketResult><Contents>", ERR_CORRUPT, "no XML"},
		{"hello", ERR_CORRUPT, "no XML"},
		{"<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult/>", ERR_CORRUPT,
		 "document type"},
		{"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></"
		 "a></a>"
		 "</a></a></a></a></a></a></a></a>",
		 ERR_CORRUPT, "nested"},
		{"<ListBucketResult><Contents><Key>q/a</Key></Contents></ListBucketResult>",
		 ERR_CORRUPT, "broken"},
		{"<ListBucketResult><Contents><Key>p/a</Key><Size>-1</Size></Contents>"
		 "</ListBucketResult>",
		 ERR_CORRUPT, "broken"},
		{"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>p/%</Key></"
		 "Contents>"
		 "</ListBucketResult>",
		 ERR_CORRUPT, "broken"},
		{"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", ERR_IO,
		 "doesn't get on"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		CLEANUP(freep)
		char *answer = str_format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
					  strlen(pages[i].xml), pages[i].xml);
		const char *const answers[] = {answer, NULL};
		CLEANUP(buf_fini) struct buf found = BUF_INIT;
		struct err err = ERR_INIT;
		struct script s;
		struct store *store = open_script(&s, answers);
		int r = store_list(store, "", false, append_entry, &found, &err);

		store_close(store);
		script_end(&s);
		if (pages[i].code < 0) {
			CHECK_REFUSED(r, pages[i].code, &err, pages[i].text);
			continue;
		}
		CHECK_OK(r, &err);
		assert_string_equal(buf_cstr(&found), pages[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_s3_create__finds_out_whether_it_is_exclusive),
		cmocka_unit_test(test_s3__signs_with_the_servers_clock_when_ours_is_wrong),
		cmocka_unit_test(test_s3__says_where_a_bucket_is),
		cmocka_unit_test(test_s3_size__is_found_without_a_length),
		cmocka_unit_test(test_s3_get__compressed_content_is_told),
		cmocka_unit_test(test_s3_list__a_listing_without_an_end_is_ended),
		cmocka_unit_test(test_s3_list__hostile_pages_are_refused),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
