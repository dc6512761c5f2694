/*
 * arguments.c - the table of options, and how a command line is taken apart.
 *
 * Options stand anywhere: the common ones also before the command's name.  `--name value` and
 * `--name=value`, `-l value` and `-lvalue`; letters without an argument may be joined; `--` ends
 * options.
 */
#include <ctype.h>
#include <inttypes.h>

#include "internal.h"

const struct option_spec option_specs[OPT_END] = {
	[OPT_REPOSITORY] = {"repository", 'r', "URL", false,
			    "the repository (or TILLFS_REPOSITORY)"},
	[OPT_IDENTITY] = {"identity", 'i', "FILE", false,
			  "the identity to read with (or TILLFS_IDENTITY)"},
	[OPT_WRITER] = {"writer", 'w', "FILE", true,
			"the writer's file to back up with (or TILLFS_WRITER); where snapshots are "
			"read, the "
			"name of a writer"},
	[OPT_CONFIG] = {"config", 0, "FILE", false,
			"the configuration, in place of the usual ones"},
	[OPT_STATE] = {"state", 0, "DIR", false, "the folder for what is remembered locally"},
	[OPT_VERBOSE] = {"verbose", 'v', NULL, true, "say more on standard error"},
	[OPT_QUIET] = {"quiet", 'q', NULL, true, "say only what went wrong"},
	[OPT_HELP] = {"help", 'h', NULL, true, "say how a command is used"},
	[OPT_VERSION] = {"version", 0, NULL, true, "say which version this is"},
	[OPT_TIMEOUT] = {"timeout", 0, "SECONDS", false,
			 "how long an answer of a distant store may take; 30"},
	[OPT_CACHE] = {"cache", 0, "DIR", false,
		       "keep what is read from the store there (or TILLFS_CACHE)"},
	[OPT_CACHE_SIZE] = {"cache-size", 0, "SIZE", false, "at most so much of it; 4G"},
	[OPT_OFFLINE] = {"offline", 0, NULL, false, "read from the cache alone"},
	[OPT_CACERT] = {"cacert", 0, "FILE", false,
			"authorities to trust for the storage's certificate (PEM)"},
	[OPT_PROFILE] = {"profile", 0, "NAME", false, "whose credentials to take from ~/.aws (S3)"},
	[OPT_OBJECT_LOCK_DAYS] = {"object-lock-days", 0, "N", false,
				  "have the storage refuse to delete what is written, for so long"},
	[OPT_PASSPHRASE_FILE] = {"passphrase-file", 0, "FILE", false,
				 "the first line of FILE is the passphrase"},
	[OPT_PASSPHRASE_FD] = {"passphrase-fd", 0, "N", false,
			       "read the passphrase's line from descriptor N"},
	[OPT_PASSPHRASE_COMMAND] = {"passphrase-command", 0, "CMD", false,
				    "the first line that CMD prints is the passphrase"},
	[OPT_NO_PASSPHRASE] = {"no-passphrase", 0, NULL, false,
			       "store the identity's secret unprotected"},
	[OPT_KEY] = {"key", 0, "FILE", false, "the public key of whom it is about, a .pub file"},
	[OPT_OUT] = {"out", 0, "FILE", false,
		     "what is to be made: the writer's file, enrolled; elsewhere the card"},
	[OPT_TIME] = {"time", 0, "TIME", false, "the snapshot's time, as 2026-11-20T23:00:05Z"},
	[OPT_DATE] = {"date", 0, "DATE", false, "the business date, as 2026-11-20"},
	[OPT_LABEL] = {"label", 0, "KEY=VALUE", true, "a label for the snapshot"},
	[OPT_INCLUDE] = {"include", 0, "GLOB", true, "only what matches, and what is below it"},
	[OPT_EXCLUDE] = {"exclude", 0, "GLOB", true, "leave out what matches"},
	[OPT_ONE_FILE_SYSTEM] = {"one-file-system", 'x', NULL, false,
				 "don't cross into other file systems"},
	[OPT_JSON] = {"json", 0, NULL, false, "print JSON"},
	[OPT_LONG] = {"long", 'l', NULL, false, "with type, mode, owner, size and time"},
	[OPT_RECURSIVE] = {"recursive", 'R', NULL, false, "with everything below"},
	[OPT_TO] = {"to", 0, "DIR", false, "the destination, made when missing"},
	[OPT_OVERWRITE] = {"overwrite", 0, NULL, false, "replace files that exist"},
	[OPT_VERIFY] = {"verify", 0, NULL, false, "read every file back from the disk and compare"},
	[OPT_FOREGROUND] = {"foreground", 'f', NULL, false, "serve in the foreground"},
	[OPT_MOUNT] = {"options", 'o', "OPTIONS", true, "mount options, separated by commas"},
	[OPT_MEMORY] = {"memory", 0, "SIZE", false,
			"for what was read; 64M, or 96M for a distant store"},
	[OPT_REFRESH] = {"refresh", 0, "SECONDS", false,
			 "how often to look for new snapshots; 60, 0 never"},
	[OPT_BUDGET] = {"budget", 0, "SIZE", false,
			"read no more than so much an hour from the store"},
	[OPT_PRICE_GB] = {"price-per-gb", 0, "AMOUNT", false,
			  "what a gigabyte (10^9 bytes) out of the store costs"},
	[OPT_PRICE_REQUESTS] = {"price-per-1000-requests", 0, "AMOUNT", false,
				"what a thousand requests cost"},
	[OPT_LAZY] = {"lazy", 'l', NULL, false, "detach now, end when nothing is open any more"},
	[OPT_AUDIT] = {"audit", 0, "FILE", false,
		       "record accesses in this log, made when missing; or a folder for it"},
	[OPT_AUDIT_REQUIRED] = {"audit-required", 0, NULL, false,
				"answer no access before it is on record"},
	[OPT_CASE] = {"case", 0, "REF", false, "the case that this is for"},
	[OPT_REASON] = {"reason", 0, "TEXT", false, "why, in words, for the record"},
	[OPT_SINCE] = {"since", 0, "TIME", false, "only from this time or day on"},
	[OPT_USER] = {"user", 0, "USER", false, "only what this user did; a name or number"},
	[OPT_PATH] = {"path", 0, "GLOB", false, "only paths that match"},
	[OPT_SNAPSHOT] = {"snapshot", 0, "NAME", false,
			  "only snapshots whose name begins so, as 2026-11-20, or matches"},
	[OPT_RESULT] = {"result", 0, "RESULT", false,
			"only `ok`, or `failed`, or an error as `denied`"},
	[OPT_PROVE_READ_ONLY] = {"prove-read-only", 0, "DIR", false,
				 "try every call that modifies on a mount"},
	[OPT_TIMESTAMP_URL] = {"timestamp-url", 0, "URL", false,
			       "an authority that stamps the time (RFC 3161)"},
	[OPT_NO_SANDBOX] = {"no-sandbox", 0, NULL, false,
			    "leave the serving process all its rights"},
	[OPT_PUBLISHED] = {"published", 0, NULL, false,
			   "compare with the heads that were published in the repository"},
	[OPT_READ_DATA] = {"read-data", 0, NULL, false, "read and check every stored byte"},
	[OPT_FROM] = {"from", 0, "DATE", false, "the first business date, as 2026-11-20"},
	[OPT_UNTIL] = {"until", 0, "DATE", false, "the last business date, as 2026-11-20"},
	[OPT_SCHEDULE] = {"schedule", 0, "WORD", false,
			  "list missing days: daily, weekdays or weekly"},
	[OPT_CSV] = {"csv", 0, NULL, false, "print CSV"},
	[OPT_TABLE] = {"table", 0, NULL, false, "print a table for people"},
	[OPT_AGAINST] = {"against", 0, "DATE", false,
			 "the same database at another date, as the schema `then`"},
	[OPT_IN_SNAPSHOT] = {"snapshot", 0, "SNAPSHOT", false, "the snapshot to look into"},
	[OPT_FORMAT] = {"format", 0, "WORD", false, "json, csv or sql"},
	[OPT_DATABASE] = {"database", 0, "PATH", false, "the database inside the snapshot"},
	[OPT_SCHEMA] = {"schema", 0, "NAME", false, "use the profile of this name"},
	[OPT_NO_RECORDS] = {"no-records", 0, NULL, false,
			    "show no rows of databases, and start nothing that reads them"},
	[OPT_DEADLINE] = {"deadline", 0, "SECONDS", false,
			  "how long the query may take; 300, 0 for ever"},
	[OPT_GRANTEE] = {"to", 0, "FILE", false, "the auditor's public key, a .pub file"},
	[OPT_ONLY_WRITER] = {"writer", 0, "NAME", true, "only of this writer; may be repeated"},
	[OPT_CLASS] = {"class", 0, "NAME", true, "only this data class; may be repeated"},
	[OPT_STANDING] = {"standing", 0, NULL, false, "every snapshot from now on, too"},
	[OPT_EXPIRES] = {"expires", 0, "DATE", false, "the last day of the grant, or a time"},
	[OPT_LAST] = {"last", 0, "SNAPSHOT", false,
		      "the last snapshot that counts, or `none`; else its newest"},
	[OPT_KEEP] = {"keep", 0, "ID", false, "the last entry of the branch to keep"},
	[OPT_ROWS] = {"rows", 0, NULL, false, "tell tables and rows of databases, too"},
	[OPT_UNDER] = {"under", 0, "PREFIX", false,
		       "where in the repository the credential may create"},
};

