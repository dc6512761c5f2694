/*
 * parts.c - the small things that travel through a backup: segments, pieces, events, stored
 * content, shipments, and the map of chunks underway.
 *
 * Layer 4.
 */
#include "backup/internal.h"

/* ---- segments ---- */

struct segment *
segment_get(struct segment *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
segment_put(struct segment *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	buf_fini(&s->plain);
	buf_fini(&s->packed);
	free(s->chunks);
	free(s);
}

/* ---- pieces ---- */

static bool
extends(const struct piece *last, const struct piece *next)
{
	if (last->seg != next->seg || last->off + last->len != next->off)
		return false;
	return next->seg != NULL ||
	       (next->ref.stored_len != 0 && last->ref.stored_len != 0 &&
		last->ref.pack == next->ref.pack && last->ref.off == next->ref.off);
}

void
pieces_add(struct pieces *p, const struct chunk_id *id, const struct piece *where,
	   uint32_t chunk_off)
{
	buf_append(&p->logical, id, sizeof *id);
	buf_append_u32le(&p->logical, chunk_off);
	buf_append_u32le(&p->logical, (uint32_t)where->len);
	if (p->n > 0 && extends(&p->v[p->n - 1], where)) {
		p->v[p->n - 1].len += where->len;
		segment_put(where->seg);
		return;
	}
	array_reserve(p->v, p->n, p->cap);
	p->v[p->n++] = *where;
}

void
pieces_add_hole(struct pieces *p, uint64_t len)
{
	static const struct chunk_id none = {0};

	buf_append(&p->logical, &none, sizeof none);
	buf_append_u64le(&p->logical, len);
	if (p->n > 0 && p->v[p->n - 1].seg == NULL && p->v[p->n - 1].ref.stored_len == 0) {
		p->v[p->n - 1].len += len;
		return;
	}
	array_reserve(p->v, p->n, p->cap);
	p->v[p->n++] = (struct piece){.len = len};
}

void
pieces_reset(struct pieces *p)
{
	for (size_t i = 0; i < p->n; i++)
		segment_put(p->v[i].seg);
	p->n = 0;
	buf_reset(&p->logical);
}

void
pieces_fini(struct pieces *p)
{
	pieces_reset(p);
	free(p->v);
	buf_fini(&p->logical);
	*p = (struct pieces){0};
}

void
pieces_to_leaf(const struct pieces *p, struct leaf *ret, struct pack_set *reach)
{
	*ret = (struct leaf){0};
	ret->segments = mem_array(p->n + 1, sizeof *ret->segments);
	ret->extents = mem_array(p->n + 1, sizeof *ret->extents);
	for (size_t i = 0; i < p->n; i++) {
		const struct piece *piece = &p->v[i];
		const struct segment_ref *seg = piece->seg != NULL ? &piece->seg->ref : &piece->ref;
		struct extent *x = &ret->extents[ret->n_extents++];
		uint32_t s;

		*x = (struct extent){.len = piece->len};
		if (seg->stored_len == 0)
			continue;
		/* Neighbours often share a segment; anything farther away isn't worth a search. */
		for (s = ret->n_segments; s > 0 && ret->n_segments - s < 8; s--)
			if (ret->segments[s - 1].pack == seg->pack &&
			    ret->segments[s - 1].off == seg->off)
				break;
		if (s == 0 || ret->n_segments - s >= 8) {
			ret->segments[ret->n_segments++] = *seg;
			s = ret->n_segments;
		}
		x->segment = s;
		x->off = piece->off;
		pack_set_add(reach, seg->pack);
	}
}

/* ---- nodes and stored content ---- */

static void
tree_segment_put(struct tree_segment *t)
{
	if (t == NULL || --t->refs > 0)
		return;
	for (size_t i = 0; i < t->n_nodes; i++)
		pack_set_fini(&t->nodes[i].reach);
	free(t->nodes);
	buf_fini(&t->plain);
	free(t);
}

void
node_fini(struct node *n)
{
	tree_segment_put(n->underway);
	pack_set_fini(&n->reach);
	*n = (struct node){0};
}

struct stored *
stored_new(void)
{
	struct stored *s = mem_alloc(sizeof *s);

	atomic_init(&s->refs, 1);
	return s;
}

struct stored *
stored_get(struct stored *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
stored_put(struct stored *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	content_fini(&s->content);
	buf_fini(&s->bytes);
	node_fini(&s->root);
	pack_set_fini(&s->reach);
	free(s);
}

void
item_free(struct item *it)
{
	if (it == NULL)
		return;
	free(it->entry.xattrs);
	free(it->name);
	free(it->target);
	free(it->xattr_bytes);
	free(it);
}

void
child_list_reset(struct child_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].first);
		node_fini(&l->v[i].node);
	}
	l->n = 0;
}

