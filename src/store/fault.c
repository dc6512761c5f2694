/*
 * fault.c - a store whose nth call fails, for fault loops.
 *
 * Layer 1.
 */
#include "store/backends.h"

struct fault {
	struct store *inner;
	atomic_uint countdown; /* calls until the one that fails; 0: none armed */
	atomic_int code;
	atomic_bool fired;
	atomic_bool carries_out; /* only the answer is lost */
};

/* Whether this call is the one; it has its number from now on. */
static bool
is_the_one(struct fault *f)
{
	unsigned left = atomic_load(&f->countdown);

	/* Exactly one of several threads takes the step from 1 to 0. */
	do {
		if (left == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&f->countdown, &left, left - 1));
	return left == 1;
}

static int
tell(struct fault *f, const char *what, struct err *err)
{
	atomic_store(&f->fired, true);
	return err_set(err, atomic_load(&f->code), "injected fault: %s", what);
}

/* The inner store's own operations: this one's store_* functions checked the key and name it. */
static const struct store_ops *
inner_ops(const struct fault *f)
{
	return store_ops_of(f->inner);
}

static void *
inner_arg(const struct fault *f)
{
	return store_arg_of(f->inner);
}

static int
fault_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct fault *f = arg;
	bool fails = is_the_one(f);
	int r = 0;

	if (!fails || atomic_load(&f->carries_out))
		r = inner_ops(f)->get(inner_arg(f), key, off, len, ret, err);
	return fails ? tell(f, "get", err) : r;
}

static int
fault_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct fault *f = arg;
	bool fails = is_the_one(f);
	int r = 0;

	if (!fails || atomic_load(&f->carries_out))
		r = inner_ops(f)->size(inner_arg(f), key, ret, err);
	return fails ? tell(f, "size", err) : r;
}

static int
fault_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct fault *f = arg;
	bool fails = is_the_one(f);
	int r = 0;

	if (!fails || atomic_load(&f->carries_out))
		r = inner_ops(f)->create(inner_arg(f), key, body, err);
	return fails ? tell(f, "create", err) : r;
}

static int
fault_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	   struct err *err)
{
	struct fault *f = arg;
	bool fails = is_the_one(f);
	int r = 0;

	if (!fails || atomic_load(&f->carries_out))
		r = inner_ops(f)->list(inner_arg(f), prefix, delimited, fn, fn_arg, err);
	return fails ? tell(f, "list", err) : r;
}

static int
fault_remove(void *arg, const char *key, struct err *err)
{
	struct fault *f = arg;
	bool fails = is_the_one(f);
	int r = 0;

	if (!fails || atomic_load(&f->carries_out))
		r = inner_ops(f)->remove(inner_arg(f), key, err);
	return fails ? tell(f, "remove", err) : r;
}

static int
fault_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	      void *fits_arg, struct err *err)
{
	struct fault *f = arg;
	bool fails = is_the_one(f);
	int r = 0;

	if (!fails || atomic_load(&f->carries_out))
		r = store_recover_in(f->inner, key, off, len, fits, fits_arg, err);
	return fails ? tell(f, "recover", err) : r;
}

static void
fault_close(void *arg)
{
	struct fault *f = arg;

	store_close(f->inner);
	free(f);
}

static struct store *
fault_inner(void *arg)
{
	return ((struct fault *)arg)->inner;
}

static const struct store_ops fault_ops = {
	.scheme = "fault",
	.get = fault_get,
	.size = fault_size,
	.create = fault_create,
	.list = fault_list,
	.remove = fault_remove,
	.recover = fault_recover,
	.close = fault_close,
	.inner = fault_inner,
};

struct store *
store_fault_new(struct store *inner)
{
	struct fault *f = mem_alloc(sizeof(*f));

	f->inner = inner;
	return store_new(&fault_ops, f, store_url(inner));
}

static void
arm(struct store *faulty, unsigned nth, int code, bool carries_out)
{
	struct fault *f = store_arg_of(faulty);

	atomic_store(&f->fired, false);
	atomic_store(&f->carries_out, carries_out);
	atomic_store(&f->code, code);
	atomic_store(&f->countdown, nth);
}

void
store_fault_arm(struct store *faulty, unsigned nth, int code)
{
	arm(faulty, nth, code, false);
}

void
store_fault_arm_answer(struct store *faulty, unsigned nth, int code)
{
	arm(faulty, nth, code, true);
}

bool
store_fault_fired(struct store *faulty)
{
	struct fault *f = store_arg_of(faulty);

	return atomic_load(&f->fired);
}
