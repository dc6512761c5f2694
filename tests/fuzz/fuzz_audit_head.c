/*
 * fuzz_audit_head.c - a published head of an access log, as a hostile storage would have it.
 */
#include "tillfs/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct audit_head h;
	struct fingerprint signer;
	struct err err = ERR_INIT;

	seal_start();
	if (audit_head_parse(slice_of(data, len), &h, &err) < 0) {
		if (h.seq != 0 || err.msg[0] == '\0')
			abort(); /* half-made, or refused without saying why */
		return 0;
	}
	seal_fingerprint(&h.box_pk, &h.sign_pk, &signer);
	if (!hash_equal(&signer.h, &h.signer.h))
		abort();
	return 0;
}
