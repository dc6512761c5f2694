/*
 * cmd_find.c - tillfs find: in which snapshots a name is, and which versions of it.
 *
 * Walks what changed from one snapshot to the next, so a year of them costs about one tree and the
 * changes.
 */
#include <inttypes.h>
#include <sys/queue.h>

#include "internal.h"

#define BUCKETS 4096u

/* A version of a path, from one snapshot of a writer to another. */
struct found {
	char *path;
	size_t path_len;
	enum entry_type type;
	uint64_t size;
	struct timestamp mtime;
	const char *writer; /* borrowed from the repo */
	struct snapshot_name first, last;
	bool here; /* in the snapshot looked at last, and in its bucket */
	LIST_ENTRY(found) in_bucket;
};

struct find {
	struct session *session;
	struct repo *repo;
	const char *glob;
	struct moment *before; /* the snapshot looked at last */
	struct moment *now;
	LIST_HEAD(, found) here[BUCKETS]; /* tsearch tree of struct found: what @before has */
	struct found **all;
	size_t n, cap;
	size_t n_failed;
};

static void
find_free(struct find *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->all[i]->path);
		free(f->all[i]);
	}
	free(f->all);
	moment_free(f->before);
	free(f);
}
DEFINE_FREEP(struct find *, find_free)

static struct slice
path_of(const struct found *x)
{
	return slice_of(x->path, x->path_len);
}

/* ---- what is here ------------------------------------------------------------------------------
 */

/* FNV-1a */
static size_t
bucket_of(struct slice path)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < path.len; i++)
		h = (h ^ path.p[i]) * UINT64_C(1099511628211);
	return (h ^ h >> 32) % BUCKETS;
}

/* The version in force ends with the snapshot looked at last. */
static void
leave(struct find *f, struct found *x)
{
	x->last = f->before->snapshot->name;
	x->here = false;
	LIST_REMOVE(x, in_bucket);
}

/* A path goes, or changes. */
static void
end_version(struct find *f, struct slice path)
{
	struct found *x;

	LIST_FOREACH(x, &f->here[bucket_of(path)], in_bucket)
	{
		if (slice_equal(path_of(x), path)) {
			leave(f, x);
			return;
		}
	}
}

static void
start_version(struct find *f, struct slice path, const struct entry *e)
{
	struct found *x = mem_alloc(sizeof *x);

	*x = (struct found){.path = mem_copy(path.p, path.len),
			    .path_len = path.len,
			    .type = e->type,
			    .size = e->type == ENTRY_FILE ? e->size : 0,
			    .mtime = e->mtime,
			    .writer = repo_writer_name(f->repo, &f->now->snapshot->name.writer),
			    .first = f->now->snapshot->name,
			    .here = true};
	array_reserve(f->all, f->n, f->cap);
	f->all[f->n++] = x;
	LIST_INSERT_HEAD(&f->here[bucket_of(path)], x, in_bucket);
}

static int
note_change(void *arg, const struct change *change, struct err *err)
{
	struct find *f = arg;

	(void)err;
	if (change->kind == CHANGE_UNREADABLE) {
		warn("%s: %.*s: %s", repo_snapshot_label(f->repo, &f->now->snapshot->name).s,
		     (int)change->path.len, (const char *)change->path.p, change->why->msg);
		f->n_failed++;
		return 0;
	}
	if (change->path.len == 0 || !glob_match(f->glob, change->path))
		return 0;
	if (change->kind == CHANGE_ATTRIBUTES)
		return 0;
	if (change->old != NULL)
		end_version(f, change->path);
	if (change->new != NULL)
		start_version(f, change->path, merged_entry(change->new));
	return 0;
}

/* ---- time --------------------------------------------------------------------------------------
 */

/* What the last snapshot of a writer has is there until that. */
static void
end_writer(struct find *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->all[i]->here)
			leave(f, f->all[i]);
	moment_free(steal_ptr(&f->before));
}

