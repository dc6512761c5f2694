/*
 * known.c - which keys there are, as far as listings told: for listing offline.
 *
 * Listings come in parts, of any prefix, several at a time, with or without a delimiter, and the
 * same keys may be asked for in other parts offline.  So what they tell is put together: a whole
 * listing of a prefix replaces all keys below it, and a delimited one drops folders that aren't
 * there any more.  A file for each of the top folders keeps it; it is written when a burst of
 * listings is over.
 *
 * Layer 3.
 */
#include <stdio.h>

#include "cache/internal.h"

/* More keys aren't worth their memory. */
#define KEYS_MAX 200000u

static const char *const folders[KNOWN_FOLDERS] = {"ledger/", "snapshots/", "grants/", "reseal/"};

static bool
begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The folder that a prefix is of, or KNOWN_FOLDERS. */
static size_t
folder_of(const char *prefix)
{
	size_t i = 0;

	while (i < KNOWN_FOLDERS && !begins(prefix, folders[i]))
		i++;
	return i;
}

/* ---- lists of keys */

void
known_keys_add(struct known_keys *k, const char *key, uint64_t size)
{
	array_reserve(k->v, k->n, k->cap);
	k->v[k->n++] = (struct known_key){str_copy(key), size};
}

void
known_keys_fini(struct known_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i].key);
	free(k->v);
	*k = (struct known_keys){0};
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct known_key *)a)->key, ((const struct known_key *)b)->key);
}

static void
keys_sort(struct known_keys *k)
{
	if (k->n > 0)
		qsort(k->v, k->n, sizeof *k->v, by_key);
}

