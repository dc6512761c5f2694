/*
 * backup.c - one run from lock to snapshot.
 *
 * Layer 4.
 */
#include "tillfs/backup.h"

#include <sys/resource.h>

#include "backup/internal.h"

#define COMPRESSORS 2u
#define RUN_TRIES   2

/* ---- threads ---- */

static int
run_threads(struct run *run, struct err *err)
{
	pthread_t assembler, uploaders[UPLOADERS_MAX], compressors[COMPRESSORS];
	unsigned n_uploaders = uploaders_wanted(run);
	int r;

	/* A thread that can't be made is a machine without memory: nothing here could go on. */
	if (pthread_create(&assembler, NULL, assembler_main, run) != 0)
		abort();
	for (unsigned i = 0; i < n_uploaders; i++)
		if (pthread_create(&uploaders[i], NULL, uploader_main, run) != 0)
			abort();
	for (size_t i = 0; i < COMPRESSORS; i++)
		if (pthread_create(&compressors[i], NULL, compressor_main, run) != 0)
			abort();
	run->estimate = estimate_start(run->options);
	r = walk(run, err);
	estimate_end(run->estimate);
	if (r < 0)
		run_fail(run, r, err);
	else
		queue_push(run, event_new(EVENT_STOP, NULL));
	pthread_join(assembler, NULL);
	run_assembled(run);
	for (size_t i = 0; i < COMPRESSORS; i++)
		pthread_join(compressors[i], NULL);
	for (unsigned i = 0; i < n_uploaders; i++)
		pthread_join(uploaders[i], NULL);
	if (run->failed != 0) {
		*err = run->err;
		return run->failed;
	}
	return 0;
}

/* ---- one attempt ---- */

static void
run_init(struct run *run)
{
	pthread_mutex_init(&run->lock, NULL);
	pthread_mutex_init(&run->catalog_lock, NULL);
	pthread_cond_init(&run->can_push, NULL);
	pthread_cond_init(&run->can_pop, NULL);
	pthread_cond_init(&run->can_pack, NULL);
	pthread_cond_init(&run->can_ship, NULL);
	pthread_cond_init(&run->can_unload, NULL);
	pthread_cond_init(&run->can_record, NULL);
	run->batch_end = &run->batch;
	run->queue_end = &run->queue;
	run->to_pack_end = &run->to_pack;
	run->ships_end = &run->ships;
	run->map = chunk_map_new();
	run->progress.stage = "backing up";
}

static void
run_fini(struct run *run)
{
	queue_fini(run);
	while (run->to_pack != NULL) {
		struct segment *s = run->to_pack;

		run->to_pack = s->next;
		segment_put(s);
	}
	while (run->ships != NULL) {
		struct shipment *s = run->ships;

		run->ships = s->next;
		shipment_free(s);
	}
	shipment_free(run->shipment);
	free(run->spool);
	for (unsigned i = 0; i < run->n_lanes; i++)
		lane_free(run->lanes[i]);
	chunk_map_free(run->map);
	pack_builder_free(run->builder);
	names_free(run->names);
	catalog_close(run->catalog);
	pthread_mutex_destroy(&run->lock);
	pthread_mutex_destroy(&run->catalog_lock);
	pthread_cond_destroy(&run->can_push);
	pthread_cond_destroy(&run->can_pop);
	pthread_cond_destroy(&run->can_pack);
	pthread_cond_destroy(&run->can_ship);
	pthread_cond_destroy(&run->can_unload);
	pthread_cond_destroy(&run->can_record);
}

static int
attempt(struct run *run, struct err *err)
{
	const struct backup_options *o = run->options;
	CLEANUP(freep) char *note = NULL;
	int r;

	r = catalog_open(o->state, repo_id(run->repo), &run->writer->card.writer, &run->catalog,
			 &note, err);
	if (r < 0)
		return r;
	if (note != NULL)
		note_add(run, slice_str("catalog"), NOTE_WARNING, note);
	run->spool = o->config->spool != NULL ? str_copy(o->config->spool)
					      : str_format("%s/spool", o->state);
	capture_clean(run->spool);
	r = match_catalog(run, err);
	if (r == 0)
		r = run_threads(run, err);
	if (r == 0)
		r = commit_snapshot(run, err);
	return r;
}

/* A deep tree holds a descriptor a level. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* then only shallower trees work */
	}
}

static int
business_date(const struct backup_options *o, int64_t when, struct date *ret, struct err *err)
{
	if (o->has_date) {
		*ret = o->date;
		return 0;
	}
	return time_business_date(when, o->config->zone != NULL ? o->config->zone : "",
				  o->config->cutoff_min, ret, err);
}

int
backup_run(struct repo *repo, const struct writer_file *writer,
	   const struct backup_options *options, struct backup_result *ret, struct err *err)
{
	int64_t started = time_now();
	struct date date;
	int r;

	*ret = (struct backup_result){0};
	raise_file_limit();
	r = business_date(options, options->has_time ? options->time : started, &date, err);
	for (int tries = 0; r == 0 && tries < RUN_TRIES; tries++) {
		struct run run = {.repo = repo,
				  .writer = writer,
				  .options = options,
				  .result = ret,
				  .started = started,
				  .date = date};

		run_init(&run);
		r = attempt(&run, err);
		run_fini(&run);
		/* Only a pack retired meanwhile is worth another try, and it is a matter of the
		 * commit alone. */
		if (r != ERR_BUSY || !run.stale)
			break;
		backup_result_fini(ret);
		r = 0;
	}
	if (r < 0)
		backup_result_fini(ret);
	return r;
}

static void
notes_fini(struct backup_note *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].path);
		free(v[i].text);
	}
	free(v);
}

void
backup_result_fini(struct backup_result *r)
{
	notes_fini(r->unreadable, r->n_unreadable);
	notes_fini(r->notes, r->n_notes);
	*r = (struct backup_result){0};
}