static int
look_at(void *arg, struct moment **m, struct err *err)
{
	CLEANUP(merged_fini) struct merged old = {0};
	CLEANUP(merged_fini) struct merged new = {0};
	struct find *f = arg;
	int r = 0;

	if ((*m)->merge == NULL) {
		warn("%s", (*m)->failure.msg);
		f->n_failed++;
		return 0;
	}
	if (f->before != NULL &&
	    !writer_id_equal(&f->before->snapshot->name.writer, &(*m)->snapshot->name.writer))
		end_writer(f);
	r = session_record(f->session, (*m)->opened, slice_str(""), err);
	if (r < 0)
		return r;
	f->now = *m;
	if (f->before != NULL)
		r = merge_root(f->before->merge, &old, err);
	if (r == 0)
		r = merge_root((*m)->merge, &new, err);
	if (r == 0)
		r = compare_trees(f->before != NULL ? &old : NULL, &new, note_change, f,
				  progress_show(NULL).cancel, err);
	if (r != 0)
		return r;
	/* Entries borrow from the snapshot that goes. */
	merged_fini(&old);
	moment_free(f->before);
	f->before = steal_ptr(m);
	return 0;
}

/* ---- telling -----------------------------------------------------------------------------------
 */

static int
in_order(const void *a, const void *b)
{
	const struct found *x = *(const struct found *const *)a;
	const struct found *y = *(const struct found *const *)b;
	int r = slice_cmp(path_of(x), path_of(y));

	if (r == 0)
		r = strcmp(x->writer, y->writer);
	if (r == 0)
		r = (x->first.seq > y->first.seq) - (x->first.seq < y->first.seq);
	return r;
}

static void
append_line(struct buf *b, const struct found *x)
{
	buf_appendf(b, "%s  %s  %-16s ", time_format_key(x->first.time).s,
		    time_format_key(x->last.time).s, x->writer);
	if (x->type == ENTRY_FILE)
		buf_appendf(b, "%12" PRIu64 "  ", x->size);
	else
		buf_appendf(b, "%12s  ", entry_type_word(x->type));
	append_name(b, path_of(x));
	buf_append_u8(b, '\n');
}

static void
append_object(struct buf *b, const struct found *x)
{
	buf_append_str(b, "  {\"path\": ");
	json_append_string(b, path_of(x));
	buf_append_str(b, ", ");
	append_json_text(b, "writer", x->writer);
	buf_append_str(b, ", ");
	append_json_text(b, "type", entry_type_word(x->type));
	if (x->type == ENTRY_FILE)
		buf_appendf(b, ", \"size\": %" PRIu64, x->size);
	buf_append_str(b, ", ");
	append_json_text(b, "mtime", time_format_rfc3339(x->mtime.sec).s);
	append_json_snapshot(b, "first", &x->first);
	append_json_snapshot(b, "last", &x->last);
	buf_append_u8(b, '}');
}

static int
print_found(struct find *f, bool json, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	if (f->n > 0)
		qsort(f->all, f->n, sizeof(struct found *), in_order);
	buf_append_str(&text, json ? "[\n" : "");
	for (size_t i = 0; i < f->n; i++) {
		if (json) {
			append_object(&text, f->all[i]);
			buf_append_str(&text, i + 1 < f->n ? ",\n" : "\n");
		} else {
			append_line(&text, f->all[i]);
		}
	}
	buf_append_str(&text, json ? "]\n" : "");
	return print_buf(&text, err);
}

int
cmd_find(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(find_freep) struct find *f = mem_alloc(sizeof *f);
	struct timeline_options o;
	int r;

	r = timeline_options_read(c, &o, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	interrupts_catch();
	f->session = &s;
	f->repo = s.repo;
	f->glob = operand(c, 0);
	r = timeline_walk(s.repo, s.reader, &o, look_at, f, err);
	if (f->before != NULL)
		end_writer(f);
	if (r == 0)
		r = print_found(f, option_given(c, OPT_JSON), err);
	if (r < 0)
		return r;
	if (f->n_failed > 0)
		return err_set(err, ERR_CORRUPT,
			       "the list may lack something: see the warnings above");
	return f->n > 0 ? 0 : err_set(err, ERR_NOENT, "nothing matches %s", f->glob);
}
