/*
 * test_url.c - URLs of stores, and percent-encoding.
 */
#include "fixture_folder.h"

#include "store/url.h"

static void
test_url__is_taken_apart(void **state)
{
	CLEANUP(url_fini) struct url u = {0};
	CLEANUP(buf_fini) struct buf shown = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(url_parse("s3://us%65r:p%40ss@w@host:99//a%20b/c/?x=1&y=a%26b&&z", &u, &err),
		 &err);
	assert_string_equal(u.scheme, "s3");
	assert_string_equal(u.user, "user");
	assert_string_equal(u.password, "p@ss@w");
	assert_string_equal(u.host, "host:99");
	assert_string_equal(u.path, "a b/c");
	assert_int_equal(u.n_params, 3);
	assert_string_equal(url_param(&u, "x"), "1");
	assert_string_equal(url_param(&u, "y"), "a&b");
	assert_string_equal(url_param(&u, "z"), "");
	assert_null(url_param(&u, "w"));
	url_append_public(&u, &shown);
	assert_string_equal(buf_cstr(&shown), "s3://host:99/a%20b/c");
}

static void
test_url__parts_may_be_missing(void **state)
{
	CLEANUP(url_fini) struct url u = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(url_parse("s3://bucket", &u, &err), &err);
	assert_string_equal(u.host, "bucket");
	assert_string_equal(u.path, "");
	assert_null(u.user);
	assert_null(u.password);
	url_fini(&u);
	CHECK_OK(url_parse("x://?a=/b", &u, &err), &err);
	assert_string_equal(u.host, "");
	assert_string_equal(url_param(&u, "a"), "/b");
}

static void
test_url__broken_ones_are_refused(void **state)
{
	static const char *const broken[] = {
		"",
		"s3",
		"://x",
		"s3:/x",
		"s3://b/%",
		"s3://b/%1",
		"s3://b/%zz",
		"s3://b/%00",
		"s3://b?%x",
		"s3://%@",
		"s3://a b/",
		"s3://a\x01/",
		"s3://b?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q",
	};
	struct url u = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct err err = ERR_INIT;

		CHECK_REFUSED(url_parse(broken[i], &u, &err), ERR_INVALID, &err, "URL");
		assert_null(u.scheme);
	}
}

static void
test_url__unknown_parameters_are_named(void **state)
{
	static const char *const known[] = {"a", "b", NULL};
	CLEANUP(url_fini) struct url u = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(url_parse("s3://x?b=1&a=2", &u, &err), &err);
	CHECK_OK(url_check_params(&u, known, &err), &err);
	url_fini(&u);
	CHECK_OK(url_parse("s3://x?b=1&typo=2", &u, &err), &err);
	CHECK_REFUSED(url_check_params(&u, known, &err), ERR_INVALID, &err, "\"typo\"");
}

static void
test_url__every_byte_survives_encoding(void **state)
{
	CLEANUP(buf_fini) struct buf all = BUF_INIT;
	CLEANUP(buf_fini) struct buf encoded = BUF_INIT;
	CLEANUP(freep) char *back = NULL;

	(void)state;
	for (unsigned c = 1; c < 256; c++)
		buf_append_u8(&all, (uint8_t)c);
	url_encode(&encoded, buf_slice(&all), "/");
	assert_non_null(strstr(buf_cstr(&encoded), "%20%21"));
	assert_non_null(strstr(buf_cstr(&encoded), "%2B%2C-./0"));
	assert_non_null(strstr(buf_cstr(&encoded), "z%7B%7C%7D~%7F%80"));
	back = url_decode(buf_slice(&encoded));
	assert_string_equal(back, buf_cstr(&all));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url__is_taken_apart),
		cmocka_unit_test(test_url__parts_may_be_missing),
		cmocka_unit_test(test_url__broken_ones_are_refused),
		cmocka_unit_test(test_url__unknown_parameters_are_named),
		cmocka_unit_test(test_url__every_byte_survives_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
