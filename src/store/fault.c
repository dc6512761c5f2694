/*
 * fault.c - a store that fails on demand, for tests.
 *
 * Layer 1.
 */
#include "store/private.h"

struct fault {
	struct store *inner;
	atomic_uint left; /* calls until the failure; 0: not armed */
	atomic_int code;
	atomic_bool fired;
};

/* Counts a call.  Return: 0, or the code when this call is the one to fail. */
static int
count(struct fault *f, const char *what, struct err *err)
{
	unsigned left = atomic_load(&f->left);

	do {
		if (left == 0)
			return 0;
	} while (!atomic_compare_exchange_weak(&f->left, &left, left - 1));
	if (left > 1)
		return 0;
	atomic_store(&f->fired, true);
	return err_set(err, atomic_load(&f->code), "%s: a fault was injected", what);
}

static int
fault_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct fault *f = arg;
	int r = count(f, key, err);

	return r < 0 ? r : store_get(f->inner, key, off, len, ret, err);
}

static int
fault_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct fault *f = arg;
	int r = count(f, key, err);

	return r < 0 ? r : store_size(f->inner, key, ret, err);
}

static int
fault_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct fault *f = arg;
	int r = count(f, key, err);

	return r < 0 ? r : store_create(f->inner, key, body, err);
}

static int
fault_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	   struct err *err)
{
	struct fault *f = arg;
	int r = count(f, prefix, err);

	return r < 0 ? r : store_list(f->inner, prefix, delimited, fn, fn_arg, err);
}

static int
fault_remove(void *arg, const char *key, struct err *err)
{
	struct fault *f = arg;
	int r = count(f, key, err);

	return r < 0 ? r : store_remove(f->inner, key, err);
}

static void
fault_close(void *arg)
{
	struct fault *f = arg;

	store_close(f->inner);
	free(f);
}

static const struct store_ops fault_ops = {.scheme = "fault",
					   .get = fault_get,
					   .size = fault_size,
					   .create = fault_create,
					   .list = fault_list,
					   .remove = fault_remove,
					   .close = fault_close};

struct store *
store_fault_new(struct store *inner)
{
	struct fault *f = mem_alloc(sizeof *f);

	f->inner = inner;
	return store_new(&fault_ops, f, store_url(inner));
}

static struct fault *
fault_of(struct store *faulty)
{
	return store_arg(faulty);
}

void
store_fault_arm(struct store *faulty, unsigned nth, int code)
{
	struct fault *f = fault_of(faulty);

	atomic_store(&f->fired, false);
	atomic_store(&f->code, code);
	atomic_store(&f->left, nth);
}

bool
store_fault_fired(struct store *faulty)
{
	return atomic_load(&fault_of(faulty)->fired);
}
