/*
 * record_search.c - in which databases of a snapshot a record may be, by the profiles.
 */
#include "record_search.h"

void
search_fini(struct search *s)
{
	for (size_t i = 0; i < s->found.n; i++)
		free(s->found.v[i].path);
	free(s->found.v);
	buf_fini(&s->path);
}

/* ---- files that a profile is for --------------------------------------------------------- */

static bool
is_wanted(const struct cli *c, const struct profile *p)
{
	const char *only = option_value(c, OPT_SCHEMA);

	return only == NULL || strcmp(only, p->name) == 0;
}

static void
note_file(struct search *s, struct slice path, bool named)
{
	for (size_t i = 0; i < s->profiles->n; i++) {
		const struct profile *p = s->profiles->v[i];
		const struct profile_record *record = profile_find(p, s->record);

		if (record == NULL || !is_wanted(s->c, p) || !(named || profile_matches(p, path)))
			continue;
		array_reserve(s->found.v, s->found.n, s->found.cap);
		s->found.v[s->found.n++] =
			(struct candidate){str_format("%.*s", (int)path.len, (const char *)path.p),
					   p, record};
	}
}

static int
walk(struct search *s, const struct merged *dir, struct err *err)
{
	CLEANUP(merged_cursor_closep) struct merged_cursor *cursor = NULL;
	size_t before = s->path.len;
	const struct merged *x;
	int r;

	r = merged_cursor_open(dir, &cursor, err);
	while (r == 0 && (r = merged_cursor_next(cursor, &x, err)) == 0) {
		const struct entry *e = merged_entry(x);

		if (before > 0)
			buf_append_u8(&s->path, '/');
		buf_append(&s->path, e->name.p, e->name.len);
		if (e->type == ENTRY_DIR && s->path.len < 4096)
			r = walk(s, x, err);
		else if (e->type == ENTRY_FILE)
			note_file(s, buf_slice(&s->path), false);
		s->path.len = before;
	}
	return r == ERR_NOENT ? 0 : r;
}

int
search_collect(struct search *s, struct err *err)
{
	CLEANUP(merge_freep)
	struct merge *merge = merge_new(s->session->reader, s->opened);
	CLEANUP(merged_fini) struct merged root = {0};
	const char *named = option_value(s->c, OPT_DATABASE);
	int r = 0;

	if (named != NULL) {
		note_file(s, slice_str(named), true);
	} else {
		r = merge_root(merge, &root, err);
		if (r == 0)
			r = walk(s, &root, err);
	}
	return r;
}

bool
search_is_known(const struct search *s)
{
	for (size_t i = 0; i < s->profiles->n; i++)
		if (is_wanted(s->c, s->profiles->v[i]) &&
		    profile_find(s->profiles->v[i], s->record) != NULL)
			return true;
	return false;
}

int
search_nothing_found(const struct search *s, struct err *err)
{
	CLEANUP(buf_fini) struct buf known = BUF_INIT;

	if (search_is_known(s))
		return err_set(err, ERR_NOENT,
			       "no database in %s is one that a profile with the record \"%s\" is "
			       "for; say which with --database PATH",
			       repo_snapshot_label(s->session->repo, &s->opened->snapshot->name).s,
			       s->record);
	for (size_t i = 0; i < s->profiles->n; i++)
		for (size_t k = 0; k < s->profiles->v[i]->n_records; k++)
			buf_appendf(&known, "%s%s (%s)", known.len > 0 ? ", " : "",
				    s->profiles->v[i]->records[k].name, s->profiles->v[i]->name);
	return err_set(err, ERR_INVALID, "no profile knows the record \"%s\"; known are: %.500s",
		       s->record, buf_cstr(&known));
}
