/*
 * hex.c - hexadecimal text, lower-case only: a key of the store has one spelling.
 *
 * Layer 0.
 */
#include "tillfs/base.h"

struct hex64
hex_bytes(const void *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;
	struct hex64 text = {0};

	for (size_t i = 0; i < len && i < 32; i++) {
		text.s[2 * i] = digits[b[i] >> 4];
		text.s[2 * i + 1] = digits[b[i] & 15];
	}
	return text;
}

struct hex64
hex(const struct hash *h)
{
	return hex_bytes(h->b, sizeof(h->b));
}

struct hex64
hex_short(const struct hash *h)
{
	return hex_bytes(h->b, 6);
}

static int
digit_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool
hex_parse(struct slice text, void *ret, size_t len)
{
	uint8_t *out = ret;

	memset(ret, 0, len);
	if (text.len / 2 != len || text.len % 2 != 0)
		return false;

	for (size_t i = 0; i < len; i++) {
		int high = digit_value(text.p[2 * i]);
		int low = digit_value(text.p[2 * i + 1]);

		if (high < 0 || low < 0) {
			memset(ret, 0, len);
			return false;
		}
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
