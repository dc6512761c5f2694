/*
 * pack_header.c - parse a pack's header, check blocks against it, open section keys.
 *
 * A header is believed only once it hashes to the id that a signed snapshot names; it then answers
 * for every block of the body.
 *
 * Layer 2.  Format: docs/format.md section 5, I-4 to I-6.
 */
#include <inttypes.h>

#include "pack/private.h"
#include "tillfs/cbor.h"

int
pack_header_len(struct slice start, uint32_t *ret, struct err *err)
{
	uint32_t len = 0;

	*ret = 0;
	if (start.len < PACK_START_LEN)
		return err_set(err, ERR_CORRUPT, "pack header: only %zu bytes, too short for any",
			       start.len);
	if (memcmp(start.p, PACK_MAGIC, PACK_MAGIC_LEN) != 0)
		return err_set(err, ERR_CORRUPT, "pack header: doesn't begin with " PACK_MAGIC);
	for (int i = 3; i >= 0; i--)
		len = len << 8 | start.p[PACK_MAGIC_LEN + i];
	if (len <= PACK_START_LEN || len > PACK_HEADER_MAX)
		return err_set(err, ERR_CORRUPT,
			       "pack header: says to be %u bytes long, outside %u … %u", len,
			       PACK_START_LEN + 1, PACK_HEADER_MAX);
	*ret = len;
	return 0;
}

static void
boxes_get(struct cbor_rd *rd, struct pack_section *ret)
{
	size_t n = cbor_get_array(rd, PACK_KEYS_MAX);

	if (cbor_ok(rd) && n == 0)
		cbor_fail(rd, "a section is sealed to nobody");
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		struct slice box = object_get_exact(rd, KEY_BOX_LEN);

		/* All have one length, hence heads of one length: the rest follow at a stride. */
		if (i == 0)
			ret->boxes = box.p;
	}
	ret->n_boxes = (uint32_t)n;
}

static void
section_get(struct cbor_rd *rd, struct pack_section *ret)
{
	struct cbor_map m = cbor_get_map(rd);

	while (cbor_map_next(rd, &m))
		switch (m.key) {
		case 0:
			boxes_get(rd, ret);
			break;
		case 1:
			cbor_get_fixed(rd, ret->key_hash.b, sizeof ret->key_hash.b);
			break;
		default:
			cbor_skip(rd);
		}
	cbor_map_need(rd, &m, KEY_BIT(0) | KEY_BIT(1));
}

static void
sections_get(struct cbor_rd *rd, struct pack_header *h)
{
	size_t n = cbor_get_array(rd, PACK_SECTIONS_MAX);

	h->sections = mem_array(n, sizeof *h->sections);
	h->n_sections = (uint32_t)n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		section_get(rd, &h->sections[i]);
}

static int
fields_get(struct cbor_rd *rd, struct pack_header *h)
{
	struct cbor_map m = cbor_get_map(rd);
	struct slice hashes = {0};

	while (cbor_map_next(rd, &m))
		switch (m.key) {
		case 0:
			object_get_version(rd);
			break;
		case 1:
			cbor_get_fixed(rd, h->repo.b, sizeof h->repo.b);
			break;
		case 2:
			cbor_get_fixed(rd, h->writer.b, sizeof h->writer.b);
			break;
		case 3:
			h->body_len = cbor_get_uint(rd, PACK_BODY_MAX);
			break;
		case 4:
			hashes = cbor_get_bytes(rd, PACK_HEADER_MAX);
			break;
		case 5:
			sections_get(rd, h);
			break;
		default:
			cbor_skip(rd);
		}
	cbor_map_need(rd, &m, KEY_BIT(6) - 1);
	h->n_blocks = pack_block_count(h->body_len);
	h->block_hashes = hashes.p;
	if (cbor_ok(rd) && hashes.len != h->n_blocks * sizeof(struct hash))
		cbor_fail(rd,
			  "%zu bytes of block hashes, but a body of %" PRIu64
			  " bytes has %u blocks",
			  hashes.len, h->body_len, h->n_blocks);
	return cbor_rd_done(rd);
}

