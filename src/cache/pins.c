/*
 * pins.c - what stays for offline use.
 *
 * A pin is a set of blocks of packs, and the snapshot whose object they belong to.  What was
 * pinned, in a user's words, is sealed: names out of a snapshot are as secret as its content.
 *
 * Layer 3.
 */
#include "cache/internal.h"

#define MAP_LEN (DISKCACHE_MAP_WORDS * 8u)

static void
map_put(const uint64_t map[DISKCACHE_MAP_WORDS], struct buf *ret)
{
	for (size_t i = 0; i < DISKCACHE_MAP_WORDS; i++)
		buf_append_u64le(ret, map[i]);
}

/* Adds a stored map to another. */
static void
map_add(struct slice stored, uint64_t map[DISKCACHE_MAP_WORDS])
{
	for (size_t i = 0; i < stored.len && i < MAP_LEN; i++)
		map[i / 8] |= (uint64_t)stored.p[i] << (i % 8 * 8);
}

static uint64_t
blocks_bytes(const struct diskcache_pack *p, const uint64_t map[DISKCACHE_MAP_WORDS])
{
	uint64_t bytes = p->header_len;

	for (uint32_t b = 0; b < pack_blocks(p) && b < BLOCKS_MAX; b++)
		if (map[b / 64] >> (b % 64) & 1)
			bytes += pack_block_len(p, b);
	return bytes;
}

/* ---- what evicting asks */

int
pins_of_pack_locked(struct diskcache *c, const struct pack_id *id,
		    uint64_t ret[DISKCACHE_MAP_WORDS], bool *ret_any, struct err *err)
{
	struct table *t = &c->index.pins;
	struct db_stmt *s = NULL;
	int r = table_open(c, t, err);

	memset(ret, 0, MAP_LEN);
	*ret_any = false;
	if (r == 0)
		r = table_query(t, "SELECT map FROM blocks WHERE pack = ?1", &s, err);
	if (r < 0)
		return table_failed(c, t, r, err);
	db_bind_bytes(s, 1, id, sizeof *id);
	while ((r = db_step(s, err)) == 1) {
		map_add(db_bytes(s, 0), ret);
		*ret_any = true;
	}
	db_reset(s);
	return r < 0 ? table_failed(c, t, r, err) : 0;
}

/* Whether a query with one parameter, or none, gives a row. */
static int
gives_row(struct diskcache *c, const char *sql, struct slice parameter, bool *ret, struct err *err)
{
	struct table *t = &c->index.pins;
	struct db_stmt *s = NULL;
	int r = table_open(c, t, err);

	*ret = false;
	if (r == 0)
		r = table_query(t, sql, &s, err);
	if (r < 0)
		return table_failed(c, t, r, err);
	if (parameter.len > 0)
		db_bind_bytes(s, 1, parameter.p, parameter.len);
	r = db_step(s, err);
	db_reset(s);
	*ret = r == 1;
	return r < 0 ? table_failed(c, t, r, err) : 0;
}

int
pins_any_locked(struct diskcache *c, bool *ret, struct err *err)
{
	static const char sql[] = "SELECT 1 FROM pins LIMIT 1";

	return gives_row(c, sql, (struct slice){0}, ret, err);
}

int
pins_has_snapshot_locked(struct diskcache *c, const struct snapshot_id *id, bool *ret,
			 struct err *err)
{
	static const char sql[] = "SELECT 1 FROM pins WHERE snapshot = ?1 LIMIT 1";

	return gives_row(c, sql, slice_of(id, sizeof *id), ret, err);
}

/* ---- adding */

static int
add_blocks(struct table *t, int64_t pin, const struct diskcache_blocks *b, struct err *err)
{
	CLEANUP(buf_fini) struct buf map = BUF_INIT;
	struct db_stmt *s = NULL;
	int r = table_query(t, "INSERT INTO blocks VALUES(?1, ?2, ?3, ?4, ?5, ?6)", &s, err);

	if (r < 0)
		return r;
	map_put(b->map, &map);
	db_bind_bytes(s, 1, &b->pack.id, sizeof b->pack.id);
	db_bind_int(s, 2, pin);
	db_bind_bytes(s, 3, &b->writer, sizeof b->writer);
	db_bind_int(s, 4, (int64_t)b->pack.object_len);
	db_bind_int(s, 5, b->pack.header_len);
	db_bind_bytes(s, 6, map.p, map.len);
	return db_run(s, err);
}

static int
add_pin(struct table *t, const struct snapshot_id *snapshot, struct slice sealed, uint64_t bytes,
	int64_t *ret, struct err *err)
{
	struct db_stmt *s = NULL;
	int r = table_query(t,
			    "INSERT INTO pins(snapshot, time, bytes, sealed) "
			    "VALUES(?1, ?2, ?3, ?4) RETURNING number",
			    &s, err);

	if (r < 0)
		return r;
	db_bind_bytes(s, 1, snapshot, sizeof *snapshot);
	db_bind_int(s, 2, time_now());
	db_bind_int(s, 3, (int64_t)bytes);
	db_bind_bytes(s, 4, sealed.p, sealed.len);
	r = db_step(s, err);
	if (r == 1)
		*ret = db_int(s, 0);
	db_reset(s);
	return r < 0 ? r : 0;
}

/* The row of a pack in the query below. */
static bool
row_pack(struct db_stmt *s, struct diskcache_pack *ret)
{
	struct slice id = db_bytes(s, 0);

	if (id.len != sizeof ret->id)
		return false;
	memcpy(&ret->id, id.p, sizeof ret->id);
	ret->object_len = (uint64_t)db_int(s, 1);
	ret->header_len = (uint32_t)db_int(s, 2);
	return ret->object_len > ret->header_len &&
	       ret->object_len - ret->header_len <= PACK_BODY_MAX;
}

