/*
 * load.c - how segments and nodes are loaded: bounds, fetch, decrypt, decode.
 *
 * Layer 3.  Format: docs/format.md sections 5 and 6.2; I-5 to I-9.
 */
#include <inttypes.h>

#include "reader/internal.h"

#define SECTION_STREAK 2u                  /* segments in a row that make a forward reader */
#define SECTION_AHEAD  (UINT64_C(2) * MIB) /* fetched ahead for him */

/* ---- references ---- */

int
segment_key_of(struct tree *t, const struct pack_table *packs, const struct segment_ref *ref,
	       enum pack_area area, struct cached_key *ret, struct err *err)
{
	struct section *section;
	uint64_t area_len;
	int r;

	if (ref->pack >= packs->n || (ref->pack == 0 && !packs->has_holder))
		return err_set(err, ERR_CORRUPT, "a reference to pack number %u of %u", ref->pack,
			       packs->n);
	r = tree_section(t, &packs->ids[ref->pack], &section, err);
	if (r < 0)
		return r;
	area_len = section_area_len(section, area);
	if (ref->off > area_len || ref->stored_len > area_len - ref->off ||
	    ref->stored_len > SEGMENT_STORED_MAX || ref->plain_len > SEGMENT_PLAIN_MAX)
		return err_set(err, ERR_CORRUPT,
			       "pack %s: a reference to %u bytes at %" PRIu64
			       " leads outside of the class's %s area of %" PRIu64,
			       hex(&section->place.id.h).s, ref->stored_len, ref->off,
			       area == PACK_TREE ? "tree" : "data", area_len);
	*ret = (struct cached_key){.section = section,
				   .off = ref->off,
				   .stored_len = ref->stored_len,
				   .plain_len = ref->plain_len,
				   .kind = CACHED_SEGMENT,
				   .area = (uint16_t)area};
	return 0;
}

static int
node_key(struct tree *t, const struct pack_table *packs, const struct node_ref *ref,
	 enum cached_kind kind, int height, uint64_t range, struct cached_key *ret, struct err *err)
{
	int r = segment_key_of(t, packs, &ref->seg, PACK_TREE, ret, err);

	if (r < 0)
		return r;
	if (ref->off > ret->plain_len || ref->len > ret->plain_len - ref->off || ref->len == 0)
		return err_set(err, ERR_CORRUPT, "pack %s: a reference leads outside of a segment",
			       hex(&ret->section->place.id.h).s);
	ret->kind = (uint16_t)kind;
	ret->node_off = ref->off;
	ret->node_len = ref->len;
	ret->height = height;
	ret->range = range;
	return 0;
}

static int
node_get(struct tree *t, const struct pack_table *packs, const struct node_ref *ref,
	 enum cached_kind kind, int height, uint64_t range, struct cached **ret, struct err *err)
{
	struct cached_key key;
	int r = node_key(t, packs, ref, kind, height, range, &key, err);

	*ret = NULL;
	return r < 0 ? r : cache_get(&t->reader->nodes, &key, ret, err);
}

int
dir_node_key(struct tree *t, const struct pack_table *packs, const struct node_ref *ref, int height,
	     struct cached_key *ret, struct err *err)
{
	return node_key(t, packs, ref, CACHED_DIR, height, 0, ret, err);
}

int
dir_node_get(struct tree *t, const struct pack_table *packs, const struct node_ref *ref, int height,
	     struct cached **ret, struct err *err)
{
	return node_get(t, packs, ref, CACHED_DIR, height, 0, ret, err);
}

int
stream_node_get(struct tree *t, const struct pack_table *packs, const struct node_ref *ref,
		uint32_t height, uint64_t range, struct cached **ret, struct err *err)
{
	return node_get(t, packs, ref, CACHED_STREAM, (int)height, range, ret, err);
}

/* ---- segments ---- */

static struct bench *
bench_get(struct reader *r)
{
	struct bench *b;

	pthread_mutex_lock(&r->bench_lock);
	b = SLIST_FIRST(&r->benches);
	if (b != NULL)
		SLIST_REMOVE_HEAD(&r->benches, next);
	pthread_mutex_unlock(&r->bench_lock);
	if (b == NULL) {
		b = mem_alloc(sizeof *b);
		b->codec = codec_new(1); /* the level is for writers */
	}
	return b;
}

static void
bench_put(struct reader *r, struct bench *b)
{
	pthread_mutex_lock(&r->bench_lock);
	SLIST_INSERT_HEAD(&r->benches, b, next);
	pthread_mutex_unlock(&r->bench_lock);
}

/*
 * Who opens a data segment right behind the one before is copying a folder, whose files lie one
 * after the other: what follows in the section is fetched ahead.  Not so from afar for a stream: a
 * database that grew daily lies in many packs, a few segments in a row in each, and what follows
 * them there is of other files.
 */
