/*
 * encode.c - a snapshot becomes a signed object.
 *
 * What a reader would refuse must never be stored: what follows are promises of the caller, so
 * they are asserted.
 *
 * Layer 2.  Format: docs/format.md section 8.1.
 */
#include "internal.h"

#include <assert.h>

const struct object_kind snapshot_kind = {"TILLSNP1", "snapshot"};

static void
put_head(struct buf *b, const struct chain_head *head, bool with_writer)
{
	cbor_put_array(b, with_writer ? 3 : 2);
	if (with_writer)
		cbor_put_bytes(b, head->writer.b, sizeof head->writer.b);
	cbor_put_uint(b, head->seq);
	cbor_put_bytes(b, head->id.b, sizeof head->id.b);
}

static void
put_heads(struct buf *b, const struct snapshot_clear *clear)
{
	assert(clear->n_heads <= SNAPSHOT_HEADS_MAX);
	cbor_put_uint(b, KEY_HEADS);
	cbor_put_array(b, clear->n_heads);
	for (size_t i = 0; i < clear->n_heads; i++) {
		assert(i == 0 || memcmp(clear->heads[i - 1].writer.b, clear->heads[i].writer.b,
					sizeof clear->writer.b) < 0);
		assert(clear->heads[i].seq > 0);
		put_head(b, &clear->heads[i], true);
	}
}

static void
put_clear(struct buf *b, const struct snapshot_clear *clear)
{
	assert(clear->seq > 0 && clear->seq <= SNAPSHOT_SEQ_MAX);
	assert(clear->has_prev == (clear->seq > 1));
	cbor_put_map(b, 9 + (clear->has_prev ? 1 : 0) + (clear->ledger.seq > 0 ? 1 : 0));
	cbor_put_uint(b, KEY_VERSION);
	cbor_put_uint(b, OBJECT_VERSION);
	cbor_put_uint(b, KEY_REPO);
	cbor_put_bytes(b, clear->repo.b, sizeof clear->repo.b);
	cbor_put_uint(b, KEY_WRITER);
	cbor_put_bytes(b, clear->writer.b, sizeof clear->writer.b);
	cbor_put_uint(b, KEY_DATE);
	cbor_put_text(b, date_format(clear->date).s);
	cbor_put_uint(b, KEY_TIME);
	cbor_put_int(b, clear->time);
	cbor_put_uint(b, KEY_SEQ);
	cbor_put_uint(b, clear->seq);
	if (clear->has_prev) {
		cbor_put_uint(b, KEY_PREV);
		cbor_put_bytes(b, clear->prev.h.b, sizeof clear->prev.h.b);
	}
	if (clear->ledger.seq > 0) {
		cbor_put_uint(b, KEY_LEDGER);
		put_head(b, &clear->ledger, false);
	}
	put_heads(b, clear);
}

void
snapshot_encode(const struct snapshot_clear *clear, const struct snapshot_part_in *parts,
		size_t n_parts, const struct seal_pair *writer, struct codec *codec,
		struct buf *ret, struct snapshot_name *name)
{
	assert(n_parts >= 1 && n_parts <= 1 + SNAPSHOT_CLASSES_MAX);
	object_begin(&snapshot_kind, ret);
	put_clear(ret, clear);
	cbor_put_uint(ret, KEY_ADMIN_PART);
	part_put(ret, clear, 0, &parts[0], codec);
	cbor_put_uint(ret, KEY_CLASS_PARTS);
	cbor_put_array(ret, n_parts - 1);
	for (size_t i = 1; i < n_parts; i++)
		part_put(ret, clear, i, &parts[i], codec);
	*name = (struct snapshot_name){.writer = clear->writer,
				       .date = clear->date,
				       .time = clear->time,
				       .seq = clear->seq};
	object_sign(&snapshot_kind, writer, ret, &name->id.h);
	assert(ret->len <= SNAPSHOT_OBJECT_MAX);
}
