/*
 * grants.c - fetch the grants and reseals made for this identity, and keep their keys.
 *
 * An object is looked at once; what can't be used is told and left aside.
 *
 * Layer 3.  Format: docs/format.md section 8.4.
 */
#include "internal.h"

#include <stdio.h>

/* ---- fetching grants -------------------------------------------------------------------- */

struct collector {
	struct repo *repo;
	struct grant_objects *objects;
	size_t prefix_len;
	size_t n_known; /* of those listed */
	bool reseal;
};

static bool
is_known(const struct repo *r, const struct hash *id)
{
	for (size_t i = 0; i < r->n_known_grants; i++)
		if (hash_equal(&r->known_grants[i], id))
			return true;
	return false;
}

static int
collect(void *arg, const struct store_entry *entry, struct err *err)
{
	struct collector *c = arg;
	struct grant_objects *o = c->objects;
	struct hash id;

	if (!hex_parse(slice_str(entry->key + c->prefix_len), &id, sizeof id)) {
		finding_add(c->repo, ERR_CORRUPT,
			    "The object %s is not named as a grant is; it is ignored.",
			    safe(entry->key).s);
		return 0;
	}
	if (is_known(c->repo, &id))
		c->n_known++;
	if (o->n >= GRANTS_MAX)
		return err_set(err, ERR_CORRUPT, "there are more than %u of them", GRANTS_MAX);
	array_reserve(o->v, o->n, o->cap);
	o->v[o->n++] = (struct grant_object){.id = id, .reseal = c->reseal};
	return 0;
}

static void
grant_prefix(const struct repo *r, bool reseal, char *ret, size_t len)
{
	(void)snprintf(ret, len, "%s/%s/", reseal ? "reseal" : "grants", hex(&r->self.h).s);
}

void
grant_key_format(bool reseal, const struct fingerprint *grantee, const struct hash *id, char *ret,
		 size_t len)
{
	(void)snprintf(ret, len, "%s/%s/%s", reseal ? "reseal" : "grants", hex(&grantee->h).s,
		       hex(id).s);
}

/* Leaves those that are new; all of them when one that was known is gone, since its keys go too. */
static void
keep_new(struct repo *r, struct collector *c)
{
	struct grant_objects *o = c->objects;
	size_t n = 0;

	o->afresh = c->n_known < r->n_known_grants;
	for (size_t i = 0; i < o->n && !o->afresh; i++)
		if (!is_known(r, &o->v[i].id))
			o->v[n++] = o->v[i];
	if (!o->afresh)
		o->n = n;
}

#define THREADS 16u

/* Several objects fetched at the same time. */
struct fetching {
	struct repo *repo;
	struct grant_objects *objects;
	pthread_mutex_t lock;
	int code; /* the first failure; protected by lock, with err */
	struct err err;
};

static void
fetch_one(void *arg, size_t i)
{
	struct fetching *f = arg;
	struct grant_object *o = &f->objects->v[i];
	struct err err = ERR_INIT;
	char key[192];
	int k;

	grant_key_format(o->reseal, &f->repo->self, &o->id, key, sizeof key);
	k = object_fetch(f->repo->store, key, &o->id, GRANT_OBJECT_MAX, &o->bytes, &err);
	if (k == 0 || k == ERR_NOENT || k == ERR_CORRUPT)
		return; /* grants_take finds where the bytes don't fit the name */
	pthread_mutex_lock(&f->lock);
	if (f->code == 0) {
		f->code = err_add(&err, k, "%s", key);
		f->err = err;
	}
	pthread_mutex_unlock(&f->lock);
}

static int
fetch_objects(struct repo *r, struct grant_objects *objects, struct err *err)
{
	struct fetching f = {.repo = r, .objects = objects};

	pthread_mutex_init(&f.lock, NULL);
	tasks_run(objects->n, r->distant ? THREADS : 1, fetch_one, &f);
	pthread_mutex_destroy(&f.lock);
	if (f.code < 0 && err != NULL)
		*err = f.err;
	return f.code;
}

int
grants_fetch(struct repo *r, const struct ledger_state *ledger, struct grant_objects *ret,
	     struct err *err)
{
	bool reseal = ledger_is_admin(ledger, &r->self);
	struct collector c = {.repo = r, .objects = ret, .reseal = reseal};
	char prefix[96];
	int k;

	*ret = (struct grant_objects){0};
	/* Everything was sealed to the founder from the start; and nothing ever to a writer. */
	if (r->identity == NULL || (reseal && hash_equal(&r->self.h, &r->config.founder.h)))
		return 0;

	grant_prefix(r, reseal, prefix, sizeof prefix);
	c.prefix_len = strlen(prefix);
	k = store_list(r->store, prefix, false, collect, &c, err);
	if (k < 0)
		return err_add(err, k, "listing %s", prefix);
	keep_new(r, &c);
	return fetch_objects(r, ret, err);
}

