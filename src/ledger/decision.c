/*
 * decision.c - one decision: [type, map].  A table says which keys each type has.
 *
 * Layer 2.  Format: docs/format.md section 7.
 */
#include <assert.h>

#include "internal.h"

/* What stands under a key, and in which field of struct decision. */
enum field_kind {
	END = 0,
	WRITER,
	BOX_PK,
	SIGN_PK,
	SEALED,
	ROSTER_BOX,
	PERSON,
	SEQ,
	ID,
	GRANT_ID,
	EXPIRY,
	HASHES,
};

struct field {
	uint8_t key;
	uint8_t kind; /* enum field_kind */
	bool may_lack;
};

#define FIELDS_MAX 6u

static const struct field shapes[][FIELDS_MAX + 1] = {
	[DECISION_ENROL_WRITER] = {{0, WRITER}, {1, BOX_PK}, {2, SIGN_PK}, {3, SEALED}},
	[DECISION_ADD_ADMIN] = {{1, BOX_PK}, {2, SIGN_PK}, {3, SEALED}, {4, ROSTER_BOX}},
	[DECISION_REMOVE_ADMIN] = {{0, PERSON}},
	[DECISION_REVOKE_WRITER] = {{0, WRITER}, {1, SEQ}, {2, ID, true}},
	[DECISION_ROTATE_WRITER] = {{0, WRITER}, {1, BOX_PK}, {2, SIGN_PK}, {3, SEQ}},
	[DECISION_STANDING_GRANT] = {{0, GRANT_ID},
				     {1, BOX_PK},
				     {2, SIGN_PK},
				     {3, SEALED},
				     {4, EXPIRY, true},
				     {5, ROSTER_BOX}},
	[DECISION_END_GRANT] = {{0, GRANT_ID}},
	[DECISION_FORGET] = {{0, WRITER}, {1, HASHES}},
	[DECISION_RETIRE] = {{0, WRITER}, {1, HASHES}},
	[DECISION_REVIVE] = {{0, WRITER}, {1, HASHES}},
	[DECISION_DELETED] = {{0, WRITER}, {1, HASHES}},
	[DECISION_DAMAGED] = {{0, WRITER}, {1, HASHES}},
	[DECISION_HOLD] = {{0, GRANT_ID}, {1, SEALED}},
	[DECISION_LIFT_HOLD] = {{0, GRANT_ID}},
	[DECISION_MERGE] = {{0, HASHES}},
	[DECISION_SUMMARY] = {{0, ID}},
};

static bool
is_known(uint64_t type)
{
	return type < ARRAY_LEN(shapes) && shapes[type][0].kind != END;
}

/* ---- writing */

static bool
has_field(const struct decision *d, const struct field *f)
{
	if (!f->may_lack)
		return true;
	return f->kind == ID ? d->has_id : d->has_expiry;
}

static void
put_field(struct buf *b, const struct decision *d, enum field_kind kind)
{
	switch (kind) {
	case WRITER:
		cbor_put_bytes(b, d->writer.b, sizeof d->writer.b);
		break;
	case BOX_PK:
		cbor_put_bytes(b, d->box_pk.b, sizeof d->box_pk.b);
		break;
	case SIGN_PK:
		cbor_put_bytes(b, d->sign_pk.b, sizeof d->sign_pk.b);
		break;
	case SEALED:
		assert(d->sealed.len >= ROSTER_OVERHEAD && d->sealed.len <= ROSTER_SEALED_MAX);
		cbor_put_bytes(b, d->sealed.p, d->sealed.len);
		break;
	case ROSTER_BOX:
		assert(d->roster_box.len == KEY_BOX_LEN);
		cbor_put_bytes(b, d->roster_box.p, d->roster_box.len);
		break;
	case PERSON:
		cbor_put_bytes(b, d->person.h.b, sizeof d->person.h.b);
		break;
	case SEQ:
		cbor_put_uint(b, d->seq);
		break;
	case ID:
		cbor_put_bytes(b, d->id.b, sizeof d->id.b);
		break;
	case GRANT_ID:
		cbor_put_bytes(b, d->grant_id, sizeof d->grant_id);
		break;
	case EXPIRY:
		cbor_put_int(b, d->expiry);
		break;
	case HASHES:
		assert(d->hashes.len > 0 && d->hashes.len % sizeof(struct hash) == 0);
		cbor_put_bytes(b, d->hashes.p, d->hashes.len);
		break;
	case END:
		break;
	}
}

