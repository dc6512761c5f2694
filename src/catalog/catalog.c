/*
 * catalog.c - the writer's catalog in SQLite.
 *
 *	pack  (number, class) -> id, object_len, header_len, ordinal, data_off, data_len, tree_len
 *	chunk id              -> pack, seg_off, stored_len, plain_len, off, len
 *	node  logical id      -> pack, seg_off, stored_len, plain_len, off, len, reach (u32le each)
 *	dir   path            -> record
 *	coming number         packs that were on their way when this was written
 *
 * The pack table is small and lives in memory too.
 *
 * Layer 4.
 */
#include "tillfs/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "tillfs/db.h"

#define CATALOG_VERSION 1

static const char schema[] =
	"CREATE TABLE pack(number INTEGER, class TEXT, id BLOB, object_len INT, header_len INT,"
	" ordinal INT, data_off INT, data_len INT, tree_len INT, PRIMARY KEY(number, class)) "
	"WITHOUT "
	"ROWID;"
	"CREATE TABLE chunk(id BLOB PRIMARY KEY, pack INT, seg_off INT, stored_len INT, plain_len "
	"INT,"
	" off INT, len INT) WITHOUT ROWID;"
	"CREATE TABLE node(id BLOB PRIMARY KEY, pack INT, seg_off INT, stored_len INT, plain_len "
	"INT,"
	" off INT, len INT, reach BLOB) WITHOUT ROWID;"
	"CREATE TABLE dir(path BLOB PRIMARY KEY, record BLOB) WITHOUT ROWID;"
	"CREATE TABLE counter(next_pack INT); INSERT INTO counter VALUES(1);";

/* Catalogs made before there was such a table are no others. */
static const char later_schema[] = "CREATE TABLE IF NOT EXISTS coming(number INTEGER PRIMARY KEY);";

struct catalog {
	int lock_fd;
	struct db *db;
	struct pack_table packs;
	struct catalog_section *sections; /* ascending by number */
	size_t n_sections, cap_sections;
	bool has_chunks;
	struct db_stmt *chunk_find, *node_find, *dir_find;
	struct db_stmt *section_put, *chunk_put, *node_put, *dir_put, *counter_put;
	struct db_stmt *coming_put, *coming_end;
};

static int
lock(const char *path, int *ret, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		if (saved == EWOULDBLOCK)
			return err_set(err, ERR_BUSY,
				       "another backup of this writer is running (it holds %s); "
				       "wait for it to end",
				       path);
		return err_sys(err, "locking %s", path);
	}
	*ret = fd;
	return 0;
}

static void
prepare(struct catalog *c)
{
	c->chunk_find = db_prepare(
		c->db,
		"SELECT pack, seg_off, stored_len, plain_len, off, len FROM chunk WHERE id=?");
	c->node_find = db_prepare(c->db, "SELECT pack, seg_off, stored_len, plain_len, off, len, "
					 "reach FROM node WHERE id=?");
	c->dir_find = db_prepare(c->db, "SELECT record FROM dir WHERE path=?");
	c->section_put = db_prepare(c->db, "INSERT OR REPLACE INTO pack VALUES(?,?,?,?,?,?,?,?,?)");
	c->chunk_put = db_prepare(c->db, "INSERT OR REPLACE INTO chunk VALUES(?,?,?,?,?,?,?)");
	c->node_put = db_prepare(c->db, "INSERT OR REPLACE INTO node VALUES(?,?,?,?,?,?,?,?)");
	c->dir_put = db_prepare(c->db, "INSERT OR REPLACE INTO dir VALUES(?,?)");
	c->coming_put = db_prepare(c->db, "INSERT OR REPLACE INTO coming VALUES(?)");
	c->coming_end = db_prepare(c->db, "DELETE FROM coming WHERE number=?");
	c->counter_put = db_prepare(c->db, "UPDATE counter SET next_pack=?");
}

/* Pack numbers grow by one a pack, so this bounds memory, not honest use. */
#define NUMBER_MAX (UINT32_C(1) << 28)

static void
table_grow(struct catalog *c, uint32_t n)
{
	while (c->packs.n < n) {
		array_reserve(c->packs.ids, c->packs.n, c->packs.cap);
		memset(&c->packs.ids[c->packs.n++], 0, sizeof *c->packs.ids);
	}
}

