/*
 * cmd_history.c - tillfs history: every version of a file, and when it was there.
 */
#include <inttypes.h>

#include "internal.h"

/* A version, as long as snapshots in a row have it. */
struct version {
	const char *writer; /* borrowed from the repo */
	enum entry_type type;
	uint64_t size;
	struct timestamp mtime;
	struct snapshot_name first, last;
	uint64_t n_snapshots;
	bool missing_since; /* and the writer's next snapshot hasn't got the file */
	struct snapshot_name missing;
};

struct history {
	struct repo *repo;
	struct slice path;
	struct moment *kept; /* whose trees the walk's last version lies in */
	struct version_walk walk;
	struct writer_id writer; /* whom the walk is about */
	struct version *versions;
	size_t n, cap;
	size_t n_failed;
};

static void
history_fini(struct history *h)
{
	version_walk_fini(&h->walk);
	moment_free(h->kept);
	free(h->versions);
}

static void
start_version(struct history *h, const struct moment *m)
{
	const struct entry *e = merged_entry(&h->walk.last);

	array_reserve(h->versions, h->n, h->cap);
	h->versions[h->n++] =
		(struct version){.writer = repo_writer_name(h->repo, &m->snapshot->name.writer),
				 .type = e->type,
				 .size = e->type == ENTRY_FILE ? e->size : 0,
				 .mtime = e->mtime,
				 .first = m->snapshot->name,
				 .last = m->snapshot->name,
				 .n_snapshots = 1};
}

/* The version that the snapshot before had, or NULL. */
static struct version *
current(struct history *h)
{
	struct version *v = h->n > 0 ? &h->versions[h->n - 1] : NULL;

	return v != NULL && !v->missing_since && writer_id_equal(&v->last.writer, &h->writer)
		       ? v
		       : NULL;
}

static void
step(struct history *h, struct moment **m, struct merged *at)
{
	struct version *before = current(h);

	switch (version_walk_step(&h->walk, at)) {
	case VERSION_ABSENT:
		if (before != NULL) {
			before->missing_since = true;
			before->missing = (*m)->snapshot->name;
		}
		return;
	case VERSION_SAME:
		before->last = (*m)->snapshot->name;
		before->n_snapshots++;
		return;
	case VERSION_CHANGED:
		start_version(h, *m);
		moment_free(h->kept);
		h->kept = steal_ptr(m);
		return;
	}
}

static int
look_at(void *arg, struct moment **m, struct err *err)
{
	CLEANUP(merged_fini) struct merged at = {0};
	struct history *h = arg;
	int r = (*m)->merge != NULL ? 0 : (*m)->failure.code;

	if (!writer_id_equal(&h->writer, &(*m)->snapshot->name.writer)) {
		version_walk_fini(&h->walk);
		h->writer = (*m)->snapshot->name.writer;
	}
	if (r == 0)
		r = merge_resolve((*m)->merge, h->path, &at, err);
	else
		*err = (*m)->failure;
	if (r == ERR_UNREACHABLE)
		return r;
	if (r < 0 && r != ERR_NOENT) {
		warn("%s: %s", repo_snapshot_label(h->repo, &(*m)->snapshot->name).s, err->msg);
		h->n_failed++;
		return 0;
	}
	if (r == 0 && merged_entry(&at)->type == ENTRY_DIR)
		return err_set(err, ERR_INVALID,
			       "%.*s is a folder; name a file, or see 'tillfs diff' for folders",
			       (int)h->path.len, (const char *)h->path.p);
	step(h, m, r == 0 ? &at : NULL);
	return 0;
}

/* ---- telling -----------------------------------------------------------------------------------
 */

static void
append_lines(struct buf *b, const struct version *v)
{
	buf_appendf(b, "%s  %s  %-16s %6" PRIu64 " %s ", time_format_key(v->first.time).s,
		    time_format_key(v->last.time).s, v->writer, v->n_snapshots,
		    v->n_snapshots == 1 ? "snapshot " : "snapshots");
	if (v->type == ENTRY_FILE)
		buf_appendf(b, "%12" PRIu64, v->size);
	else
		buf_appendf(b, "%12s", entry_type_word(v->type));
	buf_appendf(b, "  %s\n", time_format_rfc3339(v->mtime.sec).s);
	if (v->missing_since)
		buf_appendf(b, "%s  missing\n", time_format_key(v->missing.time).s);
}

static void
append_object(struct buf *b, const struct version *v)
{
	buf_append_str(b, "  {");
	append_json_text(b, "writer", v->writer);
	buf_append_str(b, ", ");
	append_json_text(b, "type", entry_type_word(v->type));
	buf_appendf(b, ", \"size\": %" PRIu64 ", ", v->size);
	append_json_text(b, "mtime", time_format_rfc3339(v->mtime.sec).s);
	buf_appendf(b, ", \"snapshots\": %" PRIu64, v->n_snapshots);
	append_json_snapshot(b, "first", &v->first);
	append_json_snapshot(b, "last", &v->last);
	if (v->missing_since)
		append_json_snapshot(b, "missing_since", &v->missing);
	buf_append_u8(b, '}');
}

static int
print_history(const struct history *h, bool json, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	buf_append_str(&text, json ? "[\n" : "");
	for (size_t i = 0; i < h->n; i++) {
		if (json) {
			append_object(&text, &h->versions[i]);
			buf_append_str(&text, i + 1 < h->n ? ",\n" : "\n");
		} else {
			append_lines(&text, &h->versions[i]);
		}
	}
	buf_append_str(&text, json ? "]\n" : "");
	return print_buf(&text, err);
}

int
cmd_history(struct cli *c, struct err *err)
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
	h.repo = s.repo;
	h.path = buf_slice(&path);
	r = timeline_walk(s.repo, s.reader, &o, look_at, &h, err);
	if (r == 0)
		r = print_history(&h, option_given(c, OPT_JSON), err);
	if (r < 0)
		return r;
	if (h.n_failed > 0)
		return err_set(err, ERR_CORRUPT,
			       "the list may lack something: see the warnings above");
	return h.n > 0 ? 0
		       : err_set(err, ERR_NOENT, "%s is in none of the snapshots", operand(c, 0));
}
