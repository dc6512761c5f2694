/*
 * listing.c - a directory of a snapshot in name order: a merge of one cursor a class tree.
 */
#include "private.h"

/* One tree's part.  The head is its next entry, NULL at its end. */
struct strand {
	struct tree_cursor *cursor;
	const struct tree_item *head; /* borrowed from the cursor */
	uint8_t tree;
};

struct view_listing {
	struct view_merged *dir; /* a reference */
	bool loaded;             /* the heads are those for index */
	uint64_t index;          /* of the smallest head among all names */
	uint32_t n;
	struct strand strands[];
};

int
view_listing_open(struct view *v, struct view_merged *dir, struct view_listing **ret,
		  struct err *err)
{
	const struct view_merged *m = dir;
	struct view_listing *l;
	int r;

	*ret = NULL;
	l = mem_alloc(sizeof *l + m->n * sizeof l->strands[0]);
	atomic_fetch_add(&dir->refs, 1);
	l->dir = dir;
	for (; l->n < m->n; l->n++) {
		struct strand *s = &l->strands[l->n];

		s->tree = m->in[l->n].tree;
		r = tree_cursor_open(&m->in[l->n].item, &s->cursor, err);
		if (r < 0) {
			view_listing_close(v, l);
			return r;
		}
	}
	*ret = l;
	return 0;
}

void
view_listing_close(struct view *v, struct view_listing *l)
{
	if (l == NULL)
		return;
	for (uint32_t i = 0; i < l->n; i++)
		tree_cursor_close(l->strands[i].cursor);
	view_merged_put(v, l->dir);
	free(l);
}

struct view_merged *
view_listing_dir(struct view_listing *l)
{
	return l->dir;
}

static int
strand_next(struct strand *s, struct err *err)
{
	int r = tree_cursor_next(s->cursor, &s->head, err);

	if (r < 0)
		s->head = NULL;
	return r == ERR_NOENT ? 0 : r;
}

/* Starts all strands at an index of theirs: any for a single one, else 0. */
static int
restart(struct view_listing *l, uint64_t index, struct err *err)
{
	l->loaded = false;
	for (uint32_t i = 0; i < l->n; i++) {
		struct strand *s = &l->strands[i];
		int r;

		s->head = NULL;
		r = tree_cursor_seek(s->cursor, index, err);
		if (r == 0)
			r = strand_next(s, err);
		/* Past the end is where a listing ends. */
		if (r < 0 && r != ERR_NOENT)
			return r;
	}
	l->index = index;
	l->loaded = true;
	return 0;
}

/* The first strand, in class order, whose head has the smallest name; NULL at the end. */
static struct strand *
smallest(struct view_listing *l)
{
	struct strand *first = NULL;

	for (uint32_t i = 0; i < l->n; i++) {
		struct strand *s = &l->strands[i];

		if (s->head == NULL)
			continue;
		if (first == NULL || slice_cmp(s->head->entry.name, first->head->entry.name) < 0)
			first = s;
	}
	return first;
}

/* Moves all strands past the smallest name.  The name's own strand moves last: it owns the name. */
static int
advance(struct view_listing *l, struct err *err)
{
	struct strand *first = smallest(l);
	int r = 0;

	if (first == NULL)
		return 0;
	l->loaded = false;
	for (uint32_t i = 0; i < l->n && r == 0; i++) {
		struct strand *s = &l->strands[i];

		if (s != first && s->head != NULL &&
		    slice_equal(s->head->entry.name, first->head->entry.name))
			r = strand_next(s, err);
	}
	if (r == 0)
		r = strand_next(first, err);
	if (r < 0)
		return r;
	l->index++;
	l->loaded = true;
	return 0;
}

static int
move_to(struct view_listing *l, uint64_t index, struct err *err)
{
	int r = 0;

	if (!l->loaded || index < l->index || (l->n == 1 && index - l->index > 1))
		r = restart(l, l->n == 1 ? index : 0, err);
	while (r == 0 && l->index < index && smallest(l) != NULL)
		r = advance(l, err);
	return r;
}

/* Tells what all heads of the smallest name make together; as merged.c has it. */
static void
describe(const struct view_listing *l, const struct strand *first, struct view_listed *ret)
{
	*ret = (struct view_listed){.main = first->head};
	for (uint32_t i = 0; i < l->n; i++) {
		const struct strand *s = &l->strands[i];
		const struct entry *e = s->head != NULL ? &s->head->entry : NULL;

		if (e == NULL || !slice_equal(e->name, first->head->entry.name))
			continue;
		if (s != first && (e->type != ENTRY_DIR || ret->main->entry.type != ENTRY_DIR))
			continue;
		if (view_entry_better(&ret->main->entry, e))
			ret->main = s->head;
		ret->trees |= UINT64_C(1) << s->tree;
		ret->n_trees++;
		ret->n_subdirs += e->n_subdirs;
		ret->n_bare_subdirs += e->n_bare_subdirs;
	}
}

int
view_listing_at(struct view_listing *l, uint64_t index, struct view_listed *ret, struct err *err)
{
	const struct strand *first;
	int r;

	r = move_to(l, index, err);
	if (r < 0)
		return r;
	first = smallest(l);
	if (first == NULL || l->index != index)
		return err_set(err, ERR_NOENT, "the directory ends before entry %llu",
			       (unsigned long long)index);
	describe(l, first, ret);
	return 0;
}
