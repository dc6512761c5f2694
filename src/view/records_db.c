/*
 * records_db.c - databases of snapshots that are open in workers, a few at a time.
 */
#include "private.h"

#define DEADLINE_MS  10000u /* of one question: a thread that serves the kernel waits for it */
#define WAIT_SECONDS 30     /* for a worker that is free */

struct view_db {
	TAILQ_ENTRY(view_db) in_idle;
	struct view_snap *snap; /* a reference and a pin */
	struct buf path;        /* below the snapshot's root */
	struct records_files files;
	struct records_db *db;
	bool used; /* before this time */
};

void
view_dbs_init(struct view_dbs *t)
{
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->released, NULL);
	TAILQ_INIT(&t->idle);
}

static void
close_db(struct view *v, struct view_db *d)
{
	if (d == NULL)
		return;
	records_close(d->db);
	records_files_close(&d->files);
	if (d->snap != NULL) {
		view_snap_unpin(v, d->snap);
		view_snap_put(v, d->snap);
	}
	buf_fini(&d->path);
	free(d);
}

void
view_dbs_fini(struct view *v, struct view_dbs *t)
{
	struct view_db *d;

	while ((d = TAILQ_FIRST(&t->idle)) != NULL) {
		TAILQ_REMOVE(&t->idle, d, in_idle);
		close_db(v, d);
	}
	pthread_cond_destroy(&t->released);
	pthread_mutex_destroy(&t->lock);
}

/* ---- opening --------------------------------------------------------------------------- */

static int
open_files(struct view *v, const struct view_node *database, struct view_db *d, struct err *err)
{
	struct view_entry *folder;
	int r;

	r = view_entry_get(v, database->parent, &folder, err);
	if (r < 0)
		return r;
	r = records_files_open(&folder->at, view_node_name(database), &d->files, err);
	if (r == 0)
		r = view_snap_pin(v, database->snap, err);
	if (r == 0) {
		view_snap_ref(v, database->snap);
		d->snap = database->snap;
	}
	view_entry_put(v, folder);
	return r;
}

static int
open_db(struct view *v, const struct view_node *database, struct slice path, struct view_db **ret,
	struct err *err)
{
	const struct records_limits limits = {.deadline_ms = DEADLINE_MS};
	struct view_db *d = mem_alloc(sizeof *d);
	int r;

	buf_append(&d->path, path.p, path.len);
	r = open_files(v, database, d, err);
	if (r == 0)
		r = records_open(v->options.records, &d->files, 1, &limits, &d->db, err);
	if (r < 0) {
		close_db(v, d);
		return r;
	}
	*ret = d;
	return 0;
}

/* ---- sharing --------------------------------------------------------------------------- */

/* An idle one of this database.  Called with the lock held. */
static struct view_db *
find_idle(struct view_dbs *t, const struct view_snap *snap, struct slice path)
{
	struct view_db *d;

	TAILQ_FOREACH_REVERSE(d, &t->idle, view_db_list, in_idle)
	if (d->snap == snap && slice_equal(buf_slice(&d->path), path))
		break;
	return d;
}

static int
all_busy(struct err *err)
{
	return err_set(err, ERR_UNREACHABLE,
		       "all processes that read databases are busy with other questions");
}

/*
 * Takes an idle one of this database, or the right to open one: then *ret is NULL, and *ret_old
 * what to close before.
 */
static int
take(struct view_dbs *t, const struct view_snap *snap, struct slice path, struct view_db **ret,
     struct view_db **ret_old, struct err *err)
{
	struct timespec until;
	int error = 0;

	*ret = *ret_old = NULL;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&t->lock);
	for (;;) {
		*ret = find_idle(t, snap, path);
		if (*ret == NULL && t->n >= VIEW_DBS_MAX)
			*ret_old = TAILQ_FIRST(&t->idle);
		if (*ret != NULL || *ret_old != NULL || t->n < VIEW_DBS_MAX || error != 0)
			break;
		error = pthread_cond_timedwait(&t->released, &t->lock, &until);
	}
	if (*ret != NULL)
		TAILQ_REMOVE(&t->idle, *ret, in_idle);
	else if (*ret_old != NULL)
		TAILQ_REMOVE(&t->idle, *ret_old, in_idle);
	else if (t->n < VIEW_DBS_MAX)
		t->n++;
	else
		error = -1;
	pthread_mutex_unlock(&t->lock);
	return *ret == NULL && *ret_old == NULL && error != 0 ? all_busy(err) : 0;
}

/* @d: NULL: there is none to give back, only its place. */
static void
give_back(struct view *v, struct view_db *d)
{
	struct view_dbs *t = &v->dbs;

	if (d != NULL && !records_alive(d->db)) {
		close_db(v, d);
		d = NULL;
	}
	pthread_mutex_lock(&t->lock);
	if (d != NULL) {
		d->used = true;
		TAILQ_INSERT_TAIL(&t->idle, d, in_idle);
	} else {
		t->n--;
	}
	pthread_cond_signal(&t->released);
	pthread_mutex_unlock(&t->lock);
}

static int
acquire(struct view *v, const struct view_node *database, struct slice path, struct view_db **ret,
	struct err *err)
{
	struct view_db *old;
	int r;

	r = take(&v->dbs, database->snap, path, ret, &old, err);
	if (r < 0 || *ret != NULL)
		return r;
	close_db(v, old);
	r = open_db(v, database, path, ret, err);
	if (r < 0)
		give_back(v, NULL);
	return r;
}

int
view_db_run(struct view *v, const struct view_node *n, view_db_fn *fn, void *arg, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	struct view_db *d;
	bool again;
	int r;

	view_node_path_inside(n, &path);
	while (n->kind > VIEW_DATABASE)
		n = n->parent;
	do {
		r = acquire(v, n, buf_slice(&path), &d, err);
		if (r < 0)
			return r;
		r = fn(d->db, arg, err);
		/* It may have been dead before we asked. */
		again = r < 0 && d->used && !records_alive(d->db);
		give_back(v, d);
	} while (again && r == ERR_IO);
	return r;
}
