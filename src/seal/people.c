/*
 * people.c - key pairs from a seed, fingerprints, signatures.
 *
 * Layer 1.  Format: docs/format.md "Primitives" (sign) and "People".
 */
#include <assert.h>
#include <sodium.h>

#include "tillfs/seal.h"

_Static_assert(SEAL_SIGNATURE_LEN == crypto_sign_BYTES, "signature");

void
seal_pair_from_seed(const struct seal_key *seed, struct seal_pair *ret)
{
	CLEANUP(seal_key_wipe) struct seal_key box_seed = {0};
	CLEANUP(seal_key_wipe) struct seal_key sign_seed = {0};

	seal_derive(seed, "tillfs id box", slice_of(NULL, 0), &box_seed);
	seal_derive(seed, "tillfs id sign", slice_of(NULL, 0), &sign_seed);
	(void)crypto_box_seed_keypair(ret->box_pk.b, ret->box_sk, box_seed.b);
	(void)crypto_sign_seed_keypair(ret->sign_pk.b, ret->sign_sk, sign_seed.b);
}

void
seal_fingerprint(const struct seal_box_pk *box, const struct seal_sign_pk *sign,
		 struct fingerprint *ret)
{
	uint8_t both[sizeof(box->b) + sizeof(sign->b)];

	memcpy(both, box->b, sizeof(box->b));
	memcpy(both + sizeof(box->b), sign->b, sizeof(sign->b));
	seal_hash_purpose("tillfs finger", both, sizeof(both), &ret->h);
}

/* What is signed: the kind makes a signature worthless for any other kind of object. */
static void
signed_bytes(const char *kind, struct slice bytes, struct buf *ret)
{
	buf_reserve(ret, bytes.len + strlen(kind) + 16);
	buf_append_str(ret, "tillfs/");
	buf_append_str(ret, kind);
	buf_append(ret, "/1", sizeof("/1")); /* with its NUL */
	buf_append(ret, bytes.p, bytes.len);
}

void
seal_sign(const struct seal_pair *pair, const char *kind, struct slice bytes,
	  uint8_t ret[SEAL_SIGNATURE_LEN])
{
	CLEANUP(buf_fini) struct buf message = BUF_INIT;

	signed_bytes(kind, bytes, &message);
	(void)crypto_sign_detached(ret, NULL, message.p, message.len, pair->sign_sk);
}

void
seal_sign_plain(const struct seal_pair *pair, struct slice bytes, uint8_t ret[SEAL_SIGNATURE_LEN])
{
	static const char prefix[] = "tillfs/";

	assert(bytes.len < sizeof prefix - 1 || memcmp(bytes.p, prefix, sizeof prefix - 1) != 0);
	(void)crypto_sign_detached(ret, NULL, bytes.p, bytes.len, pair->sign_sk);
}

int
seal_verify(const struct seal_sign_pk *pk, const char *kind, struct slice bytes,
	    const uint8_t signature[SEAL_SIGNATURE_LEN], struct err *err)
{
	CLEANUP(buf_fini) struct buf message = BUF_INIT;

	signed_bytes(kind, bytes, &message);
	if (crypto_sign_verify_detached(signature, message.p, message.len, pk->b) != 0)
		return err_set(err, ERR_AUTH, "the signature doesn't fit");
	return 0;
}
