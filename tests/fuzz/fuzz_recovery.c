/*
 * fuzz_recovery.c - what people type from recovery sheets.
 */
#include "tillfs/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is accepted is printed, and accepted again as the same. */
static void
print_again(const struct recovery *r)
{
	CLEANUP(recovery_fini) struct recovery again = {0};
	CLEANUP(buf_fini) struct buf page = BUF_INIT;
	struct fingerprint self = {0};
	struct err err = ERR_INIT;

	recovery_format(r, &self, &page);
	if (recovery_parse(buf_slice(&page), "again", &again, &err) < 0 ||
	    again.n_pins != r->n_pins || !seal_equal(again.seed, r->seed, sizeof *r->seed))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(recovery_fini) struct recovery r = {0};
	struct err err = ERR_INIT;

	seal_start();
	if (recovery_parse(slice_of(data, len), "fuzz", &r, &err) == 0)
		print_again(&r);
	else if (strstr(err.msg, "fuzz") == NULL)
		abort(); /* refused without naming the file */
	return 0;
}
