/*
 * output.c - what several commands print.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

void
warn_text(const char *text)
{
	progress_clear();
	(void)fflush(stdout);
	fprintf(stderr, "tillfs: %s\n", text);
}

void
warn(const char *fmt, ...)
{
	char text[2 * ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	warn_text(text);
}

int
print_buf(const struct buf *b, struct err *err)
{
	progress_clear();
	if ((b->len > 0 && fwrite(b->p, 1, b->len, stdout) != b->len) || fflush(stdout) != 0)
		return err_sys(err, "writing to standard output");
	return 0;
}

void
append_name(struct buf *b, struct slice name)
{
	static int terminal = -1;

	if (terminal < 0)
		terminal = isatty(STDOUT_FILENO);
	if (terminal)
		text_append_safe(b, name);
	else
		buf_append(b, name.p, name.len);
}

void
append_json_text(struct buf *b, const char *key, const char *text)
{
	buf_appendf(b, "\"%s\": ", key);
	json_append_string(b, slice_str(text));
}

void
append_count(struct buf *b, uint64_t n, const char *one, const char *many)
{
	buf_appendf(b, "%" PRIu64 " %s", n, n == 1 ? one : many);
}
