/*
 * pin.c - the latest head of each log, remembered in the state folder, so that a log which was cut
 * off is found out even where nothing was published.
 */
#include "internal.h"

static char *
pin_path(const char *state, const uint8_t *log)
{
	return str_format("%s/audit-heads/%s", state, hex_bytes(log, AUDIT_LOG_ID_LEN).s);
}

int
audit_pin_write(const char *state, const struct audit_head *head, struct slice bytes,
		struct err *err)
{
	CLEANUP(freep) char *folder = str_format("%s/audit-heads", state);
	CLEANUP(freep) char *path = pin_path(state, head->log);
	int r = dir_make(folder, err);

	return r < 0 ? r : file_write_atomic(path, bytes, 0600, err);
}

int
audit_pin_read(const char *state, const uint8_t *log, struct buf *ret, struct err *err)
{
	CLEANUP(freep) char *path = pin_path(state, log);

	return file_read(path, AUDIT_HEAD_MAX, ret, err);
}