static void
fetch_behind(struct reader *r, struct section *s, uint64_t off, uint64_t stored_len)
{
	uint64_t ahead = max_u64(SECTION_AHEAD, transfer_window(r->transfer));
	uint64_t from = 0, to = 0;

	pthread_mutex_lock(&r->sections.lock);
	s->streak = off == s->next_off ? s->streak + 1 : 0;
	s->next_off = off + stored_len;
	if (s->streak == 0)
		s->asked_off = s->next_off;
	if (s->streak >= SECTION_STREAK && s->asked_off < s->next_off + ahead / 2) {
		from = max_u64(s->asked_off, s->next_off);
		to = min_u64(s->next_off + ahead, s->place.data_len);
		s->asked_off = to;
	}
	pthread_mutex_unlock(&r->sections.lock);
	if (from < to)
		transfer_prefetch(r->transfer, &s->source, s->place.data_off + from, to - from);
}

static int
open_segment(struct reader *r, struct bench *b, struct cached *x, struct err *err)
{
	const struct cached_key *k = &x->key;
	struct section *s = k->section;
	enum pack_area area = (enum pack_area)k->area;
	const struct seal_key *key;
	int code;

	/* First the data, since the header comes with it where that saves a request. */
	code = transfer_read(r->transfer, &s->source, section_area_off(s, area) + k->off,
			     k->stored_len, &b->stored, err);
	if (code == 0)
		code = section_key(r, s, &key, err);
	/* To those above, "not there" is about names. */
	if (code == ERR_NOENT)
		return err_add(err, ERR_CORRUPT, "the snapshot needs what is missing");
	if (code != 0)
		return code;
	code = segment_open(key, &s->scope, area, k->off, buf_slice(&b->stored), k->plain_len,
			    b->codec, &x->plain, err);
	if (code < 0)
		return err_add(err, code, "pack %s", hex(&s->place.id.h).s);
	x->cost = sizeof *x + x->plain.cap;
	return 0;
}

static int
load_segment(struct reader *r, struct cached *x, struct err *err)
{
	struct bench *b = bench_get(r);
	int code;

	if (x->key.area == PACK_DATA && (!x->key.streamed || transfer_room(r->transfer) == 0))
		fetch_behind(r, x->key.section, x->key.off, x->key.stored_len);
	code = open_segment(r, b, x, err);
	bench_put(r, b);
	return code;
}

/* ---- nodes ---- */

static int
load_dir(struct cached *x, struct slice bytes, const struct node_origin *origin, struct err *err)
{
	int r = dir_node_decode(bytes, origin, x->key.height, &x->dir, err);

	if (r < 0)
		return r;
	x->count = x->dir->n;
	if (x->dir->kind == NODE_DIR_INNER) {
		/* dir_node_decode proved that the sum doesn't wrap. */
		x->count = 0;
		for (uint32_t i = 0; i < x->dir->n; i++)
			x->count += x->dir->children[i].count;
	}
	x->cost = sizeof *x + dir_node_memory(x->dir);
	return 0;
}

static int
load_stream(struct cached *x, struct slice bytes, const struct node_origin *origin, struct err *err)
{
	struct stream_node *n;
	int r = stream_node_decode(bytes, origin, (uint32_t)x->key.height, x->key.range, &x->stream,
				   err);

	if (r < 0)
		return r;
	n = x->stream;
	x->cost = sizeof *x + sizeof *n + n->packs.cap * sizeof *n->packs.ids +
		  n->n_children * sizeof *n->children +
		  n->leaf.n_segments * sizeof *n->leaf.segments +
		  n->leaf.n_extents * sizeof *n->leaf.extents;
	return 0;
}

static int
load_node(struct reader *r, struct cached *x, struct err *err)
{
	struct cached_key key = x->key;
	struct node_origin origin = {.pack = key.section->place.id,
				     .seg = {.pack = 0,
					     .off = key.off,
					     .stored_len = key.stored_len,
					     .plain_len = key.plain_len},
				     .off = key.node_off};
	struct cached *segment;
	struct slice bytes;
	int code;

	key.kind = CACHED_SEGMENT;
	key.range = key.node_off = key.node_len = 0;
	key.height = 0;
	code = cache_get(&r->segments, &key, &segment, err);
	if (code < 0)
		return code;
	/* node_get proved that the node lies inside plain_len, which is the segment's length. */
	bytes = slice_of(segment->plain.p + x->key.node_off, x->key.node_len);
	code = x->key.kind == CACHED_DIR ? load_dir(x, bytes, &origin, err)
					 : load_stream(x, bytes, &origin, err);
	cache_put(&r->segments, segment, false);
	if (code < 0)
		return err_add(err, code, "pack %s: tree segment at %" PRIu64 ", node at %u",
			       hex(&key.section->place.id.h).s, key.off, x->key.node_off);
	return 0;
}

int
cached_load(struct reader *r, struct cached *x, struct err *err)
{
	return x->key.kind == CACHED_SEGMENT ? load_segment(r, x, err) : load_node(r, x, err);
}

void
cached_release(struct reader *r, struct cached *x)
{
	buf_fini(&x->plain);
	dir_node_free(x->dir);
	stream_node_free(x->stream);
	section_put(&r->sections, x->key.section);
	if (x->beside.section != NULL)
		section_put(&r->sections, x->beside.section);
	free(x->failure);
	pthread_cond_destroy(&x->loaded);
	free(x);
}
