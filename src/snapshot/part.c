/*
 * part.c - the sealed parts of a snapshot: one key each, sealed to those who may read it.
 *
 * Layer 2.  Format: docs/format.md section 8.1, "A part".
 */
#include "internal.h"

#include <assert.h>
#include <stdio.h>

enum { PART_BOXES = 0, PART_KEY_HASH, PART_PLAIN_LEN, PART_SEALED };
enum { PART_KIND_ADMIN = 1, PART_KIND_CLASS = 2 };

/* The key of part @n's bytes: its own key, bound to this snapshot. */
static void
derive(const struct seal_key *part_key, const struct snapshot_clear *clear, size_t n,
       struct seal_key *ret)
{
	CLEANUP(buf_fini) struct buf message = BUF_INIT;

	buf_append_u8(&message, n == 0 ? PART_KIND_ADMIN : PART_KIND_CLASS);
	buf_append(&message, clear->repo.b, sizeof clear->repo.b);
	buf_append(&message, clear->writer.b, sizeof clear->writer.b);
	buf_append_u64le(&message, clear->seq);
	seal_derive(part_key, "tillfs snapshot", buf_slice(&message), ret);
}

static void
put_boxes(struct buf *b, const struct snapshot_part_in *in, const struct seal_key *key)
{
	CLEANUP(buf_fini) struct buf box = BUF_INIT;

	cbor_put_array(b, in->n_recipients);
	for (size_t i = 0; i < in->n_recipients; i++) {
		buf_reset(&box);
		object_box_key(&in->recipients[i].box_pk, key, &box);
		cbor_put_bytes(b, box.p, box.len);
	}
}

void
part_put(struct buf *b, const struct snapshot_clear *clear, size_t n,
	 const struct snapshot_part_in *in, struct codec *codec)
{
	CLEANUP(secret_freep) struct seal_key *keys = secret_new(2 * sizeof *keys);
	CLEANUP(buf_wipe) struct buf packed = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	struct hash key_hash;

	assert(in->plain.len <= SNAPSHOT_PART_MAX);
	assert(in->n_recipients >= 1 && in->n_recipients <= PACK_KEYS_MAX);
	seal_random(keys[0].b, sizeof keys[0].b);
	derive(&keys[0], clear, n, &keys[1]);
	buf_reserve(&packed, in->plain.len + 1);
	codec_pack(codec, in->plain, &packed);
	seal_encrypt(&keys[1], buf_slice(&packed), &sealed);

	cbor_put_map(b, 4);
	cbor_put_uint(b, PART_BOXES);
	put_boxes(b, in, &keys[0]);
	cbor_put_uint(b, PART_KEY_HASH);
	pack_key_hash(&keys[0], &key_hash);
	cbor_put_bytes(b, key_hash.b, sizeof key_hash.b);
	cbor_put_uint(b, PART_PLAIN_LEN);
	cbor_put_uint(b, in->plain.len);
	cbor_put_uint(b, PART_SEALED);
	cbor_put_bytes(b, sealed.p, sealed.len);
}

static void
get_boxes(struct cbor_rd *rd, struct snapshot_part *ret)
{
	size_t n = cbor_get_array(rd, PACK_KEYS_MAX);

	if (n == 0) {
		cbor_fail(rd, "a part is sealed to nobody");
		return;
	}
	ret->boxes = mem_array(n, sizeof *ret->boxes);
	ret->n_boxes = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		ret->boxes[i] = object_get_exact(rd, KEY_BOX_LEN);
}

void
part_get(struct cbor_rd *rd, struct snapshot_part *ret)
{
	struct cbor_map m = cbor_get_map(rd);

	*ret = (struct snapshot_part){0};
	while (cbor_map_next(rd, &m))
		switch (m.key) {
		case PART_BOXES:
			get_boxes(rd, ret);
			break;
		case PART_KEY_HASH:
			cbor_get_fixed(rd, ret->key_hash.b, sizeof ret->key_hash.b);
			break;
		case PART_PLAIN_LEN:
			ret->plain_len = (size_t)cbor_get_uint(rd, SNAPSHOT_PART_MAX);
			break;
		case PART_SEALED:
			ret->sealed = cbor_get_bytes(rd, SNAPSHOT_OBJECT_MAX);
			break;
		default:
			cbor_skip(rd);
		}
	cbor_map_need(rd, &m,
		      KEY_BIT(PART_BOXES) | KEY_BIT(PART_KEY_HASH) | KEY_BIT(PART_PLAIN_LEN) |
			      KEY_BIT(PART_SEALED));
}

/* "admin part" or "class part 3". */
static const char *
part_text(size_t n, char text[static 32])
{
	if (n == 0)
		return "admin part";
	(void)snprintf(text, 32, "class part %zu", n);
	return text;
}

int
snapshot_part_key(const struct snapshot *s, size_t n, const struct seal_pair *pair,
		  struct seal_key *ret, struct err *err)
{
	const struct snapshot_part *part = &s->parts[n];
	char text[32];
	struct hash key_hash;

	assert(n < s->n_parts);
	for (uint32_t i = 0; i < part->n_boxes; i++) {
		if (object_unbox_key(pair, part->boxes[i], ret, NULL) < 0)
			continue;
		pack_key_hash(ret, &key_hash);
		if (hash_equal(&key_hash, &part->key_hash))
			return 0;
		seal_key_wipe(ret);
		return err_set(err, ERR_CORRUPT,
			       "%s: the key sealed in the %s is not the key its hash names",
			       snapshot_key_format(&s->name).s, part_text(n, text));
	}
	seal_key_wipe(ret);
	return err_set(err, ERR_DENIED, "%s: the %s is not sealed to this identity",
		       snapshot_key_format(&s->name).s, part_text(n, text));
}

int
snapshot_part_open(const struct snapshot *s, size_t n, const struct seal_key *key,
		   struct codec *codec, struct buf *ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *derived = secret_new(sizeof *derived);
	CLEANUP(buf_wipe) struct buf packed = BUF_INIT;
	const struct snapshot_part *part = &s->parts[n];
	char text[32];
	int r;

	assert(n < s->n_parts);
	buf_reset(ret);
	derive(key, &s->clear, n, derived);
	r = seal_decrypt(derived, part->sealed, &packed, err);
	if (r == 0)
		r = codec_unpack(codec, buf_slice(&packed), part->plain_len, ret, err);
	if (r < 0)
		return err_add(err, r, "%s: %s", snapshot_key_format(&s->name).s,
			       part_text(n, text));
	return 0;
}
