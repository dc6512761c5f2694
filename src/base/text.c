/*
 * text.c - text for people and for JSON, from bytes that may be anything.
 *
 * Layer 0.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tillfs/base.h"

/* Unicode 15, table 3-7: what the second byte may be after each first byte. */
size_t
utf8_decode(struct slice s, uint32_t *ret)
{
	uint8_t first, low = 0x80, high = 0xbf;
	uint32_t c;
	size_t len;

	*ret = 0;
	if (s.len == 0)
		return 0;
	first = s.p[0];
	if (first < 0x80) {
		*ret = first;
		return 1;
	}
	if (first < 0xc2 || first > 0xf4)
		return 0;
	len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (first == 0xed)
		high = 0x9f; /* surrogates */
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */

	if (s.len < len || s.p[1] < low || s.p[1] > high)
		return 0;
	c = first & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3fu);
	}
	*ret = c;
	return len;
}

bool
utf8_valid(struct slice s)
{
	uint32_t c;

	for (size_t at = 0; at < s.len;) {
		size_t n = utf8_decode(slice_of(s.p + at, s.len - at), &c);

		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

static void
json_append_ascii(struct buf *b, uint8_t c)
{
	switch (c) {
	case '"':
		buf_append_str(b, "\\\"");
		return;
	case '\\':
		buf_append_str(b, "\\\\");
		return;
	case '\n':
		buf_append_str(b, "\\n");
		return;
	case '\r':
		buf_append_str(b, "\\r");
		return;
	case '\t':
		buf_append_str(b, "\\t");
		return;
	default:
		if (c < 0x20 || c == 0x7f)
			buf_appendf(b, "\\u%04x", c);
		else
			buf_append_u8(b, c);
	}
}

void
json_append_string(struct buf *b, struct slice s)
{
	buf_append_u8(b, '"');
	for (size_t at = 0; at < s.len;) {
		uint32_t c;
		size_t n = utf8_decode(slice_of(s.p + at, s.len - at), &c);

		if (n == 0)
			buf_append_str(b, "\xef\xbf\xbd");
		else if (n == 1)
			json_append_ascii(b, s.p[at]);
		else
			buf_append(b, s.p + at, n);
		at += n != 0 ? n : 1;
	}
	buf_append_u8(b, '"');
}

/* False for what moves the cursor, ends the line or turns the direction of writing. */
static bool
is_printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	if (c == 0x200e || c == 0x200f || c == 0xfeff)
		return false;
	return !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

static bool
all_printable(struct slice s)
{
	for (size_t at = 0; at < s.len;) {
		uint32_t c;
		size_t n = utf8_decode(slice_of(s.p + at, s.len - at), &c);

		if (n == 0 || !is_printable(c))
			return false;
		at += n;
	}
	return true;
}

void
text_append_safe(struct buf *b, struct slice s)
{
	if (all_printable(s)) {
		buf_append(b, s.p, s.len);
		return;
	}

	/* Once anything is escaped the backslash is too, so the text has one reading. */
	for (size_t at = 0; at < s.len;) {
		uint32_t c;
		size_t n = utf8_decode(slice_of(s.p + at, s.len - at), &c);
		size_t step = n != 0 ? n : 1;

		if (n != 0 && is_printable(c) && c != '\\')
			buf_append(b, s.p + at, n);
		else
			for (size_t i = 0; i < step; i++)
				buf_appendf(b, "\\x%02x", s.p[at + i]);
		at += step;
	}
}

void
text_append_bytes(struct buf *b, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double figure = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		buf_appendf(b, "%" PRIu64 " B", bytes);
		return;
	}

	/* 1023.95 would be rounded to 1024.0 of the smaller unit. */
	for (figure /= 1024; figure >= 1023.95 && unit + 1 < ARRAY_LEN(units); figure /= 1024)
		unit++;
	buf_appendf(b, "%.1f %s", figure, units[unit]);
}

void
csv_append_string(struct buf *b, struct slice s)
{
	bool plain = s.len > 0;

	for (size_t i = 0; i < s.len && plain; i++)
		plain = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\'' &&
			s.p[i] != ',';
	if (plain) {
		buf_append(b, s.p, s.len);
		return;
	}
	buf_append_u8(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			buf_append_u8(b, '"');
		buf_append_u8(b, s.p[i]);
	}
	buf_append_u8(b, '"');
}
