/*
 * write.c - appending CBOR items in their shortest form.
 *
 * Layer 1.  Format: RFC 8949 section 4.2.1.
 */
#include <cbor/encoding.h>

#include "tillfs/cbor.h"

#define HEAD_MAX 9u /* a byte and a 64-bit length */

/* Room for a head behind what is there. */
static uint8_t *
head_room(struct buf *b)
{
	buf_reserve(b, HEAD_MAX);
	return b->p + b->len;
}

void
cbor_put_uint(struct buf *b, uint64_t v)
{
	b->len += cbor_encode_uint(v, head_room(b), HEAD_MAX);
}

void
cbor_put_int(struct buf *b, int64_t v)
{
	if (v >= 0)
		cbor_put_uint(b, (uint64_t)v);
	else
		b->len += cbor_encode_negint(~(uint64_t)v, head_room(b), HEAD_MAX);
}

void
cbor_put_bool(struct buf *b, bool v)
{
	b->len += cbor_encode_bool(v, head_room(b), HEAD_MAX);
}

void
cbor_put_bytes(struct buf *b, const void *p, size_t len)
{
	b->len += cbor_encode_bytestring_start(len, head_room(b), HEAD_MAX);
	buf_append(b, p, len);
}

void
cbor_put_text(struct buf *b, const char *s)
{
	size_t len = strlen(s);

	b->len += cbor_encode_string_start(len, head_room(b), HEAD_MAX);
	buf_append(b, s, len);
}

void
cbor_put_array(struct buf *b, size_t n)
{
	b->len += cbor_encode_array_start(n, head_room(b), HEAD_MAX);
}

void
cbor_put_map(struct buf *b, size_t n)
{
	b->len += cbor_encode_map_start(n, head_room(b), HEAD_MAX);
}
