/*
 * cmd_ls.c - tillfs ls: names in a folder of a snapshot, or all about them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "internal.h"

#define FLUSH_LEN (64u * KIB)

struct listing {
	bool json, full, recursive;
	size_t n; /* entries listed */
	struct buf text;
	struct buf path; /* below what was asked for */
	struct frame {
		struct merged_cursor *cursor;
		size_t path_len;
	} * frames;
	size_t n_frames, cap_frames;
};

static void
listing_fini(struct listing *l)
{
	while (l->n_frames > 0)
		merged_cursor_close(l->frames[--l->n_frames].cursor);
	free(l->frames);
	buf_fini(&l->text);
	buf_fini(&l->path);
}

/* ---- one entry ------------------------------------------------------------------------------- */

/* As ls -l writes it: drwxr-sr-t. */
static void
append_mode(struct buf *b, const struct entry *e)
{
	static const char letters[] = "rwxrwxrwx";
	char text[11] = {entry_type_letter(e->type)};

	for (int i = 0; i < 9; i++)
		text[1 + i] = (e->mode & (0400u >> i)) != 0 ? letters[i] : '-';
	if ((e->mode & S_ISUID) != 0)
		text[3] = text[3] == 'x' ? 's' : 'S';
	if ((e->mode & S_ISGID) != 0)
		text[6] = text[6] == 'x' ? 's' : 'S';
	if ((e->mode & S_ISVTX) != 0)
		text[9] = text[9] == 'x' ? 't' : 'T';
	buf_append(b, text, 10);
}

/* Local time; times that no calendar has room for, as seconds. */
static void
append_time(struct buf *b, const struct timestamp *t)
{
	time_t sec = (time_t)t->sec;
	struct tm tm;
	char text[64];

	if (localtime_r(&sec, &tm) == NULL || strftime(text, sizeof text, "%F %T", &tm) == 0)
		(void)snprintf(text, sizeof text, "@%" PRId64, t->sec);
	buf_append_str(b, text);
}

static void
append_owner(struct buf *b, struct slice name, uint32_t id)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	if (name.len > 0)
		text_append_safe(&text, name);
	else
		buf_appendf(&text, "%" PRIu32, id);
	buf_appendf(b, " %-8s", buf_cstr(&text));
}

static void
append_long(struct buf *b, const struct entry *e)
{
	append_mode(b, e);
	buf_appendf(b, " %3" PRIu64, e->type == ENTRY_DIR ? e->n_subdirs + 2 : e->nlink);
	append_owner(b, e->user, e->uid);
	append_owner(b, e->group, e->gid);
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK)
		buf_appendf(b, " %5" PRIu32 ", %5" PRIu32 " ", e->rdev_major, e->rdev_minor);
	else
		buf_appendf(b, " %12" PRIu64 " ",
			    e->type == ENTRY_SYMLINK ? (uint64_t)e->target.len : e->size);
	append_time(b, &e->mtime);
	buf_append_u8(b, ' ');
}

static void
append_text(struct listing *l, struct slice path, const struct entry *e)
{
	struct buf *b = &l->text;

	if (l->full)
		append_long(b, e);
	append_name(b, path);
	if (l->full && e->type == ENTRY_SYMLINK) {
		buf_append_str(b, " -> ");
		append_name(b, e->target);
	}
	buf_append_u8(b, '\n');
}

