/*
 * cmd_history.c - tillfs history: every version of a file, and when it was there.
 */
#include <inttypes.h>

#include "history.h"

struct history {
	struct session *session;
	struct versions versions;
	struct slice path;
	struct moment *kept; /* whose trees the walk's last version lies in */
	struct version_walk walk;
};

static void
history_fini(struct history *h)
{
	version_walk_fini(&h->walk);
	moment_free(h->kept);
	versions_fini(&h->versions);
}

static void
describe(const struct entry *e, struct version *v)
{
	append_json_text(&v->about, "type", entry_type_word(e->type));
	if (e->type == ENTRY_FILE) {
		buf_appendf(&v->about, ", \"size\": %" PRIu64, e->size);
		buf_appendf(&v->words, "%12" PRIu64, e->size);
	} else {
		buf_appendf(&v->words, "%12s", entry_type_word(e->type));
	}
	buf_append_str(&v->about, ", ");
	append_json_text(&v->about, "mtime", time_format_rfc3339(e->mtime.sec).s);
	buf_appendf(&v->words, "  %s", time_format_rfc3339(e->mtime.sec).s);
}

static int
look_at(void *arg, struct moment **m, struct err *err)
{
	CLEANUP(merged_fini) struct merged at = {0};
	struct history *h = arg;
	struct err why = (*m)->failure;
	struct version *v;
	int r = why.code;

	if (versions_turn(&h->versions, *m))
		version_walk_fini(&h->walk);
	if (r == 0)
		r = merge_resolve((*m)->merge, h->path, &at, &why);
	if (r < 0 && r != ERR_NOENT)
		return versions_failed(&h->versions, *m, r, &why, err);
	if (r == 0 && merged_entry(&at)->type == ENTRY_DIR)
		return err_set(err, ERR_INVALID,
			       "%.*s is a folder; name a file, or see 'tillfs diff' for folders",
			       (int)h->path.len, (const char *)h->path.p);
	if (r == 0) {
		r = session_record(h->session, (*m)->opened, h->path, err);
		if (r < 0)
			return r;
	}
	v = versions_add(&h->versions, *m, version_walk_step(&h->walk, r == 0 ? &at : NULL));
	if (v == NULL)
		return 0;
	describe(merged_entry(&h->walk.last), v);
	moment_free(h->kept);
	h->kept = steal_ptr(m);
	return 0;
}

static int
print_history(const struct versions *x, bool json, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	buf_append_str(&text, json ? "[\n" : "");
	for (size_t i = 0; i < x->n; i++) {
		const struct version *v = &x->v[i];

		if (json) {
			buf_append_str(&text, "  {");
			versions_put_json(v, &text);
			buf_append_str(&text, ", ");
			buf_append(&text, v->about.p, v->about.len);
			buf_append_str(&text, i + 1 < x->n ? "},\n" : "}\n");
		} else {
			versions_put_words(v, &text);
			buf_append(&text, v->words.p, v->words.len);
			buf_append_u8(&text, '\n');
			versions_put_missing(v, &text);
		}
	}
	buf_append_str(&text, json ? "]\n" : "");
	return print_buf(&text, err);
}

static int
history_files(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(history_fini) struct history h = {0};
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	struct timeline_options o;
	int r;

	r = timeline_options_read(c, &o, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	interrupts_catch();
	merge_path_clean(slice_str(operand(c, 0)), &path);
	h.session = &s;
	h.versions.repo = s.repo;
	h.path = buf_slice(&path);
	r = timeline_walk(s.repo, s.reader, &o, look_at, &h, err);
	if (r == 0)
		r = print_history(&h.versions, option_given(c, OPT_JSON), err);
	return r < 0 ? r : versions_end(&h.versions, operand(c, 0), err);
}

int
cmd_history(struct cli *c, struct err *err)
{
	return c->operands.n == 1 ? history_files(c, err) : history_rows(c, err);
}
