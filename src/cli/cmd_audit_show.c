/*
 * cmd_audit_show.c - tillfs audit show and audit export: entries of an access log, for people and
 * for programs.
 *
 * Reading a log is an access too, and an entry of it.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"
#include "tillfs/audit.h"

#define FLUSH_LEN  (64u * KIB)
#define NS_PER_SEC INT64_C(1000000000)
#define DAY_SEC    INT64_C(86400)
#define PASSWD_MAX 4096 /* of one user's line */

/* ---- what to leave out ------------------------------------------------------------------- */

/* An instant, or a day: its start, or with @end the start of the next. */
static int
read_time(const struct cli *c, enum option o, bool end, bool *ret_given, int64_t *ret_ns,
	  struct err *err)
{
	const char *text = option_value(c, o);
	struct date day;
	int64_t sec;

	*ret_given = text != NULL;
	if (text == NULL)
		return 0;
	if (date_parse(slice_str(text), &day))
		sec = (day.days + (int64_t)end) * DAY_SEC;
	else if (!time_parse_rfc3339(slice_str(text), &sec))
		return err_set(err, CLI_USAGE,
			       "--%s %s: give a day as 2026-11-20 (UTC), or a time as "
			       "2026-11-20T23:00:05Z",
			       option_specs[o].name, text);
	/* The log's own times end in 2262. */
	if (sec > INT64_MAX / NS_PER_SEC)
		sec = INT64_MAX / NS_PER_SEC;
	if (sec < INT64_MIN / NS_PER_SEC)
		sec = INT64_MIN / NS_PER_SEC;
	*ret_ns = sec * NS_PER_SEC;
	return 0;
}

static int
read_user(const struct cli *c, struct audit_filter *ret, struct err *err)
{
	const char *text = option_value(c, OPT_USER);
	struct passwd found, *p = NULL;
	char words[PASSWD_MAX];

	ret->has_uid = text != NULL;
	if (text == NULL)
		return 0;
	if (getpwnam_r(text, &found, words, sizeof words, &p) == 0 && p != NULL) {
		ret->uid = p->pw_uid;
		return 0;
	}
	return option_number(c, OPT_USER, UINT32_MAX, &ret->uid, err);
}

static int
read_filter(const struct cli *c, struct audit_filter *ret, struct err *err)
{
	int r = read_time(c, OPT_SINCE, false, &ret->has_since, &ret->since_ns, err);

	if (r == 0)
		r = read_time(c, OPT_UNTIL, true, &ret->has_until, &ret->until_ns, err);
	if (r == 0)
		r = read_user(c, ret, err);
	ret->path = option_value(c, OPT_PATH);
	ret->snapshot = option_value(c, OPT_SNAPSHOT);
	ret->result = option_value(c, OPT_RESULT);
	return r;
}

/* ---- one entry --------------------------------------------------------------------------- */

enum form { FORM_TEXT, FORM_JSON, FORM_CSV };

struct printer {
	enum form form;
	uint64_t n;
	struct buf text;
	uint64_t uid; /* of the latest that was looked up */
	char user[64];
};

static bool
is(struct slice s, const char *text)
{
	return slice_equal(s, slice_str(text));
}

static const char *
user_name(struct printer *p, uint64_t uid)
{
	struct passwd found, *pw = NULL;
	char words[PASSWD_MAX];

	if (p->user[0] != '\0' && p->uid == uid)
		return p->user;
	if (uid > UINT32_MAX || getpwuid_r((uid_t)uid, &found, words, sizeof words, &pw) != 0)
		pw = NULL;
	p->uid = uid;
	if (pw != NULL)
		(void)snprintf(p->user, sizeof p->user, "%s", pw->pw_name);
	else
		(void)snprintf(p->user, sizeof p->user, "%" PRIu64, uid);
	return p->user;
}

static void
append_target(struct buf *b, const struct audit_entry *e)
{
	if (e->snapshot.len == 0 && e->path.len == 0)
		return;
	buf_append_u8(b, ' ');
	append_name(b, e->snapshot);
	if (e->snapshot.len > 0)
		buf_append_u8(b, ':');
	append_name(b, e->path);
}

static void
append_texts(struct buf *b, const struct audit_entry *e)
{
	if (e->detail.len > 0) {
		buf_append_str(b, ", ");
		append_name(b, e->detail);
	}
	if (e->case_ref.len > 0) {
		buf_append_str(b, ", case ");
		append_name(b, e->case_ref);
	}
	if (e->reason.len > 0) {
		buf_append_str(b, ", because: ");
		append_name(b, e->reason);
	}
}

static void
append_text(struct printer *p, const struct audit_entry *e)
{
	struct buf *b = &p->text;

	buf_appendf(b, "%6" PRIu64 " ", e->seq);
	audit_time_append(b, e->time_ns);
	buf_append_u8(b, ' ');
	append_name(b, e->kind);
	if (e->uid != AUDIT_NOBODY)
		buf_appendf(b, " by %s (%" PRIu64 ":%" PRIu64 "), process %" PRIu64,
			    user_name(p, e->uid), e->uid, e->gid, e->pid);
	if (e->program.len > 0) {
		buf_append_u8(b, ' ');
		append_name(b, e->program);
	}
	append_target(b, e);
	if (is(e->kind, "close"))
		buf_appendf(b, " event %" PRIu64 " of session %" PRIu64, e->about, e->session);
	if (e->ended_ns != 0)
		buf_appendf(b, ", %" PRIu64 " bytes", e->bytes);
	buf_append_str(b, ", ");
	append_name(b, e->result);
	append_texts(b, e);
	buf_append_u8(b, '\n');
}

