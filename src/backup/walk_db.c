/*
 * walk_db.c - a database that the walk came to: captured, so that its companions are not needed, or
 * stored raw beside them, which is flagged.
 *
 * Layer 4.
 */
#include <errno.h>
#include <fcntl.h>

#include "backup/walk.h"

#define CAPTURE_TRIES 3

bool
walker_raw_wanted(const struct walker *w)
{
	const struct config *c = w->run->options->config;

	for (size_t i = 0; i < c->n_raw; i++)
		if (glob_match(c->raw[i], path_of(w)))
			return true;
	return false;
}

void
walker_database_done(struct walker *w, const char *name, bool captured)
{
	struct level *l = top(w);

	array_reserve(l->databases, l->n_databases, l->cap_databases);
	l->databases[l->n_databases++] =
		(struct level_database){.name = str_copy(name), .captured = captured};
}

static void
flag_raw(struct walker *w, struct slice path, const char *why)
{
	CLEANUP(freep) char *text = str_format("raw: %s", why);

	note_add(w->run, path, NOTE_FLAG, text);
}

/* ---- companions ---- */

static const struct level_database *
find_database(const struct level *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->n_databases; i++)
		if (slice_equal(slice_str(l->databases[i].name), slice_of(name, len)))
			return &l->databases[i];
	return NULL;
}

static bool
is_listed(const struct level *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->i; i++)
		if (slice_equal(slice_str(l->names[i]), slice_of(name, len)))
			return true;
	return false;
}

/* A log beside a file that isn't SQLite's: encrypted by its application, most likely. */
static void
suspect(struct walker *w, const char *name, size_t len)
{
	struct slice path = path_of(w);
	CLEANUP(freep) char *base = str_format("%.*s", (int)len, name);

	if (!is_listed(top(w), name, len) || !capture_is_companion(top(w)->fd, name))
		return;
	path.len -= strlen(name) - len;
	flag_raw(w, path,
		 "it has a database's log but no database's header (encrypted by its "
		 "application?)");
	walker_database_done(w, base, false);
}

bool
walker_hides(struct walker *w, const char *name)
{
	size_t len = capture_companion_base(name);
	const struct level_database *db;

	if (len == 0)
		return false;
	/* Names come in order, so the database came before. */
	db = find_database(top(w), name, len);
	if (db == NULL)
		suspect(w, name, len);
	return db != NULL && db->captured;
}

/* ---- capturing ---- */

static struct capture_options
options_of(const struct walker *w)
{
	const struct backup_options *o = w->run->options;

	return (struct capture_options){.spool = w->run->spool,
					.timeout_ms = o->config->capture_timeout_ms,
					.cancel = o->progress.cancel};
}

/* What the catalog compares next time, taken before the capture: what changes later shows. */
static int
note_state(struct walker *w, const char *name, struct event *e, struct err *err)
{
	struct file_stat st;
	int r = meta_stat(top(w)->fd, name, AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0) {
		errno = -r;
		return err_sys(err, "stat");
	}
	e->read.stamp = st.stamp;
	e->item->entry.mtime = st.stamp.mtime;
	e->item->entry.ctime = st.stamp.ctime;
	e->item->entry.hole_len = 0;
	e->may_record =
		capture_mark(top(w)->fd, name, &e->read.mark) && stamp_is_old(&e->read.stamp);
	return 0;
}

/* One attempt.  Return: as capture_begin and capture_finish; with less than 0, but
 * ERR_UNSUPPORTED, nothing is left of it. */
static int
capture_once(struct walker *w, struct lane *lane, const char *name, bool first, struct event *e,
	     struct err *err)
{
	const struct capture_options options = options_of(w);
	CLEANUP(capture_freep) struct capture *c = NULL;
	int r = note_state(w, name, e, err);

	if (r == 0)
		r = capture_begin(&options, top(w)->fd, name, first, &c, err);
	if (r < 0)
		return r;
	r = read_content(w->reader, lane,
			 &(struct source){.fd = capture_fd(c),
					  .size = capture_len(c),
					  .capture = c},
			 e, err);
	if (r < 0)
		return r;
	r = capture_finish(c, err);
	if (r < 0 && r != ERR_UNSUPPORTED)
		walker_forget(lane, e);
	return r;
}

static void
note_captured(struct walker *w, int r, const struct err *err)
{
	CLEANUP(freep) char *text = NULL;

	if (r == 0) {
		note_add(w->run, path_of(w), NOTE_OUTCOME, "captured: quick_check ok");
		return;
	}
	text = str_format("captured: not checked: %s", err->msg);
	note_add(w->run, path_of(w), NOTE_WARNING, text);
}

int
walker_database(struct walker *w, struct lane *lane, const char *name, struct event *e,
		struct err *err)
{
	int r = ERR_BUSY;

	for (int tries = 0; r == ERR_BUSY && tries < CAPTURE_TRIES; tries++)
		r = capture_once(w, lane, name, tries == 0, e, err);
	if (r == ERR_CANCELLED || run_failed(w->run))
		return r;
	walker_database_done(w, name, r == 0 || r == ERR_UNSUPPORTED);
	if (r == 0 || r == ERR_UNSUPPORTED) {
		note_captured(w, r, err);
		return 0;
	}
	flag_raw(w, path_of(w), err->msg);
	return ERR_INVALID;
}