void
decision_put(struct buf *b, const struct decision *d)
{
	const struct field *shape;
	size_t n = 0;

	assert(is_known(d->type));
	shape = shapes[d->type];
	for (const struct field *f = shape; f->kind != END; f++)
		n += has_field(d, f) ? 1 : 0;
	cbor_put_array(b, 2);
	cbor_put_uint(b, d->type);
	cbor_put_map(b, n);
	for (const struct field *f = shape; f->kind != END; f++) {
		if (!has_field(d, f))
			continue;
		cbor_put_uint(b, f->key);
		put_field(b, d, (enum field_kind)f->kind);
	}
}

/* ---- reading */

static void
get_sealed(struct cbor_rd *rd, struct decision *d)
{
	d->sealed = cbor_get_bytes(rd, ROSTER_SEALED_MAX);
	if (d->sealed.len < ROSTER_OVERHEAD)
		cbor_fail(rd, "a decision's name or terms are too short");
}

static void
get_hashes(struct cbor_rd *rd, struct decision *d)
{
	d->hashes = cbor_get_bytes(rd, LEDGER_OBJECT_MAX);
	if (d->hashes.len == 0 || d->hashes.len % sizeof(struct hash) != 0)
		cbor_fail(rd, "a decision's ids have %zu bytes, which is not 32 an id",
			  d->hashes.len);
}

static void
get_field(struct cbor_rd *rd, struct decision *d, enum field_kind kind)
{
	switch (kind) {
	case WRITER:
		cbor_get_fixed(rd, d->writer.b, sizeof d->writer.b);
		break;
	case BOX_PK:
		cbor_get_fixed(rd, d->box_pk.b, sizeof d->box_pk.b);
		break;
	case SIGN_PK:
		cbor_get_fixed(rd, d->sign_pk.b, sizeof d->sign_pk.b);
		break;
	case SEALED:
		get_sealed(rd, d);
		break;
	case ROSTER_BOX:
		d->roster_box = object_get_exact(rd, KEY_BOX_LEN);
		break;
	case PERSON:
		cbor_get_fixed(rd, d->person.h.b, sizeof d->person.h.b);
		break;
	case SEQ:
		d->seq = cbor_get_uint(rd, SNAPSHOT_SEQ_MAX);
		break;
	case ID:
		cbor_get_fixed(rd, d->id.b, sizeof d->id.b);
		d->has_id = true;
		break;
	case GRANT_ID:
		cbor_get_fixed(rd, d->grant_id, sizeof d->grant_id);
		break;
	case EXPIRY:
		d->expiry = object_get_time(rd);
		d->has_expiry = true;
		break;
	case HASHES:
		get_hashes(rd, d);
		break;
	case END:
		cbor_skip(rd); /* a key that the type doesn't have: what a newer version added */
		break;
	}
}

static void
get_map(struct cbor_rd *rd, struct decision *d)
{
	const struct field *shape = shapes[d->type];
	struct cbor_map m = cbor_get_map(rd);
	uint64_t need = 0;

	while (cbor_map_next(rd, &m)) {
		const struct field *f = shape;

		while (f->kind != END && f->key != m.key)
			f++;
		get_field(rd, d, (enum field_kind)f->kind);
	}
	for (const struct field *f = shape; f->kind != END; f++)
		need |= f->may_lack ? 0 : KEY_BIT(f->key);
	cbor_map_need(rd, &m, need);
}

void
decision_get(struct cbor_rd *rd, struct decision *ret)
{
	uint64_t type;

	*ret = (struct decision){0};
	if (cbor_get_array(rd, 2) != 2) {
		cbor_fail(rd, "a decision is not [type, map]");
		return;
	}
	type = cbor_get_uint(rd, UINT64_MAX);
	if (!is_known(type)) {
		object_unsupported(rd, "it decides something that this program doesn't know; "
				       "use a newer tillfs");
		return;
	}
	ret->type = (enum decision_type)type;
	get_map(rd, ret);
	if (type == DECISION_REVOKE_WRITER && ret->has_id != (ret->seq > 0))
		cbor_fail(rd, "it revokes a writer with a last sequence but no id, or the reverse");
}
