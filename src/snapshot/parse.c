/*
 * parse.c - a stored object becomes a snapshot, whose name it must bear.
 *
 * The id is checked first: what damage did must not look like a newer format.
 *
 * Layer 2.  Format: docs/format.md section 8.1.
 */
#include <inttypes.h>

#include "internal.h"

static void
get_date(struct cbor_rd *rd, struct date *ret)
{
	struct slice text = cbor_get_text(rd, 16);

	if (!date_parse(text, ret))
		cbor_fail(rd, "its business date is no date");
}

static void
get_ledger_head(struct cbor_rd *rd, struct chain_head *ret)
{
	if (cbor_get_array(rd, 2) != 2) {
		cbor_fail(rd, "its ledger head is not [sequence, id]");
		return;
	}
	ret->seq = cbor_get_uint(rd, UINT64_MAX);
	cbor_get_fixed(rd, ret->id.b, sizeof ret->id.b);
	if (ret->seq == 0)
		cbor_fail(rd, "its ledger head has sequence 0");
}

static void
get_head(struct cbor_rd *rd, struct chain_head *ret)
{
	if (cbor_get_array(rd, 3) != 3) {
		cbor_fail(rd, "a writer's head is not [writer, sequence, id]");
		return;
	}
	cbor_get_fixed(rd, ret->writer.b, sizeof ret->writer.b);
	ret->seq = cbor_get_uint(rd, SNAPSHOT_SEQ_MAX);
	cbor_get_fixed(rd, ret->id.b, sizeof ret->id.b);
	if (ret->seq == 0)
		cbor_fail(rd, "a writer's head has sequence 0");
}

static void
get_heads(struct cbor_rd *rd, struct snapshot_clear *ret)
{
	size_t n = cbor_get_array(rd, SNAPSHOT_HEADS_MAX);

	ret->heads = mem_array(n, sizeof *ret->heads);
	ret->n_heads = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		get_head(rd, &ret->heads[i]);
		if (i > 0 && memcmp(ret->heads[i - 1].writer.b, ret->heads[i].writer.b,
				    sizeof ret->writer.b) >= 0)
			cbor_fail(rd, "other writers' heads are not in the order of their ids");
	}
}

/* Key 9 comes before key 10, so that parts[0] is there when the class parts are counted. */
static void
get_class_parts(struct cbor_rd *rd, struct snapshot *s)
{
	size_t n = cbor_get_array(rd, SNAPSHOT_CLASSES_MAX);

	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		part_get(rd, &s->parts[s->n_parts++]);
}

static void
get_field(struct cbor_rd *rd, uint64_t key, struct snapshot *s)
{
	struct snapshot_clear *c = &s->clear;

	switch (key) {
	case KEY_VERSION:
		object_get_version(rd);
		break;
	case KEY_REPO:
		cbor_get_fixed(rd, c->repo.b, sizeof c->repo.b);
		break;
	case KEY_WRITER:
		cbor_get_fixed(rd, c->writer.b, sizeof c->writer.b);
		break;
	case KEY_DATE:
		get_date(rd, &c->date);
		break;
	case KEY_TIME:
		c->time = object_get_time(rd);
		break;
	case KEY_SEQ:
		c->seq = cbor_get_uint(rd, SNAPSHOT_SEQ_MAX);
		break;
	case KEY_PREV:
		cbor_get_fixed(rd, c->prev.h.b, sizeof c->prev.h.b);
		c->has_prev = true;
		break;
	case KEY_LEDGER:
		get_ledger_head(rd, &c->ledger);
		break;
	case KEY_HEADS:
		get_heads(rd, c);
		break;
	case KEY_ADMIN_PART:
		part_get(rd, &s->parts[0]);
		s->n_parts = 1;
		break;
	case KEY_CLASS_PARTS:
		if (s->n_parts == 1)
			get_class_parts(rd, s);
		else
			cbor_fail(rd, "it has no admin part");
		break;
	default:
		cbor_skip(rd);
	}
}

