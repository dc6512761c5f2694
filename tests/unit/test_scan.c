/*
 * test_scan.c - card numbers: what is one, what isn't, wherever pieces end.
 */
#include "fixture_format.h"

#include "tillfs/scan.h"

/* Numbers that the schemes publish for tests. */
static const char *const cards[] = {
	"4111111111111111", "4012888888881881", "4222222222222",    "5555555555554444",
	"5105105105105100", "2223003122003222", "378282246310005",  "371449635398431",
	"6011111111111117", "30569309025904",   "38520000023237",   "3530111333300000",
	"6250941006528599", "6759649826438453", "2200123456789019",
};

static struct scan_counts
scan_text(const char *text, size_t len)
{
	CLEANUP(scanner_freep) struct scanner *s = scanner_new();
	struct scan_counts ret;

	scanner_feed(s, slice_of(text, len));
	scanner_finish(s, &ret);
	return ret;
}

static void
check_counts(const char *text, uint64_t n_cards, uint64_t n_tracks)
{
	struct scan_counts found = scan_text(text, strlen(text));

	if (found.cards != n_cards || found.tracks != n_tracks)
		print_message("in: %s\n", text);
	assert_int_equal(found.cards, n_cards);
	assert_int_equal(found.tracks, n_tracks);
}

static void
test_scan__published_test_numbers_are_cards(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cards); i++) {
		CLEANUP(freep) char *text = str_format("paid with %s, thanks", cards[i]);
		CLEANUP(freep) char *wrong = str_copy(cards[i]);

		if (!scan_is_card(slice_str(cards[i])))
			print_message("%s\n", cards[i]);
		assert_true(scan_is_card(slice_str(cards[i])));
		check_counts(text, 1, 0);
		/* Any one wrong digit breaks the Luhn check. */
		for (size_t k = 0; wrong[k] != '\0'; k++) {
			char was = wrong[k];

			wrong[k] = was == '9' ? '0' : (char)(was + 1);
			assert_false(scan_is_card(slice_str(wrong)));
			wrong[k] = was;
		}
	}
}

static void
test_scan__groups_as_they_are_printed(void **state)
{
	(void)state;
	check_counts("4111 1111 1111 1111", 1, 0);
	check_counts("4111-1111-1111-1111", 1, 0);
	check_counts("3782 822463 10005", 1, 0);
	check_counts("3056-930902-5904", 1, 0);
	check_counts("4111 1111 1111 1111 12/27", 1, 0);
	check_counts("4111 1111-1111 1111", 0, 0);
	check_counts("41 1111 1111 1111 11", 0, 0);
	check_counts("1234 4111 1111 1111 1111", 0, 0); /* a row of numbers */
}

static void
test_scan__what_only_looks_like_one(void **state)
{
	(void)state;
	check_counts("", 0, 0);
	check_counts("41111111111111111", 0, 0); /* 17 digits: no Visa */
	check_counts("a4111111111111111", 0, 0); /* hexadecimal, or a name */
	check_counts("4111111111111111f", 0, 0);
	check_counts("0.4111111111111111", 0, 0); /* a fraction */
	check_counts("1700000000000000", 0, 0);   /* a time */
	check_counts("1111111111111117", 0, 0);   /* nobody's */
	check_counts("00004111111111111111", 0, 0);
}

static void
test_scan__tracks_of_the_magnetic_stripe(void **state)
{
	(void)state;
	check_counts("%B4111111111111111^DOE/JOHN                 ^27121010000000000000?", 0, 1);
	check_counts(";4111111111111111=27121010000000000000?", 0, 1);
	check_counts("4111111111111111D2712101", 0, 1);  /* as chips give it */
	check_counts(";4111111111111111=2713101", 1, 0); /* no month 13: a number */
	check_counts("%B4111111111111112^DOE/JOHN^2712101", 0, 0);
}

static void
test_scan__several_in_a_row_and_several_texts(void **state)
{
	CLEANUP(scanner_freep) struct scanner *s = scanner_new();
	struct scan_counts found;

	(void)state;
	check_counts("4111111111111111,5555555555554444\n378282246310005\t4012888888881881", 4, 0);
	/* The end of one text and the beginning of the next make no number. */
	scanner_feed(s, slice_str("41111111"));
	scanner_finish(s, &found);
	scanner_feed(s, slice_str("11111111"));
	scanner_finish(s, &found);
	assert_int_equal(found.cards, 0);
}

static void
test_scan__utf16_too(void **state)
{
	const char *text = "nr 4111 1111 1111 1111;";
	char wide[128] = {0};

	(void)state;
	for (size_t odd = 0; odd < 2; odd++) {
		memset(wide, 0, sizeof wide);
		for (size_t i = 0; text[i] != '\0'; i++)
			wide[odd + 2 * i] = text[i];
		assert_int_equal(scan_text(wide, odd + 2 * strlen(text)).cards, 1);
	}
}

/* Wherever the text is cut in two or three, the same is found. */
static void
test_scan__pieces_don_t_matter(void **state)
{
	static const char text[] =
		"x 4111111111111111 y %B5555555555554444^A/B^2712101? z 3782 822463 10005 end";
	size_t len = strlen(text);

	(void)state;
	for (size_t pad = 0; pad < 30; pad++)
		for (size_t cut = 0; cut <= len; cut++) {
			CLEANUP(scanner_freep) struct scanner *s = scanner_new();
			CLEANUP(buf_fini) struct buf b = BUF_INIT;
			struct scan_counts found;

			memset(buf_extend(&b, pad), '.', pad);
			buf_append(&b, text, len);
			memset(buf_extend(&b, 300), '#', 300);
			scanner_feed(s, slice_of(b.p, pad + cut));
			scanner_feed(s, slice_of(b.p + pad + cut, min_u64(5, len - cut)));
			scanner_feed(s, slice_of(b.p + pad + cut + min_u64(5, len - cut),
						 b.len - pad - cut - min_u64(5, len - cut)));
			scanner_finish(s, &found);
			assert_int_equal(found.cards, 2);
			assert_int_equal(found.tracks, 1);
		}
}

/* Random digits are taken for a card about as rarely as issuers and Luhn let expect. */
static void
test_scan__noise_is_mostly_left_alone(void **state)
{
	struct rng rng = {42};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		buf_appendf(&b, "%08u%08u\n", (unsigned)(rng_next(&rng) % 100000000),
			    (unsigned)(rng_next(&rng) % 100000000));
	assert_true(scan_text((const char *)b.p, b.len).cards < 450);
	b.len = 0;
	while (b.len < 1000000)
		buf_append_u64le(&b, rng_next(&rng));
	assert_int_equal(scan_text((const char *)b.p, b.len).cards, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan__published_test_numbers_are_cards),
		cmocka_unit_test(test_scan__groups_as_they_are_printed),
		cmocka_unit_test(test_scan__what_only_looks_like_one),
		cmocka_unit_test(test_scan__tracks_of_the_magnetic_stripe),
		cmocka_unit_test(test_scan__several_in_a_row_and_several_texts),
		cmocka_unit_test(test_scan__utf16_too),
		cmocka_unit_test(test_scan__pieces_don_t_matter),
		cmocka_unit_test(test_scan__noise_is_mostly_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
