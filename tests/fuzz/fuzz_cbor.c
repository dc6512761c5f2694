/*
 * fuzz_cbor.c - the CBOR cursor, under any sequence of reads.
 *
 * The first byte's low bits say how many bytes of the input are the reader's program: each asks for
 * one kind of item with some bound.  What is left is the CBOR.  An error must have its sentence,
 * and nothing may be returned that isn't inside the input.  What is accepted by cbor_skip is
 * deterministic, so no second encoding of the same items exists to be accepted.
 */
#include "tillfs/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_inside(struct slice part, struct slice whole)
{
	if (part.len > 0 && (part.p < whole.p || part.len > whole.len ||
			     (size_t)(part.p - whole.p) > whole.len - part.len))
		abort();
}

static void
read_map(struct cbor_rd *rd, uint8_t program)
{
	struct cbor_map m = cbor_get_map(rd);
	uint64_t last = 0, n = 0;

	while (cbor_map_next(rd, &m)) {
		if (m.key > CBOR_KEY_MAX || (n++ > 0 && m.key <= last))
			abort();
		last = m.key;
		cbor_skip(rd);
	}
	cbor_map_need(rd, &m, KEY_BIT(program >> 4));
}

static void
read_item(struct cbor_rd *rd, uint8_t program, struct slice whole)
{
	size_t bound = (size_t)1 << (program >> 4);
	uint8_t fixed[16];
	struct slice s;

	switch (program & 7) {
	case 0:
		if (cbor_get_uint(rd, bound) > bound)
			abort();
		break;
	case 1:
		(void)cbor_get_int(rd);
		break;
	case 2:
		(void)cbor_get_bool(rd);
		break;
	case 3:
		s = cbor_get_bytes(rd, bound);
		check_inside(s, whole);
		if (s.len > bound)
			abort();
		break;
	case 4:
		s = cbor_get_text(rd, bound);
		check_inside(s, whole);
		if (s.len > bound || !utf8_valid(s))
			abort();
		break;
	case 5:
		if (cbor_get_array(rd, bound) > min_u64(bound, whole.len))
			abort();
		break;
	case 6:
		read_map(rd, program);
		break;
	default:
		if (program & 0x80)
			cbor_get_fixed(rd, fixed, program >> 4);
		else
			cbor_skip(rd);
	}
}

static void
check_end(struct cbor_rd *rd, const struct err *err)
{
	bool fine = cbor_ok(rd);
	int r = cbor_rd_done(rd);

	if (r == 0 ? !fine || rd->p != rd->end || rd->depth != 0
		   : r != ERR_CORRUPT || err->code != r || err->msg[0] == '\0')
		abort();
	if (rd->depth > CBOR_DEPTH_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct slice bytes;
	struct cbor_rd rd;
	size_t steps;

	if (len == 0)
		return 0;
	steps = (size_t)min_u64(data[0] & 31, len - 1);
	bytes = slice_of(data + 1 + steps, len - 1 - steps);

	rd = cbor_rd_init(bytes, "input", &err);
	for (size_t i = 0; i < steps; i++)
		read_item(&rd, data[1 + i], bytes);
	while (cbor_ok(&rd) && rd.p != rd.end)
		cbor_skip(&rd);
	check_end(&rd, &err);
	return 0;
}
