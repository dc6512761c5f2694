/*
 * link.c - this side of a worker's socket: hands out bytes of the database, takes rows.
 *
 * What comes from a worker is as hostile as the database: it may have been taken over.  It can lie
 * about rows, as the database itself can, and it can ask for any part of the database; nothing
 * else.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define RECEIVE_LEN      (64u * KIB)
#define VALUE_DEFAULT    (32u * MIB)
#define DEADLINE_DEFAULT 30000u
#define GRACE_MS         5000u /* for a worker to notice by itself that it is late */
#define COLUMNS_MAX      4096u

/* ---- the worker's end ------------------------------------------------------------------ */

static void
end_worker(struct records_db *db)
{
	db->dead = true;
	if (db->fd >= 0)
		host_kill(db->host, db->worker);
	closep(&db->fd);
	db->fd = -1;
}

static int
crashed(struct records_db *db, struct err *err)
{
	end_worker(db);
	return err_set(err, ERR_IO,
		       "the process that read the database ended unexpectedly; the database may be "
		       "damaged on purpose");
}

static int
nonsense(struct records_db *db, struct err *err)
{
	end_worker(db);
	return err_set(err, ERR_CORRUPT,
		       "the process that read the database answered nonsense and was ended");
}

static int
late(struct records_db *db, struct err *err)
{
	end_worker(db);
	return err_set(err, ERR_UNREACHABLE, "the database was not read within the time allowed");
}

/* ---- messages -------------------------------------------------------------------------- */

/* Waits until the socket can do something.  @until_ms: 0: for ever. */
static int
wait_for(struct records_db *db, short events, uint64_t until_ms, struct err *err)
{
	struct pollfd p = {.fd = db->fd, .events = events};

	for (;;) {
		uint64_t now = time_monotonic_ms();
		int timeout = -1, n;

		if (until_ms != 0) {
			if (now >= until_ms)
				return late(db, err);
			timeout = (int)min_u64(until_ms - now, INT32_MAX);
		}
		n = poll(&p, 1, timeout);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return crashed(db, err);
	}
}

