/*
 * queue.c - what moves between the threads of a backup: events in order, segments to compress.  All
 * of it is bounded, and all of it ends at the first failure.
 *
 * Layer 4.
 */
#include "backup/internal.h"

/* Segments between the walker and their place in a pack: bounds the memory of the pipeline. */
#define SEGMENTS_MAX 48u
#define EVENTS_MAX   16384u
#define BATCH_MAX    64u
#define ZSTD_LEVEL   1 /* measured with 128 KiB segments: docs/measurements.md */

/* Wakes everybody: somebody's reason to wait is gone for good. */
static void
wake_all(struct run *run)
{
	pthread_cond_broadcast(&run->can_push);
	pthread_cond_broadcast(&run->can_pop);
	pthread_cond_broadcast(&run->can_pack);
	pthread_cond_broadcast(&run->can_ship);
	pthread_cond_broadcast(&run->can_unload);
	pthread_cond_broadcast(&run->can_record);
}

void
run_fail(struct run *run, int code, const struct err *err)
{
	pthread_mutex_lock(&run->lock);
	if (run->failed == 0) {
		run->failed = code;
		run->err = *err;
	}
	wake_all(run);
	pthread_mutex_unlock(&run->lock);
}

bool
run_failed(struct run *run)
{
	bool failed;

	pthread_mutex_lock(&run->lock);
	failed = run->failed != 0;
	pthread_mutex_unlock(&run->lock);
	return failed;
}

void
run_assembled(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->assembled = true;
	wake_all(run);
	pthread_mutex_unlock(&run->lock);
}

static void
free_events(struct event *e)
{
	while (e != NULL) {
		struct event *next = e->next;

		event_free(e);
		e = next;
	}
}

/* Moves the walker's batch into the queue: a lock and a wake-up for many events. */
static void
push_batch(struct run *run, struct segment *segment)
{
	struct event *batch = run->batch;

	pthread_mutex_lock(&run->lock);
	while (run->failed == 0 && (run->n_queued >= EVENTS_MAX ||
				    (segment != NULL && run->n_segments >= SEGMENTS_MAX)))
		pthread_cond_wait(&run->can_push, &run->lock);
	if (run->failed == 0) {
		if (segment != NULL) {
			run->n_segments++;
			*run->to_pack_end = segment_get(segment);
			run->to_pack_end = &segment->next;
			pthread_cond_signal(&run->can_pack);
		}
		*run->queue_end = batch;
		run->queue_end = run->batch_end;
		run->n_queued += run->n_batch;
		batch = NULL;
		pthread_cond_signal(&run->can_pop);
	}
	pthread_mutex_unlock(&run->lock);
	free_events(batch);
	run->batch = NULL;
	run->batch_end = &run->batch;
	run->n_batch = 0;
}

void
queue_push(struct run *run, struct event *e)
{
	*run->batch_end = e;
	run->batch_end = &e->next;
	run->n_batch++;
	if (e->type == EVENT_SEGMENT || e->type == EVENT_STOP || run->n_batch >= BATCH_MAX)
		push_batch(run, e->segment);
}

struct event *
queue_pop(struct run *run)
{
	struct event *all = NULL;

	if (run->popped == NULL) {
		pthread_mutex_lock(&run->lock);
		while (run->failed == 0 && run->queue == NULL)
			pthread_cond_wait(&run->can_pop, &run->lock);
		if (run->failed == 0) {
			run->popped = run->queue;
			run->queue = NULL;
			run->queue_end = &run->queue;
			run->n_queued = 0;
			pthread_cond_signal(&run->can_push);
		}
		pthread_mutex_unlock(&run->lock);
	}
	all = run->popped;
	if (all != NULL) {
		run->popped = all->next;
		all->next = NULL;
	}
	return all;
}

void
queue_fini(struct run *run)
{
	free_events(run->batch);
	free_events(run->queue);
	free_events(run->popped);
}

bool
queue_wait_packed(struct run *run, struct segment *s)
{
	bool packed;

	pthread_mutex_lock(&run->lock);
	while (run->failed == 0 && !s->is_packed)
		pthread_cond_wait(&run->can_pop, &run->lock);
	packed = s->is_packed;
	pthread_mutex_unlock(&run->lock);
	return packed;
}

void
queue_segment_done(struct run *run)
{
	pthread_mutex_lock(&run->lock);
	run->n_segments--;
	pthread_cond_signal(&run->can_push);
	pthread_mutex_unlock(&run->lock);
}

/* ---- compressors ---- */

static struct segment *
next_to_pack(struct run *run)
{
	struct segment *s = NULL;

	pthread_mutex_lock(&run->lock);
	while (run->failed == 0 && !run->assembled && run->to_pack == NULL)
		pthread_cond_wait(&run->can_pack, &run->lock);
	if (run->failed == 0 && run->to_pack != NULL) {
		s = run->to_pack;
		run->to_pack = s->next;
		s->next = NULL;
		if (run->to_pack == NULL)
			run->to_pack_end = &run->to_pack;
	}
	pthread_mutex_unlock(&run->lock);
	return s;
}

void *
compressor_main(void *arg)
{
	struct run *run = arg;
	CLEANUP(codec_freep) struct codec *codec = codec_new(ZSTD_LEVEL);
	struct segment *s;

	while ((s = next_to_pack(run)) != NULL) {
		codec_pack(codec, buf_slice(&s->plain), &s->packed);
		atomic_store(&s->lane->is_noise, s->packed.len > s->plain.len);
		s->plain_len = s->plain.len;
		buf_fini(&s->plain);
		pthread_mutex_lock(&run->lock);
		s->is_packed = true;
		pthread_cond_signal(&run->can_pop);
		pthread_mutex_unlock(&run->lock);
		segment_put(s);
	}
	return NULL;
}
