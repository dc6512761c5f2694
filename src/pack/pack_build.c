/*
 * pack_build.c - collect sealed segments and lay them out as a stored object.
 *
 * Sections and their keys exist only in here, from the first segment of a class until the pack is
 * finished or given up.  The header's length depends on the body's, and the object's length is
 * padded, so finishing first solves for the body's length, then writes everything once, in place.
 *
 * Layer 2.  Format: docs/format.md section 5.
 */
#include <assert.h>
#include <pthread.h>

#include "pack/area.h"
#include "pack/private.h"
#include "tillfs/cbor.h"

/* Stored objects that came back, for the next ones; more than these are freed. */
#define OBJECTS_KEPT    3u
#define OBJECT_ROOM     (18u * MIB)
#define OBJECT_KEEP_MIN (8u * MIB)
#define OBJECT_ALIGN    4096u /* what direct writing wants */

struct section {
	struct segment_scope scope;
	struct area areas[2]; /* data, tree */
	struct buf boxes;     /* n_boxes of KEY_BOX_LEN */
	size_t n_boxes;
};

struct pack_builder {
	struct repo_id repo;
	struct writer_id writer;
	struct seal_key *keys; /* secret memory; one a section */
	struct section sections[PACK_SECTIONS_MAX];
	uint32_t n_sections;
	struct area_blocks blocks;
	pthread_mutex_t lock;
	struct buf kept[OBJECTS_KEPT]; /* protected by lock */
	unsigned n_kept;               /* protected by lock */
};

