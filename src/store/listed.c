/*
 * listed.c - one page of a listing, brought into the order of keys.
 *
 * Layer 1.
 */
#include "store/listed.h"

void
listed_add(struct listed *l, char *key, uint64_t size, bool is_prefix)
{
	array_reserve(l->entries, l->n, l->cap);
	l->entries[l->n++] = (struct store_entry){key, is_prefix ? 0 : size, is_prefix};
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct store_entry *)a)->key, ((const struct store_entry *)b)->key);
}

static void
clear(struct listed *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((char *)l->entries[i].key);
	l->n = 0;
}

/* Some services show folders as objects of their own; and names may be longer than our keys. */
static bool
is_ours(const struct store_entry *e, const char *prefix)
{
	size_t len = strlen(e->key);

	return len > 0 && len <= STORE_KEY_MAX && strncmp(e->key, prefix, strlen(prefix)) == 0 &&
	       (e->key[len - 1] == '/') == e->is_prefix;
}

static int
tell_all(struct listed *l, const char *prefix, store_list_fn *fn, void *fn_arg, bool *ret_news,
	 struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct store_entry *e = &l->entries[i];
		int order = l->last != NULL ? strcmp(e->key, l->last) : 1;
		int r;

		if (!is_ours(e, prefix) || order == 0)
			continue;
		if (order < 0)
			return err_set(err, ERR_IO, "the server's listing is out of order");
		*ret_news = true;
		r = fn(fn_arg, e, err);
		if (r != 0)
			return r;
		free(l->last);
		l->last = str_copy(e->key);
	}
	return 0;
}

int
listed_tell(struct listed *l, const char *prefix, store_list_fn *fn, void *fn_arg, bool *ret_news,
	    struct err *err)
{
	int r;

	*ret_news = false;
	if (l->n > 0)
		qsort(l->entries, l->n, sizeof(*l->entries), by_key);
	r = tell_all(l, prefix, fn, fn_arg, ret_news, err);
	clear(l);
	return r;
}

void
listed_fini(struct listed *l)
{
	clear(l);
	free(l->entries);
	free(l->last);
	*l = (struct listed){0};
}
