/*
 * claims.c - what snapshots say that sections hold, so that none is granted which another snapshot
 * names otherwise.
 *
 * A section holds one data class, which its pack doesn't say in clear: only snapshots do, and the
 * newest may be made by whoever took the till over.
 *
 * Layer 4.
 */
#include "internal.h"

/* The same section first, then the same class, then those that are granted. */
static int
claim_cmp(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = memcmp(&x->pack, &y->pack, sizeof x->pack);

	if (c == 0)
		c = memcmp(&x->writer, &y->writer, sizeof x->writer);
	if (c == 0 && x->ordinal != y->ordinal)
		c = x->ordinal < y->ordinal ? -1 : 1;
	if (c == 0)
		c = strcmp(x->class_name, y->class_name);
	if (c == 0 && x->granted != y->granted)
		c = x->granted ? -1 : 1;
	return c;
}

static bool
same_section(const struct claim *x, const struct claim *y)
{
	return x->ordinal == y->ordinal && memcmp(&x->pack, &y->pack, sizeof x->pack) == 0 &&
	       writer_id_equal(&x->writer, &y->writer);
}

/* One entry a section and class. */
static void
unite(struct claims *c)
{
	size_t n = 0;

	if (c->n == 0)
		return;
	qsort(c->v, c->n, sizeof *c->v, claim_cmp);
	for (size_t i = 0; i < c->n; i++)
		if (n == 0 || !same_section(&c->v[n - 1], &c->v[i]) ||
		    strcmp(c->v[n - 1].class_name, c->v[i].class_name) != 0)
			c->v[n++] = c->v[i];
	c->n = n;
}

void
claims_add(struct claims *c, const struct claim *claim)
{
	if (c->n == c->cap) {
		unite(c);
		if (c->n >= c->cap / 2) {
			c->cap = c->cap == 0 ? 256 : 2 * c->cap;
			c->v = mem_grow(c->v, c->cap, sizeof *c->v);
		}
	}
	c->v[c->n++] = *claim;
}

static int
refuse(const struct job *j, const struct claim *granted, const struct claim *other, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		       "nothing was granted: %s says that section %u of pack %s is of data class "
		       "\"%s\", and %s that it is of \"%s\". One of the two lies, and the till may "
		       "have been taken over: revoke it with its last snapshot that can be trusted "
		       "(`tillfs writer revoke --last`), or grant only dates before",
		       repo_snapshot_label(j->repo, &j->names[granted->snapshot]).s,
		       granted->ordinal, hex(&granted->pack.h).s, granted->class_name,
		       repo_snapshot_label(j->repo, &j->names[other->snapshot]).s,
		       other->class_name);
}

/* @a: n claims of one section, each of another class. */
static int
check_section(const struct job *j, const struct claim *a, size_t n, struct err *err)
{
	for (size_t i = 0; n > 1 && i < n; i++)
		if (a[i].granted)
			return refuse(j, &a[i], &a[i == 0 ? 1 : 0], err);
	return 0;
}

int
claims_check(struct job *j, struct err *err)
{
	const struct claims *c = &j->claims;
	size_t end;
	int r = 0;

	unite(&j->claims);
	for (size_t i = 0; r == 0 && i < c->n; i = end) {
		for (end = i + 1; end < c->n && same_section(&c->v[i], &c->v[end]);)
			end++;
		r = check_section(j, &c->v[i], end - i, err);
	}
	return r;
}

void
claims_fini(struct claims *c)
{
	free(c->v);
	*c = (struct claims){0};
}