static int
load_section(struct catalog *c, struct db_stmt *s)
{
	struct slice class_name = db_bytes(s, 1);
	struct slice id = db_bytes(s, 2);
	struct catalog_section *x;
	int64_t number = db_int(s, 0);

	if (number < 1 || number >= NUMBER_MAX || id.len != sizeof(struct pack_id) ||
	    class_name.len > CLASS_NAME_MAX)
		return ERR_CORRUPT;
	array_reserve(c->sections, c->n_sections, c->cap_sections);
	x = &c->sections[c->n_sections++];
	*x = (struct catalog_section){.number = (uint32_t)number};
	memcpy(x->class_name, class_name.p, class_name.len);
	memcpy(&x->place.id, id.p, id.len);
	x->place.object_len = (uint64_t)db_int(s, 3);
	x->place.header_len = (uint32_t)db_int(s, 4);
	x->place.ordinal = (uint32_t)db_int(s, 5);
	x->place.data_off = (uint64_t)db_int(s, 6);
	x->place.data_len = (uint64_t)db_int(s, 7);
	x->place.tree_len = (uint64_t)db_int(s, 8);
	table_grow(c, x->number + 1);
	c->packs.ids[x->number] = x->place.id;
	return 0;
}

static int
load(struct catalog *c, struct err *err)
{
	struct db_stmt *s = db_prepare(c->db, "SELECT * FROM pack ORDER BY number, class");
	int r;

	pack_table_init(&c->packs, NULL);
	while ((r = db_step(s, err)) == 1)
		if (load_section(c, s) < 0)
			return err_set(err, ERR_CORRUPT, "the catalog's pack table makes no sense");
	db_reset(s);
	if (r < 0)
		return r;
	s = db_prepare(c->db, "SELECT next_pack, EXISTS(SELECT 1 FROM chunk) FROM counter");
	r = db_step(s, err);
	if (r == 1) {
		int64_t next = db_int(s, 0);

		if (next < 1 || next >= NUMBER_MAX)
			return err_set(err, ERR_CORRUPT, "the catalog's counter makes no sense");
		table_grow(c, (uint32_t)next);
		c->has_chunks = db_int(s, 1) != 0;
	}
	db_reset(s);
	return r < 0 ? r : 0;
}

static int
open_db(struct catalog *c, const char *path, struct err *err)
{
	int r = db_open(path, schema, CATALOG_VERSION, &c->db, err);

	if (r == 0)
		r = db_exec(c->db, later_schema, err);
	if (r == 0)
		r = load(c, err);
	if (r < 0)
		return r;
	prepare(c);
	return 0;
}

static void
put_aside(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		CLEANUP(freep) char *from = str_format("%s%s", path, suffixes[i]);
		CLEANUP(freep) char *to = str_format("%s.damaged%s", path, suffixes[i]);

		(void)rename(from, to); /* the -wal and -shm needn't exist */
	}
}

int
catalog_open(const char *state, const struct repo_id *repo, const struct writer_id *writer,
	     struct catalog **ret, char **ret_note, struct err *err)
{
	CLEANUP(catalog_closep) struct catalog *c = mem_alloc(sizeof *c);
	CLEANUP(freep) char *folder = str_format("%s/catalog", state);
	CLEANUP(freep)
	char *base = str_format("%s/%s-%s", folder, hex_bytes(repo, sizeof *repo).s,
				hex_bytes(writer, sizeof *writer).s);
	CLEANUP(freep) char *lock_path = str_format("%s.lock", base);
	CLEANUP(freep) char *path = str_format("%s.db", base);
	int r;

	*ret = NULL;
	*ret_note = NULL;
	c->lock_fd = -1;
	r = dir_make(folder, err);
	if (r < 0)
		return r;
	r = lock(lock_path, &c->lock_fd, err);
	if (r < 0)
		return r;
	r = open_db(c, path, err);
	if (r == ERR_CORRUPT) {
		*ret_note = str_format(
			"%s was damaged and is now %s.damaged; everything is stored afresh", path,
			path);
		db_close(c->db);
		free(c->sections);
		pack_table_fini(&c->packs);
		*c = (struct catalog){.lock_fd = c->lock_fd};
		put_aside(path);
		r = open_db(c, path, err);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(&c);
	return 0;
}

void
catalog_close(struct catalog *c)
{
	if (c == NULL)
		return;
	db_close(c->db);
	pack_table_fini(&c->packs);
	free(c->sections);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	free(c);
}

const struct pack_table *
catalog_packs(const struct catalog *c)
{
	return &c->packs;
}

const struct catalog_section *
catalog_section_find(const struct catalog *c, uint32_t number, const char *class_name)
{
	size_t lo = 0, hi = c->n_sections;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->sections[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < c->n_sections && c->sections[lo].number == number; lo++)
		if (strcmp(c->sections[lo].class_name, class_name) == 0)
			return &c->sections[lo];
	return NULL;
}

/* ---- what the store no longer holds ---- */

static int
drop_pack(struct catalog *c, uint32_t number, struct err *err)
{
	static const char *const statements[] = {"DELETE FROM pack WHERE number=?",
						 "DELETE FROM chunk WHERE pack=?"};

	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		struct db_stmt *s = db_prepare(c->db, statements[i]);
		int r;

		db_bind_int(s, 1, number);
		r = db_run(s, err);
		if (r < 0)
			return r;
	}
	memset(&c->packs.ids[number], 0, sizeof *c->packs.ids);
	return 0;
}

