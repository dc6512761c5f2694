/*
 * put.c - writing deterministic CBOR.
 *
 * Layer 1.
 */
#include <cbor/encoding.h>

#include "tillfs/cbor.h"

#define HEAD_MAX 9u

typedef size_t encoder(uint64_t value, unsigned char *to, size_t room);

static void
put(struct buf *b, encoder *encode, uint64_t v)
{
	buf_reserve(b, HEAD_MAX);
	b->len += encode(v, b->p + b->len, HEAD_MAX);
}

/* libcbor's encoders take the shortest head. */
static size_t
negint(uint64_t v, unsigned char *to, size_t room)
{
	return cbor_encode_negint(v, to, room);
}

void
cbor_put_uint(struct buf *b, uint64_t v)
{
	put(b, cbor_encode_uint, v);
}

void
cbor_put_int(struct buf *b, int64_t v)
{
	if (v >= 0)
		put(b, cbor_encode_uint, (uint64_t)v);
	else
		put(b, negint, ~(uint64_t)v);
}

void
cbor_put_bool(struct buf *b, bool v)
{
	buf_append_u8(b, v ? 0xf5 : 0xf4);
}

void
cbor_put_bytes(struct buf *b, const void *p, size_t len)
{
	put(b, cbor_encode_bytestring_start, len);
	buf_append(b, p, len);
}

void
cbor_put_text(struct buf *b, const char *s)
{
	size_t len = strlen(s);

	put(b, cbor_encode_string_start, len);
	buf_append(b, s, len);
}

void
cbor_put_array(struct buf *b, size_t n)
{
	put(b, cbor_encode_array_start, n);
}

void
cbor_put_map(struct buf *b, size_t n)
{
	put(b, cbor_encode_map_start, n);
}
