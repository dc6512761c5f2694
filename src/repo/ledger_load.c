/*
 * ledger_load.c - list the ledger, fetch its entries in order, apply them.
 *
 * An entry that is damaged or missing ends what counts: a reader goes on with what stands before,
 * and says so; who wants to write or decide is refused by the caller.  An entry that is intact but
 * may not stand where it stands is an attack and an error.
 *
 * Layer 3.  Format: docs/format.md section 7.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>

struct collector {
	struct repo *repo;
	struct ledger_keys *keys;
};

static int
collect(void *arg, const struct store_entry *entry, struct err *err)
{
	struct collector *c = arg;
	struct ledger_key key;

	if (!ledger_key_parse(entry->key, &key.seq, &key.id) || key.seq == 0) {
		finding_add(c->repo, ERR_CORRUPT,
			    "The object %s is not named as a ledger entry is; it is ignored.",
			    safe(entry->key).s);
		return 0;
	}
	if (c->keys->n >= LEDGER_KEYS_MAX)
		return err_set(err, ERR_CORRUPT, "there are more than %u ledger entries",
			       LEDGER_KEYS_MAX);
	array_reserve(c->keys->v, c->keys->n, c->keys->cap);
	c->keys->v[c->keys->n++] = key;
	return 0;
}

static int
key_cmp(const void *a, const void *b)
{
	const struct ledger_key *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

static void
sort_unique(struct ledger_keys *keys)
{
	size_t n = 0;

	if (keys->n == 0)
		return;
	qsort(keys->v, keys->n, sizeof *keys->v, key_cmp);
	for (size_t i = 0; i < keys->n; i++)
		if (n == 0 || key_cmp(&keys->v[n - 1], &keys->v[i]) != 0)
			keys->v[n++] = keys->v[i];
	keys->n = n;
}

static int
list_prefix(struct repo *r, const char *prefix, struct ledger_keys *ret, struct err *err)
{
	struct collector c = {r, ret};
	int k;

	ret->n = 0;
	k = store_list(r->store, prefix, false, collect, &c, err);
	if (k < 0)
		return err_add(err, k, "listing the ledger");
	sort_unique(ret);
	return 0;
}

int
ledger_list(struct repo *r, struct ledger_keys *ret, struct err *err)
{
	return list_prefix(r, "ledger/", ret, err);
}

int
ledger_list_seq(struct repo *r, uint64_t seq, struct ledger_keys *ret, struct err *err)
{
	char prefix[64];

	(void)snprintf(prefix, sizeof prefix, "ledger/%016" PRIu64 "-", seq);
	return list_prefix(r, prefix, ret, err);
}

bool
ledger_keys_equal(const struct ledger_keys *a, const struct ledger_keys *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (key_cmp(&a->v[i], &b->v[i]) != 0)
			return false;
	return true;
}

bool
ledger_keys_have(const struct ledger_keys *keys, uint64_t seq, const struct hash *id)
{
	struct ledger_key key = {seq, *id};

	return keys->n > 0 && bsearch(&key, keys->v, keys->n, sizeof *keys->v, key_cmp) != NULL;
}

void
ledger_keys_add(struct ledger_keys *keys, uint64_t seq, const struct hash *id)
{
	array_reserve(keys->v, keys->n, keys->cap);
	keys->v[keys->n++] = (struct ledger_key){seq, *id};
	sort_unique(keys);
}

void
ledger_keys_fini(struct ledger_keys *keys)
{
	free(keys->v);
	*keys = (struct ledger_keys){0};
}

/* ---- entries fetched together ---- */

#define BATCH_MAX     256u
#define BATCH_THREADS 16u

struct ledger_batch {
	struct repo *repo;
	size_t n;
	struct {
		struct ledger_key key;
		struct buf bytes;
		int code;
		struct err err;
	} v[BATCH_MAX];
};

static void
fetch_one(void *arg, size_t i)
{
	struct ledger_batch *b = arg;
	struct ledger_key_text name = ledger_key_format(b->v[i].key.seq, &b->v[i].key.id);

	b->v[i].code = object_fetch(b->repo->store, name.s, &b->v[i].key.id, LEDGER_OBJECT_MAX,
				    &b->v[i].bytes, &b->v[i].err);
}

void
ledger_batch_free(struct repo *r)
{
	struct ledger_batch *b = steal_ptr(&r->batch);

	for (size_t i = 0; b != NULL && i < b->n; i++)
		buf_fini(&b->v[i].bytes);
	free(b);
}

void
ledger_fetch_together(struct repo *r, const struct ledger_keys *keys, size_t from)
{
	struct ledger_batch *b;

	if (!r->distant)
		return;
	ledger_batch_free(r);
	r->batch = b = mem_alloc(sizeof *b);
	b->repo = r;
	b->n = (size_t)min_u64(keys->n - from, BATCH_MAX);
	for (size_t i = 0; i < b->n; i++)
		b->v[i].key = keys->v[from + i];
	tasks_run(b->n, BATCH_THREADS, fetch_one, b);
}

