/*
 * bag.c - keys being collected.  Secret memory doesn't grow, so all move to a larger place.
 *
 * Layer 4.
 */
#include "internal.h"

static void *
grown(void *old, size_t n, size_t *cap, size_t size)
{
	void *p;

	if (n < *cap)
		return old;
	*cap = *cap == 0 ? 256 : 2 * *cap;
	p = secret_new(*cap * size);
	if (n > 0)
		memcpy(p, old, n * size);
	secret_free(old);
	return p;
}

void
bag_add_part(struct bag *b, const struct granted_part *part)
{
	b->parts = grown(b->parts, b->n_parts, &b->cap_parts, sizeof *b->parts);
	b->parts[b->n_parts++] = *part;
}

void
bag_add_section(struct bag *b, const struct granted_section *section)
{
	b->sections = grown(b->sections, b->n_sections, &b->cap_sections, sizeof *b->sections);
	b->sections[b->n_sections++] = *section;
}

void
bag_fini(struct bag *b)
{
	secret_free(b->parts);
	secret_free(b->sections);
	*b = (struct bag){0};
}
