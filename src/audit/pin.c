/*
 * pin.c - the latest head of each log, remembered in the state folder, so that a log which was cut
 * off is found out even where nothing was published.
 *
 * Several processes write to one log, each signs its own latest entry, and a pin only rises.  Where
 * the log doesn't hold what is remembered, the next session says so in the log itself, before the
 * pin moves on: otherwise nobody who asks later would learn of it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <unistd.h>

#include "internal.h"

static char *
pin_path(const char *state, const uint8_t *log)
{
	return str_format("%s/audit-heads/%s", state, hex_bytes(log, AUDIT_LOG_ID_LEN).s);
}

/* The head remembered of a log.  Return: false when there is none that makes sense. */
static bool
find_pin(const char *state, const uint8_t *log, struct audit_head *ret)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

	return audit_pin_read(state, log, &bytes, NULL) == 0 &&
	       audit_head_parse(buf_slice(&bytes), ret, NULL) == 0 &&
	       memcmp(ret->log, log, sizeof ret->log) == 0;
}

int
audit_pin_write(const char *state, const struct audit_head *head, struct slice bytes, bool lower,
		struct err *err)
{
	CLEANUP(freep) char *folder = str_format("%s/audit-heads", state);
	CLEANUP(freep) char *path = pin_path(state, head->log);
	CLEANUP(closep) int fd = -1;
	struct audit_head known;
	int r = dir_make(folder, err);

	if (r < 0)
		return r;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(err, "%s", folder);
	if (!lower && find_pin(state, head->log, &known) && known.seq > head->seq)
		return 0;
	return file_write_atomic(path, bytes, 0600, err);
}

static int
is_entry(struct chain *l, const struct audit_head *h, bool *ret, struct err *err)
{
	struct db_stmt *s;
	int r = db_prepare_foreign(l->db, "SELECT hash FROM entry WHERE seq = ?", &s, err);

	*ret = false;
	if (r < 0)
		return r;
	db_bind_int(s, 1, (int64_t)h->seq);
	r = db_step(s, err);
	*ret = r == 1 && slice_equal(db_bytes(s, 0), slice_of(h->hash.b, sizeof h->hash.b));
	db_reset(s);
	return r < 0 ? r : 0;
}

int
audit_pin_check(struct chain *l, struct audit_head *ret, struct err *err)
{
	bool fits;
	int r;

	/* First the pin: another process may append meanwhile, and raise it after that. */
	if (l->state == NULL || !find_pin(l->state, l->id, ret))
		return 0;
	r = is_entry(l, ret, &fits, err);
	return r < 0 ? r : !fits;
}

int
audit_pin_read(const char *state, const uint8_t *log, struct buf *ret, struct err *err)
{
	CLEANUP(freep) char *path = pin_path(state, log);

	return file_read(path, AUDIT_HEAD_MAX, ret, err);
}
