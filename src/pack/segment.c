/*
 * segment.c - seal and open one segment.
 *
 * A segment's key says where the segment stands, so that one moved to another offset, area, class
 * or writer doesn't open.
 *
 * Layer 2.  Format: docs/format.md section 5.
 */
#include <inttypes.h>

#include "tillfs/pack.h"

#define SEGMENT_STORED_MIN (SEAL_TAG_LEN + 2u) /* a tag byte and one byte of plaintext */

static void
put_le(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* u8(purpose) ‖ writer id ‖ lp(class) ‖ u64(offset), without a heap allocation a segment. */
static void
segment_key(const struct seal_key *section_key, const struct segment_scope *scope,
	    enum pack_area area, uint64_t off, struct seal_key *ret)
{
	uint8_t message[1 + sizeof(struct writer_id) + 4 + CLASS_NAME_MAX + 8];
	size_t class_len = strnlen(scope->class_name, CLASS_NAME_MAX);
	size_t n = 0;

	message[n++] = (uint8_t)area;
	memcpy(message + n, scope->writer.b, sizeof scope->writer.b);
	n += sizeof scope->writer.b;
	put_le(message + n, class_len, 4);
	n += 4;
	memcpy(message + n, scope->class_name, class_len);
	n += class_len;
	put_le(message + n, off, 8);
	n += 8;
	seal_derive(section_key, "tillfs segment", slice_of(message, n), ret);
}

void
segment_seal(const struct seal_key *section_key, const struct segment_scope *scope,
	     enum pack_area area, uint64_t off, struct slice packed, struct buf *ret)
{
	CLEANUP(seal_key_wipe) struct seal_key key;

	segment_key(section_key, scope, area, off, &key);
	seal_encrypt(&key, packed, ret);
}

static const char *
area_name(enum pack_area area)
{
	return area == PACK_DATA ? "data" : "tree";
}

int
segment_open(const struct seal_key *section_key, const struct segment_scope *scope,
	     enum pack_area area, uint64_t off, struct slice stored, size_t plain_len,
	     struct codec *codec, struct buf *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf packed = BUF_INIT;
	CLEANUP(seal_key_wipe) struct seal_key key;
	int r;

	buf_reset(ret);
	segment_key(section_key, scope, area, off, &key);
	if (plain_len < 1 || plain_len > SEGMENT_PLAIN_MAX)
		return err_set(err, ERR_CORRUPT,
			       "%s segment at %" PRIu64 ": a plain length of %zu is outside 1 … %u",
			       area_name(area), off, plain_len, SEGMENT_PLAIN_MAX);
	if (stored.len < SEGMENT_STORED_MIN || stored.len > SEGMENT_STORED_MAX)
		return err_set(err, ERR_CORRUPT,
			       "%s segment at %" PRIu64
			       ": a stored length of %zu is outside %u … %u",
			       area_name(area), off, stored.len, SEGMENT_STORED_MIN,
			       SEGMENT_STORED_MAX);
	r = seal_decrypt(&key, stored, &packed, err);
	if (r < 0)
		return err_add(err, r, "%s segment at %" PRIu64, area_name(area), off);
	r = codec_unpack(codec, buf_slice(&packed), plain_len, ret, err);
	if (r < 0)
		return err_add(err, r, "%s segment at %" PRIu64, area_name(area), off);
	return 0;
}
