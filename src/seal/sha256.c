/*
 * sha256.c - SHA-256 and HMAC-SHA-256, for what storage services want signed.
 *
 * Layer 1.
 */
#include <sodium.h>

#include "tillfs/seal.h"

void
seal_sha256(const void *p, size_t len, struct hash *ret)
{
	(void)crypto_hash_sha256(ret->b, p, len);
}

void
seal_hmac_sha256(struct slice key, struct slice message, struct hash *ret)
{
	crypto_auth_hmacsha256_state state;

	(void)crypto_auth_hmacsha256_init(&state, key.p, key.len);
	(void)crypto_auth_hmacsha256_update(&state, message.p, message.len);
	(void)crypto_auth_hmacsha256_final(&state, ret->b);
	sodium_memzero(&state, sizeof(state));
}

struct seal_sha256 {
	crypto_hash_sha256_state state;
};

struct seal_sha256 *
seal_sha256_new(void)
{
	struct seal_sha256 *s = mem_alloc(sizeof *s);

	(void)crypto_hash_sha256_init(&s->state);
	return s;
}

void
seal_sha256_add(struct seal_sha256 *s, const void *p, size_t len)
{
	(void)crypto_hash_sha256_update(&s->state, p, len);
}

void
seal_sha256_finish(struct seal_sha256 *s, struct hash *ret)
{
	(void)crypto_hash_sha256_final(&s->state, ret->b);
}

void
seal_sha256_free(struct seal_sha256 *s)
{
	free(s);
}
