/*
 * read.c - entries of a log, filtered.
 */
#include <inttypes.h>

#include "internal.h"

static bool
text_is(struct slice s, const char *text)
{
	return slice_equal(s, slice_str(text));
}

static bool
begins_with(struct slice s, const char *text)
{
	return s.len >= strlen(text) && memcmp(s.p, text, strlen(text)) == 0;
}

static bool
result_matches(const struct audit_entry *e, const char *result)
{
	if (strcmp(result, "failed") == 0)
		return !text_is(e->result, "ok");
	return text_is(e->result, result);
}

static bool
matches(const struct audit_filter *f, const struct audit_entry *e)
{
	if ((f->has_since && e->time_ns < f->since_ns) ||
	    (f->has_until && e->time_ns >= f->until_ns) || (f->has_uid && e->uid != f->uid))
		return false;
	if (f->result != NULL && !result_matches(e, f->result))
		return false;
	if (f->path != NULL && !glob_match(f->path, e->path))
		return false;
	return f->snapshot == NULL || begins_with(e->snapshot, f->snapshot) ||
	       glob_match(f->snapshot, e->snapshot);
}

/* Ends of events say nothing of whom and what: they go with their event's. */
struct carried {
	const struct audit_filter *filter;
	audit_entry_fn *fn;
	void *arg;
	struct wanted {
		uint64_t session, number;
	} * wanted; /* events that matched and have no end yet */
	size_t n, cap;
};

static bool
is_wanted_end(struct carried *c, const struct audit_entry *e)
{
	for (size_t i = c->n; i > 0; i--) {
		struct wanted *w = &c->wanted[i - 1];

		if (w->session == e->session && w->number == e->about) {
			*w = c->wanted[--c->n];
			return true;
		}
	}
	return false;
}

static int
give(struct carried *c, const struct audit_entry *e, struct err *err)
{
	if (text_is(e->kind, "close") && e->about != 0) {
		if (!is_wanted_end(c, e))
			return 0;
		return c->fn(c->arg, e, err);
	}
	if (!matches(c->filter, e))
		return 0;
	if (e->number != 0 && e->ended_ns == 0 && text_is(e->result, "ok") &&
	    !text_is(e->kind, "list")) {
		array_reserve(c->wanted, c->n, c->cap);
		c->wanted[c->n++] = (struct wanted){e->session, e->number};
	}
	return c->fn(c->arg, e, err);
}

int
audit_read(const char *path, const struct audit_filter *filter, audit_entry_fn *fn, void *arg,
	   struct err *err)
{
	static const struct audit_filter all;
	CLEANUP(db_closep) struct db *db = NULL;
	struct carried c = {.filter = filter != NULL ? filter : &all, .fn = fn, .arg = arg};
	struct db_stmt *s = NULL;
	int r;

	r = db_open_existing(path, AUDIT_VERSION, &db, err);
	if (r == 0)
		r = db_prepare_foreign(db, "SELECT " ENTRY_COLUMNS " FROM entry ORDER BY seq", &s,
				       err);
	if (r < 0)
		return err_add(err, r, "access log");
	while ((r = db_step(s, err)) == 1) {
		struct audit_entry e;

		audit_entry_from_row(s, &e);
		r = give(&c, &e, err);
		if (r != 0)
			break;
	}
	free(c.wanted);
	return r;
}
