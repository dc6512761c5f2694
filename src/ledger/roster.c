/*
 * roster.c - roster messages: what all who hold the roster key may read and the storage may not.
 *
 * Layer 2.  Format: docs/format.md section 1, "Roster message".
 */
#include <assert.h>

#include "internal.h"

static void
derive(const struct seal_key *roster, const uint8_t *nonce, struct seal_key *ret)
{
	seal_derive(roster, "tillfs roster", slice_of(nonce, ROSTER_NONCE_LEN), ret);
}

void
roster_seal(const struct seal_key *roster, struct slice plain, struct buf *ret)
{
	CLEANUP(secret_freep) struct seal_key *key = secret_new(sizeof *key);
	uint8_t nonce[ROSTER_NONCE_LEN];

	assert(plain.len <= ROSTER_MAX);
	seal_random(nonce, sizeof nonce);
	derive(roster, nonce, key);
	buf_append(ret, nonce, sizeof nonce);
	seal_encrypt(key, plain, ret);
}

int
roster_open(const struct seal_key *roster, struct slice sealed, struct buf *ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *key = secret_new(sizeof *key);

	buf_reset(ret);
	if (sealed.len < ROSTER_OVERHEAD || sealed.len > ROSTER_SEALED_MAX)
		return err_set(err, ERR_AUTH, "a roster message can't have %zu bytes", sealed.len);
	derive(roster, sealed.p, key);
	if (seal_decrypt(key, slice_of(sealed.p + ROSTER_NONCE_LEN, sealed.len - ROSTER_NONCE_LEN),
			 ret, NULL) < 0)
		return err_set(err, ERR_AUTH,
			       "a name or case reference doesn't open with the roster key");
	return 0;
}