/* Whether a pack was on its way when a run was broken off: nothing but its chunks tells of it. */
static int
was_coming(struct catalog *c, uint32_t number, bool *ret, struct err *err)
{
	struct db_stmt *s = db_prepare(c->db, "SELECT 1 FROM coming WHERE number=?");
	int r;

	db_bind_int(s, 1, number);
	r = db_step(s, err);
	*ret = r == 1;
	db_reset(s);
	return r < 0 ? r : 0;
}

int
catalog_keep_only(struct catalog *c, catalog_present_fn *present, void *arg, size_t *ret_dropped,
		  struct err *err)
{
	size_t kept = 0;
	uint32_t last = 0;
	int r;

	*ret_dropped = 0;
	r = catalog_begin(c, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_sections; i++) {
		struct catalog_section *s = &c->sections[i];
		bool coming;

		if (present(arg, &s->place.id, s->place.object_len)) {
			c->sections[kept++] = *s;
			continue;
		}
		r = was_coming(c, s->number, &coming, err);
		if (r < 0)
			goto fail;
		if (s->number != last && !coming)
			++*ret_dropped;
		last = s->number;
		r = drop_pack(c, s->number, err);
		if (r < 0)
			goto fail;
	}
	c->n_sections = kept;
	/* Any node may reach what was dropped; they are cheap to make again. */
	r = *ret_dropped > 0 ? db_exec(c->db, "DELETE FROM node; DELETE FROM dir;", err) : 0;
	if (r == 0)
		r = db_exec(c->db, "DELETE FROM coming;", err);
	if (r < 0)
		goto fail;
	return catalog_commit(c, err);
fail:
	catalog_abort(c);
	return r;
}

/* ---- finding ---- */

static void
segment_columns(struct db_stmt *s, struct segment_ref *seg, uint32_t *off, uint32_t *len)
{
	seg->pack = (uint32_t)db_int(s, 0);
	seg->off = (uint64_t)db_int(s, 1);
	seg->stored_len = (uint32_t)db_int(s, 2);
	seg->plain_len = (uint32_t)db_int(s, 3);
	*off = (uint32_t)db_int(s, 4);
	*len = (uint32_t)db_int(s, 5);
}

/* Whether a number read from the database is one of ours: rows may be rotten. */
static bool
known(const struct catalog *c, const struct segment_ref *seg, uint32_t off, uint32_t len)
{
	return seg->pack >= 1 && seg->pack < c->packs.n && seg->stored_len > 0 &&
	       off <= seg->plain_len && len <= seg->plain_len - off;
}

int
catalog_chunk_find(struct catalog *c, const struct chunk_id *id, struct catalog_chunk *ret,
		   struct err *err)
{
	int r;

	if (!c->has_chunks)
		return ERR_NOENT;
	db_bind_bytes(c->chunk_find, 1, id, sizeof *id);
	r = db_step(c->chunk_find, err);
	if (r == 1) {
		ret->id = *id;
		segment_columns(c->chunk_find, &ret->seg, &ret->off, &ret->len);
		if (!known(c, &ret->seg, ret->off, ret->len))
			r = 0;
	}
	db_reset(c->chunk_find);
	return r == 1 ? 0 : r == 0 ? ERR_NOENT : r;
}

static bool
reach_parse(const struct catalog *c, struct slice bytes, struct pack_set *ret)
{
	if (bytes.len % 4 != 0)
		return false;
	for (size_t i = 0; i < bytes.len; i += 4) {
		uint32_t v = bytes.p[i] | (uint32_t)bytes.p[i + 1] << 8 |
			     (uint32_t)bytes.p[i + 2] << 16 | (uint32_t)bytes.p[i + 3] << 24;

		if (v < 1 || v >= c->packs.n)
			return false;
		pack_set_add(ret, v);
	}
	return true;
}

int
catalog_node_find(struct catalog *c, const struct hash *logical_id, struct catalog_node *ret,
		  struct err *err)
{
	struct db_stmt *s = c->node_find;
	int r;

	*ret = (struct catalog_node){.logical_id = *logical_id};
	db_bind_bytes(s, 1, logical_id, sizeof *logical_id);
	r = db_step(s, err);
	if (r == 1) {
		segment_columns(s, &ret->ref.seg, &ret->ref.off, &ret->ref.len);
		if (!known(c, &ret->ref.seg, ret->ref.off, ret->ref.len) ||
		    !reach_parse(c, db_bytes(s, 6), &ret->reach)) {
			pack_set_fini(&ret->reach);
			r = 0;
		}
	}
	db_reset(s);
	return r == 1 ? 0 : r == 0 ? ERR_NOENT : r;
}

