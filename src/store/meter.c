/*
 * meter.c - a store that counts what goes over the link, and keeps reads within a budget.
 *
 * Layer 1.
 */
#include <inttypes.h>
#include <pthread.h>

#include "store/backends.h"

#define HOUR_MS        ((uint64_t)3600 * 1000)
#define KEYS_A_REQUEST 1000u /* what the usual services list at once */
/* A longer range is a bound for an object whose length isn't known, and is paid for afterwards. */
#define RANGE_MAX ((uint64_t)16 * MIB)

struct meter {
	struct store *inner;
	const struct store_ops *ops; /* the inner store's: keys were checked on the way here */
	void *arg;
	uint64_t budget; /* bytes an hour; 0: any */

	pthread_mutex_t lock;     /* protects everything below */
	struct store_traffic own; /* counted here, for a store that doesn't count itself */
	uint64_t errors, refused;
	uint64_t hour_until_ms; /* monotonic */
	uint64_t hour_began;    /* bytes received until then */
	uint64_t underway;      /* bytes that are being read */
	pthread_cond_t released;
	bool told; /* the log has it already */
};

/* ---- counting */

static void
count(struct meter *m, uint64_t requests, uint64_t received, uint64_t sent, int r)
{
	/* That something isn't there, or is there already, is an answer. */
	bool failed = r < 0 && r != ERR_NOENT && r != ERR_EXISTS && r != ERR_CANCELLED;

	pthread_mutex_lock(&m->lock);
	m->own.requests += requests;
	m->own.received += received;
	m->own.sent += sent;
	m->errors += failed;
	pthread_mutex_unlock(&m->lock);
}

static struct store_traffic
traffic_locked(const struct meter *m)
{
	struct store_traffic t = m->own;

	if (m->ops->traffic != NULL)
		m->ops->traffic(m->arg, &t);
	return t;
}

/* ---- the budget */

static int
refuse_locked(struct meter *m, uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_fini) struct buf budget = BUF_INIT;
	uint64_t left_s = (m->hour_until_ms - now_ms) / 1000 + 1;
	struct time_text at = time_format_rfc3339(time_now() + (int64_t)left_s);

	m->refused++;
	text_append_bytes(&budget, m->budget);
	if (!m->told)
		log_write(LOG_WARN,
			  "budget: %s have been read from %s in this hour; more is refused until "
			  "%s, and what is in memory or in the cache is still served",
			  buf_cstr(&budget), store_url(m->inner), at.s);
	m->told = true;
	return err_set(err, ERR_BUDGET,
		       "the budget of %s an hour for reading from the store is used up; it can be "
		       "read again at %s",
		       buf_cstr(&budget), at.s);
}

/* What is left of the hour's budget, without what is being read. */
static uint64_t
left_locked(const struct meter *m)
{
	return m->budget - min_u64(traffic_locked(m).received - m->hour_began, m->budget);
}

/* An object's beginning is asked for without knowing how long the object is, and much less may
 * come: as long as something is left, that alone is not refused, but paid for afterwards. */
static bool
fits_locked(const struct meter *m, uint64_t off, uint64_t len)
{
	uint64_t left = left_locked(m);

	return len <= left - min_u64(m->underway, left) ||
	       (off == 0 && m->underway == 0 && left > 0);
}

static void
begin_hour_locked(struct meter *m, uint64_t now_ms)
{
	if (now_ms < m->hour_until_ms)
		return;
	m->hour_until_ms = now_ms + HOUR_MS;
	m->hour_began = traffic_locked(m).received;
	m->told = false;
}

/* Sets @len bytes of the hour's budget aside; waits for what is underway to leave something. */
static int
reserve(struct meter *m, uint64_t off, uint64_t len, struct err *err)
{
	int r = 0;

	if (m->budget == 0)
		return 0;
	pthread_mutex_lock(&m->lock);
	for (;;) {
		begin_hour_locked(m, time_monotonic_ms());
		if (fits_locked(m, off, len) || m->underway == 0 || left_locked(m) == 0)
			break;
		pthread_cond_wait(&m->released, &m->lock);
	}
	if (fits_locked(m, off, len))
		m->underway += len;
	else
		r = refuse_locked(m, time_monotonic_ms(), err);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* What came instead has been counted. */
static void
release(struct meter *m, uint64_t len)
{
	if (m->budget == 0)
		return;
	pthread_mutex_lock(&m->lock);
	m->underway -= len;
	pthread_cond_broadcast(&m->released);
	pthread_mutex_unlock(&m->lock);
}

/* ---- operations */

static int
meter_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct meter *m = arg;
	uint64_t ahead = len <= RANGE_MAX ? len : 1;
	int r = reserve(m, off, ahead, err);

	if (r < 0)
		return r;
	r = m->ops->get(m->arg, key, off, len, ret, err);
	count(m, 1, ret->len, 0, r);
	release(m, ahead);
	return r;
}