/* ---- events ---- */

struct event *
event_new(enum event_type type, struct lane *lane)
{
	struct event *e = mem_alloc(sizeof *e);

	e->type = type;
	e->lane = lane;
	return e;
}

void
event_free(struct event *e)
{
	if (e == NULL)
		return;
	segment_put(e->segment);
	pieces_fini(&e->pieces);
	pack_set_fini(&e->known.reach);
	item_free(e->item);
	stored_put(e->stored);
	free(e->path);
	free(e);
}

/* ---- shipments ---- */

struct shipment *
shipment_new(void)
{
	return mem_alloc(sizeof(struct shipment));
}

void
shipment_free(struct shipment *s)
{
	if (s == NULL)
		return;
	if (s->home != NULL)
		pack_builder_recycle(s->home, &s->object);
	else
		buf_fini(&s->object);
	free(s->sections);
	free(s->chunks);
	for (size_t i = 0; i < s->n_nodes; i++)
		pack_set_fini(&s->nodes[i].reach);
	free(s->nodes);
	for (size_t i = 0; i < s->n_dirs; i++) {
		buf_fini(&s->dirs[i].key);
		buf_fini(&s->dirs[i].record);
	}
	free(s->dirs);
	free(s);
}

/* ---- the map of chunks underway: chained, grown by doubling ---- */

struct map_entry {
	struct map_entry *next;
	struct chunk_id id;
	struct segment *seg; /* a reference */
	uint32_t off, len;
};

struct chunk_map {
	pthread_mutex_t lock;
	struct map_entry **slots; /* protected by lock, as all below */
	size_t n_slots, n;
};

struct chunk_map *
chunk_map_new(void)
{
	struct chunk_map *m = mem_alloc(sizeof *m);

	pthread_mutex_init(&m->lock, NULL);
	m->n_slots = 1024;
	m->slots = mem_array(m->n_slots, sizeof(struct map_entry *));
	return m;
}

void
chunk_map_free(struct chunk_map *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n_slots; i++)
		while (m->slots[i] != NULL) {
			struct map_entry *e = m->slots[i];

			m->slots[i] = e->next;
			segment_put(e->seg);
			free(e);
		}
	free(m->slots);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* Ids are keyed hashes: their first bytes are as good as any hash of them. */
static struct map_entry **
slot_of(struct chunk_map *m, const struct chunk_id *id)
{
	uint64_t v;

	memcpy(&v, id, sizeof v);
	return &m->slots[v & (m->n_slots - 1)];
}

static struct map_entry **
find(struct chunk_map *m, const struct chunk_id *id)
{
	struct map_entry **at = slot_of(m, id);

	while (*at != NULL && !hash_equal(&(*at)->id.h, &id->h))
		at = &(*at)->next;
	return at;
}

static void
grow(struct chunk_map *m)
{
	struct map_entry **old = m->slots;
	size_t n_old = m->n_slots;

	m->n_slots *= 2;
	m->slots = mem_array(m->n_slots, sizeof(struct map_entry *));
	for (size_t i = 0; i < n_old; i++)
		while (old[i] != NULL) {
			struct map_entry *e = old[i];
			struct map_entry **at = slot_of(m, &e->id);

			old[i] = e->next;
			e->next = *at;
			*at = e;
		}
	free(old);
}

void
chunk_map_put(struct chunk_map *m, const struct chunk_id *id, struct segment *seg, uint32_t off,
	      uint32_t len)
{
	struct map_entry *e = mem_alloc(sizeof *e);
	struct map_entry **at;

	*e = (struct map_entry){.id = *id, .seg = segment_get(seg), .off = off, .len = len};
	pthread_mutex_lock(&m->lock);
	if (m->n++ >= m->n_slots)
		grow(m);
	at = slot_of(m, id);
	e->next = *at;
	*at = e;
	pthread_mutex_unlock(&m->lock);
}

bool
chunk_map_find(struct chunk_map *m, const struct chunk_id *id, struct piece *ret)
{
	struct map_entry *e;

	pthread_mutex_lock(&m->lock);
	e = *find(m, id);
	if (e != NULL)
		*ret = (struct piece){.len = e->len, .seg = segment_get(e->seg), .off = e->off};
	pthread_mutex_unlock(&m->lock);
	return e != NULL;
}

void
chunk_map_remove(struct chunk_map *m, const struct chunk_id *id)
{
	struct map_entry **at, *e;

	pthread_mutex_lock(&m->lock);
	at = find(m, id);
	e = *at;
	if (e != NULL) {
		*at = e->next;
		m->n--;
	}
	pthread_mutex_unlock(&m->lock);
	if (e != NULL)
		segment_put(e->seg);
	free(e);
}
