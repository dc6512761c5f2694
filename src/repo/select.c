/*
 * select.c - which snapshot a user means.
 *
 *	latest  latest@WRITER  DATE  DATE@WRITER  ID-PREFIX  DATE/WRITER.TIME (as messages name one)
 *
 * The newest of a writer is the one with the highest sequence, whatever its clock says; among
 * writers the clock must decide.
 *
 * Layer 3.
 */
#include "internal.h"

#define ID_PREFIX_MIN  4u
#define CANDIDATES_MAX 8u

/* What a selector says. */
struct wish {
	const char *text; /* the whole, for messages */
	bool has_date;    /* else latest */
	struct date date;
	const char *writer; /* NULL: any */
};

static bool
is_id_prefix(const char *s)
{
	size_t len = strlen(s);

	return len >= ID_PREFIX_MIN && len <= 2 * sizeof(struct hash) &&
	       strspn(s, "0123456789abcdef") == len;
}

static bool
parse_wish(const char *selector, struct wish *ret)
{
	size_t len = strcspn(selector, "@");

	*ret = (struct wish){.text = selector};
	if (selector[len] == '@')
		ret->writer = selector + len + 1;
	if (len == strlen("latest") && memcmp(selector, "latest", len) == 0)
		return true;
	ret->has_date = date_parse(slice_of(selector, len), &ret->date);
	return ret->has_date;
}

static bool
is_writer(const struct repo_snapshot *s, const char *writer)
{
	return strcmp(s->writer, writer) == 0 ||
	       strcmp(hex_bytes(&s->name.writer, sizeof s->name.writer).s, writer) == 0;
}

static bool
matches(const struct repo_snapshot *s, const struct wish *w)
{
	return (!w->has_date || s->name.date.days == w->date.days) &&
	       (w->writer == NULL || is_writer(s, w->writer));
}

/* A label without the word that it starts with: 2026-11-20/till-03.23-00-05Z */
static const char *
short_label(const char *label)
{
	return label + strlen("snapshot ");
}

/* Appends a candidate; after some, only how many more there are. */
static void
add_candidate(struct repo *r, const struct repo_snapshot *s, size_t n, struct buf *text)
{
	if (n <= CANDIDATES_MAX)
		buf_appendf(text, "%s%s (%s)", n > 1 ? ", " : "",
			    short_label(repo_snapshot_label(r, &s->name).s),
			    hex_short(&s->name.id.h).s);
}

static void
end_candidates(size_t n, struct buf *text)
{
	if (n > CANDIDATES_MAX)
		buf_appendf(text, " and %zu more", n - CANDIDATES_MAX);
}

static int
select_by_id(struct repo *r, const struct repo_list *l, const char *prefix,
	     struct snapshot_name *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const struct repo_snapshot *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (strncmp(hex(&l->snapshots[i].name.id.h).s, prefix, strlen(prefix)) != 0)
			continue;
		found = &l->snapshots[i];
		add_candidate(r, found, ++n, &text);
	}
	end_candidates(n, &text);
	if (n == 0)
		return err_set(err, ERR_NOENT, "no snapshot's id starts with %s", prefix);
	if (n > 1)
		return err_set(err, ERR_INVALID, "%s is the start of several ids: %s", prefix,
			       buf_cstr(&text));
	*ret = found->name;
	return 0;
}

/* As error messages and the mount name one: 2026-11-20/till-03.23-00-05Z */
static const struct repo_snapshot *
find_by_label(struct repo *r, const struct repo_list *l, const char *selector)
{
	/* Backwards: of several in one second the newest. */
	for (size_t i = l->n; i-- > 0;) {
		struct repo_label label = repo_snapshot_label(r, &l->snapshots[i].name);

		if (strcmp(short_label(label.s), selector) == 0)
			return &l->snapshots[i];
	}
	return NULL;
}

static bool
same_writer(const struct repo_snapshot *a, const struct repo_snapshot *b)
{
	return writer_id_equal(&a->name.writer, &b->name.writer);
}

/* Of one writer the sequence decides, between writers the clock. */
static bool
is_newer(const struct repo_snapshot *a, const struct repo_snapshot *b)
{
	if (same_writer(a, b))
		return a->name.seq > b->name.seq;
	return a->name.time > b->name.time;
}

static int
none_matches(const struct repo_list *l, const struct wish *w, struct err *err)
{
	bool known = w->writer == NULL;

	if (l->n == 0)
		return err_set(err, ERR_NOENT, "%s: there is no snapshot yet", safe(w->text).s);
	for (size_t i = 0; i < l->n && !known; i++)
		known = is_writer(&l->snapshots[i], w->writer);
	if (!known)
		return err_set(err, ERR_NOENT, "%s: there is no snapshot of a writer %s",
			       safe(w->text).s, safe(w->writer).s);
	return err_set(err, ERR_NOENT,
		       "%s: there is no such snapshot; the business dates go from %s "
		       "to %s",
		       safe(w->text).s, date_format(l->snapshots[0].name.date).s,
		       date_format(l->snapshots[l->n - 1].name.date).s);
}

/* The newest of each writer that matches. */
struct newest {
	const struct repo_snapshot **v;
	size_t n, cap;
};

static void
newest_fini(struct newest *x)
{
	free(x->v);
}

static void
newest_add(struct newest *x, const struct repo_snapshot *s)
{
	for (size_t i = 0; i < x->n; i++)
		if (same_writer(x->v[i], s)) {
			if (is_newer(s, x->v[i]))
				x->v[i] = s;
			return;
		}
	array_reserve(x->v, x->n, x->cap);
	x->v[x->n++] = s;
}

static int
select_newest(struct repo *r, const struct repo_list *l, const struct wish *w,
	      struct snapshot_name *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(newest_fini) struct newest x = {0};
	const struct repo_snapshot *best = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (matches(&l->snapshots[i], w))
			newest_add(&x, &l->snapshots[i]);
	if (x.n == 0)
		return none_matches(l, w, err);
	for (size_t i = 0; i < x.n; i++) {
		if (best == NULL || is_newer(x.v[i], best))
			best = x.v[i];
		add_candidate(r, x.v[i], i + 1, &text);
	}
	end_candidates(x.n, &text);
	if (x.n > 1 && w->has_date)
		return err_set(
			err, ERR_INVALID,
			"several writers made snapshots of %s: %s; add @WRITER or give an id",
			w->text, buf_cstr(&text));
	*ret = best->name;
	return 0;
}

int
repo_select(struct repo *r, const char *selector, struct snapshot_name *ret, struct err *err)
{
	CLEANUP(repo_list_putp) struct repo_list *l = repo_list_get(r);
	const struct repo_snapshot *s;
	struct wish w;

	if (parse_wish(selector, &w))
		return select_newest(r, l, &w, ret, err);
	if (is_id_prefix(selector))
		return select_by_id(r, l, selector, ret, err);
	s = find_by_label(r, l, selector);
	if (s == NULL)
		return err_set(
			err, strchr(selector, '/') != NULL ? ERR_NOENT : ERR_INVALID,
			"%s is no snapshot: say latest, latest@WRITER, a date as 2026-11-20, "
			"DATE@WRITER, or the start of an id (at least %u digits)",
			safe(selector).s, ID_PREFIX_MIN);
	*ret = s->name;
	return 0;
}
