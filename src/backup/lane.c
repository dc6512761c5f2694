/*
 * lane.c - a data class's lane, as the walker sees it: chunks in, segments and events out.
 *
 * An event may refer to the segment that is still open.  So while one is open, events are held back
 * and follow it; a segment is closed early when too many wait.
 *
 * Layer 4.
 */
#include <stdio.h>

#include "backup/internal.h"

#define HELD_MAX 4096u

static int
lane_keys(struct lane *lane, struct err *err)
{
	struct run *run = lane->run;
	CLEANUP(freep) struct recipient *auditors = NULL;
	size_t n_auditors = 0;
	int r;

	r = ledger_class_recipients(repo_ledger(run->repo), repo_roster(run->repo),
				    &run->writer->card.writer, lane->name, run->started,
				    &lane->recipients, &lane->n_recipients, &auditors, &n_auditors,
				    err);
	if (r < 0)
		return r;
	lane->hash_key = secret_new(sizeof *lane->hash_key);
	writer_hash_key(run->writer, lane->name, auditors, n_auditors, lane->hash_key);
	lane->chunker = chunker_new(lane->hash_key);
	return 0;
}

int
lane_for(struct run *run, size_t config_class, struct lane **ret, struct err *err)
{
	struct lane *lane;
	int r;

	for (unsigned i = 0; i < run->n_lanes; i++)
		if (run->lanes[i]->config_class == config_class) {
			*ret = run->lanes[i];
			return 0;
		}
	if (run->n_lanes == LANES_MAX)
		return err_set(err, ERR_INVALID, "more than %u data classes", LANES_MAX);
	lane = mem_alloc(sizeof *lane);
	lane->run = run;
	lane->config_class = config_class;
	snprintf(lane->name, sizeof lane->name, "%s",
		 config_class == SIZE_MAX ? "general"
					  : run->options->config->classes[config_class].name);
	lane->held_end = &lane->held;
	r = lane_keys(lane, err);
	if (r < 0) {
		lane_free(lane);
		return err_add(err, r, "data class %s", lane->name);
	}
	lane->index = run->n_lanes;
	run->lanes[run->n_lanes++] = lane;
	*ret = lane;
	return 0;
}

void
lane_free(struct lane *lane)
{
	if (lane == NULL)
		return;
	secret_free(lane->hash_key);
	chunker_free(lane->chunker);
	free(lane->recipients);
	segment_put(lane->open);
	while (lane->held != NULL) {
		struct event *e = lane->held;

		lane->held = e->next;
		event_free(e);
	}
	for (size_t i = 0; i < ARRAY_LEN(lane->stream_leaves); i++) {
		child_list_reset(&lane->stream_leaves[i]);
		free(lane->stream_leaves[i].v);
	}
	while (lane->n_dirs > 0)
		dir_build_fini(&lane->dirs[--lane->n_dirs]);
	free(lane->dirs);
	while (lane->records != NULL) {
		struct record *r = lane->records;

		lane->records = r->next;
		record_free(r);
	}
	if (lane->tree != NULL) {
		struct node last = {.underway = lane->tree};

		node_fini(&last);
	}
	item_free(lane->root);
	node_fini(&lane->root_node);
	if (lane->root_inline != NULL)
		dir_build_fini(lane->root_inline);
	free(lane->root_inline);
	pack_set_fini(&lane->reach);
	free(lane);
}

void
lane_flush(struct lane *lane)
{
	struct event *e = lane->held;

	if (lane->open != NULL) {
		struct event *segment = event_new(EVENT_SEGMENT, lane);

		segment->segment = steal_ptr(&lane->open);
		queue_push(lane->run, segment);
	}
	lane->held = NULL;
	lane->held_end = &lane->held;
	lane->n_held = 0;
	while (e != NULL) {
		struct event *next = e->next;

		e->next = NULL;
		queue_push(lane->run, e);
		e = next;
	}
}

void
lane_emit(struct lane *lane, struct event *e)
{
	if (lane->open == NULL) {
		queue_push(lane->run, e);
		return;
	}
	*lane->held_end = e;
	lane->held_end = &e->next;
	if (++lane->n_held >= HELD_MAX)
		lane_flush(lane);
}

void
lane_chunk_id(const struct lane *lane, struct slice data, struct chunk_id *ret)
{
	seal_hash_keyed(lane->hash_key, "tillfs chunk", data.p, data.len, &ret->h);
}

void
logical_id(const struct seal_key *hash_key, const struct buf *logical, struct hash *ret)
{
	seal_hash_keyed(hash_key, "tillfs node", logical->p, logical->len, ret);
}

/*
 * What doesn't compress comes in powers of two, as Padmé's steps do: then no pack could end close
 * to one.  A smaller segment now and then shifts it; whole ones elsewhere, since they compress
 * better.
 */
static size_t
segment_target(struct lane *lane)
{
	return lane->n_segments % 4 == 0 && atomic_load(&lane->is_noise) ? SEGMENT_TARGET / 2
									 : SEGMENT_TARGET;
}

static void
append(struct lane *lane, const struct chunk_id *id, struct slice data, struct piece *ret)
{
	struct segment *s = lane->open;

	if (s != NULL && s->plain.len + data.len > segment_target(lane)) {
		lane_flush(lane);
		s = NULL;
	}
	if (s == NULL) {
		s = mem_alloc(sizeof *s);
		atomic_init(&s->refs, 1);
		s->lane = lane;
		buf_reserve(&s->plain, SEGMENT_TARGET);
		lane->open = s;
		lane->n_segments++;
	}
	*ret = (struct piece){.len = data.len,
			      .seg = segment_get(s),
			      .off = (uint32_t)s->plain.len};
	array_reserve(s->chunks, s->n_chunks, s->cap_chunks);
	s->chunks[s->n_chunks++] =
		(struct segment_chunk){.id = *id, .off = ret->off, .len = (uint32_t)data.len};
	buf_append(&s->plain, data.p, data.len);
	chunk_map_put(lane->run->map, id, s, ret->off, (uint32_t)data.len);
	lane->run->result->bytes_new += data.len;
}

int
lane_chunk(struct lane *lane, const struct chunk_id *id, struct slice data, struct piece *ret,
	   struct err *err)
{
	struct run *run = lane->run;
	struct catalog_chunk known;
	int r;

	if (chunk_map_find(run->map, id, ret))
		return 0;
	pthread_mutex_lock(&run->catalog_lock);
	r = catalog_chunk_find(run->catalog, id, &known, err);
	pthread_mutex_unlock(&run->catalog_lock);
	if (r == 0 && known.len == data.len) {
		*ret = (struct piece){.len = known.len, .ref = known.seg, .off = known.off};
		return 0;
	}
	if (r < 0 && r != ERR_NOENT) {
		/* Not the file's fault: nothing can go on without the catalog. */
		run_fail(run, r, err);
		return r;
	}
	append(lane, id, data, ret);
	return 0;
}
