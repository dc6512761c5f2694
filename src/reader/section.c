/*
 * section.c - sections of packs: geometry, scope, keys.
 *
 * A section is interned: every tree that lists it alike shares one, and so its key and what was
 * loaded of it.  Trees that describe a pack differently get sections of their own, so a snapshot
 * that lies harms only itself.
 *
 * Layer 3.
 */
#include "reader/internal.h"

void
sections_init(struct sections *s)
{
	pthread_mutex_init(&s->lock, NULL);
}

void
sections_fini(struct sections *s)
{
	for (size_t i = 0; i < s->n_slabs; i++)
		secret_free(s->slabs[i]);
	free(s->slabs);
	free(s->free_keys);
	pthread_mutex_destroy(&s->lock);
}

static bool
place_equal(const struct pack_place *a, const struct pack_place *b)
{
	return hash_equal(&a->id.h, &b->id.h) && a->object_len == b->object_len &&
	       a->header_len == b->header_len && a->ordinal == b->ordinal &&
	       a->data_off == b->data_off && a->data_len == b->data_len &&
	       a->tree_len == b->tree_len;
}

/* Whether the areas lie inside the body; only differences, which can't wrap. */
static int
place_check(const struct pack_place *p, struct err *err)
{
	uint64_t body_len, left;

	if (p->header_len < p->object_len) {
		body_len = p->object_len - p->header_len;
		if (body_len <= PACK_BODY_MAX && p->data_off <= body_len) {
			left = body_len - p->data_off;
			if (p->data_len <= left && p->tree_len <= left - p->data_len)
				return 0;
		}
	}
	return err_set(err, ERR_CORRUPT, "pack %s: the snapshot places its section outside of it",
		       hex(&p->id.h).s);
}

static struct section *
find_locked(struct sections *s, const struct segment_scope *scope, const struct pack_place *place)
{
	struct section *x;

	LIST_FOREACH(x, &s->buckets[place->id.h.b[0] % SECTION_BUCKETS], chain)
	{
		if (place_equal(&x->place, place) &&
		    writer_id_equal(&x->scope.writer, &scope->writer) &&
		    strcmp(x->scope.class_name, scope->class_name) == 0)
			return x;
	}
	return NULL;
}

int
section_get(struct sections *s, const struct segment_scope *scope, const struct pack_place *place,
	    struct section **ret, struct err *err)
{
	struct section *x;
	int r;

	*ret = NULL;
	r = place_check(place, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	x = find_locked(s, scope, place);
	if (x == NULL) {
		x = mem_alloc(sizeof *x);
		x->scope = *scope;
		x->place = *place;
		x->source = (struct pack_source){.writer = scope->writer,
						 .id = place->id,
						 .object_len = place->object_len,
						 .header_len = place->header_len};
		LIST_INSERT_HEAD(&s->buckets[place->id.h.b[0] % SECTION_BUCKETS], x, chain);
	}
	x->refs++;
	pthread_mutex_unlock(&s->lock);
	*ret = x;
	return 0;
}

void
section_ref(struct sections *s, struct section *section)
{
	pthread_mutex_lock(&s->lock);
	section->refs++;
	pthread_mutex_unlock(&s->lock);
}

/* ---- keys: small secrets, many to a page of guarded memory ---- */

static struct seal_key *
key_new_locked(struct sections *s)
{
	if (s->n_free == 0) {
		struct seal_key *slab = secret_new(KEYS_PER_SLAB * sizeof *slab);

		array_reserve(s->slabs, s->n_slabs, s->cap_slabs);
		s->slabs[s->n_slabs++] = slab;
		for (size_t i = 0; i < KEYS_PER_SLAB; i++) {
			array_reserve(s->free_keys, s->n_free, s->cap_free);
			s->free_keys[s->n_free++] = &slab[i];
		}
	}
	return s->free_keys[--s->n_free];
}

static void
key_free_locked(struct sections *s, const struct seal_key *key)
{
	struct seal_key *mine = (struct seal_key *)key;

	seal_key_wipe(mine);
	array_reserve(s->free_keys, s->n_free, s->cap_free);
	s->free_keys[s->n_free++] = mine;
}

void
section_put(struct sections *s, struct section *section)
{
	const struct seal_key *key;

	if (section == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	if (--section->refs == 0) {
		LIST_REMOVE(section, chain);
		key = atomic_load(&section->key);
		if (key != NULL)
			key_free_locked(s, key);
		free(section);
	}
	pthread_mutex_unlock(&s->lock);
}

int
section_key(struct reader *r, struct section *section, const struct seal_key **ret, struct err *err)
{
	CLEANUP(seal_key_wipe) struct seal_key opened = {0};
	const struct pack_header *header;
	struct seal_key *kept;
	int code;

	*ret = atomic_load(&section->key);
	if (*ret != NULL)
		return 0;
	code = transfer_header(r->transfer, &section->source, &header, err);
	if (code < 0)
		return code;
	code = repo_section_key(r->repo, header, &section->place.id, section->place.ordinal,
				&opened, err);
	transfer_header_put(r->transfer, header);
	if (code < 0)
		return code;

	pthread_mutex_lock(&r->sections.lock);
	/* Another thread may have been as fast; theirs is the same key. */
	if (atomic_load(&section->key) == NULL) {
		kept = key_new_locked(&r->sections);
		*kept = opened;
		atomic_store(&section->key, kept);
	}
	*ret = atomic_load(&section->key);
	pthread_mutex_unlock(&r->sections.lock);
	return 0;
}

uint64_t
section_area_off(const struct section *s, enum pack_area area)
{
	return s->place.data_off + (area == PACK_TREE ? s->place.data_len : 0);
}

uint64_t
section_area_len(const struct section *s, enum pack_area area)
{
	return area == PACK_TREE ? s->place.tree_len : s->place.data_len;
}
