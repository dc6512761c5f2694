/*
 * timeline.c - snapshot after snapshot, opened in the order in which they were made.
 *
 * Layer 4.
 */
#include "tillfs/compare.h"

#include <stdlib.h>

void
moment_free(struct moment *m)
{
	if (m == NULL)
		return;
	merge_free(m->merge);
	repo_opened_free(m->opened);
	repo_list_put(m->list);
	free(m);
}

static int
in_order(const void *a, const void *b)
{
	const struct repo_snapshot *x = *(const struct repo_snapshot *const *)a;
	const struct repo_snapshot *y = *(const struct repo_snapshot *const *)b;
	int r = strcmp(x->writer, y->writer);

	if (r == 0)
		r = memcmp(x->name.writer.b, y->name.writer.b, sizeof x->name.writer.b);
	if (r == 0)
		r = (x->name.seq > y->name.seq) - (x->name.seq < y->name.seq);
	return r;
}

static bool
asked_for(const struct repo_snapshot *s, const struct timeline_options *o)
{
	return (o->writer == NULL || strcmp(s->writer, o->writer) == 0) &&
	       (!o->has_from || s->name.date.days >= o->from.days) &&
	       (!o->has_until || s->name.date.days <= o->until.days);
}

static struct moment *
moment_open(struct repo *repo, struct reader *reader, struct repo_list *list,
	    const struct repo_snapshot *s)
{
	struct moment *m = mem_alloc(sizeof *m);

	m->list = list;
	m->snapshot = s;
	if (repo_snapshot_open(repo, &s->name, &m->opened, &m->failure) == 0 &&
	    m->opened->n_classes > 0)
		m->merge = merge_new(reader, m->opened);
	return m;
}

static int
visit(struct repo *repo, struct reader *reader, const struct repo_snapshot *s, timeline_fn *fn,
      void *arg, struct err *err)
{
	CLEANUP(moment_freep)
	struct moment *m = moment_open(repo, reader, repo_list_get(repo), s);

	if (m->failure.code == ERR_UNREACHABLE) {
		*err = m->failure;
		return err->code;
	}
	if (m->merge == NULL && (m->failure.code == 0 || m->failure.code == ERR_DENIED))
		return 0;
	return fn(arg, &m, err);
}

int
timeline_walk(struct repo *repo, struct reader *reader, const struct timeline_options *options,
	      timeline_fn *fn, void *arg, struct err *err)
{
	CLEANUP(repo_list_putp) struct repo_list *list = repo_list_get(repo);
	CLEANUP(freep)
	const struct repo_snapshot **order = mem_array(list->n, sizeof(struct repo_snapshot *));
	struct progress progress = {.stage = "looking at snapshots"};
	int r = 0;

	for (size_t i = 0; i < list->n; i++)
		if (asked_for(&list->snapshots[i], options))
			order[progress.files_total++] = &list->snapshots[i];
	if (progress.files_total == 0 && options->writer != NULL)
		return err_set(err, ERR_NOENT, "%s has no snapshot in that time", options->writer);
	if (progress.files_total > 0)
		qsort(order, progress.files_total, sizeof(struct repo_snapshot *), in_order);
	while (r == 0 && progress.files_done < progress.files_total) {
		if (progress_cancelled(&options->progress))
			return err_set(err, ERR_CANCELLED, "stopped on request");
		progress_report(&options->progress, &progress);
		r = visit(repo, reader, order[progress.files_done++], fn, arg, err);
	}
	return r;
}
