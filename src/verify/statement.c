/*
 * statement.c - the result in words and as JSON.
 *
 * Layer 4.
 */
#include <inttypes.h>

#include "internal.h"

static bool
holds(const struct verify_result *r, const struct verify_snapshot *s)
{
	return s->signature_ok && s->enrolment_ok && s->data_ok && s->n_classes > 0 &&
	       r->writers[s->writer].ok;
}

/* ---- words -------------------------------------------------------------------------------- */

static void
append_snapshot(struct buf *b, struct repo *repo, const struct verify_result *r,
		const struct verify_snapshot *s)
{
	const struct verify_writer *w = &r->writers[s->writer];

	buf_appendf(b, "%s  %s\n", repo_snapshot_label(repo, &s->name).s,
		    holds(r, s) ? "VERIFIED" : "NOT VERIFIED");
	buf_appendf(b, "  id          %s\n", hex(&s->name.id.h).s);
	buf_appendf(b, "  made        %s, business date %s, number %" PRIu64 " of %s\n",
		    time_format_rfc3339(s->name.time).s, date_format(s->name.date).s, s->name.seq,
		    w->name);
	buf_appendf(b, "  signature   %s, keys %s\n", s->signature_ok ? "holds" : "DOESN'T HOLD",
		    hex(&s->signer.h).s);
	if (s->enrolment_ok)
		buf_appendf(b, "  enrolled    %s, by %s, ledger entry %" PRIu64 "\n",
			    time_format_rfc3339(s->enrolled_at).s, hex_short(&s->enrolled_by.h).s,
			    s->enrolled_seq);
	else
		buf_append_str(b, "  enrolled    NO LEDGER ENTRY enrols these keys\n");
	if (s->n_classes == 0) {
		buf_append_str(b, "  content     not read: it is sealed to others\n");
		return;
	}
	buf_appendf(b, "  content     %s: %" PRIu64 " files, %" PRIu64 " folders, ",
		    s->data_ok ? "every byte is as signed" : "DAMAGED", s->counts.files,
		    s->counts.dirs);
	text_append_bytes(b, s->counts.bytes);
	buf_append_u8(b, '\n');
	if (s->n_closed > 0)
		buf_appendf(b,
			    "  closed      %zu of its data classes are sealed to others: those "
			    "were checked as stored bytes at most, not opened\n",
			    s->n_closed);
}

static void
append_writer(struct buf *b, const struct verify_writer *w)
{
	buf_appendf(b,
		    "Chain of %s: %" PRIu64 " signed snapshots follow each other; newest in the "
		    "store is number %" PRIu64 ".\n",
		    w->name, w->intact, w->head);
	for (size_t i = 0; i < w->n_gaps; i++)
		buf_appendf(b, "  numbers %" PRIu64 " to %" PRIu64 " %s\n", w->gaps[i].first,
			    w->gaps[i].last,
			    w->gaps[i].forgotten ? "were forgotten, as the ledger says"
						 : "ARE MISSING");
	for (size_t i = 0; i < w->n_missed; i++)
		if (w->missed[i].first.days == w->missed[i].last.days)
			buf_appendf(b, "  no snapshot of %s\n", date_format(w->missed[i].first).s);
		else
			buf_appendf(b, "  no snapshot from %s to %s\n",
				    date_format(w->missed[i].first).s,
				    date_format(w->missed[i].last).s);
}