void
cli_fini(struct cli *c)
{
	for (size_t i = 0; i < OPT_END; i++)
		free(c->options[i].v);
	free(c->operands.v);
	config_fini(&c->config);
}

static void
words_add(struct words *w, const char *word)
{
	array_reserve(w->v, w->n, w->cap);
	w->v[w->n++] = word;
}

const char *
option_value(const struct cli *c, enum option o)
{
	return c->options[o].n > 0 ? c->options[o].v[c->options[o].n - 1] : NULL;
}

const char *
operand(const struct cli *c, size_t n)
{
	return n < c->operands.n ? c->operands.v[n] : NULL;
}

/* ---- numbers ------------------------------------------------------------------------------ */

int
option_number(const struct cli *c, enum option o, uint64_t max, uint64_t *ret, struct err *err)
{
	const char *text = option_value(c, o);
	char *end;

	*ret = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || *ret > max)
		return err_set(err, CLI_USAGE, "--%s %s: give a number from 0 to %" PRIu64,
			       option_specs[o].name, text, max);
	return 0;
}

bool
size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned shift = 0;
	char *end;

	*ret = strtoull(text, &end, 10);
	if (*end != '\0' && (unit = strchr(units, toupper((unsigned char)*end))) != NULL) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || *ret > UINT64_MAX >> shift)
		return false;
	*ret <<= shift;
	return true;
}

