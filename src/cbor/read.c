/*
 * read.c - the cursor: typed reads of single items, each checked as if an enemy had written it.
 *
 * Layer 1.  Format: RFC 8949 section 4.2.1.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cbor/item.h"

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

/* Decodes one item, moves behind its head (a string: behind it).  False after an error. */
static bool
next_item(struct cbor_rd *rd, struct item *ret)
{
	size_t left = (size_t)(rd->end - rd->p), len;

	*ret = (struct item){0};
	if (rd->r != 0)
		return false;
	if (left == 0) {
		cbor_fail(rd, "ends too early");
		return false;
	}

	switch (item_decode(slice_of(rd->p, left), ret, &len)) {
	case ITEM_OK:
		rd->p += len;
		return true;
	case ITEM_CUT_OFF:
		cbor_fail(rd, "an item reaches past its end");
		return false;
	case ITEM_NOT_ALLOWED:
		cbor_fail(rd, "byte 0x%02x begins no kind of item that is allowed", rd->p[0]);
		return false;
	case ITEM_NOT_SHORTEST:
		cbor_fail(rd, "a number or length is not in its shortest form");
		return false;
	}
	return false;
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
