/*
 * cmd_backup.c - tillfs backup: make a snapshot, and say what was not read.
 */
#include <inttypes.h>
#include <malloc.h>

#include "internal.h"

/* --time and --date.  Return: 0, or CLI_USAGE. */
static int
read_times(const struct cli *c, struct backup_options *o, struct err *err)
{
	const char *time = option_value(c, OPT_TIME);

	o->has_time = time != NULL;
	if (o->has_time && !time_parse_rfc3339(slice_str(time), &o->time))
		return err_set(err, CLI_USAGE,
			       "--time %s: give a time such as 2026-11-20T23:00:05Z", time);
	return option_date(c, OPT_DATE, &o->has_date, &o->date, err);
}

static int
read_labels(const struct cli *c, struct backup_options *o, struct err *err)
{
	const struct words *labels = &c->options[OPT_LABEL];

	for (size_t i = 0; i < labels->n; i++) {
		const char *equals = strchr(labels->v[i], '=');

		if (equals == NULL || equals == labels->v[i])
			return err_set(err, CLI_USAGE, "--label %s: give KEY=VALUE", labels->v[i]);
	}
	o->labels = labels->v;
	o->n_labels = labels->n;
	return 0;
}

/* The zone is only used when the date depends on it, but a typing error must show at once. */
static int
check_zone(const struct cli *c, struct err *err)
{
	const char *file = option_value(c, OPT_CONFIG);
	struct date ignored;
	int r;

	r = time_business_date(0, c->config.zone, c->config.cutoff_min, &ignored, err);
	return r < 0 ? err_add(err, r, "time-zone in %s",
			       file != NULL ? file
					    : "/etc/tillfs/tillfs.conf or "
					      "~/.config/tillfs/tillfs.conf")
		     : 0;
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void
warn_notes(const struct backup_note *notes, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;

		if (notes[i].kind == NOTE_OUTCOME)
			continue;
		buf_append_str(&text, what);
		text_append_safe(&text, slice_str(notes[i].path));
		buf_append_str(&text, ": ");
		buf_append_str(&text, notes[i].text);
		warn_text(buf_cstr(&text));
	}
}

static void
append_words(struct buf *b, struct repo *repo, const struct backup_result *r)
{
	buf_appendf(b, "%s\nId: %s\n", repo_snapshot_label(repo, &r->name).s, hex(&r->name.id.h).s);
	append_count(b, r->counts.files, "file", "files");
	buf_appendf(b, " (%" PRIu64 " read), ", r->files_new);
	append_count(b, r->counts.dirs, "folder", "folders");
	buf_append_str(b, ", ");
	text_append_bytes(b, r->counts.bytes);
	buf_append_str(b, "; read ");
	text_append_bytes(b, r->bytes_read);
	buf_append_str(b, ", new ");
	text_append_bytes(b, r->bytes_new);
	buf_append_str(b, ", stored ");
	text_append_bytes(b, r->bytes_stored);
	buf_append_u8(b, '\n');
}

static bool
has_flags(const struct backup_result *r)
{
	for (size_t i = 0; i < r->n_notes; i++)
		if (r->notes[i].kind == NOTE_FLAG)
			return true;
	return r->n_unreadable > 0;
}

static void
append_notes_json(struct buf *b, const char *key, const struct backup_note *notes, size_t n)
{
	buf_appendf(b, ",\n \"%s\": [", key);
	for (size_t i = 0; i < n; i++) {
		buf_append_str(b, i > 0 ? ", {" : "{");
		append_json_text(b, "path", notes[i].path);
		buf_append_str(b, ", ");
		append_json_text(b, "reason", notes[i].text);
		buf_append_u8(b, '}');
	}
	buf_append_u8(b, ']');
}