int
option_size(const struct cli *c, enum option o, uint64_t *ret, struct err *err)
{
	if (size_parse(option_value(c, o), ret))
		return 0;
	return err_set(err, CLI_USAGE, "--%s %s: give a size such as 64M or 1G",
		       option_specs[o].name, option_value(c, o));
}

int
option_date(const struct cli *c, enum option o, bool *ret_given, struct date *ret, struct err *err)
{
	const char *text = option_value(c, o);

	*ret_given = text != NULL;
	if (text != NULL && !date_parse(slice_str(text), ret))
		return err_set(err, CLI_USAGE, "--%s %s: give a date as 2026-11-20",
			       option_specs[o].name, text);
	return 0;
}

int
timeline_options_read(const struct cli *c, struct timeline_options *ret, struct err *err)
{
	int r;

	*ret = (struct timeline_options){.writer = option_value(c, OPT_WRITER),
					 .progress = progress_show(c)};
	r = option_date(c, OPT_FROM, &ret->has_from, &ret->from, err);
	return r < 0 ? r : option_date(c, OPT_UNTIL, &ret->has_until, &ret->until, err);
}

/* ---- parsing ------------------------------------------------------------------------------- */

struct parser {
	struct cli *c;
	int argc;
	char **argv;
	int next;
	const char *first_word; /* of a command of two words */
	bool no_more_options;
};

static bool
takes(const struct command *command, enum option o)
{
	if (o < OPT_COMMON_END)
		return true;
	for (size_t i = 0; command != NULL && i < command->n_options; i++)
		if (command->options[i] == o)
			return true;
	return false;
}

static int
unknown_option(const struct parser *p, const char *text, struct err *err)
{
	if (p->c->command != NULL)
		return err_set(err, CLI_USAGE, "%s takes no option %s", p->c->command->name, text);
	return err_set(err, CLI_USAGE,
		       "unknown option %s; options of a command stand behind its name", text);
}

