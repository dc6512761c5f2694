/*
 * private.h - what building and reading a pack's header share.
 */
#ifndef PACK_PRIVATE_H
#define PACK_PRIVATE_H

#include "tillfs/pack.h"

#define PACK_MAGIC     "TILLPCK1"
#define PACK_MAGIC_LEN 8u
#define PACK_START_LEN (PACK_MAGIC_LEN + 4u) /* magic, header length; CBOR follows */

static inline uint32_t
pack_block_count(uint64_t body_len)
{
	return (uint32_t)(body_len / PACK_BLOCK_LEN + (body_len % PACK_BLOCK_LEN != 0));
}

#endif /* PACK_PRIVATE_H */
