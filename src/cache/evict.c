/*
 * evict.c - the quota: counting what there is, and removing what was used least lately.
 *
 * Layer 3.
 */
#include <errno.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/internal.h"

#define ROWS_AT_ONCE 256u
#define TEMP_OLD_S   3600 /* a temporary file that nobody will rename any more */

/* ---- counting */

/* Tells SQLite of a file in the folder; one that is being written is left alone. */
static int
count_file(struct diskcache *c, const FTSENT *e, struct err *err)
{
	const char *name = e->fts_path + strlen(diskcache_folder(c)) + 1;

	if (strncmp(name, "tmp/", 4) == 0) {
		if (e->fts_statp->st_mtime < time_now() - TEMP_OLD_S)
			(void)unlink(e->fts_path);
		return 0;
	}
	return index_measure_locked(c, name, e->fts_statp->st_mtime, err);
}

static int
count_files(struct diskcache *c, struct err *err)
{
	CLEANUP(freep) char *packs = str_format("%s/packs", diskcache_folder(c));
	CLEANUP(freep) char *objects = str_format("%s/objects", diskcache_folder(c));
	CLEANUP(freep) char *temp = str_format("%s/tmp", diskcache_folder(c));
	char *roots[] = {packs, objects, temp, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *e;
	int r = 0;

	if (walk == NULL)
		return err_sys(err, "%s", diskcache_folder(c));
	while (r == 0 && (e = fts_read(walk)) != NULL)
		if (e->fts_info == FTS_F)
			r = count_file(c, e, err);
	fts_close(walk);
	return r;
}

/* Some rows in the order of their names, behind @after.  Names are appended, NUL-terminated. */
static int
names_behind(struct diskcache *c, const char *after, struct buf *ret, size_t *ret_n,
	     struct err *err)
{
	struct db_stmt *s;
	int r = table_query(&c->index.files,
			    "SELECT name FROM files WHERE name > ?1 ORDER BY name LIMIT ?2", &s,
			    err);

	*ret_n = 0;
	if (r < 0)
		return r;
	db_bind_bytes(s, 1, after, strlen(after));
	db_bind_int(s, 2, ROWS_AT_ONCE);
	while ((r = db_step(s, err)) == 1) {
		struct slice name = db_bytes(s, 0);

		if (memchr(name.p, 0, name.len) != NULL)
			continue;
		buf_append(ret, name.p, name.len);
		buf_append_u8(ret, 0);
		++*ret_n;
	}
	db_reset(s);
	return r;
}

static int
forget_gone(struct diskcache *c, struct err *err)
{
	CLEANUP(freep) char *after = str_copy("");
	size_t n;

	do {
		CLEANUP(buf_fini) struct buf names = BUF_INIT;
		const char *name;
		int r = names_behind(c, after, &names, &n, err);

		if (r < 0)
			return r;
		name = (const char *)names.p;
		for (size_t i = 0; i < n; i++, name += strlen(name) + 1) {
			CLEANUP(freep) char *path = str_format("%s/%s", diskcache_folder(c), name);

			if (access(path, F_OK) < 0)
				r = index_measure_locked(c, name, 0, err);
			if (r < 0)
				return r;
			if (i + 1 == n) {
				free(after);
				after = str_copy(name);
			}
		}
	} while (n == ROWS_AT_ONCE);
	return 0;
}

int
evict_count_locked(struct diskcache *c, struct err *err)
{
	struct index *x = &c->index;
	int r = table_begin(c, &x->files, err);

	if (r < 0)
		return r;
	r = count_files(c, err);
	if (r == 0)
		r = forget_gone(c, err);
	if (r == 0)
		r = index_total_locked(c, err);
	r = table_end(c, &x->files, r, err);
	if (r < 0)
		return r;
	x->stored = 0;
	x->counted = true;
	return 0;
}

/* ---- removing */

/* A row of the index. */
struct victim {
	char *name;
	uint64_t bytes;
	int64_t used;
};

static void
victims_free(struct victim *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}

/* The next ones in the order of their use, behind @after. */
static int
victims_behind(struct diskcache *c, int64_t used, const char *after, struct victim *ret,
	       size_t *ret_n, struct err *err)
{
	struct db_stmt *s;
	int r = table_query(&c->index.files,
			    "SELECT name, bytes, used FROM files WHERE (used, name) > (?1, ?2) "
			    "ORDER BY used, name LIMIT ?3",
			    &s, err);

	*ret_n = 0;
	if (r < 0)
		return r;
	db_bind_int(s, 1, used);
	db_bind_bytes(s, 2, after, strlen(after));
	db_bind_int(s, 3, ROWS_AT_ONCE);
	while ((r = db_step(s, err)) == 1 && *ret_n < ROWS_AT_ONCE) {
		struct slice name = db_bytes(s, 0);

		ret[*ret_n].name = str_format("%.*s", (int)name.len, (const char *)name.p);
		ret[*ret_n].bytes = (uint64_t)db_int(s, 1);
		ret[(*ret_n)++].used = db_int(s, 2);
	}
	db_reset(s);
	return r < 0 ? r : 0;
}

/* The pack that a file of the cache is of. */
static bool
pack_of(const char *name, struct pack_id *ret)
{
	return strncmp(name, "packs/", 6) == 0 && strlen(name) == 6 + 3 + 64 &&
	       hex_parse(slice_of(name + 9, 64), ret, sizeof *ret);
}

/* The snapshot whose object a file is. */
static bool
snapshot_of(const char *name, struct snapshot_id *ret)
{
	static const char folder[] = "objects/snapshots/";
	size_t len = strlen(name);

	return strncmp(name, folder, strlen(folder)) == 0 && len > 64 &&
	       hex_parse(slice_of(name + len - 64, 64), ret, sizeof *ret);
}

/* Whether a file has to stay whole; of a pack, @keep is what has to stay if anything. */
static int
find_keep(struct diskcache *c, const char *name, uint64_t keep[DISKCACHE_MAP_WORDS], bool *ret_some,
	  bool *ret_all, struct err *err)
{
	struct snapshot_id snapshot;
	struct pack_id pack;

	*ret_some = *ret_all = false;
	if (pack_of(name, &pack))
		return pins_of_pack_locked(c, &pack, keep, ret_some, err);
	if (snapshot_of(name, &snapshot))
		return pins_has_snapshot_locked(c, &snapshot, ret_all, err);
	/* Without config and ledger nothing that is pinned could be opened. */
	return pins_any_locked(c, ret_all, err);
}

static uint64_t
kept_bytes(const uint64_t keep[DISKCACHE_MAP_WORDS])
{
	uint64_t n = 0;

	for (size_t i = 0; i < DISKCACHE_MAP_WORDS; i++)
		n += (uint64_t)__builtin_popcountll(keep[i]);
	return n * PACK_BLOCK_LEN;
}

static int
evict_one(struct diskcache *c, const struct victim *v, struct err *err)
{
	CLEANUP(freep) char *path = str_format("%s/%s", diskcache_folder(c), v->name);
	uint64_t keep[DISKCACHE_MAP_WORDS];
	uint64_t before = c->index.total;
	bool some, all;
	struct stat st;
	int r = find_keep(c, v->name, keep, &some, &all, err);

	if (r < 0 || all)
		return r;
	if (some && v->bytes <= kept_bytes(keep) + PACK_BLOCK_LEN)
		return 0;
	if (some)
		pack_file_shrink(path, keep);
	else if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, "%s", path);
	c->index.total -= min_u64(v->bytes, before);
	if (lstat(path, &st) == 0)
		c->index.total += (uint64_t)st.st_blocks * 512;
	if (c->index.total < before)
		cache_count(c, &c->stats.bytes_evicted, before - c->index.total);
	return index_measure_locked(c, v->name, v->used, err);
}

