/*
 * ledger_fork.c - several ledger entries of one sequence: which of them count.
 *
 * Entries from the fork on form a tree by their predecessors.  What counts is the path to the
 * deepest entry T such that every branch off that path, other than what follows T, is settled: a
 * merge on the path names the branch's head or another of its entries.  Where two such paths
 * contradict each other only what they share counts.  Without any merge that is what stands before
 * the fork.
 *
 * A merge counts only if its author was an admin before the fork and no branch removes him: whoever
 * was removed could otherwise fork off before his removal and merge the removal away.
 *
 * Layer 3.  Format: docs/format.md section 7, I-11.
 */
#include "internal.h"

#include <inttypes.h>

#define FORK_ENTRIES_MAX    65536u
#define FORK_BYTES_MAX      (256u * MIB)
#define FORK_CANDIDATES_MAX 256u
#define MERGE_HEADS_MAX     64u

/* Parents that are no index. */
#define BASE   (SIZE_MAX - 1) /* the last entry before the fork */
#define ORPHAN SIZE_MAX

struct node {
	struct ledger_entry *e;
	size_t parent;
	size_t n_children;
	size_t side; /* off the path: the first entry of its branch */
	bool on_path, below, settled;
};

struct fork {
	const struct ledger_view *base;
	struct node *v; /* ascending by sequence, then id: parents come first */
	size_t n, cap;
	size_t n_roots; /* children of BASE */
	size_t bytes;
};

static void
fork_fini(struct fork *f)
{
	for (size_t i = 0; i < f->n; i++)
		ledger_entry_free(f->v[i].e);
	free(f->v);
}

static bool
signed_with(const struct ledger_entry *e, const struct fingerprint *who,
	    const struct seal_sign_pk *pk)
{
	return hash_equal(&e->author.h, &who->h) &&
	       seal_verify(pk, "ledger", e->signed_bytes, e->signature, NULL) == 0;
}

/* Whether somebody signed it who is or was an admin on some branch. */
static bool
is_by_an_admin(const struct fork *f, const struct ledger_entry *e)
{
	const struct ledger_state *s = &f->base->state;

	for (size_t i = 0; i < s->n_admins; i++)
		if (signed_with(e, &s->admins[i].fingerprint, &s->admins[i].sign_pk))
			return true;
	for (size_t i = 0; i < f->n; i++)
		for (size_t j = 0; j < f->v[i].e->n_decisions; j++) {
			const struct decision *d = &f->v[i].e->decisions[j];
			struct fingerprint who;

			if (d->type != DECISION_ADD_ADMIN)
				continue;
			seal_fingerprint(&d->box_pk, &d->sign_pk, &who);
			if (signed_with(e, &who, &d->sign_pk))
				return true;
		}
	return false;
}

/* Reads one entry into the tree; what is damaged or unsigned is told and left out. */
static int
fork_read_one(struct repo *r, const struct ledger_key *key, struct fork *f, struct err *err)
{
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	struct err why = ERR_INIT;
	int k = ledger_fetch(r, key, &e, &why);

	if (k == ERR_CORRUPT || k == ERR_NOENT) {
		finding_add(r, ERR_CORRUPT, "A ledger entry is ignored: %s.", why.msg);
		return 0;
	}
	if (k < 0)
		return err_set(err, k, "%s", why.msg);
	if (!is_by_an_admin(f, e)) {
		finding_add(r, ERR_AUTH,
			    "The ledger entry %s is not signed by an admin; it is ignored.",
			    ledger_key_format(key->seq, &key->id).s);
		return 0;
	}
	f->bytes += e->bytes.len;
	array_reserve(f->v, f->n, f->cap);
	f->v[f->n++] = (struct node){.e = steal_ptr(&e)};
	return 0;
}

/* The index of entry (@seq, @id) among the first @n, or ORPHAN. */
static size_t
fork_find(const struct fork *f, size_t n, uint64_t seq, const struct hash *id)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct ledger_entry *e = f->v[mid].e;
		int c = e->seq != seq ? (e->seq < seq ? -1 : 1)
				      : memcmp(e->id.b, id->b, sizeof id->b);

		if (c == 0)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return ORPHAN;
}

static void
fork_link(struct repo *r, struct fork *f, struct ledger_view *view)
{
	const struct chain_head *base = &view->state.head;

	for (size_t i = 0; i < f->n; i++) {
		const struct ledger_entry *e = f->v[i].e;
		bool first = e->seq == base->seq + 1;

		f->v[i].parent = first ? (hash_equal(&e->prev, &base->id) ? BASE : ORPHAN)
				       : fork_find(f, i, e->seq - 1, &e->prev);
		if (f->v[i].parent == BASE)
			f->n_roots++;
		else if (f->v[i].parent != ORPHAN)
			f->v[f->v[i].parent].n_children++;
		else
			ledger_view_break(
				r, view,
				"The predecessor of the ledger entry %s is not in the store",
				ledger_key_format(e->seq, &e->id).s);
	}
}

/* Whether @a is @i or stands above it. */
static bool
is_above(const struct fork *f, size_t a, size_t i)
{
	while (i != a && i != BASE && i != ORPHAN)
		i = f->v[i].parent;
	return i == a;
}

/* Whether nobody removes the author of a merge, on the path or off it. */
static bool
merge_counts(const struct fork *f, const struct ledger_entry *merge)
{
	if (!ledger_is_admin(&f->base->state, &merge->author))
		return false;
	for (size_t i = 0; i < f->n; i++)
		for (size_t j = 0; j < f->v[i].e->n_decisions; j++) {
			const struct decision *d = &f->v[i].e->decisions[j];

			if (d->type == DECISION_REMOVE_ADMIN && !f->v[i].on_path &&
			    hash_equal(&d->person.h, &merge->author.h))
				return false;
		}
	return true;
}

