/*
 * hash.c - BLAKE2b-256: plain, keyed, personalised, running.
 *
 * Layer 1.  Format: docs/format.md "Primitives", H, Hp and KDF.
 */
#include <sodium.h>

#include "tillfs/seal.h"

_Static_assert(sizeof(struct hash) == 32 && SEAL_KEY_LEN == 32, "hashes and keys are 256 bits");
_Static_assert(crypto_generichash_blake2b_PERSONALBYTES == 16, "a purpose has 16 bytes");

static void
hash_personal(const struct seal_key *key, const char *purpose, const void *p, size_t len,
	      uint8_t ret[32])
{
	uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = {0};

	memcpy(personal, purpose, strnlen(purpose, sizeof(personal)));
	(void)crypto_generichash_blake2b_salt_personal(ret, 32, p, len, key != NULL ? key->b : NULL,
						       key != NULL ? sizeof(key->b) : 0, NULL,
						       personal);
}

void
seal_hash(const void *p, size_t len, struct hash *ret)
{
	(void)crypto_generichash_blake2b(ret->b, sizeof(ret->b), p, len, NULL, 0);
}

void
seal_hash_keyed(const struct seal_key *key, const char *purpose, const void *p, size_t len,
		struct hash *ret)
{
	hash_personal(key, purpose, p, len, ret->b);
}

void
seal_hash_purpose(const char *purpose, const void *p, size_t len, struct hash *ret)
{
	hash_personal(NULL, purpose, p, len, ret->b);
}

void
seal_derive(const struct seal_key *key, const char *purpose, struct slice message,
	    struct seal_key *ret)
{
	hash_personal(key, purpose, message.p, message.len, ret->b);
}

struct seal_hasher {
	crypto_generichash_blake2b_state state;
};

struct seal_hasher *
seal_hasher_new(void)
{
	/* Its length is a multiple of the alignment it asks for, which sodium_malloc then gives. */
	struct seal_hasher *h = secret_new(sizeof(*h));

	(void)crypto_generichash_blake2b_init(&h->state, NULL, 0, sizeof(struct hash));
	return h;
}

void
seal_hasher_add(struct seal_hasher *h, const void *p, size_t len)
{
	(void)crypto_generichash_blake2b_update(&h->state, p, len);
}

void
seal_hasher_finish(struct seal_hasher *h, struct hash *ret)
{
	(void)crypto_generichash_blake2b_final(&h->state, ret->b, sizeof(ret->b));
}

void
seal_hasher_free(struct seal_hasher *h)
{
	secret_free(h);
}
