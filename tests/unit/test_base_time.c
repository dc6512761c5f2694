/*
 * test_base_time.c - dates, instants, business days.
 */
#include "fixture_format.h"

#include <time.h>
#include <unistd.h>

static void
test_date__every_day_agrees_with_the_c_library(void **state)
{
	(void)state;
	for (int32_t days = -800000; days <= 2900000; days += 7) { /* years -221 to 9909 */
		time_t t = (time_t)days * 86400;
		struct tm tm;
		char expected[80];

		assert_non_null(gmtime_r(&t, &tm));
		(void)snprintf(expected, sizeof expected, "%04d-%02d-%02d", tm.tm_year + 1900,
			       tm.tm_mon + 1, tm.tm_mday);
		assert_string_equal(date_format((struct date){days}).s, expected);
		if (tm.tm_year + 1900 < 0)
			continue;

		struct date back;

		assert_true(date_parse(slice_str(expected), &back));
		assert_int_equal(back.days, days);
	}
}

static void
test_date__refuses_what_is_no_day(void **state)
{
	static const char *const refused[] = {
		"",           "2026-11-2",  "2026-11-200", "2026-11-20 ", " 2026-11-20",
		"2026-02-29", "2026-04-31", "2026-13-01",  "2026-00-10",  "2026-01-00",
		"2026/11/20", "20261120",   "+026-11-20",  "2026-1a-20",  "1900-02-29",
		"-026-01-01", "2026-11-",   "99999-01-01",
	};
	struct date d = {1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (date_parse(slice_str(refused[i]), &d))
			fail_msg("\"%s\" is a day", refused[i]);
		assert_int_equal(d.days, 0);
	}
	assert_true(date_parse(slice_str("2024-02-29"), &d));
	assert_true(date_parse(slice_str("2000-02-29"), &d));
	assert_true(date_parse(slice_str("0000-01-01"), &d));
	assert_true(date_parse(slice_str("1970-01-01"), &d));
	assert_int_equal(d.days, 0);
}

static void
test_date__the_farthest_days_have_a_form(void **state)
{
	(void)state;
	assert_string_equal(date_format((struct date){INT32_MAX}).s, "5881580-07-11");
	assert_string_equal(date_format((struct date){INT32_MIN}).s, "-5877641-06-23");
	assert_non_null(strstr(time_format_key(INT64_MAX).s, "292277026596-12-04T15-30-07Z"));
	assert_non_null(strstr(time_format_key(INT64_MIN).s, "-01-27T08-29-52Z"));
}

static void
test_time__keys_come_back(void **state)
{
	static const int64_t instants[] = {0,          -1,           951827696,
					   1795043029, 253402300799, -62167219200};
	int64_t back;

	(void)state;
	assert_string_equal(time_format_key(1795130585).s, "2026-11-19T23-23-05Z");
	assert_string_equal(time_format_rfc3339(1795130585).s, "2026-11-19T23:23:05Z");
	for (size_t i = 0; i < ARRAY_LEN(instants); i++) {
		assert_true(time_parse_key(slice_str(time_format_key(instants[i]).s), &back));
		assert_int_equal(back, instants[i]);
		assert_true(
			time_parse_rfc3339(slice_str(time_format_rfc3339(instants[i]).s), &back));
		assert_int_equal(back, instants[i]);
	}
}

static void
test_time__keys_have_one_spelling(void **state)
{
	static const char *const refused[] = {
		"",
		"2026-11-20T23:00:05Z",
		"2026-11-20t23-00-05Z",
		"2026-11-20T23-00-05z",
		"2026-11-20T23-00-05",
		"2026-11-20T24-00-00Z",
		"2026-11-20T23-60-00Z",
		"2026-11-20T23-00-60Z",
		"2026-02-30T23-00-05Z",
		"2026-11-20T23-00-05Zx",
		"2026-11-20T23-00-05.0Z",
	};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (time_parse_key(slice_str(refused[i]), &t))
			fail_msg("\"%s\" is a key's time", refused[i]);
	assert_false(time_parse_key(slice_of("2026-11-20T23-00-05\0", 20), &t));
}

static void
test_time__rfc3339_has_offsets_and_fractions(void **state)
{
	static const char *const same[] = {
		"2026-11-20T23:00:05Z",      "2026-11-20t23:00:05z",
		"2026-11-20 23:00:05Z",      "2026-11-21T00:00:05+01:00",
		"2026-11-20T13:15:05-09:45", "2026-11-20T23:00:05.999Z",
		"2026-11-20T23:00:05-00:00",
	};
	static const char *const refused[] = {
		"",
		"2026-11-20",
		"2026-11-20T23:00:05",
		"2026-11-20T23:00Z",
		"2026-11-20T23:00:05.Z",
		"2026-11-20T23:00:05+0100",
		"2026-11-20T23:00:05+24:00",
		"2026-11-20T23:00:05+01:60",
		"2026-11-20T23:00:05+01:00x",
		"2026-11-20T23:00:05 Z",
	};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		if (!time_parse_rfc3339(slice_str(same[i]), &t) || t != 1795215605)
			fail_msg("%s: %lld", same[i], (long long)t);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (time_parse_rfc3339(slice_str(refused[i]), &t))
			fail_msg("\"%s\" is a time", refused[i]);
}

