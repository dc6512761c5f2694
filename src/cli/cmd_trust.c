/*
 * cmd_trust.c - tillfs trust show, trust merge: who may do what, and by whose decision.
 */
#include <inttypes.h>

#include "people.h"

/* All that is shown. */
struct sight {
	struct repo *repo;
	const struct ledger_state *s;
	struct roles_history h;
	struct roles_grants grants;
};

static void
sight_fini(struct sight *v)
{
	roles_history_fini(&v->h);
	roles_grants_fini(&v->grants);
}

/* ---- words -------------------------------------------------------------------------------- */

static void
append_line(struct buf *b, struct repo *r, const char *what, const struct roles_deed *deed)
{
	if (deed->entry == 0)
		return;
	buf_appendf(b, "    %-11s ", what);
	people_append_deed(b, r, deed);
	buf_append_u8(b, '\n');
}

static void
append_admins(struct buf *b, const struct sight *v)
{
	buf_append_str(b, "Admins, who read everything and decide:\n");
	for (size_t i = 0; i < v->s->n_admins; i++) {
		const struct ledger_admin *a = &v->s->admins[i];
		CLEANUP(freep) char *name = roles_admin_name(v->repo, a);

		buf_appendf(b, "  %s%s\n    key         %s\n", name, a->removed ? "  REMOVED" : "",
			    hex(&a->fingerprint.h).s);
		if (v->h.admin_added[i].entry == 0)
			buf_appendf(b, "    since       %s, as the founder\n",
				    time_format_rfc3339(a->since).s);
		append_line(b, v->repo, "added", &v->h.admin_added[i]);
		append_line(b, v->repo, "removed", &v->h.admin_removed[i]);
	}
}

static void
append_writers(struct buf *b, const struct sight *v)
{
	buf_append_str(b, "\nWriters, who make snapshots and read none:\n");
	for (size_t i = 0; i < v->s->n_writers; i++) {
		const struct ledger_writer *w = &v->s->writers[i];

		buf_appendf(b, "  %s%s\n    id          %s\n", repo_writer_name(v->repo, &w->id),
			    w->revoked ? "  REVOKED" : "", hex_bytes(&w->id, sizeof w->id).s);
		append_line(b, v->repo, "enrolled", &v->h.writer_enrolled[i]);
		if (w->n_keys > 1) {
			append_line(b, v->repo, "new keys", &v->h.writer_rotated[i]);
			buf_appendf(b, "    from        snapshot number %" PRIu64 "\n",
				    w->keys[w->n_keys - 1].from_seq);
		}
		append_line(b, v->repo, "revoked", &v->h.writer_revoked[i]);
		if (w->revoked)
			buf_appendf(b, "    accepted    up to snapshot number %" PRIu64 "\n",
				    w->last_seq);
	}
}

