/*
 * fixture_format.h - what the tests of the format modules share: checks that print the error's
 * sentence, random numbers from a printed seed, and CBOR written as text.
 *
 * Include it after cmocka.h's own needs, as the first header of a test.
 */
#ifndef FIXTURE_FORMAT_H
#define FIXTURE_FORMAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tillfs/cbor.h"
#include "tillfs/seal.h"

#define UNUSED __attribute__((unused))

/* ---- checks ---- */

#define CHECK_OK(r, err)                                                                           \
	do {                                                                                       \
		int r_ = (r);                                                                      \
		if (r_ != 0)                                                                       \
			fail_msg("%s: %s (%s)", #r, (err)->msg, err_name(r_));                     \
	} while (0)

/* Fails unless @r is @code and the sentence says @text. */
#define CHECK_REFUSED(r, code, err, text)                                                          \
	do {                                                                                       \
		int r_ = (r);                                                                      \
		if (r_ != (code))                                                                  \
			fail_msg("%s: %d (%s) instead of %s", #r, r_, (err)->msg, err_name(code)); \
		if (strstr((err)->msg, (text)) == NULL)                                            \
			fail_msg("\"%s\" doesn't say \"%s\"", (err)->msg, (text));                 \
	} while (0)

static UNUSED void
check_bytes(struct slice actual, struct slice expected)
{
	assert_int_equal(actual.len, expected.len);
	if (expected.len > 0)
		assert_memory_equal(actual.p, expected.p, expected.len);
}

/* ---- random numbers: splitmix64 ---- */

struct rng {
	uint64_t state;
};

/* The seed is TILLFS_TEST_SEED or the clock's; it is printed, so that a failure can be repeated. */
static UNUSED struct rng
rng_start(const char *test)
{
	const char *given = getenv("TILLFS_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : time_monotonic_ms();

	print_message("%s: TILLFS_TEST_SEED=%llu\n", test, (unsigned long long)seed);
	return (struct rng){seed};
}

static UNUSED uint64_t
rng_next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* lo … hi */
static UNUSED uint64_t
rng_within(struct rng *r, uint64_t lo, uint64_t hi)
{
	return lo + rng_next(r) % (hi - lo + 1);
}

static UNUSED void
rng_bytes(struct rng *r, void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)p)[i] = (uint8_t)rng_next(r);
}

/* ---- CBOR as text ---- */

/*
 * cbor_text - append CBOR written in diagnostic notation: 1 -2 true [1, 2] {0: 1} 'name' "text"
 * h'00ff', and h'01'*32 for 32 such bytes.  Spaces and commas only separate.
 *
 * Nothing is checked but the notation: it is for making what a decoder must refuse, too.
 */
static void cbor_text_item(struct buf *b, const char **at);

static void
cbor_text_skip(const char **at)
{
	while (**at == ' ' || **at == ',' || **at == ':')
		++*at;
}

static void
cbor_text_items(struct buf *b, const char **at, char end, bool is_map)
{
	CLEANUP(buf_fini) struct buf items = BUF_INIT;
	size_t n = 0;

	for (cbor_text_skip(at); **at != end; cbor_text_skip(at), n++) {
		assert_true(**at != '\0');
		cbor_text_item(&items, at);
	}
	++*at;
	if (is_map)
		cbor_put_map(b, n / 2);
	else
		cbor_put_array(b, n);
	buf_append(b, items.p, items.len);
}

static void
cbor_text_bytes(struct buf *b, const char **at, bool is_hex)
{
	const char *end = strchr(*at, '\'');
	size_t len = (size_t)(end - *at);
	CLEANUP(buf_fini) struct buf once = BUF_INIT;
	CLEANUP(buf_fini) struct buf all = BUF_INIT;
	unsigned long times = 1;

	if (is_hex)
		assert_true(hex_parse(slice_of(*at, len), buf_extend(&once, len / 2), len / 2));
	else
		buf_append(&once, *at, len);
	*at = end + 1;
	if (**at == '*')
		times = strtoul(*at + 1, (char **)at, 10);
	while (times-- > 0)
		buf_append(&all, once.p, once.len);
	cbor_put_bytes(b, all.p, all.len);
}

static void
cbor_text_text(struct buf *b, const char **at)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *end = strchr(*at, '"');

	buf_append(&text, *at, (size_t)(end - *at));
	*at = end + 1;
	cbor_put_text(b, buf_cstr(&text));
}

static void
cbor_text_item(struct buf *b, const char **at)
{
	char c = *(*at)++;

	if (c == '[' || c == '{')
		cbor_text_items(b, at, c == '[' ? ']' : '}', c == '{');
	else if (c == '\'')
		cbor_text_bytes(b, at, false);
	else if (c == 'h' && *(*at)++ == '\'')
		cbor_text_bytes(b, at, true);
	else if (c == '"')
		cbor_text_text(b, at);
	else if (strncmp(*at - 1, "true", 4) == 0)
		*at += 3, cbor_put_bool(b, true);
	else if (strncmp(*at - 1, "false", 5) == 0)
		*at += 4, cbor_put_bool(b, false);
	else if (c == '-')
		cbor_put_int(b, -(int64_t)strtoull(*at, (char **)at, 10));
	else if (c >= '0' && c <= '9')
		cbor_put_uint(b, strtoull(*at - 1, (char **)at, 10));
	else
		fail_msg("no CBOR: %s", *at - 1);
}

static UNUSED void
cbor_text(struct buf *b, const char *text)
{
	while (*text != '\0') {
		cbor_text_item(b, &text);
		cbor_text_skip(&text);
	}
}

#endif /* FIXTURE_FORMAT_H */
