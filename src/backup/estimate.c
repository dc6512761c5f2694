/*
 * estimate.c - how much there is to do, for the remaining time that a terminal shows.
 *
 * A thread of its own counts files and bytes under the paths while the walk is already at work, and
 * so warms the kernel's caches for it.  Excludes are not looked at: it is an estimate.
 *
 * Layer 4.
 */
#include <fts.h>
#include <sys/stat.h>

#include "backup/internal.h"

struct estimate {
	const struct backup_options *options;
	pthread_t thread;
	atomic_bool stop;
	atomic_bool done;
	uint64_t files, bytes; /* valid once done */
};

static void
count(struct estimate *e, FTS *fts)
{
	FTSENT *entry;

	while (!atomic_load(&e->stop) && (entry = fts_read(fts)) != NULL) {
		if (entry->fts_info != FTS_F)
			continue;
		e->files++;
		e->bytes += (uint64_t)entry->fts_statp->st_size;
	}
	if (!atomic_load(&e->stop))
		atomic_store(&e->done, true);
}

static void *
estimate_main(void *arg)
{
	struct estimate *e = arg;
	const struct backup_options *o = e->options;
	char **paths = mem_array(o->n_paths + 1, sizeof *paths);
	int options = FTS_PHYSICAL | FTS_NOCHDIR | (o->one_file_system ? FTS_XDEV : 0);
	FTS *fts;

	for (size_t i = 0; i < o->n_paths; i++)
		paths[i] = str_copy(o->paths[i]);
	fts = fts_open(paths, options, NULL);
	if (fts != NULL) {
		count(e, fts);
		fts_close(fts);
	}
	for (size_t i = 0; i < o->n_paths; i++)
		free(paths[i]);
	free(paths);
	return NULL;
}

struct estimate *
estimate_start(const struct backup_options *options)
{
	struct estimate *e;

	if (options->progress.fn == NULL)
		return NULL;
	e = mem_alloc(sizeof *e);
	e->options = options;
	if (pthread_create(&e->thread, NULL, estimate_main, e) != 0) {
		free(e);
		return NULL; /* then there is no remaining time to show */
	}
	return e;
}

void
estimate_apply(struct estimate *e, struct progress *p)
{
	if (e == NULL || p->files_total != 0 || !atomic_load(&e->done))
		return;
	p->files_total = max_u64(e->files, 1);
	p->bytes_total = e->bytes;
}

void
estimate_end(struct estimate *e)
{
	if (e == NULL)
		return;
	atomic_store(&e->stop, true);
	pthread_join(e->thread, NULL);
	free(e);
}
