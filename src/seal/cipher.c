/*
 * cipher.c - encryption under a key, to a person, and keys from passphrases.
 *
 * Layer 1.  Format: docs/format.md "Primitives", E and box.
 */
#include <inttypes.h>
#include <sodium.h>

#include "tillfs/seal.h"

_Static_assert(SEAL_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SEAL_BOX_LEN == crypto_box_SEALBYTES, "box");
_Static_assert(SEAL_SALT_LEN == crypto_pwhash_argon2id_SALTBYTES, "salt");

#define PASSWORD_OPS_MAX    16u
#define PASSWORD_MEMORY_MIN ((uint64_t)8 * MIB)
#define PASSWORD_MEMORY_MAX ((uint64_t)1024 * MIB)

/* A key encrypts one message ever, so a nonce would distinguish nothing. */
static const uint8_t zero_nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

void
seal_encrypt(const struct seal_key *key, struct slice plain, struct buf *ret)
{
	uint8_t *sealed = buf_extend(ret, plain.len + SEAL_TAG_LEN);

	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain.p, plain.len, NULL, 0,
							 NULL, zero_nonce, key->b);
}

int
seal_decrypt(const struct seal_key *key, struct slice sealed, struct buf *ret, struct err *err)
{
	buf_reset(ret);
	if (sealed.len < SEAL_TAG_LEN)
		return err_set(err, ERR_AUTH, "%zu bytes are too few for a sealed message",
			       sealed.len);

	/* One byte too much, so that there is an address even for an empty plaintext. */
	buf_reserve(ret, sealed.len - SEAL_TAG_LEN + 1);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret->p, NULL, NULL, sealed.p, sealed.len,
						       NULL, 0, zero_nonce, key->b) != 0)
		return err_set(err, ERR_AUTH,
			       "the bytes were changed, or sealed under another key");
	ret->len = sealed.len - SEAL_TAG_LEN;
	return 0;
}

void
seal_box(const struct seal_box_pk *to, struct slice plain, struct buf *ret)
{
	uint8_t *sealed = buf_extend(ret, plain.len + SEAL_BOX_LEN);

	/*
	 * It fails for a public key of low order only, which no seed derives.  Then nobody may be
	 * able to open the box, least of all everybody: it holds random bytes.
	 */
	if (crypto_box_seal(sealed, plain.p, plain.len, to->b) != 0)
		randombytes_buf(sealed, plain.len + SEAL_BOX_LEN);
}

int
seal_box_open(const struct seal_pair *pair, struct slice sealed, struct buf *ret, struct err *err)
{
	buf_reset(ret);
	if (sealed.len < SEAL_BOX_LEN)
		return err_set(err, ERR_AUTH, "%zu bytes are too few for a sealed box", sealed.len);

	buf_reserve(ret, sealed.len - SEAL_BOX_LEN + 1);
	if (crypto_box_seal_open(ret->p, sealed.p, sealed.len, pair->box_pk.b, pair->box_sk) != 0)
		return err_set(err, ERR_AUTH, "the box was sealed to somebody else, or changed");
	ret->len = sealed.len - SEAL_BOX_LEN;
	return 0;
}

int
seal_password(struct slice passphrase, const uint8_t salt[SEAL_SALT_LEN], uint32_t ops,
	      uint64_t memory_bytes, struct seal_key *ret, struct err *err)
{
	const char *text = passphrase.len > 0 ? (const char *)passphrase.p : "";

	seal_key_wipe(ret);
	if (ops < 1 || ops > PASSWORD_OPS_MAX || memory_bytes < PASSWORD_MEMORY_MIN ||
	    memory_bytes > PASSWORD_MEMORY_MAX)
		return err_set(err, ERR_INVALID,
			       "Argon2id with %" PRIu32 " passes over %" PRIu64
			       " bytes is out of bounds (1 to 16 passes, 8 MiB to 1 GiB)",
			       ops, memory_bytes);

	if (crypto_pwhash(ret->b, sizeof(ret->b), text, passphrase.len, salt, ops,
			  (size_t)memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, ERR_IO,
			       "not enough memory to unlock a key: Argon2id needs %" PRIu64 " MiB",
			       memory_bytes / MIB);
	return 0;
}