int
catalog_dir_find(struct catalog *c, struct slice path, struct buf *ret, struct err *err)
{
	int r;

	buf_reset(ret);
	db_bind_bytes(c->dir_find, 1, path.p, path.len);
	r = db_step(c->dir_find, err);
	if (r == 1) {
		struct slice record = db_bytes(c->dir_find, 0);

		buf_append(ret, record.p, record.len);
	}
	db_reset(c->dir_find);
	return r == 1 ? 0 : r == 0 ? ERR_NOENT : r;
}

/* ---- putting ---- */

uint32_t
catalog_reserve_pack(struct catalog *c)
{
	uint32_t number = c->packs.n;

	table_grow(c, number + 1);
	return number;
}

void
catalog_name_pack(struct catalog *c, uint32_t number, const struct pack_id *id)
{
	c->packs.ids[number] = *id;
}

int
catalog_begin(struct catalog *c, struct err *err)
{
	return db_exec(c->db, "BEGIN IMMEDIATE", err);
}

int
catalog_commit(struct catalog *c, struct err *err)
{
	int r;

	db_bind_int(c->counter_put, 1, c->packs.n);
	r = db_run(c->counter_put, err);
	if (r == 0)
		r = db_exec(c->db, "COMMIT", err);
	if (r < 0)
		catalog_abort(c);
	return r;
}

void
catalog_abort(struct catalog *c)
{
	if (db_exec(c->db, "ROLLBACK", NULL) < 0)
		log_write(LOG_WARN, "the catalog's transaction could not be rolled back");
}

int
catalog_put_section(struct catalog *c, const struct catalog_section *s, struct err *err)
{
	struct db_stmt *q = c->section_put;
	size_t at = c->n_sections;

	db_bind_int(q, 1, s->number);
	db_bind_bytes(q, 2, s->class_name, strlen(s->class_name));
	db_bind_bytes(q, 3, &s->place.id, sizeof s->place.id);
	db_bind_int(q, 4, (int64_t)s->place.object_len);
	db_bind_int(q, 5, s->place.header_len);
	db_bind_int(q, 6, s->place.ordinal);
	db_bind_int(q, 7, (int64_t)s->place.data_off);
	db_bind_int(q, 8, (int64_t)s->place.data_len);
	db_bind_int(q, 9, (int64_t)s->place.tree_len);
	array_reserve(c->sections, c->n_sections, c->cap_sections);
	/* They come nearly in order: several packs are stored at a time. */
	for (; at > 0 && c->sections[at - 1].number > s->number; at--)
		c->sections[at] = c->sections[at - 1];
	c->sections[at] = *s;
	c->n_sections++;
	return db_run(q, err);
}

int
catalog_put_coming(struct catalog *c, uint32_t number, struct err *err)
{
	db_bind_int(c->coming_put, 1, number);
	return db_run(c->coming_put, err);
}

int
catalog_put_arrived(struct catalog *c, uint32_t number, struct err *err)
{
	db_bind_int(c->coming_end, 1, number);
	return db_run(c->coming_end, err);
}

static void
bind_segment(struct db_stmt *q, const struct segment_ref *seg, uint32_t off, uint32_t len)
{
	db_bind_int(q, 2, seg->pack);
	db_bind_int(q, 3, (int64_t)seg->off);
	db_bind_int(q, 4, seg->stored_len);
	db_bind_int(q, 5, seg->plain_len);
	db_bind_int(q, 6, off);
	db_bind_int(q, 7, len);
}

int
catalog_put_chunk(struct catalog *c, const struct catalog_chunk *chunk, struct err *err)
{
	c->has_chunks = true;
	db_bind_bytes(c->chunk_put, 1, &chunk->id, sizeof chunk->id);
	bind_segment(c->chunk_put, &chunk->seg, chunk->off, chunk->len);
	return db_run(c->chunk_put, err);
}

int
catalog_put_node(struct catalog *c, const struct catalog_node *node, struct err *err)
{
	CLEANUP(buf_fini) struct buf reach = BUF_INIT;

	for (size_t i = 0; i < node->reach.n; i++)
		buf_append_u32le(&reach, node->reach.v[i]);
	db_bind_bytes(c->node_put, 1, &node->logical_id, sizeof node->logical_id);
	bind_segment(c->node_put, &node->ref.seg, node->ref.off, node->ref.len);
	db_bind_bytes(c->node_put, 8, reach.p, reach.len);
	return db_run(c->node_put, err);
}

int
catalog_put_dir(struct catalog *c, struct slice path, struct slice record, struct err *err)
{
	db_bind_bytes(c->dir_put, 1, path.p, path.len);
	db_bind_bytes(c->dir_put, 2, record.p, record.len);
	return db_run(c->dir_put, err);
}
