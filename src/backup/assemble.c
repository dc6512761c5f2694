/*
 * assemble.c - the assembler's thread: takes events in order and gives everything its place.
 *
 * Layer 4.
 */
#include "backup/internal.h"

static int
on_segment(struct run *run, struct event *e)
{
	if (!queue_wait_packed(run, e->segment))
		return 0; /* the run has failed elsewhere */
	packer_place_data(run, e->segment);
	queue_segment_done(run);
	return 0;
}

static void
count(struct lane *lane, const struct entry *e)
{
	lane->has_xattrs |= e->n_xattrs > 0;
	if (e->type == ENTRY_FILE) {
		lane->counts.files++;
		lane->counts.bytes += e->size;
	} else {
		lane->counts.others++;
	}
}

static int
on_item(struct run *run, struct lane *lane, struct event *e, struct err *err)
{
	struct dir_build *d = &lane->dirs[lane->n_dirs - 1];
	struct stored *stored = NULL;
	int r = 0;

	if (e->source == SOURCE_STORED)
		stored = stored_get(e->stored);
	else if (e->source != SOURCE_NONE)
		r = stream_finish(run, lane, e, &stored, err);
	if (r < 0)
		return err_add(err, r, "%s", e->item->name);
	count(lane, &e->item->entry);
	if (stored != NULL && e->may_record)
		record_add(d->record, e->item->entry.name, &e->read, stored);
	if (stored != NULL && !e->is_known)
		d->record_changed = true;
	return dir_add(run, lane, steal_ptr(&e->item), stored, NULL, err);
}

static int
handle(struct run *run, struct event *e, struct err *err)
{
	switch (e->type) {
	case EVENT_SEGMENT:
		return on_segment(run, e);
	case EVENT_LEAF:
		return stream_leaf_add(run, e->lane, e, err);
	case EVENT_RESTART:
		stream_reset(e->lane);
		return 0;
	case EVENT_ITEM:
		return on_item(run, e->lane, e, err);
	case EVENT_DIR_BEGIN:
		dir_begin(e->lane);
		return 0;
	case EVENT_DIR_END:
		return dir_end(run, e->lane, e, err);
	case EVENT_STOP:
		packer_close(run);
		return 0;
	}
	return 0;
}

/* The walker may be making a lane at this very moment; those that sent something are done with
 * that. */
static void
activate(struct run *run, struct lane *lane)
{
	if (lane == NULL || lane->is_active)
		return;
	lane->is_active = true;
	run->active[run->n_active++] = lane;
}

void *
assembler_main(void *arg)
{
	struct run *run = arg;
	struct event *e;
	bool stop = false;

	run->tree_codec = codec_new(3);
	while (!stop && (e = queue_pop(run)) != NULL) {
		struct err err = ERR_INIT;
		int r;

		activate(run, e->lane);
		r = handle(run, e, &err);

		stop = e->type == EVENT_STOP;
		event_free(e);
		if (r < 0)
			run_fail(run, r, &err);
	}
	codec_free(run->tree_codec);
	run->tree_codec = NULL;
	return NULL;
}