void
verify_statement(struct repo *repo, const struct verify_result *r, struct buf *ret)
{
	buf_appendf(ret, "Repository %s, verified at %s.\n\n",
		    hex_bytes(repo_id(repo), sizeof *repo_id(repo)).s,
		    time_format_rfc3339(r->time).s);
	for (size_t i = 0; i < r->n_snapshots; i++)
		append_snapshot(ret, repo, r, &r->snapshots[i]);
	buf_append_u8(ret, '\n');
	for (size_t i = 0; i < r->n_writers; i++)
		append_writer(ret, &r->writers[i]);
	buf_appendf(ret, "%" PRIu64 " packs of ", r->packs);
	text_append_bytes(ret, r->bytes);
	buf_appendf(ret, " were read whole. ");
	if (r->failures == 0)
		buf_append_str(ret, "Everything holds.\n");
	else
		buf_appendf(ret, "%" PRIu64 " %s.\n", r->failures,
			    r->failures == 1 ? "thing does NOT hold" : "things do NOT hold");
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void
put_text(struct buf *b, const char *key, const char *text)
{
	buf_appendf(b, "\"%s\": ", key);
	json_append_string(b, slice_str(text));
	buf_append_str(b, ", ");
}

static const char *
json_bool(bool b)
{
	return b ? "true" : "false";
}

static void
append_snapshot_json(struct buf *b, const struct verify_result *r, const struct verify_snapshot *s)
{
	buf_append_str(b, "  {");
	put_text(b, "id", hex(&s->name.id.h).s);
	put_text(b, "writer", r->writers[s->writer].name);
	put_text(b, "date", date_format(s->name.date).s);
	put_text(b, "time", time_format_rfc3339(s->name.time).s);
	put_text(b, "signer", hex(&s->signer.h).s);
	put_text(b, "signing_key", hex_bytes(&s->sign_pk, sizeof s->sign_pk).s);
	put_text(b, "previous", s->has_prev ? hex(&s->prev.h).s : "");
	put_text(b, "enrolled_by", s->enrolment_ok ? hex(&s->enrolled_by.h).s : "");
	put_text(b, "enrolled_at", s->enrolment_ok ? time_format_rfc3339(s->enrolled_at).s : "");
	put_text(b, "enrolled_entry", s->enrolment_ok ? hex(&s->enrolled_id).s : "");
	buf_appendf(b,
		    "\"sequence\": %" PRIu64 ", \"enrolled_sequence\": %" PRIu64
		    ", \"ledger_sequence\": %" PRIu64 ", \"files\": %" PRIu64
		    ", \"folders\": %" PRIu64 ", \"others\": %" PRIu64 ", \"bytes\": %" PRIu64
		    ", \"classes_open\": %zu, \"classes_closed\": %zu, ",
		    s->name.seq, s->enrolled_seq, s->ledger.seq, s->counts.files, s->counts.dirs,
		    s->counts.others, s->counts.bytes, s->n_classes, s->n_closed);
	buf_appendf(b, "\"signature\": %s, \"enrolment\": %s, \"data\": %s, \"verified\": %s}",
		    json_bool(s->signature_ok), json_bool(s->enrolment_ok), json_bool(s->data_ok),
		    json_bool(holds(r, s)));
}

static void
append_writer_json(struct buf *b, const struct verify_writer *w)
{
	buf_append_str(b, "  {");
	put_text(b, "name", w->name);
	put_text(b, "id", hex_bytes(&w->id, sizeof w->id).s);
	buf_appendf(b,
		    "\"newest\": %" PRIu64 ", \"intact\": %" PRIu64 ", \"chain\": %s, \"gaps\": [",
		    w->head, w->intact, json_bool(w->ok));
	for (size_t i = 0; i < w->n_gaps; i++)
		buf_appendf(b,
			    "%s{\"first\": %" PRIu64 ", \"last\": %" PRIu64 ", \"forgotten\": %s}",
			    i > 0 ? ", " : "", w->gaps[i].first, w->gaps[i].last,
			    json_bool(w->gaps[i].forgotten));
	buf_append_str(b, "], \"missed\": [");
	for (size_t i = 0; i < w->n_missed; i++)
		buf_appendf(b, "%s[\"%s\", \"%s\"]", i > 0 ? ", " : "",
			    date_format(w->missed[i].first).s, date_format(w->missed[i].last).s);
	buf_append_str(b, "]}");
}

void
verify_json(struct repo *repo, const struct verify_result *r, struct buf *ret)
{
	buf_append_u8(ret, '{');
	put_text(ret, "repository", hex_bytes(repo_id(repo), sizeof *repo_id(repo)).s);
	put_text(ret, "verified_at", time_format_rfc3339(r->time).s);
	buf_appendf(ret,
		    "\"packs\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"failures\": %" PRIu64
		    ", \"verified\": %s,\n \"snapshots\": [\n",
		    r->packs, r->bytes, r->failures, json_bool(r->failures == 0));
	for (size_t i = 0; i < r->n_snapshots; i++) {
		append_snapshot_json(ret, r, &r->snapshots[i]);
		buf_append_str(ret, i + 1 < r->n_snapshots ? ",\n" : "\n");
	}
	buf_append_str(ret, " ],\n \"writers\": [\n");
	for (size_t i = 0; i < r->n_writers; i++) {
		append_writer_json(ret, &r->writers[i]);
		buf_append_str(ret, i + 1 < r->n_writers ? ",\n" : "\n");
	}
	buf_append_str(ret, " ]}\n");
}
