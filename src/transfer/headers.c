/*
 * headers.c - packs known by name, and their headers, each fetched once.
 *
 * Layer 3.
 */
#include "transfer/internal.h"

int
remote_check(const struct pack_source *source, struct err *err)
{
	/* A header has at least its magic, its length and a map. */
	if (source->header_len <= 12 || source->header_len > PACK_HEADER_MAX ||
	    source->object_len <= source->header_len ||
	    source->object_len - source->header_len > PACK_BODY_MAX)
		return err_set(
			err, ERR_CORRUPT,
			"pack %s: the snapshot gives it impossible lengths (%llu bytes, %u of "
			"them its header)",
			hex(&source->id.h).s, (unsigned long long)source->object_len,
			source->header_len);
	return 0;
}

/* Lengths are part of the identity: a snapshot that lies about them harms only itself. */
static bool
source_equal(const struct pack_source *a, const struct pack_source *b)
{
	return hash_equal(&a->id.h, &b->id.h) && writer_id_equal(&a->writer, &b->writer) &&
	       a->object_len == b->object_len && a->header_len == b->header_len;
}

static void
remote_free_locked(struct transfer *t, struct remote *m)
{
	LIST_REMOVE(m, chain);
	if (m->header != NULL)
		t->header_bytes -= m->header->bytes.cap;
	pack_header_free(m->header);
	free(m->failure);
	pthread_cond_destroy(&m->header_done);
	free(m);
}

static void
trim_idle_locked(struct transfer *t)
{
	while (t->n_idle > 0 &&
	       (t->n_idle > REMOTES_IDLE_MAX || t->header_bytes > t->header_memory)) {
		struct remote *m = TAILQ_FIRST(&t->idle);

		TAILQ_REMOVE(&t->idle, m, idle);
		t->n_idle--;
		remote_free_locked(t, m);
	}
}

struct remote *
remote_get_locked(struct transfer *t, const struct pack_source *source)
{
	uint32_t bucket = source->id.h.b[0] % REMOTE_BUCKETS;
	uint64_t body_len = source->object_len - source->header_len;
	uint32_t n_blocks = (uint32_t)((body_len + PACK_BLOCK_LEN - 1) / PACK_BLOCK_LEN);
	struct remote *m;

	LIST_FOREACH(m, &t->remotes[bucket], chain)
	{
		if (source_equal(&m->source, source)) {
			remote_ref_locked(t, m);
			return m;
		}
	}
	m = mem_alloc(sizeof *m + n_blocks * sizeof m->runs[0]);
	m->source = *source;
	m->body_len = body_len;
	m->n_blocks = n_blocks;
	m->refs = 1;
	cond_init_monotonic(&m->header_done);
	LIST_INSERT_HEAD(&t->remotes[bucket], m, chain);
	return m;
}

void
remote_ref_locked(struct transfer *t, struct remote *m)
{
	if (m->refs++ == 0) {
		TAILQ_REMOVE(&t->idle, m, idle);
		t->n_idle--;
	}
}

void
remote_put_locked(struct transfer *t, struct remote *m)
{
	if (--m->refs > 0)
		return;
	TAILQ_INSERT_TAIL(&t->idle, m, idle);
	t->n_idle++;
	trim_idle_locked(t);
}

void
remotes_free(struct transfer *t)
{
	struct remote *m;

	while ((m = TAILQ_FIRST(&t->idle)) != NULL) {
		TAILQ_REMOVE(&t->idle, m, idle);
		remote_free_locked(t, m);
	}
}

/* A failure that is old enough is forgotten. */
static void
forgive_locked(struct remote *m)
{
	if (m->state != HEADER_FAILED || time_monotonic_ms() < m->failure->retry_ms)
		return;
	free(steal_ptr(&m->failure));
	m->state = HEADER_ABSENT;
}

int
header_failed(struct transfer *t, struct remote *m, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&t->lock);
	forgive_locked(m);
	if (m->state == HEADER_FAILED)
		r = failure_tell(m->failure, err);
	pthread_mutex_unlock(&t->lock);
	return r;
}

bool
header_claim_locked(struct remote *m)
{
	forgive_locked(m);
	if (m->state != HEADER_ABSENT && m->state != HEADER_QUEUED)
		return false;
	m->state = HEADER_FETCHING;
	return true;
}

