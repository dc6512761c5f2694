/*
 * entry.c - an entry as columns of a row, and its hash.
 *
 * Texts are hashed as bytes: whoever reads a log must not rely on their being UTF-8.
 */
#include "internal.h"

#include "tillfs/cbor.h"

#define PURPOSE "tillfs audit"

static void
bind_text(struct db_stmt *s, int i, struct slice text)
{
	db_bind_text(s, i, text.p, text.len);
}

void
audit_entry_bind(struct db_stmt *s, const struct audit_entry *e)
{
	int i = 1;

	db_bind_int(s, i++, (int64_t)e->seq);
	db_bind_int(s, i++, e->time_ns);
	db_bind_int(s, i++, (int64_t)e->session);
	db_bind_int(s, i++, (int64_t)e->number);
	bind_text(s, i++, e->kind);
	db_bind_int(s, i++, (int64_t)e->uid);
	db_bind_int(s, i++, (int64_t)e->gid);
	db_bind_int(s, i++, (int64_t)e->pid);
	bind_text(s, i++, e->program);
	bind_text(s, i++, e->snapshot);
	bind_text(s, i++, e->path);
	db_bind_int(s, i++, (int64_t)e->bytes);
	db_bind_int(s, i++, e->ended_ns);
	bind_text(s, i++, e->result);
	bind_text(s, i++, e->detail);
	db_bind_int(s, i++, (int64_t)e->about);
	bind_text(s, i++, e->case_ref);
	bind_text(s, i++, e->reason);
	db_bind_bytes(s, i, e->hash.b, sizeof e->hash.b);
}

void
audit_entry_from_row(struct db_stmt *s, struct audit_entry *ret)
{
	struct slice hash = db_bytes(s, 18);

	*ret = (struct audit_entry){
		.seq = (uint64_t)db_int(s, 0),
		.time_ns = db_int(s, 1),
		.session = (uint64_t)db_int(s, 2),
		.number = (uint64_t)db_int(s, 3),
		.kind = db_bytes(s, 4),
		.uid = (uint64_t)db_int(s, 5),
		.gid = (uint64_t)db_int(s, 6),
		.pid = (uint64_t)db_int(s, 7),
		.program = db_bytes(s, 8),
		.snapshot = db_bytes(s, 9),
		.path = db_bytes(s, 10),
		.bytes = (uint64_t)db_int(s, 11),
		.ended_ns = db_int(s, 12),
		.result = db_bytes(s, 13),
		.detail = db_bytes(s, 14),
		.about = (uint64_t)db_int(s, 15),
		.case_ref = db_bytes(s, 16),
		.reason = db_bytes(s, 17),
	};
	/* Any other length is a hash that fits no entry. */
	if (hash.len == sizeof ret->hash.b)
		memcpy(ret->hash.b, hash.p, sizeof ret->hash.b);
}

static void
put(struct buf *b, struct slice text)
{
	cbor_put_bytes(b, text.p, text.len);
}

void
audit_entry_hash(const struct hash *before, const struct audit_entry *e, struct buf *scratch,
		 struct hash *ret)
{
	struct buf *b = scratch;

	buf_reset(b);
	buf_append(b, before->b, sizeof before->b);
	cbor_put_array(b, 18);
	cbor_put_uint(b, e->seq);
	cbor_put_int(b, e->time_ns);
	cbor_put_uint(b, e->session);
	cbor_put_uint(b, e->number);
	put(b, e->kind);
	cbor_put_uint(b, e->uid);
	cbor_put_uint(b, e->gid);
	cbor_put_uint(b, e->pid);
	put(b, e->program);
	put(b, e->snapshot);
	put(b, e->path);
	cbor_put_uint(b, e->bytes);
	cbor_put_int(b, e->ended_ns);
	put(b, e->result);
	put(b, e->detail);
	cbor_put_uint(b, e->about);
	put(b, e->case_ref);
	put(b, e->reason);
	seal_hash_purpose(PURPOSE, b->p, b->len, ret);
}

void
audit_entry_genesis(const uint8_t log[AUDIT_LOG_ID_LEN], struct hash *ret)
{
	seal_hash_purpose(PURPOSE, log, AUDIT_LOG_ID_LEN, ret);
}
