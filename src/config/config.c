/*
 * config.c - what the entries of the configuration mean.
 *
 * Layer 1.
 */
#include "config/internal.h"

#define CLASS_SECTION "class "
#define CLASS_MAX     256u

static void
list_add(char ***list, size_t *n, size_t *cap, const char *text)
{
	array_reserve(*list, *n, *cap);
	(*list)[(*n)++] = str_copy(text);
}

static void
list_free(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void
replace(char **text, const char *by)
{
	free(*text);
	*text = str_copy(by);
}

static void
list_clear(char ***list, size_t *n, size_t *cap)
{
	list_free(*list, *n);
	*list = NULL;
	*n = *cap = 0;
}

static void
excludes_clear(struct config *c)
{
	list_clear(&c->excludes, &c->n_excludes, &c->cap_excludes);
}

static void
raw_clear(struct config *c)
{
	list_clear(&c->raw, &c->n_raw, &c->cap_raw);
}

static void
classes_clear(struct config *c)
{
	for (size_t i = 0; i < c->n_classes; i++) {
		free(c->classes[i].name);
		list_free(c->classes[i].patterns, c->classes[i].n_patterns);
	}
	free(c->classes);
	c->classes = NULL;
	c->n_classes = c->cap_classes = 0;
}

void
config_init(struct config *c)
{
	*c = (struct config){.zone = str_copy(""), .capture_timeout_ms = CAPTURE_TIMEOUT_MS};
}

void
config_fini(struct config *c)
{
	excludes_clear(c);
	raw_clear(c);
	classes_clear(c);
	made_clear(c);
	free(c->spool);
	free(c->before);
	free(c->after);
	free(c->repository);
	free(c->identity);
	free(c->writer);
	free(c->state);
	free(c->passphrase_file);
	free(c->passphrase_command);
	free(c->audit);
	free(c->cache);
	free(c->cache_size);
	free(c->price_per_gb);
	free(c->price_per_1000_requests);
	free(c->zone);
	free(c->cacert);
	free(c->profile);
	config_forget_credentials(c);
	*c = (struct config){0};
}

/* ---- [tillfs] */

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : -1;
}

/* "HH:MM" as minutes, or -1. */
static int
parse_clock(const char *text)
{
	int hour, minute;

	if (strlen(text) != 5 || text[2] != ':' || digit(text[0]) < 0 || digit(text[1]) < 0 ||
	    digit(text[3]) < 0 || digit(text[4]) < 0)
		return -1;
	hour = digit(text[0]) * 10 + digit(text[1]);
	minute = digit(text[3]) * 10 + digit(text[4]);
	return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

bool
config_parse_seconds(const char *text, unsigned *ret)
{
	unsigned seconds = 0;
	size_t len = strlen(text);

	if (len < 1 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (digit(text[i]) < 0)
			return false;
		seconds = 10 * seconds + (unsigned)digit(text[i]);
	}
	*ret = seconds;
	return seconds <= 86400;
}

int
config_bad_entry(const struct ini *ini, const struct ini_entry *e, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s:%d: %s = %s: %s", ini->origin, e->line, e->key,
		       e->value, why);
}

/* A number of @max at most, without sign or unit. */
static bool
parse_number(const char *text, unsigned max, unsigned *ret)
{
	size_t len = strlen(text);

	if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
		return false;
	*ret = (unsigned)strtoul(text, NULL, 10);
	return *ret <= max;
}

static int
take_setting(const struct ini *ini, const struct ini_entry *e, struct config *c, struct err *err)
{
	struct {
		const char *key;
		char **place;
	} texts[] = {
		{"repository", &c->repository},
		{"identity", &c->identity},
		{"writer", &c->writer},
		{"state", &c->state},
		{"passphrase-file", &c->passphrase_file},
		{"passphrase-command", &c->passphrase_command},
		{"time-zone", &c->zone},
		{"audit", &c->audit},
		{"cache", &c->cache},
		{"cache-size", &c->cache_size},
		{"price-per-gb", &c->price_per_gb},
		{"price-per-1000-requests", &c->price_per_1000_requests},
		{"spool", &c->spool},
		{"cacert", &c->cacert},
		{"profile", &c->profile},
		{"before", &c->before},
		{"after", &c->after},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(e->key, texts[i].key) == 0) {
			replace(texts[i].place, e->value);
			return 0;
		}
	if (strcmp(e->key, "timeout") == 0) {
		if (!parse_number(e->value, 86400, &c->timeout_s) || c->timeout_s == 0)
			return config_bad_entry(ini, e, "give seconds, from 1 to 86400", err);
		return 0;
	}
	if (strcmp(e->key, "object-lock-days") == 0) {
		if (!parse_number(e->value, OBJECT_LOCK_DAYS_MAX, &c->object_lock_days))
			return config_bad_entry(ini, e, "give days, from 0 to 36500", err);
		return 0;
	}
	if (strcmp(e->key, "cutoff") == 0) {
		c->cutoff_min = parse_clock(e->value);
		if (c->cutoff_min < 0)
			return config_bad_entry(ini, e, "a time of day is HH:MM", err);
		return 0;
	}
	if (strcmp(e->key, "audit-required") == 0) {
		c->audit_required = strcmp(e->value, "yes") == 0;
		if (!c->audit_required && strcmp(e->value, "no") != 0)
			return config_bad_entry(ini, e, "say yes or no", err);
		return 0;
	}
	if (strcmp(e->key, "scan") == 0) {
		c->scan = strcmp(e->value, "yes") == 0;
		if (!c->scan && strcmp(e->value, "no") != 0)
			return config_bad_entry(ini, e, "say yes or no", err);
		return 0;
	}
	if (strcmp(e->key, "capture-timeout") == 0) {
		if (!config_parse_seconds(e->value, &c->capture_timeout_ms))
			return config_bad_entry(ini, e, "give seconds, from 0 to 86400", err);
		c->capture_timeout_ms *= 1000;
		return 0;
	}
	if (strcmp(e->key, "exclude") == 0 || strcmp(e->key, "raw") == 0) {
		if (e->value[0] == '\0')
			return config_bad_entry(ini, e, "a pattern can't be empty", err);
		if (e->key[0] == 'r')
			list_add(&c->raw, &c->n_raw, &c->cap_raw, e->value);
		else
			list_add(&c->excludes, &c->n_excludes, &c->cap_excludes, e->value);
		return 0;
	}
	return config_bad_entry(ini, e, "no such setting in [tillfs]", err);
}

