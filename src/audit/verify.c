/*
 * verify.c - what a log proves: that entries follow one another in a chain, and that signed heads
 * vouch for it.
 *
 * Entries are read in order.  From the first that doesn't fit on, nothing is proven; what comes
 * behind it is counted only.
 */
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

struct session_seen {
	uint64_t seq, pid;
	int64_t start_ns, last_ns;
	bool ended;
};

struct verifier {
	struct audit_verdict *v;
	struct audit_head *heads; /* its own and others, by sequence */
	size_t n_heads, cap_heads, next_head;
	const struct fingerprint *signer;
	struct hash hash;  /* computed, of the entry before */
	uint64_t last_seq; /* of the entry before */
	bool broken;       /* the chain, or a head doesn't fit */
	uint64_t stop_seq; /* of the last "stop" */
	struct session_seen *sessions;
	size_t n_sessions, cap_sessions;
	struct buf scratch;
};

static PRINTF_LIKE(2, 3) void find(struct audit_verdict *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	array_reserve(v->findings, v->n_findings, v->cap_findings);
	v->findings[v->n_findings++] = str_copy(text);
}

static PRINTF_LIKE(2, 3) void note(struct audit_verdict *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	array_reserve(v->notes, v->n_notes, v->cap_notes);
	v->notes[v->n_notes++] = str_copy(text);
}

void
audit_verdict_fini(struct audit_verdict *v)
{
	for (size_t i = 0; i < v->n_findings; i++)
		free(v->findings[i]);
	for (size_t i = 0; i < v->n_notes; i++)
		free(v->notes[i]);
	free(v->findings);
	free(v->notes);
	free(v->signers);
	*v = (struct audit_verdict){0};
}

/* ---- heads ------------------------------------------------------------------------------- */

