/*
 * entry.c - ledger entries: encode, parse, and the keys they are stored under.
 *
 * Whether an entry may stand where it stands is ledger_apply's business.
 *
 * Layer 2.  Format: docs/format.md section 7.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

const struct object_kind ledger_kind = {"TILLLDG1", "ledger"};

enum entry_key {
	KEY_VERSION = 0,
	KEY_REPO,
	KEY_SEQ,
	KEY_PREV,
	KEY_TIME,
	KEY_AUTHOR,
	KEY_DECISIONS,
	N_KEYS,
};

/* ---- keys: ledger/<16 digits>-<id> */

#define PREFIX  "ledger/"
#define SEQ_OFF (sizeof PREFIX - 1)
#define SEQ_LEN 16u
#define ID_OFF  (SEQ_OFF + SEQ_LEN + 1)
#define ID_LEN  64u

struct ledger_key_text
ledger_key_format(uint64_t seq, const struct hash *id)
{
	struct ledger_key_text ret;

	(void)snprintf(ret.s, sizeof ret.s, PREFIX "%016" PRIu64 "-%s", seq, hex(id).s);
	return ret;
}

bool
ledger_key_parse(const char *key, uint64_t *ret_seq, struct hash *ret_id)
{
	uint64_t seq = 0;
	struct hash id;

	*ret_seq = 0;
	*ret_id = (struct hash){0};
	if (strlen(key) != ID_OFF + ID_LEN)
		return false;
	for (size_t i = 0; i < SEQ_LEN; i++) {
		if (key[SEQ_OFF + i] < '0' || key[SEQ_OFF + i] > '9')
			return false;
		seq = seq * 10 + (uint64_t)(key[SEQ_OFF + i] - '0');
	}
	if (seq == 0 || !hex_parse(slice_of(key + ID_OFF, ID_LEN), id.b, sizeof id.b))
		return false;
	/* Prefix, separator, and every other way of writing the same. */
	if (strcmp(ledger_key_format(seq, &id).s, key) != 0)
		return false;
	*ret_seq = seq;
	*ret_id = id;
	return true;
}

/* ---- writing */

void
ledger_entry_encode(const struct ledger_entry *entry, const struct seal_pair *author,
		    struct buf *ret, struct hash *ret_id)
{
	assert(entry->seq > 0 && entry->seq <= LEDGER_SEQ_MAX);
	assert(entry->n_decisions <= LEDGER_DECISIONS_MAX);
	object_begin(&ledger_kind, ret);
	cbor_put_map(ret, N_KEYS);
	cbor_put_uint(ret, KEY_VERSION);
	cbor_put_uint(ret, OBJECT_VERSION);
	cbor_put_uint(ret, KEY_REPO);
	cbor_put_bytes(ret, entry->repo.b, sizeof entry->repo.b);
	cbor_put_uint(ret, KEY_SEQ);
	cbor_put_uint(ret, entry->seq);
	cbor_put_uint(ret, KEY_PREV);
	cbor_put_bytes(ret, entry->prev.b, sizeof entry->prev.b);
	cbor_put_uint(ret, KEY_TIME);
	cbor_put_int(ret, entry->time);
	cbor_put_uint(ret, KEY_AUTHOR);
	cbor_put_bytes(ret, entry->author.h.b, sizeof entry->author.h.b);
	cbor_put_uint(ret, KEY_DECISIONS);
	cbor_put_array(ret, entry->n_decisions);
	for (size_t i = 0; i < entry->n_decisions; i++)
		decision_put(ret, &entry->decisions[i]);
	object_sign(&ledger_kind, author, ret, ret_id);
	assert(ret->len <= LEDGER_OBJECT_MAX);
}

/* ---- reading */

static void
get_decisions(struct cbor_rd *rd, struct ledger_entry *e)
{
	size_t n = cbor_get_array(rd, LEDGER_DECISIONS_MAX);

	e->decisions = mem_array(n, sizeof *e->decisions);
	e->n_decisions = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		decision_get(rd, &e->decisions[i]);
}

static void
get_field(struct cbor_rd *rd, uint64_t key, struct ledger_entry *e)
{
	switch (key) {
	case KEY_VERSION:
		object_get_version(rd);
		break;
	case KEY_REPO:
		cbor_get_fixed(rd, e->repo.b, sizeof e->repo.b);
		break;
	case KEY_SEQ:
		e->seq = cbor_get_uint(rd, LEDGER_SEQ_MAX);
		if (e->seq == 0)
			cbor_fail(rd, "its sequence is 0");
		break;
	case KEY_PREV:
		cbor_get_fixed(rd, e->prev.b, sizeof e->prev.b);
		break;
	case KEY_TIME:
		e->time = object_get_time(rd);
		break;
	case KEY_AUTHOR:
		cbor_get_fixed(rd, e->author.h.b, sizeof e->author.h.b);
		break;
	case KEY_DECISIONS:
		get_decisions(rd, e);
		break;
	default:
		cbor_skip(rd);
	}
}

static int
parse(struct slice cbor, struct ledger_entry *e, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(cbor, "ledger entry", err);
	struct cbor_map m = cbor_get_map(&rd);

	while (cbor_map_next(&rd, &m))
		get_field(&rd, m.key, e);
	cbor_map_need(&rd, &m, KEY_BIT(N_KEYS) - 1);
	return cbor_rd_done(&rd);
}

int
ledger_entry_parse(struct buf *bytes, struct ledger_entry **ret, struct err *err)
{
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	struct object object;
	int r;

	*ret = NULL;
	if (bytes->len > LEDGER_OBJECT_MAX)
		return err_set(err, ERR_CORRUPT,
			       "ledger entry: %zu bytes are more than an entry has", bytes->len);
	r = object_split(&ledger_kind, buf_slice(bytes), &object, err);
	if (r < 0)
		return err_add(err, r, "ledger entry");
	e = mem_alloc(sizeof *e);
	e->id = object.id;
	e->signed_bytes = object.signed_bytes;
	e->signature = object.signature;
	r = parse(object.cbor, e, err);
	if (r < 0)
		return r;
	buf_move(&e->bytes, bytes); /* the slices stay right: the bytes don't move */
	*ret = steal_ptr(&e);
	return 0;
}

void
ledger_entry_free(struct ledger_entry *e)
{
	if (e == NULL)
		return;
	free(e->decisions);
	buf_fini(&e->bytes);
	free(e);
}
