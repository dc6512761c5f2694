/*
 * time.c - clocks, dates of the proleptic Gregorian calendar, and their text forms.
 *
 * Source of the day arithmetic: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms":
 * years begin in March, so the leap day is a year's last, and 400 years are 146097 days.
 * Layer 0.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "tillfs/base.h"

#define DAY_SEC 86400

struct civil {
	int64_t year;
	unsigned month, day;
};

uint64_t
time_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
time_monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int64_t
time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t
days_of_civil(struct civil c)
{
	int64_t year = c.year - (c.month <= 2);
	int64_t era = floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year =
		(153 * ((int64_t)c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

static struct civil
civil_of_days(int64_t days)
{
	int64_t since_march_0 = days + 719468;
	int64_t era = floor_div(since_march_0, 146097);
	int64_t day_of_era = since_march_0 - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	struct civil c;

	c.day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	c.month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	c.year = year_of_era + era * 400 + (c.month <= 2);
	return c;
}

/* ---- reading digits */

/* Reads exactly @n digits at *@at and moves on. */
static bool
take_digits(struct slice text, size_t *at, unsigned n, unsigned *ret)
{
	unsigned v = 0;

	if (n > text.len - *at)
		return false;
	for (unsigned i = 0; i < n; i++) {
		uint8_t c = text.p[(*at)++];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	*ret = v;
	return true;
}

static bool
take_char(struct slice text, size_t *at, const char *any_of)
{
	if (*at >= text.len || text.p[*at] == '\0' || strchr(any_of, text.p[*at]) == NULL)
		return false;
	(*at)++;
	return true;
}

static bool
take_date(struct slice text, size_t *at, int64_t *ret_days)
{
	unsigned year, month, day;

	if (!take_digits(text, at, 4, &year) || !take_char(text, at, "-") ||
	    !take_digits(text, at, 2, &month) || !take_char(text, at, "-") ||
	    !take_digits(text, at, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > 31)
		return false;

	/* A day that the month doesn't have comes back as one of the next month. */
	*ret_days = days_of_civil((struct civil){year, month, day});
	return civil_of_days(*ret_days).day == day;
}

static bool
take_clock(struct slice text, size_t *at, const char *separator, int64_t *ret_sec)
{
	unsigned hour, minute, second;

	if (!take_digits(text, at, 2, &hour) || !take_char(text, at, separator) ||
	    !take_digits(text, at, 2, &minute) || !take_char(text, at, separator) ||
	    !take_digits(text, at, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*ret_sec = (int64_t)hour * 3600 + minute * 60 + second;
	return true;
}

/* ---- dates and instants */

struct date_text
date_format(struct date d)
{
	struct civil c = civil_of_days(d.days);
	struct date_text text;

	(void)snprintf(text.s, sizeof(text.s), "%04" PRId64 "-%02u-%02u", c.year, c.month, c.day);
	return text;
}

bool
date_parse(struct slice text, struct date *ret)
{
	size_t at = 0;
	int64_t days;

	*ret = (struct date){0};
	if (!take_date(text, &at, &days) || at != text.len)
		return false;
	ret->days = (int32_t)days;
	return true;
}

static struct time_text
format_instant(int64_t utc_sec, char separator)
{
	unsigned second = (unsigned)((utc_sec % DAY_SEC + DAY_SEC) % DAY_SEC);
	struct civil c = civil_of_days(floor_div(utc_sec, DAY_SEC));
	struct time_text text;

	(void)snprintf(text.s, sizeof(text.s), "%04" PRId64 "-%02u-%02uT%02u%c%02u%c%02uZ", c.year,
		       c.month, c.day, second / 3600, separator, second / 60 % 60, separator,
		       second % 60);
	return text;
}

struct time_text
time_format_key(int64_t utc_sec)
{
	return format_instant(utc_sec, '-');
}

struct time_text
time_format_rfc3339(int64_t utc_sec)
{
	return format_instant(utc_sec, ':');
}

bool
time_parse_key(struct slice text, int64_t *ret)
{
	size_t at = 0;
	int64_t days, second;

	*ret = 0;
	if (!take_date(text, &at, &days) || !take_char(text, &at, "T") ||
	    !take_clock(text, &at, "-", &second) || !take_char(text, &at, "Z") || at != text.len)
		return false;
	*ret = days * DAY_SEC + second;
	return true;
}

/* A fraction of a second is read and dropped: no time of ours is finer. */
static bool
take_fraction(struct slice text, size_t *at)
{
	size_t digits = 0;

	if (!take_char(text, at, "."))
		return true;
	while (take_char(text, at, "0123456789"))
		digits++;
	return digits > 0;
}

static bool
take_offset(struct slice text, size_t *at, int64_t *ret_sec)
{
	unsigned hour, minute;
	bool west;

	*ret_sec = 0;
	if (take_char(text, at, "Zz"))
		return true;

	west = *at < text.len && text.p[*at] == '-';
	if (!take_char(text, at, "+-") || !take_digits(text, at, 2, &hour) ||
	    !take_char(text, at, ":") || !take_digits(text, at, 2, &minute))
		return false;
	if (hour > 23 || minute > 59)
		return false;
	*ret_sec = ((int64_t)hour * 3600 + minute * 60) * (west ? -1 : 1);
	return true;
}

bool
time_parse_rfc3339(struct slice text, int64_t *ret)
{
	size_t at = 0;
	int64_t days, second, offset;

	*ret = 0;
	if (!take_date(text, &at, &days) || !take_char(text, &at, "Tt ") ||
	    !take_clock(text, &at, ":", &second) || !take_fraction(text, &at) ||
	    !take_offset(text, &at, &offset) || at != text.len)
		return false;
	*ret = days * DAY_SEC + second - offset;
	return true;
}

/* ---- business days */

/* glibc takes an unknown zone for UTC without a word, so its file is looked for first. */
static bool
zone_exists(const char *zone)
{
	const char *folder = getenv("TZDIR");
	CLEANUP(freep) char *path = NULL;
	struct stat st;

	if (strcmp(zone, "UTC") == 0)
		return true;
	if (zone[0] == '/' || strstr(zone, "..") != NULL)
		return false;
	for (const char *c = zone; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("_+-/", *c) == NULL)
			return false;

	path = str_format("%s/%s", folder != NULL ? folder : "/usr/share/zoneinfo", zone);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void
local_time(int64_t utc_sec, const char *zone, struct tm *ret)
{
	CLEANUP(freep) char *saved = NULL;
	const char *old = getenv("TZ");
	time_t t = utc_sec;

	if (zone[0] == '\0') {
		tzset();
		if (localtime_r(&t, ret) == NULL)
			(void)gmtime_r(&t, ret);
		return;
	}

	if (old != NULL)
		saved = str_copy(old);
	(void)setenv("TZ", zone, 1);
	tzset();
	if (localtime_r(&t, ret) == NULL)
		(void)gmtime_r(&t, ret);
	if (saved != NULL)
		(void)setenv("TZ", saved, 1);
	else
		(void)unsetenv("TZ");
	tzset();
}

int
time_business_date(int64_t utc_sec, const char *zone, int cutoff_min, struct date *ret,
		   struct err *err)
{
	struct tm tm = {0};
	int64_t days;

	*ret = (struct date){0};
	if (cutoff_min < 0 || cutoff_min >= 24 * 60)
		return err_set(err, ERR_INVALID,
			       "a business day can't start %d minutes after midnight", cutoff_min);
	if (zone[0] != '\0' && !zone_exists(zone))
		return err_set(err, ERR_INVALID,
			       "no time zone \"%s\" on this system; give a name such as "
			       "Europe/Berlin, and install tzdata if that is missing",
			       zone);
	/* Beyond, struct tm or struct date would overflow; no backup is from there. */
	if (utc_sec < -INT64_C(60000000000) || utc_sec > INT64_C(250000000000))
		return err_set(err, ERR_INVALID, "a time %" PRId64 " s from 1970 is out of range",
			       utc_sec);

	local_time(utc_sec, zone, &tm);
	days = days_of_civil((struct civil){(int64_t)tm.tm_year + 1900, (unsigned)tm.tm_mon + 1,
					    (unsigned)tm.tm_mday});
	if (tm.tm_hour * 60 + tm.tm_min < cutoff_min)
		days--;
	ret->days = (int32_t)days;
	return 0;
}