static int
send_out(struct records_db *db, uint64_t until_ms, struct err *err)
{
	size_t sent = 0;

	wire_finish(&db->out);
	while (sent < db->out.len) {
		ssize_t n = send(db->fd, db->out.p + sent, db->out.len - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return crashed(db, err);
		r = wait_for(db, POLLOUT, until_ms, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* At least @len received bytes that are not yet used. */
static int
receive(struct records_db *db, size_t len, uint64_t until_ms, struct err *err)
{
	while (db->in.len - db->in_off < len) {
		ssize_t n;
		int r;

		if (db->in_off > 0) {
			memmove(db->in.p, db->in.p + db->in_off, db->in.len - db->in_off);
			db->in.len -= db->in_off;
			db->in_off = 0;
		}
		buf_reserve(&db->in, RECEIVE_LEN);
		n = recv(db->fd, db->in.p + db->in.len, db->in.cap - db->in.len, MSG_DONTWAIT);
		if (n > 0) {
			db->in.len += (size_t)n;
			continue;
		}
		if (n == 0)
			return crashed(db, err);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return crashed(db, err);
		r = wait_for(db, POLLIN, until_ms, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* @ret: borrowed until the next message. */
static int
next_message(struct records_db *db, uint64_t until_ms, uint8_t *ret_kind, struct slice *ret,
	     struct err *err)
{
	struct wire_rd rd;
	uint32_t len;
	int r;

	r = receive(db, WIRE_HEADER, until_ms, err);
	if (r < 0)
		return r;
	rd = wire_rd_init(slice_of(db->in.p + db->in_off, WIRE_HEADER));
	*ret_kind = wire_u8(&rd);
	len = wire_u32(&rd);
	if (len > WIRE_MESSAGE_MAX)
		return nonsense(db, err);
	r = receive(db, WIRE_HEADER + (size_t)len, until_ms, err);
	if (r < 0)
		return r;
	*ret = slice_of(db->in.p + db->in_off + WIRE_HEADER, len);
	db->in_off += WIRE_HEADER + (size_t)len;
	return 0;
}

/* ---- bytes of the database ------------------------------------------------------------- */

static struct tree_file *
file_of(const struct records_files *f, uint8_t which)
{
	switch (which) {
	case WIRE_MAIN:
		return f->main;
	case WIRE_WAL:
		return f->wal;
	case WIRE_JOURNAL:
		return f->journal;
	default:
		return NULL;
	}
}

static uint64_t
size_of(const struct records_files *f, enum wire_file which)
{
	struct tree_file *file = file_of(f, (uint8_t)which);

	return file != NULL ? tree_file_size(file) : 0;
}

static int
read_range(struct tree_file *file, uint64_t off, uint8_t *p, size_t len, struct err *err)
{
	size_t got;

	for (; len > 0; off += got, p += got, len -= got) {
		int r = tree_file_read(file, off, p, len, &got, err);

		if (r < 0)
			return r;
		if (got == 0)
			return err_set(err, ERR_CORRUPT, "the content ends before the file's size");
	}
	return 0;
}

static int
answer_read(struct records_db *db, struct slice message, uint64_t until_ms, struct err *err)
{
	struct wire_rd rd = wire_rd_init(message);
	uint8_t database = wire_u8(&rd), which = wire_u8(&rd);
	uint64_t off = wire_u64(&rd), size;
	uint32_t len = wire_u32(&rd);
	struct tree_file *file = NULL;
	struct err why = ERR_INIT;

	if (rd.ok && database < db->n_files)
		file = file_of(&db->files[database], which);
	size = file != NULL ? tree_file_size(file) : 0;
	if (len == 0 || len > WIRE_READ_MAX || off > size || len > size - off)
		return nonsense(db, err);
	if (db->limits.on_read != NULL && file == db->files[0].main)
		db->limits.on_read(db->limits.on_read_arg, off, len);

	wire_begin(&db->out, WIRE_DATA);
	if (read_range(file, off, buf_extend(&db->out, len), len, &why) < 0) {
		wire_begin(&db->out, WIRE_LOST);
		if (db->read_failure.code == 0)
			db->read_failure = why;
	}
	return send_out(db, until_ms, err);
}

/* ---- what a worker answers ------------------------------------------------------------- */

static int
take_columns(struct records_db *db, struct slice message, struct err *err)
{
	struct wire_rd rd;
	uint32_t n;

	/* Who takes rows relies on their having one width. */
	if (db->n_columns > 0)
		return nonsense(db, err);
	buf_reset(&db->names_text);
	buf_append(&db->names_text, message.p, message.len);
	rd = wire_rd_init(buf_slice(&db->names_text));
	n = wire_u32(&rd);
	if (n > COLUMNS_MAX)
		return nonsense(db, err);
	db->names = mem_grow(db->names, n + 1, sizeof *db->names);
	db->values = mem_grow(db->values, n + 1, sizeof *db->values);
	db->n_columns = n;
	for (uint32_t i = 0; i < n; i++)
		db->names[i] = wire_bytes(&rd);
	return rd.ok ? 0 : nonsense(db, err);
}

static int
take_rows(struct records_db *db, struct slice message, records_row_fn *fn, void *arg,
	  struct err *err)
{
	struct wire_rd rd = wire_rd_init(message);
	const struct records_row row = {db->names, db->values, db->n_columns};

	if (db->n_columns == 0)
		return nonsense(db, err);
	while (rd.p < rd.end) {
		int r;

		for (unsigned i = 0; i < db->n_columns; i++)
			db->values[i] = wire_value(&rd);
		if (!rd.ok)
			return nonsense(db, err);
		r = fn(arg, &row, err);
		if (r < 0) {
			end_worker(db); /* it would go on sending */
			return r;
		}
	}
	return 0;
}

static int
take_error(struct records_db *db, struct slice message, struct err *err)
{
	struct wire_rd rd = wire_rd_init(message);
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	uint32_t code = wire_u32(&rd);

	if (db->read_failure.code != 0)
		return err_set(err, db->read_failure.code, "%s", db->read_failure.msg);
	if (!rd.ok || code == 0 || code > (uint32_t)-ERR_NOSPACE)
		return nonsense(db, err);
	text_append_safe(&text,
			 slice_of(rd.p, min_u64((size_t)(rd.end - rd.p), ERR_MESSAGE_MAX / 2)));
	return err_set(err, -(int)code, "%s", buf_cstr(&text));
}

/* Serves the worker until it is done. */
static int
attend(struct records_db *db, uint64_t until_ms, records_row_fn *fn, void *arg, struct err *err)
{
	struct slice message;
	uint8_t kind;
	int r;

	for (;;) {
		r = next_message(db, until_ms, &kind, &message, err);
		if (r < 0)
			return r;
		if (kind == WIRE_DONE)
			return 0;
		if (kind == WIRE_ERROR)
			return take_error(db, message, err);
		if (kind == WIRE_READ)
			r = answer_read(db, message, until_ms, err);
		else if (kind == WIRE_COLUMNS && fn != NULL)
			r = take_columns(db, message, err);
		else if (kind == WIRE_ROWS && fn != NULL)
			r = take_rows(db, message, fn, arg, err);
		else
			r = nonsense(db, err);
		if (r < 0)
			return r;
	}
}

/* Sends what is in db->out and serves until the answer. */
static int
ask(struct records_db *db, records_row_fn *fn, void *arg, struct err *err)
{
	unsigned limit = db->limits.deadline_ms;
	uint64_t until_ms =
		limit == RECORDS_NO_DEADLINE ? 0 : time_monotonic_ms() + limit + GRACE_MS;
	int r;

	db->read_failure = ERR_INIT;
	db->n_columns = 0;
	r = send_out(db, until_ms, err);
	return r < 0 ? r : attend(db, until_ms, fn, arg, err);
}

/* ---- the contract ---------------------------------------------------------------------- */

static int
open_in_worker(struct records_db *db, struct err *err)
{
	wire_begin(&db->out, WIRE_OPEN);
	buf_append_u8(&db->out, (uint8_t)db->n_files);
	for (size_t i = 0; i < db->n_files; i++)
		for (unsigned which = 0; which < WIRE_FILES; which++)
			buf_append_u64le(&db->out, size_of(&db->files[i], which));
	buf_append_u32le(&db->out, (uint32_t)min_u64(db->limits.value, INT32_MAX));
	return ask(db, NULL, NULL, err);
}

int
records_open(struct records_host *h, const struct records_files *files, size_t n,
	     const struct records_limits *limits, struct records_db **ret, struct err *err)
{
	CLEANUP(records_closep) struct records_db *db = mem_alloc(sizeof *db);
	int r;

	*ret = NULL;
	db->files = files;
	db->n_files = n;
	db->limits = *limits;
	if (db->limits.value == 0)
		db->limits.value = VALUE_DEFAULT;
	if (db->limits.deadline_ms == 0)
		db->limits.deadline_ms = DEADLINE_DEFAULT;
	db->host = h;
	db->fd = -1;
	r = host_spawn(h, &db->fd, &db->worker, err);
	if (r == 0)
		r = open_in_worker(db, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&db);
	return 0;
}

void
records_close(struct records_db *db)
{
	if (db == NULL)
		return;
	end_worker(db);
	for (size_t i = 0; i < db->n_tables; i++)
		table_free(db->tables[i]);
	free(db->tables);
	free(db->names);
	free(db->values);
	buf_fini(&db->names_text);
	buf_fini(&db->in);
	buf_fini(&db->out);
	free(db);
}

bool
records_alive(const struct records_db *db)
{
	return !db->dead;
}

int
records_query(struct records_db *db, const char *sql, const struct db_value *params, size_t n,
	      records_row_fn *fn, void *arg, struct err *err)
{
	if (db->dead)
		return crashed(db, err);
	wire_begin(&db->out, WIRE_QUERY);
	buf_append_u32le(&db->out, db->limits.deadline_ms == RECORDS_NO_DEADLINE
					   ? 0
					   : db->limits.deadline_ms);
	buf_append_lp(&db->out, sql, strlen(sql));
	buf_append_u32le(&db->out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		wire_put_value(&db->out, &params[i]);
	return ask(db, fn, arg, err);
}
