/*
 * seal.c - the skin over libsodium.
 *
 * Layer 1.  Format: docs/format.md section 1.
 */
#include "tillfs/seal.h"

#include <sodium.h>
#include <stdio.h>

void
seal_start(void)
{
	if (sodium_init() < 0) {
		fprintf(stderr, "tillfs: libsodium can't start\n");
		abort();
	}
}

void *
secret_new(size_t len)
{
	void *p = sodium_malloc(len > 0 ? len : 1);

	if (p == NULL) {
		fprintf(stderr, "tillfs: out of memory for secrets\n");
		abort();
	}
	memset(p, 0, len);
	return p;
}

void
secret_free(void *p)
{
	sodium_free(p);
}

void
secret_freep(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;

	sodium_free(*p);
	*p = NULL;
}

void
seal_key_wipe(struct seal_key *key)
{
	sodium_memzero(key, sizeof *key);
}

void
seal_wipe(void *p, size_t len)
{
	sodium_memzero(p, len);
}

void
seal_random(void *ret, size_t len)
{
	randombytes_buf(ret, len);
}

uint64_t
seal_random_below(uint64_t limit)
{
	uint64_t v, usable = limit == 0 ? 0 : UINT64_MAX - UINT64_MAX % limit;

	if (limit == 0)
		return 0;
	do
		randombytes_buf(&v, sizeof v);
	while (v >= usable);
	return v % limit;
}

bool
seal_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

static void
blake2b(const void *key, size_t key_len, const char *purpose, const void *p, size_t len, void *ret)
{
	uint8_t personal[16] = {0};

	memcpy(personal, purpose, strnlen(purpose, sizeof personal));
	crypto_generichash_blake2b_salt_personal(ret, 32, p, len, key, key_len, NULL, personal);
}

void
seal_hash(const void *p, size_t len, struct hash *ret)
{
	crypto_generichash(ret->b, sizeof ret->b, p, len, NULL, 0);
}

void
seal_hash_keyed(const struct seal_key *key, const char *purpose, const void *p, size_t len,
		struct hash *ret)
{
	blake2b(key->b, sizeof key->b, purpose, p, len, ret->b);
}

void
seal_hash_purpose(const char *purpose, const void *p, size_t len, struct hash *ret)
{
	blake2b(NULL, 0, purpose, p, len, ret->b);
}

void
seal_derive(const struct seal_key *key, const char *purpose, struct slice message,
	    struct seal_key *ret)
{
	blake2b(key->b, sizeof key->b, purpose, message.p, message.len, ret->b);
}

static const uint8_t zero_nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

void
seal_encrypt(const struct seal_key *key, struct slice plain, struct buf *ret)
{
	uint8_t *to = buf_extend(ret, plain.len + SEAL_TAG_LEN);

	crypto_aead_xchacha20poly1305_ietf_encrypt(to, NULL, plain.p, plain.len, NULL, 0, NULL,
						   zero_nonce, key->b);
}

int
seal_decrypt(const struct seal_key *key, struct slice sealed, struct buf *ret, struct err *err)
{
	uint8_t *to;

	buf_reset(ret);
	if (sealed.len < SEAL_TAG_LEN)
		return err_set(err, ERR_AUTH, "sealed bytes are too short");
	to = buf_extend(ret, sealed.len - SEAL_TAG_LEN);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(to, NULL, NULL, sealed.p, sealed.len, NULL,
						       0, zero_nonce, key->b) != 0) {
		buf_reset(ret);
		return err_set(err, ERR_AUTH, "sealed bytes don't open with this key");
	}
	return 0;
}

void
seal_box(const struct seal_box_pk *to, struct slice plain, struct buf *ret)
{
	uint8_t *out = buf_extend(ret, plain.len + SEAL_BOX_LEN);

	/* Fails only for a public key of low order, which then nobody can open: as good as none. */
	if (crypto_box_seal(out, plain.p, plain.len, to->b) != 0)
		randombytes_buf(out, plain.len + SEAL_BOX_LEN);
}

int
seal_box_open(const struct seal_pair *pair, struct slice sealed, struct buf *ret, struct err *err)
{
	uint8_t *to;

	buf_reset(ret);
	if (sealed.len < SEAL_BOX_LEN)
		return err_set(err, ERR_AUTH, "a sealed box is too short");
	to = buf_extend(ret, sealed.len - SEAL_BOX_LEN);
	if (crypto_box_seal_open(to, sealed.p, sealed.len, pair->box_pk.b, pair->box_sk) != 0) {
		buf_reset(ret);
		return err_set(err, ERR_AUTH, "a box is sealed to somebody else, or was changed");
	}
	return 0;
}

