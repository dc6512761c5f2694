/*
 * base64.c - RFC 4648 section 4, in constant time: key files hold secrets in it.
 *
 * Layer 1.
 */
#include <sodium.h>

#include "tillfs/seal.h"

void
seal_base64_append(struct buf *b, struct slice bytes)
{
	size_t room = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);

	/* libsodium ends the text with a NUL, which isn't part of it. */
	buf_reserve(b, room);
	(void)sodium_bin2base64((char *)b->p + b->len, room, bytes.p, bytes.len,
				sodium_base64_VARIANT_ORIGINAL);
	b->len += room - 1;
}

bool
seal_base64_parse(struct slice text, struct buf *ret)
{
	const char *start = (const char *)text.p;
	const char *end = start;
	size_t len = 0;

	buf_reset(ret);
	if (text.len == 0)
		return true;

	buf_reserve(ret, text.len);
	if (sodium_base642bin(ret->p, ret->cap, start, text.len, NULL, &len, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != start + text.len)
		return false;
	ret->len = len;
	return true;
}
