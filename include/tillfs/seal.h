/*
 * seal.h - cryptography: hash, derive, encrypt, seal to a person, sign.
 *
 * The one module that includes libsodium.  It knows keys and bytes, no format: what is derived
 * from what, and under which purpose, is in docs/format.md ("Primitives") and in the callers.
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_SEAL_H
#define TILLFS_SEAL_H

#include "tillfs/base.h"

#define SEAL_KEY_LEN       32u
#define SEAL_TAG_LEN       16u /* what encryption adds */
#define SEAL_BOX_LEN       48u /* what seal_box adds */
#define SEAL_SIGNATURE_LEN 64u
#define SEAL_SALT_LEN      16u

/* A symmetric secret.  Keep it in secret_new memory or a CLEANUP(seal_key_wipe) local. */
struct seal_key {
	uint8_t b[SEAL_KEY_LEN];
};

/* Public halves. */
struct seal_box_pk {
	uint8_t b[32]; /* X25519 */
};
struct seal_sign_pk {
	uint8_t b[32]; /* Ed25519 */
};

/* Secret halves, derived from one 32-byte seed; only inside secret_new memory. */
struct seal_pair {
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	uint8_t box_sk[32];
	uint8_t sign_sk[64];
};

/* Must be called once before anything else here.  Ends the process if libsodium can't start. */
void seal_start(void);

/* Guarded, locked, wiped on free (sodium_malloc).  Never NULL. */
void *secret_new(size_t len);
void secret_free(void *p);
void secret_freep(void *pointer_to_pointer);
void seal_key_wipe(struct seal_key *key);
void seal_wipe(void *p, size_t len);

void seal_random(void *ret, size_t len);
uint64_t seal_random_below(uint64_t limit);
MUST_CHECK bool seal_equal(const void *a, const void *b, size_t len); /* constant time */

/**
 * seal_hash - BLAKE2b-256, unkeyed, no personalisation.
 * Cost: about 1 GB/s.
 */
void seal_hash(const void *p, size_t len, struct hash *ret);

/**
 * seal_hash_keyed - BLAKE2b-256 with a key and a purpose.
 * @purpose: the personalisation, at most 16 bytes, zero-padded
 */
void seal_hash_keyed(const struct seal_key *key, const char *purpose, const void *p, size_t len,
		     struct hash *ret);

/* The same, unkeyed but personalised. */
void seal_hash_purpose(const char *purpose, const void *p, size_t len, struct hash *ret);

/* seal_derive - K = BLAKE2b-256(key, message) under a purpose; docs/format.md lists them all. */
void seal_derive(const struct seal_key *key, const char *purpose, struct slice message,
		 struct seal_key *ret);

/**
 * seal_encrypt - XChaCha20-Poly1305 with nonce zero and no associated data.
 * @key: never used for a second message: every caller derives or draws a fresh one
 * @ret: appended to: plain.len + SEAL_TAG_LEN bytes.  Must not overlap @plain.
 */
void seal_encrypt(const struct seal_key *key, struct slice plain, struct buf *ret);

/**
 * seal_decrypt - the inverse.
 * @ret: replaced by the plaintext; empty on failure
 *
 * Return: 0, or ERR_AUTH.
 */
MUST_CHECK int seal_decrypt(const struct seal_key *key, struct slice sealed, struct buf *ret,
			    struct err *err);

/* seal_box - crypto_box_seal: only the holder of the secret half can open it.  Appends to @ret. */
void seal_box(const struct seal_box_pk *to, struct slice plain, struct buf *ret);

/* Return: 0, or ERR_AUTH when it was sealed to somebody else or changed.  @ret: replaced; exact
 * length plain. */
MUST_CHECK int seal_box_open(const struct seal_pair *pair, struct slice sealed, struct buf *ret,
			     struct err *err);

/* Derives both key pairs from a seed (docs/format.md "Identities").  @ret: in secret memory. */
void seal_pair_from_seed(const struct seal_key *seed, struct seal_pair *ret);

/* The fingerprint of a pair of public keys. */
void seal_fingerprint(const struct seal_box_pk *box, const struct seal_sign_pk *sign,
		      struct fingerprint *ret);

/**
 * seal_sign - Ed25519 over "tillfs/<kind>/1\0" followed by @bytes.
 */
void seal_sign(const struct seal_pair *pair, const char *kind, struct slice bytes,
	       uint8_t ret[SEAL_SIGNATURE_LEN]);

/* Ed25519 over @bytes as they are, for who checks it with other tools.  They must not begin with
 * "tillfs/", so that no such signature passes for one of seal_sign. */
void seal_sign_plain(const struct seal_pair *pair, struct slice bytes,
		     uint8_t ret[SEAL_SIGNATURE_LEN]);

/* Return: 0, or ERR_AUTH. */
MUST_CHECK int seal_verify(const struct seal_sign_pk *pk, const char *kind, struct slice bytes,
			   const uint8_t signature[SEAL_SIGNATURE_LEN], struct err *err);

/**
 * seal_password - Argon2id.
 * Cost: @memory_bytes of memory for as long as it runs, about a second at the default.
 * Return: 0, or ERR_INVALID when the parameters are out of bounds (ops 1…16, memory 8 MiB…1 GiB).
 */
#define SEAL_PASSWORD_OPS    3u
#define SEAL_PASSWORD_MEMORY (256u * MIB)
MUST_CHECK int seal_password(struct slice passphrase, const uint8_t salt[SEAL_SALT_LEN],
			     uint32_t ops, uint64_t memory_bytes, struct seal_key *ret,
			     struct err *err);

/* Base64 (RFC 4648, with padding) for key files. */
void seal_base64_append(struct buf *b, struct slice bytes);
MUST_CHECK bool seal_base64_parse(struct slice text, struct buf *ret);

/* SHA-256 and HMAC-SHA-256, for the signatures that storage services want. */
void seal_sha256(const void *p, size_t len, struct hash *ret);
/* A running one. */
struct seal_sha256;
struct seal_sha256 *seal_sha256_new(void);
void seal_sha256_add(struct seal_sha256 *s, const void *p, size_t len);
void seal_sha256_finish(struct seal_sha256 *s, struct hash *ret);
void seal_sha256_free(struct seal_sha256 *s);
DEFINE_FREEP(struct seal_sha256 *, seal_sha256_free)
void seal_hmac_sha256(struct slice key, struct slice message, struct hash *ret);

/* A running BLAKE2b-256, for what comes in pieces. */
struct seal_hasher;
struct seal_hasher *seal_hasher_new(void);
void seal_hasher_add(struct seal_hasher *h, const void *p, size_t len);
void seal_hasher_finish(struct seal_hasher *h, struct hash *ret);
void seal_hasher_free(struct seal_hasher *h);
DEFINE_FREEP(struct seal_hasher *, seal_hasher_free)

#endif /* TILLFS_SEAL_H */
