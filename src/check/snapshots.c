/*
 * snapshots.c - every snapshot: signature, name, chain, parts, the packs it lists, its trees.
 *
 * They are visited writer by writer in the order of their numbers, so that each is compared with
 * the one before and what two share is visited once.
 */
#include <inttypes.h>

#include "internal.h"

static int
visit_cmp(const void *a, const void *b, void *arg)
{
	const struct repo_list *list = arg;
	const struct snapshot_name *x = &list->snapshots[*(const uint32_t *)a].name;
	const struct snapshot_name *y = &list->snapshots[*(const uint32_t *)b].name;
	int c = memcmp(&x->writer, &y->writer, sizeof x->writer);

	if (c != 0)
		return c;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Whether a snapshot names the one before it; gaps and forks show in the names already. */
static void
check_chain(struct job *job, const struct snapshot *s, const struct snapshot_name *before,
	    const char *label)
{
	CLEANUP(freep) char *text = NULL;

	if (s->name.seq > 1 && !s->clear.has_prev)
		text = str_format("%s is number %" PRIu64 " but names no snapshot before it", label,
				  s->name.seq);
	else if (before != NULL && writer_id_equal(&before->writer, &s->name.writer) &&
		 before->seq + 1 == s->name.seq && !hash_equal(&before->id.h, &s->clear.prev.h))
		text = str_format("%s does not follow snapshot %s, which has the number before it: "
				  "it was made from another history",
				  label, hex(&before->id.h).s);
	if (text != NULL)
		tell(job, true, ERR_AUTH, text);
}

static int
check_trees(struct job *job, uint32_t number, const struct repo_opened *o, const char *label,
	    struct err *err)
{
	for (size_t i = 0; i < o->n_classes; i++)
		packs_note(job, number, o->snapshot, o->classes[i]);
	for (size_t i = 0; i < o->n_classes; i++) {
		CLEANUP(tree_closep) struct tree *t = reader_tree_open(job->reader, o, i);
		int r = tree_check(job, t, label, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int
check_one(struct job *job, uint32_t number, const struct snapshot_name *before, struct err *err)
{
	const struct snapshot_name *name = &job->list->snapshots[number].name;
	struct repo_label label = repo_snapshot_label(job->repo, name);
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	int r;

	r = repo_snapshot_open(job->repo, name, &o, err);
	if (r == ERR_DENIED) {
		CLEANUP(freep)
		char *text = str_format("%s is sealed to others: it is not checked", label.s);

		tell(job, false, r, text);
		return 0;
	}
	if (r < 0)
		return tell_error(job, r, err);
	check_chain(job, o->snapshot, before, label.s);
	if (o->n_closed > 0) {
		CLEANUP(freep)
		char *text = str_format(
			"%s: %zu of its classes are sealed to others: they are not checked",
			label.s, o->n_closed);

		tell(job, false, ERR_DENIED, text);
	}
	return check_trees(job, number, o, label.s, err);
}

static bool
is_wanted(const struct job *job, uint32_t number)
{
	const struct check_options *o = job->options;
	const struct hash *id = &job->list->snapshots[number].name.id.h;

	for (size_t i = 0; o->only != NULL && i < o->n_only; i++)
		if (hash_equal(&o->only[i].id.h, id))
			return true;
	return o->only == NULL;
}

int
snapshots_check(struct job *job, struct err *err)
{
	CLEANUP(freep) uint32_t *order = mem_array(job->list->n, sizeof *order);
	const struct snapshot_name *before = NULL;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < job->list->n; i++)
		if (is_wanted(job, (uint32_t)i))
			order[n++] = (uint32_t)i;
	if (n > 0)
		qsort_r(order, n, sizeof *order, visit_cmp, job->list);

	job->progress = (struct progress){.stage = "checking snapshots", .files_total = n};
	for (size_t i = 0; i < n; i++) {
		if (progress_cancelled(&job->options->progress))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = check_one(job, order[i], before, err);
		if (r < 0)
			return r;
		before = &job->list->snapshots[order[i]].name;
		job->ret->snapshots++;
		job->progress.files_done++;
		progress_report(&job->options->progress, &job->progress);
	}
	return 0;
}
