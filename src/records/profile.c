/*
 * profile.c - profiles out of INI files.
 */
#include "tillfs/profile.h"

#include <strings.h>

#include "tillfs/config.h"

static void
words_fini(struct profile_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
}

static void
words_add(struct profile_words *w, struct slice word)
{
	array_reserve(w->v, w->n, w->cap);
	w->v[w->n++] = str_format("%.*s", (int)word.len, (const char *)word.p);
}

static void
record_fini(struct profile_record *r)
{
	for (size_t i = 0; i < r->n_children; i++) {
		free(r->children[i].table);
		words_fini(&r->children[i].columns);
	}
	free(r->children);
	free(r->name);
	free(r->table);
	free(r->time);
	words_fini(&r->key);
	words_fini(&r->masks);
}

void
profile_free(struct profile *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n_records; i++)
		record_fini(&p->records[i]);
	free(p->records);
	free(p->name);
	words_fini(&p->databases);
	free(p);
}

/* ---- values ---------------------------------------------------------------------------- */

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes the text up to @end off @s, or all of it. */
static struct slice
cut(struct slice *s, uint8_t end, bool *ret_found)
{
	const uint8_t *at = s->len > 0 ? memchr(s->p, end, s->len) : NULL;
	struct slice head = *s;

	*ret_found = at != NULL;
	if (at != NULL)
		head.len = (size_t)(at - s->p);
	s->p += at != NULL ? head.len + 1 : head.len;
	s->len -= at != NULL ? head.len + 1 : head.len;
	return trim(head);
}

/* TABLE: COLUMN = RECORD'S COLUMN, … */
static bool
add_child(struct profile_record *r, struct slice value)
{
	struct profile_child *c;
	bool found, more = true;
	struct slice table = cut(&value, ':', &found);

	if (!found || table.len == 0)
		return false;
	array_reserve(r->children, r->n_children, r->cap_children);
	c = &r->children[r->n_children++];
	*c = (struct profile_child){
		.table = str_format("%.*s", (int)table.len, (const char *)table.p)};
	while (more) {
		struct slice pair = cut(&value, ',', &more);
		struct slice column = cut(&pair, '=', &found);

		pair = trim(pair);
		if (!found || column.len == 0 || pair.len == 0)
			return false;
		words_add(&c->columns, column);
		words_add(&c->columns, pair);
	}
	return true;
}

static void
set(char **to, const char *value)
{
	free(*to);
	*to = str_copy(value);
}

/* Return: false for a key that isn't known, or a value that makes no sense. */
static bool
take_record_entry(struct profile_record *r, const struct ini_entry *e)
{
	if (e->value[0] == '\0')
		return false;
	if (strcmp(e->key, "table") == 0)
		set(&r->table, e->value);
	else if (strcmp(e->key, "time") == 0)
		set(&r->time, e->value);
	else if (strcmp(e->key, "key") == 0)
		words_add(&r->key, slice_str(e->value));
	else if (strcmp(e->key, "mask") == 0)
		words_add(&r->masks, slice_str(e->value));
	else if (strcmp(e->key, "child") == 0)
		return add_child(r, slice_str(e->value));
	else
		return false;
	return true;
}

static struct profile_record *
record_of(struct profile *p, const char *section)
{
	static const char prefix[] = "record ";
	const char *name = section + strlen(prefix);
	struct profile_record *r;

	if (strncmp(section, prefix, strlen(prefix)) != 0 || name[0] == '\0')
		return NULL;
	for (size_t i = 0; i < p->n_records; i++)
		if (strcmp(p->records[i].name, name) == 0)
			return &p->records[i];
	array_reserve(p->records, p->n_records, p->cap_records);
	r = &p->records[p->n_records++];
	*r = (struct profile_record){.name = str_copy(name)};
	return r;
}

static int
take_entry(struct profile *p, const struct ini *ini, const struct ini_entry *e, struct err *err)
{
	struct profile_record *r;

	if (strcmp(e->section, "profile") == 0) {
		if (strcmp(e->key, "database") != 0 || e->value[0] == '\0')
			return err_set(err, ERR_INVALID, "%s:%d: [profile] has `database` only",
				       ini->origin, e->line);
		words_add(&p->databases, slice_str(e->value));
		return 0;
	}
	r = record_of(p, e->section);
	if (r == NULL)
		return err_set(err, ERR_INVALID,
			       "%s:%d: a section is [profile] or [record NAME], not [%s]",
			       ini->origin, e->line, e->section);
	if (!take_record_entry(r, e))
		return err_set(err, ERR_INVALID,
			       "%s:%d: a record has table, key, time, mask, and child = TABLE: "
			       "COLUMN = COLUMN; not \"%s = %s\"",
			       ini->origin, e->line, e->key, e->value);
	return 0;
}

static int
check(const struct profile *p, const char *origin, struct err *err)
{
	if (p->databases.n == 0)
		return err_set(err, ERR_INVALID, "%s: [profile] needs `database = PATTERN`",
			       origin);
	for (size_t i = 0; i < p->n_records; i++)
		if (p->records[i].table == NULL || p->records[i].key.n == 0)
			return err_set(err, ERR_INVALID, "%s: [record %s] needs `table` and `key`",
				       origin, p->records[i].name);
	return 0;
}

int
profile_parse(struct slice text, const char *name, const char *origin, struct profile **ret,
	      struct err *err)
{
	CLEANUP(profile_freep) struct profile *p = mem_alloc(sizeof *p);
	CLEANUP(ini_fini) struct ini ini = {0};
	int r;

	*ret = NULL;
	p->name = str_copy(name);
	r = ini_parse(text, origin, &ini, err);
	for (size_t i = 0; r == 0 && i < ini.n; i++)
		r = take_entry(p, &ini, &ini.entries[i], err);
	if (r == 0)
		r = check(p, origin, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&p);
	return 0;
}

/* ---- questions ------------------------------------------------------------------------- */

const struct profile_record *
profile_find(const struct profile *p, const char *record)
{
	for (size_t i = 0; i < p->n_records; i++)
		if (strcasecmp(p->records[i].name, record) == 0)
			return &p->records[i];
	return NULL;
}

bool
profile_matches(const struct profile *p, struct slice path)
{
	for (size_t i = 0; i < p->databases.n; i++)
		if (glob_match(p->databases.v[i], path))
			return true;
	return false;
}

static bool
same_word(struct slice a, struct slice b)
{
	return a.len == b.len &&
	       (a.len == 0 || strncasecmp((const char *)a.p, (const char *)b.p, a.len) == 0);
}

bool
profile_masks(const struct profile_record *r, const char *table, struct slice column)
{
	for (size_t i = 0; i < r->masks.n; i++) {
		struct slice mask = slice_str(r->masks.v[i]), its_table;
		bool found;

		its_table = cut(&mask, '.', &found);
		if (!found) {
			mask = its_table;
			its_table = slice_str(r->table);
		}
		if (same_word(its_table, slice_str(table)) && same_word(mask, column))
			return true;
	}
	return false;
}
