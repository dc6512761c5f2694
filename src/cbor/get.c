/*
 * get.c - reading CBOR that nobody vouched for.
 *
 * libcbor decodes one head at a time into struct item; what deterministic encoding demands beyond
 * that, and all bounds, are checked here.
 *
 * Layer 1.
 */
#include <cbor/streaming.h>
#include <stdio.h>

#include "tillfs/cbor.h"

enum item_kind {
	ITEM_OTHER,
	ITEM_UINT,
	ITEM_NEGINT,
	ITEM_BYTES,
	ITEM_TEXT,
	ITEM_ARRAY,
	ITEM_MAP,
	ITEM_BOOL
};

struct item {
	enum item_kind kind;
	uint64_t value; /* or length, or number of items */
	const uint8_t *bytes;
};

/* ---- what libcbor calls ---- */

#define ON_UINT(bits)                                                                              \
	static void on_uint##bits(void *ctx, uint##bits##_t v)                                     \
	{                                                                                          \
		*(struct item *)ctx = (struct item){.kind = ITEM_UINT, .value = v};                \
	}                                                                                          \
	static void on_negint##bits(void *ctx, uint##bits##_t v)                                   \
	{                                                                                          \
		*(struct item *)ctx = (struct item){.kind = ITEM_NEGINT, .value = v};              \
	}
ON_UINT(8)
ON_UINT(16)
ON_UINT(32)
ON_UINT(64)

static void
on_bytes(void *ctx, cbor_data p, size_t len)
{
	*(struct item *)ctx = (struct item){.kind = ITEM_BYTES, .value = len, .bytes = p};
}

static void
on_text(void *ctx, cbor_data p, size_t len)
{
	*(struct item *)ctx = (struct item){.kind = ITEM_TEXT, .value = len, .bytes = p};
}

static void
on_array(void *ctx, size_t n)
{
	*(struct item *)ctx = (struct item){.kind = ITEM_ARRAY, .value = n};
}

static void
on_map(void *ctx, size_t n)
{
	*(struct item *)ctx = (struct item){.kind = ITEM_MAP, .value = n};
}

static void
on_bool(void *ctx, bool v)
{
	*(struct item *)ctx = (struct item){.kind = ITEM_BOOL, .value = v};
}

/* What isn't used in tillfs leaves ITEM_OTHER. */
static void
ignore(void *ctx)
{
	(void)ctx;
}

static void
ignore_tag(void *ctx, uint64_t v)
{
	(void)ctx;
	(void)v;
}

static void
ignore_float(void *ctx, float v)
{
	(void)ctx;
	(void)v;
}

static void
ignore_double(void *ctx, double v)
{
	(void)ctx;
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
	.byte_string_start = ignore,
	.string = on_text,
	.string_start = ignore,
	.array_start = on_array,
	.indef_array_start = ignore,
	.map_start = on_map,
	.indef_map_start = ignore,
	.tag = ignore_tag,
	.float2 = ignore_float,
	.float4 = ignore_float,
	.float8 = ignore_double,
	.undefined = ignore,
	.null = ignore,
	.boolean = on_bool,
	.indef_break = ignore,
};

/* ---- the cursor ---- */

struct cbor_rd
cbor_rd_init(struct slice bytes, const char *what, struct err *err)
{
	return (struct cbor_rd){.p = bytes.p, .end = bytes.p + bytes.len, .err = err, .what = what};
}

