/*
 * worker.c - a worker: SQLite on one side, the socket on the other.
 *
 * Bytes of the database come one range at a time, for readers that go forward a window at a time.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "internal.h"

#define WINDOW_LEN (64u * KIB)
#define NEAR_LEN   (16u * KIB) /* that far ahead of the last read is still forward */
#define ROWS_LEN   (64u * KIB) /* of rows in a message, when they are small */
#define MEMORY_MAX (256u * MIB)

/* One file of a database, at the other end of the socket. */
struct remote {
	struct worker *worker;
	uint8_t database, file;
	uint64_t size;
	uint64_t forward; /* where the last read ended */
	uint8_t *window;
	uint64_t window_off;
	size_t window_len;
};

struct worker {
	int fd;
	struct db_read *db;
	struct remote remotes[DB_READ_FILES_MAX][WIRE_FILES];
	struct buf in, out;
};

/* ---- the socket ------------------------------------------------------------------------ */

static void
send_out(struct worker *w)
{
	wire_finish(&w->out);
	if (fd_write_full(w->fd, w->out.p, w->out.len) < 0)
		_exit(0);
}

static void
receive(struct worker *w, void *p, size_t len)
{
	if (fd_read_full(w->fd, p, len) != (ssize_t)len)
		_exit(0);
}

/* The next message's kind; its bytes are in w->in. */
static uint8_t
next_message(struct worker *w)
{
	uint8_t header[WIRE_HEADER];
	struct wire_rd rd = wire_rd_init(slice_of(header, sizeof header));
	uint8_t kind;
	uint32_t len;

	receive(w, header, sizeof header);
	kind = wire_u8(&rd);
	len = wire_u32(&rd);
	if (len > WIRE_MESSAGE_MAX)
		_exit(1);
	buf_reset(&w->in);
	receive(w, buf_extend(&w->in, len), len);
	return kind;
}

static void
send_error(struct worker *w, const struct err *err)
{
	wire_begin(&w->out, WIRE_ERROR);
	buf_append_u32le(&w->out, (uint32_t)-err->code);
	buf_append_str(&w->out, err->msg);
	send_out(w);
}

static void
send_done(struct worker *w)
{
	wire_begin(&w->out, WIRE_DONE);
	send_out(w);
}

/* ---- bytes of the database ------------------------------------------------------------- */

static int
fetch(struct remote *f, uint64_t off, void *p, size_t len, struct err *err)
{
	struct worker *w = f->worker;
	CLEANUP(buf_fini) struct buf rows = BUF_INIT;

	/* A message with rows may be half written. */
	buf_move(&rows, &w->out);
	wire_begin(&w->out, WIRE_READ);
	buf_append_u8(&w->out, f->database);
	buf_append_u8(&w->out, f->file);
	buf_append_u64le(&w->out, off);
	buf_append_u32le(&w->out, (uint32_t)len);
	send_out(w);
	buf_move(&w->out, &rows);
	if (next_message(w) != WIRE_DATA || w->in.len != len)
		return err_set(err, ERR_IO, "a part of the database could not be read");
	memcpy(p, w->in.p, len);
	return 0;
}

static bool
from_window(const struct remote *f, uint64_t off, void *p, size_t len)
{
	if (off < f->window_off || off - f->window_off > f->window_len ||
	    len > f->window_len - (off - f->window_off))
		return false;
	memcpy(p, f->window + (off - f->window_off), len);
	return true;
}

static int
fill_window(struct remote *f, uint64_t off, struct err *err)
{
	size_t len = (size_t)min_u64(WINDOW_LEN, f->size - off);
	int r;

	if (f->window == NULL)
		f->window = mem_alloc(WINDOW_LEN);
	f->window_len = 0;
	r = fetch(f, off, f->window, len, err);
	if (r < 0)
		return r;
	f->window_off = off;
	f->window_len = len;
	return 0;
}

static int
remote_read(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	struct remote *f = arg;
	bool forward = off >= f->forward && off - f->forward <= NEAR_LEN && off > 0;
	uint8_t *to = p;
	int r = 0;

	f->forward = off + len;
	if (from_window(f, off, p, len))
		return 0;
	if (forward && len < WINDOW_LEN) {
		r = fill_window(f, off, err);
		if (r == 0 && from_window(f, off, p, len))
			return 0;
	}
	while (r == 0 && len > 0) {
		size_t n = (size_t)min_u64(len, WIRE_READ_MAX);

		r = fetch(f, off, to, n, err);
		off += n;
		to += n;
		len -= n;
	}
	return r;
}

