/*
 * packer.c - the pack being written: segments get their place in it, and it is finished when full.
 *
 * Layer 4.
 */
#include "backup/internal.h"

/*
 * In its last quarter a pack ends where the padding happens to be little: how little, grows until
 * it is full.  Measured: docs/measurements.md.
 */
#define PACK_MATURE    (PACK_TARGET / 4 * 3)
#define PADDING_FIRST  (2u * KIB)
#define PADDING_GROWTH 64u /* a byte more for so many bytes of the pack */

void
packer_open(struct run *run)
{
	if (run->pack_number != 0)
		return;
	pthread_mutex_lock(&run->catalog_lock);
	run->pack_number = catalog_reserve_pack(run->catalog);
	pthread_mutex_unlock(&run->catalog_lock);
	if (run->builder == NULL)
		run->builder = pack_builder_new(repo_id(run->repo), &run->writer->card.writer);
	if (run->shipment == NULL)
		run->shipment = shipment_new();
}

static struct segment_ref
add(struct run *run, struct lane *lane, enum pack_area area, struct slice packed, size_t plain_len)
{
	uint32_t ordinal = pack_builder_section(run->builder, lane->name, lane->recipients,
						lane->n_recipients);
	struct segment_ref ref = {.pack = run->pack_number, .plain_len = (uint32_t)plain_len};

	run->section_lanes[ordinal] = lane;
	ref.off = pack_builder_add(run->builder, ordinal, area, packed, &ref.stored_len);
	return ref;
}

/* Trees underway count: they must go into the pack that their references mean. */
static uint64_t
body_len(const struct run *run)
{
	uint64_t len = run->builder == NULL ? 0 : pack_builder_body_len(run->builder);

	for (unsigned i = 0; i < run->n_active; i++)
		if (run->active[i]->tree != NULL)
			len += run->active[i]->tree->plain.len;
	return len;
}

/* Whether the open pack is to be closed rather than take @more bytes. */
static bool
is_full(const struct run *run, uint64_t more)
{
	uint64_t len = body_len(run);

	if (len + more > PACK_TARGET)
		return true;
	if (len < PACK_MATURE)
		return false;
	/* Trees will be compressed, to about half of what they are. */
	return pack_builder_padding(run->builder, (len - pack_builder_body_len(run->builder)) / 2) <
	       PADDING_FIRST + (len - PACK_MATURE) / PADDING_GROWTH;
}

void
packer_place_data(struct run *run, struct segment *s)
{
	struct chunk_row *row;

	if (run->pack_number != 0 && is_full(run, s->packed.len))
		packer_close(run);
	packer_open(run);
	s->ref = add(run, s->lane, PACK_DATA, buf_slice(&s->packed), s->plain_len);
	buf_fini(&s->packed);
	for (size_t i = 0; i < s->n_chunks; i++) {
		array_reserve(run->shipment->chunks, run->shipment->n_chunks,
			      run->shipment->cap_chunks);
		row = &run->shipment->chunks[run->shipment->n_chunks++];
		*row = (struct chunk_row){.chunk = s->chunks[i], .seg = s->ref};
	}
}

static void
place_tree(struct run *run, struct lane *lane)
{
	struct tree_segment *t = lane->tree;
	struct node last = {.underway = t};
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	struct shipment *ship = run->shipment;

	if (t == NULL)
		return;
	codec_pack(run->tree_codec, buf_slice(&t->plain), &packed);
	t->ref = add(run, lane, PACK_TREE, buf_slice(&packed), t->plain.len);
	t->placed = true;
	for (size_t i = 0; i < t->n_nodes; i++) {
		array_reserve(ship->nodes, ship->n_nodes, ship->cap_nodes);
		ship->nodes[ship->n_nodes] = t->nodes[i];
		ship->nodes[ship->n_nodes++].ref.seg = t->ref;
	}
	t->n_nodes = 0; /* the shipment has their sets */
	buf_fini(&t->plain);
	lane->tree = NULL;
	node_fini(&last);
}

void
packer_place_tree(struct run *run, struct lane *lane)
{
	place_tree(run, lane);
	if (body_len(run) > PACK_TARGET)
		packer_close(run);
}

/* Records whose contents have a place by now. */
static void
ship_records(struct run *run, struct shipment *ship)
{
	for (unsigned i = 0; i < run->n_active; i++) {
		struct lane *lane = run->active[i];

		while (lane->records != NULL) {
			struct record *rec = lane->records;

			lane->records = rec->next;
			array_reserve(ship->dirs, ship->n_dirs, ship->cap_dirs);
			memset(&ship->dirs[ship->n_dirs], 0, sizeof *ship->dirs);
			record_key(lane, slice_of(rec->path, rec->path_len),
				   &ship->dirs[ship->n_dirs].key);
			record_encode(rec, &ship->dirs[ship->n_dirs].record);
			ship->n_dirs++;
			record_free(rec);
		}
	}
}

/* Lays out and hashes the pack, and tells who refers to it what its id is. */
static void
finish_pack(struct run *run, struct shipment *ship)
{
	CLEANUP(freep) struct pack_place *places = NULL;
	size_t n = 0;

	pack_builder_finish(run->builder, &ship->object, &places, &n, &ship->id);
	ship->home = run->builder;
	ship->number = run->pack_number;
	ship->n_sections = n;
	ship->sections = mem_array(n, sizeof *ship->sections);
	for (size_t i = 0; i < n; i++) {
		struct catalog_section *s = &ship->sections[i];

		s->number = run->pack_number;
		s->place = places[i];
		memcpy(s->class_name, run->section_lanes[i]->name, sizeof s->class_name);
	}
	pthread_mutex_lock(&run->catalog_lock);
	catalog_name_pack(run->catalog, run->pack_number, &ship->id);
	pthread_mutex_unlock(&run->catalog_lock);
	run->pack_number = 0;
}

void
packer_close(struct run *run)
{
	struct shipment *ship;

	for (unsigned i = 0; i < run->n_active; i++)
		place_tree(run, run->active[i]);
	ship = run->shipment != NULL ? steal_ptr(&run->shipment) : shipment_new();
	ship_records(run, ship);
	if (run->pack_number != 0)
		finish_pack(run, ship);
	ship_push(run, ship);
}
