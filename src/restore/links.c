/*
 * links.c - hard links: the first name met is made, the others become links to it.
 *
 * Another name may come up while a worker still makes the first; it waits with the group, and the
 * worker queues it when it is done.  A group leaves the table once all names that the source had
 * were seen, so what is remembered stays small in trees of nothing but hard links.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

struct link_group {
	/* What names one inode of the source. */
	uint64_t dev, ino, size;
	enum entry_type type;

	/* protected by links->lock */
	struct link_group *next; /* in its bucket */
	unsigned refs;           /* the table's and each job's */
	uint64_t unseen;         /* names that are still to come */
	enum { LINK_UNDERWAY, LINK_MADE, LINK_FAILED } state;
	struct outdir *dir; /* a reference: where the first name is */
	char *name;
	struct job *waiting;
};

void
links_init(struct links *l)
{
	pthread_mutex_init(&l->lock, NULL);
	l->n_buckets = 256;
	l->buckets = mem_array(l->n_buckets, sizeof(struct link_group *));
}

static void
group_free(struct run *run, struct link_group *g)
{
	if (g == NULL)
		return;
	outdir_put(run, g->dir);
	free(g->name);
	free(g);
}

void
links_fini(struct run *run, struct links *l)
{
	for (size_t i = 0; i < l->n_buckets; i++)
		for (struct link_group *g = l->buckets[i], *next; g != NULL; g = next) {
			next = g->next;
			group_free(run, g);
		}
	free(l->buckets);
	pthread_mutex_destroy(&l->lock);
}

/* ---- the table; callers hold the lock ---------------------------------------------------- */

static struct link_group **
bucket_of(const struct links *l, uint64_t dev, uint64_t ino)
{
	uint64_t mixed = (ino ^ dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &l->buckets[(mixed >> 32) & (l->n_buckets - 1)];
}

static struct link_group *
find(const struct links *l, const struct entry *e)
{
	struct link_group *g = *bucket_of(l, e->dev, e->ino);

	while (g != NULL &&
	       (g->ino != e->ino || g->dev != e->dev || g->size != e->size || g->type != e->type))
		g = g->next;
	return g;
}

static void
insert(struct links *l, struct link_group *g)
{
	struct link_group **bucket = bucket_of(l, g->dev, g->ino);

	g->next = *bucket;
	*bucket = g;
	l->n++;
}

static void
grow(struct links *l)
{
	struct link_group **old = l->buckets;
	size_t n = l->n_buckets;

	l->n_buckets *= 2;
	l->buckets = mem_array(l->n_buckets, sizeof(struct link_group *));
	l->n = 0;
	for (size_t i = 0; i < n; i++)
		for (struct link_group *g = old[i], *next; g != NULL; g = next) {
			next = g->next;
			insert(l, g);
		}
	free(old);
}

static void
take_out(struct links *l, struct link_group *g)
{
	struct link_group **at = bucket_of(l, g->dev, g->ino);

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	l->n--;
	g->refs--;
}

/* ---- names ------------------------------------------------------------------------------- */

static struct link_group *
group_new(const struct job *first)
{
	const struct entry *e = &first->item.entry;
	struct link_group *g = mem_alloc(sizeof *g);

	g->dev = e->dev;
	g->ino = e->ino;
	g->size = e->size;
	g->type = e->type;
	g->refs = 1;
	g->unseen = e->nlink;
	g->dir = outdir_get(first->dir);
	g->name = str_copy(first->name);
	return g;
}

void
link_claim(struct run *run, struct job *job)
{
	struct links *l = &run->links;
	struct link_group *g;
	bool waits;

	pthread_mutex_lock(&l->lock);
	g = find(l, &job->item.entry);
	job->is_link = g != NULL;
	if (g == NULL) {
		if (l->n >= l->n_buckets)
			grow(l);
		g = group_new(job);
		insert(l, g);
	}
	job->group = g;
	g->refs++;
	if (--g->unseen == 0)
		take_out(l, g);
	waits = job->is_link && g->state == LINK_UNDERWAY;
	if (waits) {
		job->next = g->waiting;
		g->waiting = job;
	}
	pthread_mutex_unlock(&l->lock);
	if (!waits)
		work_add(run, job);
}

void
link_release(struct run *run, struct job *job)
{
	struct link_group *g = steal_ptr(&job->group);
	bool last;

	pthread_mutex_lock(&run->links.lock);
	last = --g->refs == 0;
	pthread_mutex_unlock(&run->links.lock);
	if (last)
		group_free(run, g);
}

void
link_made(struct run *run, struct job *job, bool made)
{
	struct job *waiting, *next;

	pthread_mutex_lock(&run->links.lock);
	job->group->state = made ? LINK_MADE : LINK_FAILED;
	waiting = steal_ptr(&job->group->waiting);
	pthread_mutex_unlock(&run->links.lock);

	for (; waiting != NULL; waiting = next) {
		next = waiting->next;
		work_add_first(run, waiting);
	}
}

int
link_make(struct run *run, const struct job *job, struct err *err)
{
	const struct link_group *g = job->group; /* its state doesn't change any more */
	char temp[TEMP_NAME_LEN];

	if (g->state == LINK_FAILED)
		return err_set(err, ERR_IO, "is a link to %s, which could not be restored",
			       g->name);
	temp_name(run, temp);
	if (linkat(g->dir->fd, g->name, job->dir->fd, temp, 0) < 0)
		return err_sys(err, "linking to %s", g->name);
	return commit_name(run, job->dir, temp, job->name, err);
}
