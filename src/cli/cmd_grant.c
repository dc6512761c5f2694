/*
 * cmd_grant.c - tillfs grant, grants, revoke, auditor new.
 */
#include <inttypes.h>

#include "people.h"

/* ---- auditor new -------------------------------------------------------------------------- */

int
cmd_auditor_new(struct cli *c, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *path = operand(c, 0);
	int r = cmd_identity_new(c, err);

	if (r != 0)
		return r;
	buf_appendf(&text,
		    "Give %s.pub to an admin, for `tillfs grant --to %s.pub --case REF`; the card "
		    "that comes back goes into `tillfs trust import CARD -i %s`.\n",
		    path, path, path);
	return print_buf(&text, err);
}

/* ---- grant -------------------------------------------------------------------------------- */

/* A date stands for its end, in UTC; or a point in time. */
static int
read_expiry(const struct cli *c, struct roles_wish *w, struct err *err)
{
	const char *text = option_value(c, OPT_EXPIRES);
	struct date date;

	if (text == NULL)
		return 0;
	w->has_expiry = true;
	if (date_parse(slice_str(text), &date)) {
		w->expiry = ((int64_t)date.days + 1) * 86400;
		return 0;
	}
	if (time_parse_rfc3339(slice_str(text), &w->expiry))
		return 0;
	return err_set(err, CLI_USAGE,
		       "--expires %s: give a date as 2026-11-20 or a time as 2026-11-20T23:00:00Z",
		       text);
}

static int
read_wish(const struct cli *c, struct public_keys *keys, struct roles_wish *ret, struct err *err)
{
	int r;

	*ret = (struct roles_wish){
		.to = keys,
		.writers = c->options[OPT_ONLY_WRITER].v,
		.n_writers = c->options[OPT_ONLY_WRITER].n,
		.classes = c->options[OPT_CLASS].v,
		.n_classes = c->options[OPT_CLASS].n,
		.standing = option_given(c, OPT_STANDING),
		.case_ref = option_value(c, OPT_CASE),
	};
	if (!option_given(c, OPT_GRANTEE) || ret->case_ref == NULL)
		return err_set(err, CLI_USAGE,
			       "give --to FILE, the auditor's .pub file, and --case REF");
	r = option_date(c, OPT_FROM, &ret->has_from, &ret->from, err);
	if (r == 0)
		r = option_date(c, OPT_UNTIL, &ret->has_until, &ret->until, err);
	if (r == 0 && ret->standing && ret->has_until)
		r = err_set(err, CLI_USAGE,
			    "--standing goes on until --expires or `tillfs revoke`, and takes no "
			    "--until");
	if (r == 0)
		r = read_expiry(c, ret, err);
	return r < 0 ? r : public_keys_read(option_value(c, OPT_GRANTEE), keys, err);
}

static void
append_names(struct buf *b, const struct words *w, const char *all)
{
	for (size_t i = 0; i < w->n; i++)
		buf_appendf(b, "%s%s", i > 0 ? ", " : "", w->v[i]);
	buf_append_str(b, w->n == 0 ? all : "");
}

/* What was done, so that nobody believes to have granted less. */
static void
append_granted(struct buf *b, const struct cli *c, const struct roles_wish *w,
	       const struct roles_handed *h)
{
	buf_appendf(b, "Granted to %s, case %s:\n", hex_short(&w->to->fingerprint.h).s,
		    w->case_ref);
	if (h->snapshots > 0)
		buf_appendf(b, "  %" PRIu64 " snapshots of business dates %s to %s\n", h->snapshots,
			    date_format(h->first).s, date_format(h->last).s);
	if (w->standing)
		buf_append_str(b, "  every snapshot that is made from now on\n");
	buf_append_str(b, "  of ");
	append_names(b, &c->options[OPT_ONLY_WRITER], "all writers");
	buf_append_str(b, "; data classes: ");
	append_names(b, &c->options[OPT_CLASS], "all");
	buf_append_str(b, ".\n");
	if (w->has_expiry)
		buf_appendf(b, "  It expires at %s.\n", time_format_rfc3339(w->expiry).s);
	buf_append_str(b, "A data class is a set of files: whoever may read it reads those files "
			  "whole, a database with every record in it.\n");
	if (h->sections > 0)
		buf_appendf(b,
			    "Snapshots share what did not change: the grant opens %" PRIu64
			    " sections of %" PRIu64 " packs, and so all that other snapshots of "
			    "these classes keep in them, of other dates too.\n",
			    h->sections, h->packs);
	buf_append_str(b, "Expiry and `tillfs revoke` bind honest clients; what ends access for "
			  "certain is the storage's credentials.\n");
	if (h->skipped > 0)
		buf_appendf(b, "%" PRIu64 " things could not be read, and so not be granted.\n",
			    h->skipped);
}

int
cmd_grant(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(card_fini) struct card card = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct roles_options o = {.told = people_told};
	struct roles_handed handed;
	struct public_keys keys;
	struct roles_wish wish;
	int r;

	r = read_wish(c, &keys, &wish, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	interrupts_catch();
	o.progress = progress_show(c);
	r = roles_grant(s.repo, &wish, &o, &handed, err);
	if (r < 0)
		return r;
	append_granted(&text, c, &wish, &handed);
	roles_card(s.repo, wish.case_ref, &card);
	if (option_given(c, OPT_OUT)) {
		buf_appendf(&text, "Hand %s to the auditor, for `tillfs trust import`.\n",
			    option_value(c, OPT_OUT));
		r = print_buf(&text, err);
	} else if (!option_given(c, OPT_QUIET)) {
		warn_text(buf_cstr(&text));
	}
	return r < 0 ? r : people_give_card(c, &card, err);
}

/* ---- grants, revoke ----------------------------------------------------------------------- */

int
cmd_grants(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(roles_grants_fini) struct roles_grants g = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	bool json = option_given(c, OPT_JSON);
	int r;

	r = session_open(c, &s, err);
	if (r == 0)
		r = roles_grants_list(s.repo, &g, err);
	if (r < 0)
		return r;
	buf_append_str(&text, json ? "[" : "");
	for (size_t i = 0; i < g.n; i++) {
		if (!json) {
			people_append_grant(&text, s.repo, &g.v[i]);
			continue;
		}
		buf_append_str(&text, i > 0 ? ",\n" : "\n");
		people_append_grant_json(&text, s.repo, &g.v[i]);
	}
	buf_append_str(&text, json ? "\n]\n" : "");
	return print_buf(&text, err);
}

int
cmd_revoke(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *case_ref = option_value(c, OPT_CASE);
	size_t n;
	int r;

	if ((operand(c, 0) == NULL) == (case_ref == NULL))
		return err_set(err, CLI_USAGE,
			       "give a grant's id, as `tillfs grants` lists it, or --case REF");
	r = session_open(c, &s, err);
	if (r == 0)
		r = roles_revoke(s.repo, operand(c, 0), case_ref, &n, err);
	if (r != 0)
		return r;
	append_count(&text, n, "grant was revoked", "grants were revoked");
	buf_append_str(&text,
		       ".\ntillfs opens nothing by it any more, and new snapshots aren't sealed "
		       "for it. Keys that were copied before stay keys: take away the auditor's "
		       "credentials at the storage, too.\n");
	return print_buf(&text, err);
}
