/*
 * test_aws_sign.c - signatures, against the examples of the service's own documentation ("Examples
 * of signature calculations", AWS Signature Version 4); and hashes, against RFC 4231.
 */
#include "fixture_folder.h"

#include "store/aws_sign.h"

#define EXAMPLE_TIME 1369353600 /* 2013-05-24T00:00:00Z */

static const char empty_body[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/* The Authorization header of a request with these lines. */
static char *
signature(const struct aws_dialect *dialect, struct aws_request q, const char *const *lines)
{
	CLEANUP(secret_freep) struct aws_credentials *c = secret_new(sizeof *c);
	CLEANUP(http_headers_fini) struct http_headers headers = {0};

	strcpy(c->access_key, "AKIAIOSFODNN7EXAMPLE");
	strcpy(c->secret_key, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
	for (; *lines != NULL; lines++)
		http_headers_add(&headers, "%s", *lines);
	q.host = "examplebucket.s3.amazonaws.com";
	q.region = "us-east-1";
	q.time = EXAMPLE_TIME;
	aws_sign(dialect, c, &q, &headers);
	return str_copy(headers.lines[headers.n - 1]);
}

static void
test_aws_sign__gives_the_signatures_of_the_examples(void **state)
{
	static const struct {
		struct aws_request q;
		const char *lines[4];
		const char *signed_names, *signature;
	} examples[] = {
		{{.method = "GET", .path = "/test.txt", .query = "", .payload = empty_body},
		 {"Range: bytes=0-9"},
		 "host;range;x-amz-content-sha256;x-amz-date",
		 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{{.method = "PUT",
		  .path = "/test%24file.text",
		  .query = "",
		  .payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
		 {"Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY"},
		 "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{{.method = "GET", .path = "/", .query = "lifecycle=", .payload = empty_body},
		 {NULL},
		 "host;x-amz-content-sha256;x-amz-date",
		 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{{.method = "GET",
		  .path = "/",
		  .query = "max-keys=2&prefix=J",
		  .payload = empty_body},
		 {NULL},
		 "host;x-amz-content-sha256;x-amz-date",
		 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		CLEANUP(freep)
		char *got = signature(&aws_dialect_s3, examples[i].q, examples[i].lines);
		CLEANUP(freep)
		char *expected = str_format(
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
			"us-east-1/s3/aws4_request, SignedHeaders=%s, Signature=%s",
			examples[i].signed_names, examples[i].signature);

		assert_string_equal(got, expected);
	}
}

static void
test_aws_sign__speaks_googles_dialect(void **state)
{
	static const char *const lines[] = {"x-goog-if-generation-match: 0", NULL};
	struct aws_request q = {.method = "PUT",
				.path = "/b/k",
				.query = "",
				.payload = empty_body};
	CLEANUP(freep) char *got = signature(&aws_dialect_gs, q, lines);

	(void)state;
	assert_non_null(strstr(got,
			       "GOOG4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
			       "us-east-1/storage/goog4_request, SignedHeaders=host;"
			       "x-goog-content-sha256;x-goog-date;x-goog-if-generation-match, "));
}

static void
test_seal_hmac_sha256__gives_the_vectors_of_rfc_4231(void **state)
{
	struct hash h;

	(void)state;
	seal_hmac_sha256(slice_str("Jefe"), slice_str("what do ya want for nothing?"), &h);
	assert_string_equal(hex(&h).s,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	seal_sha256("", 0, &h);
	assert_string_equal(hex(&h).s, empty_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aws_sign__gives_the_signatures_of_the_examples),
		cmocka_unit_test(test_aws_sign__speaks_googles_dialect),
		cmocka_unit_test(test_seal_hmac_sha256__gives_the_vectors_of_rfc_4231),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
