/*
 * fuzz_repo_config.c - the repository's config object, as a hostile storage would have it.
 */
#include "tillfs/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(repo_config_fini) struct repo_config c = {0};
	CLEANUP(ledger_state_fini) struct ledger_state s = {0};
	struct err err = ERR_INIT;

	seal_start();
	if (config_object_parse(slice_of(data, len), NULL, &c, &err) < 0) {
		if (c.roster_box.p != NULL || err.msg[0] == '\0')
			abort(); /* half-made, or refused without saying why */
		return 0;
	}
	/* Whatever is accepted makes a state whose only admin is the founder. */
	ledger_state_init(&s, &c);
	if (!ledger_is_admin(&s, &c.founder))
		abort();
	return 0;
}
