/*
 * item.c - one CBOR item, out of libcbor's callbacks.
 *
 * libcbor's stateless decoder reads a head (and a string's bytes) and calls back with its type.
 * Here that becomes a value, and what the decoder is lax about is added: the shortest form, and no
 * tags, floats, null or indefinite lengths.
 *
 * Layer 1.  Format: RFC 8949 section 4.2.1.
 */
#include <cbor/streaming.h>

#include "cbor/item.h"

/* ---- callbacks: each records one item */

static void
on_uint8(void *arg, uint8_t v)
{
	*(struct item *)arg = (struct item){ITEM_UINT, v, NULL};
}

static void
on_uint16(void *arg, uint16_t v)
{
	*(struct item *)arg = (struct item){ITEM_UINT, v, NULL};
}

static void
on_uint32(void *arg, uint32_t v)
{
	*(struct item *)arg = (struct item){ITEM_UINT, v, NULL};
}

static void
on_uint64(void *arg, uint64_t v)
{
	*(struct item *)arg = (struct item){ITEM_UINT, v, NULL};
}

static void
on_negint8(void *arg, uint8_t v)
{
	*(struct item *)arg = (struct item){ITEM_NEGINT, v, NULL};
}

static void
on_negint16(void *arg, uint16_t v)
{
	*(struct item *)arg = (struct item){ITEM_NEGINT, v, NULL};
}

static void
on_negint32(void *arg, uint32_t v)
{
	*(struct item *)arg = (struct item){ITEM_NEGINT, v, NULL};
}

static void
on_negint64(void *arg, uint64_t v)
{
	*(struct item *)arg = (struct item){ITEM_NEGINT, v, NULL};
}

static void
on_bytes(void *arg, cbor_data p, size_t len)
{
	*(struct item *)arg = (struct item){ITEM_BYTES, len, p};
}

static void
on_text(void *arg, cbor_data p, size_t len)
{
	*(struct item *)arg = (struct item){ITEM_TEXT, len, p};
}

static void
on_array(void *arg, size_t n)
{
	*(struct item *)arg = (struct item){ITEM_ARRAY, n, NULL};
}

static void
on_map(void *arg, size_t n)
{
	*(struct item *)arg = (struct item){ITEM_MAP, n, NULL};
}

static void
on_bool(void *arg, bool v)
{
	*(struct item *)arg = (struct item){ITEM_BOOL, v, NULL};
}

/* What is refused leaves the item as it was: ITEM_REFUSED. */
static void
on_refused(void *arg)
{
	(void)arg;
}

static void
on_refused_tag(void *arg, uint64_t v)
{
	(void)arg;
	(void)v;
}

static void
on_refused_float(void *arg, float v)
{
	(void)arg;
	(void)v;
}

static void
on_refused_double(void *arg, double v)
{
	(void)arg;
	(void)v;
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string = on_bytes,
	.byte_string_start = on_refused,
	.string = on_text,
	.string_start = on_refused,
	.array_start = on_array,
	.indef_array_start = on_refused,
	.map_start = on_map,
	.indef_map_start = on_refused,
	.boolean = on_bool,
	.tag = on_refused_tag,
	.float2 = on_refused_float,
	.float4 = on_refused_float,
	.float8 = on_refused_double,
	.undefined = on_refused,
	.null = on_refused,
	.indef_break = on_refused,
};

/* ---- one item */

/* How long the shortest head for this value is. */
static size_t
shortest_head(uint64_t value)
{
	if (value < 24)
		return 1;
	if (value <= UINT8_MAX)
		return 2;
	if (value <= UINT16_MAX)
		return 3;
	return value <= UINT32_MAX ? 5 : 9;
}

static size_t
shortest_item(const struct item *item)
{
	switch (item->type) {
	case ITEM_BYTES:
	case ITEM_TEXT:
		return shortest_head(item->value) + item->value;
	case ITEM_BOOL:
		return 1;
	default:
		return shortest_head(item->value);
	}
}

enum item_status
item_decode(struct slice bytes, struct item *ret, size_t *ret_len)
{
	struct cbor_decoder_result got;

	*ret = (struct item){0};
	got = cbor_stream_decode(bytes.p, bytes.len, &callbacks, ret);
	*ret_len = got.read;
	if (got.status == CBOR_DECODER_NEDATA)
		return ITEM_CUT_OFF;
	if (got.status != CBOR_DECODER_FINISHED || ret->type == ITEM_REFUSED)
		return ITEM_NOT_ALLOWED;
	return got.read == shortest_item(ret) ? ITEM_OK : ITEM_NOT_SHORTEST;
}
