/*
 * name.c - the escapes that make a file's name of any bytes.
 *
 * %XX, with upper-case digits, stands for a byte.  What begins with % and no such digit says what
 * kind of value follows (key.c).
 */
#include <stdio.h>

#include "internal.h"
#include "tillfs/seal.h"

#define HASH_DIGITS 32u

static const char *const reserved[] = {"_schema.sql", "_source"};

static bool
plain(uint32_t c)
{
	return c >= ' ' && c != 0x7f && c != '/' && c != '%' && c != ',';
}

void
name_escape(struct slice bytes, bool first, struct buf *ret)
{
	for (size_t i = 0; i < bytes.len;) {
		uint32_t c = 0;
		size_t len = utf8_decode(slice_of(bytes.p + i, bytes.len - i), &c);

		if (len > 0 && plain(c) && !(c == '.' && first && i == 0)) {
			buf_append(ret, bytes.p + i, len);
			i += len;
		} else {
			buf_appendf(ret, "%%%02X", bytes.p[i++]);
		}
	}
}

static int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
name_unescape(struct slice text, struct buf *ret)
{
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.p[i] != '%') {
			buf_append_u8(ret, text.p[i]);
			continue;
		}
		if (text.len - i < 3)
			return false;
		high = hex_digit(text.p[i + 1]);
		low = hex_digit(text.p[i + 2]);
		if (high < 0 || low < 0)
			return false;
		buf_append_u8(ret, (uint8_t)(high << 4 | low));
		i += 2;
	}
	return true;
}

void
name_put_hash(struct slice whole, struct buf *ret)
{
	struct hash h;

	seal_hash_purpose("tillfs row name", whole.p, whole.len, &h);
	buf_append_str(ret, "%h");
	buf_append_str(ret, hex_bytes(h.b, HASH_DIGITS / 2).s);
}

bool
name_is_hash(struct slice name)
{
	return name.len == 2 + HASH_DIGITS && memcmp(name.p, "%h", 2) == 0;
}

void
records_name_of_table(struct slice table, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf name = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
		if (slice_equal(table, slice_str(reserved[i]))) {
			buf_appendf(ret, "%%5F%s", reserved[i] + 1);
			return;
		}
	}
	name_escape(table, true, &name);
	if (name.len == 0)
		buf_append_str(ret, "%t");
	else if (name.len > RECORDS_NAME_MAX)
		name_put_hash(table, ret);
	else
		buf_append(ret, name.p, name.len);
}
