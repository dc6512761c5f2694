/*
 * handover.c - a bag of keys becomes grants or reseals in the store, in pieces of bounded size.
 *
 * Layer 4.  Format: docs/format.md section 8.4.
 */
#include "internal.h"

#define KEYS_PER_OBJECT 200000u /* an object has at most 64 MiB, a key takes less than 80 bytes */

static int
store_piece(struct job *j, struct grant *g, const struct seal_box_pk *grantee, struct err *err)
{
	int r = repo_hand_over(j->repo, g, grantee, &j->ret->id, err);

	if (r == 0)
		j->ret->objects++;
	return r;
}

int
hand_over(struct job *j, const struct grant *template, const struct seal_box_pk *grantee,
	  struct err *err)
{
	CLEANUP(secret_freep) struct grant *g = secret_new(sizeof *g);
	size_t part = 0, section = 0;
	int r = 0;

	while (r == 0 && (part < j->bag.n_parts || section < j->bag.n_sections)) {
		*g = *template; /* borrows what the template owns */
		g->n_parts = min_u64(j->bag.n_parts - part, KEYS_PER_OBJECT);
		g->n_sections = min_u64(j->bag.n_sections - section, KEYS_PER_OBJECT - g->n_parts);
		g->parts = g->n_parts > 0 ? &j->bag.parts[part] : NULL;
		g->sections = g->n_sections > 0 ? &j->bag.sections[section] : NULL;
		r = store_piece(j, g, grantee, err);
		part += g->n_parts;
		section += g->n_sections;
	}
	return r;
}
