/*
 * snap.c - snapshots, opened when somebody looks into them and closed again when many are open.
 *
 * Nodes refer to a snapshot by its name only, which costs nothing; what is being read pins it.
 */
#include "private.h"

void
view_snaps_init(struct view_snaps *t)
{
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->opened, NULL);
	for (size_t i = 0; i < ARRAY_LEN(t->buckets); i++)
		LIST_INIT(&t->buckets[i]);
	TAILQ_INIT(&t->lru);
}

/* What an opened snapshot consists of, on its way out. */
struct remains {
	struct repo_opened *opened;
	struct merge *merge;
};

/* Takes the opened part out.  Called with the lock held. */
static struct remains
take_opened(struct view_snaps *t, struct view_snap *s)
{
	struct remains r = {steal_ptr(&s->opened), steal_ptr(&s->merge)};

	if (r.opened != NULL) {
		TAILQ_REMOVE(&t->lru, s, in_lru);
		t->n_opened--;
	}
	return r;
}

static void
remains_free(struct remains *r)
{
	merge_free(r->merge);
	repo_opened_free(r->opened);
}

static void
snap_free(struct view_snap *s)
{
	free(s->failure);
	free(s);
}

void
view_snaps_fini(struct view_snaps *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->buckets); i++) {
		struct view_snap *s;

		while ((s = LIST_FIRST(&t->buckets[i])) != NULL) {
			struct remains r =
				take_opened(t, s); /* NOLINT(clang-analyzer-unix.Malloc) */

			LIST_REMOVE(s, in_bucket);
			remains_free(&r);
			snap_free(s);
		}
	}
	pthread_cond_destroy(&t->opened);
	pthread_mutex_destroy(&t->lock);
}

/* ---- references ------------------------------------------------------------------------ */

struct view_snap *
view_snap_get(struct view *v, const struct repo_snapshot *snapshot)
{
	struct view_snaps *t = &v->snaps;
	const struct hash *id = &snapshot->name.id.h;
	size_t bucket = (id->b[0] | (size_t)id->b[1] << 8) % ARRAY_LEN(t->buckets);
	struct view_snap *s;

	pthread_mutex_lock(&t->lock);
	LIST_FOREACH(s, &t->buckets[bucket], in_bucket)
	{
		if (hash_equal(&s->name.id.h, id))
			break;
	}
	if (s == NULL) {
		s = mem_alloc(sizeof *s);
		s->name = snapshot->name;
		s->writer = snapshot->writer;
		LIST_INSERT_HEAD(&t->buckets[bucket], s, in_bucket);
	}
	s->refs++;
	pthread_mutex_unlock(&t->lock);
	return s;
}

void
view_snap_ref(struct view *v, struct view_snap *s)
{
	pthread_mutex_lock(&v->snaps.lock);
	s->refs++;
	pthread_mutex_unlock(&v->snaps.lock);
}

void
view_snap_put(struct view *v, struct view_snap *s)
{
	struct view_snaps *t = &v->snaps;
	struct remains r;

	pthread_mutex_lock(&t->lock);
	if (--s->refs > 0) {
		pthread_mutex_unlock(&t->lock);
		return;
	}
	LIST_REMOVE(s, in_bucket);
	r = take_opened(t, s);
	pthread_mutex_unlock(&t->lock);

	remains_free(&r);
	snap_free(s);
}

/* ---- opening --------------------------------------------------------------------------- */

/* Closes the least recently used that nobody pins.  Called with the lock held. */
static struct remains
evict_one(struct view_snaps *t)
{
	struct view_snap *s;

	if (t->n_opened > VIEW_SNAPS_OPEN)
		TAILQ_FOREACH_REVERSE(s, &t->lru, view_snap_lru, in_lru)
	if (s->pins == 0)
		return take_opened(t, s);
	return (struct remains){0};
}

/* Opens, without a lock; the caller has marked it as being opened. */
static int
open_snap(struct view *v, struct view_snap *s, struct repo_opened **ret, struct err *err)
{
	int r = repo_snapshot_open(v->repo, &s->name, ret, err);
	bool no_xattrs = true;

	/* It was listed, so "no such file" would be the wrong word for it. */
	if (r == ERR_NOENT)
		return err_add(err, ERR_CORRUPT, "listed, but gone");
	if (r < 0)
		return r;
	for (size_t i = 0; i < (*ret)->n_classes; i++)
		no_xattrs &= (*ret)->classes[i]->no_xattrs;
	atomic_store(&s->no_xattrs, no_xattrs);
	return 0;
}

static void
remember_failure(struct view_snap *s, const struct err *err)
{
	if (s->failure == NULL)
		s->failure = mem_alloc(sizeof *s->failure);
	*s->failure = *err;
	s->retry_at_ms = time_monotonic_ms() + VIEW_SNAP_RETRY_MS;
}

int
view_snap_pin(struct view *v, struct view_snap *s, struct err *err)
{
	struct view_snaps *t = &v->snaps;
	struct repo_opened *opened = NULL;
	struct remains old;
	struct err why = ERR_INIT;
	int r;

	pthread_mutex_lock(&t->lock);
	while (s->opening)
		pthread_cond_wait(&t->opened, &t->lock);
	if (s->opened != NULL) {
		s->pins++;
		if (TAILQ_FIRST(&t->lru) != s) {
			TAILQ_REMOVE(&t->lru, s, in_lru);
			TAILQ_INSERT_HEAD(&t->lru, s, in_lru);
		}
		pthread_mutex_unlock(&t->lock);
		return 0;
	}
	if (s->failure != NULL && time_monotonic_ms() < s->retry_at_ms) {
		r = s->failure->code;
		if (err != NULL)
			*err = *s->failure;
		pthread_mutex_unlock(&t->lock);
		return r;
	}
	s->opening = true;
	pthread_mutex_unlock(&t->lock);

	r = open_snap(v, s, &opened, &why);

	pthread_mutex_lock(&t->lock);
	s->opening = false;
	if (r == 0) {
		s->opened = opened;
		s->merge = merge_new(v->reader, opened);
		s->pins++;
		TAILQ_INSERT_HEAD(&t->lru, s, in_lru);
		t->n_opened++;
	} else {
		remember_failure(s, &why);
	}
	old = evict_one(t);
	pthread_cond_broadcast(&t->opened);
	pthread_mutex_unlock(&t->lock);

	remains_free(&old);
	if (r < 0 && err != NULL)
		*err = why;
	return r;
}

void
view_snap_unpin(struct view *v, struct view_snap *s)
{
	pthread_mutex_lock(&v->snaps.lock);
	s->pins--;
	pthread_mutex_unlock(&v->snaps.lock);
}