static void
append_json(struct listing *l, struct slice path, const struct entry *e)
{
	struct buf *b = &l->text;

	buf_append_str(b, l->n > 0 ? ",\n  {\"path\": " : "\n  {\"path\": ");
	json_append_string(b, path);
	buf_append_str(b, ", ");
	append_json_text(b, "type", entry_type_word(e->type));
	buf_appendf(b, ", \"mode\": \"%04" PRIo32 "\", \"uid\": %" PRIu32 ", \"gid\": %" PRIu32,
		    e->mode, e->uid, e->gid);
	buf_append_str(b, ", \"user\": ");
	json_append_string(b, e->user);
	buf_append_str(b, ", \"group\": ");
	json_append_string(b, e->group);
	buf_append_str(b, ", ");
	append_json_text(b, "mtime", time_format_rfc3339(e->mtime.sec).s);
	buf_appendf(b, ", \"mtime_s\": %" PRId64 ", \"mtime_ns\": %" PRIu32, e->mtime.sec,
		    e->mtime.nsec);
	if (e->type == ENTRY_FILE)
		buf_appendf(b, ", \"size\": %" PRIu64, e->size);
	if (e->type != ENTRY_DIR)
		buf_appendf(b, ", \"links\": %" PRIu64, e->nlink);
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK)
		buf_appendf(b, ", \"device\": [%" PRIu32 ", %" PRIu32 "]", e->rdev_major,
			    e->rdev_minor);
	if (e->type == ENTRY_SYMLINK) {
		buf_append_str(b, ", \"target\": ");
		json_append_string(b, e->target);
	}
	buf_append_u8(b, '}');
}

static int
list_one(struct listing *l, struct slice path, const struct entry *e, struct err *err)
{
	int r = 0;

	if (l->json)
		append_json(l, path, e);
	else
		append_text(l, path, e);
	l->n++;
	if (l->text.len >= FLUSH_LEN) {
		r = print_buf(&l->text, err);
		buf_reset(&l->text);
	}
	return r;
}

/* ---- folders --------------------------------------------------------------------------------- */

static int
push(struct listing *l, const struct merged *dir, struct err *err)
{
	struct merged_cursor *cursor;
	int r = merged_cursor_open(dir, &cursor, err);

	if (r < 0)
		return r;
	array_reserve(l->frames, l->n_frames, l->cap_frames);
	l->frames[l->n_frames++] = (struct frame){cursor, l->path.len};
	return 0;
}

static int
step(struct listing *l, struct err *err)
{
	struct frame *f = &l->frames[l->n_frames - 1];
	const struct merged *x;
	int r;

	l->path.len = f->path_len;
	r = merged_cursor_next(f->cursor, &x, err);
	if (r == ERR_NOENT) {
		merged_cursor_close(f->cursor);
		l->n_frames--;
		return 0;
	}
	if (r < 0)
		return r;
	if (l->path.len > 0)
		buf_append_u8(&l->path, '/');
	buf_append(&l->path, merged_entry(x)->name.p, merged_entry(x)->name.len);
	r = list_one(l, buf_slice(&l->path), merged_entry(x), err);
	if (r == 0 && l->recursive && merged_entry(x)->type == ENTRY_DIR)
		r = push(l, x, err);
	return r;
}

static int
list(struct listing *l, struct session *s, const struct target *t, struct err *err)
{
	CLEANUP(merge_freep) struct merge *merge = merge_new(s->reader, t->opened);
	CLEANUP(merged_fini) struct merged start = {0};
	int r;

	r = merge_resolve(merge, t->path, &start, err);
	if (r < 0)
		return r;
	if (merged_entry(&start)->type != ENTRY_DIR)
		return list_one(l, t->path, merged_entry(&start), err);
	r = push(l, &start, err);
	while (r == 0 && l->n_frames > 0)
		r = step(l, err);
	/* Cursors borrow from the trees. */
	while (l->n_frames > 0)
		merged_cursor_close(l->frames[--l->n_frames].cursor);
	return r;
}

int
cmd_ls(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	CLEANUP(listing_fini)
	struct listing l = {.json = option_given(c, OPT_JSON),
			    .full = option_given(c, OPT_LONG),
			    .recursive = option_given(c, OPT_RECURSIVE)};
	int r;

	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, operand(c, 0), &t, err);
	if (r < 0)
		return r;
	buf_append_str(&l.text, l.json ? "[" : "");
	r = list(&l, &s, &t, err);
	session_recorded(&s, 0, r, err);
	if (r < 0 && !l.json) {
		/* What was listed before the failure is as good as ever. */
		if (print_buf(&l.text, NULL) < 0)
			warn("writing to standard output failed");
		return r;
	}
	buf_append_str(&l.text, !l.json ? "" : l.n > 0 ? "\n]\n" : "]\n");
	return r < 0 ? r : print_buf(&l.text, err);
}
