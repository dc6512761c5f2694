/*
 * people.c - what the commands about admins, writers, grants and trust share.
 */
#include "people.h"

#include <inttypes.h>

void
people_told(void *arg, const char *sentence)
{
	(void)arg;
	warn("not handed over: %s", sentence);
}

int
people_give_card(const struct cli *c, const struct card *card, struct err *err)
{
	const char *out = option_value(c, OPT_OUT);
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	card_format(card, &text);
	return out == NULL ? print_buf(&text, err)
			   : file_write_atomic(out, buf_slice(&text), 0644, err);
}

/* ---- by whose decision -------------------------------------------------------------------- */

void
people_append_deed(struct buf *b, struct repo *r, const struct roles_deed *deed)
{
	CLEANUP(freep) char *name = NULL;

	if (deed->entry == 0)
		return;
	name = roles_person_name(r, &deed->author);
	buf_appendf(b, "%s by %s (ledger entry %" PRIu64 ")", time_format_rfc3339(deed->time).s,
		    name, deed->entry);
}

void
people_append_deed_json(struct buf *b, struct repo *r, const char *key,
			const struct roles_deed *deed)
{
	CLEANUP(freep) char *name = NULL;

	if (deed->entry == 0) {
		buf_appendf(b, "\"%s\": null", key);
		return;
	}
	name = roles_person_name(r, &deed->author);
	buf_appendf(b, "\"%s\": {", key);
	append_json_text(b, "time", time_format_rfc3339(deed->time).s);
	buf_append_str(b, ", ");
	append_json_text(b, "by", name);
	buf_append_str(b, ", ");
	append_json_text(b, "fingerprint", hex(&deed->author.h).s);
	buf_appendf(b, ", \"entry\": %" PRIu64 "}", deed->entry);
}

/* ---- grants ------------------------------------------------------------------------------- */

static void
append_cover(struct buf *b, struct repo *r, const struct grant_cover *c, bool standing)
{
	buf_append_str(b, "    covers      writers ");
	for (size_t i = 0; i < c->n_writers; i++)
		buf_appendf(b, "%s%s", i > 0 ? ", " : "", repo_writer_name(r, &c->writers[i]));
	buf_append_str(b, c->n_writers == 0 ? "all" : "");
	buf_append_str(b, "; data classes ");
	for (size_t i = 0; i < c->n_classes; i++) {
		buf_append_str(b, i > 0 ? ", " : "");
		text_append_safe(b, slice_str(c->classes[i]));
	}
	buf_append_str(b, c->n_classes == 0 ? "all" : "");
	if (standing) {
		buf_append_str(b, "; every snapshot from then on\n");
		return;
	}
	buf_append_str(b, "; dates ");
	buf_append_str(b, c->has_from ? date_format(c->from).s : "first");
	buf_append_str(b, " to ");
	buf_append_str(b, c->has_until ? date_format(c->until).s : "last at the time");
	buf_appendf(b, "; %" PRIu64 " snapshots\n", c->snapshots);
}

void
people_append_grant(struct buf *b, struct repo *r, const struct roles_grant *g)
{
	CLEANUP(freep) char *author = roles_person_name(r, &g->author);

	buf_appendf(b, "%.12s  %s  case ", g->id, g->standing ? "standing" : "once    ");
	text_append_safe(b, slice_str(g->opaque ? "(not said)" : g->cover.case_ref));
	buf_appendf(b, "%s\n    auditor     %s\n    granted     %s by %s\n",
		    g->ended ? "  ENDED" : "", hex(&g->grantee.h).s,
		    time_format_rfc3339(g->since).s, author);
	if (!g->opaque)
		append_cover(b, r, &g->cover, g->standing);
	if (g->has_expiry)
		buf_appendf(b, "    expires     %s\n", time_format_rfc3339(g->expiry).s);
}

static void
append_cover_json(struct buf *b, struct repo *r, const struct grant_cover *c)
{
	buf_append_str(b, ", ");
	append_json_text(b, "case", c->case_ref);
	buf_append_str(b, ", \"writers\": [");
	for (size_t i = 0; i < c->n_writers; i++) {
		buf_append_str(b, i > 0 ? ", " : "");
		json_append_string(b, slice_str(repo_writer_name(r, &c->writers[i])));
	}
	buf_append_str(b, "], \"classes\": [");
	for (size_t i = 0; i < c->n_classes; i++) {
		buf_append_str(b, i > 0 ? ", " : "");
		json_append_string(b, slice_str(c->classes[i]));
	}
	buf_append_str(b, "]");
	if (c->has_from)
		buf_appendf(b, ", \"from\": \"%s\"", date_format(c->from).s);
	if (c->has_until)
		buf_appendf(b, ", \"until\": \"%s\"", date_format(c->until).s);
	buf_appendf(b, ", \"snapshots\": %" PRIu64, c->snapshots);
}

void
people_append_grant_json(struct buf *b, struct repo *r, const struct roles_grant *g)
{
	CLEANUP(freep) char *author = roles_person_name(r, &g->author);

	buf_append_str(b, "  {");
	append_json_text(b, "id", g->id);
	buf_appendf(b, ", \"standing\": %s, \"ended\": %s, ", g->standing ? "true" : "false",
		    g->ended ? "true" : "false");
	append_json_text(b, "auditor", hex(&g->grantee.h).s);
	buf_append_str(b, ", ");
	append_json_text(b, "by", author);
	buf_append_str(b, ", ");
	append_json_text(b, "since", time_format_rfc3339(g->since).s);
	if (g->has_expiry) {
		buf_append_str(b, ", ");
		append_json_text(b, "expires", time_format_rfc3339(g->expiry).s);
	}
	if (!g->opaque)
		append_cover_json(b, r, &g->cover);
	buf_append_u8(b, '}');
}