/* ---- business days ---- */

static void
check_business_date(const char *instant, const char *zone, int cutoff_min, const char *expected)
{
	struct err err = ERR_INIT;
	struct date d;
	int64_t t;

	assert_true(time_parse_rfc3339(slice_str(instant), &t));
	CHECK_OK(time_business_date(t, zone, cutoff_min, &d, &err), &err);
	if (strcmp(date_format(d).s, expected) != 0)
		fail_msg("%s in %s: %s", instant, zone, date_format(d).s);
}

static void
test_business_date__starts_at_the_cutoff_of_local_time(void **state)
{
	(void)state;
	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
		skip(); /* no tzdata on this machine */
	check_business_date("2026-11-20T22:59:59Z", "Europe/Berlin", 0, "2026-11-20");
	check_business_date("2026-11-20T23:00:00Z", "Europe/Berlin", 0, "2026-11-21");
	check_business_date("2026-11-21T02:59:59Z", "Europe/Berlin", 240, "2026-11-20");
	check_business_date("2026-11-21T03:00:00Z", "Europe/Berlin", 240, "2026-11-21");
	check_business_date("2026-07-21T01:59:59Z", "Europe/Berlin", 240, "2026-07-20");
	check_business_date("2026-07-21T02:00:00Z", "Europe/Berlin", 240, "2026-07-21");
	/* Of the hour that clocks repeat on this day, the first 02:15 and the first 02:45. */
	check_business_date("2026-10-25T00:15:00Z", "Europe/Berlin", 150, "2026-10-24");
	check_business_date("2026-10-25T00:45:00Z", "Europe/Berlin", 150, "2026-10-25");
	check_business_date("2026-11-20T10:00:00Z", "Pacific/Kiritimati", 0, "2026-11-21");
	check_business_date("2026-11-20T23:59:59Z", "UTC", 0, "2026-11-20");
	check_business_date("1901-01-01T00:00:00Z", "UTC", 1, "1900-12-31");
}

static void
test_business_date__leaves_the_zone_of_the_process(void **state)
{
	(void)state;
	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
		skip(); /* no tzdata on this machine */
	assert_int_equal(setenv("TZ", "America/New_York", 1), 0);
	check_business_date("2026-11-20T23:30:00Z", "Europe/Berlin", 0, "2026-11-21");
	assert_string_equal(getenv("TZ"), "America/New_York");
	check_business_date("2026-11-21T03:00:00Z", "", 0, "2026-11-20");
	assert_int_equal(unsetenv("TZ"), 0);
	check_business_date("2026-11-20T23:30:00Z", "Europe/Berlin", 0, "2026-11-21");
	assert_null(getenv("TZ"));
}

static void
test_business_date__refuses_what_makes_no_sense(void **state)
{
	static const char *const zones[] = {"Europe/Nowhere",  "/etc/passwd", "../../etc/passwd",
					    "Europe",          "UTC+3",       "Europe/Berlin\n",
					    "CET-1CEST,M3.5.0"};
	struct err err = ERR_INIT;
	struct date d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		CHECK_REFUSED(time_business_date(0, zones[i], 0, &d, &err), ERR_INVALID, &err,
			      "no time zone");
	CHECK_REFUSED(time_business_date(0, "", -1, &d, &err), ERR_INVALID, &err, "-1 minutes");
	CHECK_REFUSED(time_business_date(0, "", 1440, &d, &err), ERR_INVALID, &err, "1440");
	CHECK_REFUSED(time_business_date(INT64_MAX, "UTC", 0, &d, &err), ERR_INVALID, &err,
		      "out of range");
	CHECK_REFUSED(time_business_date(INT64_MIN, "UTC", 0, &d, &err), ERR_INVALID, &err,
		      "out of range");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_date__every_day_agrees_with_the_c_library),
		cmocka_unit_test(test_date__refuses_what_is_no_day),
		cmocka_unit_test(test_date__the_farthest_days_have_a_form),
		cmocka_unit_test(test_time__keys_come_back),
		cmocka_unit_test(test_time__keys_have_one_spelling),
		cmocka_unit_test(test_time__rfc3339_has_offsets_and_fractions),
		cmocka_unit_test(test_business_date__starts_at_the_cutoff_of_local_time),
		cmocka_unit_test(test_business_date__leaves_the_zone_of_the_process),
		cmocka_unit_test(test_business_date__refuses_what_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
