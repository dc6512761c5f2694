/*
 * state.c - what the entries add up to: its lists, and questions to them.
 *
 * A site has tens of people and up to about a thousand writers, so lists are searched one by one.
 *
 * Layer 2.  Format: docs/format.md section 7.1.
 */
#include "internal.h"

void
ledger_state_init(struct ledger_state *s, const struct repo_config *config)
{
	struct ledger_admin *founder;

	*s = (struct ledger_state){.repo = config->repo, .head = {.id = config->id}};
	array_reserve(s->admins, s->n_admins, s->cap_admins);
	founder = &s->admins[s->n_admins++];
	*founder = (struct ledger_admin){.fingerprint = config->founder,
					 .box_pk = config->founder_box,
					 .sign_pk = config->founder_sign,
					 .since = config->created};
	buf_append(&founder->roster_box, config->roster_box.p, config->roster_box.len);
}

void
admin_fini(struct ledger_admin *a)
{
	buf_fini(&a->name_sealed);
	buf_fini(&a->roster_box);
}

void
writer_fini(struct ledger_writer *w)
{
	free(w->keys);
	buf_fini(&w->name_sealed);
	free(w->forgotten);
	free(w->retired);
	free(w->retired_at);
	free(w->deleted);
	free(w->damaged);
}

void
grant_fini(struct ledger_grant *g)
{
	buf_fini(&g->terms_sealed);
	buf_fini(&g->roster_box);
}

void
hold_fini(struct ledger_hold *h)
{
	buf_fini(&h->terms_sealed);
}

void
ledger_state_fini(struct ledger_state *s)
{
	for (size_t i = 0; i < s->n_admins; i++)
		admin_fini(&s->admins[i]);
	for (size_t i = 0; i < s->n_writers; i++)
		writer_fini(&s->writers[i]);
	for (size_t i = 0; i < s->n_grants; i++)
		grant_fini(&s->grants[i]);
	for (size_t i = 0; i < s->n_holds; i++)
		hold_fini(&s->holds[i]);
	free(s->admins);
	free(s->writers);
	free(s->grants);
	free(s->holds);
	free(s->merged);
	*s = (struct ledger_state){0};
}

/* Who was removed and added again has two records; only one of them counts. */
struct ledger_admin *
find_admin(const struct ledger_state *s, const struct fingerprint *f)
{
	for (size_t i = 0; i < s->n_admins; i++)
		if (!s->admins[i].removed && hash_equal(&s->admins[i].fingerprint.h, &f->h))
			return &s->admins[i];
	return NULL;
}

struct ledger_writer *
find_writer(const struct ledger_state *s, const struct writer_id *id)
{
	for (size_t i = 0; i < s->n_writers; i++)
		if (writer_id_equal(&s->writers[i].id, id))
			return &s->writers[i];
	return NULL;
}

struct ledger_grant *
find_grant(const struct ledger_state *s, const uint8_t *id)
{
	for (size_t i = 0; i < s->n_grants; i++)
		if (memcmp(s->grants[i].id, id, GRANT_ID_LEN) == 0)
			return &s->grants[i];
	return NULL;
}

struct ledger_hold *
find_hold(const struct ledger_state *s, const uint8_t *id)
{
	for (size_t i = 0; i < s->n_holds; i++)
		if (memcmp(s->holds[i].id, id, GRANT_ID_LEN) == 0)
			return &s->holds[i];
	return NULL;
}

size_t
count_admins(const struct ledger_state *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_admins; i++)
		n += s->admins[i].removed ? 0 : 1;
	return n;
}

const struct ledger_writer *
ledger_find_writer(const struct ledger_state *s, const struct writer_id *id)
{
	return find_writer(s, id);
}

const struct seal_sign_pk *
ledger_writer_key_at(const struct ledger_writer *w, uint64_t seq)
{
	if (w == NULL || (w->revoked && seq > w->last_seq))
		return NULL;
	for (size_t i = w->n_keys; i-- > 0;)
		if (w->keys[i].from_seq <= seq)
			return &w->keys[i].sign_pk;
	return NULL;
}

bool
ledger_pack_usable(const struct ledger_writer *w, const struct pack_id *id)
{
	/* What was deleted stays retired. */
	return !hash_set_has(w->retired, w->n_retired, &id->h) &&
	       !hash_set_has(w->damaged, w->n_damaged, &id->h);
}

bool
ledger_is_admin(const struct ledger_state *s, const struct fingerprint *f)
{
	return find_admin(s, f) != NULL;
}
