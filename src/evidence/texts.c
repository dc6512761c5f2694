/*
 * texts.c - what stands in a bag beside the files.
 */
#include <inttypes.h>
#include <sys/utsname.h>

#include "internal.h"

#include "tillfs/audit.h"

/* ---- the statement ------------------------------------------------------------------------- */

static void
append_text(struct buf *b, const char *key, const char *text)
{
	buf_appendf(b, ",\n  \"%s\": ", key);
	json_append_string(b, slice_str(text));
}

static const struct verify_snapshot *
verified_of(const struct bag *b, const struct evidence_item *item)
{
	for (size_t i = 0; i < b->verified.n_snapshots; i++)
		if (hash_equal(&b->verified.snapshots[i].name.id.h,
			       &item->opened->snapshot->name.id.h))
			return &b->verified.snapshots[i];
	return NULL;
}

static void
append_item(const struct bag *b, const struct evidence_item *item, struct buf *ret)
{
	const struct verify_snapshot *v = verified_of(b, item);
	const struct snapshot_name *name = &item->opened->snapshot->name;
	CLEANUP(buf_fini) struct buf label = BUF_INIT;

	evidence_label(b->repo, item, &label);
	buf_append_str(ret, "\n    {\"snapshot\": ");
	json_append_string(ret, buf_slice(&label));
	buf_appendf(ret,
		    ", \"id\": \"%s\", \"sequence\": %" PRIu64 ", \"path\": ", hex(&name->id.h).s,
		    name->seq);
	json_append_string(ret, item->path);
	if (v != NULL)
		buf_appendf(
			ret,
			", \"signed_by\": \"%s\", \"enrolled_in_ledger_entry\": %" PRIu64
			", \"enrolled_by\": \"%s\", \"signature_ok\": %s, \"enrolment_ok\": %s, "
			"\"chain_ok\": %s, \"data_ok\": %s",
			hex(&v->signer.h).s, v->enrolled_seq, hex(&v->enrolled_by.h).s,
			v->signature_ok ? "true" : "false", v->enrolment_ok ? "true" : "false",
			b->verified.writers[v->writer].ok ? "true" : "false",
			v->data_ok ? "true" : "false");
	buf_append_u8(ret, '}');
}

static void
append_lines(struct buf *ret, const struct buf *text)
{
	const uint8_t *p = text->p, *end = text->p + text->len;
	bool first = true;

	while (p != NULL && p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl != NULL ? (size_t)(nl - p) : (size_t)(end - p);

		buf_append_str(ret, first ? "\n    " : ",\n    ");
		json_append_string(ret, slice_of(p, len));
		first = false;
		p += len + 1;
	}
}

void
bag_statement(const struct bag *b, struct buf *ret)
{
	struct utsname host = {0};
	struct hash manifest;

	(void)uname(&host);
	seal_sha256(b->payload.text.p, b->payload.text.len, &manifest);
	buf_append_str(ret, "{\n  \"statement\": ");
	json_append_string(
		ret, slice_str(b->verified.failures == 0
				       ? "The files of this bag are those of the snapshots named, "
					 "as their writers signed them; everything that was "
					 "verified holds."
				       : "The files of this bag are those of the snapshots named, "
					 "but NOT everything that was verified holds: see "
					 "failures."));
	append_text(ret, "case", b->options->case_ref);
	append_text(ret, "reason", b->options->reason != NULL ? b->options->reason : "");
	append_text(ret, "time", time_format_rfc3339(b->time).s);
	append_text(ret, "tool", "tillfs " TILLFS_VERSION);
	append_text(ret, "host", host.nodename);
	append_text(ret, "repository", hex_bytes(repo_id(b->repo), sizeof(struct repo_id)).s);
	append_text(ret, "made_by", hex(&b->identity->fingerprint.h).s);
	buf_append_str(ret, ",\n  \"snapshots\": [");
	for (size_t i = 0; i < b->n_items; i++) {
		buf_append_str(ret, i > 0 ? "," : "");
		append_item(b, &b->items[i], ret);
	}
	buf_append_str(ret, "\n  ],\n  \"failures\": [");
	buf_append(ret, b->failures.p, b->failures.len);
	buf_appendf(ret,
		    "],\n  \"files\": %" PRIu64 ",\n  \"bytes\": %" PRIu64
		    ",\n  \"sha256_of_manifest-sha256.txt\": \"%s\",\n  \"provenance\": [",
		    b->payload.files, b->payload.bytes, hex(&manifest).s);
	append_lines(ret, &b->provenance.text);
	buf_append_str(ret, "\n  ]\n}\n");
}

/* ---- for people ---------------------------------------------------------------------------- */

