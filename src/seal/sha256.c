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
