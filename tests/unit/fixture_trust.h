/*
 * fixture_trust.h - what the tests of snapshot, ledger and keyring share: the vectors, and the
 * people and ids that vectors_trust.py made them with.
 */
#ifndef FIXTURE_TRUST_H
#define FIXTURE_TRUST_H

#include "fixture_format.h"

#include "tillfs/codec.h"
#include "tillfs/object.h"
#include "vectors_trust.h"

#define VECTOR(name)    slice_of(VECTOR_##name, sizeof VECTOR_##name)
#define CODEC_LEVEL     3
#define TIME_OF_VECTORS INT64_C(1795215600) /* 2026-11-20T23:00:00Z */

static const struct repo_id repo_of_vectors = {
	{16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}};
static const struct writer_id writer_of_vectors = {
	{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7}};
static const struct writer_id writer_2_of_vectors = {
	{0xb0, 0xb0, 0xb0, 0xb0, 0xb0, 0xb0, 0xb0, 0xb0}};

/* Seeds of the people are one byte, repeated. */
enum seed_byte { ADMIN_SEED = 1, WRITER_SEED = 2, AUDITOR_SEED = 3, OTHER_SEED = 9 };

/* Owned by the caller (secret_free). */
static UNUSED struct seal_pair *
pair_of(uint8_t seed_byte)
{
	struct seal_pair *pair = secret_new(sizeof *pair);
	struct seal_key seed;

	memset(seed.b, seed_byte, sizeof seed.b);
	seal_pair_from_seed(&seed, pair);
	return pair;
}

static UNUSED struct fingerprint
fingerprint_of(const struct seal_pair *pair)
{
	struct fingerprint f;

	seal_fingerprint(&pair->box_pk, &pair->sign_pk, &f);
	return f;
}

static UNUSED struct hash
hash_of_byte(uint8_t byte)
{
	struct hash h;

	memset(h.b, byte, sizeof h.b);
	return h;
}

static UNUSED struct seal_key
key_of_byte(uint8_t byte)
{
	struct seal_key k;

	memset(k.b, byte, sizeof k.b);
	return k;
}

static UNUSED void
buf_set(struct buf *b, struct slice s)
{
	buf_reset(b);
	buf_append(b, s.p, s.len);
}

/* A signed object whose CBOR is written as text. */
static UNUSED void
object_from_text(const struct object_kind *kind, const char *text, const struct seal_pair *author,
		 struct buf *ret, struct hash *ret_id)
{
	object_begin(kind, ret);
	cbor_text(ret, text);
	object_sign(kind, author, ret, ret_id);
}

static UNUSED int
start(void **state)
{
	(void)state;
	seal_start();
	return 0;
}

#endif /* FIXTURE_TRUST_H */