/* The bytes of all pins together, each block once. */
static int
sum_pinned(struct table *t, uint64_t *ret, struct err *err)
{
	uint64_t map[DISKCACHE_MAP_WORDS] = {0};
	struct diskcache_pack last = {0};
	struct db_stmt *s = NULL;
	int r = table_query(t, "SELECT pack, object_len, header_len, map FROM blocks ORDER BY pack",
			    &s, err);

	*ret = 0;
	if (r < 0)
		return r;
	while ((r = db_step(s, err)) == 1) {
		struct diskcache_pack p;

		if (!row_pack(s, &p))
			continue;
		if (!pack_equal(&p, &last)) {
			*ret += last.object_len > 0 ? blocks_bytes(&last, map) : 0;
			memset(map, 0, sizeof map);
			last = p;
		}
		map_add(db_bytes(s, 3), map);
	}
	db_reset(s);
	*ret += last.object_len > 0 ? blocks_bytes(&last, map) : 0;
	return r;
}

static int
check_room(struct diskcache *c, struct table *t, uint64_t bytes, struct err *err)
{
	CLEANUP(buf_fini) struct buf need = BUF_INIT;
	uint64_t room = c->max - c->max / RESERVE_PART, all;
	int r = sum_pinned(t, &all, err);

	if (r < 0 || all <= room)
		return r;
	text_append_bytes(&need, bytes);
	buf_append_str(&need, ", with what is pinned already ");
	text_append_bytes(&need, all);
	buf_append_str(&need, ", and the cache may pin ");
	text_append_bytes(&need, room);
	return err_set(err, ERR_NOSPACE,
		       "it needs %s: pin less, `tillfs unpin` something, or give a larger "
		       "--cache-size",
		       buf_cstr(&need));
}

int
diskcache_pin_add(struct diskcache *c, const struct snapshot_id *snapshot, struct slice sealed,
		  const struct diskcache_blocks *blocks, size_t n, int64_t *ret_number,
		  struct err *err)
{
	struct table *t = &c->index.pins;
	uint64_t bytes = 0;
	int r;

	*ret_number = 0;
	for (size_t i = 0; i < n; i++)
		bytes += blocks_bytes(&blocks[i].pack, blocks[i].map);
	pthread_mutex_lock(&c->index.lock);
	r = table_begin(c, t, err);
	if (r == 0) {
		r = add_pin(t, snapshot, sealed, bytes, ret_number, err);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = add_blocks(t, *ret_number, &blocks[i], err);
		if (r == 0)
			r = check_room(c, t, bytes, err);
		r = table_end(c, t, r, err);
	}
	c->index.full_until_ms = 0;
	pthread_mutex_unlock(&c->index.lock);
	return r;
}

/* ---- listing and removing */

static void
row_pin(struct db_stmt *s, struct diskcache_pin *ret)
{
	struct slice snapshot = db_bytes(s, 1), sealed = db_bytes(s, 4);

	*ret = (struct diskcache_pin){.number = db_int(s, 0),
				      .time = db_int(s, 2),
				      .bytes = (uint64_t)db_int(s, 3)};
	memcpy(&ret->snapshot, snapshot.p, min_u64(snapshot.len, sizeof ret->snapshot));
	buf_append(&ret->sealed, sealed.p, sealed.len);
}

static int
read_pins(struct diskcache *c, struct table *t, struct diskcache_pin **ret, size_t *n,
	  struct err *err)
{
	struct db_stmt *s = NULL;
	size_t cap = 0;
	int r = table_open(c, t, err);

	if (r == 0)
		r = table_query(
			t, "SELECT number, snapshot, time, bytes, sealed FROM pins ORDER BY number",
			&s, err);
	if (r < 0)
		return r;
	while ((r = db_step(s, err)) == 1) {
		array_reserve(*ret, *n, cap);
		row_pin(s, &(*ret)[(*n)++]);
	}
	db_reset(s);
	return r;
}

int
diskcache_pins_get(struct diskcache *c, struct diskcache_pin **ret, size_t *n, struct err *err)
{
	int r;

	*ret = NULL;
	*n = 0;
	pthread_mutex_lock(&c->index.lock);
	r = read_pins(c, &c->index.pins, ret, n, err);
	if (r < 0)
		r = table_failed(c, &c->index.pins, r, err);
	pthread_mutex_unlock(&c->index.lock);
	if (r < 0) {
		diskcache_pins_free(*ret, *n);
		*ret = NULL;
		*n = 0;
	}
	return r;
}

void
diskcache_pins_free(struct diskcache_pin *pins, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fini(&pins[i].sealed);
	free(pins);
}

static int
remove_rows(struct table *t, const char *sql, int64_t number, struct err *err)
{
	struct db_stmt *s = NULL;
	int r = table_query(t, sql, &s, err);

	if (r < 0)
		return r;
	db_bind_int(s, 1, number);
	return db_run(s, err);
}

int
diskcache_pin_remove(struct diskcache *c, int64_t number, struct err *err)
{
	static const char of_blocks[] = "DELETE FROM blocks WHERE pin = ?1";
	static const char of_pins[] = "DELETE FROM pins WHERE number = ?1";
	struct table *t = &c->index.pins;
	int r;

	pthread_mutex_lock(&c->index.lock);
	r = table_begin(c, t, err);
	if (r == 0) {
		r = remove_rows(t, of_blocks, number, err);
		if (r == 0)
			r = remove_rows(t, of_pins, number, err);
		r = table_end(c, t, r, err);
	}
	c->index.full_until_ms = 0;
	pthread_mutex_unlock(&c->index.lock);
	return r;
}
