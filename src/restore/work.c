/*
 * work.c - the queue between the walker and the workers, and what went wrong on the way.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define QUEUE_LEN 512u
#define REPORT_MS 200

struct job *
job_new(struct outdir *dir, const struct tree_item *item)
{
	struct job *job = mem_alloc(sizeof *job);

	job->dir = outdir_get(dir);
	tree_item_copy(item, &job->item);
	job->name = name_copy(item->entry.name);
	return job;
}

void
job_free(struct run *run, struct job *job)
{
	if (job == NULL)
		return;
	if (job->group != NULL)
		link_release(run, job);
	outdir_put(run, job->dir);
	tree_item_fini(&job->item);
	free(job->name);
	free(job);
}

/* ---- failures -------------------------------------------------------------------------- */

bool
restore_stopped(struct run *run)
{
	if (progress_cancelled(&run->options->progress))
		atomic_store(&run->stop, true);
	return atomic_load(&run->stop);
}

/* Whether what failed once fails for everything that is left. */
static bool
is_hopeless(int code)
{
	return code == ERR_NOSPACE || code == ERR_UNREACHABLE || code == ERR_CANCELLED;
}

void
restore_failed(struct run *run, const struct outdir *dir, struct slice name, int code,
	       struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	struct restore_result *ret = run->result;

	outdir_path(dir, name, &path);
	if (path.len > 0 && code != ERR_CANCELLED)
		(void)err_add(err, code, "%s", buf_cstr(&path));
	pthread_mutex_lock(&run->lock);
	if (run->code == 0) {
		run->code = code;
		run->why = *err;
	}
	if (code != ERR_CANCELLED) {
		array_reserve(ret->failures, ret->n_failures, ret->cap_failures);
		ret->failures[ret->n_failures++] = str_copy(err->msg);
	}
	pthread_mutex_unlock(&run->lock);
	if (is_hopeless(code))
		atomic_store(&run->stop, true);
}

void
restore_report(struct run *run)
{
	run->progress.files_done = atomic_load(&run->files);
	run->progress.bytes_done = atomic_load(&run->bytes);
	progress_report(&run->options->progress, &run->progress);
}

/* ---- the queue ------------------------------------------------------------------------- */

/* Waits for a change, but not longer than until the next report is due. */
static void
wait_and_report(struct run *run)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += REPORT_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&run->room, &run->lock, &until);
	restore_report(run);
}

void
work_add(struct run *run, struct job *job)
{
	pthread_mutex_lock(&run->lock);
	while (run->n_jobs >= QUEUE_LEN)
		wait_and_report(run);
	*run->last = job;
	run->last = &job->next;
	run->n_jobs++;
	pthread_cond_signal(&run->more);
	pthread_mutex_unlock(&run->lock);
}

void
work_add_first(struct run *run, struct job *job)
{
	pthread_mutex_lock(&run->lock);
	job->next = run->first;
	run->first = job;
	if (job->next == NULL)
		run->last = &job->next;
	run->n_jobs++;
	pthread_cond_signal(&run->more);
	pthread_mutex_unlock(&run->lock);
}

/* NULL: there is no more, and nobody is left who could add some. */
static struct job *
work_take(struct run *run)
{
	struct job *job;

	pthread_mutex_lock(&run->lock);
	while (run->first == NULL && (!run->closed || run->n_busy > 0))
		pthread_cond_wait(&run->more, &run->lock);
	job = run->first;
	if (job != NULL) {
		run->first = job->next;
		if (run->first == NULL)
			run->last = &run->first;
		run->n_jobs--;
		run->n_busy++;
		if (run->n_jobs + 1 == QUEUE_LEN)
			pthread_cond_signal(&run->room);
	}
	pthread_mutex_unlock(&run->lock);
	return job;
}

static void
work_done(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->n_busy--;
	if (run->n_busy == 0 && run->closed && run->first == NULL) {
		pthread_cond_broadcast(&run->more);
		pthread_cond_signal(&run->room);
	}
	pthread_mutex_unlock(&run->lock);
}

void
job_finish(struct run *run, struct job *job, int code, struct err *err)
{
	if (code < 0)
		restore_failed(run, job->dir, slice_str(job->name), code, err);
	else
		atomic_fetch_add(job->item.entry.type == ENTRY_FILE ? &run->files : &run->others,
				 1);
	if (job->group != NULL && !job->is_link)
		link_made(run, job, code == 0);
	job_free(run, job);
}

static void
other_job(struct run *run, struct job *job)
{
	struct err err = ERR_INIT;
	int r;

	r = job->is_link ? link_make(run, job, &err) : node_make(run, job, &err);
	job_finish(run, job, r, &err);
}

/* The run ends early. */
static void
drop_job(struct run *run, struct job *job)
{
	struct err err = ERR_INIT;

	job_finish(run, job, err_set(&err, ERR_CANCELLED, "interrupted"), &err);
}

static void
do_job(struct run *run, struct job *job, uint8_t *buffer)
{
	if (job->file != NULL)
		hand_job(run, job, buffer);
	else if (restore_stopped(run))
		drop_job(run, job);
	else if (job->item.entry.type == ENTRY_FILE && !job->is_link)
		file_job(run, job, buffer);
	else
		other_job(run, job);
}

static void *
worker(void *arg)
{
	struct run *run = arg;
	uint8_t *buffer = mem_alloc(COPY_LEN * 2);
	struct job *job;

	while ((job = work_take(run)) != NULL) {
		do_job(run, job, buffer);
		work_done(run);
	}
	free(buffer);
	return NULL;
}

int
work_start(struct run *run, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = cpus < 2 ? 2 : cpus > 8 ? 8 : (unsigned)cpus;

	run->last = &run->first;
	while (run->n_threads < want &&
	       pthread_create(&run->threads[run->n_threads], NULL, worker, run) == 0)
		run->n_threads++;
	if (run->n_threads == 0)
		return err_set(err, ERR_IO, "no thread can be started");
	return 0;
}

void
work_finish(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->closed = true;
	pthread_cond_broadcast(&run->more);
	while (run->first != NULL || run->n_busy > 0)
		wait_and_report(run);
	pthread_mutex_unlock(&run->lock);
	for (unsigned i = 0; i < run->n_threads; i++)
		pthread_join(run->threads[i], NULL);
}
