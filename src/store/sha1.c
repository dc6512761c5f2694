/*
 * sha1.c - SHA-1 (FIPS 180-4) and its HMAC (RFC 2104), over whole texts.
 *
 * Layer 1.
 */
#include "store/sha1.h"

#define BLOCK_LEN 64u

static uint32_t
rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

static uint32_t
load_be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The function and constant of a round's quarter. */
static uint32_t
mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
	switch (round / 20) {
	case 0:
		return ((b & c) | (~b & d)) + 0x5a827999;
	case 1:
		return (b ^ c ^ d) + 0x6ed9eba1;
	case 2:
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	default:
		return (b ^ c ^ d) + 0xca62c1d6;
	}
}

static void
add_block(uint32_t h[5], const uint8_t block[BLOCK_LEN])
{
	uint32_t w[80];
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (unsigned i = 0; i < 16; i++)
		w[i] = load_be(block + (size_t)i * 4);
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

	for (unsigned i = 0; i < 80; i++) {
		uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

static void
sha1(struct slice text, uint8_t ret[SHA1_LEN])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	CLEANUP(buf_fini) struct buf padded = BUF_INIT;
	uint64_t bits = (uint64_t)text.len * 8;

	buf_append(&padded, text.p, text.len);
	buf_append_u8(&padded, 0x80);
	while (padded.len % BLOCK_LEN != BLOCK_LEN - 8)
		buf_append_u8(&padded, 0);
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_append_u8(&padded, (uint8_t)(bits >> shift));

	for (size_t at = 0; at < padded.len; at += BLOCK_LEN)
		add_block(h, padded.p + at);
	for (size_t i = 0; i < SHA1_LEN; i++)
		ret[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

void
sha1_hmac(struct slice key, struct slice text, uint8_t ret[SHA1_LEN])
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	uint8_t inner[SHA1_LEN];
	uint8_t pad[BLOCK_LEN] = {0};

	if (key.len > BLOCK_LEN)
		sha1(key, pad);
	else
		memcpy(pad, key.p, key.len);

	for (size_t i = 0; i < BLOCK_LEN; i++)
		pad[i] ^= 0x36;
	buf_append(&b, pad, sizeof pad);
	buf_append(&b, text.p, text.len);
	sha1(buf_slice(&b), inner);

	for (size_t i = 0; i < BLOCK_LEN; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	buf_reset(&b);
	buf_append(&b, pad, sizeof pad);
	buf_append(&b, inner, sizeof inner);
	sha1(buf_slice(&b), ret);
}
