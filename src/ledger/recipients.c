/*
 * recipients.c - whom keys are sealed to: the admins, and a class's standing auditors.
 *
 * Layer 2.  Format: docs/format.md sections 5, 7 and 8.1.
 */
#include "internal.h"

struct people {
	struct recipient *v;
	size_t n, cap;
};

static void
people_fini(struct people *p)
{
	free(p->v);
}

static void
people_add(struct people *p, const struct fingerprint *f, const struct seal_box_pk *box_pk)
{
	for (size_t i = 0; i < p->n; i++)
		if (hash_equal(&p->v[i].fingerprint.h, &f->h))
			return;
	array_reserve(p->v, p->n, p->cap);
	p->v[p->n++] = (struct recipient){*f, *box_pk};
}

static int
recipient_cmp(const void *a, const void *b)
{
	const struct recipient *x = a, *y = b;

	return memcmp(&x->fingerprint, &y->fingerprint, sizeof x->fingerprint);
}

/* Hands the list over in fingerprint order; NULL when there is nobody. */
static void
people_finish(struct people *p, struct recipient **ret, size_t *ret_n)
{
	if (p->n > 0)
		qsort(p->v, p->n, sizeof *p->v, recipient_cmp);
	*ret_n = p->n;
	*ret = steal_ptr(&p->v);
}

static void
add_admins(struct people *p, const struct ledger_state *s)
{
	for (size_t i = 0; i < s->n_admins; i++)
		if (!s->admins[i].removed)
			people_add(p, &s->admins[i].fingerprint, &s->admins[i].box_pk);
}

void
ledger_admin_recipients(const struct ledger_state *s, struct recipient **ret, size_t *ret_n)
{
	CLEANUP(people_fini) struct people p = {0};

	add_admins(&p, s);
	people_finish(&p, ret, ret_n);
}

static bool
terms_cover(const struct grant_terms *t, const struct writer_id *writer, const char *class_name)
{
	bool covers_class = t->n_classes == 0 || class_name == NULL,
	     covers_writer = t->n_writers == 0;

	for (size_t i = 0; i < t->n_classes && !covers_class; i++)
		covers_class = slice_equal(t->classes[i], slice_str(class_name));
	for (size_t i = 0; i < t->n_writers; i++)
		covers_writer |= writer_id_equal(&t->writers[i], writer);
	return covers_class && covers_writer;
}

int
ledger_grant_covers(const struct ledger_grant *g, const struct seal_key *roster,
		    const struct writer_id *writer, const char *class_name, bool *ret,
		    struct err *err)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(grant_terms_fini) struct grant_terms terms = {0};
	int r;

	*ret = false;
	r = roster_open(roster, buf_slice(&g->terms_sealed), &plain, err);
	if (r == 0)
		r = grant_terms_parse(buf_slice(&plain), &terms, err);
	if (r < 0)
		return err_add(err, r, "standing grant %s", hex_bytes(g->id, sizeof g->id).s);
	*ret = terms_cover(&terms, writer, class_name);
	return 0;
}

int
ledger_class_recipients(const struct ledger_state *s, const struct seal_key *roster,
			const struct writer_id *writer, const char *class_name, int64_t now,
			struct recipient **ret, size_t *ret_n, struct recipient **auditors,
			size_t *n_auditors, struct err *err)
{
	CLEANUP(people_fini) struct people all = {0};
	CLEANUP(people_fini) struct people only = {0};

	*ret = NULL;
	*ret_n = 0;
	if (auditors != NULL) {
		*auditors = NULL;
		*n_auditors = 0;
	}
	add_admins(&all, s);
	for (size_t i = 0; i < s->n_grants; i++) {
		const struct ledger_grant *g = &s->grants[i];
		bool covers;
		int r;

		if (g->ended || (g->has_expiry && now >= g->expiry))
			continue;
		r = ledger_grant_covers(g, roster, writer, class_name, &covers, err);
		if (r < 0)
			return r;
		if (!covers)
			continue;
		people_add(&all, &g->fingerprint, &g->box_pk);
		people_add(&only, &g->fingerprint, &g->box_pk);
	}
	if (all.n > PACK_KEYS_MAX)
		return err_set(err, ERR_INVALID,
			       "class %s would be sealed to %zu people, and %u is the most; end "
			       "standing grants that are no longer needed",
			       class_name, all.n, PACK_KEYS_MAX);
	people_finish(&all, ret, ret_n);
	if (auditors != NULL)
		people_finish(&only, auditors, n_auditors);
	return 0;
}