struct pack_builder *
pack_builder_new(const struct repo_id *repo, const struct writer_id *writer)
{
	struct pack_builder *b = mem_alloc(sizeof *b);

	b->repo = *repo;
	b->writer = *writer;
	b->keys = secret_new(PACK_SECTIONS_MAX * sizeof *b->keys);
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

static void
forget_sections(struct pack_builder *b)
{
	for (uint32_t i = 0; i < b->n_sections; i++) {
		struct section *s = &b->sections[i];

		area_drop(&s->areas[0], &b->blocks);
		area_drop(&s->areas[1], &b->blocks);
		buf_fini(&s->boxes);
		*s = (struct section){0};
	}
	seal_wipe(b->keys, PACK_SECTIONS_MAX * sizeof *b->keys);
	b->n_sections = 0;
}

void
pack_builder_free(struct pack_builder *b)
{
	if (b == NULL)
		return;
	forget_sections(b);
	area_blocks_fini(&b->blocks);
	while (b->n_kept > 0)
		buf_fini(&b->kept[--b->n_kept]);
	pthread_mutex_destroy(&b->lock);
	secret_free(b->keys);
	free(b);
}

uint32_t
pack_builder_section(struct pack_builder *b, const char *class_name,
		     const struct recipient *recipients, size_t n)
{
	size_t class_len = strlen(class_name);
	struct seal_key *key;
	struct section *s;

	for (uint32_t i = 0; i < b->n_sections; i++)
		if (strcmp(b->sections[i].scope.class_name, class_name) == 0)
			return i;
	assert(b->n_sections < PACK_SECTIONS_MAX);
	assert(class_len <= CLASS_NAME_MAX && n >= 1 && n <= PACK_KEYS_MAX);
	s = &b->sections[b->n_sections];
	key = &b->keys[b->n_sections];
	s->scope.writer = b->writer;
	memcpy(s->scope.class_name, class_name, class_len + 1);
	seal_random(key->b, sizeof key->b);
	s->n_boxes = n;
	for (size_t i = 0; i < n; i++)
		object_box_key(&recipients[i].box_pk, key, &s->boxes);
	return b->n_sections++;
}

uint64_t
pack_builder_add(struct pack_builder *b, uint32_t ordinal, enum pack_area area, struct slice packed,
		 uint32_t *ret_stored_len)
{
	struct section *s = &b->sections[ordinal];
	struct area *a = &s->areas[area - PACK_DATA];
	struct buf *to = area_room(a, &b->blocks, packed.len + SEAL_TAG_LEN);
	uint64_t off = a->len;
	size_t before = to->len;

	assert(ordinal < b->n_sections);
	segment_seal(&b->keys[ordinal], &s->scope, area, off, packed, to);
	*ret_stored_len = (uint32_t)(to->len - before);
	area_added(a, *ret_stored_len);
	return off;
}

uint64_t
pack_builder_body_len(const struct pack_builder *b)
{
	uint64_t len = 0;

	for (uint32_t i = 0; i < b->n_sections; i++)
		len += b->sections[i].areas[0].len + b->sections[i].areas[1].len;
	return len;
}

/* ---- finishing ---- */

static void
section_put(const struct section *s, const struct seal_key *key, struct buf *ret)
{
	struct hash key_hash;

	pack_key_hash(key, &key_hash);
	cbor_put_map(ret, 2);
	cbor_put_uint(ret, 0);
	cbor_put_array(ret, s->n_boxes);
	for (size_t i = 0; i < s->n_boxes; i++)
		cbor_put_bytes(ret, s->boxes.p + i * KEY_BOX_LEN, KEY_BOX_LEN);
	cbor_put_uint(ret, 1);
	cbor_put_bytes(ret, key_hash.b, sizeof key_hash.b);
}

/* Replaces @ret by a header whose own length and block hashes are still zero; returns where the
 * hashes go. */
static size_t
header_put(const struct pack_builder *b, uint64_t body_len, struct buf *ret)
{
	size_t hashes_len = pack_block_count(body_len) * sizeof(struct hash);
	CLEANUP(freep) uint8_t *no_hashes = mem_alloc(hashes_len);
	size_t hashes_off;

	buf_reset(ret);
	buf_append_str(ret, PACK_MAGIC);
	buf_append_u32le(ret, 0);
	cbor_put_map(ret, 6);
	cbor_put_uint(ret, 0);
	cbor_put_uint(ret, OBJECT_VERSION);
	cbor_put_uint(ret, 1);
	cbor_put_bytes(ret, b->repo.b, sizeof b->repo.b);
	cbor_put_uint(ret, 2);
	cbor_put_bytes(ret, b->writer.b, sizeof b->writer.b);
	cbor_put_uint(ret, 3);
	cbor_put_uint(ret, body_len);
	cbor_put_uint(ret, 4);
	cbor_put_bytes(ret, no_hashes, hashes_len);
	hashes_off = ret->len - hashes_len;
	cbor_put_uint(ret, 5);
	cbor_put_array(ret, b->n_sections);
	for (uint32_t i = 0; i < b->n_sections; i++)
		section_put(&b->sections[i], &b->keys[i], ret);
	return hashes_off;
}

/* The length of the head of a CBOR integer or byte string. */
static unsigned
head_len(uint64_t v)
{
	return v < 24 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

/* The object's length, given the header's without the body's length and the block hashes. */
static uint64_t
object_len(uint64_t fixed_len, uint64_t body_len)
{
	uint64_t hashes_len = pack_block_count(body_len) * sizeof(struct hash);

	return fixed_len + head_len(body_len) + head_len(hashes_len) + hashes_len + body_len;
}

/*
 * The length of the padded body: the object's length is one that Padmé gives.  A header grows with
 * the body, a block hash at a time, so some lengths can't be met; then the next padded one is.
 */
static uint64_t
padded_body_len(uint64_t fixed_len, uint64_t body_len)
{
	uint64_t total = pack_padded_len(object_len(fixed_len, body_len));

	for (;; total = pack_padded_len(total + 1)) {
		uint64_t header_len = object_len(fixed_len, body_len) - body_len;
		uint64_t len = total - header_len; /* at most; a longer body has a longer header */

		while (object_len(fixed_len, len) > total)
			len--;
		if (object_len(fixed_len, len) == total)
			return len;
	}
}

static void
body_put(struct pack_builder *b, struct buf *object, struct pack_place *places)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < b->n_sections; i++) {
		struct area *areas = b->sections[i].areas;

		places[i].ordinal = i;
		places[i].data_off = off;
		places[i].data_len = areas[0].len;
		places[i].tree_len = areas[1].len;
		for (int a = 0; a < 2; a++) {
			off += areas[a].len;
			area_move(&areas[a], &b->blocks, object);
		}
	}
}

