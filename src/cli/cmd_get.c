/*
 * cmd_get.c - tillfs get: a record with what belongs to it, found by a profile.
 */
#include "record_search.h"

/* ---- the record -------------------------------------------------------------------------- */

enum format { FORMAT_JSON, FORMAT_CSV, FORMAT_SQL };

struct output {
	enum format format;
	struct buf text;
	size_t n;
};

static void
put_head(struct search *s, const struct candidate *k, struct buf *b)
{
	const struct snapshot_name *name = &s->opened->snapshot->name;

	buf_append_str(b, "{\n  ");
	append_json_text(b, "snapshot",
			 repo_snapshot_label(s->session->repo, name).s + strlen("snapshot "));
	buf_append_str(b, ",\n  ");
	append_json_text(b, "time", time_format_rfc3339(name->time).s);
	buf_append_str(b, ",\n  ");
	append_json_text(b, "database", k->path);
	buf_append_str(b, ",\n  ");
	append_json_text(b, "profile", k->profile->name);
	buf_append_str(b, ",\n  ");
}

static void
put_document(struct search *s, const struct candidate *k, const struct document *d,
	     struct output *o)
{
	switch (o->format) {
	case FORMAT_JSON:
		if (o->n > 0)
			buf_append_str(&o->text, ",\n");
		put_head(s, k, &o->text);
		document_put_json(d, &o->text);
		buf_append_str(&o->text, "\n}");
		break;
	case FORMAT_CSV:
		if (o->n > 0)
			buf_append_u8(&o->text, '\n');
		document_put_csv(d, &o->text);
		break;
	case FORMAT_SQL:
		document_put_sql(d, &o->text);
		break;
	}
	o->n++;
}

/* Return: 1 when the candidate is of the record's schema, 0 when not, or a code. */
static int
try_candidate(struct search *s, struct records_host *host, const struct candidate *k,
	      struct output *o, struct err *err)
{
	CLEANUP(database_close) struct database found = {0};
	CLEANUP(records_closep) struct records_db *db = NULL;
	CLEANUP(documents_fini) struct documents documents = {0};
	struct target t = {s->opened, slice_str(k->path)};
	struct records_limits limits = {0};
	int r;

	r = database_find(s->session, &t, &found, err);
	if (r == ERR_INVALID && !option_given(s->c, OPT_DATABASE))
		return 0; /* called like one, but none */
	if (r == 0)
		r = option_deadline(s->c, &limits, err);
	if (r == 0)
		r = records_open(host, &found.files, 1, &limits, &db, err);
	if (r == 0)
		r = document_fits(db, k->record, err);
	if (r <= 0)
		return r;
	r = session_record(s->session, s->opened, t.path, err);
	if (r == 0)
		r = documents_get(db, k->record, s->c->operands.v + 1, s->c->operands.n - 1,
				  &documents, err);
	if (r < 0)
		return err_add(err, r, "%s", k->path);
	for (size_t i = 0; i < documents.n; i++)
		put_document(s, k, documents.v[i], o);
	return 1;
}

/* The first database of the right schema; a second one means that the user has to say which. */
static int
find(struct search *s, struct records_host *host, struct output *o, struct err *err)
{
	struct err missing = ERR_INIT;
	const char *in = NULL;
	int r;

	for (size_t i = 0; i < s->found.n; i++) {
		const struct candidate *k = &s->found.v[i];
		struct err why = ERR_INIT;

		if (in != NULL && strcmp(in, k->path) == 0)
			continue; /* another profile for the same file */
		r = try_candidate(s, host, k, o, &why);
		if (r == ERR_NOENT)
			missing = why; /* perhaps another has it */
		else if (r < 0)
			return err_set(err, r, "%s", why.msg);
		if (r == 1 && in != NULL)
			return err_set(err, ERR_INVALID,
				       "both %s and %s have it; say which with --database PATH", in,
				       k->path);
		if (r == 1)
			in = k->path;
	}
	if (in != NULL)
		return 0;
	if (missing.code != 0)
		return err_set(err, ERR_NOENT, "%s", missing.msg);
	return search_nothing_found(s, err);
}

/* ---- the command ------------------------------------------------------------------------- */

static int
read_format(const struct cli *c, enum format *ret, struct err *err)
{
	static const char *const words[] = {
		[FORMAT_JSON] = "json", [FORMAT_CSV] = "csv", [FORMAT_SQL] = "sql"};
	const char *said = option_value(c, OPT_FORMAT);

	*ret = FORMAT_JSON;
	if (said == NULL)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(said, words[i]) == 0) {
			*ret = (enum format)i;
			return 0;
		}
	}
	return err_set(err, CLI_USAGE, "--format %s: give json, csv or sql", said);
}

/* --snapshot, or --date and --writer. */
static int
selector_of(const struct cli *c, char **ret, struct err *err)
{
	const char *snapshot = option_value(c, OPT_IN_SNAPSHOT);
	const char *date = option_value(c, OPT_DATE);
	const char *writer = option_value(c, OPT_WRITER);

	if (snapshot != NULL && (date != NULL || writer != NULL))
		return err_set(err, CLI_USAGE,
			       "--snapshot already says which; leave out --date and --writer");
	if (snapshot != NULL)
		*ret = str_copy(snapshot);
	else
		*ret = str_format("%s%s%s", date != NULL ? date : "latest",
				  writer != NULL ? "@" : "", writer != NULL ? writer : "");
	return 0;
}

static int
get(struct cli *c, struct session *session, struct target *target, struct records_host *host,
    struct output *o, struct err *err)
{
	CLEANUP(profiles_fini) struct profiles profiles = {0};
	struct search s = {.c = c,
			   .session = session,
			   .opened = target->opened,
			   .profiles = &profiles,
			   .record = operand(c, 0)};
	int r;

	r = profiles_load(&profiles, err);
	if (r == 0)
		r = search_collect(&s, err);
	if (r == 0)
		r = find(&s, host, o, err);
	search_fini(&s);
	return r;
}

int
cmd_get(struct cli *c, struct err *err)
{
	CLEANUP(records_host_stopp) struct records_host *host = NULL;
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	CLEANUP(freep) char *selector = NULL;
	struct output o = {0};
	struct err why = ERR_INIT;
	int r;

	r = read_format(c, &o.format, err);
	if (r == 0)
		r = selector_of(c, &selector, err);
	if (r == 0)
		r = records_host_start(passphrase_forget, &host, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, selector, &t, err);
	if (r < 0)
		return r;
	r = get(c, &s, &t, host, &o, &why);
	if (r == 0 && o.format == FORMAT_JSON) {
		CLEANUP(buf_fini) struct buf inner = BUF_INIT;

		buf_move(&inner, &o.text);
		buf_appendf(&o.text, "%s%s%s\n", o.n > 1 ? "[" : "", buf_cstr(&inner),
			    o.n > 1 ? "]" : "");
	}
	if (r == 0)
		r = print_buf(&o.text, &why);
	session_recorded(&s, o.text.len, r, &why);
	buf_fini(&o.text);
	if (r < 0)
		*err = why;
	return r;
}
