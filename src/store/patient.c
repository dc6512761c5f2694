/*
 * patient.c - a store that tries again: a distant store with a deadline for each operation.
 *
 * What is worth retrying is ERR_UNREACHABLE alone.  Waits are drawn at random below a bound that
 * doubles (full jitter), so that many tills that lost the same link don't come back in step; what
 * the store itself asks for (Retry-After) is honoured.  No attempt starts later than two thirds
 * into the time, since the one underway must end too; the inner store shall give up on silence
 * within the last third.
 *
 * Operations stay what they were although their answer may be lost: an object that a lost attempt
 * created already, and only if it is ours byte by byte, counts as created; one that a lost attempt
 * removed counts as removed; a listing goes on behind the last key that it told.
 *
 * Layer 1.
 */
#include "store/backends.h"
#include "tillfs/seal.h"

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MAX_MS   8000u
#define COMPARE_LEN      (4u * MIB)

struct patient {
	struct store *inner;
	const struct store_ops *ops; /* the inner store's: keys were checked on the way here */
	void *arg;
	unsigned timeout_ms;
};

/* One operation's attempts. */
struct attempts {
	uint64_t last_start_ms; /* monotonic */
	unsigned n;             /* that failed */
};

static struct attempts
attempts_begin(const struct patient *p)
{
	return (struct attempts){.last_start_ms =
					 time_monotonic_ms() + (uint64_t)p->timeout_ms / 3 * 2};
}

unsigned
store_backoff_ms(unsigned tries, unsigned retry_after_ms)
{
	unsigned doublings = tries > 0 ? tries - 1 : 0;
	uint64_t bound = (uint64_t)BACKOFF_FIRST_MS << (doublings < 16 ? doublings : 16);
	unsigned drawn = seal_random_below((uint32_t)min_u64(bound, BACKOFF_MAX_MS) + 1);

	/* Also the store's own wish gets a random part, or all come back at that moment. */
	return retry_after_ms > 0 ? retry_after_ms + drawn / 4 : drawn;
}

/* Whether to try again after a failure: true once the wait is over. */
static bool
again(struct attempts *a, int r, const struct err *err)
{
	uint64_t at;

	if (r != ERR_UNREACHABLE)
		return false;
	a->n++;
	at = time_monotonic_ms() + store_backoff_ms(a->n, err->retry_after_ms);
	if (at > a->last_start_ms)
		return false;
	log_write(LOG_DEBUG, "trying again: %s", err->msg);
	return store_sleep_until(at);
}

/* The last failure, told to the caller. */
static int
give_up(const struct attempts *a, int r, const struct err *why, struct err *err)
{
	if (err != NULL)
		*err = *why;
	if (a->n > 1)
		return err_add(err, r, "after %u attempts", a->n);
	return r;
}

/* The arguments of an operation, as far as it has them. */
struct call {
	const char *key;
	uint64_t off, len;
	struct slice body;
	void *ret;
	int64_t until;
	store_fits_fn *fits;
	void *fits_arg;
};
/* One attempt.  Return: negative for a failure. */
typedef int attempt_fn(struct patient *p, const struct call *c, struct err *err);

/* Attempts it until it succeeds or time is over.  @ret_failed: attempts that failed before. */
static int
persist(struct patient *p, attempt_fn *attempt, const struct call *c, unsigned *ret_failed,
	struct err *err)
{
	struct attempts a = attempts_begin(p);
	struct err why;
	int r;

	do {
		why = ERR_INIT;
		r = attempt(p, c, &why);
	} while (r < 0 && again(&a, r, &why));
	if (ret_failed != NULL)
		*ret_failed = a.n;
	return r < 0 ? give_up(&a, r, &why, err) : 0;
}

static int
attempt_get(struct patient *p, const struct call *c, struct err *err)
{
	buf_reset(c->ret);
	return p->ops->get(p->arg, c->key, c->off, c->len, c->ret, err);
}

static int
patient_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret,
	    struct err *err)
{
	const struct call c = {.key = key, .off = off, .len = len, .ret = ret};

	return persist(arg, attempt_get, &c, NULL, err);
}

static int
attempt_size(struct patient *p, const struct call *c, struct err *err)
{
	return p->ops->size(p->arg, c->key, c->ret, err);
}

static int
patient_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	const struct call c = {.key = key, .ret = ret};

	return persist(arg, attempt_size, &c, NULL, err);
}

/* Whether the stored object is, byte by byte, the one that was to be created. */
static int
is_ours(struct patient *p, const char *key, struct slice body, bool *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf part = BUF_INIT;
	size_t off = 0;

	*ret = false;
	do {
		size_t want = min_u64(body.len - off, COMPARE_LEN);
		/* At the end one byte more is asked for: a longer object isn't ours. */
		size_t more = off + want == body.len ? 1 : 0;
		int r = patient_get(p, key, off, want + more, &part, err);

		if (r < 0)
			return r;
		if (part.len != want || (want > 0 && memcmp(part.p, body.p + off, want) != 0))
			return 0;
		off += want;
	} while (off < body.len);
	*ret = true;
	return 0;
}

static int
attempt_create(struct patient *p, const struct call *c, struct err *err)
{
	return p->ops->create(p->arg, c->key, c->body, err);
}

