/*
 * made.c - [capture NAME] and [extract NAME]: files of a snapshot that a command or a query makes.
 *
 * Layer 1.
 */
#include <assert.h>

#include "config/internal.h"

#define MADE_MAX 1024u

/* What sections of a kind begin with. */
static const char *const kinds[] = {
	[MADE_BY_COMMAND] = "capture ",
	[MADE_BY_QUERY] = "extract ",
};

/* The kind of a section, or -1. */
static int
kind_of(const char *section)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strncmp(section, kinds[i], strlen(kinds[i])) == 0)
			return (int)i;
	return -1;
}

bool
made_is_section(const char *section)
{
	return kind_of(section) >= 0;
}

void
made_clear(struct config *c)
{
	for (size_t i = 0; i < c->n_made; i++) {
		struct config_made *m = &c->made[i];

		free(m->name);
		free(m->path);
		free(m->class_name);
		free(m->command);
		free(m->database);
		free(m->query);
	}
	free(c->made);
	c->made = NULL;
	c->n_made = c->cap_made = 0;
}

static bool
name_ok(const char *name)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_.-";
	size_t len = strlen(name);

	return len >= 1 && len <= 64 && name[0] != '.' && strspn(name, chars) == len;
}

static struct config_made *
named(struct config *c, enum made_by by, const char *name)
{
	for (size_t i = 0; i < c->n_made; i++)
		if (c->made[i].by == by && strcmp(c->made[i].name, name) == 0)
			return &c->made[i];
	array_reserve(c->made, c->n_made, c->cap_made);
	c->made[c->n_made] = (struct config_made){.by = by,
						  .name = str_copy(name),
						  .timeout_sec = MADE_TIMEOUT_SEC};
	return &c->made[c->n_made++];
}

/* A stored path: relative, of plain names. */
static bool
path_ok(const char *path)
{
	if (*path == '\0')
		return false;
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len == 0 || len > 255 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
		if (*path == '/' && *++path == '\0')
			return false;
	}
	return true;
}

static void
set(char **text, const char *by)
{
	free(*text);
	*text = str_copy(by);
}

static void
add_line(char **text, const char *line)
{
	char *both = *text == NULL ? str_copy(line) : str_format("%s\n%s", *text, line);

	free(*text);
	*text = both;
}

static int
take_query_key(const struct ini *ini, const struct ini_entry *e, struct config_made *m,
	       struct err *err)
{
	if (strcmp(e->key, "query") == 0) {
		add_line(&m->query, e->value);
		return 0;
	}
	if (strcmp(e->key, "database") == 0) {
		const char *path = e->value + strspn(e->value, "/");

		if (!path_ok(path))
			return config_bad_entry(ini, e, "give the database's path", err);
		set(&m->database, path);
		return 0;
	}
	return config_bad_entry(ini, e, "an extract has database, query, class, path and timeout",
				err);
}

static int
take_key(const struct ini *ini, const struct ini_entry *e, struct config_made *m, struct err *err)
{
	if (strcmp(e->key, "class") == 0) {
		set(&m->class_name, e->value);
		return 0;
	}
	if (strcmp(e->key, "path") == 0) {
		if (!path_ok(e->value))
			return config_bad_entry(ini, e, "a path is names with / between", err);
		set(&m->path, e->value);
		return 0;
	}
	if (strcmp(e->key, "timeout") == 0) {
		if (!config_parse_seconds(e->value, &m->timeout_sec))
			return config_bad_entry(ini, e, "give seconds, from 0 to 86400", err);
		return 0;
	}
	if (m->by == MADE_BY_QUERY)
		return take_query_key(ini, e, m, err);
	if (strcmp(e->key, "command") != 0)
		return config_bad_entry(ini, e, "a capture has command, class, path and timeout",
					err);
	set(&m->command, e->value);
	return 0;
}

int
made_take(const struct ini *ini, const struct ini_entry *e, struct config *c, struct err *err)
{
	int kind = kind_of(e->section);
	const char *name;

	assert(kind >= 0); /* made_is_section() said so */
	name = e->section + strlen(kinds[kind]);
	name += strspn(name, " ");
	if (!name_ok(name))
		return err_set(err, ERR_INVALID,
			       "%s:%d: [%s]: a name is 1 to 64 of A-Z, a-z, 0-9, _, - and ., the "
			       "first not a dot",
			       ini->origin, e->line, e->section);
	if (c->n_made >= MADE_MAX)
		return err_set(err, ERR_INVALID, "%s:%d: more than %u captures and extracts",
			       ini->origin, e->line, MADE_MAX);
	return take_key(ini, e, named(c, (enum made_by)kind, name), err);
}

static bool
has_class(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_classes; i++)
		if (strcmp(c->classes[i].name, name) == 0)
			return true;
	return strcmp(name, "general") == 0;
}

static bool
is_blank(const char *text)
{
	return text == NULL || text[strspn(text, " \t\n")] == '\0';
}

static int
check_one(const struct ini *ini, const struct config *c, const struct config_made *m,
	  struct err *err)
{
	const char *missing = NULL;

	if (m->by == MADE_BY_COMMAND && is_blank(m->command))
		missing = "command";
	if (m->by == MADE_BY_QUERY && is_blank(m->query))
		missing = "query";
	if (m->by == MADE_BY_QUERY && m->database == NULL)
		missing = "database";
	if (missing != NULL)
		return err_set(err, ERR_INVALID, "%s: [%s%s] has no %s", ini->origin, kinds[m->by],
			       m->name, missing);
	if (m->class_name != NULL && !has_class(c, m->class_name))
		return err_set(err, ERR_INVALID, "%s: [%s%s]: there is no [class %s]", ini->origin,
			       kinds[m->by], m->name, m->class_name);
	return 0;
}

int
made_check(const struct ini *ini, struct config *c, struct err *err)
{
	for (size_t i = 0; i < c->n_made; i++) {
		struct config_made *m = &c->made[i];
		int r = check_one(ini, c, m, err);

		if (r < 0)
			return r;
		if (m->path == NULL)
			m->path = m->by == MADE_BY_COMMAND ? str_format("captures/%s", m->name)
							   : str_format("extracts/%s.csv", m->name);
	}
	return 0;
}