static int
cmp_heads(const void *a, const void *b)
{
	const struct audit_head *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void
add_head(struct verifier *x, const struct audit_head *h)
{
	array_reserve(x->heads, x->n_heads, x->cap_heads);
	x->heads[x->n_heads++] = *h;
}

/* The log's own heads.  One that doesn't parse vouches for nothing, and is told. */
static int
load_heads(struct verifier *x, struct db *db, const uint8_t *log, struct err *err)
{
	struct db_stmt *s;
	int r = db_prepare_foreign(db, "SELECT object FROM head ORDER BY seq", &s, err);

	if (r < 0)
		return r;
	while ((r = db_step(s, err)) == 1) {
		struct audit_head h;
		struct err why = ERR_INIT;

		if (audit_head_parse(db_bytes(s, 0), &h, &why) < 0)
			find(x->v, "a signed head was changed: %s", why.msg);
		else if (memcmp(h.log, log, sizeof h.log) != 0)
			find(x->v, "a signed head belongs to another log");
		else if (x->signer != NULL && !hash_equal(&h.signer.h, &x->signer->h))
			find(x->v, "the head of entry %" PRIu64 " is signed by %s, not by %s",
			     h.seq, hex_short(&h.signer.h).s, hex_short(&x->signer->h).s);
		else
			add_head(x, &h);
	}
	return r;
}

static void
count_signer(struct audit_verdict *v, const struct fingerprint *f)
{
	for (size_t i = 0; i < v->n_signers; i++)
		if (hash_equal(&v->signers[i].h, &f->h))
			return;
	array_reserve(v->signers, v->n_signers, v->cap_signers);
	v->signers[v->n_signers++] = *f;
}

/* The heads of the entry just passed. */
static void
check_heads(struct verifier *x, uint64_t seq)
{
	struct audit_verdict *v = x->v;

	for (; x->next_head < x->n_heads && x->heads[x->next_head].seq <= seq; x->next_head++) {
		const struct audit_head *h = &x->heads[x->next_head];

		if (x->broken || h->seq < seq)
			continue;
		if (!hash_equal(&h->hash, &x->hash)) {
			find(v,
			     "entries up to %" PRIu64 " were rewritten: they are not those that %s "
			     "signed on %s; from entry %" PRIu64 " on nothing is proven",
			     seq, hex_short(&h->signer.h).s, time_format_rfc3339(h->time).s,
			     v->proven + 1);
			x->broken = true;
			continue;
		}
		v->proven = seq;
		v->proven_time = h->time;
		v->heads++;
		count_signer(v, &h->signer);
	}
}

/* ---- entries ----------------------------------------------------------------------------- */

static bool
kind_is(const struct audit_entry *e, const char *kind)
{
	return slice_equal(e->kind, slice_str(kind));
}

static struct session_seen *
session_of(struct verifier *x, uint64_t seq)
{
	for (size_t i = x->n_sessions; i > 0; i--)
		if (x->sessions[i - 1].seq == seq)
			return &x->sessions[i - 1];
	return NULL;
}

static void
follow_sessions(struct verifier *x, const struct audit_entry *e)
{
	struct session_seen *s;

	if (kind_is(e, "start")) {
		array_reserve(x->sessions, x->n_sessions, x->cap_sessions);
		x->sessions[x->n_sessions++] = (struct session_seen){.seq = e->seq,
								     .pid = e->pid,
								     .start_ns = e->time_ns,
								     .last_ns = e->time_ns};
	}
	s = session_of(x, e->session);
	if (s == NULL)
		return;
	s->last_ns = e->time_ns;
	if (kind_is(e, "stop")) {
		s->ended = true;
		x->stop_seq = e->seq;
	}
}

static void
check_entry(struct verifier *x, const struct audit_entry *e)
{
	struct audit_verdict *v = x->v;
	struct hash hash;

	v->entries++;
	follow_sessions(x, e);
	if (x->broken)
		return;
	if (e->seq != x->last_seq + 1) {
		find(v,
		     "entries %" PRIu64 " to %" PRIu64
		     " are missing; from there on nothing is proven",
		     x->last_seq + 1, e->seq - 1);
		x->broken = true;
		return;
	}
	audit_entry_hash(&x->hash, e, &x->scratch, &hash);
	if (!hash_equal(&hash, &e->hash)) {
		find(v,
		     "entry %" PRIu64
		     " of %s was changed, or put in another's place; from there on "
		     "nothing is proven",
		     e->seq, time_format_rfc3339(e->time_ns / NS_PER_SEC).s);
		x->broken = true;
		return;
	}
	x->hash = hash;
	x->last_seq = e->seq;
	if (kind_is(e, "broken"))
		find(v, "when the session of entry %" PRIu64 " began, %.*s", e->session,
		     (int)e->detail.len, (const char *)e->detail.p);
	v->chained = e->seq;
	check_heads(x, e->seq);
}

static int
check_entries(struct verifier *x, struct db *db, struct err *err)
{
	struct db_stmt *s;
	int r = db_prepare_foreign(db, "SELECT " ENTRY_COLUMNS " FROM entry ORDER BY seq", &s, err);

	if (r < 0)
		return r;
	while ((r = db_step(s, err)) == 1) {
		struct audit_entry e;

		audit_entry_from_row(s, &e);
		check_entry(x, &e);
	}
	return r;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void
check_end(struct verifier *x)
{
	const struct audit_verdict *v = x->v;
	const struct audit_head *h;

	if (!x->broken && x->next_head < x->n_heads) {
		h = &x->heads[x->n_heads - 1];
		find(x->v,
		     "the log was cut off: %s signed entry %" PRIu64
		     " on %s, the log ends with entry "
		     "%" PRIu64,
		     hex_short(&h->signer.h).s, h->seq, time_format_rfc3339(h->time).s,
		     x->last_seq);
	}
	if (v->entries > 0 && v->heads == 0)
		find(x->v, "no signed head fits: nothing is proven");
	else if (!x->broken && x->stop_seq > v->proven)
		find(x->v,
		     "a session ended with entry %" PRIu64 ", which is always signed, but no "
		     "signature covers what follows entry %" PRIu64,
		     x->stop_seq, v->proven);
}

static void
tell_sessions(struct verifier *x)
{
	for (size_t i = 0; i < x->n_sessions; i++) {
		const struct session_seen *s = &x->sessions[i];

		if (!s->ended)
			note(x->v,
			     "session %" PRIu64 " (process %" PRIu64
			     ", since %s) has no end: it still "
			     "runs, or was killed after %s and what it did in its last second may "
			     "be "
			     "missing",
			     s->seq, s->pid, time_format_rfc3339(s->start_ns / NS_PER_SEC).s,
			     time_format_rfc3339(s->last_ns / NS_PER_SEC).s);
	}
}

static int
read_log_id(struct db *db, uint8_t *ret, struct err *err)
{
	struct db_stmt *s;
	int r = db_prepare_foreign(db, "SELECT id FROM log", &s, err);

	if (r < 0)
		return r;
	r = db_step(s, err);
	if (r < 0)
		return r;
	if (r == 0 || db_bytes(s, 0).len != AUDIT_LOG_ID_LEN)
		r = err_set(err, ERR_CORRUPT, "it has no id");
	else
		memcpy(ret, db_bytes(s, 0).p, AUDIT_LOG_ID_LEN);
	db_reset(s);
	return r < 0 ? r : 0;
}

static int
verify(struct verifier *x, struct db *db, const struct audit_head *heads, size_t n, struct err *err)
{
	uint8_t log[AUDIT_LOG_ID_LEN];
	int r = read_log_id(db, log, err);

	if (r == 0)
		r = load_heads(x, db, log, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (memcmp(heads[i].log, log, sizeof log) == 0)
			add_head(x, &heads[i]);
	if (x->n_heads > 0)
		qsort(x->heads, x->n_heads, sizeof *x->heads, cmp_heads);
	audit_entry_genesis(log, &x->hash);
	r = check_entries(x, db, err);
	if (r == 0) {
		check_end(x);
		tell_sessions(x);
	}
	return r;
}

int
audit_verify(const char *path, const struct audit_head *heads, size_t n_heads,
	     const struct fingerprint *signer, struct audit_verdict *ret, struct err *err)
{
	CLEANUP(db_closep) struct db *db = NULL;
	struct verifier x = {.v = ret, .signer = signer};
	int r;

	*ret = (struct audit_verdict){0};
	r = db_open_existing(path, AUDIT_VERSION, &db, err);
	if (r == 0)
		r = verify(&x, db, heads, n_heads, err);
	free(x.heads);
	free(x.sessions);
	buf_fini(&x.scratch);
	return r < 0 ? err_add(err, r, "access log %s", path) : 0;
}

int
audit_latest(const char *path, struct audit_head *ret, struct err *err)
{
	CLEANUP(db_closep) struct db *db = NULL;
	struct db_stmt *s = NULL;
	int r;

	*ret = (struct audit_head){0};
	r = db_open_existing(path, AUDIT_VERSION, &db, err);
	if (r == 0)
		r = read_log_id(db, ret->log, err);
	if (r == 0)
		r = db_prepare_foreign(db, "SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1",
				       &s, err);
	if (r == 0)
		r = db_step(s, err);
	if (r == 0)
		r = err_set(err, ERR_NOENT, "it has no entry");
	if (r == 1 && db_bytes(s, 1).len == sizeof ret->hash.b) {
		ret->seq = (uint64_t)db_int(s, 0);
		memcpy(ret->hash.b, db_bytes(s, 1).p, sizeof ret->hash.b);
	}
	return r < 0 ? err_add(err, r, "access log %s", path) : 0;
}