/* Marks the path to @t, what stands below it, and the branches. */
static void
mark(struct fork *f, size_t t)
{
	for (size_t i = 0; i < f->n; i++) {
		f->v[i].on_path = f->v[i].below = f->v[i].settled = false;
		f->v[i].side = ORPHAN;
	}
	for (size_t i = t; i != BASE; i = f->v[i].parent)
		f->v[i].on_path = true;
	for (size_t i = 0; i < f->n; i++) {
		struct node *x = &f->v[i];
		const struct node *up = x->parent < BASE ? &f->v[x->parent] : NULL;

		x->below = x->parent == t || (up != NULL && up->below);
		if (x->on_path || x->below || x->parent == ORPHAN)
			continue;
		x->side = up == NULL || up->on_path ? i : up->side;
	}
}

static void
settle(struct fork *f, const struct decision *merge)
{
	size_t n = merge->hashes.len / sizeof(struct hash);

	for (size_t h = 0; h < n && h < MERGE_HEADS_MAX; h++)
		for (size_t i = 0; i < f->n; i++)
			if (f->v[i].side != ORPHAN &&
			    memcmp(f->v[i].e->id.b, merge->hashes.p + h * sizeof(struct hash),
				   sizeof(struct hash)) == 0)
				f->v[f->v[i].side].settled = true;
}

/* Whether the path to @t (BASE: the empty one) may count. */
static bool
counts(struct fork *f, size_t t)
{
	if (t == BASE)
		return true;
	/* What hangs on a lost predecessor counts for nothing. */
	for (size_t i = t; i != BASE; i = f->v[i].parent)
		if (i == ORPHAN)
			return false;
	mark(f, t);
	for (size_t i = t; i != BASE; i = f->v[i].parent) {
		const struct ledger_entry *e = f->v[i].e;

		for (size_t j = 0; j < e->n_decisions; j++)
			if (e->decisions[j].type == DECISION_MERGE && merge_counts(f, e))
				settle(f, &e->decisions[j]);
	}
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].side != ORPHAN && !f->v[f->v[i].side].settled)
			return false;
	return true;
}

/* Whether one stands above the other, or they are the same. */
static bool
agree(const struct fork *f, size_t a, size_t b)
{
	return is_above(f, a, b) || is_above(f, b, a);
}

/* The entry up to which the ledger counts, or BASE. */
static size_t
choose(struct fork *f)
{
	size_t ends[FORK_CANDIDATES_MAX]; /* where a path that may count can end; deepest last */
	size_t n = 0, tried = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].n_children == 1)
			continue;
		if (tried++ == FORK_CANDIDATES_MAX)
			return BASE; /* hundreds of branches: nobody merged that */
		if (counts(f, i))
			ends[n++] = i;
	}
	for (size_t i = n; i-- > 0;) {
		bool agreed = true;

		for (size_t j = 0; j < n && agreed; j++)
			agreed = agree(f, ends[i], ends[j]);
		if (agreed)
			return ends[i];
	}
	return BASE;
}

static int
apply_path(const struct fork *f, size_t t, struct ledger_view *view, struct err *err)
{
	CLEANUP(freep) size_t *path = mem_array(f->n, sizeof *path);
	size_t n = 0;

	for (size_t i = t; i != BASE; i = f->v[i].parent)
		path[n++] = i;
	while (n > 0) {
		int k = ledger_view_apply(view, f->v[path[--n]].e, err);

		if (k < 0)
			return k;
	}
	return 0;
}

static int
fork_read(struct repo *r, const struct ledger_keys *keys, size_t from, struct fork *f,
	  struct err *err)
{
	if (keys->n - from > FORK_ENTRIES_MAX)
		return err_set(err, ERR_CORRUPT,
			       "the ledger is forked at entry %" PRIu64
			       " and has more than %u entries from there on",
			       keys->v[from].seq, FORK_ENTRIES_MAX);
	for (size_t i = from; i < keys->n; i++) {
		int k = fork_read_one(r, &keys->v[i], f, err);

		if (k < 0)
			return k;
		if (f->bytes > FORK_BYTES_MAX)
			return err_set(err, ERR_CORRUPT,
				       "the ledger is forked at entry %" PRIu64
				       " and too large from there on",
				       keys->v[from].seq);
	}
	return 0;
}

int
ledger_fork_follow(struct repo *r, const struct ledger_keys *keys, size_t from,
		   struct ledger_view *view, struct err *err)
{
	CLEANUP(fork_fini) struct fork f = {.base = view};
	size_t t;
	int k;

	k = fork_read(r, keys, from, &f, err);
	if (k < 0)
		return k;
	fork_link(r, &f, view);
	t = choose(&f);
	/* While choosing, f.base was the state before the fork; now it moves on. */
	k = apply_path(&f, t, view, err);
	if (k < 0)
		return k;
	if (t == BASE ? f.n_roots > 0 : f.v[t].n_children > 0) {
		view->forked_at = view->state.head.seq + 1;
		finding_add(r, ERR_CORRUPT,
			    "The ledger is forked: there are several entries number %" PRIu64
			    ", by admins who decided at the same time or a storage that shows "
			    "different things to different people; nothing decided from there on "
			    "counts until an admin merges them.",
			    view->forked_at);
	}
	return 0;
}
