/*
 * cmd_audit.c - tillfs audit verify and audit publish: what an access log proves.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "internal.h"
#include "tillfs/audit.h"

int
audit_log_operand(const struct cli *c, char **ret, struct err *err)
{
	const char *path = operand(c, 0);
	struct stat st;

	*ret = NULL;
	if (path == NULL)
		path = option_value(c, OPT_AUDIT);
	if (path == NULL)
		path = c->config.audit;
	if (path == NULL)
		return err_set(err, CLI_USAGE,
			       "no access log is named; give its file, or set `audit` in the "
			       "configuration");
	if (stat(path, &st) < 0)
		return err_sys(err, "access log %s", path);
	*ret = S_ISDIR(st.st_mode) ? str_format("%s/%s", path, AUDIT_FILE) : str_copy(path);
	return 0;
}

/* ---- heads from elsewhere ----------------------------------------------------------------- */

struct heads {
	struct store *store;
	const struct repo *repo;
	const struct identity *identity;
	const struct fingerprint *signer; /* who else is believed, or NULL */
	uint8_t log[AUDIT_LOG_ID_LEN];
	struct audit_head *v;
	size_t n, cap;
};

static void
heads_fini(struct heads *h)
{
	free(h->v);
}

static void
add_head(struct heads *h, const struct audit_head *head)
{
	array_reserve(h->v, h->n, h->cap);
	h->v[h->n++] = *head;
}

/* Anybody with a credential could publish something: whom the repository doesn't know is not
 * believed. */
static bool
is_known(const struct heads *h, const struct fingerprint *f)
{
	const struct ledger_state *state = repo_ledger(h->repo);

	if (hash_equal(&f->h, &h->identity->fingerprint.h) ||
	    (h->signer != NULL && hash_equal(&f->h, &h->signer->h)))
		return true;
	for (size_t i = 0; i < state->n_admins; i++)
		if (hash_equal(&f->h, &state->admins[i].fingerprint.h))
			return true;
	for (size_t i = 0; i < state->n_grants; i++)
		if (hash_equal(&f->h, &state->grants[i].fingerprint.h))
			return true;
	return false;
}

static int
take_published(void *arg, const struct store_entry *entry, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(freep) char *key = NULL;
	struct heads *h = arg;
	struct audit_head head;
	struct err why = ERR_INIT;
	int r;

	if (strstr(entry->key, hex_bytes(h->log, sizeof h->log).s) == NULL)
		return 0; /* of another log */
	r = store_get_all(h->store, entry->key, AUDIT_HEAD_MAX, &bytes, err);
	if (r < 0)
		return r;
	r = audit_head_parse(buf_slice(&bytes), &head, &why);
	if (r == 0)
		key = audit_head_key(&head, buf_slice(&bytes));
	if (r != 0 || strcmp(key, entry->key) != 0 || !head.has_repo ||
	    memcmp(&head.repo, repo_id(h->repo), sizeof head.repo) != 0)
		warn("note: %s is no published head; it is left out", entry->key);
	else if (!is_known(h, &head.signer))
		warn("note: the head that %s published is left out: the repository doesn't know "
		     "this signer",
		     hex_short(&head.signer.h).s);
	else
		add_head(h, &head);
	return 0;
}

static int
add_published(const struct cli *c, struct heads *h, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	int r = session_open(c, &s, err);

	if (r < 0)
		return r;
	h->store = s.store;
	h->repo = s.repo;
	h->identity = s.identity;
	r = store_list(s.store, "audit/", false, take_published, h, err);
	return r < 0 ? err_add(err, r, "reading published heads") : 0;
}

/* The head that this machine remembers. */
static void
add_pinned(const struct cli *c, struct heads *h)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(freep) char *state = NULL;
	struct audit_head head;

	if (session_state(c, &state, NULL) == 0 &&
	    audit_pin_read(state, h->log, &bytes, NULL) == 0 &&
	    audit_head_parse(buf_slice(&bytes), &head, NULL) == 0 &&
	    (h->signer == NULL || hash_equal(&h->signer->h, &head.signer.h)))
		add_head(h, &head);
}

/* ---- verify ------------------------------------------------------------------------------- */

static void
append_words(struct buf *b, const char *path, const struct audit_verdict *v)
{
	for (size_t i = 0; i < v->n_findings; i++)
		buf_appendf(b, "TAMPERED: %s\n", v->findings[i]);
	for (size_t i = 0; i < v->n_notes; i++)
		buf_appendf(b, "note: %s\n", v->notes[i]);
	buf_appendf(b, "%s: %" PRIu64 " entries, ", path, v->entries);
	if (v->proven == 0)
		buf_append_str(b, "nothing of it is proven.\n");
	else
		buf_appendf(b,
			    "entries 1 to %" PRIu64 " are as they were signed, the last time on "
			    "%s.\n",
			    v->proven, time_format_rfc3339(v->proven_time).s);
	if (v->chained > v->proven)
		buf_appendf(b,
			    "Entries %" PRIu64 " to %" PRIu64
			    " stand in the chain, but no signature covers them%s.\n",
			    v->proven + 1, v->chained, v->n_findings == 0 ? " yet" : "");
	for (size_t i = 0; i < v->n_signers; i++)
		buf_appendf(b, "Signed by %s\n", hex(&v->signers[i].h).s);
}

