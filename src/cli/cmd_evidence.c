/*
 * cmd_evidence.c - tillfs evidence, and tillfs doctor --prove-read-only.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "internal.h"
#include "tillfs/evidence.h"
#include "tillfs/mount.h"

/* ---- evidence ------------------------------------------------------------------------------ */

struct targets {
	struct target *v;
	struct evidence_item *items;
	size_t n;
};

static void
targets_fini(struct targets *t)
{
	for (size_t i = 0; i < t->n; i++)
		target_close(&t->v[i]);
	free(t->v);
	free(t->items);
}

static int
open_targets(const struct cli *c, struct session *s, struct targets *ret, struct err *err)
{
	size_t n = c->operands.n;
	int r = 0;

	ret->v = mem_array(n, sizeof *ret->v);
	ret->items = mem_array(n, sizeof *ret->items);
	while (r == 0 && ret->n < n) {
		struct target *t = &ret->v[ret->n];

		r = target_open(s, operand(c, ret->n), t, err);
		if (r < 0)
			break;
		ret->items[ret->n++] = (struct evidence_item){t->opened, t->path};
	}
	return r;
}

static int
make_bag(const struct cli *c, struct session *s, const struct targets *t,
	 const struct evidence_options *o, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct evidence_result result;
	struct err why = ERR_INIT;
	int r = evidence_make(s->repo, s->reader, s->identity, t->items, t->n, o, &result, &why);

	session_recorded(s, result.bytes, r, &why);
	if (r < 0) {
		*err = why;
		return r;
	}
	if (option_given(c, OPT_JSON))
		buf_appendf(&text,
			    "{\"files\": %" PRIu64 ", \"bytes\": %" PRIu64
			    ", \"failures\": %" PRIu64 "}\n",
			    result.files, result.bytes, result.failures);
	else
		buf_appendf(&text,
			    "%s: %" PRIu64 " files of case %s; README.txt says how to check them\n",
			    o->to, result.files, o->case_ref);
	r = print_buf(&text, err);
	if (r == 0 && result.failures > 0) {
		warn("not everything could be verified; statement.json lists what");
		return EXIT_DAMAGED;
	}
	return r;
}

int
cmd_evidence(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(targets_fini) struct targets targets = {0};
	struct evidence_options o = {.to = option_value(c, OPT_TO),
				     .case_ref = option_value(c, OPT_CASE),
				     .reason = option_value(c, OPT_REASON),
				     .timestamp_url = option_value(c, OPT_TIMESTAMP_URL),
				     .cacert = option_value(c, OPT_CACERT)};
	int r;

	if (o.to == NULL || o.case_ref == NULL)
		return err_set(err, CLI_USAGE, "evidence needs --to DIR and --case REF");
	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = open_targets(c, &s, &targets, err);
	if (r < 0)
		return r;
	if (s.audit != NULL)
		o.log = audit_path(s.audit);
	interrupts_catch();
	o.progress = progress_show(c);
	return make_bag(c, &s, &targets, &o, err);
}

/* ---- doctor -------------------------------------------------------------------------------- */

static void
append_words(struct buf *b, const char *dir, const struct prove_result *p)
{
	for (size_t i = 0; i < p->n_attempts; i++) {
		const struct prove_attempt *a = &p->attempts[i];

		buf_appendf(b, "%-36s %s\n", a->call,
			    a->refused ? strerrordesc_np(a->error) : "WENT THROUGH");
	}
	buf_appendf(b, "flags: %s; the file tried on is %s\n", p->flags,
		    p->unchanged ? "unchanged" : "CHANGED");
	buf_appendf(b, "%s is %sread-only\n", dir, p->proven ? "" : "NOT ");
}

static void
append_signed(struct buf *b, const struct buf *statement, const struct identity *id)
{
	uint8_t sig[SEAL_SIGNATURE_LEN];
	CLEANUP(buf_fini) struct buf pem = BUF_INIT;

	seal_sign_plain(id->pair, buf_slice(statement), sig);
	statement_pem(&id->pair->sign_pk, &pem);
	buf_append_str(b, "{\"statement\": ");
	json_append_string(b, buf_slice(statement));
	buf_append_str(b, ", \"signature\": \"");
	seal_base64_append(b, slice_of(sig, sizeof sig));
	buf_appendf(b, "\", \"signed_by\": \"%s\", \"public_key\": ", hex(&id->fingerprint.h).s);
	json_append_string(b, buf_slice(&pem));
	buf_append_str(b, "}\n");
}

static int
tell_proof(const struct cli *c, const char *dir, const struct prove_result *p,
	   const struct identity *id, struct err *err)
{
	CLEANUP(buf_fini) struct buf statement = BUF_INIT;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *to = option_value(c, OPT_TO);
	int r = 0;

	prove_statement(dir, p, &statement);
	if (option_given(c, OPT_JSON))
		append_signed(&text, &statement, id);
	else
		append_words(&text, dir, p);
	if (to != NULL) {
		r = dir_make(to, err);
		if (r == 0)
			r = statement_write(to, "read-only.json", buf_slice(&statement), id->pair,
					    err);
	}
	if (r == 0)
		r = print_buf(&text, err);
	return r == 0 && !p->proven ? EXIT_DAMAGED : r;
}

int
cmd_doctor(struct cli *c, struct err *err)
{
	CLEANUP(prove_result_fini) struct prove_result proof = {0};
	CLEANUP(identity_freep) struct identity *identity = NULL;
	CLEANUP(freep) char *dir = NULL;
	int r;

	if (!option_given(c, OPT_PROVE_READ_ONLY))
		return err_set(err, CLI_USAGE, "say what to do: --prove-read-only DIR");
	dir = str_copy(option_value(c, OPT_PROVE_READ_ONLY));
	r = make_absolute(&dir, err);
	if (r < 0)
		return r;
	if (!mount_is_tillfs(dir))
		return err_set(err, ERR_INVALID,
			       "%s is no mount of tillfs; what is tried would change something",
			       dir);
	r = session_identity(c, &identity, err);
	if (r == 0)
		r = prove_read_only(dir, &proof, err);
	return r < 0 ? r : tell_proof(c, dir, &proof, identity, err);
}