void
bag_readme(const struct bag *b, struct buf *ret)
{
	buf_appendf(
		ret,
		"Evidence of case %s\n\n"
		"data/        files as they were backed up, by snapshot\n"
		"provenance/  where they come from: the signed snapshots, the ledger entries that\n"
		"             enrolled their writers, what was verified, the record of accesses\n"
		"statement.json  what is stated about them, signed\n\n"
		"To check, in this folder, without tillfs:\n\n"
		"1. Every file is the one that was listed:\n"
		"     sha256sum -c manifest-sha256.txt\n"
		"     sha256sum -c tagmanifest-sha256.txt\n"
		"2. The list is the one that was signed: this prints the value that "
		"statement.json\n"
		"   has as sha256_of_manifest-sha256.txt:\n"
		"     sha256sum manifest-sha256.txt\n"
		"3. The statement is signed with the key in signer.pem (OpenSSL 3):\n"
		"     openssl pkeyutl -verify -pubin -inkey signer.pem -rawin -in statement.json "
		"\\\n"
		"       -sigfile statement.json.sig\n"
		"4. The key belongs to whom you think: compare signer.pem with one that you got "
		"by\n"
		"   another way. Its fingerprint in tillfs is\n"
		"     %s\n",
		b->options->case_ref, hex(&b->identity->fingerprint.h).s);
	if (b->options->timestamp_url != NULL)
		buf_append_str(ret, "5. The statement existed when the authority says, whose "
				    "certificate you have as CA.pem:\n"
				    "     openssl ts -verify -in statement.json.tsr -data "
				    "statement.json -CAfile CA.pem\n"
				    "     openssl ts -reply -in statement.json.tsr -text\n");
}

/* A value must stay on its line. */
static void
append_label(struct buf *b, const char *label, const char *text)
{
	buf_appendf(b, "%s: ", label);
	for (const char *s = text; *s != '\0'; s++)
		buf_append_u8(b, *s == '\n' || *s == '\r' ? ' ' : (uint8_t)*s);
	buf_append_u8(b, '\n');
}

void
bag_info(const struct bag *b, struct buf *ret)
{
	append_label(ret, "Bagging-Date", date_format((struct date){(int32_t)(b->time / 86400)}).s);
	append_label(ret, "Bag-Software-Agent", "tillfs " TILLFS_VERSION);
	append_label(ret, "External-Identifier", b->options->case_ref);
	if (b->options->reason != NULL)
		append_label(ret, "External-Description", b->options->reason);
	buf_appendf(ret, "Payload-Oxum: %" PRIu64 ".%" PRIu64 "\n", b->payload.bytes,
		    b->payload.files);
}

/* ---- the access log ------------------------------------------------------------------------ */

struct extract {
	const struct bag *bag;
	struct buf *text;
	uint64_t n;
};

/* Whether one path is the other, or a folder above it. */
static bool
is_above(struct slice a, struct slice b)
{
	return a.len == 0 || (a.len <= b.len && memcmp(a.p, b.p, a.len) == 0 &&
			      (a.len == b.len || b.p[a.len] == '/'));
}

static int
take_entry(void *arg, const struct audit_entry *e, struct err *err)
{
	struct extract *x = arg;

	(void)err;
	for (size_t i = 0; i < x->bag->n_items; i++) {
		const struct evidence_item *item = &x->bag->items[i];
		CLEANUP(buf_fini) struct buf label = BUF_INIT;

		evidence_label(x->bag->repo, item, &label);
		if (!slice_equal(e->snapshot, buf_slice(&label)) ||
		    (!is_above(item->path, e->path) && !is_above(e->path, item->path)))
			continue;
		buf_append_str(x->text, x->n++ > 0 ? ",\n    " : "\n    ");
		audit_entry_json(x->text, e);
		return 0;
	}
	return 0;
}

int
bag_log_extract(const struct bag *b, struct buf *ret, struct err *err)
{
	CLEANUP(audit_verdict_fini) struct audit_verdict v = {0};
	struct extract x = {.bag = b, .text = ret};
	int r = audit_verify(b->options->log, NULL, 0, NULL, &v, err);

	if (r < 0)
		return r;
	buf_append_str(ret, "{\n  \"log\": ");
	json_append_string(ret, slice_str(b->options->log));
	buf_appendf(ret,
		    ",\n  \"entries_in_log\": %" PRIu64 ",\n  \"proven_up_to_entry\": %" PRIu64
		    ",\n  \"findings\": [",
		    v.entries, v.proven);
	for (size_t i = 0; i < v.n_findings; i++) {
		buf_append_str(ret, i > 0 ? ", " : "");
		json_append_string(ret, slice_str(v.findings[i]));
	}
	buf_append_str(ret, "],\n  \"entries\": [");
	r = audit_read(b->options->log, NULL, take_entry, &x, err);
	buf_append_str(ret, "\n  ]\n}\n");
	return r;
}
