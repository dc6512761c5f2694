/*
 * err.c - errors with context: set once where they happen, prefixed on the way up.
 *
 * Layer 0.
 */
#include <errno.h>
#include <stdio.h>

#include "tillfs/base.h"

int
err_set_at(struct err *err, int code, const char *file, int line, const char *fmt, ...)
{
	char msg[ERR_MESSAGE_MAX];
	va_list ap;

	if (err == NULL)
		return code;

	/* The arguments may point into the old message, so it goes when the new one stands. */
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	*err = (struct err){.code = code, .file = file, .line = line};
	memcpy(err->msg, msg, sizeof(msg));
	return code;
}

static int
code_of_errno(int sys_errno)
{
	switch (sys_errno) {
	case ENOENT:
		return ERR_NOENT;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	default:
		return ERR_IO;
	}
}

int
err_sys_at(struct err *err, const char *file, int line, const char *fmt, ...)
{
	int sys_errno = errno;
	int code = code_of_errno(sys_errno);
	char text[ERR_MESSAGE_MAX / 2];
	char reason[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	/* The GNU form, which returns its result and is safe among threads. */
	err_set_at(err, code, file, line, "%s: %s", text,
		   strerror_r(sys_errno, reason, sizeof(reason)));
	if (err != NULL && code == ERR_IO)
		err->sys_errno = sys_errno;
	errno = sys_errno;
	return code;
}

/* In parentheses, as scripts/analyzer.h has a macro of that name. */
int(err_add)(struct err *err, int code, const char *fmt, ...)
{
	char msg[ERR_MESSAGE_MAX];
	va_list ap;
	int n;

	if (err == NULL)
		return code;

	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);

	if (n >= 0 && (size_t)n < sizeof(msg) && err->msg[0] != '\0')
		(void)snprintf(msg + n, sizeof(msg) - (size_t)n, ": %.*s",
			       (int)(sizeof(msg) - (size_t)n), err->msg);
	memcpy(err->msg, msg, sizeof(msg));
	err->code = code;
	return code;
}

const char *
err_name(int code)
{
	switch (code) {
	case 0:
		return "ok";
	case ERR_IO:
		return "io";
	case ERR_NOENT:
		return "noent";
	case ERR_EXISTS:
		return "exists";
	case ERR_INVALID:
		return "invalid";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_AUTH:
		return "auth";
	case ERR_DENIED:
		return "denied";
	case ERR_UNREACHABLE:
		return "unreachable";
	case ERR_BUSY:
		return "busy";
	case ERR_UNSUPPORTED:
		return "unsupported";
	case ERR_CANCELLED:
		return "cancelled";
	case ERR_NOSPACE:
		return "nospace";
	case ERR_BUDGET:
		return "budget";
	case ERR_OFFLINE:
		return "offline";
	default:
		return "unknown";
	}
}