void
grant_objects_fini(struct grant_objects *objects)
{
	for (size_t i = 0; i < objects->n; i++)
		buf_fini(&objects->v[i].bytes);
	free(objects->v);
	*objects = (struct grant_objects){0};
}

/* ---- keeping their keys ----------------------------------------------------------------- */

int
held_key_cmp(const void *a, const void *b)
{
	const struct held_key *x = a, *y = b;
	int c = memcmp(x->of.b, y->of.b, sizeof x->of.b);

	if (c != 0)
		return c;
	if (x->ordinal != y->ordinal)
		return x->ordinal < y->ordinal ? -1 : 1;
	if (x->until != y->until)
		return x->until > y->until ? -1 : 1;
	return 0;
}

/* Room for @more keys, zeroed.  Secret memory doesn't grow, so all move to a new place. */
static struct held_key *
held_extend(struct held_keys *h, size_t more)
{
	struct held_key *v = secret_new((h->n + more) * sizeof *v);
	struct held_key *ret = v + h->n;

	if (h->n > 0)
		memcpy(v, h->v, h->n * sizeof *v);
	secret_free(h->v);
	h->v = v;
	h->n += more;
	return ret;
}

static void
take_keys(struct repo *r, const struct grant *g)
{
	int64_t until = g->has_expiry ? g->expiry : INT64_MAX;

	pthread_mutex_lock(&r->lock);
	if (g->n_parts > 0) {
		struct held_key *to = held_extend(&r->parts, g->n_parts);

		for (size_t i = 0; i < g->n_parts; i++)
			to[i] = (struct held_key){g->parts[i].snapshot.h, g->parts[i].ordinal,
						  until, g->parts[i].key};
		qsort(r->parts.v, r->parts.n, sizeof *r->parts.v, held_key_cmp);
	}
	if (g->n_sections > 0) {
		struct held_key *to = held_extend(&r->sections, g->n_sections);

		for (size_t i = 0; i < g->n_sections; i++)
			to[i] = (struct held_key){g->sections[i].pack.h, g->sections[i].ordinal,
						  until, g->sections[i].key};
		qsort(r->sections.v, r->sections.n, sizeof *r->sections.v, held_key_cmp);
	}
	pthread_mutex_unlock(&r->lock);
}

static void
take_roster(struct repo *r, const struct seal_key *key)
{
	/* Published once, before others see the repo; a repository has only one. */
	if (r->opened || r->roster != NULL)
		return;
	r->roster = secret_new(sizeof *r->roster);
	*r->roster = *key;
}

/* Return: 0, or why the object is of no use. */
static int
take_object(struct repo *r, const struct grant_object *o, struct codec *codec, struct err *err)
{
	CLEANUP(grant_freep) struct grant *g = NULL;
	struct hash id;
	int k;

	seal_hash(o->bytes.p, o->bytes.len, &id);
	if (!hash_equal(&id, &o->id))
		return err_set(err, ERR_CORRUPT, "its bytes don't have the id in its name");
	k = grant_open(buf_slice(&o->bytes), o->reseal, &r->ledger.state, r->pair, codec, &g, err);
	if (k < 0)
		return k;
	if (memcmp(&g->repo, &r->config.repo, sizeof g->repo) != 0)
		return err_set(err, ERR_AUTH, "it was made for another repository");
	if (g->has_expiry && g->expiry <= time_now()) {
		if (g->expiry > r->expired_at)
			r->expired_at = g->expiry;
		return err_set(err, ERR_DENIED, "it expired at %s",
			       time_format_rfc3339(g->expiry).s);
	}
	take_roster(r, &g->roster);
	take_keys(r, g);
	return 0;
}

static void
drop_keys(struct repo *r)
{
	r->n_known_grants = 0;
	pthread_mutex_lock(&r->lock);
	secret_free(r->parts.v);
	secret_free(r->sections.v);
	r->parts = r->sections = (struct held_keys){0};
	pthread_mutex_unlock(&r->lock);
}

void
grants_take(struct repo *r, const struct grant_objects *objects)
{
	CLEANUP(codec_freep) struct codec *codec = objects->n > 0 ? codec_new(1) : NULL;

	if (objects->afresh)
		drop_keys(r);
	if (objects->afresh || objects->n > 0)
		r->list_stale = true;
	for (size_t i = 0; i < objects->n; i++) {
		const struct grant_object *o = &objects->v[i];
		struct err err = ERR_INIT;
		char prefix[96];
		int k = take_object(r, o, codec, &err);

		array_reserve(r->known_grants, r->n_known_grants, r->cap_known_grants);
		r->known_grants[r->n_known_grants++] = o->id;
		if (k == 0)
			continue;
		grant_prefix(r, o->reseal, prefix, sizeof prefix);
		finding_add(r, k, "%s%s can't be used: %s.", prefix, hex(&o->id).s, err.msg);
	}
}