static void
append_all(struct buf *b, const struct sight *v)
{
	buf_appendf(b, "Repository %s, ledger at entry %" PRIu64 " (%s)\n\n",
		    hex_bytes(repo_id(v->repo), sizeof *repo_id(v->repo)).s, v->s->head.seq,
		    hex_short(&v->s->head.id).s);
	append_admins(b, v);
	append_writers(b, v);
	buf_append_str(b, repo_is_admin(v->repo) ? "\nAuditors, who read what they were granted:\n"
						 : "\nGranted to you:\n");
	for (size_t i = 0; i < v->grants.n; i++)
		people_append_grant(b, v->repo, &v->grants.v[i]);
	if (v->grants.n == 0)
		buf_append_str(b, "  nobody\n");
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void
append_admins_json(struct buf *b, const struct sight *v)
{
	for (size_t i = 0; i < v->s->n_admins; i++) {
		const struct ledger_admin *a = &v->s->admins[i];
		CLEANUP(freep) char *name = roles_admin_name(v->repo, a);

		buf_append_str(b, i > 0 ? ",\n  {" : "\n  {");
		append_json_text(b, "name", name);
		buf_append_str(b, ", ");
		append_json_text(b, "fingerprint", hex(&a->fingerprint.h).s);
		buf_append_str(b, ", ");
		append_json_text(b, "since", time_format_rfc3339(a->since).s);
		buf_appendf(b, ", \"is_admin\": %s, ", a->removed ? "false" : "true");
		people_append_deed_json(b, v->repo, "added", &v->h.admin_added[i]);
		buf_append_str(b, ", ");
		people_append_deed_json(b, v->repo, "removed", &v->h.admin_removed[i]);
		buf_append_u8(b, '}');
	}
}

static void
append_writers_json(struct buf *b, const struct sight *v)
{
	for (size_t i = 0; i < v->s->n_writers; i++) {
		const struct ledger_writer *w = &v->s->writers[i];

		buf_append_str(b, i > 0 ? ",\n  {" : "\n  {");
		append_json_text(b, "name", repo_writer_name(v->repo, &w->id));
		buf_append_str(b, ", ");
		append_json_text(b, "id", hex_bytes(&w->id, sizeof w->id).s);
		buf_appendf(b,
			    ", \"revoked\": %s, \"keys_from\": %" PRIu64
			    ", \"last_accepted\": %" PRIu64 ", ",
			    w->revoked ? "true" : "false", w->keys[w->n_keys - 1].from_seq,
			    w->last_seq);
		people_append_deed_json(b, v->repo, "enrolled", &v->h.writer_enrolled[i]);
		buf_append_str(b, ", ");
		people_append_deed_json(b, v->repo, "rotated", &v->h.writer_rotated[i]);
		buf_append_str(b, ", ");
		people_append_deed_json(b, v->repo, "revocation", &v->h.writer_revoked[i]);
		buf_append_u8(b, '}');
	}
}

static void
append_findings_json(struct buf *b, struct repo *r)
{
	CLEANUP(freep) struct repo_finding *findings = NULL;
	size_t n;

	repo_findings(r, &findings, &n);
	for (size_t i = 0; i < n; i++) {
		buf_append_str(b, i > 0 ? ",\n  {" : "\n  {");
		append_json_text(b, "kind", err_name(findings[i].code));
		buf_append_str(b, ", ");
		append_json_text(b, "text", findings[i].text);
		buf_append_u8(b, '}');
	}
}

static void
append_all_json(struct buf *b, const struct sight *v)
{
	buf_append_u8(b, '{');
	append_json_text(b, "repository", hex_bytes(repo_id(v->repo), sizeof *repo_id(v->repo)).s);
	buf_appendf(b, ", \"ledger\": %" PRIu64 ", ", v->s->head.seq);
	append_json_text(b, "head", hex(&v->s->head.id).s);
	buf_append_str(b, ",\n \"admins\": [");
	append_admins_json(b, v);
	buf_append_str(b, "],\n \"writers\": [");
	append_writers_json(b, v);
	buf_append_str(b, "],\n \"grants\": [");
	for (size_t i = 0; i < v->grants.n; i++) {
		buf_append_str(b, i > 0 ? ",\n" : "\n");
		people_append_grant_json(b, v->repo, &v->grants.v[i]);
	}
	buf_append_str(b, "],\n \"findings\": [");
	append_findings_json(b, v->repo);
	buf_append_str(b, "]}\n");
}

int
cmd_trust_show(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(sight_fini) struct sight v = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	v.repo = s.repo;
	v.s = repo_ledger(s.repo);
	r = roles_history_read(s.repo, &v.h, err);
	if (r == 0)
		r = roles_grants_list(s.repo, &v.grants, err);
	if (r < 0)
		return r;
	if (option_given(c, OPT_JSON))
		append_all_json(&text, &v);
	else
		append_all(&text, &v);
	return print_buf(&text, err);
}

/* ---- merge -------------------------------------------------------------------------------- */

int
cmd_trust_merge(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct repo_merge m;
	int r;

	r = session_open(c, &s, err);
	if (r == 0)
		r = repo_merge_fork(s.repo, option_value(c, OPT_KEEP), &m, err);
	if (r != 0)
		return r;
	buf_appendf(&text, "The ledger is whole again: the branch that ended with %s counts.\n",
		    hex_short(&m.kept).s);
	buf_appendf(&text, "%zu other %s settled; of what was decided there, %zu %s decided again",
		    m.heads, m.heads == 1 ? "branch was" : "branches were", m.repeated,
		    m.repeated == 1 ? "thing was" : "things were");
	if (m.dropped > 0)
		buf_appendf(
			&text,
			", and %zu no longer made sense there, or came from a removed admin, and "
			"%s dropped",
			m.dropped, m.dropped == 1 ? "was" : "were");
	buf_append_str(&text, ".\nLook at it: `tillfs trust show`.\n");
	return print_buf(&text, err);
}