/* I-1: the key says what the signed part says. */
static void
check_name(struct cbor_rd *rd, const struct snapshot *s)
{
	const struct snapshot_clear *c = &s->clear;
	const struct snapshot_name *name = &s->name;

	if (!writer_id_equal(&c->writer, &name->writer))
		cbor_fail(rd, "it is a snapshot of writer %s under another writer's name",
			  hex_bytes(c->writer.b, sizeof c->writer.b).s);
	else if (c->date.days != name->date.days)
		cbor_fail(rd, "it is a snapshot of %s under another date", date_format(c->date).s);
	else if (c->time != name->time)
		cbor_fail(rd, "it was made at %s, which is not what its name says",
			  time_format_key(c->time).s);
	else if (c->seq != name->seq)
		cbor_fail(rd,
			  "it is its writer's number %" PRIu64 ", which is not what its name says",
			  c->seq);
	else if (c->has_prev != (c->seq > 1))
		cbor_fail(rd, c->has_prev ? "it is the writer's first, yet names one before"
					  : "it does not name the snapshot before it");
}

static int
parse(struct slice cbor, struct snapshot *s, struct err *err)
{
	struct snapshot_key_text key = snapshot_key_format(&s->name);
	struct cbor_rd rd = cbor_rd_init(cbor, key.s, err);
	struct cbor_map m = cbor_get_map(&rd);

	while (cbor_map_next(&rd, &m))
		get_field(&rd, m.key, s);
	cbor_map_need(&rd, &m,
		      KEY_BIT(KEY_VERSION) | KEY_BIT(KEY_REPO) | KEY_BIT(KEY_WRITER) |
			      KEY_BIT(KEY_DATE) | KEY_BIT(KEY_TIME) | KEY_BIT(KEY_SEQ) |
			      KEY_BIT(KEY_HEADS) | KEY_BIT(KEY_ADMIN_PART) |
			      KEY_BIT(KEY_CLASS_PARTS));
	if (cbor_ok(&rd))
		check_name(&rd, s);
	return cbor_rd_done(&rd);
}

int
snapshot_parse(const struct snapshot_name *name, struct buf *bytes, struct snapshot **ret,
	       struct err *err)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	struct snapshot_key_text key = snapshot_key_format(name);
	struct object object;
	struct hash id;
	int r;

	*ret = NULL;
	if (bytes->len > SNAPSHOT_OBJECT_MAX)
		return err_set(err, ERR_CORRUPT, "%s: %zu bytes are more than a snapshot has",
			       key.s, bytes->len);
	seal_hash(bytes->p, bytes->len, &id);
	if (!hash_equal(&id, &name->id.h))
		return err_set(err, ERR_CORRUPT,
			       "%s: the object's bytes don't have the id in its name", key.s);
	r = object_split(&snapshot_kind, buf_slice(bytes), &object, err);
	if (r < 0)
		return err_add(err, r, "%s", key.s);

	s = mem_alloc(sizeof *s);
	s->name = *name;
	s->parts = mem_array(1 + SNAPSHOT_CLASSES_MAX, sizeof *s->parts);
	s->signed_bytes = object.signed_bytes;
	s->signature = object.signature;
	r = parse(object.cbor, s, err);
	if (r < 0)
		return r;
	buf_move(&s->bytes, bytes); /* the slices stay right: the bytes don't move */
	*ret = steal_ptr(&s);
	return 0;
}

int
snapshot_verify(const struct snapshot *s, const struct seal_sign_pk *writer, struct err *err)
{
	int r = object_verify(&snapshot_kind, s->signed_bytes, s->signature, writer, err);

	return r < 0 ? err_add(err, r, "%s", snapshot_key_format(&s->name).s) : 0;
}

void
snapshot_free(struct snapshot *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < 1 + SNAPSHOT_CLASSES_MAX; i++)
		free(s->parts[i].boxes);
	free(s->parts);
	free(s->clear.heads);
	buf_fini(&s->bytes);
	free(s);
}