static void
append_list(struct buf *b, const char *key, char *const *texts, size_t n)
{
	buf_appendf(b, ", \"%s\": [", key);
	for (size_t i = 0; i < n; i++) {
		buf_append_str(b, i > 0 ? ", " : "");
		json_append_string(b, slice_str(texts[i]));
	}
	buf_append_u8(b, ']');
}

static void
append_json(struct buf *b, const struct audit_verdict *v)
{
	buf_appendf(b,
		    "{\"ok\": %s, \"entries\": %" PRIu64 ", \"heads\": %" PRIu64
		    ", \"chained\": %" PRIu64 ", \"proven\": %" PRIu64,
		    v->n_findings == 0 ? "true" : "false", v->entries, v->heads, v->chained,
		    v->proven);
	if (v->proven > 0)
		buf_appendf(b, ", \"signed_at\": \"%s\"", time_format_rfc3339(v->proven_time).s);
	buf_append_str(b, ", \"signers\": [");
	for (size_t i = 0; i < v->n_signers; i++)
		buf_appendf(b, "%s\"%s\"", i > 0 ? ", " : "", hex(&v->signers[i].h).s);
	buf_append_u8(b, ']');
	append_list(b, "findings", v->findings, v->n_findings);
	append_list(b, "notes", v->notes, v->n_notes);
	buf_append_str(b, "}\n");
}

static int
tell_verdict(const struct cli *c, const char *path, const struct audit_verdict *v, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	if (option_given(c, OPT_JSON))
		append_json(&text, v);
	else
		append_words(&text, path, v);
	r = print_buf(&text, err);
	return r == 0 && v->n_findings > 0 ? EXIT_DAMAGED : r;
}

/* A log that can't be read to its end is damaged, as one with findings. */
static int
damaged(int code, const struct err *err)
{
	if (code != ERR_CORRUPT)
		return code;
	warn("%s", err->msg);
	return EXIT_DAMAGED;
}

static int
read_signer(const struct cli *c, struct fingerprint *ret, struct err *err)
{
	struct public_keys keys;
	int r = 0;

	if (option_given(c, OPT_KEY)) {
		r = public_keys_read(option_value(c, OPT_KEY), &keys, err);
		*ret = keys.fingerprint;
	}
	return r;
}

int
cmd_audit_verify(struct cli *c, struct err *err)
{
	CLEANUP(audit_verdict_fini) struct audit_verdict v = {0};
	CLEANUP(heads_fini) struct heads heads = {0};
	CLEANUP(freep) char *path = NULL;
	struct fingerprint signer = {0};
	struct audit_head latest;
	int r;

	r = audit_log_operand(c, &path, err);
	if (r == 0)
		r = read_signer(c, &signer, err);
	if (r < 0)
		return r;
	if (option_given(c, OPT_KEY))
		heads.signer = &signer;
	r = audit_latest(path, &latest, err);
	if (r < 0 && r != ERR_NOENT)
		return damaged(r, err);
	memcpy(heads.log, latest.log, sizeof heads.log);
	add_pinned(c, &heads);
	r = option_given(c, OPT_PUBLISHED) ? add_published(c, &heads, err) : 0;
	if (r < 0)
		return r;
	r = audit_verify(path, heads.v, heads.n, heads.signer, &v, err);
	return r < 0 ? damaged(r, err) : tell_verdict(c, path, &v, err);
}

/* ---- publish ------------------------------------------------------------------------------ */

/* What is published is what a verified log ends with. */
static int
check_before_publishing(const char *path, struct err *err)
{
	CLEANUP(audit_verdict_fini) struct audit_verdict v = {0};
	int r = audit_verify(path, NULL, 0, NULL, &v, err);

	if (r == 0 && v.n_findings > 0)
		r = err_set(err, ERR_CORRUPT, "%s: %s; it is not published", path, v.findings[0]);
	return r;
}

static int
publish(struct session *s, const char *path, struct err *err)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT, text = BUF_INIT;
	CLEANUP(freep) char *key = NULL;
	struct audit_head head;
	int r = audit_latest(path, &head, err);

	if (r < 0)
		return r;
	head.has_repo = true;
	head.repo = *repo_id(s->repo);
	head.time = time_now();
	head.signer = s->identity->fingerprint;
	audit_head_encode(&head, s->identity->pair, &object);
	key = audit_head_key(&head, buf_slice(&object));
	r = store_create(s->store, key, buf_slice(&object), err);
	if (r == ERR_DENIED)
		return err_add(err, r,
			       "this credential can't publish; one that may create below audit/ "
			       "can");
	if (r < 0)
		return err_add(err, r, "publishing %s", key);
	buf_appendf(&text, "Published: entry %" PRIu64 " of %s, as %s\n", head.seq, path, key);
	return print_buf(&text, err);
}

int
cmd_audit_publish(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(freep) char *path = NULL;
	int r = audit_log_operand(c, &path, err);

	if (r == 0)
		r = check_before_publishing(path, err);
	if (r < 0)
		return r == ERR_CORRUPT ? damaged(r, err) : r;
	r = session_open(c, &s, err);
	return r < 0 ? r : publish(&s, path, err);
}