void
seal_pair_from_seed(const struct seal_key *seed, struct seal_pair *ret)
{
	CLEANUP(seal_key_wipe) struct seal_key k;

	seal_derive(seed, "tillfs id box", slice_of("", 0), &k);
	crypto_box_seed_keypair(ret->box_pk.b, ret->box_sk, k.b);
	seal_derive(seed, "tillfs id sign", slice_of("", 0), &k);
	crypto_sign_seed_keypair(ret->sign_pk.b, ret->sign_sk, k.b);
}

void
seal_fingerprint(const struct seal_box_pk *box, const struct seal_sign_pk *sign,
		 struct fingerprint *ret)
{
	uint8_t both[64];

	memcpy(both, box->b, 32);
	memcpy(both + 32, sign->b, 32);
	seal_hash_purpose("tillfs finger", both, sizeof both, &ret->h);
}

static void
signed_bytes(const char *kind, struct slice bytes, struct buf *ret)
{
	buf_append_str(ret, "tillfs/");
	buf_append_str(ret, kind);
	buf_append(ret, "/1", 3);
	buf_append(ret, bytes.p, bytes.len);
}

void
seal_sign(const struct seal_pair *pair, const char *kind, struct slice bytes,
	  uint8_t ret[SEAL_SIGNATURE_LEN])
{
	CLEANUP(buf_fini) struct buf m = BUF_INIT;

	signed_bytes(kind, bytes, &m);
	crypto_sign_detached(ret, NULL, m.p, m.len, pair->sign_sk);
}

int
seal_verify(const struct seal_sign_pk *pk, const char *kind, struct slice bytes,
	    const uint8_t signature[SEAL_SIGNATURE_LEN], struct err *err)
{
	CLEANUP(buf_fini) struct buf m = BUF_INIT;

	signed_bytes(kind, bytes, &m);
	if (crypto_sign_verify_detached(signature, m.p, m.len, pk->b) != 0)
		return err_set(err, ERR_AUTH, "the %s's signature is wrong", kind);
	return 0;
}

int
seal_password(struct slice passphrase, const uint8_t salt[SEAL_SALT_LEN], uint32_t ops,
	      uint64_t memory_bytes, struct seal_key *ret, struct err *err)
{
	if (ops < 1 || ops > 16 || memory_bytes < 8 * MIB || memory_bytes > 1024u * MIB)
		return err_set(err, ERR_INVALID, "Argon2id parameters out of bounds");
	if (crypto_pwhash(ret->b, sizeof ret->b, (const char *)passphrase.p, passphrase.len, salt,
			  ops, memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, ERR_IO, "not enough memory for Argon2id (%llu MiB)",
			       (unsigned long long)(memory_bytes / MIB));
	return 0;
}

void
seal_base64_append(struct buf *b, struct slice bytes)
{
	size_t len = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
	char *to = (char *)buf_extend(b, len);

	sodium_bin2base64(to, len, bytes.p, bytes.len, sodium_base64_VARIANT_ORIGINAL);
	b->len--; /* the NUL */
}

bool
seal_base64_parse(struct slice text, struct buf *ret)
{
	const char *end = NULL;
	size_t len = 0;
	uint8_t *to;

	buf_reset(ret);
	to = buf_extend(ret, text.len / 4 * 3 + 3);
	if (sodium_base642bin(to, ret->len, (const char *)text.p, text.len, NULL, &len, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != (const char *)text.p + text.len) {
		buf_reset(ret);
		return false;
	}
	ret->len = len;
	return true;
}

struct seal_hasher {
	crypto_generichash_state state;
};

struct seal_hasher *
seal_hasher_new(void)
{
	/* The state wants more alignment than malloc promises. */
	struct seal_hasher *h = aligned_alloc(64, sizeof *h);

	if (h == NULL)
		abort();
	crypto_generichash_init(&h->state, NULL, 0, 32);
	return h;
}

void
seal_hasher_add(struct seal_hasher *h, const void *p, size_t len)
{
	crypto_generichash_update(&h->state, p, len);
}

void
seal_hasher_finish(struct seal_hasher *h, struct hash *ret)
{
	crypto_generichash_final(&h->state, ret->b, sizeof ret->b);
}

void
seal_hasher_free(struct seal_hasher *h)
{
	free(h);
}