static struct db_source
open_remote(struct worker *w, uint8_t database, enum wire_file file, uint64_t size)
{
	struct remote *f = &w->remotes[database][file];

	*f = (struct remote){.worker = w,
			     .database = database,
			     .file = (uint8_t)file,
			     .size = size};
	return (struct db_source){size, remote_read, f};
}

/* ---- requests -------------------------------------------------------------------------- */

static int
open_database(struct worker *w, struct wire_rd rd, struct err *err)
{
	struct db_files files[DB_READ_FILES_MAX] = {0};
	struct db_limits limits = {.memory = MEMORY_MAX};
	uint8_t n = wire_u8(&rd);

	if (n == 0 || n > DB_READ_FILES_MAX)
		return err_set(err, ERR_INVALID, "a message that makes no sense");
	for (uint8_t i = 0; i < n; i++) {
		files[i].main = open_remote(w, i, WIRE_MAIN, wire_u64(&rd));
		files[i].wal = open_remote(w, i, WIRE_WAL, wire_u64(&rd));
		files[i].journal = open_remote(w, i, WIRE_JOURNAL, wire_u64(&rd));
	}
	limits.value = wire_u32(&rd);
	return db_read_open(files, n, &limits, &w->db, err);
}

static void
send_columns(struct worker *w, unsigned n)
{
	wire_begin(&w->out, WIRE_COLUMNS);
	buf_append_u32le(&w->out, n);
	for (unsigned i = 0; i < n; i++) {
		struct slice name = db_read_column_name(w->db, i);

		buf_append_lp(&w->out, name.p, name.len);
	}
	send_out(w);
}

static int
put_row(struct worker *w, unsigned n, struct err *err)
{
	for (unsigned i = 0; i < n; i++) {
		struct db_value v = db_read_value(w->db, i);

		if (v.b.len > WIRE_MESSAGE_MAX / 2 || w->out.len + v.b.len > WIRE_MESSAGE_MAX - KIB)
			return err_set(err, ERR_NOSPACE, "a row is larger than allowed here");
		wire_put_value(&w->out, &v);
	}
	return 0;
}

static int
send_rows(struct worker *w, unsigned n, struct err *err)
{
	int r;

	wire_begin(&w->out, WIRE_ROWS);
	while ((r = db_read_step(w->db, err)) == 1) {
		r = put_row(w, n, err);
		if (r < 0)
			return r;
		if (w->out.len >= ROWS_LEN) {
			send_out(w);
			wire_begin(&w->out, WIRE_ROWS);
		}
	}
	if (r == 0 && w->out.len > WIRE_HEADER)
		send_out(w);
	return r;
}

static int
query(struct worker *w, struct wire_rd rd, struct err *err)
{
	struct db_value params[64];
	unsigned deadline_ms = wire_u32(&rd);
	struct slice sql = wire_bytes(&rd);
	uint32_t n = wire_u32(&rd);
	unsigned n_columns;
	int r;

	if (n > ARRAY_LEN(params))
		return err_set(err, ERR_UNSUPPORTED, "more than %zu parameters", ARRAY_LEN(params));
	for (uint32_t i = 0; i < n; i++)
		params[i] = wire_value(&rd);
	if (!rd.ok || w->db == NULL)
		return err_set(err, ERR_INVALID, "a message that makes no sense");
	/* What the message holds is copied before the first page is asked for. */
	r = db_read_start(w->db, sql, params, n, deadline_ms, err);
	if (r < 0)
		return r;
	n_columns = db_read_columns(w->db);
	send_columns(w, n_columns);
	return send_rows(w, n_columns, err);
}

_Noreturn void
worker_main(int fd)
{
	struct worker *w = mem_alloc(sizeof *w);
	CLEANUP(buf_fini) struct buf message = BUF_INIT;
	struct err refused = ERR_INIT;

	w->fd = fd;
	if (!cage_enter(fd)) {
		(void)err_set(&refused, ERR_UNSUPPORTED,
			      "this kernel or processor can't lock in the process that reads "
			      "databases (seccomp), so none is read");
		send_error(w, &refused);
		_exit(1);
	}
	for (;;) {
		struct err err = ERR_INIT;
		uint8_t kind = next_message(w);
		int r;

		buf_move(&message, &w->in);
		if (kind == WIRE_OPEN && w->db == NULL)
			r = open_database(w, wire_rd_init(buf_slice(&message)), &err);
		else if (kind == WIRE_QUERY)
			r = query(w, wire_rd_init(buf_slice(&message)), &err);
		else
			_exit(1);
		if (r < 0)
			send_error(w, &err);
		else
			send_done(w);
	}
}