static void
blocks_hash(const uint8_t *body, uint64_t body_len, uint8_t *ret)
{
	for (uint64_t off = 0; off < body_len; off += PACK_BLOCK_LEN, ret += sizeof(struct hash)) {
		struct hash h;

		seal_hash(body + off, min_u64(PACK_BLOCK_LEN, body_len - off), &h);
		memcpy(ret, h.b, sizeof h.b);
	}
}

static void
header_len_put(struct buf *object, uint32_t len)
{
	for (int i = 0; i < 4; i++)
		object->p[PACK_MAGIC_LEN + i] = (uint8_t)(len >> (8 * i));
}

/* ---- memory of stored objects ---- */

static void
object_take(struct pack_builder *b, struct buf *ret)
{
	buf_fini(ret);
	pthread_mutex_lock(&b->lock);
	if (b->n_kept > 0)
		*ret = b->kept[--b->n_kept];
	pthread_mutex_unlock(&b->lock);
}

/* Room for all of it, aligned, keeping what is there.  Packs are of nearly the same length: with
 * some room to spare the memory of one does for the next. */
static void
object_reserve(struct buf *object, uint64_t len)
{
	struct buf larger = {.len = object->len};

	if (object->cap >= len && (uintptr_t)object->p % OBJECT_ALIGN == 0)
		return;
	larger.cap = max_u64((len + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN,
			     len >= OBJECT_KEEP_MIN ? OBJECT_ROOM : 0);
	larger.p = aligned_alloc(OBJECT_ALIGN, larger.cap);
	if (larger.p == NULL)
		abort(); /* as all of mem.c does */
	memcpy(larger.p, object->p, object->len);
	free(object->p);
	*object = larger;
}

void
pack_builder_recycle(struct pack_builder *b, struct buf *object)
{
	pthread_mutex_lock(&b->lock);
	if (b->n_kept < OBJECTS_KEPT && object->cap >= OBJECT_KEEP_MIN) {
		buf_reset(object);
		b->kept[b->n_kept++] = *object;
		*object = BUF_INIT;
	}
	pthread_mutex_unlock(&b->lock);
	buf_fini(object);
}

uint64_t
pack_builder_padding(const struct pack_builder *b, uint64_t more)
{
	CLEANUP(buf_fini) struct buf header = BUF_INIT;
	uint64_t used = pack_builder_body_len(b) + more;

	header_put(b, 0, &header);
	return padded_body_len(header.len - 2 * head_len(0), used) - used;
}

void
pack_builder_finish(struct pack_builder *b, struct buf *object, struct pack_place **places,
		    size_t *n_places, struct pack_id *id)
{
	uint64_t used = pack_builder_body_len(b), body_len;
	size_t hashes_off, header_len;

	object_take(b, object);
	header_put(b, 0, object);
	body_len = padded_body_len(object->len - 2 * head_len(0), used);
	hashes_off = header_put(b, body_len, object);
	header_len = object->len;
	assert(header_len <= PACK_HEADER_MAX && body_len <= PACK_BODY_MAX);
	*n_places = b->n_sections;
	*places = mem_array(b->n_sections, sizeof **places);
	object_reserve(object, header_len + body_len);
	body_put(b, object, *places);
	seal_random(buf_extend(object, body_len - used), body_len - used);
	blocks_hash(object->p + header_len, body_len, object->p + hashes_off);
	header_len_put(object, (uint32_t)header_len);
	seal_hash(object->p, header_len, &id->h);
	for (size_t i = 0; i < *n_places; i++) {
		(*places)[i].id = *id;
		(*places)[i].object_len = object->len;
		(*places)[i].header_len = (uint32_t)header_len;
	}
	forget_sections(b);
}