/* @value: what stood behind it in the same word, or NULL. */
static int
add_option(struct parser *p, enum option o, const char *value, const char *text, struct err *err)
{
	const struct option_spec *spec = &option_specs[o];

	if (spec->arg == NULL && value != NULL)
		return err_set(err, CLI_USAGE, "%s takes no value", text);
	if (spec->arg != NULL && value == NULL) {
		if (p->next >= p->argc)
			return err_set(err, CLI_USAGE, "%s needs a value: %s", text, spec->arg);
		value = p->argv[p->next++];
	}
	if (p->c->options[o].n > 0 && !spec->many && spec->arg != NULL)
		return err_set(err, CLI_USAGE, "%s is given twice", text);
	words_add(&p->c->options[o], value != NULL ? value : "");
	return 0;
}

static int
parse_long(struct parser *p, const char *text, struct err *err)
{
	const char *name = text + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);

	/* A command's own option wins over a common one of that name. */
	for (enum option o = OPT_END; o-- > 0;)
		if (strlen(option_specs[o].name) == len &&
		    memcmp(option_specs[o].name, name, len) == 0 && takes(p->c->command, o))
			return add_option(p, o, equals != NULL ? equals + 1 : NULL, text, err);
	return unknown_option(p, text, err);
}

static int
parse_letters(struct parser *p, const char *text, struct err *err)
{
	for (const char *s = text + 1; *s != '\0'; s++) {
		char shown[3] = {'-', *s, '\0'};
		const char *value = NULL;
		enum option o = 0;
		int r;

		while (o < OPT_END && (option_specs[o].letter != *s || !takes(p->c->command, o)))
			o++;
		if (o == OPT_END)
			return unknown_option(p, shown, err);
		if (option_specs[o].arg != NULL && s[1] != '\0')
			value = s + 1;
		r = add_option(p, o, value, shown, err);
		if (r < 0 || value != NULL)
			return r;
	}
	return 0;
}

static const struct command *
find_command(const char *first, const char *second)
{
	CLEANUP(freep)
	char *name = second == NULL ? str_copy(first) : str_format("%s %s", first, second);

	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool
is_family(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; len > 0 && i < n_commands; i++)
		if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ')
			return true;
	return false;
}

/* A word of the command's name, or an operand. */
static int
parse_word(struct parser *p, const char *word, struct err *err)
{
	struct cli *c = p->c;

	if (c->command != NULL) {
		words_add(&c->operands, word);
		return 0;
	}
	c->command =
		find_command(c->family != NULL ? c->family : word, c->family != NULL ? word : NULL);
	if (c->command != NULL)
		return 0;
	if (c->family == NULL && is_family(word)) {
		c->family = word;
		return 0;
	}
	return err_set(err, CLI_USAGE, "there is no command \"%s%s%s\"",
		       c->family != NULL ? c->family : "", c->family != NULL ? " " : "", word);
}

static int
check_operands(const struct cli *c, struct err *err)
{
	const struct command *k = c->command;

	if (k == NULL)
		return c->family == NULL
			       ? err_set(err, CLI_USAGE, "a command is missing")
			       : err_set(err, CLI_USAGE, "\"%s\" needs one more word", c->family);
	if (c->operands.n < k->min)
		return err_set(err, CLI_USAGE, "%s needs more: %s %s", k->name, k->name,
			       k->operands);
	if (c->operands.n > k->max)
		return err_set(err, CLI_USAGE, "%s doesn't take \"%s\"", k->name,
			       c->operands.v[k->max]);
	return 0;
}

int
arguments_parse(struct cli *c, int argc, char **argv, struct err *err)
{
	struct parser p = {.c = c, .argc = argc, .argv = argv, .next = 1};
	int r = 0;

	while (r == 0 && p.next < argc) {
		const char *word = argv[p.next++];

		if (p.no_more_options || word[0] != '-' || word[1] == '\0')
			r = parse_word(&p, word, err);
		else if (strcmp(word, "--") == 0)
			p.no_more_options = true;
		else if (word[1] == '-')
			r = parse_long(&p, word, err);
		else
			r = parse_letters(&p, word, err);
	}
	if (r < 0 || option_given(c, OPT_HELP) || option_given(c, OPT_VERSION))
		return r;
	return check_operands(c, err);
}