static int
evict(struct diskcache *c, uint64_t target, struct err *err)
{
	CLEANUP(freep) char *after = str_copy("");
	int64_t used = INT64_MIN;
	size_t n = ROWS_AT_ONCE;

	while (c->index.total > target && n == ROWS_AT_ONCE) {
		struct victim *v = mem_array(ROWS_AT_ONCE, sizeof *v);
		int r = victims_behind(c, used, after, v, &n, err);

		for (size_t i = 0; r == 0 && i < n && c->index.total > target; i++)
			r = evict_one(c, &v[i], err);
		if (r == 0 && n > 0) {
			used = v[n - 1].used;
			free(after);
			after = str_copy(v[n - 1].name);
		}
		victims_free(v, n);
		if (r < 0)
			return r;
	}
	return 0;
}

int
evict_to_locked(struct diskcache *c, uint64_t target, struct err *err)
{
	struct index *x = &c->index;
	int r;

	if (x->total <= target)
		return 0;
	r = table_begin(c, &x->files, err);
	if (r < 0)
		return r;
	r = evict(c, target, err);
	if (r == 0)
		r = index_total_locked(c, err);
	r = table_end(c, &x->files, r, err);
	if (r < 0 && r != ERR_BUSY)
		x->counted = false;
	return r;
}
