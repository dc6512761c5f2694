/*
 * walk_made.c - files that no file system holds: what a command prints, or the rows of a query.
 *
 * Such a file is whole or absent; why it is absent is flagged.
 *
 * Layer 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>

#include "backup/walk.h"
#include "tillfs/capture_command.h"

static int
more_of_command(void *arg, void *p, size_t len, size_t *ret_len, struct err *err)
{
	return command_read(arg, p, len, ret_len, err);
}

static int
more_of_extract(void *arg, void *p, size_t len, size_t *ret_len, struct err *err)
{
	return extract_read(arg, p, len, ret_len, err);
}

static int
by_command(struct walker *w, struct lane *lane, const struct config_made *m, struct event *e,
	   struct err *err)
{
	CLEANUP(command_freep) struct command_run *c = NULL;
	int r = command_start(m->command, m->timeout_sec, w->run->options->progress.cancel, &c,
			      err);

	if (r < 0)
		return r;
	r = read_content(
		w->reader, lane,
		&(struct source){.fd = -1, .size = SIZE_UNKNOWN, .more = more_of_command, .arg = c},
		e, err);
	if (r < 0)
		return r;
	/* Only its end tells whether all of it came. */
	r = command_finish(c, err);
	if (r < 0)
		walker_forget(lane, e);
	return r;
}

/* ---- extracts ---- */

/* The folder of a stored path, opened where the backup's paths begin. */
static int
open_folder(const struct walker *w, const char *path, struct err *err)
{
	CLEANUP(freep) char *whole = str_format("%s/%s", w->root->from, path);
	int fd = open(dirname(whole), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

static int
by_query(struct walker *w, struct lane *lane, const struct config_made *m, struct event *e,
	 struct err *err)
{
	CLEANUP(extract_freep) struct extract *x = NULL;
	CLEANUP(closep) int dirfd = open_folder(w, m->database, err);
	struct capture *c = NULL;
	int r = dirfd;

	if (r >= 0)
		r = walker_hold(w, dirfd, m->database, &c, err);
	if (r == 0)
		r = extract_begin(c, m->query, m->timeout_sec, &x, err);
	if (r < 0)
		return r;
	return read_content(
		w->reader, lane,
		&(struct source){.fd = -1, .size = SIZE_UNKNOWN, .more = more_of_extract, .arg = x},
		e, err);
}

/* ---- both ---- */

static struct lane *
lane_of_made(struct walker *w, const struct config_made *m)
{
	const struct config *c = w->run->options->config;
	struct lane *lane = NULL;
	size_t class = SIZE_MAX;

	if (m->class_name == NULL)
		return walker_lane(w, path_of(w));
	for (size_t i = 0; i < c->n_classes; i++)
		if (strcmp(c->classes[i].name, m->class_name) == 0)
			class = i;
	w->rc = lane_for(w->run, class, &lane, w->err);
	return lane;
}

static int
made_file(struct walker *w, const struct target *target)
{
	const struct config_made *m = target->maker;
	struct lane *lane = lane_of_made(w, m);
	struct err err = ERR_INIT;
	struct event *e;
	int r;

	if (lane == NULL)
		return w->rc;
	e = event_new(EVENT_ITEM, lane);
	e->item = meta_made(w->names, target->name, ENTRY_FILE, time_now());
	walker_begin(w, lane);
	r = m->by == MADE_BY_COMMAND ? by_command(w, lane, m, e, &err)
				     : by_query(w, lane, m, e, &err);
	if (r == 0) {
		w->run->result->files_new++;
		walker_note_cards(w);
		lane_emit(lane, e);
		return 0;
	}
	event_free(e);
	if (r == ERR_CANCELLED)
		return err_set(w->err, r, "stopped");
	if (run_failed(w->run))
		return 0;
	walker_fail(w, err.msg);
	return 0;
}

int
walker_made(struct walker *w, const struct target *target)
{
	const struct file_stat none = {0};

	w->present++;
	if (target->maker != NULL)
		return made_file(w, target);
	return walker_enter(w, -1, &none,
			    meta_made(w->names, target->name, ENTRY_DIR, w->run->started), target);
}

void
walker_fail(struct walker *w, const char *why)
{
	CLEANUP(freep) char *text = str_format("failed: %s", why);

	note_add(w->run, path_of(w), NOTE_FLAG, text);
}
