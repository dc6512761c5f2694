/*
 * errno.c - what a process sees of an error, and what the log says about it.
 */
#include <errno.h>

#include "private.h"

static const struct {
	int code, error;
} table[] = {
	{ERR_IO, EIO},
	{ERR_NOENT, ENOENT},
	{ERR_EXISTS, EEXIST},
	{ERR_INVALID, EINVAL},
	{ERR_CORRUPT, EIO},
	{ERR_AUTH, EIO}, /* as damage: these bytes are not what a writer signed */
	{ERR_DENIED, EACCES},
	{ERR_UNREACHABLE, ETIMEDOUT},
	{ERR_BUSY, EAGAIN},
	{ERR_UNSUPPORTED, EOPNOTSUPP},
	{ERR_CANCELLED, EINTR},
	{ERR_NOSPACE, ENOSPC},
	{ERR_BUDGET, EDQUOT},
	{ERR_OFFLINE, ENETUNREACH},
};

int
mount_errno(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].code == code)
			return table[i].error;
	return EIO;
}

int
mount_failed(const struct view_node *n, const char *name, const char *verb, int code,
	     const struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(buf_fini) struct buf safe = BUF_INIT;

	view_node_path(n, &path);
	if (name != NULL) {
		buf_append_str(&path, path.len > 0 ? "/" : "");
		buf_append_str(&path, name);
	}
	text_append_safe(&safe, buf_slice(&path));
	log_write(LOG_ERROR, "%s %s: %s: %s", verb, buf_cstr(&safe), err_name(code), err->msg);
	return mount_errno(code);
}
