/*
 * wire.c - messages between this process and a worker.
 */
#include "internal.h"

void
wire_begin(struct buf *b, enum wire_kind kind)
{
	buf_reset(b);
	buf_append_u8(b, (uint8_t)kind);
	buf_append_u32le(b, 0);
}

void
wire_finish(struct buf *b)
{
	uint32_t len = (uint32_t)(b->len - WIRE_HEADER);

	for (unsigned i = 0; i < 4; i++)
		b->p[1 + i] = (uint8_t)(len >> 8 * i);
}

void
wire_put_value(struct buf *b, const struct db_value *v)
{
	uint64_t bits;

	buf_append_u8(b, (uint8_t)v->type);
	switch (v->type) {
	case DB_NULL:
		break;
	case DB_INT:
		buf_append_u64le(b, (uint64_t)v->i);
		break;
	case DB_REAL:
		memcpy(&bits, &v->r, sizeof bits);
		buf_append_u64le(b, bits);
		break;
	case DB_TEXT:
	case DB_BLOB:
		buf_append_lp(b, v->b.p, v->b.len);
		break;
	}
}

struct wire_rd
wire_rd_init(struct slice message)
{
	return (struct wire_rd){message.p, message.p + message.len, true};
}

static const uint8_t *
take(struct wire_rd *rd, size_t len)
{
	const uint8_t *p = rd->p;

	if (!rd->ok || len > (size_t)(rd->end - rd->p)) {
		rd->ok = false;
		return NULL;
	}
	rd->p += len;
	return p;
}

static uint64_t
take_le(struct wire_rd *rd, unsigned len)
{
	const uint8_t *p = take(rd, len);
	uint64_t v = 0;

	for (unsigned i = len; p != NULL && i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

uint8_t
wire_u8(struct wire_rd *rd)
{
	return (uint8_t)take_le(rd, 1);
}

uint32_t
wire_u32(struct wire_rd *rd)
{
	return (uint32_t)take_le(rd, 4);
}

uint64_t
wire_u64(struct wire_rd *rd)
{
	return take_le(rd, 8);
}

struct slice
wire_bytes(struct wire_rd *rd)
{
	uint32_t len = wire_u32(rd);
	const uint8_t *p = take(rd, len);

	return slice_of(p, p != NULL ? len : 0);
}

struct db_value
wire_value(struct wire_rd *rd)
{
	struct db_value v = {.type = DB_NULL};
	uint8_t type = wire_u8(rd);
	uint64_t bits;

	switch (type) {
	case DB_NULL:
		break;
	case DB_INT:
		v.i = (int64_t)wire_u64(rd);
		break;
	case DB_REAL:
		bits = wire_u64(rd);
		memcpy(&v.r, &bits, sizeof bits);
		break;
	case DB_TEXT:
	case DB_BLOB:
		v.b = wire_bytes(rd);
		break;
	default:
		rd->ok = false;
	}
	if (rd->ok)
		v.type = (enum db_type)type;
	return v;
}
