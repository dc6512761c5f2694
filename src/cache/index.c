/*
 * index.c - how large the files of a cache are and when they were used, for the quota.
 *
 * SQLite is told in batches.  What a killed process didn't tell is found when the next one counts
 * the folder, before it stores anything.
 *
 * Layer 3.
 */
#include <errno.h>
#include <sys/stat.h>

#include "cache/internal.h"

#define NOTES_MAX  512u
#define FLUSH_MS   10000u
#define BATCH_PART 32u /* of the quota may be stored before SQLite is told */
#define BATCH_MAX  (64u * MIB)
#define FULL_MS    5000u

static const char files_schema[] =
	"CREATE TABLE files(name BLOB PRIMARY KEY, bytes INTEGER NOT NULL, used INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE INDEX files_used ON files(used, name);";

static const char pins_schema[] =
	"CREATE TABLE pins(number INTEGER PRIMARY KEY AUTOINCREMENT, snapshot BLOB NOT NULL,"
	" time INTEGER NOT NULL, bytes INTEGER NOT NULL, sealed BLOB NOT NULL);"
	"CREATE TABLE blocks(pack BLOB NOT NULL, pin INTEGER NOT NULL, writer BLOB NOT NULL,"
	" object_len INTEGER NOT NULL, header_len INTEGER NOT NULL, map BLOB NOT NULL,"
	" PRIMARY KEY(pack, pin)) WITHOUT ROWID;";

void
index_init(struct index *x)
{
	*x = (struct index){
		.files = {.file = "index.db", .schema = files_schema},
		.pins = {.file = "pins.db", .schema = pins_schema, .durable = true},
	};
	pthread_mutex_init(&x->lock, NULL);
	x->flushed_ms = time_monotonic_ms();
}

/* ---- telling SQLite */

int
index_measure_locked(struct diskcache *c, const char *name, int64_t used, struct err *err)
{
	CLEANUP(freep) char *path = str_format("%s/%s", diskcache_folder(c), name);
	struct table *t = &c->index.files;
	struct db_stmt *s;
	struct stat st;
	bool there = lstat(path, &st) == 0;
	int r;

	if (there)
		r = table_query(t,
				"INSERT INTO files VALUES(?1, ?2, ?3) ON CONFLICT(name) DO UPDATE "
				"SET bytes = ?2, used = max(used, ?3)",
				&s, err);
	else
		r = table_query(t, "DELETE FROM files WHERE name = ?1", &s, err);
	if (r < 0)
		return r;
	db_bind_bytes(s, 1, name, strlen(name));
	if (there) {
		db_bind_int(s, 2, (int64_t)st.st_blocks * 512);
		db_bind_int(s, 3, used);
	}
	return db_run(s, err);
}

int
index_total_locked(struct diskcache *c, struct err *err)
{
	struct db_stmt *s;
	int r = table_query(&c->index.files, "SELECT coalesce(sum(bytes), 0) FROM files", &s, err);

	if (r == 0)
		r = db_step(s, err);
	if (r < 0)
		return r;
	c->index.total = (uint64_t)db_int(s, 0);
	db_reset(s);
	return 0;
}

static void
forget_notes(struct index *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->notes[i].name);
	x->n = 0;
}

static int
write_notes(struct diskcache *c, struct err *err)
{
	struct index *x = &c->index;
	int r = table_begin(c, &x->files, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < x->n; i++)
		r = index_measure_locked(c, x->notes[i].name, x->notes[i].used, err);
	if (r == 0)
		r = index_total_locked(c, err);
	return table_end(c, &x->files, r, err);
}

int
index_flush_locked(struct diskcache *c, struct err *err)
{
	struct index *x = &c->index;
	int r = write_notes(c, err);

	x->flushed_ms = time_monotonic_ms();
	if (r == 0)
		x->stored = 0;
	else if (r != ERR_BUSY)
		x->counted = false; /* nobody knows any more: count again */
	/* What couldn't be told is found by counting. */
	if (r != ERR_BUSY || x->n >= NOTES_MAX)
		forget_notes(x);
	return r;
}

