/*
 * cmd_admin.c - tillfs admin add, remove, list.
 */
#include <inttypes.h>

#include "people.h"

static void
append_added(struct buf *b, const char *name, const struct roles_handed *h, bool known)
{
	buf_appendf(b,
		    "%s is %san admin%s.\n"
		    "%s can read everything: the keys of %" PRIu64 " older snapshots and %" PRIu64
		    " packs were handed over, and what comes is sealed to %s too.\n",
		    name, known ? "" : "now ", known ? " already" : "", name, h->snapshots,
		    h->packs, name);
	if (h->skipped > 0)
		buf_appendf(b,
			    "%" PRIu64 " things could not be read, and so not be handed over; see "
			    "above.\n",
			    h->skipped);
	buf_appendf(b,
		    "A backup that is running now may miss the change: when it has ended, run the "
		    "same command once more.\n"
		    "The card tells %s which repository this is and who founded it: `tillfs trust "
		    "import CARD -i FILE` there.\n",
		    name);
}

int
cmd_admin_add(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(card_fini) struct card card = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct roles_options o = {.told = people_told};
	struct public_keys keys;
	struct roles_handed handed;
	bool known;
	int r;

	if (!option_given(c, OPT_KEY))
		return err_set(err, CLI_USAGE, "give --key FILE, the .pub file of the new admin");
	r = public_keys_read(option_value(c, OPT_KEY), &keys, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	interrupts_catch();
	o.progress = progress_show(c);
	r = roles_add_admin(s.repo, operand(c, 0), &keys, &o, &handed, &known, err);
	if (r < 0)
		return r;
	append_added(&text, operand(c, 0), &handed, known);
	roles_card(s.repo, NULL, &card);
	if (option_given(c, OPT_OUT))
		r = print_buf(&text, err);
	else if (!option_given(c, OPT_QUIET))
		warn_text(buf_cstr(&text));
	return r < 0 ? r : people_give_card(c, &card, err);
}

int
cmd_admin_remove(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct fingerprint who;
	int r;

	r = session_open(c, &s, err);
	if (r == 0)
		r = roles_remove_admin(s.repo, operand(c, 0), &who, err);
	if (r < 0)
		return r;
	buf_appendf(&text,
		    "%s (%s) is no admin any more.\n"
		    "From now on nothing is sealed to it: new snapshots and new packs can't be "
		    "opened with that key.\n"
		    "What it could read before it can still decrypt, as far as it can get at the "
		    "storage: take away its credentials there, too.\n"
		    "A till learns of it at its next backup.\n",
		    operand(c, 0), hex_short(&who.h).s);
	return print_buf(&text, err);
}

/* ---- list --------------------------------------------------------------------------------- */

static void
append_admin(struct buf *b, struct repo *r, const struct roles_history *h, size_t i)
{
	const struct ledger_admin *a = &repo_ledger(r)->admins[i];
	CLEANUP(freep) char *name = roles_admin_name(r, a);

	buf_appendf(b, "%-24s  %s  since %s%s", name, hex_short(&a->fingerprint.h).s,
		    time_format_rfc3339(a->since).s, a->removed ? "  removed " : "\n");
	if (!a->removed)
		return;
	people_append_deed(b, r, &h->admin_removed[i]);
	buf_append_u8(b, '\n');
}

static void
append_admin_json(struct buf *b, struct repo *r, const struct roles_history *h, size_t i)
{
	const struct ledger_admin *a = &repo_ledger(r)->admins[i];
	CLEANUP(freep) char *name = roles_admin_name(r, a);

	buf_append_str(b, "  {");
	append_json_text(b, "name", name);
	buf_append_str(b, ", ");
	append_json_text(b, "fingerprint", hex(&a->fingerprint.h).s);
	buf_append_str(b, ", ");
	append_json_text(b, "since", time_format_rfc3339(a->since).s);
	buf_appendf(b, ", \"is_admin\": %s, ", a->removed ? "false" : "true");
	people_append_deed_json(b, r, "added", &h->admin_added[i]);
	buf_append_str(b, ", ");
	people_append_deed_json(b, r, "removed", &h->admin_removed[i]);
	buf_append_u8(b, '}');
}

int
cmd_admin_list(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(roles_history_fini) struct roles_history h = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	bool json = option_given(c, OPT_JSON);
	int r;

	r = session_open(c, &s, err);
	if (r == 0)
		r = roles_history_read(s.repo, &h, err);
	if (r < 0)
		return r;
	buf_append_str(&text, json ? "[\n" : "");
	for (size_t i = 0; i < repo_ledger(s.repo)->n_admins; i++) {
		if (!json) {
			append_admin(&text, s.repo, &h, i);
			continue;
		}
		buf_append_str(&text, i > 0 ? ",\n" : "");
		append_admin_json(&text, s.repo, &h, i);
	}
	buf_append_str(&text, json ? "\n]\n" : "");
	return print_buf(&text, err);
}
