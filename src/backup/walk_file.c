/*
 * walk_file.c - a file that the walk came to: taken over when nothing of it changed, else read, and
 * read again when somebody wrote to it meanwhile.
 *
 * Layer 4.
 */
#include <errno.h>
#include <fcntl.h>

#include "backup/walk.h"

#define READ_TRIES 3

static bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->size == b->size && a->ino == b->ino && a->dev == b->dev &&
	       a->mtime.sec == b->mtime.sec && a->mtime.nsec == b->mtime.nsec &&
	       a->ctime.sec == b->ctime.sec && a->ctime.nsec == b->ctime.nsec;
}

static int
open_file(const struct level *l, const char *name)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = openat(l->fd, name, flags | O_NOATIME);

	/* Only the owner may ask not to be noticed. */
	return fd < 0 && errno == EPERM ? openat(l->fd, name, flags) : fd;
}

/* One attempt.  Return: 0, or ERR_BUSY and the like with nothing left of it.  @changed: it was
 * written to meanwhile. */
static int
read_once(struct walker *w, struct lane *lane, int fd, struct event *e, bool *changed,
	  struct err *err)
{
	struct file_stat before, after;
	int r = meta_stat(fd, "", AT_EMPTY_PATH, &before);

	if (r < 0) {
		errno = -r;
		return err_sys(err, "stat");
	}
	if (before.entry.type != ENTRY_FILE)
		return err_set(err, ERR_IO, "is no longer a file");
	e->stamp = before.stamp;
	e->item->entry.size = before.stamp.size;
	r = read_content(w->reader, lane, fd, before.blocks * 512 < before.stamp.size, e, err);
	if (r < 0)
		return r;
	r = meta_stat(fd, "", AT_EMPTY_PATH, &after);
	*changed = r < 0 || !stamp_equal(&before.stamp, &after.stamp);
	return 0;
}

static void
forget_attempt(struct lane *lane, struct event *e)
{
	pieces_reset(&e->pieces);
	stored_put(e->stored);
	e->stored = NULL;
	if (e->source == SOURCE_LEAVES)
		lane_emit(lane, event_new(EVENT_RESTART, lane));
	e->source = SOURCE_NONE;
}

static int
read_file(struct walker *w, struct lane *lane, const char *name, struct event *e, struct err *err)
{
	CLEANUP(closep) int fd = open_file(top(w), name);
	bool changed = false;
	int r = ERR_BUSY;

	if (fd < 0)
		return err_sys(err, "open");
	for (int tries = 0; tries < READ_TRIES; tries++) {
		if (tries > 0 && r == 0)
			forget_attempt(lane, e);
		r = read_once(w, lane, fd, e, &changed, err);
		if (r == 0 && !changed)
			break;
		if (r < 0 && r != ERR_BUSY)
			return r;
	}
	if (r < 0)
		return err_set(err, ERR_BUSY, "kept changing while it was read");
	if (changed)
		note_add(w->run, path_of(w), "changed while it was read: not one moment's content");
	/* A write in the same clock tick as our look would leave the stamp as it is. */
	e->may_record = !changed && e->stamp.ctime.sec + 2 < time_now();
	return 0;
}

static void
take_over(struct event *e, const struct record_file *f)
{
	e->stored = stored_get(f->stored);
	e->source = SOURCE_STORED;
	e->may_record = true;
	e->is_known = true;
}

static void
count_file(struct walker *w, const struct event *e)
{
	struct run *run = w->run;

	if (e->is_known)
		run->result->files_unchanged++;
	else
		run->result->files_new++;
	/* What was read has been counted as it was read. */
	walk_progress(run, 1, e->is_known ? e->stamp.size : 0);
}

int
walker_file(struct walker *w, struct lane *lane, const char *name, const struct file_stat *st,
	    struct event *e)
{
	const struct record_file *f;
	struct err err = ERR_INIT;
	int r;

	e->stamp = st->stamp;
	if (st->stamp.size > 0) {
		f = record_find(walker_record(w, top(w), lane), slice_str(name));
		if (f != NULL && stamp_equal(&f->stamp, &st->stamp)) {
			take_over(e, f);
		} else {
			r = read_file(w, lane, name, e, &err);
			if (r == ERR_CANCELLED)
				return err_set(w->err, r, "stopped");
			if (r < 0) {
				note_unreadable(w->run, path_of(w), err.msg);
				return ERR_NOENT;
			}
		}
	}
	count_file(w, e);
	return 0;
}