static int
meter_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct meter *m = arg;
	int r = m->ops->size(m->arg, key, ret, err);

	count(m, 1, 0, 0, r);
	return r;
}

static int
meter_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct meter *m = arg;
	int r = m->ops->create(m->arg, key, body, err);

	count(m, 1, 0, body.len, r);
	return r;
}

/* Who listens to a listing while its keys are counted. */
struct listener {
	store_list_fn *fn;
	void *arg;
	uint64_t keys;
};

static int
listen(void *arg, const struct store_entry *entry, struct err *err)
{
	struct listener *l = arg;

	l->keys++;
	return l->fn(l->arg, entry, err);
}

static int
meter_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	   struct err *err)
{
	struct meter *m = arg;
	struct listener l = {fn, fn_arg, 0};
	int r = m->ops->list(m->arg, prefix, delimited, listen, &l, err);

	count(m, 1 + l.keys / KEYS_A_REQUEST, 0, 0, r);
	return r;
}

static int
meter_list_names(void *arg, const char *prefix, store_list_fn *fn, void *fn_arg, struct err *err)
{
	struct meter *m = arg;
	struct listener l = {fn, fn_arg, 0};
	int r = store_list_names(m->inner, prefix, listen, &l, err);

	count(m, 1 + l.keys / KEYS_A_REQUEST, 0, 0, r);
	return r;
}

static int
meter_remove(void *arg, const char *key, struct err *err)
{
	struct meter *m = arg;
	int r = m->ops->remove(m->arg, key, err);

	count(m, 1, 0, 0, r);
	return r;
}

static int
meter_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	      void *fits_arg, struct err *err)
{
	struct meter *m = arg;
	uint64_t ahead = len <= RANGE_MAX ? len : 1; /* there is one version at least */
	int r = reserve(m, off, ahead, err);

	if (r < 0)
		return r;
	r = store_recover_in(m->inner, key, off, len, fits, fits_arg, err);
	count(m, 0, 0, 0, r == ERR_UNSUPPORTED ? 0 : r);
	release(m, ahead);
	return r;
}

static struct store *
meter_inner(void *arg)
{
	return ((struct meter *)arg)->inner;
}

static void
meter_close(void *arg)
{
	struct meter *m = arg;

	store_close(m->inner);
	pthread_cond_destroy(&m->released);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct store_ops meter_ops = {
	.scheme = "meter",
	.get = meter_get,
	.size = meter_size,
	.create = meter_create,
	.list = meter_list,
	.list_names = meter_list_names,
	.remove = meter_remove,
	.recover = meter_recover,
	.close = meter_close,
	.inner = meter_inner,
};

struct store *
store_meter_new(struct store *inner, uint64_t budget)
{
	struct meter *m = mem_alloc(sizeof *m);

	m->inner = inner;
	m->ops = store_ops_of(inner);
	m->arg = store_arg_of(inner);
	m->budget = budget;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->released, NULL);
	return store_new(&meter_ops, m, store_url(inner));
}

void
store_meter_stats_get(struct store *metered, struct store_meter_stats *ret)
{
	struct meter *m = store_arg_of(metered);

	struct store_traffic t;

	pthread_mutex_lock(&m->lock);
	t = traffic_locked(m);
	*ret = (struct store_meter_stats){.requests = t.requests,
					  .bytes_fetched = t.received,
					  .bytes_sent = t.sent,
					  .errors = m->errors,
					  .refused = m->refused};
	pthread_mutex_unlock(&m->lock);
}

void
store_meter_expire(struct store *metered)
{
	struct meter *m = store_arg_of(metered);

	pthread_mutex_lock(&m->lock);
	m->hour_until_ms = 0;
	pthread_mutex_unlock(&m->lock);
}
