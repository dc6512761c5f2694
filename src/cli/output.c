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

void
append_json_snapshot(struct buf *b, const char *key, const struct snapshot_name *name)
{
	buf_appendf(b, ", \"%s\": {", key);
	append_json_text(b, "id", hex(&name->id.h).s);
	buf_append_str(b, ", ");
	append_json_text(b, "date", date_format(name->date).s);
	buf_append_str(b, ", ");
	append_json_text(b, "time", time_format_rfc3339(name->time).s);
	buf_append_u8(b, '}');
}

static const struct {
	char letter;
	const char *word;
} types[] = {
	[ENTRY_FILE] = {'-', "file"},          [ENTRY_DIR] = {'d', "directory"},
	[ENTRY_SYMLINK] = {'l', "symlink"},    [ENTRY_FIFO] = {'p', "fifo"},
	[ENTRY_SOCKET] = {'s', "socket"},      [ENTRY_CHAR] = {'c', "character device"},
	[ENTRY_BLOCK] = {'b', "block device"},
};

const char *
entry_type_word(enum entry_type type)
{
	return types[type].word;
}

char
entry_type_letter(enum entry_type type)
{
	return types[type].letter;
}
