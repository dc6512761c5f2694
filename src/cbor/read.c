/*
 * read.c - the cursor: typed reads of single items, each checked as if an enemy had written it.
 *
 * libcbor's stateless decoder reads one item's head (and a string's bytes) and calls back with its
 * type; next_item() turns that into a value, and adds what the decoder is lax about: the shortest
 * form, and no tags, floats, null or indefinite lengths.
 *
 * Layer 1.  Format: RFC 8949 section 4.2.1.
 */
#include <cbor/streaming.h>
#include <inttypes.h>
#include <stdio.h>

#include "tillfs/cbor.h"

enum item_type {
	ITEM_REFUSED, /* a tag, float, null, undefined, indefinite length or stray break */
	ITEM_UINT,
	ITEM_NEGINT, /* the number is -1 - value */
	ITEM_BYTES,
	ITEM_TEXT,
	ITEM_ARRAY,
	ITEM_MAP,
	ITEM_BOOL,
};

struct item {
	enum item_type type;
	uint64_t value; /* the number, length, count or truth */
	const uint8_t *bytes;
};

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

/* ---- the cursor */

struct cbor_rd
cbor_rd_init(struct slice bytes, const char *what, struct err *err)
{
	struct cbor_rd rd = {.p = bytes.p, .err = err, .what = what};

	rd.end = bytes.len > 0 ? bytes.p + bytes.len : bytes.p;
	return rd;
}

bool
cbor_ok(const struct cbor_rd *rd)
{
	return rd->r == 0;
}

void
cbor_fail(struct cbor_rd *rd, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (rd->r != 0)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rd->r = err_set(rd->err, ERR_CORRUPT, "%s: %s", rd->what, text);
}

int
cbor_rd_done(struct cbor_rd *rd)
{
	if (rd->r == 0 && rd->depth > 0)
		cbor_fail(rd, "an array or map was not read to its end");
	if (rd->r == 0 && rd->p != rd->end)
		cbor_fail(rd, "%zu bytes too many at its end", (size_t)(rd->end - rd->p));
	return rd->r;
}

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

/* Decodes one item, moves behind its head (a string: behind it).  False after an error. */
static bool
next_item(struct cbor_rd *rd, struct item *ret)
{
	struct cbor_decoder_result got;
	size_t left = (size_t)(rd->end - rd->p);

	*ret = (struct item){0};
	if (rd->r != 0)
		return false;
	if (left == 0) {
		cbor_fail(rd, "ends too early");
		return false;
	}

	got = cbor_stream_decode(rd->p, left, &callbacks, ret);
	if (got.status == CBOR_DECODER_NEDATA) {
		cbor_fail(rd, "an item reaches past its end");
		return false;
	}
	if (got.status != CBOR_DECODER_FINISHED || ret->type == ITEM_REFUSED) {
		cbor_fail(rd, "byte 0x%02x begins no kind of item that is allowed", rd->p[0]);
		return false;
	}
	if (got.read != shortest_item(ret)) {
		cbor_fail(rd, "a number or length is not in its shortest form");
		return false;
	}
	rd->p += got.read;
	return true;
}

/*
 * Notes that an item with @children items in it was read.  Levels that are complete are left, so
 * that depth is exact without the reader saying where an array ends.
 */
static void
count_item(struct cbor_rd *rd, bool container, uint64_t children)
{
	if (container && rd->depth == CBOR_DEPTH_MAX) {
		cbor_fail(rd, "nested deeper than %u levels", CBOR_DEPTH_MAX);
		return;
	}
	if (rd->depth > 0)
		rd->left[rd->depth - 1]--;
	if (children > 0)
		rd->left[rd->depth++] = children;
	else
		while (rd->depth > 0 && rd->left[rd->depth - 1] == 0)
			rd->depth--;
}

/* Decodes a scalar or string, or fails the cursor unless it is of type @want. */
static bool
take(struct cbor_rd *rd, enum item_type want, const char *name, struct item *ret)
{
	if (!next_item(rd, ret))
		return false;
	if (ret->type != want) {
		cbor_fail(rd, "something else stands where %s must be", name);
		return false;
	}
	if (want != ITEM_ARRAY && want != ITEM_MAP)
		count_item(rd, false, 0);
	return true;
}

uint64_t
cbor_get_uint(struct cbor_rd *rd, uint64_t max)
{
	struct item item;

	if (!take(rd, ITEM_UINT, "an unsigned number", &item))
		return 0;
	if (item.value > max) {
		cbor_fail(rd, "%" PRIu64 " is more than the %" PRIu64 " allowed", item.value, max);
		return 0;
	}
	return item.value;
}

