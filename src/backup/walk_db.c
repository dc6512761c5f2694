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

/* Whether a write to the log from now on would change its time. */
static bool
log_is_old(int dirfd, const char *name)
{
	CLEANUP(freep) char *wal = str_format("%s-wal", name);
	struct file_stat st;
	int r = meta_stat(dirfd, wal, AT_SYMLINK_NOFOLLOW, &st);

	return r == -ENOENT || r == -ENAMETOOLONG ||
	       (r == 0 && st.stamp.mtime.sec + 2 < time_now());
}

/* What the catalog compares next time, taken before the capture: what changes later shows. */
static int
note_state(int dirfd, const char *name, struct reading_of *ret, bool *may_record, struct err *err)
{
	struct file_stat st;
	int r = meta_stat(dirfd, name, AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0) {
		errno = -r;
		return err_sys(err, "stat");
	}
	*ret = (struct reading_of){.how = READ_CAPTURED, .stamp = st.stamp};
	*may_record = log_is_old(dirfd, name) && capture_mark(dirfd, name, &ret->mark) &&
		      stamp_is_old(&st.stamp);
	return 0;
}

static struct held_database *
find_held(struct walker *w, struct slice path)
{
	for (size_t i = 0; i < w->n_held; i++)
		if (slice_equal(slice_str(w->held[i].path), path))
			return &w->held[i];
	return NULL;
}

int
walker_hold(struct walker *w, int dirfd, const char *path, struct capture **ret, struct err *err)
{
	const struct capture_options options = options_of(w);
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	struct held_database held = {0};
	const struct held_database *known = find_held(w, slice_str(path));
	int r = ERR_BUSY;

	*ret = known != NULL ? known->capture : NULL;
	if (known != NULL)
		return 0;
	for (int tries = 0; r == ERR_BUSY && tries < CAPTURE_TRIES; tries++) {
		r = note_state(dirfd, name, &held.read, &held.may_record, err);
		if (r == 0)
			r = capture_begin(&options, dirfd, name, false, &held.capture, err);
	}
	if (r < 0)
		return err_add(err, r, "%s", path);
	held.path = str_copy(path);
	array_reserve(w->held, w->n_held, w->cap_held);
	w->held[w->n_held++] = held;
	*ret = held.capture;
	return 0;
}

void
walker_let_go(struct walker *w)
{
	for (size_t i = 0; i < w->n_held; i++) {
		free(w->held[i].path);
		capture_free(w->held[i].capture);
	}
	free(w->held);
}

static bool
has_extract(const struct walker *w)
{
	const struct config *c = w->run->options->config;

	for (size_t i = 0; i < c->n_made; i++)
		if (c->made[i].by == MADE_BY_QUERY &&
		    slice_equal(slice_str(c->made[i].database), path_of(w)))
			return true;
	return false;
}

/* With an extract, one that is held, so that both are of one moment; else one for @own. */
static int
begin(struct walker *w, const char *name, bool first, struct event *e, struct capture **own,
      struct capture **ret, struct err *err)
{
	const struct capture_options options = options_of(w);
	int r;

	if (has_extract(w)) {
		CLEANUP(freep)
		char *path = str_format("%.*s", (int)path_of(w).len, (const char *)path_of(w).p);

		r = walker_hold(w, top(w)->fd, path, ret, err);
		if (r < 0)
			return r;
		e->read = find_held(w, path_of(w))->read;
		e->may_record = find_held(w, path_of(w))->may_record;
	} else {
		r = note_state(top(w)->fd, name, &e->read, &e->may_record, err);
		if (r == 0)
			r = capture_begin(&options, top(w)->fd, name, first, own, err);
		*ret = *own;
	}
	e->item->entry.mtime = e->read.stamp.mtime;
	e->item->entry.ctime = e->read.stamp.ctime;
	e->item->entry.hole_len = 0;
	return r;
}

/* One attempt.  Return: as capture_begin and capture_finish; with less than 0, but
 * ERR_UNSUPPORTED, nothing is left of it. */
static int
capture_once(struct walker *w, struct lane *lane, const char *name, bool first, struct event *e,
	     struct err *err)
{
	CLEANUP(capture_freep) struct capture *own = NULL;
	struct capture *c = NULL;
	struct err why = ERR_INIT;
	int r = begin(w, name, first, e, &own, &c, err);

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
	else if (file_reader_scan(w->reader, c, &why) < 0)
		note_add(w->run, path_of(w), NOTE_WARNING, why.msg);
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
