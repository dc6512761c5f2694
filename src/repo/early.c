/*
 * early.c - what opening a distant repository asks for in any case, asked for at once.
 *
 * Nothing here is believed: everybody takes his part and checks it in the usual order.
 *
 * Layer 3.
 */
#include "internal.h"

enum { CONFIG, SNAPSHOTS, LEDGER, PARTS };

struct early {
	struct repo *repo;
	bool taken[PARTS];
	int codes[PARTS];
	struct err errs[PARTS];
	struct buf config;
	struct snapshot_names names;
	struct ledger_keys keys;
};

static void
ask(void *arg, size_t i)
{
	struct early *e = arg;
	struct repo *r = e->repo;

	if (i == CONFIG)
		e->codes[i] = store_get_all(r->store, CONFIG_KEY, CONFIG_OBJECT_MAX, &e->config,
					    &e->errs[i]);
	else if (i == SNAPSHOTS)
		e->codes[i] = r->by_days ? snapshots_scan_days(r, &e->names, &r->days, &e->errs[i])
					 : snapshots_scan(r, &e->names, &e->errs[i]);
	else
		e->codes[i] = ledger_list(r, &e->keys, &e->errs[i]);
}

void
early_begin(struct repo *r)
{
	struct early *e;

	if (!r->distant)
		return;
	e = mem_alloc(sizeof *e);
	e->repo = r;
	tasks_run(PARTS, PARTS, ask, e);
	r->early = e;
}

void
early_end(struct repo *r)
{
	struct early *e = steal_ptr(&r->early);

	if (e == NULL)
		return;
	buf_fini(&e->config);
	snapshot_names_fini(&e->names);
	ledger_keys_fini(&e->keys);
	free(e);
}

/* Whether a part is there to be taken; its code and error are handed over. */
static bool
take(struct repo *r, size_t part, int *ret_code, struct err *err)
{
	struct early *e = r->early;

	*ret_code = 0;
	if (e == NULL || e->taken[part])
		return false;
	e->taken[part] = true;
	*ret_code = e->codes[part];
	if (*ret_code < 0 && err != NULL)
		*err = e->errs[part];
	return true;
}

bool
early_config(struct repo *r, struct buf *ret, int *ret_code, struct err *err)
{
	if (!take(r, CONFIG, ret_code, err))
		return false;
	buf_append(ret, r->early->config.p, r->early->config.len);
	return true;
}

bool
early_snapshots(struct repo *r, struct snapshot_names *ret, int *ret_code, struct err *err)
{
	*ret = (struct snapshot_names){0};
	if (!take(r, SNAPSHOTS, ret_code, err))
		return false;
	*ret = r->early->names;
	r->early->names = (struct snapshot_names){0};
	return true;
}

/* ---- the ledger, twice ---- */

enum { ENTRIES, LISTING, DATES, STEPS };

struct again {
	struct repo *repo;
	const struct ledger_keys *first;
	struct ledger_keys keys;
	int codes[STEPS];
	struct err errs[STEPS];
};

static void
fetch_or_list(void *arg, size_t i)
{
	struct again *a = arg;
	struct repo *r = a->repo;

	if (i == ENTRIES)
		ledger_fetch_together(r, a->first, 0);
	else if (i == LISTING)
		a->codes[i] = ledger_list(r, &a->keys, &a->errs[i]);
	else
		a->codes[i] = snapshots_dates(r, r->days, &a->errs[i]);
}

bool
early_ledger(struct repo *r, struct ledger_keys *ret, int *ret_code, struct err *err)
{
	struct again a = {.repo = r, .first = r->early != NULL ? &r->early->keys : NULL};

	if (!take(r, LEDGER, ret_code, err))
		return false;
	if (*ret_code < 0)
		return true;
	tasks_run(r->days != NULL ? STEPS : DATES, STEPS, fetch_or_list, &a);
	*ret = a.keys;
	for (size_t i = 0; i < STEPS && *ret_code == 0; i++) {
		*ret_code = a.codes[i];
		if (a.codes[i] < 0 && err != NULL)
			*err = a.errs[i];
	}
	return true;
}
