/*
 * sftp_list.c - reading a folder of an SSH server.
 *
 * libcurl gives no attributes, but the line that the server makes of each entry, as `ls -l` does:
 *
 *	-rw-r--r--    1 root     staff        1024 Nov 30 11:00 name
 *
 * Columns differ between servers and names may hold anything, so what is looked for is a number
 * followed by a date: what stands behind one blank more is the name.  Our own names have no line
 * breaks, since sftp.c makes none with control characters.
 *
 * Layer 1.
 */
#include <ctype.h>

#include "store/folders.h"
#include "store/sftp.h"

/* The next word from *at on, which moves behind it. */
static struct slice
word(struct slice line, size_t *at)
{
	size_t from = *at;

	while (from < line.len && line.p[from] == ' ')
		from++;
	*at = from;
	while (*at < line.len && line.p[*at] != ' ')
		(*at)++;
	return slice_of(line.p + from, *at - from);
}

static bool
all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit(s.p[i]))
			return false;
	return s.len > 0;
}

/* "Nov 30", either way round: 30 Nov. */
static bool
is_day(struct slice a, struct slice b)
{
	if (a.len == 3 && isalpha(a.p[0]))
		return b.len <= 2 && all_digits(b);
	return b.len == 3 && isalpha(b.p[0]) && a.len <= 2 && all_digits(a);
}

/* "11:00" or "2025". */
static bool
is_time_or_year(struct slice s)
{
	if (s.len == 5 && s.p[2] == ':')
		return isdigit(s.p[0]) && isdigit(s.p[4]);
	return s.len == 4 && all_digits(s);
}

/* Whether a date stands at @at; @ret: where it ends. */
static bool
date_at(struct slice line, size_t at, size_t *ret)
{
	struct slice a = word(line, &at);
	struct slice b = word(line, &at);
	struct slice c = word(line, &at);

	*ret = at;
	return is_day(a, b) && is_time_or_year(c);
}

static bool
parse_size(struct slice s, uint64_t *ret)
{
	*ret = 0;
	if (!all_digits(s) || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++)
		*ret = *ret * 10 + (uint64_t)(s.p[i] - '0');
	return true;
}

static bool
parse_line(struct slice line, struct folder_names *ret)
{
	uint64_t size;
	size_t at = 0, end;
	struct slice mode = word(line, &at);

	if (mode.len < 10)
		return false;
	while (at < line.len) {
		struct slice w = word(line, &at);

		if (!parse_size(w, &size) || !date_at(line, at, &end))
			continue;
		if (end + 1 >= line.len)
			return false;
		/* A symbolic link, a device: nothing that we have put there. */
		if (mode.p[0] == '-' || mode.p[0] == 'd')
			folder_names_add(ret, slice_of(line.p + end + 1, line.len - end - 1),
					 mode.p[0] == 'd', size);
		return true;
	}
	return false;
}

int
sftp_parse_listing(struct slice text, struct folder_names *ret, struct err *err)
{
	while (text.len > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.len);
		struct slice line =
			slice_of(text.p, end != NULL ? (size_t)(end - text.p) : text.len);
		CLEANUP(buf_fini) struct buf shown = BUF_INIT;

		if (line.len > 0 && !parse_line(line, ret)) {
			text_append_safe(&shown, slice_of(line.p, min_u64(line.len, 100)));
			return err_set(err, ERR_UNSUPPORTED,
				       "the server lists its folders in a way that tillfs doesn't "
				       "understand: \"%s\"",
				       buf_cstr(&shown));
		}
		text = slice_of(line.p + line.len + (end != NULL ? 1 : 0),
				text.len - line.len - (end != NULL ? 1 : 0));
	}
	return 0;
}

int
sftp_read_folder(void *arg, const char *folder, struct folder_names *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf listing = BUF_INIT;
	struct sftp_call call = {.what = SFTP_LIST, .key = folder, .ret = &listing};
	int r = sftp_call(arg, &call, err);

	if (r == ERR_NOENT)
		return 0;
	if (r < 0)
		return err_add(err, r, "listing \"%s\"", folder);
	return sftp_parse_listing(buf_slice(&listing), ret, err);
}
