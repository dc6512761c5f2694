/*
 * extents.c - where a file lies: inside the areas of packs that its own snapshot lists.
 *
 * All its stream nodes are read for that; its content is not.
 */
#include "internal.h"

struct visit {
	struct job *job;
	const struct snapshot_class *class;
	struct pack_set *reach;
	const struct pack_place *place; /* of the pack met last: most follow each other */
	uint32_t number;
};

/* Makes v->place and v->number those of a pack. */
static int
turn_to(struct visit *v, const struct pack_id *id, struct err *err)
{
	if (v->place != NULL && hash_equal(&v->place->id.h, &id->h))
		return 0;
	v->place = snapshot_class_pack(v->class, id);
	v->number = pack_number(v->job, id);
	if (v->place == NULL || v->number == UINT32_MAX)
		return err_set(err, ERR_CORRUPT,
			       "it lies in pack %s, which the snapshot doesn't list",
			       hex(&id->h).s);
	pack_set_add(v->reach, v->number);
	return 0;
}

static int
visit_extent(void *arg, const struct tree_extent *x, struct err *err)
{
	struct visit *v = arg;
	int r;

	if (progress_cancelled(&v->job->options->progress))
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (x->seg.stored_len == 0)
		return 0;
	r = turn_to(v, &x->pack, err);
	if (r < 0)
		return r;
	if (x->seg.off > v->place->data_len || x->seg.stored_len > v->place->data_len - x->seg.off)
		return err_set(err, ERR_CORRUPT, "it lies outside its area of pack %s",
			       hex(&x->pack.h).s);
	if (v->job->options->read_data)
		pack_want(v->job, v->number, v->class->name, &x->seg);
	return 0;
}

int
extents_check(struct job *job, const struct tree_item *file, struct pack_set *reach,
	      struct err *err)
{
	CLEANUP(tree_file_closep) struct tree_file *f = NULL;
	struct visit v = {.job = job, .class = tree_class_part(file->tree), .reach = reach};
	int r;

	r = tree_file_open(file, &f, err);
	return r < 0 ? r : tree_file_extents(f, visit_extent, &v, err);
}
