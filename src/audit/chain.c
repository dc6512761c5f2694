/*
 * chain.c - the SQLite file: appending to the chain, and signing its head.
 *
 * Whoever appends reads the latest entry inside the same transaction, so several processes may
 * append to one file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static const char schema[] =
	"CREATE TABLE log(id BLOB NOT NULL);"
	"CREATE TABLE entry(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, session INTEGER NOT "
	"NULL,"
	" number INTEGER NOT NULL, kind TEXT NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, program TEXT NOT NULL, snapshot TEXT NOT NULL, path TEXT NOT NULL,"
	" bytes INTEGER NOT NULL, ended INTEGER NOT NULL, result TEXT NOT NULL,"
	" detail TEXT NOT NULL, about INTEGER NOT NULL, case_ref TEXT NOT NULL,"
	" reason TEXT NOT NULL, hash BLOB NOT NULL);"
	"CREATE INDEX sessions ON entry(kind) WHERE kind IN ('start', 'stop', 'lost');"
	"CREATE TABLE head(seq INTEGER NOT NULL, object BLOB NOT NULL);"
	"CREATE INDEX heads ON head(seq);"
	"INSERT INTO log VALUES(randomblob(16));";

static char *
file_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return str_format("%s/%s", path, AUDIT_FILE);
	return str_copy(path);
}

static int
read_id(struct chain *l, struct err *err)
{
	struct db_stmt *s;
	struct slice id = {0};
	int r = db_prepare_foreign(l->db, "SELECT id FROM log", &s, err);

	if (r < 0)
		return r;
	r = db_step(s, err);
	if (r == 1)
		id = db_bytes(s, 0);
	if (r >= 0 && id.len != sizeof l->id)
		r = err_set(err, ERR_CORRUPT, "%s is no access log: it has no id", l->path);
	else if (r >= 0)
		memcpy(l->id, id.p, sizeof l->id);
	db_reset(s);
	return r < 0 ? r : 0;
}

static int
prepare(struct chain *l, struct err *err)
{
	int r = read_id(l, err);

	if (r == 0)
		r = db_prepare_foreign(l->db,
				       "INSERT INTO entry(" ENTRY_COLUMNS
				       ") VALUES(?, ?, ?, ?, ?, ?, "
				       "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				       &l->insert, err);
	if (r == 0)
		r = db_prepare_foreign(l->db,
				       "SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1",
				       &l->tail, err);
	if (r == 0)
		r = db_prepare_foreign(l->db, "INSERT INTO head(seq, object) VALUES(?, ?)",
				       &l->insert_head, err);
	return r;
}

int
chain_open(const struct audit_options *options, struct chain *ret, struct err *err)
{
	struct chain l = {.path = file_of(options->path), .signer = options->signer};
	int r;

	*ret = (struct chain){0};
	if (options->state != NULL)
		l.state = str_copy(options->state);
	r = db_open(l.path, schema, AUDIT_VERSION, &l.db, err);
	if (r == 0)
		r = prepare(&l, err);
	if (r < 0) {
		chain_close(&l);
		return err_add(err, r, "access log");
	}
	*ret = l;
	return 0;
}

void
chain_close(struct chain *l)
{
	db_close(l->db);
	buf_fini(&l->scratch);
	free(l->path);
	free(l->state);
	*l = (struct chain){0};
}

/* ---- appending */

/* The latest entry of the file, whoever wrote it. */
static int
read_tail(struct chain *l, struct audit_head *ret, struct err *err)
{
	int r = db_step(l->tail, err);

	if (r == 1) {
		struct slice hash = db_bytes(l->tail, 1);

		ret->seq = (uint64_t)db_int(l->tail, 0);
		if (hash.len == sizeof ret->hash.b)
			memcpy(ret->hash.b, hash.p, sizeof ret->hash.b);
	} else if (r == 0) {
		ret->seq = 0;
		audit_entry_genesis(l->id, &ret->hash);
	}
	db_reset(l->tail);
	return r < 0 ? r : 0;
}

static int
insert_all(struct chain *l, size_t n, chain_next_fn *next, void *arg, struct audit_head *head,
	   struct err *err)
{
	int r = read_tail(l, head, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct audit_entry e;

		next(arg, &e);
		e.seq = ++head->seq;
		if (e.session == 0)
			e.session = e.seq;
		audit_entry_hash(&head->hash, &e, &l->scratch, &e.hash);
		head->hash = e.hash;
		audit_entry_bind(l->insert, &e);
		r = db_run(l->insert, err);
	}
	return r;
}

int
chain_append(struct chain *l, size_t n, chain_next_fn *next, void *arg, struct err *err)
{
	struct audit_head head = {0};
	int r;

	r = db_exec(l->db, "BEGIN IMMEDIATE", err);
	if (r < 0)
		return r;
	r = insert_all(l, n, next, arg, &head, err);
	if (r == 0)
		r = db_exec(l->db, "COMMIT", err);
	if (r < 0) {
		(void)!db_exec(l->db, "ROLLBACK", NULL); /* SQLite may have done so itself */
		return r;
	}
	l->latest.seq = head.seq;
	l->latest.hash = head.hash;
	l->unsynced = true;
	return 0;
}

/* Beside SQLite's own descriptor; its locks are on other files. */
static int
sync_writes(const struct chain *l, struct err *err)
{
	CLEANUP(freep) char *wal = str_format("%s-wal", l->path);
	CLEANUP(closep) int fd = open(wal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 ? errno != ENOENT : fdatasync(fd) < 0)
		return err_sys(err, "%s", wal);
	return 0;
}

int
chain_sync(struct chain *l, struct err *err)
{
	int r;

	if (!l->unsynced)
		return 0;
	/* A checkpoint syncs only what it may move: nothing, while somebody reads the log. */
	r = sync_writes(l, err);
	if (r == 0)
		r = db_exec(l->db, "PRAGMA wal_checkpoint(PASSIVE)", err);
	if (r == 0)
		l->unsynced = false;
	return r;
}

int
chain_sign(struct chain *l, struct err *err)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct audit_head head = l->latest;
	int r;

	if (head.seq == l->signed_seq)
		return chain_sync(l, err);
	head.time = time_now();
	memcpy(head.log, l->id, sizeof head.log);
	audit_head_encode(&head, l->signer, &object);
	db_bind_int(l->insert_head, 1, (int64_t)head.seq);
	db_bind_bytes(l->insert_head, 2, object.p, object.len);
	r = db_run(l->insert_head, err);
	if (r < 0)
		return r;
	l->signed_seq = head.seq;
	l->unsynced = true;
	r = chain_sync(l, err);
	if (r == 0 && l->state != NULL)
		r = audit_pin_write(l->state, &head, buf_slice(&object), l->broken, err);
	if (r == 0)
		l->broken = false;
	return r;
}
