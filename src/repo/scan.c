/*
 * scan.c - the keys under snapshots/, and telling an original from its copies.
 *
 * Layer 3.  Format: docs/format.md sections 2 and 8.1.
 */
#include "internal.h"

#include <stdio.h>

/* Tells of the first stranger in each writer's folder; the listing is in order. */
static void
tell_stranger(struct snapshot_collector *c, const char *key)
{
	const char *rest = key + strlen(SNAPSHOTS_PREFIX);
	char folder[sizeof c->folder];

	(void)snprintf(folder, sizeof folder, "/%.*s", (int)min_u64(strcspn(rest, "/"), 48), rest);
	if (strcmp(folder, c->folder) == 0)
		return;
	memcpy(c->folder, folder, sizeof folder);
	finding_add(
		c->repo, ERR_CORRUPT,
		"The object %s is not named as a snapshot is; it is ignored, and others like it "
		"in that folder.",
		safe(key).s);
}

int
snapshot_collect(void *arg, const struct store_entry *entry, struct err *err)
{
	struct snapshot_collector *c = arg;
	struct snapshot_names *n = c->names;
	struct snapshot_name name;

	if (!snapshot_key_parse(entry->key, &name) || name.seq == 0) {
		tell_stranger(c, entry->key);
		return 0;
	}
	if (n->n >= SNAPSHOT_KEYS_MAX)
		return err_set(err, ERR_CORRUPT, "there are more than %u snapshots",
			       SNAPSHOT_KEYS_MAX);
	array_reserve(n->v, n->n, n->cap);
	n->v[n->n++] = name;
	return 0;
}

int
snapshot_name_cmp(const void *a, const void *b)
{
	const struct snapshot_name *x = a, *y = b;
	int c = memcmp(&x->writer, &y->writer, sizeof x->writer);

	if (c != 0)
		return c;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	c = memcmp(x->id.h.b, y->id.h.b, sizeof x->id.h.b);
	if (c != 0)
		return c;
	if (x->date.days != y->date.days)
		return x->date.days < y->date.days ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return 0;
}

/* In order, and none twice. */
static void
arrange(struct snapshot_names *names)
{
	size_t n = 0;

	if (names->n > 0)
		qsort(names->v, names->n, sizeof *names->v, snapshot_name_cmp);
	for (size_t i = 0; i < names->n; i++)
		if (n == 0 || snapshot_name_cmp(&names->v[n - 1], &names->v[i]) != 0)
			names->v[n++] = names->v[i];
	names->n = n;
}

static int
list_distant(struct repo *r, bool whole, struct snapshot_names *ret, struct err *err)
{
	int k = whole ? snapshots_list_wide(r, ret, err) : snapshots_list_again(r, ret, err);

	if (k != ERR_OFFLINE || whole)
		return k;
	snapshot_names_fini(ret);
	return snapshots_list_wide(r, ret, err);
}

int
snapshots_scan(struct repo *r, struct snapshot_names *ret, struct err *err)
{
	struct snapshot_collector c = {.repo = r, .names = ret};
	bool whole = !scan_may_go_on(r);
	int k;

	*ret = (struct snapshot_names){0};
	k = r->distant ? list_distant(r, whole, ret, err)
		       : store_list_names(r->store, SNAPSHOTS_PREFIX, snapshot_collect, &c, err);
	if (k < 0)
		return err_add(err, k, "listing the snapshots");
	arrange(ret);
	scan_remember(r, ret, whole);
	return 0;
}

int
snapshots_scan_days(struct repo *r, struct snapshot_names *ret, struct snapshot_days **ret_days,
		    struct err *err)
{
	int k;

	*ret = (struct snapshot_names){0};
	k = snapshots_first(r, ret, ret_days, err);
	if (k == ERR_OFFLINE)
		return snapshots_scan(r, ret, err);
	if (k < 0)
		return err_add(err, k, "listing the snapshots");
	arrange(ret);
	return 0;
}

void
snapshots_digest(const struct snapshot_names *names, struct hash *ret)
{
	struct seal_hasher *h = seal_hasher_new();

	/* Field by field: a struct has padding. */
	for (size_t i = 0; i < names->n; i++) {
		const struct snapshot_name *x = &names->v[i];

		seal_hasher_add(h, &x->writer, sizeof x->writer);
		seal_hasher_add(h, &x->seq, sizeof x->seq);
		seal_hasher_add(h, &x->id, sizeof x->id);
		seal_hasher_add(h, &x->date.days, sizeof x->date.days);
		seal_hasher_add(h, &x->time, sizeof x->time);
	}
	seal_hasher_finish(h, ret);
	seal_hasher_free(h);
}

static int
id_cmp(const void *a, const void *b)
{
	const struct snapshot_name *x = *(struct snapshot_name *const *)a;
	const struct snapshot_name *y = *(struct snapshot_name *const *)b;

	return memcmp(x->id.h.b, y->id.h.b, sizeof x->id.h.b);
}

/* Whether the object under a name is certainly not the snapshot that the name says. */
static bool
is_impostor(struct repo *r, const struct snapshot_name *name)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	struct err err = ERR_INIT;
	int k = snapshot_fetch(r, name, &s, &err);

	if (k != ERR_CORRUPT && k != ERR_AUTH)
		return false; /* genuine; or not known now, and opening it will tell */
	finding_add(r, k, "A copy of a snapshot under another name is ignored: %s.", err.msg);
	return true;
}

/* Whether another name says the same writer and number; they stand in that order. */
static bool
shares_number(const struct snapshot_names *names, size_t i)
{
	const struct snapshot_name *x = &names->v[i];
	const struct snapshot_name *before = i > 0 ? x - 1 : NULL;
	const struct snapshot_name *after = i + 1 < names->n ? x + 1 : NULL;

	return (before != NULL && before->seq == x->seq &&
		writer_id_equal(&before->writer, &x->writer)) ||
	       (after != NULL && after->seq == x->seq &&
		writer_id_equal(&after->writer, &x->writer));
}

void
snapshots_drop_copies(struct repo *r, struct snapshot_names *names)
{
	CLEANUP(freep) struct snapshot_name **by_id = NULL;
	CLEANUP(freep) bool *drop = NULL;
	size_t n = 0;

	if (names->n < 2)
		return;
	by_id = mem_array(names->n, sizeof *by_id);
	drop = mem_array(names->n, sizeof *drop);
	for (size_t i = 0; i < names->n; i++) {
		by_id[i] = &names->v[i];
		drop[i] = false;
	}
	qsort(by_id, names->n, sizeof *by_id, id_cmp);
	for (size_t i = 0; i < names->n; i++) {
		bool shared = (i > 0 && id_cmp(&by_id[i - 1], &by_id[i]) == 0) ||
			      (i + 1 < names->n && id_cmp(&by_id[i], &by_id[i + 1]) == 0);

		if (shared)
			drop[by_id[i] - names->v] = true;
	}
	for (size_t i = 0; i < names->n; i++)
		drop[i] = (drop[i] || shares_number(names, i)) && is_impostor(r, &names->v[i]);
	for (size_t i = 0; i < names->n; i++)
		if (!drop[i])
			names->v[n++] = names->v[i];
	names->n = n;
}

void
snapshot_names_fini(struct snapshot_names *names)
{
	free(names->v);
	*names = (struct snapshot_names){0};
}
