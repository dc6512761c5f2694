/*
 * config.c - what the configuration file says.
 *
 * Layer 1.
 */
#include "tillfs/config.h"

#define SYSTEM_CONFIG  "/etc/tillfs/tillfs.conf"
#define CLASS_NAME_LEN 32u

static int
bad(const struct ini *ini, const struct ini_entry *e, const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s:%d: %s = %s: %s", ini->origin, e->line, e->key,
		       e->value, what);
}

static void
set(char **field, const char *value)
{
	free(*field);
	*field = str_copy(value);
}

static bool
parse_cutoff(const char *text, int *ret)
{
	bool form = strlen(text) == 5 && text[2] == ':';
	int hour, minute;

	for (int i = 0; form && i < 5; i++)
		form = i == 2 || (text[i] >= '0' && text[i] <= '9');
	if (!form)
		return false;
	hour = (text[0] - '0') * 10 + text[1] - '0';
	minute = (text[3] - '0') * 10 + text[4] - '0';
	*ret = hour * 60 + minute;
	return hour < 24 && minute < 60;
}

static int
take_general(const struct ini *ini, const struct ini_entry *e, struct config *c, struct err *err)
{
	if (strcmp(e->key, "repository") == 0)
		set(&c->repository, e->value);
	else if (strcmp(e->key, "identity") == 0)
		set(&c->identity, e->value);
	else if (strcmp(e->key, "writer") == 0)
		set(&c->writer, e->value);
	else if (strcmp(e->key, "state") == 0)
		set(&c->state, e->value);
	else if (strcmp(e->key, "time-zone") == 0)
		set(&c->zone, e->value);
	else if (strcmp(e->key, "exclude") == 0) {
		array_reserve(c->excludes, c->n_excludes, c->cap_excludes);
		c->excludes[c->n_excludes++] = str_copy(e->value);
	} else if (strcmp(e->key, "cutoff") == 0) {
		if (!parse_cutoff(e->value, &c->cutoff_min))
			return bad(ini, e, "a time such as 04:00 belongs here", err);
	} else {
		return bad(ini, e,
			   "unknown; [tillfs] has repository, identity, writer, state, time-zone, "
			   "cutoff "
			   "and exclude",
			   err);
	}
	return 0;
}

static bool
class_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= CLASS_NAME_LEN &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static struct config_class *
class_named(struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_classes; i++)
		if (strcmp(c->classes[i].name, name) == 0)
			return &c->classes[i];
	array_reserve(c->classes, c->n_classes, c->cap_classes);
	c->classes[c->n_classes] = (struct config_class){.name = str_copy(name)};
	return &c->classes[c->n_classes++];
}

static int
take_class(const struct ini *ini, const struct ini_entry *e, const char *name, struct config *c,
	   struct err *err)
{
	struct config_class *class;

	if (!class_name_ok(name) || strcmp(name, "general") == 0)
		return err_set(
			err, ERR_INVALID,
			"%s:%d: [class %s]: a class's name is 1 to 32 of a-z, 0-9 and '-', and not "
			"'general', which is what matches no class",
			ini->origin, e->line, name);
	if (strcmp(e->key, "pattern") != 0)
		return bad(ini, e, "unknown; [class …] has pattern", err);
	class = class_named(c, name);
	array_reserve(class->patterns, class->n_patterns, class->cap_patterns);
	class->patterns[class->n_patterns++] = str_copy(e->value);
	return 0;
}

static int
take(const struct ini *ini, struct config *c, struct err *err)
{
	for (size_t i = 0; i < ini->n; i++) {
		const struct ini_entry *e = &ini->entries[i];
		int r;

		if (strcmp(e->section, "tillfs") == 0)
			r = take_general(ini, e, c, err);
		else if (strncmp(e->section, "class ", 6) == 0)
			r = take_class(ini, e, e->section + 6, c, err);
		else
			r = err_set(err, ERR_INVALID, "%s:%d: unknown section [%s]", ini->origin,
				    e->line, e->section);
		if (r < 0)
			return r;
	}
	return 0;
}

int
config_parse(struct slice text, const char *origin, struct config *ret, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int r;

	*ret = (struct config){.zone = str_copy("")};
	r = ini_parse(text, origin, &ini, err);
	if (r == 0)
		r = take(&ini, ret, err);
	if (r < 0)
		config_fini(ret);
	return r;
}

/* Adds a file's settings, where there is one. */
static int
add_file(const char *path, bool must_exist, struct config *c, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int r = ini_read(path, &ini, err);

	if (r == ERR_NOENT && !must_exist)
		return 0;
	return r < 0 ? r : take(&ini, c, err);
}

static char *
user_config(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (xdg != NULL && xdg[0] == '/')
		return str_format("%s/tillfs/tillfs.conf", xdg);
	return home != NULL && home[0] == '/' ? str_format("%s/.config/tillfs/tillfs.conf", home)
					      : NULL;
}

int
config_load(const char *path, struct config *ret, struct err *err)
{
	CLEANUP(freep) char *user = user_config();
	int r;

	*ret = (struct config){.zone = str_copy("")};
	if (path != NULL) {
		r = add_file(path, true, ret, err);
	} else {
		r = add_file(SYSTEM_CONFIG, false, ret, err);
		if (r == 0 && user != NULL)
			r = add_file(user, false, ret, err);
	}
	if (r < 0)
		config_fini(ret);
	return r;
}

void
config_fini(struct config *c)
{
	free(c->repository);
	free(c->identity);
	free(c->writer);
	free(c->state);
	free(c->zone);
	for (size_t i = 0; i < c->n_excludes; i++)
		free(c->excludes[i]);
	free(c->excludes);
	for (size_t i = 0; i < c->n_classes; i++) {
		for (size_t k = 0; k < c->classes[i].n_patterns; k++)
			free(c->classes[i].patterns[k]);
		free(c->classes[i].patterns);
		free(c->classes[i].name);
	}
	free(c->classes);
	*c = (struct config){0};
}

/* SQLite's companions follow their database: its path, when @path is one's. */
static struct slice
database_of(struct slice path)
{
	static const char *const suffixes[] = {"-wal", "-shm", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t len = strlen(suffixes[i]);

		if (path.len > len && memcmp(path.p + path.len - len, suffixes[i], len) == 0)
			return slice_of(path.p, path.len - len);
	}
	return path;
}

size_t
config_classify(const struct config *c, struct slice path)
{
	struct slice database = database_of(path);

	for (size_t i = 0; i < c->n_classes; i++)
		for (size_t k = 0; k < c->classes[i].n_patterns; k++)
			if (glob_match(c->classes[i].patterns[k], path) ||
			    (database.len != path.len &&
			     glob_match(c->classes[i].patterns[k], database)))
				return i;
	return SIZE_MAX;
}