static void
append_json(struct buf *b, struct repo *repo, const struct backup_result *r)
{
	buf_append_u8(b, '{');
	append_json_text(b, "id", hex(&r->name.id.h).s);
	buf_append_str(b, ", ");
	append_json_text(b, "writer", repo_writer_name(repo, &r->name.writer));
	buf_append_str(b, ", ");
	append_json_text(b, "date", date_format(r->name.date).s);
	buf_append_str(b, ", ");
	append_json_text(b, "time", time_format_rfc3339(r->name.time).s);
	buf_appendf(b,
		    ", \"sequence\": %" PRIu64 ",\n \"files\": %" PRIu64 ", \"folders\": %" PRIu64
		    ", \"others\": %" PRIu64 ", \"bytes\": %" PRIu64 ",\n \"files_new\": %" PRIu64
		    ", \"files_unchanged\": %" PRIu64 ", \"bytes_read\": %" PRIu64
		    ", \"bytes_new\": %" PRIu64 ", \"bytes_stored\": %" PRIu64,
		    r->name.seq, r->counts.files, r->counts.dirs, r->counts.others, r->counts.bytes,
		    r->files_new, r->files_unchanged, r->bytes_read, r->bytes_new, r->bytes_stored);
	append_notes_json(b, "unreadable", r->unreadable, r->n_unreadable);
	append_notes_json(b, "notes", r->notes, r->n_notes);
	buf_append_str(b, "}\n");
}

static int
tell_result(const struct cli *c, struct repo *repo, const struct backup_result *result,
	    struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r = 0;

	warn_notes(result->notes, result->n_notes, "note: ");
	warn_notes(result->unreadable, result->n_unreadable, "not read: ");
	if (option_given(c, OPT_JSON))
		append_json(&text, repo, result);
	else if (!option_given(c, OPT_QUIET))
		append_words(&text, repo, result);
	if (text.len > 0)
		r = print_buf(&text, err);
	if (r == 0 && has_flags(result))
		return EXIT_UNREADABLE;
	return r;
}

/*
 * Packs of 16 MiB come and go: giving their pages back and taking new ones took half the system
 * time.  Over a link it doesn't matter, and several are underway.  Hints: nothing depends on them.
 */
static void
arrange_memory(bool distant)
{
	int threshold = distant ? 4 * 1024 * 1024 : 256 * 1024 * 1024;

	(void)mallopt(M_MMAP_THRESHOLD, threshold);
	(void)mallopt(M_TRIM_THRESHOLD, threshold);
}

int
cmd_backup(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(backup_result_fini) struct backup_result result = {0};
	CLEANUP(freep) char *state = NULL;
	const char *avoid[3];
	struct backup_options o = {.paths = c->operands.v,
				   .n_paths = c->operands.n,
				   .config = &c->config,
				   .excludes = c->options[OPT_EXCLUDE].v,
				   .n_excludes = c->options[OPT_EXCLUDE].n,
				   .one_file_system = option_given(c, OPT_ONE_FILE_SYSTEM),
				   .avoid = avoid};
	int r;

	r = read_times(c, &o, err);
	if (r == 0)
		r = read_labels(c, &o, err);
	if (r == 0)
		r = check_zone(c, err);
	if (r == 0)
		r = session_state(c, &state, err);
	if (r == 0)
		r = session_open_writer(c, &s, err);
	if (r < 0)
		return r;

	arrange_memory(store_local_path(s.store) == NULL);
	o.state = state;
	avoid[o.n_avoid++] = state;
	if (c->config.spool != NULL)
		avoid[o.n_avoid++] = c->config.spool;
	if (store_local_path(s.store) != NULL)
		avoid[o.n_avoid++] = store_local_path(s.store);
	interrupts_catch();
	o.progress = progress_show(c);
	r = hook_before(&c->config, o.progress.cancel, err);
	if (r < 0)
		return r;
	r = backup_run(s.repo, s.writer, &o, &result, err);
	if (r < 0)
		/* Why nothing was stored may stand here too. */
		warn_notes(result.unreadable, result.n_unreadable, "not read: ");
	else
		r = tell_result(c, s.repo, &result, err);
	hook_after(&c->config, r, r < 0 ? NULL : &result.name, err);
	return r;
}
