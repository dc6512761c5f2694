/*
 * versions.c - the versions of something over time, snapshot by snapshot.
 */
#include <inttypes.h>

#include "history.h"

void
versions_fini(struct versions *x)
{
	for (size_t i = 0; i < x->n; i++) {
		buf_fini(&x->v[i].about);
		buf_fini(&x->v[i].words);
	}
	free(x->v);
}

bool
versions_turn(struct versions *x, const struct moment *m)
{
	const struct writer_id *writer = &m->snapshot->name.writer;
	bool other = !writer_id_equal(&x->writer, writer);

	x->writer = *writer;
	return other;
}

/* The version that the snapshot before had, or NULL. */
static struct version *
current(struct versions *x)
{
	struct version *v = x->n > 0 ? &x->v[x->n - 1] : NULL;

	return v != NULL && !v->missing_since && writer_id_equal(&v->last.writer, &x->writer)
		       ? v
		       : NULL;
}

struct version *
versions_add(struct versions *x, const struct moment *m, enum version_step step)
{
	struct version *v = current(x);

	switch (step) {
	case VERSION_ABSENT:
		if (v != NULL) {
			v->missing_since = true;
			v->missing = m->snapshot->name;
		}
		return NULL;
	case VERSION_SAME:
		if (v != NULL) {
			v->last = m->snapshot->name;
			v->n_snapshots++;
		}
		return NULL;
	case VERSION_CHANGED:
		break;
	}
	array_reserve(x->v, x->n, x->cap);
	v = &x->v[x->n++];
	*v = (struct version){.writer = repo_writer_name(x->repo, &m->snapshot->name.writer),
			      .first = m->snapshot->name,
			      .last = m->snapshot->name,
			      .n_snapshots = 1};
	return v;
}

int
versions_failed(struct versions *x, const struct moment *m, int code, const struct err *why,
		struct err *err)
{
	if (code == ERR_UNREACHABLE || code == ERR_CANCELLED) {
		*err = *why;
		return code;
	}
	warn("%s: %s", repo_snapshot_label(x->repo, &m->snapshot->name).s, why->msg);
	x->n_failed++;
	return 0;
}

/* ---- telling ----------------------------------------------------------------------------- */

void
versions_put_json(const struct version *v, struct buf *b)
{
	append_json_text(b, "writer", v->writer);
	buf_appendf(b, ", \"snapshots\": %" PRIu64, v->n_snapshots);
	append_json_snapshot(b, "first", &v->first);
	append_json_snapshot(b, "last", &v->last);
	if (v->missing_since)
		append_json_snapshot(b, "missing_since", &v->missing);
}

void
versions_put_words(const struct version *v, struct buf *b)
{
	buf_appendf(b, "%s  %s  %-16s %6" PRIu64 " %s ", time_format_key(v->first.time).s,
		    time_format_key(v->last.time).s, v->writer, v->n_snapshots,
		    v->n_snapshots == 1 ? "snapshot " : "snapshots");
}

void
versions_put_missing(const struct version *v, struct buf *b)
{
	if (v->missing_since)
		buf_appendf(b, "%s  missing\n", time_format_key(v->missing.time).s);
}

int
versions_end(const struct versions *x, const char *what, struct err *err)
{
	if (x->n_failed > 0)
		return err_set(err, ERR_CORRUPT,
			       "the list may lack something: see the warnings above");
	return x->n > 0 ? 0 : err_set(err, ERR_NOENT, "%s is in none of the snapshots", what);
}
