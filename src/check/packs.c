/*
 * packs.c - every pack that some snapshot lists: is it there, with the right length?
 *
 * What a listing tells costs next to nothing, and finds what is lost long before anybody reads it.
 */
#include <inttypes.h>

#include "internal.h"

#define NAMED_MAX 3u /* snapshots named in one sentence */

uint32_t
pack_number(const struct job *job, const struct pack_id *id)
{
	struct place_key key = {.pack = id->h};

	return table_find(&job->pack_numbers, &key);
}

static const struct stored_pack *
find_stored(const struct job *job, const struct pack_id *id, const struct writer_id *writer)
{
	const struct inventory *inv = &job->inventory;
	size_t lo = 0, hi = inv->n_packs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct stored_pack *p = &inv->packs[mid];
		int c = memcmp(&p->id, id, sizeof *id);

		if (c == 0)
			c = memcmp(&p->writer, writer, sizeof *writer);
		if (c == 0)
			return p;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* The first of it that is heard of. */
static uint32_t
add_pack(struct job *job, const struct writer_id *writer, const struct pack_place *place)
{
	const struct stored_pack *stored = find_stored(job, &place->id, writer);
	struct listed_pack p = {.id = place->id,
				.writer = *writer,
				.object_len = place->object_len,
				.header_len = place->header_len};
	struct place_key key = {.pack = place->id.h};

	if (stored == NULL)
		p.bad = str_copy("is missing from the store");
	else if (stored->len != p.object_len)
		p.bad = str_format("has %" PRIu64 " bytes in the store instead of %" PRIu64,
				   stored->len, p.object_len);
	array_reserve(job->packs, job->n_packs, job->cap_packs);
	job->packs[job->n_packs] = p;
	table_put(&job->pack_numbers, &key, (uint32_t)job->n_packs);
	return (uint32_t)job->n_packs++;
}

/* Whether two snapshots say the same of a section. */
static bool
place_equal(const struct pack_place *a, const struct pack_place *b)
{
	return a->ordinal == b->ordinal && a->data_off == b->data_off &&
	       a->data_len == b->data_len && a->tree_len == b->tree_len;
}

static void
note_section(struct listed_pack *p, const struct pack_place *place, const char *class_name)
{
	for (size_t i = 0; i < p->n_sections; i++) {
		if (strcmp(p->sections[i].class_name, class_name) != 0)
			continue;
		if (!place_equal(&p->sections[i].place, place) && p->bad == NULL)
			p->bad = str_copy("is described differently by different snapshots");
		return;
	}
	array_reserve(p->sections, p->n_sections, p->cap_sections);
	p->sections[p->n_sections].place = *place;
	memcpy(p->sections[p->n_sections].class_name, class_name, CLASS_NAME_MAX + 1);
	p->n_sections++;
}

void
packs_note(struct job *job, uint32_t number, const struct snapshot *s,
	   const struct snapshot_class *c)
{
	for (size_t i = 0; i < c->n_packs; i++) {
		const struct pack_place *place = &c->packs[i];
		uint32_t n = pack_number(job, &place->id);
		struct listed_pack *p;

		if (n == UINT32_MAX)
			n = add_pack(job, &s->name.writer, place);
		p = &job->packs[n];
		if (p->bad == NULL &&
		    (p->object_len != place->object_len || p->header_len != place->header_len ||
		     !writer_id_equal(&p->writer, &s->name.writer)))
			p->bad = str_copy("is described differently by different snapshots");
		note_section(p, place, c->name);
		if (p->n_snapshots > 0 && p->snapshots[p->n_snapshots - 1] == number)
			continue; /* another class of the same one */
		array_reserve(p->snapshots, p->n_snapshots, p->cap_snapshots);
		p->snapshots[p->n_snapshots++] = number;
	}
}

void
append_snapshots(struct job *job, const struct listed_pack *p, struct buf *ret)
{
	if (p == NULL || p->n_snapshots == 0) {
		buf_append_str(ret, "; no snapshot needs it");
		return;
	}
	buf_append_str(ret, "; needed by ");
	for (size_t i = 0; i < p->n_snapshots && i < NAMED_MAX; i++) {
		const struct snapshot_name *name = &job->list->snapshots[p->snapshots[i]].name;

		buf_appendf(ret, "%s%s", i > 0 ? ", " : "", repo_snapshot_label(job->repo, name).s);
	}
	if (p->n_snapshots > NAMED_MAX)
		buf_appendf(ret, " and %zu more", p->n_snapshots - NAMED_MAX);
}

void
packs_tell(struct job *job)
{
	for (size_t i = 0; i < job->n_packs; i++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;
		const struct listed_pack *p = &job->packs[i];

		if (p->bad == NULL)
			continue;
		buf_appendf(&text, "pack %s %s", hex(&p->id.h).s, p->bad);
		append_snapshots(job, p, &text);
		tell(job, true, ERR_CORRUPT, buf_cstr(&text));
	}
	/* A snapshot that was refused may have needed what looks left over. */
	if (job->options->only != NULL || !repo_is_admin(job->repo) || job->n_findings > 0 ||
	    job->ret->damaged > 0)
		return;
	for (size_t i = 0; i < job->inventory.n_packs; i++)
		if (pack_number(job, &job->inventory.packs[i].id) == UINT32_MAX)
			job->ret->unreferenced++;
}

void
packs_fini(struct job *job)
{
	for (size_t i = 0; i < job->n_packs; i++) {
		free(job->packs[i].bad);
		free(job->packs[i].sections);
		free(job->packs[i].snapshots);
		free(job->packs[i].wanted);
	}
	free(job->packs);
	table_fini(&job->pack_numbers);
}
