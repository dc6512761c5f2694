/*
 * cmd_snapshots.c - tillfs snapshots: what there is, oldest first.
 */
#include <inttypes.h>

#include "internal.h"

static struct snapshot_counts
counts_of(const struct repo_opened *o)
{
	struct snapshot_counts sum = {0};

	for (size_t i = 0; i < o->n_classes; i++) {
		sum.files += o->classes[i]->counts.files;
		sum.dirs += o->classes[i]->counts.dirs;
		sum.others += o->classes[i]->counts.others;
		sum.bytes += o->classes[i]->counts.bytes;
	}
	return sum;
}

/* Databases stored raw, and captures that failed: what docs/format.md calls flags. */
static size_t
count_flags(const struct snapshot_details *d)
{
	static const char *const flags[] = {"raw: ", "failed: "};
	size_t n = 0;

	for (size_t i = 0; i < d->n_notes; i++)
		for (size_t k = 0; k < ARRAY_LEN(flags); k++) {
			size_t len = strlen(flags[k]);

			if (d->notes[i].text.len >= len &&
			    memcmp(d->notes[i].text.p, flags[k], len) == 0)
				n++;
		}
	return n;
}

static void
append_row(struct buf *b, const struct repo_snapshot *s, const struct repo_opened *o)
{
	const struct snapshot_details *d = o->details;
	struct snapshot_counts counts = counts_of(o);

	buf_appendf(b, "%s  %s  %-16s  %s  %9" PRIu64 "  ", date_format(s->name.date).s,
		    time_format_rfc3339(s->name.time).s, s->writer, hex_short(&s->name.id.h).s,
		    counts.files);
	text_append_bytes(b, counts.bytes);
	for (size_t i = 0; d != NULL && i + 1 < d->n_labels; i += 2) {
		buf_append_str(b, "  ");
		text_append_safe(b, d->labels[i]);
		buf_append_u8(b, '=');
		text_append_safe(b, d->labels[i + 1]);
	}
	if (d != NULL && count_flags(d) > 0)
		buf_appendf(b, "  !%zu not captured", count_flags(d));
	buf_append_u8(b, '\n');
}

static void
append_details_json(struct buf *b, const struct snapshot_details *d)
{
	buf_append_str(b, ",\n   \"labels\": {");
	for (size_t i = 0; i + 1 < d->n_labels; i += 2) {
		buf_append_str(b, i > 0 ? ", " : "");
		json_append_string(b, d->labels[i]);
		buf_append_str(b, ": ");
		json_append_string(b, d->labels[i + 1]);
	}
	buf_append_str(b, "}, \"paths\": [");
	for (size_t i = 0; i < d->n_paths; i++) {
		buf_append_str(b, i > 0 ? ", " : "");
		json_append_string(b, d->paths[i]);
	}
	buf_append_str(b, "], \"host\": ");
	json_append_string(b, d->host);
	buf_append_str(b, ", \"tool\": ");
	json_append_string(b, d->tool);
	buf_append_str(b, ",\n   ");
	append_json_text(b, "started", time_format_rfc3339(d->started).s);
	buf_append_str(b, ", ");
	append_json_text(b, "finished", time_format_rfc3339(d->finished).s);
	buf_appendf(b, ", \"unreadable\": %zu, \"notes\": %zu, \"not_captured\": %zu",
		    d->n_unreadable, d->n_notes, count_flags(d));
}

static void
append_object(struct buf *b, const struct repo_snapshot *s, const struct repo_opened *o)
{
	struct snapshot_counts counts = counts_of(o);

	buf_append_str(b, "  {");
	append_json_text(b, "id", hex(&s->name.id.h).s);
	buf_append_str(b, ", ");
	append_json_text(b, "writer", s->writer);
	buf_append_str(b, ", ");
	append_json_text(b, "date", date_format(s->name.date).s);
	buf_append_str(b, ", ");
	append_json_text(b, "time", time_format_rfc3339(s->name.time).s);
	buf_appendf(b,
		    ", \"sequence\": %" PRIu64 ",\n   \"files\": %" PRIu64 ", \"folders\": %" PRIu64
		    ", \"others\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"classes\": [",
		    s->name.seq, counts.files, counts.dirs, counts.others, counts.bytes);
	for (size_t i = 0; i < o->n_classes; i++)
		buf_appendf(b, "%s\"%s\"", i > 0 ? ", " : "", o->classes[i]->name);
	buf_append_u8(b, ']');
	if (o->details != NULL)
		append_details_json(b, o->details);
	buf_append_u8(b, '}');
}

/* ---- opening them ---------------------------------------------------------------------- */

#define TOGETHER 256u /* opened before their rows are made */
#define THREADS  32u  /* far away, each waits a round trip */

struct batch {
	struct repo *repo;
	const struct repo_snapshot *snapshots;
	struct repo_opened *opened[TOGETHER];
	int codes[TOGETHER];
	struct err errs[TOGETHER];
};

static void
open_one(void *arg, size_t i)
{
	struct batch *b = arg;

	b->codes[i] =
		repo_snapshot_open(b->repo, &b->snapshots[i].name, &b->opened[i], &b->errs[i]);
}

struct rows {
	struct buf text;
	bool json;
	size_t shown, hidden;
};

static void
rows_fini(struct rows *rows)
{
	buf_fini(&rows->text);
}

static void
append_opened(struct rows *rows, const struct repo_snapshot *s, const struct repo_opened *o)
{
	if (rows->json) {
		buf_append_str(&rows->text, rows->shown > 0 ? ",\n" : "\n");
		append_object(&rows->text, s, o);
	} else {
		append_row(&rows->text, s, o);
	}
	rows->shown++;
}

static void
append_batch(struct rows *rows, struct repo *repo, const struct repo_snapshot *snapshots, size_t n)
{
	struct batch *b = mem_alloc(sizeof *b);

	b->repo = repo;
	b->snapshots = snapshots;
	tasks_run(n, THREADS, open_one, b);
	for (size_t i = 0; i < n; i++) {
		if (b->codes[i] == 0)
			append_opened(rows, &snapshots[i], b->opened[i]);
		else if (b->codes[i] == ERR_DENIED && !repo_is_admin(repo))
			rows->hidden++; /* made before its writer had heard of the grant */
		else
			warn("%s", b->errs[i].msg);
		repo_opened_free(b->opened[i]);
	}
	free(b);
}

int
cmd_snapshots(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(repo_list_putp) struct repo_list *list = NULL;
	CLEANUP(rows_fini) struct rows rows = {.json = option_given(c, OPT_JSON)};
	int r;

	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	list = repo_list_get(s.repo);
	buf_append_str(&rows.text, rows.json ? "[" : "");
	for (size_t i = 0; i < list->n; i += TOGETHER)
		append_batch(&rows, s.repo, &list->snapshots[i],
			     (size_t)min_u64(list->n - i, TOGETHER));
	buf_append_str(&rows.text, !rows.json ? "" : rows.shown > 0 ? "\n]\n" : "]\n");
	r = print_buf(&rows.text, err);
	if (r == 0 && rows.shown + rows.hidden < list->n)
		return err_set(err, ERR_CORRUPT, "%zu of %zu snapshots could not be opened",
			       list->n - rows.shown - rows.hidden, list->n);
	return r;
}
