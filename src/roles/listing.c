/*
 * listing.c - the grants that there are: standing ones from the ledger, the others from the store.
 *
 * Layer 4.  Format: docs/format.md sections 7 and 8.4.
 */
#include "internal.h"

#include <stdio.h>

struct lister {
	struct repo *repo;
	struct roles_grants *ret;
	char **keys; /* of objects */
	size_t n_keys, cap_keys;
	bool all; /* else only those of the identity */
};

static void
lister_fini(struct lister *l)
{
	for (size_t i = 0; i < l->n_keys; i++)
		free(l->keys[i]);
	free(l->keys);
}

static struct roles_grant *
add(struct roles_grants *g)
{
	array_reserve(g->v, g->n, g->cap);
	g->v[g->n] = (struct roles_grant){0};
	return &g->v[g->n++];
}

/* ---- standing ----------------------------------------------------------------------------- */

static void
take_terms(const struct grant_terms *t, struct grant_cover *ret)
{
	ret->case_ref = str_format("%.*s", (int)t->case_ref.len,
				   t->case_ref.len > 0 ? (const char *)t->case_ref.p : "");
	ret->classes = mem_array(t->n_classes + 1, sizeof *ret->classes);
	for (; ret->n_classes < t->n_classes; ret->n_classes++) {
		struct slice c = t->classes[ret->n_classes];

		ret->classes[ret->n_classes] =
			str_format("%.*s", (int)c.len, c.len > 0 ? (const char *)c.p : "");
	}
	ret->n_writers = t->n_writers;
	ret->writers = mem_array(t->n_writers + 1, sizeof *ret->writers);
	if (t->n_writers > 0)
		memcpy(ret->writers, t->writers, t->n_writers * sizeof *ret->writers);
}

static void
list_standing(struct lister *l, const struct ledger_grant *lg, const struct roles_deed *made)
{
	CLEANUP(grant_terms_fini) struct grant_terms terms = {0};
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct roles_grant *g;

	if (!l->all && !hash_equal(&lg->fingerprint.h, &repo_self(l->repo)->h))
		return;
	g = add(l->ret);
	g->standing = true;
	(void)snprintf(g->id, sizeof g->id, "%s", hex_bytes(lg->id, sizeof lg->id).s);
	g->grantee = lg->fingerprint;
	g->author = made->author;
	g->since = lg->since;
	g->has_expiry = lg->has_expiry;
	g->expiry = lg->expiry;
	g->ended = lg->ended || (lg->has_expiry && lg->expiry <= time_now());
	if (roster_open(repo_roster(l->repo), buf_slice(&lg->terms_sealed), &plain, NULL) == 0 &&
	    grant_terms_parse(buf_slice(&plain), &terms, NULL) == 0)
		take_terms(&terms, &g->cover);
	else
		g->opaque = true;
}

/* ---- objects ------------------------------------------------------------------------------ */

static int
take_key(void *arg, const struct store_entry *entry, struct err *err)
{
	struct lister *l = arg;

	if (l->n_keys >= 65536)
		return err_set(err, ERR_CORRUPT, "there are more than 65536 grants");
	array_reserve(l->keys, l->n_keys, l->cap_keys);
	l->keys[l->n_keys++] = str_copy(entry->key);
	return 0;
}

static int
list_object(struct lister *l, const char *key, struct err *err)
{
	CLEANUP(grant_freep) struct grant *object = NULL;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err why = ERR_INIT;
	struct roles_grant *g;
	struct hash id;
	int r;

	r = store_get_all(repo_store(l->repo), key, GRANT_OBJECT_MAX, &bytes, &why);
	if (r == 0)
		r = grant_read(buf_slice(&bytes), false, repo_ledger(l->repo), &object, &why);
	if (r == ERR_NOENT || r == ERR_CORRUPT || r == ERR_AUTH) {
		log_write(LOG_WARN, "%s: %s", key, why.msg);
		return 0; /* opens nothing for anybody */
	}
	if (r != 0)
		return err_set(err, r, "%s: %s", key, why.msg);
	seal_hash(bytes.p, bytes.len, &id);
	g = add(l->ret);
	(void)snprintf(g->id, sizeof g->id, "%s", hex(&id).s);
	g->grantee = object->grantee;
	g->author = object->author;
	g->since = object->time;
	g->has_expiry = object->has_expiry;
	g->expiry = object->expiry;
	g->ended = object->has_expiry && object->expiry <= time_now();
	g->opaque = grant_cover_open(object, repo_roster(l->repo), &g->cover, NULL) < 0;
	return 0;
}

static int
grant_cmp(const void *a, const void *b)
{
	const struct roles_grant *x = a, *y = b;

	if (x->standing != y->standing)
		return x->standing ? -1 : 1;
	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int
list_all(struct lister *l, const struct roles_history *h, struct err *err)
{
	const struct ledger_state *s = repo_ledger(l->repo);
	char prefix[96] = "grants/";
	int r;

	for (size_t i = 0; i < s->n_grants; i++)
		list_standing(l, &s->grants[i], &h->grant_made[i]);
	if (!l->all)
		(void)snprintf(prefix, sizeof prefix, "grants/%s/", hex(&repo_self(l->repo)->h).s);
	r = store_list(repo_store(l->repo), prefix, false, take_key, l, err);
	for (size_t i = 0; r == 0 && i < l->n_keys; i++)
		r = list_object(l, l->keys[i], err);
	return r;
}

int
roles_grants_list(struct repo *r, struct roles_grants *ret, struct err *err)
{
	CLEANUP(lister_fini)
	struct lister l = {.repo = r, .ret = ret, .all = repo_is_admin(r)};
	CLEANUP(roles_history_fini) struct roles_history h = {0};
	int k;

	*ret = (struct roles_grants){0};
	k = roles_history_read(r, &h, err);
	if (k == 0)
		k = list_all(&l, &h, err);
	if (k < 0)
		roles_grants_fini(ret);
	else if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof *ret->v, grant_cmp);
	return k;
}

void
roles_grants_fini(struct roles_grants *g)
{
	for (size_t i = 0; i < g->n; i++)
		grant_cover_fini(&g->v[i].cover);
	free(g->v);
	*g = (struct roles_grants){0};
}
