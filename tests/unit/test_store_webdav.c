/*
 * test_store_webdav.c - what a WebDAV server's answers may say, and what is believed of it.
 */
#include "fixture_folder.h"

#include "store/folders.h"
#include "store/webdav.h"

#define HEAD "<?xml version=\"1.0\"?>\n<D:multistatus xmlns:D=\"DAV:\">"
#define TAIL "</D:multistatus>"
#define THING(href, props)                                                                         \
	"<D:response><D:href>" href "</D:href><D:propstat><D:prop>" props                          \
	"</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
#define FOLDER    "<D:resourcetype><D:collection/></D:resourcetype>"
#define LENGTH(n) "<D:resourcetype/><D:getcontentlength>" n "</D:getcontentlength>"

/* "name:size " or "name/ " of each. */
static int
names_of(const char *xml, const char *path, struct buf *ret, struct err *err)
{
	struct folder_names names = {0};
	int r = webdav_parse(slice_str(xml), path, &names, NULL, err);

	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.all[i].text;

		buf_append_str(ret, name);
		if (name[strlen(name) - 1] != '/')
			buf_appendf(ret, ":%llu", (unsigned long long)names.all[i].size);
		buf_append_str(ret, " ");
	}
	folder_names_fini(&names);
	return r;
}

static void
test_webdav__names_in_every_spelling(void **state)
{
	static const struct {
		const char *path, *xml, *names;
	} cases[] = {
		{"/dav/a b/", HEAD THING("/dav/a%20b/", FOLDER) TAIL, ""},
		{"/dav/a b/",
		 HEAD THING("/dav/a%20b/", FOLDER) THING("/dav/a%20b/x", LENGTH("17"))
			 THING("/dav/a%20b/sub/", FOLDER) TAIL,
		 "x:17 sub/ "},
		/* a folder without a slash; a whole URL; needless and missing escapes; another
		   order */
		{"/d/",
		 HEAD THING("/d/s", FOLDER) THING("http://h:1/d/%78", LENGTH("0"))
			 THING("/d", FOLDER) THING("https://h/d/a b", LENGTH("5")) TAIL,
		 "s/ x:0 a b:5 "},
		{"/", HEAD THING("/", FOLDER) THING("/x", LENGTH("1")) TAIL, "x:1 "},
		{"/", HEAD THING("http://h", FOLDER) THING("http://h/x", LENGTH("1")) TAIL, "x:1 "},
		{"/d/", HEAD THING("/d/", FOLDER) THING("/d/%C3%A4%23%3F", LENGTH("1")) TAIL,
		 "\xc3\xa4#?:1 "},
		/* what can't be part of a key isn't one of ours */
		{"/d/",
		 HEAD THING("/d/", FOLDER) THING("/d/a%2Fb", LENGTH("1"))
			 THING("/d/sub/deeper", LENGTH("1")) THING("/d/..", FOLDER)
				 THING("/d/%FF", LENGTH("1")) TAIL,
		 ""},
		/* properties that it hasn't, in a part of their own */
		{"/d/",
		 HEAD THING("/d/", FOLDER) "<D:response><D:href>/d/x</D:href><D:propstat><D:prop>"
					   "<D:getcontentlength>9</D:getcontentlength></D:prop></"
					   "D:propstat><D:propstat><D:prop>"
					   "<D:resourcetype/><D:getcontentlength/></D:prop></"
					   "D:propstat></D:response>" TAIL,
		 "x:9 "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf names = BUF_INIT;
		struct err err = ERR_INIT;

		CHECK_OK(names_of(cases[i].xml, cases[i].path, &names, &err), &err);
		assert_string_equal(buf_cstr(&names), cases[i].names);
	}
}

static void
test_webdav__answers_that_are_not_believed(void **state)
{
	static const struct {
		const char *xml;
		int code;
	} refused[] = {
		{"", ERR_CORRUPT},
		{"<html><body>Welcome</body></html>", ERR_NOENT},
		{HEAD, ERR_CORRUPT},
		{HEAD TAIL, ERR_NOENT},
		{HEAD THING("/d/x", LENGTH("1")) TAIL, ERR_NOENT}, /* not a word of the folder */
		{HEAD THING("/d/", FOLDER) THING("/elsewhere", LENGTH("1")) TAIL, ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/dd", LENGTH("1")) TAIL, ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/d/%", LENGTH("1")) TAIL, ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/d/%00x", LENGTH("1")) TAIL, ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/d/x", LENGTH("-1")) TAIL, ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/d/x", LENGTH("1x")) TAIL, ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/d/x", LENGTH("9223372036854775808")) TAIL,
		 ERR_CORRUPT},
		{HEAD THING("/d/", FOLDER) THING("/d/x", "<D:resourcetype/>") TAIL,
		 ERR_UNSUPPORTED},
		{HEAD "<D:response><D:propstat/></D:response>" TAIL, ERR_CORRUPT},
		{"<!DOCTYPE a [<!ENTITY e \"x\">]>" HEAD THING("/d/", FOLDER) TAIL, ERR_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		CLEANUP(buf_fini) struct buf names = BUF_INIT;
		struct err err = ERR_INIT;
		int r = names_of(refused[i].xml, "/d/", &names, &err);

		if (r != refused[i].code)
			fail_msg("%s: %d (%s)", refused[i].xml, r, err.msg);
	}
}

static void
test_webdav__one_thing(void **state)
{
	struct webdav_thing thing = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(webdav_parse(slice_str(HEAD THING("/d/x", LENGTH("7")) TAIL), "/d/x", NULL, &thing,
			      &err),
		 &err);
	assert_false(thing.is_folder);
	assert_int_equal(thing.size, 7);
	CHECK_OK(webdav_parse(slice_str(HEAD THING("/d/x/", FOLDER) TAIL), "/d/x", NULL, &thing,
			      &err),
		 &err);
	assert_true(thing.is_folder);
	CHECK_REFUSED(webdav_parse(slice_str(HEAD THING("/d/x/", FOLDER)
						     THING("/d/x/y", LENGTH("7")) TAIL),
				   "/d/x", NULL, &thing, &err),
		      ERR_CORRUPT, &err, "/d/x/y");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_webdav__names_in_every_spelling),
		cmocka_unit_test(test_webdav__answers_that_are_not_believed),
		cmocka_unit_test(test_webdav__one_thing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