static void
append_json(struct printer *p, const struct audit_entry *e)
{
	buf_append_str(&p->text, p->n > 0 ? ",\n  " : "\n  ");
	audit_entry_json(&p->text, e);
}

/* RFC 4180; what a spreadsheet would take for a formula gets an apostrophe in front. */
static void
append_csv_text(struct buf *b, struct slice s)
{
	buf_append_str(b, ",\"");
	if (s.len > 0 && strchr("=+-@\t\r", s.p[0]) != NULL && s.p[0] != '\0')
		buf_append_u8(b, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			buf_append_u8(b, '"');
		buf_append_u8(b, s.p[i]);
	}
	buf_append_u8(b, '"');
}

static void
append_csv(struct printer *p, const struct audit_entry *e)
{
	struct buf *b = &p->text;
	bool somebody = e->uid != AUDIT_NOBODY;

	if (p->n == 0)
		buf_append_str(b, "seq,time,session,event,uid,gid,pid,bytes,ended,about,kind,"
				  "program,snapshot,path,result,detail,case,reason,hash\r\n");
	buf_appendf(b, "%" PRIu64 ",", e->seq);
	audit_time_append(b, e->time_ns);
	buf_appendf(b, ",%" PRIu64 ",%" PRIu64, e->session, e->number);
	if (somebody)
		buf_appendf(b, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, e->uid, e->gid, e->pid);
	else
		buf_append_str(b, ",,,");
	buf_appendf(b, ",%" PRIu64 ",", e->bytes);
	if (e->ended_ns != 0)
		audit_time_append(b, e->ended_ns);
	buf_appendf(b, ",%" PRIu64, e->about);
	append_csv_text(b, e->kind);
	append_csv_text(b, e->program);
	append_csv_text(b, e->snapshot);
	append_csv_text(b, e->path);
	append_csv_text(b, e->result);
	append_csv_text(b, e->detail);
	append_csv_text(b, e->case_ref);
	append_csv_text(b, e->reason);
	buf_appendf(b, ",%s\r\n", hex(&e->hash).s);
}

static int
print_entry(void *arg, const struct audit_entry *e, struct err *err)
{
	struct printer *p = arg;
	int r = 0;

	if (p->form == FORM_JSON)
		append_json(p, e);
	else if (p->form == FORM_CSV)
		append_csv(p, e);
	else
		append_text(p, e);
	p->n++;
	if (p->text.len >= FLUSH_LEN) {
		r = print_buf(&p->text, err);
		buf_reset(&p->text);
	}
	return r;
}

static int
print_entries(const char *path, const struct audit_filter *filter, enum form form, struct err *err)
{
	struct printer p = {.form = form};
	int r;

	buf_append_str(&p.text, form == FORM_JSON ? "[" : "");
	r = audit_read(path, filter, print_entry, &p, err);
	if (r == 0) {
		buf_append_str(&p.text, form != FORM_JSON ? "" : p.n > 0 ? "\n]\n" : "]\n");
		r = print_buf(&p.text, err);
	}
	buf_fini(&p.text);
	return r;
}

/* ---- the commands ------------------------------------------------------------------------ */

/* The reading becomes an entry before anything is printed. */
static int
record_reading(const struct cli *c, const char *path, const struct identity *identity,
	       struct err *err)
{
	CLEANUP(freep) char *state = NULL;
	CLEANUP(audit_freep) struct audit *a = NULL;
	struct audit_options o = {.path = path,
				  .case_ref = option_value(c, OPT_CASE),
				  .reason = option_value(c, OPT_REASON),
				  .required = true,
				  .signer = identity->pair};
	struct audit_event event = {.kind = c->command->name,
				    .uid = getuid(),
				    .gid = getgid(),
				    .pid = (uint32_t)getpid(),
				    .path = slice_str(path)};
	int r = session_state(c, &state, err);

	if (r < 0)
		return r;
	o.state = state;
	r = audit_open(&o, &a, err);
	return r < 0 ? r : audit_record(a, &event, NULL, err);
}

/* A log that can't be written to, as a copy on other media, is read all the same. */
static int
try_record_reading(const struct cli *c, const char *path, struct err *err)
{
	CLEANUP(identity_freep) struct identity *identity = NULL;
	struct err why = ERR_INIT;
	int r;

	if (access(path, W_OK) < 0) {
		warn("note: this reading is not recorded: %s can't be written to", path);
		return 0;
	}
	r = session_identity(c, &identity, &why);
	if (r == CLI_USAGE) {
		warn("note: this reading is not recorded, for want of an identity that signs: "
		     "give -i FILE");
		return 0;
	}
	if (r == 0)
		r = record_reading(c, path, identity, &why);
	if (r < 0)
		*err = why;
	return r;
}

static int
show(const struct cli *c, enum form form, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct audit_filter filter = {0};
	int r = audit_log_operand(c, &path, err);

	if (r == 0)
		r = read_filter(c, &filter, err);
	if (r == 0)
		r = try_record_reading(c, path, err);
	return r < 0 ? r : print_entries(path, &filter, form, err);
}

int
cmd_audit_show(struct cli *c, struct err *err)
{
	return show(c, option_given(c, OPT_JSON) ? FORM_JSON : FORM_TEXT, err);
}

int
cmd_audit_export(struct cli *c, struct err *err)
{
	if (option_given(c, OPT_JSON) && option_given(c, OPT_CSV))
		return err_set(err, CLI_USAGE, "give --json or --csv, not both");
	return show(c, option_given(c, OPT_CSV) ? FORM_CSV : FORM_JSON, err);
}
