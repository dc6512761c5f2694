/*
 * fuzz_pack_header.c - a pack's header: the bytes are the header's, and their hash its id, as a
 * hostile writer would have it.
 */
#include "tillfs/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint8_t sum; /* so that the reads below happen */

/* Reads what the header promises to be there. */
static void
use(const struct pack_header *h, const struct seal_pair *pair)
{
	static const uint8_t block[PACK_BLOCK_LEN];

	for (uint32_t i = 0; i < h->n_blocks; i++) {
		uint64_t left = h->body_len - (uint64_t)i * PACK_BLOCK_LEN;

		sum ^= h->block_hashes[(size_t)i * sizeof(struct hash)];
		if (i + 2 >= h->n_blocks)
			sum ^= pack_block_check(h, i, slice_of(block, min_u64(left, sizeof block)),
						NULL) == 0;
	}
	for (uint32_t i = 0; i < h->n_sections; i++)
		for (size_t j = 0; j < h->sections[i].n_boxes; j++)
			sum ^= h->sections[i].boxes[j * PACK_BOX_STRIDE + KEY_BOX_LEN - 1];
	if (h->n_sections > 0 && h->sections[0].n_boxes < 4) { /* opening boxes is slow */
		struct seal_key key;

		if (pack_section_key(h, 0, pair, &key, NULL) == 0)
			sum ^= key.b[0];
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct seal_pair *pair;
	struct slice bytes = slice_of(data, len);
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	struct err err = ERR_INIT;
	struct pack_id id;
	uint32_t header_len;

	if (pair == NULL) {
		struct seal_key seed = {{7}};

		seal_start();
		pair = secret_new(sizeof *pair);
		seal_pair_from_seed(&seed, pair);
	}
	if (pack_header_len(bytes, &header_len, NULL) == 0 && header_len > PACK_HEADER_MAX)
		abort();
	seal_hash(data, len, &id.h);
	if (pack_header_parse(bytes, &id, &h, &err) == 0)
		use(h, pair);
	else if (err.code >= 0 || err.msg[0] == '\0')
		abort(); /* refused without saying why */
	return 0;
}