int
pack_header_parse(struct slice bytes, const struct pack_id *id, struct pack_header **ret,
		  struct err *err)
{
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	struct cbor_rd rd;
	struct hash actual;
	int r;

	*ret = NULL;
	if (bytes.len > PACK_HEADER_MAX)
		return err_set(err, ERR_CORRUPT, "pack header: %zu bytes, more than any has",
			       bytes.len);
	seal_hash(bytes.p, bytes.len, &actual);
	if (!hash_equal(&actual, &id->h))
		return err_set(err, ERR_CORRUPT,
			       "pack header: its hash is %s, but the pack's id is %s",
			       hex_short(&actual).s, hex_short(&id->h).s);
	h = mem_alloc(sizeof *h);
	r = pack_header_len(bytes, &h->header_len, err);
	if (r < 0)
		return r;
	if (h->header_len != bytes.len)
		return err_set(err, ERR_CORRUPT,
			       "pack header: says to be %u bytes long, but is %zu", h->header_len,
			       bytes.len);
	h->bytes = (struct buf){mem_copy(bytes.p, bytes.len), bytes.len, bytes.len};
	rd = cbor_rd_init(slice_of(h->bytes.p + PACK_START_LEN, bytes.len - PACK_START_LEN),
			  "pack header", err);
	r = fields_get(&rd, h);
	if (r < 0)
		return r;
	*ret = steal_ptr(&h);
	return 0;
}

void
pack_header_free(struct pack_header *h)
{
	if (h == NULL)
		return;
	free(h->sections);
	buf_fini(&h->bytes);
	free(h);
}

int
pack_block_check(const struct pack_header *h, uint32_t n, struct slice block, struct err *err)
{
	uint64_t off = (uint64_t)n * PACK_BLOCK_LEN;
	struct hash actual;

	if (n >= h->n_blocks)
		return err_set(err, ERR_CORRUPT, "block %u of a pack that has %u", n, h->n_blocks);
	if (block.len != min_u64(PACK_BLOCK_LEN, h->body_len - off))
		return err_set(err, ERR_CORRUPT,
			       "block %u of a pack has %zu bytes instead of %" PRIu64, n, block.len,
			       min_u64(PACK_BLOCK_LEN, h->body_len - off));
	seal_hash(block.p, block.len, &actual);
	if (memcmp(actual.b, h->block_hashes + (size_t)n * sizeof actual, sizeof actual) != 0)
		return err_set(err, ERR_CORRUPT,
			       "block %u of a pack: stored bytes don't match their hash", n);
	return 0;
}

int
pack_section_key(const struct pack_header *h, uint32_t ordinal, const struct seal_pair *pair,
		 struct seal_key *ret, struct err *err)
{
	const struct pack_section *s;

	seal_wipe(ret, sizeof *ret);
	if (ordinal >= h->n_sections)
		return err_set(err, ERR_CORRUPT, "section %u of a pack that has %u", ordinal,
			       h->n_sections);
	s = &h->sections[ordinal];
	for (uint32_t i = 0; i < s->n_boxes; i++) {
		struct slice box = slice_of(s->boxes + (size_t)i * PACK_BOX_STRIDE, KEY_BOX_LEN);
		CLEANUP(seal_key_wipe) struct seal_key key;
		struct hash key_hash;

		if (object_unbox_key(pair, box, &key, NULL) < 0)
			continue;
		pack_key_hash(&key, &key_hash);
		if (!hash_equal(&key_hash, &s->key_hash))
			return err_set(err, ERR_CORRUPT,
				       "section %u of a pack: the key sealed to this identity "
				       "doesn't match its hash",
				       ordinal);
		*ret = key;
		return 0;
	}
	return err_set(err, ERR_DENIED, "section %u of a pack isn't sealed to this identity",
		       ordinal);
}
