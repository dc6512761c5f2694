/*
 * pack.c - where packs lie in the store, and how long they are padded to.
 *
 * Layer 2.  Format: docs/format.md sections 2 and 5.
 */
#include <stdio.h>

#include "tillfs/pack.h"

struct pack_key_text
pack_object_key(const struct writer_id *writer, const struct pack_id *id)
{
	struct pack_key_text ret;
	struct hex64 id_text = hex(&id->h);

	snprintf(ret.s, sizeof ret.s, "packs/%.16s/%.2s/%s", hex_bytes(writer, sizeof *writer).s,
		 id_text.s, id_text.s);
	return ret;
}

bool
pack_key_parse(const char *key, struct writer_id *ret_writer, struct pack_id *ret_id)
{
	static const char prefix[] = "packs/";
	const size_t prefix_len = strlen(prefix);
	const size_t writer_len = 2 * sizeof *ret_writer, id_len = 2 * sizeof *ret_id;
	const size_t id_off = prefix_len + writer_len + strlen("/hh/");

	return strncmp(key, prefix, prefix_len) == 0 && strlen(key) == id_off + id_len &&
	       hex_parse(slice_of(key + prefix_len, writer_len), ret_writer, sizeof *ret_writer) &&
	       hex_parse(slice_of(key + id_off, id_len), ret_id, sizeof *ret_id) &&
	       strcmp(pack_object_key(ret_writer, ret_id).s, key) == 0;
}

static unsigned
log2_floor(uint64_t v)
{
	return 63 - (unsigned)__builtin_clzll(v);
}

uint64_t
pack_padded_len(uint64_t len)
{
	unsigned exponent, mantissa_bits;
	uint64_t low_bits;

	if (len < 2)
		return len;
	exponent = log2_floor(len);
	mantissa_bits = log2_floor(exponent) + 1;
	low_bits = (UINT64_C(1) << (exponent - mantissa_bits)) - 1;
	return (len + low_bits) & ~low_bits;
}

void
pack_key_hash(const struct seal_key *key, struct hash *ret)
{
	seal_hash_purpose("tillfs keyhash", key->b, sizeof key->b, ret);
}