static void
flush(struct diskcache *c)
{
	struct err err = ERR_INIT;

	if (index_flush_locked(c, &err) < 0)
		log_write(LOG_DEBUG, "cache: %s", err.msg);
}

void
index_fini(struct diskcache *c)
{
	struct index *x = &c->index;

	pthread_mutex_lock(&x->lock);
	if (x->n > 0 && diskcache_folder(c) != NULL)
		flush(c);
	forget_notes(x);
	free(x->notes);
	table_close(&x->files);
	table_close(&x->pins);
	pthread_mutex_unlock(&x->lock);
	pthread_mutex_destroy(&x->lock);
}

/* ---- noting */

static void
note_locked(struct index *x, const char *name)
{
	int64_t now = time_now();

	/* The same file is often noted several times in a row. */
	for (size_t i = x->n; i > 0 && i + 8 > x->n; i--)
		if (strcmp(x->notes[i - 1].name, name) == 0) {
			x->notes[i - 1].used = now;
			return;
		}
	array_reserve(x->notes, x->n, x->cap);
	x->notes[x->n++] = (struct note){str_copy(name), now};
}

static bool
is_due(const struct diskcache *c)
{
	const struct index *x = &c->index;

	return x->n >= NOTES_MAX || x->stored > min_u64(c->max / BATCH_PART, BATCH_MAX) ||
	       (x->stored > 0 && time_monotonic_ms() > x->flushed_ms + FLUSH_MS);
}

void
index_touch(struct diskcache *c, const char *name)
{
	struct index *x = &c->index;

	pthread_mutex_lock(&x->lock);
	note_locked(x, name);
	if (is_due(c))
		flush(c);
	pthread_mutex_unlock(&x->lock);
}

/* ---- the quota */

static uint64_t
used_locked(const struct index *x)
{
	return x->total + x->stored + x->reserved;
}

/* Counts what is there, and evicts, so that @bytes more may have room. */
static int
make_room_locked(struct diskcache *c, uint64_t bytes, struct err *err)
{
	struct index *x = &c->index;
	uint64_t coming = x->reserved + bytes;
	uint64_t limit = c->max - c->max / RESERVE_PART;
	int r = 0;

	if (!x->counted)
		r = evict_count_locked(c, err);
	if (r < 0 || used_locked(x) + bytes <= c->max || time_monotonic_ms() < x->full_until_ms)
		return r;
	r = index_flush_locked(c, err);
	if (r == 0)
		r = evict_to_locked(c, limit > coming ? limit - coming : 0, err);
	if (r == 0 && used_locked(x) + bytes > c->max)
		x->full_until_ms = time_monotonic_ms() + FULL_MS; /* pins take it all */
	return r;
}

bool
index_reserve(struct diskcache *c, uint64_t bytes)
{
	struct index *x = &c->index;
	struct err err = ERR_INIT;
	bool fits;
	int r;

	pthread_mutex_lock(&x->lock);
	if (is_due(c))
		flush(c);
	r = make_room_locked(c, bytes, &err);
	fits = r == 0 && used_locked(x) + bytes <= c->max;
	if (fits)
		x->reserved += bytes;
	pthread_mutex_unlock(&x->lock);

	if (r < 0 && r != ERR_BUSY) {
		errno = r == ERR_NOSPACE ? ENOSPC : err.sys_errno != 0 ? err.sys_errno : EIO;
		cache_store_failed(c, err.msg);
	}
	return fits;
}

void
index_stored(struct diskcache *c, const char *name, uint64_t bytes)
{
	struct index *x = &c->index;

	pthread_mutex_lock(&x->lock);
	x->reserved -= bytes;
	x->stored += bytes;
	note_locked(x, name);
	pthread_mutex_unlock(&x->lock);
}
