/*
 * match.c - before a run, the catalog is matched with the packs that the store holds of this
 * writer.
 *
 * Layer 4.
 */
#include <stdio.h>

#include "backup/internal.h"

/* A listing comes in pages, one after the other; of many packs, in parts at the same time. */
#define PARTS      16u   /* by the first digit of the id */
#define MANY_PACKS 2000u /* in a distant store */

struct held_pack {
	struct hash id;
	uint64_t size;
};

/* What one listing told. */
struct part {
	char prefix[96];
	struct held_pack *v; /* ascending by id */
	size_t n, cap;
	int code;
	struct err err;
};

struct held {
	struct store *store;
	const struct ledger_writer *writer;
	struct part parts[PARTS];
	size_t n; /* 1, or all of them */
};

static void
held_fini(struct held *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->parts[i].v);
}

static int
on_pack(void *arg, const struct store_entry *entry, struct err *err)
{
	struct part *part = arg;
	const char *slash = strrchr(entry->key, '/');
	struct held_pack p = {.size = entry->size};

	(void)err;
	if (slash == NULL || !hex_parse(slice_str(slash + 1), &p.id, sizeof p.id))
		return 0; /* not a pack: nothing that anybody would refer to */
	array_reserve(part->v, part->n, part->cap);
	part->v[part->n++] = p;
	return 0;
}

static int
compare_held(const void *a, const void *b)
{
	const struct held_pack *x = a, *y = b;

	return memcmp(&x->id, &y->id, sizeof x->id);
}

static void
list_part(void *arg, size_t i)
{
	struct held *h = arg;
	struct part *part = &h->parts[i];

	part->code = store_list(h->store, part->prefix, false, on_pack, part, &part->err);
	/* qsort must not get NULL, which an empty listing leaves here. */
	if (part->n > 0)
		qsort(part->v, part->n, sizeof *part->v, compare_held);
}

static int
list_packs(struct held *h, const struct run *run, struct err *err)
{
	const struct writer_id *writer = &run->writer->card.writer;
	bool divided =
		store_local_path(h->store) == NULL && catalog_packs(run->catalog)->n > MANY_PACKS;

	h->n = divided ? PARTS : 1;
	for (unsigned i = 0; i < h->n; i++) {
		int len = snprintf(h->parts[i].prefix, sizeof h->parts[i].prefix, "packs/%s/",
				   hex_bytes(writer, sizeof *writer).s);

		if (divided)
			(void)snprintf(h->parts[i].prefix + len,
				       sizeof h->parts[i].prefix - (size_t)len, "%x", i & 15);
	}
	tasks_run(h->n, PARTS, list_part, h);
	for (size_t i = 0; i < h->n; i++)
		if (h->parts[i].code < 0) {
			if (err != NULL)
				*err = h->parts[i].err;
			return h->parts[i].code;
		}
	return 0;
}

static bool
is_held(void *arg, const struct pack_id *id, uint64_t object_len)
{
	const struct held *h = arg;
	const struct held_pack key = {.id = id->h};
	const struct part *part = &h->parts[h->n == 1 ? 0 : id->h.b[0] >> 4];
	const struct held_pack *p =
		part->n == 0 ? NULL : bsearch(&key, part->v, part->n, sizeof key, compare_held);

	return p != NULL && p->size == object_len && ledger_pack_usable(h->writer, id);
}

int
match_catalog(struct run *run, struct err *err)
{
	CLEANUP(held_fini) struct held held = {.store = repo_store(run->repo)};
	size_t dropped = 0;
	int r;

	held.writer = ledger_find_writer(repo_ledger(run->repo), &run->writer->card.writer);
	if (held.writer == NULL)
		return err_set(err, ERR_DENIED, "this writer is not enrolled");
	r = list_packs(&held, run, err);
	if (r == 0)
		r = catalog_keep_only(run->catalog, is_held, &held, &dropped, err);
	if (r == 0 && dropped > 0)
		log_write(LOG_WARN,
			  "%zu packs known here are gone from the store or retired: what they held "
			  "is "
			  "stored again",
			  dropped);
	return r;
}