/* ---- [class NAME] */

static bool
is_class_section(const char *section)
{
	return strncmp(section, CLASS_SECTION, strlen(CLASS_SECTION)) == 0;
}

static bool
class_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= 32 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
	       strcmp(name, "general") != 0;
}

/* The class of that name, added behind the others if it's new. */
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
take_pattern(const struct ini *ini, const struct ini_entry *e, struct config *c, struct err *err)
{
	const char *name = e->section + strlen(CLASS_SECTION);
	struct config_class *class;

	name += strspn(name, " ");
	if (!class_name_ok(name))
		return err_set(err, ERR_INVALID,
			       "%s:%d: [%s]: a class's name is 1 to 32 of a-z, 0-9 and -, and not "
			       "\"general\", which is what matches none",
			       ini->origin, e->line, e->section);
	if (strcmp(e->key, "pattern") != 0)
		return config_bad_entry(ini, e, "a class has only pattern = GLOB", err);
	if (e->value[0] == '\0')
		return config_bad_entry(ini, e, "a pattern can't be empty", err);

	class = class_named(c, name);
	if (c->n_classes > CLASS_MAX)
		return err_set(err, ERR_INVALID, "%s:%d: more than %u classes", ini->origin,
			       e->line, CLASS_MAX);
	list_add(&class->patterns, &class->n_patterns, &class->cap_patterns, e->value);
	return 0;
}

/* ---- whole files */

static int
take_entry(const struct ini *ini, const struct ini_entry *e, struct config *c, struct err *err)
{
	if (strcmp(e->section, "tillfs") == 0)
		return take_setting(ini, e, c, err);
	if (strcmp(e->section, "store") == 0)
		return config_take_credential(ini, e, c, err);
	if (is_class_section(e->section))
		return take_pattern(ini, e, c, err);
	if (made_is_section(e->section))
		return made_take(ini, e, c, err);
	if (e->section[0] == '\0')
		return config_bad_entry(ini, e, "it stands before any [section]", err);
	return err_set(err, ERR_INVALID,
		       "%s:%d: no such section as [%s]; there are [tillfs], "
		       "[store], [class NAME], [capture NAME] and [extract NAME]",
		       ini->origin, e->line, e->section);
}

static bool
has_section(const struct ini *ini, bool (*is_it)(const char *section))
{
	for (size_t i = 0; i < ini->n; i++)
		if (is_it(ini->entries[i].section))
			return true;
	return false;
}

int
config_apply(const struct ini *ini, struct config *c, struct err *err)
{
	if (ini_get(ini, "tillfs", "exclude") != NULL)
		excludes_clear(c);
	if (ini_get(ini, "tillfs", "raw") != NULL)
		raw_clear(c);
	if (has_section(ini, is_class_section))
		classes_clear(c);
	if (has_section(ini, made_is_section))
		made_clear(c);

	for (size_t i = 0; i < ini->n; i++) {
		int r = take_entry(ini, &ini->entries[i], c, err);

		if (r < 0)
			return r;
	}
	return made_check(ini, c, err);
}

int
config_parse(struct slice text, const char *origin, struct config *ret, struct err *err)
{
	CLEANUP(config_fini) struct config c = {0};
	CLEANUP(ini_fini) struct ini ini = {0};
	int r;

	*ret = (struct config){0};
	r = ini_parse(text, origin, &ini, err);
	if (r < 0)
		return r;
	config_init(&c);
	r = config_apply(&ini, &c, err);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct config){0};
	return 0;
}

/* ---- classes of paths */

static bool
ends_in(struct slice path, const char *suffix)
{
	size_t len = strlen(suffix);

	return path.len > len && memcmp(path.p + path.len - len, suffix, len) == 0;
}

static size_t
first_match(const struct config *c, struct slice path)
{
	for (size_t i = 0; i < c->n_classes; i++)
		for (size_t j = 0; j < c->classes[i].n_patterns; j++)
			if (glob_match(c->classes[i].patterns[j], path))
				return i;
	return SIZE_MAX;
}

size_t
config_classify(const struct config *c, struct slice path)
{
	static const char *const companions[] = {"-wal", "-shm", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(companions); i++)
		if (ends_in(path, companions[i])) {
			size_t len = path.len - strlen(companions[i]);
			size_t class = first_match(c, slice_of(path.p, len));

			if (class != SIZE_MAX)
				return class;
		}
	return first_match(c, path);
}
