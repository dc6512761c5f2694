/*
 * readahead.c - who reads forward finds segments opened ahead.
 *
 * The kernel reads ahead 128 KiB at most and in several threads, so requests come a little out of
 * order; who stays near the front is a forward reader.  For him a window opens before the front and
 * doubles as he goes on.  Threads of a small pool take the file's next segment each, decrypt and
 * decompress it into the cache, and the reader only copies.  A jump closes the window: a random
 * reader pays for what he reads and nothing else.
 *
 * Which segment is next takes a look into the stream's leaves, which may have to be fetched: one
 * thread a file does that at a time, and hands the file on before it opens what it found.
 *
 * Layer 3.
 */
#include "reader/internal.h"

#define NEAR_BEHIND  (UINT64_C(2) * MIB) /* the kernel has 12 requests of 128 KiB in flight */
#define NEAR_BEFORE  (UINT64_C(1) * MIB)
#define FORWARD_MIN  (UINT64_C(128) * KIB)
#define WINDOW_FIRST (UINT64_C(256) * KIB)
#define WINDOW_MAX   (UINT64_C(8) * MIB)
#define REACH_FIRST  (UINT64_C(1) * MIB)
#define REACH_WHOLE  (UINT64_C(1) << 40) /* as far as transfer's window allows */

/* ---- the ring: what lies opened before the reader ---- */

static void
ring_push_locked(struct pool *p, struct readahead *a, uint64_t until, uint32_t cost)
{
	size_t at = (a->ring_head + a->ring_len++) % AHEAD_RING;

	a->ring[at].until = until;
	a->ring[at].cost = cost;
	a->cost += cost;
	p->cost += cost;
}

static void
ring_pop_locked(struct pool *p, struct readahead *a)
{
	a->cost -= a->ring[a->ring_head].cost;
	p->cost -= a->ring[a->ring_head].cost;
	a->ring_head = (a->ring_head + 1) % AHEAD_RING;
	a->ring_len--;
}

/*
 * Whether a further segment may be opened ahead.  A scattered file takes a whole segment for a few
 * bytes, so it is memory that counts; one segment is always allowed, so that nobody starves.
 */
static bool
may_open_locked(const struct reader *r, const struct readahead *a)
{
	uint64_t limit = r->segments.memory / 2;

	return a->next < a->end && a->ring_len < AHEAD_RING &&
	       (a->ring_len == 0 || (a->cost < limit && r->pool.cost < limit + limit / 2));
}

/* ---- looking for what is next ---- */

/* A segment to open, and where the file is after the last byte that it gives. */
struct piece {
	struct cached_key key;
	uint64_t until;
	bool found;
};

/* From an extent's place in a leaf: how far its segment, or holes, go on. */
static uint64_t
same_segment_until(const struct leaf *leaf, uint32_t i, uint64_t end)
{
	uint32_t segment = leaf->extents[i].segment;

	for (i++; i < leaf->n_extents; i++) {
		if (leaf->extents[i].segment != segment && leaf->extents[i].segment != 0)
			break;
		end += leaf->extents[i].len;
	}
	return end;
}

/* The first segment at or after @from that isn't in memory. */
static int
find_piece(struct tree_file *f, const struct span *s, uint64_t from, struct piece *ret,
	   struct err *err)
{
	uint64_t at = s->off;

	for (uint32_t i = 0; s->leaf != NULL && i < s->leaf->n_extents; i++) {
		const struct extent *x = &s->leaf->extents[i];
		uint64_t end = at + x->len;
		int r;

		at = end;
		if (end <= from || x->segment == 0)
			continue;
		r = segment_key_of(f->tree, s->packs, &s->leaf->segments[x->segment - 1], PACK_DATA,
				   &ret->key, err);
		if (r < 0)
			return r;
		if (cache_has(&f->tree->reader->segments, &ret->key))
			continue;
		ret->key.streamed = f->item.entry.content.kind == CONTENT_TREE;
		ret->found = true;
		ret->until = same_segment_until(s->leaf, i, end);
		return 0;
	}
	ret->until = s->off + s->len;
	return 0;
}

/* What look() is to ask for, and what it asked for. */
struct ask {
	uint64_t off, end;      /* of the file: asked up to off already */
	uint64_t plain, stored; /* lengths of what was asked for */
};

/* Asks transfer for those of a leaf's segments that aren't opened yet, neighbours in one range. */
static int
ask_for(struct tree_file *f, const struct span *s, struct ask *ask, struct err *err)
{
	struct asking a = {.reader = f->tree->reader};

	ask->plain += s->len;
	for (uint32_t i = 0; s->leaf != NULL && i < s->leaf->n_segments; i++) {
		struct cached_key key;
		int r = segment_key_of(f->tree, s->packs, &s->leaf->segments[i], PACK_DATA, &key,
				       err);

		if (r < 0)
			return r;
		ask->stored += key.stored_len;
		(void)asking_add(&a, &key); /* without a limit */
	}
	asking_end(&a);
	return 0;
}

