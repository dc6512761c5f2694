/*
 * upload.c - finished packs on their way into the store: several at a time when it is distant.
 *
 * What a pack holds refers to packs before it: nodes to nodes stored earlier, directories to
 * contents.  So the catalog learns of a pack's chunks at once, since they stand for themselves, but
 * of its nodes and directories only once all packs before it are durable too.  At once is: of a
 * distant store's pack before it is sent, marked as coming, since the store may have it whole while
 * its answer is lost or never awaited.  A run that breaks off then sends no finished pack's chunks
 * again: the next one looks which of the coming packs have arrived, and trusts no reference to
 * another.
 *
 * Layer 4.
 */
#include "backup/internal.h"

/* Packs finished and not yet stored, those in flight among them: 16 MiB each. */
#define SHIPS_LOCAL   2u
#define SHIPS_DISTANT 5u

static bool
is_local(const struct run *run)
{
	return store_local_path(repo_store(run->repo)) != NULL;
}

unsigned
uploaders_wanted(const struct run *run)
{
	return is_local(run) ? 1 : UPLOADERS_MAX;
}

void
ship_push(struct run *run, struct shipment *s)
{
	unsigned most = is_local(run) ? SHIPS_LOCAL : SHIPS_DISTANT;

	pthread_mutex_lock(&run->lock);
	while (run->failed == 0 && run->n_ships >= most)
		pthread_cond_wait(&run->can_ship, &run->lock);
	if (run->failed != 0) {
		pthread_mutex_unlock(&run->lock);
		shipment_free(s);
		return;
	}
	s->turn = run->next_turn++;
	*run->ships_end = s;
	run->ships_end = &s->next;
	run->n_ships++;
	pthread_cond_signal(&run->can_unload);
	pthread_mutex_unlock(&run->lock);
}

static struct shipment *
next_ship(struct run *run)
{
	struct shipment *s = NULL;

	pthread_mutex_lock(&run->lock);
	while (run->failed == 0 && !run->assembled && run->ships == NULL)
		pthread_cond_wait(&run->can_unload, &run->lock);
	if (run->failed == 0 && run->ships != NULL) {
		s = run->ships;
		run->ships = s->next;
		s->next = NULL;
		if (run->ships == NULL)
			run->ships_end = &run->ships;
	}
	pthread_mutex_unlock(&run->lock);
	return s;
}

/* Waits until all packs before are recorded.  Return: false when one of them never will be. */
static bool
wait_turn(struct run *run, const struct shipment *s)
{
	bool ret;

	pthread_mutex_lock(&run->lock);
	while (run->failed == 0 && run->turn < s->turn)
		pthread_cond_wait(&run->can_record, &run->lock);
	ret = run->turn == s->turn && run->failed == 0;
	pthread_mutex_unlock(&run->lock);
	return ret;
}

static void
end_turn(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->turn++;
	pthread_cond_broadcast(&run->can_record);
	pthread_mutex_unlock(&run->lock);
}

static int
put_chunks(struct catalog *c, const struct shipment *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_sections; i++)
		r = catalog_put_section(c, &s->sections[i], err);
	for (size_t i = 0; r == 0 && i < s->n_chunks; i++) {
		const struct chunk_row *row = &s->chunks[i];
		struct catalog_chunk chunk = {.id = row->chunk.id,
					      .seg = row->seg,
					      .off = row->chunk.off,
					      .len = row->chunk.len};

		r = catalog_put_chunk(c, &chunk, err);
	}
	return r;
}

static int
put_trees(struct catalog *c, const struct shipment *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_nodes; i++)
		r = catalog_put_node(c, &s->nodes[i], err);
	for (size_t i = 0; r == 0 && i < s->n_dirs; i++)
		r = catalog_put_dir(c, buf_slice(&s->dirs[i].key), buf_slice(&s->dirs[i].record),
				    err);
	return r;
}

/* What of a pack the catalog learns at a time. */
struct news {
	bool coming, chunks, arrived, trees;
};

static int
put_news(struct catalog *c, const struct shipment *s, struct news news, struct err *err)
{
	int r = 0;

	if (news.coming)
		r = catalog_put_coming(c, s->number, err);
	if (r == 0 && news.chunks)
		r = put_chunks(c, s, err);
	if (r == 0 && news.arrived)
		r = catalog_put_arrived(c, s->number, err);
	if (r == 0 && news.trees)
		r = put_trees(c, s, err);
	return r;
}

/* All of the news or nothing. */
static int
put_rows(struct run *run, const struct shipment *s, struct news news, struct err *err)
{
	struct catalog *c = run->catalog;
	int r;

	pthread_mutex_lock(&run->catalog_lock);
	r = catalog_begin(c, err);
	if (r == 0) {
		r = put_news(c, s, news, err);
		if (r == 0)
			r = catalog_commit(c, err);
		else
			catalog_abort(c);
	}
	pthread_mutex_unlock(&run->catalog_lock);
	return r < 0 ? err_add(err, r, "catalog") : 0;
}

/* Whether it is this pack's turn already, so that one write tells the catalog everything. */
static bool
is_next(struct run *run, const struct shipment *s)
{
	bool ret;

	pthread_mutex_lock(&run->lock);
	ret = run->turn == s->turn && run->failed == 0;
	pthread_mutex_unlock(&run->lock);
	return ret;
}

/* A local store answers at once: nothing is lost by telling the catalog afterwards, and only once.
 */
static bool
is_announced(const struct run *run, const struct shipment *s)
{
	return s->number != 0 && !is_local(run);
}

/* Once the pack is durable. */
static int
record(struct run *run, struct shipment *s, struct err *err)
{
	bool whole = is_next(run, s), announced = is_announced(run, s);
	struct news news = {.chunks = !announced, .arrived = announced, .trees = whole};
	int r = put_rows(run, s, news, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n_chunks; i++)
		chunk_map_remove(run->map, &s->chunks[i].chunk.id);
	buf_fini(&s->object);
	if (!whole && wait_turn(run, s)) {
		r = put_rows(run, s, (struct news){.trees = true}, err);
		whole = r == 0;
	}
	if (whole)
		end_turn(run);
	return r;
}

static int
ship(struct run *run, struct shipment *s, struct err *err)
{
	int r;

	if (is_announced(run, s)) {
		r = put_rows(run, s, (struct news){.coming = true, .chunks = true}, err);
		if (r < 0)
			return r;
	}
	if (s->number != 0) {
		struct pack_key_text key = pack_object_key(&run->writer->card.writer, &s->id);

		r = store_create(repo_store(run->repo), key.s, buf_slice(&s->object), err);
		if (r < 0)
			return err_add(err, r, "storing pack %s", hex_short(&s->id.h).s);
	}
	return record(run, s, err);
}

void *
uploader_main(void *arg)
{
	struct run *run = arg;
	struct shipment *s;

	while ((s = next_ship(run)) != NULL) {
		struct err err = ERR_INIT;
		uint64_t stored = s->object.len;
		int r = ship(run, s, &err);

		shipment_free(s);
		if (r < 0)
			run_fail(run, r, &err);
		pthread_mutex_lock(&run->lock);
		run->n_ships--;
		run->result->bytes_stored += stored;
		pthread_cond_signal(&run->can_ship);
		pthread_mutex_unlock(&run->lock);
	}
	return NULL;
}