static int
patient_create(void *arg, const char *key, struct slice body, struct err *err)
{
	const struct call c = {.key = key, .body = body};
	struct err why = ERR_INIT;
	unsigned failed;
	bool ours;
	int r = persist(arg, attempt_create, &c, &failed, &why), k;

	if (r == ERR_EXISTS && failed > 0) {
		k = is_ours(arg, key, body, &ours, err);
		if (k < 0)
			return err_add(err, k, "looking whether an upload had arrived");
		if (ours)
			return 0;
	}
	if (r < 0 && err != NULL)
		*err = why;
	return r;
}

/* ---- listing */

/* What stands between the inner store and who listens. */
struct listener {
	store_list_fn *fn;
	void *arg;
	struct buf last; /* the key told last */
	bool told;
	bool refused; /* @fn itself ended the listing */
};

static int
tell_once(void *arg, const struct store_entry *entry, struct err *err)
{
	struct listener *l = arg;
	int r;

	if (l->told && strcmp(entry->key, buf_cstr(&l->last)) <= 0)
		return 0;
	buf_reset(&l->last);
	buf_append(&l->last, entry->key, strlen(entry->key));
	l->told = true;
	r = l->fn(l->arg, entry, err);
	l->refused = r != 0;
	return r;
}

static int
patient_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	     struct err *err)
{
	struct patient *p = arg;
	struct attempts a = attempts_begin(p);
	struct listener l = {.fn = fn, .arg = fn_arg, .last = BUF_INIT};
	struct err why;
	int r;

	do {
		why = ERR_INIT;
		r = p->ops->list(p->arg, prefix, delimited, tell_once, &l, &why);
	} while (r != 0 && !l.refused && again(&a, r, &why));
	buf_fini(&l.last);
	return r != 0 ? give_up(&a, r, &why, err) : 0;
}

static int
attempt_remove(struct patient *p, const struct call *c, struct err *err)
{
	return p->ops->remove(p->arg, c->key, err);
}

/* After an attempt whose answer was lost, "not there" says that it had succeeded. */
static int
persist_removing(struct patient *p, attempt_fn *attempt, const char *key, struct err *err)
{
	const struct call c = {.key = key};
	unsigned failed;
	int r = persist(p, attempt, &c, &failed, err);

	return r == ERR_NOENT && failed > 0 ? 0 : r;
}

static int
patient_remove(void *arg, const char *key, struct err *err)
{
	return persist_removing(arg, attempt_remove, key, err);
}

/* ---- what only some storages have */

static int
attempt_recover(struct patient *p, const struct call *c, struct err *err)
{
	return store_recover_in(p->inner, c->key, c->off, c->len, c->fits, c->fits_arg, err);
}

static int
patient_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
		void *fits_arg, struct err *err)
{
	const struct call c = {
		.key = key, .off = off, .len = len, .fits = fits, .fits_arg = fits_arg};

	return persist(arg, attempt_recover, &c, NULL, err);
}

static int
attempt_lock_get(struct patient *p, const struct call *c, struct err *err)
{
	return store_lock_get_in(p->inner, c->key, c->ret, err);
}

static int
patient_lock_get(void *arg, const char *key, int64_t *ret, struct err *err)
{
	const struct call c = {.key = key, .ret = ret};

	return persist(arg, attempt_lock_get, &c, NULL, err);
}

static int
attempt_lock_set(struct patient *p, const struct call *c, struct err *err)
{
	return store_lock_set_in(p->inner, c->key, c->until, err);
}

static int
patient_lock_set(void *arg, const char *key, int64_t until, struct err *err)
{
	const struct call c = {.key = key, .until = until};

	return persist(arg, attempt_lock_set, &c, NULL, err);
}

static int
attempt_purge(struct patient *p, const struct call *c, struct err *err)
{
	return store_purge_in(p->inner, c->key, err);
}

static int
patient_purge(void *arg, const char *key, struct err *err)
{
	return persist_removing(arg, attempt_purge, key, err);
}

static void
patient_close(void *arg)
{
	struct patient *p = arg;

	store_close(p->inner);
	free(p);
}

static struct store *
patient_inner(void *arg)
{
	return ((struct patient *)arg)->inner;
}

const struct store_ops store_patient_ops = {
	.scheme = "patient",
	.get = patient_get,
	.size = patient_size,
	.create = patient_create,
	.list = patient_list,
	.remove = patient_remove,
	.recover = patient_recover,
	.lock_get = patient_lock_get,
	.lock_set = patient_lock_set,
	.purge = patient_purge,
	.close = patient_close,
	.inner = patient_inner,
};

struct store *
store_patient_new(struct store *inner, unsigned timeout_ms)
{
	struct patient *p = mem_alloc(sizeof *p);

	p->inner = inner;
	p->ops = store_ops_of(inner);
	p->arg = store_arg_of(inner);
	p->timeout_ms = timeout_ms > 0 ? timeout_ms : STORE_TIMEOUT_MS;
	return store_new(&store_patient_ops, p, store_url(inner));
}

struct store *
store_impatient(struct store *s)
{
	struct store *at = s;

	/* It may stand below others, such as a cache. */
	while (at != NULL && store_ops_of(at) != &store_patient_ops)
		at = store_inner(at);
	return at != NULL ? store_inner(at) : s;
}