void
cbor_fail(struct cbor_rd *rd, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (rd->r < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	rd->r = err_set(rd->err, ERR_CORRUPT, "%s: %s", rd->what, text);
}

bool
cbor_ok(const struct cbor_rd *rd)
{
	return rd->r == 0;
}

int
cbor_rd_done(struct cbor_rd *rd)
{
	if (rd->r == 0 && rd->p != rd->end)
		cbor_fail(rd, "%zu bytes left over", (size_t)(rd->end - rd->p));
	return rd->r;
}

static size_t
shortest_head(uint64_t v)
{
	return v < 24 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

static size_t
given_head(uint8_t initial)
{
	unsigned low = initial & 31;

	return low < 24 ? 1 : 1 + ((size_t)1 << (low - 24));
}

static struct item
next(struct cbor_rd *rd)
{
	struct item item = {ITEM_OTHER};
	struct cbor_decoder_result result;

	if (rd->r < 0)
		return (struct item){ITEM_OTHER};
	if (rd->p == rd->end) {
		cbor_fail(rd, "ends early");
		return item;
	}
	result = cbor_stream_decode(rd->p, (size_t)(rd->end - rd->p), &callbacks, &item);
	if (result.status != CBOR_DECODER_FINISHED)
		cbor_fail(rd, "is cut off or malformed");
	else if (item.kind == ITEM_OTHER)
		cbor_fail(rd, "has an item of a kind that isn't used");
	else if (item.kind != ITEM_BOOL && given_head(*rd->p) != shortest_head(item.value))
		cbor_fail(rd, "has a number that isn't in its shortest form");
	if (rd->r < 0)
		return (struct item){ITEM_OTHER};
	rd->p += result.read;
	return item;
}

static struct item
expect(struct cbor_rd *rd, enum item_kind kind, const char *name)
{
	struct item item = next(rd);

	if (rd->r == 0 && item.kind != kind) {
		cbor_fail(rd, "has another kind of item where %s belongs", name);
		item = (struct item){ITEM_OTHER};
	}
	return item;
}

uint64_t
cbor_get_uint(struct cbor_rd *rd, uint64_t max)
{
	struct item item = expect(rd, ITEM_UINT, "an unsigned number");

	if (rd->r == 0 && item.value > max)
		cbor_fail(rd, "has the number %llu where at most %llu is allowed",
			  (unsigned long long)item.value, (unsigned long long)max);
	return rd->r == 0 ? item.value : 0;
}

int64_t
cbor_get_int(struct cbor_rd *rd)
{
	struct item item = next(rd);

	if (rd->r < 0)
		return 0;
	if ((item.kind != ITEM_UINT && item.kind != ITEM_NEGINT) || item.value > INT64_MAX) {
		cbor_fail(rd, "has another kind of item where a number belongs");
		return 0;
	}
	return item.kind == ITEM_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
}

bool
cbor_get_bool(struct cbor_rd *rd)
{
	return expect(rd, ITEM_BOOL, "true or false").value != 0;
}

static struct slice
string(struct cbor_rd *rd, struct item item, size_t max_len)
{
	if (rd->r == 0 && item.value > max_len)
		cbor_fail(rd, "has a string of %llu bytes where at most %zu are allowed",
			  (unsigned long long)item.value, max_len);
	return rd->r == 0 ? slice_of(item.bytes, (size_t)item.value) : (struct slice){0};
}

struct slice
cbor_get_bytes(struct cbor_rd *rd, size_t max_len)
{
	return string(rd, expect(rd, ITEM_BYTES, "a byte string"), max_len);
}

void
cbor_get_fixed(struct cbor_rd *rd, void *ret, size_t len)
{
	struct slice s = cbor_get_bytes(rd, len);

	if (rd->r == 0 && s.len != len)
		cbor_fail(rd, "has %zu bytes where %zu belong", s.len, len);
	if (rd->r == 0)
		memcpy(ret, s.p, len);
	else
		memset(ret, 0, len);
}

/* How many bytes a UTF-8 sequence that starts here takes, or 0. */
static size_t
utf8_len(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 4;
	uint32_t v = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	if (n == 4 && (p[0] & 0xf8) != 0xf0)
		return 0;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : n;
}

struct slice
cbor_get_text(struct cbor_rd *rd, size_t max_len)
{
	struct slice s = string(rd, expect(rd, ITEM_TEXT, "text"), max_len);

	for (size_t at = 0, n; at < s.len; at += n) {
		n = utf8_len(s.p + at, s.len - at);
		if (n == 0) {
			cbor_fail(rd, "has text that isn't UTF-8");
			return (struct slice){0};
		}
	}
	return s;
}

size_t
cbor_get_array(struct cbor_rd *rd, size_t max)
{
	struct item item = expect(rd, ITEM_ARRAY, "an array");

	if (rd->r == 0 && (item.value > max || item.value > (size_t)(rd->end - rd->p)))
		cbor_fail(rd, "has an array of %llu items where at most %zu are allowed",
			  (unsigned long long)item.value, max);
	return rd->r == 0 ? (size_t)item.value : 0;
}

struct cbor_map
cbor_get_map(struct cbor_rd *rd)
{
	struct item item = expect(rd, ITEM_MAP, "a map");

	if (rd->r == 0 && item.value > (size_t)(rd->end - rd->p) / 2)
		cbor_fail(rd, "has a map that is cut off");
	return (struct cbor_map){.left = rd->r == 0 ? item.value : 0, .first = true};
}

bool
cbor_map_next(struct cbor_rd *rd, struct cbor_map *m)
{
	uint64_t key;

	if (rd->r < 0 || m->left == 0)
		return false;
	key = cbor_get_uint(rd, UINT64_MAX);
	if (rd->r == 0 && !m->first && key <= m->key)
		cbor_fail(rd, "has map keys that are not ascending");
	if (rd->r < 0)
		return false;
	m->left--;
	m->first = false;
	m->key = key;
	if (key < 64)
		m->seen |= KEY_BIT(key);
	return true;
}

void
cbor_map_need(struct cbor_rd *rd, const struct cbor_map *m, uint64_t mask)
{
	uint64_t missing = mask & ~m->seen;

	if (rd->r == 0 && missing != 0)
		cbor_fail(rd, "lacks key %d", __builtin_ctzll(missing));
}

static void skip_map(struct cbor_rd *rd, uint64_t n);

void
cbor_skip(struct cbor_rd *rd)
{
	struct item item = next(rd);

	if (rd->r < 0 || (item.kind != ITEM_ARRAY && item.kind != ITEM_MAP))
		return;
	if (rd->depth == CBOR_DEPTH_MAX) {
		cbor_fail(rd, "is nested too deeply");
		return;
	}
	rd->depth++;
	if (item.kind == ITEM_MAP)
		skip_map(rd, item.value);
	else
		for (uint64_t i = 0; i < item.value && rd->r == 0; i++)
			cbor_skip(rd);
	rd->depth--;
}

static void
skip_map(struct cbor_rd *rd, uint64_t n)
{
	struct cbor_map m = {.left = n, .first = true};

	while (cbor_map_next(rd, &m))
		cbor_skip(rd);
}
