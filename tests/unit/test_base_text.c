/*
 * test_base_text.c - UTF-8, JSON, safe names, figures, patterns.
 */
#include "fixture_format.h"

/* ---- UTF-8 ---- */

static void
test_utf8__agrees_with_rfc_3629_on_every_character(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		uint8_t b[4];
		size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		uint32_t got;
		bool surrogate = c >= 0xd800 && c <= 0xdfff;

		for (size_t i = len; i-- > 1;)
			b[i] = (uint8_t)(0x80 | (c >> 6 * (len - 1 - i) & 0x3f));
		b[0] = (uint8_t)(len == 1 ? c : (0xf00u >> len & 0xff) | c >> 6 * (len - 1));
		if (utf8_decode(slice_of(b, len), &got) != (surrogate ? 0 : len) ||
		    (!surrogate && got != c))
			fail_msg("U+%04x", c);
		for (size_t cut = 1; cut < len; cut++)
			assert_false(utf8_valid(slice_of(b, cut)));
	}
}

static void
test_utf8__refuses_each_malformed_form(void **state)
{
	static const char *const refused[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xc3(",
		"\xe2\x82(",
		"ok\xfe",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_false(utf8_valid(slice_str(refused[i])));
	assert_true(utf8_valid(slice_of(NULL, 0)));
	assert_true(utf8_valid(slice_of("a\0b", 3)));
}

/* ---- JSON and names ---- */

static void
check_text(void (*append)(struct buf *, struct slice), struct slice in, const char *expected)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	append(&b, in);
	assert_string_equal(buf_cstr(&b), expected);
}

static void
test_json__strings_are_escaped(void **state)
{
	(void)state;
	check_text(json_append_string, slice_str(""), "\"\"");
	check_text(json_append_string, slice_str("a\"b\\c/\n\r\t"), "\"a\\\"b\\\\c/\\n\\r\\t\"");
	check_text(json_append_string, slice_of("\0\x1f\x7f", 3), "\"\\u0000\\u001f\\u007f\"");
	check_text(json_append_string, slice_str("Käse €"), "\"Käse €\"");
	check_text(json_append_string, slice_str("a\xffz\xe2\x82"),
		   "\"a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void
test_text__names_cannot_play_tricks_on_a_terminal(void **state)
{
	(void)state;
	check_text(text_append_safe, slice_str("Käse\\1"), "Käse\\1");
	check_text(text_append_safe, slice_str("a\x1b[2J"), "a\\x1b[2J");
	check_text(text_append_safe, slice_str("a\\\n"), "a\\x5c\\x0a");
	check_text(text_append_safe, slice_str("k\xff"), "k\\xff");
	check_text(text_append_safe,
		   slice_str("\xc2\x9b"
			     "31m"),
		   "\\xc2\\x9b31m");
	check_text(text_append_safe,
		   slice_str("a\xe2\x80\xae"
			     "txt.exe"),
		   "a\\xe2\\x80\\xaetxt.exe");
	check_text(text_append_safe, slice_of("\0", 1), "\\x00");
}

static void
test_text__figures_are_rounded_and_never_1024(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} known[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1024 * 1024 - 1, "1.0 MiB"},
		{1468006, "1.4 MiB"},
		{UINT64_C(1) << 40, "1.0 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CLEANUP(buf_fini) struct buf b = BUF_INIT;

		text_append_bytes(&b, known[i].bytes);
		assert_string_equal(buf_cstr(&b), known[i].text);
	}
}

/* ---- patterns ---- */

static void
test_glob__known_matches(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} known[] = {
		{"*.db", "pos.db", true},
		{"*.db", "var/lib/pos.db", true}, /* no slash: the last component, at any depth */
		{"*.db", "pos.db/x", false},
		{"pos.db", "var/pos.db", true},
		{"lib", "var/lib/pos.db", false},
		{"*", "a/b", true},
		{"?", "a/b", true},
		{"", "", true},
		{"", "a", false},
		{"var/*.db", "var/pos.db", true}, /* a slash: the whole path */
		{"var/*.db", "x/var/pos.db", false},
		{"var/*.db", "var/lib/pos.db", false},
		{"/var/*.db", "var/pos.db", true},
		{"/pos.db", "pos.db", true},
		{"/pos.db", "var/pos.db", false},
		{"var/*", "/var/x", true},
		{"var/**", "var/lib/pos.db", true},
		{"var/**", "var", false},
		{"var/**", "variable", false},
		{"**/pos.db", "pos.db", true}, /* "**" alone in a component is no folder, too */
		{"**/pos.db", "var/lib/pos.db", true},
		{"**/pos.db", "var/xpos.db", false},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a/**/b", "a/xb", false},
		{"a/**/b", "ab", false},
		{"a**/b", "a/b", true},
		{"a**/b", "axx/yy/b", true},
		{"a**b/c", "ax/yb/c", true},
		{"**/**/x", "x", true},
		{"**", "a/b/c", true},
		{"a?c", "a/c", false},
		{"x/a?c", "x/abc", true},
		{"x/a?c", "x/a/c", false},
		{"[abc]", "b", true},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[^a-c]x", "dx", true},
		{"x/[!a]b", "x//b", false}, /* a bracket never takes a slash */
		{"[]]", "]", true},
		{"[a-]", "-", true},
		{"[!]]", "a", true},
		{"[abc", "[abc", true}, /* not closed: itself */
		{"[", "[", true},
		{"[a", "a", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"\\[a]", "[a]", true},
		{"K\xc3\xa4se", "K\xc3\xa4se", true},
		{"K??se", "K\xc3\xa4se", true}, /* bytes, not characters */
		{"[\x80-\xff]", "\xfe", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (glob_match(known[i].pattern, slice_str(known[i].path)) != known[i].matches)
			fail_msg("\"%s\" and \"%s\"", known[i].pattern, known[i].path);
}

/* The definition, as plainly as it can be said; exponential. */
static bool
plain_match(const char *p, const char *s, bool component_start, bool pattern_start)
{
	if (p[0] == '\0')
		return s[0] == '\0';
	if (p[0] == '*' && p[1] == '*') {
		if (p[2] == '/' && pattern_start && component_start &&
		    plain_match(p + 3, s, true, true))
			return true;
		for (const char *rest = s;; rest++) {
			bool start = rest == s ? component_start : rest[-1] == '/';

			if (plain_match(p + 2, rest, start, false))
				return true;
			if (pattern_start && p[2] == '/' && start &&
			    plain_match(p + 3, rest, true, true))
				return true;
			if (*rest == '\0')
				return false;
		}
	}
	if (p[0] == '*') {
		for (const char *rest = s;; rest++) {
			if (plain_match(p + 1, rest, rest == s ? component_start : false, false))
				return true;
			if (*rest == '\0' || *rest == '/')
				return false;
		}
	}
	if (s[0] == '\0' || (p[0] == '?' ? s[0] == '/' : p[0] != s[0]))
		return false;
	return plain_match(p + 1, s + 1, s[0] == '/', p[0] == '/');
}

static void
random_text(struct rng *rng, const char *letters, size_t max, char *ret)
{
	size_t len = rng_within(rng, 1, max);

	for (size_t i = 0; i < len; i++)
		ret[i] = letters[rng_within(rng, 0, strlen(letters) - 1)];
	ret[len] = '\0';
}

static void
test_glob__agrees_with_its_definition(void **state)
{
	struct rng rng = rng_start("glob");
	unsigned matched = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		char pattern[16], path[16];

		random_text(&rng, "ab/**?", 9, pattern + 2);
		random_text(&rng, "ab/", 9, path + 2);
		memcpy(pattern, "b/",
		       2); /* so that a slash is in it, and neither begins with one */
		memcpy(path, "b/", 2);
		bool expected = plain_match(pattern, path, true, true);

		matched += expected;
		if (glob_match(pattern, slice_str(path)) != expected)
			fail_msg("\"%s\" and \"%s\"", pattern, path);
	}
	assert_in_range(matched, 3000, 290000); /* both answers were tried */
}

static void
test_glob__no_pattern_takes_long(void **state)
{
	CLEANUP(freep) char *path = mem_alloc(100001);
	CLEANUP(freep) char *pattern = mem_alloc(2001);
	uint64_t start = time_monotonic_ms();

	(void)state;
	memset(path, 'a', 100000);
	for (size_t i = 0; i + 2 < 200; i += 2)
		memcpy(pattern + i, "*a", 2);
	strcat(pattern, "b");
	assert_false(glob_match(pattern, slice_str(path)));

	for (size_t i = 0; i + 5 < 200; i += 5)
		memcpy(pattern + i, "**/*a", 5);
	memset(path + 50000, '/', 1);
	assert_false(glob_match(pattern, slice_str(path)));

	memset(pattern, 'a', 2000); /* longer than the matcher's place on the stack */
	assert_false(glob_match(pattern, slice_str(path)));
	assert_true(glob_match(pattern, slice_of(path, 2000)));
	assert_true(time_monotonic_ms() - start < 10000); /* tens of ms; sanitizers are slow */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8__agrees_with_rfc_3629_on_every_character),
		cmocka_unit_test(test_utf8__refuses_each_malformed_form),
		cmocka_unit_test(test_json__strings_are_escaped),
		cmocka_unit_test(test_text__names_cannot_play_tricks_on_a_terminal),
		cmocka_unit_test(test_text__figures_are_rounded_and_never_1024),
		cmocka_unit_test(test_glob__known_matches),
		cmocka_unit_test(test_glob__agrees_with_its_definition),
		cmocka_unit_test(test_glob__no_pattern_takes_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
