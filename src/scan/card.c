/*
 * card.c - what a card's number looks like.
 *
 * Layer 4.  Source: ISO/IEC 7812-1 (numbers, Luhn), ISO/IEC 7813 (tracks), the issuers' published
 * ranges.
 */
#include "scan/internal.h"

#define DIGITS_MIN 13u
#define DIGITS_MAX 19u
#define NAME_MAX_1 26u /* of track 1 */

/* A range of first digits, all of the same number, and the lengths that go with it. */
static const struct issuer {
	unsigned first, last, digits, min, max;
} issuers[] = {
	{4, 4, 1, 13, 13},       {4, 4, 1, 16, 16},       {4, 4, 1, 19, 19}, /* Visa */
	{51, 55, 2, 16, 16},     {2221, 2720, 4, 16, 16},                    /* Mastercard */
	{34, 34, 2, 15, 15},     {37, 37, 2, 15, 15},                        /* American Express */
	{6011, 6011, 4, 16, 19}, {644, 649, 3, 16, 19},   {65, 65, 2, 16, 19}, /* Discover */
	{300, 305, 3, 14, 14},   {36, 36, 2, 14, 19},     {38, 39, 2, 14, 19}, /* Diners Club */
	{3528, 3589, 4, 16, 19},                                               /* JCB */
	{62, 62, 2, 16, 19},                                                   /* UnionPay */
	{5018, 5018, 4, 13, 19}, {5020, 5020, 4, 13, 19}, {5038, 5038, 4, 13, 19},
	{5893, 5893, 4, 13, 19}, {6304, 6304, 4, 13, 19}, {6759, 6759, 4, 13, 19},
	{6761, 6763, 4, 13, 19},                                               /* Maestro */
	{2200, 2204, 4, 16, 19},                                               /* Mir */
	{9792, 9792, 4, 16, 16},                                               /* Troy */
	{508, 508, 3, 16, 16},   {60, 60, 2, 16, 16},     {81, 82, 2, 16, 16}, /* RuPay */
};

static unsigned
leading(struct slice digits, unsigned n)
{
	unsigned v = 0;

	for (unsigned i = 0; i < n; i++)
		v = 10 * v + (digits.p[i] - '0');
	return v;
}

static bool
has_issuer(struct slice digits)
{
	for (size_t i = 0; i < ARRAY_LEN(issuers); i++) {
		unsigned v = leading(digits, issuers[i].digits);

		if (v >= issuers[i].first && v <= issuers[i].last && digits.len >= issuers[i].min &&
		    digits.len <= issuers[i].max)
			return true;
	}
	return false;
}

static bool
satisfies_luhn(struct slice digits)
{
	unsigned sum = 0;

	for (size_t i = 0; i < digits.len; i++) {
		unsigned d = digits.p[digits.len - 1 - i] - '0';

		if (i % 2 == 1)
			d = d > 4 ? 2 * d - 9 : 2 * d;
		sum += d;
	}
	return sum % 10 == 0;
}

bool
scan_is_card(struct slice digits)
{
	if (digits.len < DIGITS_MIN || digits.len > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < digits.len; i++)
		if (!is_digit(digits.p[i]))
			return false;
	return has_issuer(digits) && satisfies_luhn(digits);
}

/* ---- where one begins and ends ---- */

static bool
is_alnum(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static uint8_t
char_at(struct slice t, size_t i)
{
	return i < t.len ? t.p[i] : 0;
}

static size_t
digits_from(struct slice t, size_t at)
{
	size_t n = 0;

	while (is_digit(char_at(t, at + n)))
		n++;
	return n;
}

/* YYMM, and a service code of three digits. */
static bool
is_expiry(struct slice t, size_t at)
{
	unsigned month;

	if (digits_from(t, at) < 7)
		return false;
	month = 10u * (t.p[at + 2] - '0') + (t.p[at + 3] - '0');
	return month >= 1 && month <= 12;
}

/* Behind the number: =YYMM… (track 2), or ^NAME^YYMM… (track 1). */
static bool
is_track_tail(struct slice t, size_t at)
{
	size_t name = 0;

	if (char_at(t, at) == '=' || char_at(t, at) == 'D')
		return is_expiry(t, at + 1);
	if (char_at(t, at) != '^')
		return false;
	while (name <= NAME_MAX_1 && char_at(t, at + 1 + name) >= ' ' &&
	       char_at(t, at + 1 + name) != '^')
		name++;
	return char_at(t, at + 1 + name) == '^' && is_expiry(t, at + 2 + name);
}

static bool
begins_cleanly(struct slice t, size_t at)
{
	uint8_t before = at > 0 ? t.p[at - 1] : 0;
	uint8_t earlier = at > 1 ? t.p[at - 2] : 0;

	if (before == 'B' && earlier == '%')
		return true;
	if (is_alnum(before) || before == '.')
		return false;
	/* In a row of numbers each looks like a group of the next. */
	return !((before == ' ' || before == '-') && is_digit(earlier));
}

/* ---- groups ---- */

static const struct pattern {
	size_t n, len[5];
} patterns[] = {
	{5, {4, 4, 4, 4, 3}}, {4, {4, 4, 4, 4}}, {4, {4, 4, 4, 1}}, {3, {4, 6, 5}}, {3, {4, 6, 4}},
};

static bool
matches(struct slice t, size_t at, const struct pattern *p, uint8_t ret[DIGITS_MAX],
	size_t *ret_end)
{
	uint8_t separator = char_at(t, at + 4);
	size_t n = 0;

	for (size_t g = 0; g < p->n; g++) {
		if (g > 0 && char_at(t, at++) != separator)
			return false;
		if (digits_from(t, at) != p->len[g])
			return false;
		memcpy(ret + n, t.p + at, p->len[g]);
		n += p->len[g];
		at += p->len[g];
	}
	*ret_end = at;
	return !is_alnum(char_at(t, at)) && scan_is_card(slice_of(ret, n));
}

static enum scan_found
grouped(struct slice t, size_t at, size_t *ret_end)
{
	uint8_t digits[DIGITS_MAX], separator = char_at(t, at + 4);
	enum scan_found found = FOUND_NOTHING;

	for (size_t i = 0; i < ARRAY_LEN(patterns) && found == FOUND_NOTHING &&
			   (separator == ' ' || separator == '-');
	     i++)
		if (matches(t, at, &patterns[i], digits, ret_end))
			found = FOUND_CARD;
	explicit_bzero(digits, sizeof digits);
	return found;
}

enum scan_found
scan_at(struct slice t, size_t at, size_t *ret_end)
{
	size_t n = digits_from(t, at);
	bool track;

	*ret_end = at + n;
	if (!begins_cleanly(t, at))
		return FOUND_NOTHING;
	if (n == 4)
		return grouped(t, at, ret_end);
	track = is_track_tail(t, at + n);
	if ((!track && is_alnum(char_at(t, at + n))) || !scan_is_card(slice_of(t.p + at, n)))
		return FOUND_NOTHING;
	return track ? FOUND_TRACK : FOUND_CARD;
}
