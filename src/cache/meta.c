/*
 * meta.c - the first bytes of a pack's file, and where what lies in it.
 *
 * Layer 3.
 */
#include "cache/internal.h"

static const char magic[8] = {'T', 'I', 'L', 'L', 'C', 'C', 'H', '1'};

#define AT_ID         8u
#define AT_OBJECT_LEN 40u
#define AT_HEADER_LEN 48u

static uint64_t
get_le(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = len; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

void
meta_put(struct buf *b, const struct diskcache_pack *p)
{
	buf_append(b, magic, sizeof magic);
	buf_append(b, &p->id, sizeof p->id);
	buf_append_u64le(b, p->object_len);
	buf_append_u32le(b, p->header_len);
	memset(buf_extend(b, DISKCACHE_META_LEN - b->len), 0, DISKCACHE_META_LEN - 52u);
}

bool
diskcache_meta_parse(struct slice bytes, struct diskcache_pack *ret)
{
	*ret = (struct diskcache_pack){0};
	if (bytes.len < DISKCACHE_META_LEN || memcmp(bytes.p, magic, sizeof magic) != 0)
		return false;
	memcpy(&ret->id, bytes.p + AT_ID, sizeof ret->id);
	ret->object_len = get_le(bytes.p + AT_OBJECT_LEN, 8);
	ret->header_len = (uint32_t)get_le(bytes.p + AT_HEADER_LEN, 4);
	return ret->header_len <= PACK_HEADER_MAX && ret->object_len > ret->header_len &&
	       ret->object_len - ret->header_len <= PACK_BODY_MAX;
}

bool
pack_equal(const struct diskcache_pack *a, const struct diskcache_pack *b)
{
	return hash_equal(&a->id.h, &b->id.h) && a->object_len == b->object_len &&
	       a->header_len == b->header_len;
}

uint32_t
pack_blocks(const struct diskcache_pack *p)
{
	return (uint32_t)((p->object_len - p->header_len + PACK_BLOCK_LEN - 1) / PACK_BLOCK_LEN);
}

uint32_t
pack_block_len(const struct diskcache_pack *p, uint32_t block)
{
	uint64_t left = p->object_len - p->header_len - (uint64_t)block * PACK_BLOCK_LEN;

	return (uint32_t)min_u64(PACK_BLOCK_LEN, left);
}

uint64_t
pack_block_at(const struct diskcache_pack *p, uint32_t block)
{
	return FILE_DATA + p->header_len + (uint64_t)block * PACK_BLOCK_LEN;
}

char *
pack_file_name(const struct pack_id *id)
{
	struct hex64 name = hex(&id->h);

	return str_format("packs/%.2s/%s", name.s, name.s);
}