int64_t
cbor_get_int(struct cbor_rd *rd)
{
	struct item item;

	if (!next_item(rd, &item))
		return 0;
	if ((item.type != ITEM_UINT && item.type != ITEM_NEGINT) || item.value > INT64_MAX) {
		cbor_fail(rd, "something else stands where a 64-bit number must be");
		return 0;
	}
	count_item(rd, false, 0);
	return item.type == ITEM_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
}

bool
cbor_get_bool(struct cbor_rd *rd)
{
	struct item item;

	return take(rd, ITEM_BOOL, "true or false", &item) && item.value != 0;
}

static struct slice
take_string(struct cbor_rd *rd, enum item_type type, const char *name, size_t max_len)
{
	struct item item;

	if (!take(rd, type, name, &item))
		return slice_of(NULL, 0);
	if (item.value > max_len) {
		cbor_fail(rd, "a string of %" PRIu64 " bytes, where %zu are allowed", item.value,
			  max_len);
		return slice_of(NULL, 0);
	}
	return slice_of(item.bytes, (size_t)item.value);
}

struct slice
cbor_get_bytes(struct cbor_rd *rd, size_t max_len)
{
	return take_string(rd, ITEM_BYTES, "a byte string", max_len);
}

void
cbor_get_fixed(struct cbor_rd *rd, void *ret, size_t len)
{
	struct slice s = cbor_get_bytes(rd, len);

	memset(ret, 0, len);
	if (rd->r != 0)
		return;
	if (s.len != len) {
		cbor_fail(rd, "a string of %zu bytes, where %zu must be", s.len, len);
		return;
	}
	if (len > 0)
		memcpy(ret, s.p, len);
}

struct slice
cbor_get_text(struct cbor_rd *rd, size_t max_len)
{
	struct slice s = take_string(rd, ITEM_TEXT, "a text", max_len);

	if (rd->r == 0 && !utf8_valid(s)) {
		cbor_fail(rd, "a text that is not UTF-8");
		return slice_of(NULL, 0);
	}
	return s;
}

/* Every item takes a byte at least, so a count above the bytes left is a lie. */
static uint64_t
checked_count(struct cbor_rd *rd, const struct item *item, size_t max, size_t items_each)
{
	uint64_t left = (uint64_t)(rd->end - rd->p);

	if (item->value > left / items_each) {
		cbor_fail(rd, "an array or map of %" PRIu64 " reaches past its end", item->value);
		return 0;
	}
	if (item->value > max) {
		cbor_fail(rd, "an array of %" PRIu64 ", where %zu are allowed", item->value, max);
		return 0;
	}
	count_item(rd, true, item->value * items_each);
	return rd->r == 0 ? item->value : 0;
}

size_t
cbor_get_array(struct cbor_rd *rd, size_t max)
{
	struct item item;

	if (!take(rd, ITEM_ARRAY, "an array", &item))
		return 0;
	return (size_t)checked_count(rd, &item, max, 1);
}

struct cbor_map
cbor_get_map(struct cbor_rd *rd)
{
	struct cbor_map m = {.first = true};
	struct item item;

	if (take(rd, ITEM_MAP, "a map", &item))
		m.left = checked_count(rd, &item, SIZE_MAX, 2);
	return m;
}

bool
cbor_map_next(struct cbor_rd *rd, struct cbor_map *m)
{
	uint64_t key;

	if (rd->r != 0 || m->left == 0)
		return false;
	key = cbor_get_uint(rd, CBOR_KEY_MAX);
	if (rd->r != 0)
		return false;
	if (!m->first && key <= m->key) {
		cbor_fail(rd, "key %" PRIu64 " of a map is not above the one before", key);
		return false;
	}
	m->first = false;
	m->key = key;
	m->left--;
	m->seen |= KEY_BIT(key);
	return true;
}

void
cbor_map_need(struct cbor_rd *rd, const struct cbor_map *m, uint64_t mask)
{
	uint64_t missing = mask & ~m->seen;

	if (missing != 0)
		cbor_fail(rd, "key %d is missing", __builtin_ctzll(missing));
}

/* Recursion ends at CBOR_DEPTH_MAX levels, which the counts of arrays and maps enforce. */
void
cbor_skip(struct cbor_rd *rd)
{
	struct item item;

	if (!next_item(rd, &item))
		return;
	if (item.type == ITEM_ARRAY) {
		uint64_t n = checked_count(rd, &item, SIZE_MAX, 1);

		while (n-- > 0 && rd->r == 0)
			cbor_skip(rd);
	} else if (item.type == ITEM_MAP) {
		struct cbor_map m = {.first = true};

		m.left = checked_count(rd, &item, SIZE_MAX, 2);
		while (cbor_map_next(rd, &m))
			cbor_skip(rd);
	} else {
		if (item.type == ITEM_TEXT && !utf8_valid(slice_of(item.bytes, (size_t)item.value)))
			cbor_fail(rd, "a text that is not UTF-8");
		count_item(rd, false, 0);
	}
}
