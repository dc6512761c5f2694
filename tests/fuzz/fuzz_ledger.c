/*
 * fuzz_ledger.c - a ledger entry, and what it does to a state.
 *
 * No mutation keeps a signature, so what parses is signed again by an admin, and applied.
 */
#include "tillfs/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct seal_pair *
admin_pair(void)
{
	static struct seal_pair *pair;

	if (pair == NULL) {
		struct seal_key seed;

		seal_start();
		memset(seed.b, 1, sizeof seed.b);
		pair = secret_new(sizeof *pair);
		seal_pair_from_seed(&seed, pair);
	}
	return pair;
}

/* The state of a repository in which @e is what comes next. */
static void
state_before(const struct ledger_entry *e, const struct seal_pair *admin, struct ledger_state *ret)
{
	struct repo_config c = {.repo = e->repo,
				.founder_box = admin->box_pk,
				.founder_sign = admin->sign_pk,
				.id = e->prev};

	seal_fingerprint(&c.founder_box, &c.founder_sign, &c.founder);
	ledger_state_init(ret, &c);
	ret->head.seq = e->seq - 1;
}

static void
check_applied(struct ledger_state *s, const struct ledger_entry *e)
{
	CLEANUP(buf_fini) struct buf before = BUF_INIT;
	CLEANUP(buf_fini) struct buf after = BUF_INIT;
	struct err err = ERR_INIT;
	int r;

	ledger_state_encode(s, &before);
	r = ledger_apply(s, e, &err);
	ledger_state_encode(s, &after);
	if (r == 0 && !hash_equal(&s->head.id, &e->id))
		abort();
	if (r < 0 && (!slice_equal(buf_slice(&before), buf_slice(&after)) || err.msg[0] == '\0'))
		abort(); /* refused, and yet something changed, or without saying why */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct seal_pair *admin = admin_pair();
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(buf_fini) struct buf signed_again = BUF_INIT;
	CLEANUP(ledger_entry_freep) struct ledger_entry *given = NULL;
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	CLEANUP(ledger_state_fini) struct ledger_state s = {0};
	struct hash id;

	buf_append(&bytes, data, len);
	if (ledger_entry_parse(&bytes, &given, NULL) < 0)
		return 0;
	seal_fingerprint(&admin->box_pk, &admin->sign_pk, &given->author);
	ledger_entry_encode(given, admin, &signed_again, &id);
	if (ledger_entry_parse(&signed_again, &e, NULL) < 0 || !hash_equal(&e->id, &id) ||
	    e->n_decisions != given->n_decisions)
		abort(); /* what we write we can read */
	state_before(e, admin, &s);
	check_applied(&s, e);
	return 0;
}
