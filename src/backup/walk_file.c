/*
 * walk_file.c - a file that the walk came to: taken over when nothing of it changed, else read, and
 * read again when somebody wrote to it meanwhile.  A database is captured (walk_db.c).
 *
 * Layer 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backup/walk.h"

#define READ_TRIES 3

bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->size == b->size && a->ino == b->ino && a->dev == b->dev &&
	       a->mtime.sec == b->mtime.sec && a->mtime.nsec == b->mtime.nsec &&
	       a->ctime.sec == b->ctime.sec && a->ctime.nsec == b->ctime.nsec;
}

bool
stamp_is_old(const struct stamp *s)
{
	return s->ctime.sec + 2 < time_now();
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
	e->read.stamp = before.stamp;
	r = read_content(w->reader, lane,
			 &(struct source){.fd = fd,
					  .size = before.stamp.size,
					  .sparse = before.blocks * 512 < before.stamp.size},
			 e, err);
	if (r < 0)
		return r;
	r = meta_stat(fd, "", AT_EMPTY_PATH, &after);
	*changed = r < 0 || !stamp_equal(&before.stamp, &after.stamp);
	return 0;
}

void
walker_forget(struct lane *lane, struct event *e)
{
	pieces_reset(&e->pieces);
	stored_put(e->stored);
	e->stored = NULL;
	if (e->source == SOURCE_LEAVES)
		lane_emit(lane, event_new(EVENT_RESTART, lane));
	e->source = SOURCE_NONE;
}

static int
read_plain(struct walker *w, struct lane *lane, int fd, struct event *e, struct err *err)
{
	bool changed = false;
	int r = ERR_BUSY;

	for (int tries = 0; tries < READ_TRIES; tries++) {
		if (tries > 0 && r == 0)
			walker_forget(lane, e);
		r = read_once(w, lane, fd, e, &changed, err);
		if (r == 0 && !changed)
			break;
		if (r < 0 && r != ERR_BUSY)
			return r;
	}
	if (r < 0)
		return err_set(err, ERR_BUSY, "kept changing while it was read");
	if (changed)
		note_add(w->run, path_of(w), NOTE_WARNING,
			 "changed while it was read: not one moment's content");
	e->may_record = !changed && stamp_is_old(&e->read.stamp);
	return 0;
}

/* Pages are whole, so most other files need no look. */
static bool
is_database(int fd, uint64_t size)
{
	uint8_t head[CAPTURE_HEADER_LEN];

	return size >= 512 && size % 512 == 0 &&
	       pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	       capture_is_database(slice_of(head, sizeof head));
}

static int
read_file(struct walker *w, struct lane *lane, const char *name, const struct file_stat *st,
	  struct event *e, struct err *err)
{
	CLEANUP(closep) int fd = open_file(top(w), name);
	int r;

	if (fd < 0)
		return err_sys(err, "open");
	if (is_database(fd, st->stamp.size)) {
		e->read.how = walker_raw_wanted(w) ? READ_RAW : READ_CAPTURED;
		closep(&fd); /* it must not be open beside SQLite */
		if (e->read.how == READ_CAPTURED) {
			r = walker_database(w, lane, name, e, err);
			if (r != ERR_INVALID)
				return r;
		}
		fd = open_file(top(w), name);
		if (fd < 0)
			return err_sys(err, "open");
	}
	r = read_plain(w, lane, fd, e, err);
	/* One that should have been captured is tried again next time. */
	if (e->read.how == READ_CAPTURED)
		e->may_record = false;
	return r;
}

/* Whether what is known of a file holds for the file as it is now. */
static bool
is_unchanged(struct walker *w, const char *name, const struct record_file *f,
	     const struct file_stat *st)
{
	struct capture_mark mark;

	if (f == NULL || !stamp_equal(&f->read.stamp, &st->stamp))
		return false;
	if (f->read.how == READ_PLAIN)
		return true;
	if (walker_raw_wanted(w) != (f->read.how == READ_RAW))
		return false;
	return f->read.how == READ_RAW ||
	       (capture_mark(top(w)->fd, name, &mark) && hash_equal(&mark.h, &f->read.mark.h));
}

static void
take_over(struct walker *w, const char *name, struct event *e, const struct record_file *f)
{
	if (f->read.how == READ_CAPTURED) {
		walker_database_done(w, name, true);
		note_add(w->run, path_of(w), NOTE_OUTCOME, "captured: unchanged since");
		e->item->entry.hole_len = 0;
	}
	e->read = f->read;
	e->item->entry.size = f->read.size;
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
	walk_progress(run, 1, e->is_known ? e->read.size : 0);
}

void
walker_note_cards(struct walker *w)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT, counts = BUF_INIT;

	scan_describe(file_reader_found(w->reader), &counts);
	if (counts.len == 0)
		return;
	buf_appendf(&text, "cards: %s in it", buf_cstr(&counts));
	note_add(w->run, path_of(w), NOTE_WARNING, buf_cstr(&text));
}

int
walker_file(struct walker *w, struct lane *lane, const char *name, const struct file_stat *st,
	    struct event *e)
{
	const struct record_file *f;
	struct err err = ERR_INIT;
	int r;

	e->read.stamp = st->stamp;
	if (st->stamp.size > 0) {
		f = record_find(walker_record(w, top(w), lane), slice_str(name));
		if (is_unchanged(w, name, f, st)) {
			take_over(w, name, e, f);
		} else {
			r = read_file(w, lane, name, st, e, &err);
			if (r == ERR_CANCELLED)
				return err_set(w->err, r, "stopped");
			if (r < 0) {
				note_unreadable(w->run, path_of(w), err.msg);
				return ERR_NOENT;
			}
			walker_note_cards(w);
		}
	}
	count_file(w, e);
	return 0;
}