/* The place of an entry in the batch; its n: none. */
static size_t
find_in_batch(const struct ledger_batch *b, const struct ledger_key *key)
{
	size_t i = 0;

	while (i < b->n && key_cmp(&b->v[i].key, key) != 0)
		i++;
	return i;
}

/* An entry's bytes, from the batch where it is there. */
static int
entry_bytes(struct repo *r, const struct ledger_key *key, const struct ledger_batch *batch,
	    const char *name, struct buf *ret, struct err *err)
{
	size_t i = batch != NULL ? find_in_batch(batch, key) : 0;

	if (batch == NULL || i == batch->n)
		return object_fetch(r->store, name, &key->id, LEDGER_OBJECT_MAX, ret, err);
	if (batch->v[i].code < 0) {
		if (err != NULL)
			*err = batch->v[i].err;
		return batch->v[i].code;
	}
	buf_append(ret, batch->v[i].bytes.p, batch->v[i].bytes.len);
	return 0;
}

static int
fetch_entry(struct repo *r, const struct ledger_key *key, struct ledger_batch *batch,
	    struct ledger_entry **ret, struct err *err)
{
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct ledger_key_text name = ledger_key_format(key->seq, &key->id);
	struct hash id;
	int k;

	*ret = NULL;
	k = entry_bytes(r, key, batch, name.s, &bytes, err);
	if (k < 0)
		return err_add(err, k, "%s", name.s);

	/* Before parsing: what damage did must not look like a newer format. */
	seal_hash(bytes.p, bytes.len, &id);
	if (!hash_equal(&id, &key->id))
		return err_set(err, ERR_CORRUPT,
			       "%s: the object's bytes don't have the id in its name", name.s);
	k = ledger_entry_parse(&bytes, &e, err);
	if (k < 0)
		return err_add(err, k, "%s", name.s);
	if (e->seq != key->seq)
		return err_set(err, ERR_CORRUPT, "%s: the object is entry %" PRIu64, name.s,
			       e->seq);
	*ret = steal_ptr(&e);
	return 0;
}

int
ledger_fetch(struct repo *r, const struct ledger_key *key, struct ledger_entry **ret,
	     struct err *err)
{
	return fetch_entry(r, key, NULL, ret, err);
}

void
ledger_view_init(struct ledger_view *view, const struct repo_config *config)
{
	*view = (struct ledger_view){0};
	ledger_state_init(&view->state, config);
}

void
ledger_view_fini(struct ledger_view *view)
{
	ledger_state_fini(&view->state);
	free(view->chain);
	free(view->broken);
	*view = (struct ledger_view){0};
}

int
ledger_view_apply(struct ledger_view *view, const struct ledger_entry *e, struct err *err)
{
	int k = ledger_apply(&view->state, e, err);

	if (k < 0)
		return err_add(err, k, "%s", ledger_key_format(e->seq, &e->id).s);
	array_reserve(view->chain, view->n_chain, view->cap_chain);
	view->chain[view->n_chain++] = e->id;
	return 0;
}

void
ledger_view_break(struct repo *r, struct ledger_view *view, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	finding_add(r, ERR_CORRUPT, "%s; what admins decided from there on is unknown.", text);
	if (view->broken == NULL)
		view->broken = str_copy(text);
}

/* Return: 1 to go on, 0 at the end of what counts, or an error. */
static int
load_one(struct repo *r, const struct ledger_key *key, struct ledger_view *view, struct err *err)
{
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	struct err why = ERR_INIT;
	int k = fetch_entry(r, key, r->batch, &e, &why);

	if (k == ERR_CORRUPT || k == ERR_NOENT) {
		ledger_view_break(r, view, "The ledger's entry %" PRIu64 " can't be read (%s)",
				  key->seq, why.msg);
		return 0;
	}
	if (k < 0)
		return err_set(err, k, "%s", why.msg);
	k = ledger_view_apply(view, e, err);
	return k < 0 ? k : 1;
}

static int
load(struct repo *r, const struct ledger_keys *keys, struct ledger_view *view, struct err *err)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct ledger_key *key = &keys->v[i];
		uint64_t next = view->state.head.seq + 1;
		int k;

		if (key->seq != next) {
			ledger_view_break(r, view,
					  "The ledger's entry %" PRIu64
					  " is not in the store although "
					  "entry %" PRIu64 " is: it was lost or is withheld",
					  next, key->seq);
			return 0;
		}
		if (i + 1 < keys->n && keys->v[i + 1].seq == key->seq)
			return ledger_fork_follow(r, keys, i, view, err);
		if (r->batch == NULL || find_in_batch(r->batch, key) == r->batch->n)
			ledger_fetch_together(r, keys, i);
		k = load_one(r, key, view, err);
		if (k <= 0)
			return k;
	}
	return 0;
}

int
ledger_load(struct repo *r, const struct ledger_keys *keys, struct ledger_view *ret,
	    struct err *err)
{
	CLEANUP(ledger_view_fini) struct ledger_view view;
	int k;

	ledger_view_init(&view, &r->config);
	*ret = (struct ledger_view){0};
	k = load(r, keys, &view, err);
	ledger_batch_free(r);
	if (k < 0)
		return k;
	*ret = view;
	view = (struct ledger_view){0};
	return 0;
}
