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

	pthread_mutex_t lock; /* protects everything below */
	struct store_meter_stats stats;
	uint64_t hour_until_ms; /* monotonic */
	uint64_t used;          /* in this hour, with what is being read */
	bool told;              /* the log has it already */
};

/* ---- counting */

static void
count(struct meter *m, uint64_t requests, uint64_t fetched, uint64_t sent, int r)
{
	/* That something isn't there, or is there already, is an answer. */
	bool failed = r < 0 && r != ERR_NOENT && r != ERR_EXISTS && r != ERR_CANCELLED;

	pthread_mutex_lock(&m->lock);
	m->stats.requests += requests;
	m->stats.bytes_fetched += fetched;
	m->stats.bytes_sent += sent;
	m->stats.errors += failed;
	pthread_mutex_unlock(&m->lock);
}

/* ---- the budget */

static int
refuse_locked(struct meter *m, uint64_t now_ms, struct err *err)
{
	CLEANUP(buf_fini) struct buf budget = BUF_INIT;
	uint64_t left_s = (m->hour_until_ms - now_ms) / 1000 + 1;
	struct time_text at = time_format_rfc3339(time_now() + (int64_t)left_s);

	m->stats.refused++;
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

/* Takes @len bytes out of the hour's budget. */
static int
spend(struct meter *m, uint64_t len, struct err *err)
{
	uint64_t now_ms = time_monotonic_ms();
	int r = 0;

	if (m->budget == 0)
		return 0;
	pthread_mutex_lock(&m->lock);
	if (now_ms >= m->hour_until_ms) {
		m->hour_until_ms = now_ms + HOUR_MS;
		m->used = 0;
		m->told = false;
	}
	if (len > m->budget - min_u64(m->used, m->budget))
		r = refuse_locked(m, now_ms, err);
	else
		m->used += len;
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* Another length came than was taken out of the budget. */
static void
correct(struct meter *m, uint64_t taken, uint64_t came)
{
	pthread_mutex_lock(&m->lock);
	m->used -= min_u64(taken, m->used);
	m->used += came;
	pthread_mutex_unlock(&m->lock);
}

/* ---- operations */

static int
meter_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct meter *m = arg;
	uint64_t ahead = len <= RANGE_MAX ? len : 1;
	int r = spend(m, ahead, err);

	if (r < 0)
		return r;
	r = m->ops->get(m->arg, key, off, len, ret, err);
	count(m, 1, ret->len, 0, r);
	correct(m, ahead, ret->len);
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
meter_remove(void *arg, const char *key, struct err *err)
{
	struct meter *m = arg;
	int r = m->ops->remove(m->arg, key, err);

	count(m, 1, 0, 0, r);
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
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct store_ops meter_ops = {
	.scheme = "meter",
	.get = meter_get,
	.size = meter_size,
	.create = meter_create,
	.list = meter_list,
	.remove = meter_remove,
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
	return store_new(&meter_ops, m, store_url(inner));
}

void
store_meter_stats_get(struct store *metered, struct store_meter_stats *ret)
{
	struct meter *m = store_arg_of(metered);

	pthread_mutex_lock(&m->lock);
	*ret = m->stats;
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