void
header_unclaim(struct transfer *t, struct remote *m)
{
	pthread_mutex_lock(&t->lock);
	m->state = HEADER_ABSENT;
	pthread_cond_broadcast(&m->header_done);
	pthread_mutex_unlock(&t->lock);
}

/* The header must be the one that the snapshot described. */
int
header_check(const struct remote *m, struct slice bytes, struct pack_header **ret, struct err *err)
{
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	int r;

	if (bytes.len < m->source.header_len)
		return err_set(err, ERR_CORRUPT, "the stored object ends inside its header");
	r = pack_header_parse(slice_of(bytes.p, m->source.header_len), &m->source.id, &h, err);
	if (r < 0)
		return r;
	if (h->header_len != m->source.header_len || h->body_len != m->body_len ||
	    h->n_blocks != m->n_blocks)
		return err_set(err, ERR_CORRUPT, "its header says other lengths than the snapshot");
	if (!writer_id_equal(&h->writer, &m->source.writer))
		return err_set(err, ERR_CORRUPT, "another writer made it");
	*ret = steal_ptr(&h);
	return 0;
}

int
header_publish(struct transfer *t, struct remote *m, int r, struct slice bytes, struct err *err)
{
	struct err local = ERR_INIT;
	struct pack_header *h = NULL;

	if (err == NULL)
		err = &local;
	if (r == 0) {
		r = header_check(m, bytes, &h, err);
		if (r < 0 && header_recover(t, m, &h))
			r = 0;
		if (r < 0)
			r = err_add(err, r, "pack %s", hex(&m->source.id.h).s);
	}

	pthread_mutex_lock(&t->lock);
	if (r == 0) {
		m->header = h;
		m->state = HEADER_READY;
		t->header_bytes += h->bytes.cap;
		trim_idle_locked(t);
	} else {
		m->failure = failure_new(err);
		m->state = HEADER_FAILED;
	}
	pthread_cond_broadcast(&m->header_done);
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int
header_fetch(struct transfer *t, struct remote *m, uint64_t deadline, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	bool cached = cached_header(t, m, &bytes);
	int r = cached ? 0 : fetch_with_header(t, m, m->source.header_len, deadline, &bytes, err);

	r = header_publish(t, m, r, buf_slice(&bytes), err);
	if (r == 0 && !cached && !m->recovered)
		cached_header_keep(t, m, buf_slice(&bytes));
	return r;
}

int
header_need(struct transfer *t, struct remote *m, uint64_t deadline, struct err *err)
{
	bool mine, in_time = true;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	while (m->state == HEADER_FETCHING && in_time)
		in_time = wait_until(&m->header_done, &t->lock, deadline);
	mine = header_claim_locked(m);
	if (m->state == HEADER_FAILED)
		r = failure_tell(m->failure, err);
	else if (!mine && m->state != HEADER_READY)
		r = err_set(err, ERR_UNREACHABLE, "pack %s: no answer within %u s",
			    hex(&m->source.id.h).s, t->timeout_ms / 1000);
	pthread_mutex_unlock(&t->lock);

	return mine ? header_fetch(t, m, deadline, err) : r;
}

int
transfer_header(struct transfer *t, const struct pack_source *source,
		const struct pack_header **ret, struct err *err)
{
	struct remote *m;
	int r;

	*ret = NULL;
	r = remote_check(source, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&t->lock);
	m = remote_get_locked(t, source);
	pthread_mutex_unlock(&t->lock);

	r = header_need(t, m, time_monotonic_ms() + t->timeout_ms, err);

	pthread_mutex_lock(&t->lock);
	if (r == 0 && m->header_refs++ == 0)
		LIST_INSERT_HEAD(&t->borrowed, m, borrowed);
	if (r < 0)
		remote_put_locked(t, m);
	else
		*ret = m->header;
	pthread_mutex_unlock(&t->lock);
	return r;
}

void
transfer_header_put(struct transfer *t, const struct pack_header *h)
{
	struct remote *m;

	if (h == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	/* Few are borrowed at a time: one a thread. */
	LIST_FOREACH(m, &t->borrowed, borrowed)
	{
		if (m->header == h)
			break;
	}
	if (m != NULL) {
		if (--m->header_refs == 0)
			LIST_REMOVE(m, borrowed);
		remote_put_locked(t, m);
	}
	pthread_mutex_unlock(&t->lock);
}
