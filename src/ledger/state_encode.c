/*
 * state_encode.c - the state as bytes, for summaries: the same decisions give the same bytes.
 *
 * Layer 2.  Format: docs/format.md section 7.1.
 */
#include "internal.h"

static void
put_fixed(struct buf *b, const void *p, size_t len)
{
	cbor_put_bytes(b, p, len);
}

static void
put_set(struct buf *b, const struct hash *set, size_t n)
{
	cbor_put_bytes(b, set, n * sizeof *set);
}

static void
put_admin(struct buf *b, const struct ledger_admin *a)
{
	cbor_put_array(b, 6);
	put_fixed(b, a->box_pk.b, sizeof a->box_pk.b);
	put_fixed(b, a->sign_pk.b, sizeof a->sign_pk.b);
	cbor_put_bytes(b, a->name_sealed.p, a->name_sealed.len);
	cbor_put_bytes(b, a->roster_box.p, a->roster_box.len);
	cbor_put_int(b, a->since);
	cbor_put_bool(b, a->removed);
}

static void
put_keys(struct buf *b, const struct ledger_writer *w)
{
	cbor_put_array(b, w->n_keys);
	for (size_t i = 0; i < w->n_keys; i++) {
		cbor_put_array(b, 3);
		cbor_put_uint(b, w->keys[i].from_seq);
		put_fixed(b, w->keys[i].box_pk.b, sizeof w->keys[i].box_pk.b);
		put_fixed(b, w->keys[i].sign_pk.b, sizeof w->keys[i].sign_pk.b);
	}
}

static void
put_revocation(struct buf *b, const struct ledger_writer *w)
{
	cbor_put_array(b, w->revoked ? 2 : 0);
	if (!w->revoked)
		return;
	cbor_put_uint(b, w->last_seq);
	cbor_put_bytes(b, w->last_id.h.b, w->last_seq > 0 ? sizeof w->last_id.h.b : 0);
}

static void
put_writer(struct buf *b, const struct ledger_writer *w)
{
	cbor_put_array(b, 10);
	put_fixed(b, w->id.b, sizeof w->id.b);
	put_keys(b, w);
	cbor_put_bytes(b, w->name_sealed.p, w->name_sealed.len);
	cbor_put_int(b, w->since);
	put_revocation(b, w);
	put_set(b, w->forgotten, w->n_forgotten);
	put_set(b, w->retired, w->n_retired);
	cbor_put_array(b, w->n_retired);
	for (size_t i = 0; i < w->n_retired; i++)
		cbor_put_int(b, w->retired_at[i]);
	put_set(b, w->deleted, w->n_deleted);
	put_set(b, w->damaged, w->n_damaged);
}

static void
put_grant(struct buf *b, const struct ledger_grant *g)
{
	cbor_put_array(b, 8);
	put_fixed(b, g->id, sizeof g->id);
	put_fixed(b, g->box_pk.b, sizeof g->box_pk.b);
	put_fixed(b, g->sign_pk.b, sizeof g->sign_pk.b);
	cbor_put_bytes(b, g->terms_sealed.p, g->terms_sealed.len);
	cbor_put_bytes(b, g->roster_box.p, g->roster_box.len);
	cbor_put_array(b, g->has_expiry ? 1 : 0);
	if (g->has_expiry)
		cbor_put_int(b, g->expiry);
	cbor_put_int(b, g->since);
	cbor_put_bool(b, g->ended);
}

static void
put_hold(struct buf *b, const struct ledger_hold *h)
{
	cbor_put_array(b, 4);
	put_fixed(b, h->id, sizeof h->id);
	cbor_put_bytes(b, h->terms_sealed.p, h->terms_sealed.len);
	cbor_put_int(b, h->since);
	cbor_put_bool(b, h->lifted);
}

void
ledger_state_encode(const struct ledger_state *s, struct buf *ret)
{
	cbor_put_array(ret, 5);
	cbor_put_array(ret, s->n_admins);
	for (size_t i = 0; i < s->n_admins; i++)
		put_admin(ret, &s->admins[i]);
	cbor_put_array(ret, s->n_writers);
	for (size_t i = 0; i < s->n_writers; i++)
		put_writer(ret, &s->writers[i]);
	cbor_put_array(ret, s->n_grants);
	for (size_t i = 0; i < s->n_grants; i++)
		put_grant(ret, &s->grants[i]);
	cbor_put_array(ret, s->n_holds);
	for (size_t i = 0; i < s->n_holds; i++)
		put_hold(ret, &s->holds[i]);
	put_set(ret, s->merged, s->n_merged);
}
