/*
 * object.c - the envelope of signed objects, and what their decoders share.
 *
 * Layer 2.
 */
#include "tillfs/object.h"

#include <inttypes.h>

void
object_begin(const struct object_kind *kind, struct buf *ret)
{
	buf_reset(ret);
	buf_append(ret, kind->magic, OBJECT_MAGIC_LEN);
}

void
object_sign(const struct object_kind *kind, const struct seal_pair *author, struct buf *b,
	    struct hash *ret_id)
{
	uint8_t signature[SEAL_SIGNATURE_LEN];

	seal_sign(author, kind->kind, buf_slice(b), signature);
	buf_append(b, signature, sizeof signature);
	seal_hash(b->p, b->len, ret_id);
}

void
object_put_text(struct buf *b, struct slice text)
{
	CLEANUP(buf_wipe) struct buf safe = BUF_INIT;
	bool as_is = text.len == 0 || (utf8_valid(text) && memchr(text.p, 0, text.len) == NULL);

	buf_reserve(&safe, text.len + 1);
	if (as_is)
		buf_append(&safe, text.p, text.len);
	else
		text_append_safe(&safe, text);
	cbor_put_text(b, buf_cstr(&safe));
}

int
object_split(const struct object_kind *kind, struct slice bytes, struct object *ret,
	     struct err *err)
{
	size_t signed_len;

	*ret = (struct object){0};
	if (bytes.len < OBJECT_MAGIC_LEN + SEAL_SIGNATURE_LEN)
		return err_set(err, ERR_CORRUPT, "%zu bytes are too few for a %s object", bytes.len,
			       kind->kind);
	if (memcmp(bytes.p, kind->magic, OBJECT_MAGIC_LEN) != 0)
		return err_set(err, ERR_CORRUPT, "it doesn't begin as a %s object does",
			       kind->kind);
	signed_len = bytes.len - SEAL_SIGNATURE_LEN;
	ret->signed_bytes = slice_of(bytes.p, signed_len);
	ret->cbor = slice_of(bytes.p + OBJECT_MAGIC_LEN, signed_len - OBJECT_MAGIC_LEN);
	ret->signature = bytes.p + signed_len;
	seal_hash(bytes.p, bytes.len, &ret->id);
	return 0;
}

int
object_verify(const struct object_kind *kind, struct slice signed_bytes, const uint8_t *signature,
	      const struct seal_sign_pk *author, struct err *err)
{
	if (seal_verify(author, kind->kind, signed_bytes, signature, NULL) < 0)
		return err_set(err, ERR_AUTH, "the signature is not its author's");
	return 0;
}

void
object_unsupported(struct cbor_rd *rd, const char *text)
{
	if (cbor_ok(rd))
		rd->r = err_set(rd->err, ERR_UNSUPPORTED, "%s: %s", rd->what, text);
}

void
object_get_version(struct cbor_rd *rd)
{
	uint64_t version = cbor_get_uint(rd, UINT64_MAX);

	if (version > OBJECT_VERSION)
		object_unsupported(rd, "its format is newer than this program; use a newer tillfs");
	else if (version < OBJECT_VERSION)
		cbor_fail(rd, "format version %" PRIu64 " never existed", version);
}

int64_t
object_get_time(struct cbor_rd *rd)
{
	int64_t t = cbor_get_int(rd);

	if (t < OBJECT_TIME_MIN || t > OBJECT_TIME_MAX) {
		cbor_fail(rd, "a time is outside the years 0 to 9999");
		return 0;
	}
	return t;
}

struct slice
object_get_exact(struct cbor_rd *rd, size_t len)
{
	struct slice s = cbor_get_bytes(rd, len);

	if (s.len != len) {
		cbor_fail(rd, "a byte string has %zu bytes where %zu belong", s.len, len);
		return slice_of(NULL, 0);
	}
	return s;
}

void
object_box_key(const struct seal_box_pk *to, const struct seal_key *key, struct buf *ret)
{
	seal_box(to, slice_of(key->b, sizeof key->b), ret);
}

int
object_unbox_key(const struct seal_pair *pair, struct slice box, struct seal_key *ret,
		 struct err *err)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;

	if (seal_box_open(pair, box, &plain, NULL) < 0)
		return err_set(err, ERR_AUTH, "a sealed key is for somebody else or was changed");
	if (plain.len != sizeof ret->b)
		return err_set(err, ERR_AUTH, "what was sealed is no key: %zu bytes", plain.len);
	memcpy(ret->b, plain.p, sizeof ret->b);
	return 0;
}