/* One leaf's worth of asking and looking, for what is at @next and at @asked. */
static int
look(struct tree_file *f, uint64_t next, struct ask *ask, struct piece *ret, struct err *err)
{
	struct span s;
	int r;

	*ret = (struct piece){0};
	while (ask->off < ask->end) {
		r = file_span(f, ask->off, PIN_ASK, &s, err);
		if (r < 0)
			return r;
		r = ask_for(f, &s, ask, err);
		ask->off = s.off + s.len;
		span_fini(f, &s);
		if (r < 0)
			return r;
	}
	r = file_span(f, next, PIN_AHEAD, &s, err);
	if (r < 0)
		return r;
	r = find_piece(f, &s, next, ret, err);
	span_fini(f, &s);
	return r;
}

static void
queue_locked(struct pool *p, struct tree_file *f)
{
	if (f->ahead.queued || f->ahead.looking || !may_open_locked(f->tree->reader, &f->ahead))
		return;
	f->ahead.queued = true;
	TAILQ_INSERT_TAIL(&p->ready, f, ready);
	pthread_cond_signal(&p->work);
}

/*
 * How far into the file transfer is to be asked.  Of a distant store so that enough stored bytes
 * are underway, whatever they become when decompressed.
 */
static uint64_t
ask_end(const struct tree_file *f)
{
	const struct readahead *a = &f->ahead;
	uint64_t reach = min_u64(a->reach, transfer_window(f->tree->reader->transfer));

	if (a->asked_stored > 0)
		reach = (uint64_t)((double)reach * (double)a->asked_plain /
				   (double)a->asked_stored);
	return min_u64(f->size, a->end + max_u64(a->window, reach));
}

void
readahead_step_locked(struct tree_file *f)
{
	struct reader *r = f->tree->reader;
	struct readahead *a = &f->ahead;
	uint64_t next = a->next;
	struct ask ask = {.off = max_u64(a->asked, next), .end = ask_end(f)};
	unsigned generation = a->generation;
	struct cached *segment;
	struct piece piece;
	int code;

	if (!may_open_locked(r, a))
		return;
	/* Meanwhile nobody queues the file, so that only this thread moves a->next. */
	a->looking = true;
	pthread_mutex_unlock(&r->pool.lock);
	code = look(f, next, &ask, &piece, NULL);
	pthread_mutex_lock(&r->pool.lock);
	a->looking = false;
	if (a->generation != generation) {
		queue_locked(&r->pool, f);
		return;
	}
	a->asked = ask.off;
	a->asked_plain += ask.plain;
	a->asked_stored += ask.stored;
	a->next = max_u64(a->next, piece.until);
	/* What fails ahead fails again, and is told, when it is read. */
	if (code < 0)
		a->end = a->next;
	if (code == 0 && piece.found)
		ring_push_locked(&r->pool, a, piece.until, piece.key.plain_len);
	queue_locked(&r->pool, f);
	if (code < 0 || !piece.found)
		return;

	pthread_mutex_unlock(&r->pool.lock);
	if (cache_get(&r->segments, &piece.key, &segment, NULL) == 0)
		cache_put(&r->segments, segment, false);
	pthread_mutex_lock(&r->pool.lock);
}

/* ---- the reader's side ---- */

static void
jump_locked(struct pool *p, struct readahead *a, uint64_t end)
{
	while (a->ring_len > 0)
		ring_pop_locked(p, a);
	a->high = end;
	a->streak = 0;
	a->window = a->reach = 0;
	a->next = a->end = a->asked = 0;
	a->generation++;
}

/* Moves the window's end on once half of it is used up, and doubles it. */
static void
widen_locked(struct tree_file *f)
{
	struct readahead *a = &f->ahead;
	uint64_t most = min_u64(WINDOW_MAX, f->tree->reader->segments.memory / 4);

	if (a->window != 0 && a->high + a->window / 2 < a->end)
		return;
	a->window = a->window == 0 ? WINDOW_FIRST : min_u64(a->window * 2, most);
	/* From the start on, a file is mostly read whole. */
	if (a->reach == 0)
		a->reach = a->streak == a->high ? REACH_WHOLE : REACH_FIRST;
	else
		a->reach = min_u64(a->reach * 2, REACH_WHOLE);
	a->next = max_u64(a->next, a->high);
	a->end = max_u64(a->end, min_u64(f->size, a->high + a->window));
}

bool
readahead_note(struct tree_file *f, uint64_t off, uint64_t len)
{
	struct pool *p = &f->tree->reader->pool;
	struct readahead *a = &f->ahead;
	uint64_t end = off + len;
	bool forward;

	pthread_mutex_lock(&p->lock);
	if (off > a->high + NEAR_BEFORE || end + NEAR_BEHIND < a->high) {
		jump_locked(p, a, end);
	} else {
		a->high = max_u64(a->high, end);
		a->streak += len;
	}
	forward = a->streak >= FORWARD_MIN;
	while (a->ring_len > 0 && a->ring[a->ring_head].until <= a->high)
		ring_pop_locked(p, a);
	if (forward && a->high < f->size) {
		widen_locked(f);
		queue_locked(p, f);
		if (a->queued)
			pool_start_locked(f->tree->reader);
	}
	pthread_mutex_unlock(&p->lock);
	return forward;
}

void
readahead_end(struct tree_file *f)
{
	struct pool *p = &f->tree->reader->pool;

	pthread_mutex_lock(&p->lock);
	jump_locked(p, &f->ahead, 0);
	if (f->ahead.queued)
		TAILQ_REMOVE(&p->ready, f, ready);
	f->ahead.queued = false;
	while (f->ahead.active > 0)
		pthread_cond_wait(&p->idle, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
