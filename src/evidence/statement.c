/*
 * statement.c - text that is signed as it is, so that openssl checks it.
 */
#include <string.h>

#include "internal.h"

/* SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), before the key itself. */
static const uint8_t spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
			       0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

void
statement_pem(const struct seal_sign_pk *pk, struct buf *ret)
{
	uint8_t der[sizeof spki + sizeof pk->b];

	memcpy(der, spki, sizeof spki);
	memcpy(der + sizeof spki, pk->b, sizeof pk->b);
	buf_append_str(ret, "-----BEGIN PUBLIC KEY-----\n");
	seal_base64_append(ret, slice_of(der, sizeof der));
	buf_append_str(ret, "\n-----END PUBLIC KEY-----\n");
}

int
evidence_file_write(const char *dir, const char *name, struct slice bytes, struct err *err)
{
	CLEANUP(freep) char *path = str_format("%s/%s", dir, name);

	return file_write_atomic(path, bytes, 0644, err);
}

int
statement_write(const char *dir, const char *name, struct slice text,
		const struct seal_pair *signer, struct err *err)
{
	CLEANUP(freep) char *sig_name = str_format("%s.sig", name);
	CLEANUP(buf_fini) struct buf pem = BUF_INIT;
	uint8_t sig[SEAL_SIGNATURE_LEN];
	int r;

	seal_sign_plain(signer, text, sig);
	statement_pem(&signer->sign_pk, &pem);
	r = evidence_file_write(dir, name, text, err);
	if (r == 0)
		r = evidence_file_write(dir, sig_name, slice_of(sig, sizeof sig), err);
	return r < 0 ? r : evidence_file_write(dir, "signer.pem", buf_slice(&pem), err);
}
