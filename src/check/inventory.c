/*
 * inventory.c - what the store holds, from one listing: names and lengths, nothing is read.
 */
#include "internal.h"

void
inventory_fini(struct inventory *inv)
{
	for (size_t i = 0; i < inv->n_sealed; i++)
		free(inv->sealed[i]);
	free(inv->sealed);
	free(inv->packs);
	*inv = (struct inventory){0};
}

static bool
begins_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void
tell_stranger(struct job *job, const char *key)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	buf_append_str(&text, "The object ");
	text_append_safe(&text, slice_str(key));
	buf_append_str(&text, " is none of tillfs's; it is ignored.");
	tell(job, false, ERR_INVALID, buf_cstr(&text));
}

static int
take(void *arg, const struct store_entry *entry, struct err *err)
{
	struct job *job = arg;
	struct inventory *inv = &job->inventory;
	const char *key = entry->key;
	struct stored_pack pack;

	if (progress_cancelled(&job->options->progress))
		return err_set(err, ERR_CANCELLED, "interrupted");
	job->ret->objects++;
	job->ret->bytes += entry->size;
	if (pack_key_parse(key, &pack.writer, &pack.id)) {
		pack.len = entry->size;
		array_reserve(inv->packs, inv->n_packs, inv->cap_packs);
		inv->packs[inv->n_packs++] = pack;
		inv->pack_bytes += pack.len;
		job->ret->packs++;
	} else if (begins_with(key, "grants/") || begins_with(key, "reseal/")) {
		array_reserve(inv->sealed, inv->n_sealed, inv->cap_sealed);
		inv->sealed[inv->n_sealed++] = str_copy(key);
	} else if (strcmp(key, "config") != 0 && !begins_with(key, "ledger/") &&
		   !begins_with(key, "snapshots/") && !begins_with(key, "audit/")) {
		if (job->options->only == NULL)
			tell_stranger(job, key); /* of the others, repo has told */
	}
	return 0;
}

static int
pack_cmp(const void *a, const void *b)
{
	const struct stored_pack *x = a, *y = b;
	int c = memcmp(&x->id, &y->id, sizeof x->id);

	return c != 0 ? c : memcmp(&x->writer, &y->writer, sizeof x->writer);
}

int
inventory_take(struct job *job, struct err *err)
{
	struct inventory *inv = &job->inventory;
	int r;

	r = store_list(repo_store(job->repo), "", false, take, job, err);
	if (r < 0)
		return err_add(err, r, "listing the store");
	if (inv->n_packs > 0)
		qsort(inv->packs, inv->n_packs, sizeof *inv->packs, pack_cmp);
	return 0;
}