/* The first key that isn't less than @text. */
static size_t
keys_at(const struct known_keys *k, const char *text)
{
	size_t low = 0, high = k->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(k->v[mid].key, text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
keep(struct known_keys *to, struct known_key *from)
{
	array_reserve(to->v, to->n, to->cap);
	to->v[to->n++] = *from;
	from->key = NULL;
}

/* ---- putting together what listings tell */

/* All keys below @prefix are these now.  @fresh: used up. */
static void
replace_below(struct known_keys *all, const char *prefix, struct known_keys *fresh)
{
	struct known_keys merged = {0};
	size_t from = keys_at(all, prefix), to = from;

	while (to < all->n && begins(all->v[to].key, prefix))
		to++;
	for (size_t i = 0; i < from; i++)
		keep(&merged, &all->v[i]);
	for (size_t i = 0; i < fresh->n; i++)
		keep(&merged, &fresh->v[i]);
	for (size_t i = to; i < all->n; i++)
		keep(&merged, &all->v[i]);
	known_keys_fini(all);
	known_keys_fini(fresh);
	*all = merged;
}

/* Below @prefix there are no other folders than these, which are in order. */
static void
drop_others(struct known_keys *all, const char *prefix, const struct known_keys *told)
{
	struct known_keys left = {0};
	size_t len = strlen(prefix);

	for (size_t i = 0; i < all->n; i++) {
		const char *key = all->v[i].key;
		const char *slash = begins(key, prefix) ? strchr(key + len, '/') : NULL;

		if (slash != NULL) {
			CLEANUP(freep)
			char *folder = str_format("%.*s", (int)(slash - key + 1), key);
			size_t at = keys_at(told, folder);

			if (at == told->n || strcmp(told->v[at].key, folder) != 0)
				continue;
		}
		keep(&left, &all->v[i]);
	}
	known_keys_fini(all);
	*all = left;
}

/* A prefix that was listed as a whole covers those that begin with it. */
static void
cover(struct known_keys *covered, const char *prefix)
{
	for (size_t i = 0; i < covered->n; i++)
		if (begins(prefix, covered->v[i].key))
			return;
	known_keys_add(covered, prefix, 0);
	keys_sort(covered);
}

/* ---- the file of a folder */

static char *
file_of(struct diskcache *c, size_t folder)
{
	return str_format("%s/listings/%.*s", diskcache_folder(c), (int)strlen(folders[folder]) - 1,
			  folders[folder]);
}

static int
load_entry(void *arg, const struct store_entry *entry, struct err *err)
{
	struct known_folder *f = arg;

	(void)err;
	known_keys_add(entry->is_prefix ? &f->covered : &f->keys, entry->key, entry->size);
	return 0;
}

static void
folder_fini(struct known_folder *f)
{
	known_keys_fini(&f->keys);
	known_keys_fini(&f->covered);
}

/* What an earlier process knew.  A file that is damaged is as good as none. */
static void
load(struct diskcache *c, size_t folder, struct known_folder *ret)
{
	CLEANUP(freep) char *path = file_of(c, folder);
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

	if (listing_read(path, &bytes) &&
	    diskcache_listing_parse(buf_slice(&bytes), load_entry, ret, NULL) < 0)
		folder_fini(ret);
	keys_sort(&ret->keys);
	keys_sort(&ret->covered);
}

static void
save(struct diskcache *c, size_t folder, const struct known_folder *f)
{
	CLEANUP(freep) char *path = file_of(c, folder);
	CLEANUP(buf_fini) struct buf body = BUF_INIT;

	for (size_t i = 0; i < f->covered.n; i++)
		listing_add(&body, f->covered.v[i].key, 0, true);
	for (size_t i = 0; i < f->keys.n; i++)
		listing_add(&body, f->keys.v[i].key, f->keys.v[i].size, false);
	listing_write(c, path, &body);
}

/* ---- online */

void
known_init(struct known *k)
{
	*k = (struct known){0};
	pthread_mutex_init(&k->lock, NULL);
}

void
known_fini(struct known *k)
{
	for (size_t i = 0; i < KNOWN_FOLDERS; i++)
		folder_fini(&k->folders[i]);
	pthread_mutex_destroy(&k->lock);
}

void
known_begin(struct known *k)
{
	pthread_mutex_lock(&k->lock);
	k->listing++;
	pthread_mutex_unlock(&k->lock);
}

static void
take_locked(struct known *k, struct diskcache *c, const char *prefix, bool delimited,
	    struct known_keys *told)
{
	size_t i = folder_of(prefix);
	struct known_folder *f = &k->folders[i];

	if (i == KNOWN_FOLDERS)
		return;
	if (!f->loaded && diskcache_folder(c) != NULL)
		load(c, i, f);
	f->loaded = f->changed = true;
	keys_sort(told);
	if (delimited) {
		drop_others(&f->keys, prefix, told);
		return;
	}
	replace_below(&f->keys, prefix, told);
	cover(&f->covered, prefix);
	if (f->keys.n > KEYS_MAX)
		folder_fini(f);
}

void
known_end(struct known *k, struct diskcache *c, const char *prefix, bool delimited,
	  struct known_keys *told)
{
	pthread_mutex_lock(&k->lock);
	if (told != NULL)
		take_locked(k, c, prefix, delimited, told);
	k->listing--;
	/* Until the repository is known there is no place to write to. */
	for (size_t i = 0; i < KNOWN_FOLDERS && k->listing == 0 && cache_may_store(c); i++) {
		if (k->folders[i].changed)
			save(c, i, &k->folders[i]);
		k->folders[i].changed = false;
	}
	pthread_mutex_unlock(&k->lock);
}

/* ---- offline */

/* Whether listings told all, or at least parts, of what is below a prefix. */
static bool
is_covered(const struct known_keys *covered, const char *prefix)
{
	for (size_t i = 0; i < covered->n; i++)
		if (begins(prefix, covered->v[i].key) || begins(covered->v[i].key, prefix))
			return true;
	return false;
}

/* Tells a key, or the folder that it lies in, once. */
static int
tell(const struct known_key *key, size_t prefix_len, bool delimited, char last[STORE_KEY_MAX + 1],
     store_list_fn *fn, void *arg, struct err *err)
{
	const char *slash = delimited ? strchr(key->key + prefix_len, '/') : NULL;
	struct store_entry entry = {.key = key->key, .size = key->size};

	if (slash == NULL)
		return fn(arg, &entry, err);
	if (begins(key->key, last) && last[0] != '\0')
		return 0;
	(void)snprintf(last, STORE_KEY_MAX + 1, "%.*s", (int)(slash - key->key + 1), key->key);
	entry = (struct store_entry){.key = last, .is_prefix = true};
	return fn(arg, &entry, err);
}

int
known_list(struct diskcache *c, const char *prefix, bool delimited, store_list_fn *fn, void *arg,
	   struct err *err)
{
	CLEANUP(folder_fini) struct known_folder f = {0};
	size_t i = folder_of(prefix), len = strlen(prefix);
	char last[STORE_KEY_MAX + 1] = "";
	int r = 0;

	if (i < KNOWN_FOLDERS && diskcache_folder(c) != NULL)
		load(c, i, &f);
	if (!is_covered(&f.covered, prefix))
		return err_set(err, ERR_OFFLINE,
			       "the listing of %s isn't in the cache; run the same command once "
			       "without --offline",
			       prefix);
	for (size_t k = keys_at(&f.keys, prefix);
	     r == 0 && k < f.keys.n && begins(f.keys.v[k].key, prefix); k++)
		r = tell(&f.keys.v[k], len, delimited, last, fn, arg, err);
	return r;
}
