/*
 * cmd_restore.c - tillfs restore: copy files out of a snapshot.
 */
#include <inttypes.h>

#include "internal.h"
#include "tillfs/restore.h"

static void
warn_left(const struct restore_result *r)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	if (r->owners_left > 0) {
		append_count(&text, r->owners_left, "owner is not what it was",
			     "owners are not what they were");
		warn("note: %s: only root may give files away", buf_cstr(&text));
		buf_reset(&text);
	}
	if (r->xattrs_left > 0) {
		append_count(&text, r->xattrs_left, "extended attribute", "extended attributes");
		warn("note: %s can't be had here: the file system doesn't take them, or only root "
		     "may set them",
		     buf_cstr(&text));
	}
}

static void
append_words(struct buf *b, const struct restore_result *r, const char *to)
{
	buf_append_str(b, "Restored ");
	append_count(b, r->files, "file", "files");
	buf_append_str(b, ", ");
	append_count(b, r->dirs, "folder", "folders");
	buf_append_str(b, ", ");
	append_count(b, r->others, "other", "others");
	buf_append_str(b, ", ");
	text_append_bytes(b, r->bytes);
	buf_appendf(b, " to %s\n", to);
}

static void
append_json(struct buf *b, const struct restore_result *r)
{
	buf_appendf(b,
		    "{\"files\": %" PRIu64 ", \"folders\": %" PRIu64 ", \"others\": %" PRIu64
		    ", \"bytes\": %" PRIu64 ", \"owners_left\": %" PRIu64
		    ", \"xattrs_left\": %" PRIu64 ", \"failures\": [",
		    r->files, r->dirs, r->others, r->bytes, r->owners_left, r->xattrs_left);
	for (size_t i = 0; i < r->n_failures; i++) {
		buf_append_str(b, i > 0 ? ", " : "");
		json_append_string(b, slice_str(r->failures[i]));
	}
	buf_append_str(b, "]}\n");
}

static int
tell_result(const struct cli *c, const struct restore_result *result, int code, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < result->n_failures; i++)
		warn_text(result->failures[i]);
	if (!option_given(c, OPT_QUIET))
		warn_left(result);
	if (option_given(c, OPT_JSON))
		append_json(&text, result);
	else if (code == 0 && !option_given(c, OPT_QUIET))
		append_words(&text, result, option_value(c, OPT_TO));
	if (text.len > 0)
		r = print_buf(&text, err);
	if (code == ERR_CANCELLED)
		return err_set(err, code,
			       "interrupted; the %" PRIu64 " files that are in %s are whole",
			       result->files, option_value(c, OPT_TO));
	if (r < 0 || code == 0 || result->n_failures == 0)
		return r < 0 ? r : code;
	return err_set(err, code,
		       "%zu of the things above could not be restored; %" PRIu64
		       " files were, to %s",
		       result->n_failures, result->files, option_value(c, OPT_TO));
}

int
cmd_restore(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	CLEANUP(restore_result_fini) struct restore_result result = {0};
	struct restore_options o = {.to = option_value(c, OPT_TO),
				    .includes = c->options[OPT_INCLUDE].v,
				    .n_includes = c->options[OPT_INCLUDE].n,
				    .excludes = c->options[OPT_EXCLUDE].v,
				    .n_excludes = c->options[OPT_EXCLUDE].n,
				    .overwrite = option_given(c, OPT_OVERWRITE),
				    .verify = option_given(c, OPT_VERIFY)};
	int r;

	if (o.to == NULL)
		return err_set(err, CLI_USAGE, "say where to: --to DIR");
	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, operand(c, 0), &t, err);
	if (r < 0)
		return r;
	interrupts_catch();
	o.progress = progress_show(c);
	r = restore_run(s.reader, t.opened, t.path, &o, &result, err);
	session_recorded(&s, result.bytes, r, err);
	return tell_result(c, &result, r, err);
}
