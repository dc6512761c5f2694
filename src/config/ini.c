/*
 * ini.c - INI text into entries.
 *
 * Our own and not inih: as packaged, that library cuts lines at 200 bytes and takes ` ;` inside a
 * value for a comment, and neither a key file nor a path may lose its end in silence.
 *
 * Layer 1.
 */
#include "tillfs/config.h"

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && is_space(s.p[0]))
		s = slice_of(s.p + 1, s.len - 1);
	while (s.len > 0 && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

static char *
text_of(struct slice s)
{
	char *t = mem_alloc(s.len + 1);

	if (s.len > 0)
		memcpy(t, s.p, s.len);
	return t;
}

static int
take_section(struct slice line, char **section, const struct ini *ini, int number, struct err *err)
{
	struct slice name;

	if (line.p[line.len - 1] != ']')
		return err_set(err, ERR_INVALID,
			       "%s:%d: a section begins with [ and doesn't end with ]", ini->origin,
			       number);
	name = trim(slice_of(line.p + 1, line.len - 2));
	if (name.len == 0)
		return err_set(err, ERR_INVALID, "%s:%d: a section without a name", ini->origin,
			       number);
	free(*section);
	*section = text_of(name);
	return 0;
}

static int
take_entry(struct slice line, const char *section, struct ini *ini, int number, struct err *err)
{
	const uint8_t *eq = memchr(line.p, '=', line.len);
	struct slice key, value;

	if (eq == NULL)
		return err_set(err, ERR_INVALID, "%s:%d: neither [section] nor key = value",
			       ini->origin, number);
	key = trim(slice_of(line.p, (size_t)(eq - line.p)));
	value = trim(slice_of(eq + 1, line.len - (size_t)(eq - line.p) - 1));
	if (key.len == 0)
		return err_set(err, ERR_INVALID, "%s:%d: a value without a key", ini->origin,
			       number);
	array_reserve(ini->entries, ini->n, ini->cap);
	ini->entries[ini->n++] = (struct ini_entry){.section = str_copy(section),
						    .key = text_of(key),
						    .value = text_of(value),
						    .line = number};
	return 0;
}

static int
take_line(struct slice line, char **section, struct ini *ini, int number, struct err *err)
{
	line = trim(line);
	if (line.len == 0 || line.p[0] == '#' || line.p[0] == ';')
		return 0;
	if (line.p[0] == '[')
		return take_section(line, section, ini, number, err);
	return take_entry(line, *section, ini, number, err);
}

int
ini_parse(struct slice text, const char *origin, struct ini *ret, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {.origin = str_copy(origin)};
	CLEANUP(freep) char *section = str_copy("");
	size_t at = 0;
	int r = 0;

	*ret = (struct ini){0};
	if (text.len > INI_FILE_MAX)
		return err_set(err, ERR_INVALID, "%s: longer than %u bytes", origin, INI_FILE_MAX);
	if (text.len > 0 && memchr(text.p, 0, text.len) != NULL)
		return err_set(err, ERR_INVALID, "%s: not a text file", origin);
	if (text.len >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		at = 3; /* a byte order mark, which Windows' editor puts there */
	for (int number = 1; r == 0 && at < text.len; number++) {
		const uint8_t *nl = memchr(text.p + at, '\n', text.len - at);
		size_t len = nl != NULL ? (size_t)(nl - text.p) - at : text.len - at;

		r = take_line(slice_of(text.p + at, len), &section, &ini, number, err);
		at += len + 1;
	}
	if (r < 0)
		return r;
	*ret = ini;
	ini = (struct ini){0};
	return 0;
}

int
ini_read(const char *path, struct ini *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT;
	int r;

	*ret = (struct ini){0};
	r = file_read(path, INI_FILE_MAX, &text, err);
	return r < 0 ? r : ini_parse(buf_slice(&text), path, ret, err);
}

static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
ini_fini(struct ini *ini)
{
	for (size_t i = 0; i < ini->n; i++) {
		free(ini->entries[i].section);
		free(ini->entries[i].key);
		wipe(ini->entries[i].value);
	}
	free(ini->entries);
	free(ini->origin);
	*ini = (struct ini){0};
}

const char *
ini_get(const struct ini *ini, const char *section, const char *key)
{
	for (size_t i = ini->n; i > 0; i--)
		if (strcmp(ini->entries[i - 1].section, section) == 0 &&
		    strcmp(ini->entries[i - 1].key, key) == 0)
			return ini->entries[i - 1].value;
	return NULL;
}
