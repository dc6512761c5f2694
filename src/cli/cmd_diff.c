/*
 * cmd_diff.c - tillfs diff: what changed from one snapshot to another.
 */
#include <inttypes.h>
#include <stdio.h>

#include "diff.h"

#define FLUSH_LEN (64u * KIB)

static const struct {
	char letter;
	const char *word;
} kinds[] = {
	[CHANGE_ADDED] = {'+', "added"},     [CHANGE_REMOVED] = {'-', "removed"},
	[CHANGE_CONTENT] = {'M', "changed"}, [CHANGE_ATTRIBUTES] = {'U', "attributes"},
	[CHANGE_TYPE] = {'T', "type"},       [CHANGE_UNREADABLE] = {'?', "unreadable"},
};

static void
append_path(struct buf *b, struct slice top, struct slice below)
{
	buf_append(b, top.p, top.len);
	if (top.len > 0 && below.len > 0)
		buf_append_u8(b, '/');
	buf_append(b, below.p, below.len);
}

static bool
is_dir(const struct merged *x)
{
	return x != NULL && merged_entry(x)->type == ENTRY_DIR;
}

static void
append_side(struct buf *b, const char *key, const struct merged *x)
{
	const struct entry *e = merged_entry(x);

	buf_appendf(b, ", \"%s\": {", key);
	append_json_text(b, "type", entry_type_word(e->type));
	if (e->type == ENTRY_FILE)
		buf_appendf(b, ", \"size\": %" PRIu64, e->size);
	buf_append_str(b, ", ");
	append_json_text(b, "mtime", time_format_rfc3339(e->mtime.sec).s);
	buf_append_u8(b, '}');
}

int
diff_add(struct diff *d, char letter, const char *word, struct slice path, const struct buf *extra,
	 struct err *err)
{
	struct buf *b = &d->text;
	int r = 0;

	if (d->json) {
		buf_append_str(b, d->n > 0 ? ",\n  {" : "\n  {");
		append_json_text(b, "change", word);
		buf_append_str(b, ", \"path\": ");
		json_append_string(b, path);
		buf_append(b, extra->p, extra->len);
		buf_append_u8(b, '}');
	} else {
		buf_appendf(b, "%c ", letter);
		append_name(b, path.len > 0 ? path : slice_str("."));
		buf_append_u8(b, '\n');
	}
	d->n++;
	if (b->len >= FLUSH_LEN) {
		r = print_buf(b, err);
		buf_reset(b);
	}
	return r;
}

/* What JSON says beside the path. */
static void
append_sides(struct buf *b, const struct change *change)
{
	if (change->old != NULL)
		append_side(b, "old", change->old);
	if (change->new != NULL)
		append_side(b, "new", change->new);
	if (change->why != NULL) {
		buf_append_str(b, ", ");
		append_json_text(b, "why", change->why->msg);
	}
}

static int
tell(void *arg, const struct change *change, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(buf_fini) struct buf extra = BUF_INIT;
	struct diff *d = arg;
	size_t len;
	int r;

	append_path(&path, d->path, change->path);
	if (path.len == 0 && change->kind == CHANGE_ATTRIBUTES)
		return 0; /* the root is the snapshot's own: it has its time */
	len = path.len;
	if (change->kind == CHANGE_UNREADABLE)
		warn("%s: %s", buf_cstr(&path), change->why->msg);
	if (d->json)
		append_sides(&extra, change);
	else if (path.len > 0 && is_dir(change->new != NULL ? change->new : change->old))
		buf_append_u8(&path, '/');
	d->counts[change->kind]++;
	r = diff_add(d, kinds[change->kind].letter, kinds[change->kind].word, buf_slice(&path),
		     &extra, err);
	if (r == 0 && d->host != NULL &&
	    (change->kind == CHANGE_CONTENT || change->kind == CHANGE_ADDED ||
	     change->kind == CHANGE_REMOVED))
		r = diff_rows(d, slice_of(path.p, len), err);
	return r;
}

static int
finish(struct diff *d, const struct cli *c, struct err *err)
{
	int r;

	buf_append_str(&d->text, !d->json ? "" : d->n > 0 ? "\n]\n" : "]\n");
	r = print_buf(&d->text, err);
	if (r == 0 && !d->json && !option_given(c, OPT_QUIET))
		fprintf(stderr,
			"%" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed, %" PRIu64
			" with other attributes\n",
			d->counts[CHANGE_ADDED], d->counts[CHANGE_REMOVED],
			d->counts[CHANGE_CONTENT] + d->counts[CHANGE_TYPE],
			d->counts[CHANGE_ATTRIBUTES]);
	if (r == 0 && d->n_failed > 0)
		return err_set(err, ERR_CORRUPT,
			       "the rows of %" PRIu64 " databases could not be compared",
			       d->n_failed);
	if (r == 0 && d->counts[CHANGE_UNREADABLE] > 0)
		return err_set(err, ERR_CORRUPT,
			       "what is in %" PRIu64
			       " folders could not be read; run 'tillfs check' "
			       "to see what is affected",
			       d->counts[CHANGE_UNREADABLE]);
	return r;
}

/* The path in one of the snapshots; @ret stays empty when it isn't there. */
static int
side_open(struct merge *merge, struct slice path, struct merged *ret, struct err *err)
{
	int r = merge_resolve(merge, path, ret, err);

	return r == ERR_NOENT ? 0 : r;
}

static int
diff(struct diff *d, struct err *err)
{
	CLEANUP(merged_fini) struct merged a = {0};
	CLEANUP(merged_fini) struct merged b = {0};
	int r;

	r = side_open(d->old, d->path, &a, err);
	if (r == 0)
		r = side_open(d->new, d->path, &b, err);
	if (r < 0)
		return r;
	if (a.n == 0 && b.n == 0)
		return err_set(err, ERR_NOENT, "%.*s is in neither snapshot", (int)d->path.len,
			       (const char *)d->path.p);
	return compare_trees(a.n > 0 ? &a : NULL, b.n > 0 ? &b : NULL, tell, d,
			     progress_show(NULL).cancel, err);
}

static void
diff_fini(struct diff *d)
{
	merge_free(d->old);
	merge_free(d->new);
	buf_fini(&d->text);
	buf_fini(&d->last);
}

int
cmd_diff(struct cli *c, struct err *err)
{
	CLEANUP(records_host_stopp) struct records_host *host = NULL;
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target old = {0};
	CLEANUP(target_close) struct target new = {0};
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(diff_fini) struct diff d = {.json = option_given(c, OPT_JSON)};
	int r = 0;

	if (option_given(c, OPT_ROWS))
		r = records_host_start(passphrase_forget, &host, err);
	if (r == 0)
		r = option_deadline(c, &d.limits, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, operand(c, 0), &old, err);
	if (r == 0)
		r = target_open(&s, operand(c, 1), &new, err);
	if (r < 0)
		return r;
	merge_path_clean(operand(c, 2) != NULL ? slice_str(operand(c, 2)) : old.path, &path);
	d.path = buf_slice(&path);
	d.host = host;
	d.old = merge_new(s.reader, old.opened);
	d.new = merge_new(s.reader, new.opened);
	interrupts_catch();
	buf_append_str(&d.text, d.json ? "[" : "");
	r = diff(&d, err);
	return r == 0 ? finish(&d, c, err) : r;
}
