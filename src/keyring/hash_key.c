/*
 * hash_key.c - the key under which a writer names the chunks of a class.
 *
 * It changes with the class's standing auditors, so that deduplication never crosses sets of
 * readers.
 *
 * Layer 2.  Format: docs/format.md section 1.
 */
#include <assert.h>

#include "internal.h"

void
writer_hash_key(const struct writer_file *w, const char *class_name,
		const struct recipient *auditors, size_t n_auditors, struct seal_key *ret)
{
	CLEANUP(secret_freep) struct seal_key *secret = secret_new(sizeof *secret);
	CLEANUP(buf_fini) struct buf message = BUF_INIT;

	assert(w->enrolled);
	seal_derive(w->seed, "tillfs chunk sec",
		    slice_of(w->card.pin.repo.b, sizeof w->card.pin.repo.b), secret);
	buf_append_lp(&message, class_name, strlen(class_name));
	for (size_t i = 0; i < n_auditors; i++) {
		const struct fingerprint *f = &auditors[i].fingerprint;

		assert(i == 0 || memcmp(&auditors[i - 1].fingerprint, f, sizeof *f) < 0);
		buf_append(&message, f->h.b, sizeof f->h.b);
	}
	seal_derive(secret, "tillfs hash key", buf_slice(&message), ret);
}
