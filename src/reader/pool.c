/*
 * pool.c - the threads that open ahead: files that are read forward, and single segments.
 *
 * They start when first needed, so that a short command has none.
 *
 * Layer 3.
 */
#include <signal.h>

#include "reader/internal.h"

void
pool_init(struct pool *p)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	TAILQ_INIT(&p->ready);
}

static struct cached_key
pop_key_locked(struct pool *p)
{
	struct cached_key key = p->keys[p->keys_head];

	p->keys_head = (p->keys_head + 1) % POOL_KEYS;
	p->keys_len--;
	return key;
}

void
pool_fini(struct reader *r)
{
	struct pool *p = &r->pool;

	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	while (p->keys_len > 0)
		section_put(&r->sections, pop_key_locked(p).section);
	pthread_cond_destroy(&p->idle);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
}

static void
open_key_locked(struct reader *r)
{
	struct cached_key key = pop_key_locked(&r->pool);
	struct cached *segment;

	pthread_mutex_unlock(&r->pool.lock);
	/* What fails ahead fails again, and is told, when it is read. */
	if (cache_get(&r->segments, &key, &segment, NULL) == 0)
		cache_put(&r->segments, segment, false);
	section_put(&r->sections, key.section);
	pthread_mutex_lock(&r->pool.lock);
}

static void
work_on_file_locked(struct reader *r, struct tree_file *f)
{
	struct pool *p = &r->pool;

	TAILQ_REMOVE(&p->ready, f, ready);
	f->ahead.queued = false;
	f->ahead.active++;
	readahead_step_locked(f);
	/* From here on the file may be closed. */
	if (--f->ahead.active == 0)
		pthread_cond_broadcast(&p->idle);
}

static void *
pool_thread(void *arg)
{
	struct reader *r = arg;
	struct pool *p = &r->pool;

	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		if (p->keys_len > 0) {
			open_key_locked(r);
		} else if (!TAILQ_EMPTY(&p->ready)) {
			work_on_file_locked(r, TAILQ_FIRST(&p->ready));
		} else {
			p->n_waiting++;
			pthread_cond_wait(&p->work, &p->lock);
			p->n_waiting--;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are for the program's own threads. */
void
pool_start_locked(struct reader *r)
{
	struct pool *p = &r->pool;
	sigset_t all, before;

	if (p->n_waiting > 0 || p->n_threads == POOL_THREADS || p->stopping)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (p->n_threads < POOL_THREADS &&
	       pthread_create(&p->threads[p->n_threads], NULL, pool_thread, r) == 0)
		p->n_threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Small files share segments, so neighbours ask for the same one. */
static bool
is_queued_locked(const struct pool *p, const struct cached_key *key)
{
	for (size_t i = 0; i < p->keys_len; i++) {
		if (cached_key_equal(&p->keys[(p->keys_head + i) % POOL_KEYS], key))
			return true;
	}
	return false;
}

void
pool_push(struct reader *r, const struct cached_key *key)
{
	struct pool *p = &r->pool;

	pthread_mutex_lock(&p->lock);
	if (p->keys_len < POOL_KEYS && !p->stopping && !is_queued_locked(p, key)) {
		section_ref(&r->sections, key->section);
		p->keys[(p->keys_head + p->keys_len++) % POOL_KEYS] = *key;
		pthread_cond_signal(&p->work);
		pool_start_locked(r);
	}
	pthread_mutex_unlock(&p->lock);
}
