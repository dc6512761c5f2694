/*
 * list.c - judge the snapshots' names by the ledger, and publish the list of those that count.
 *
 * From names alone, nothing is read.  What is left out or looks wrong becomes a finding, one a
 * writer and kind: strangers, what came after a revocation, gaps, several of one number, less than
 * was seen before.
 *
 * Layer 3.
 */
#include "internal.h"

#include <inttypes.h>

struct list {
	struct repo_list pub; /* first: a repo_list is cast to its list */
	atomic_uint refs;
	struct repo_snapshot *v;
};

/* The list being made. */
struct draft {
	bool all; /* nothing is kept from this reader */
	struct repo_snapshot *v;
	size_t n, cap;
	struct snapshot_name *chains; /* all that count, shown or not */
	size_t n_chains, cap_chains;
	struct chain_head *heads;
	size_t n_heads, cap_heads;
};

bool
snapshot_is_forgotten(const struct ledger_writer *w, const struct snapshot_id *id)
{
	size_t lo = 0, hi = w->n_forgotten;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = memcmp(w->forgotten[mid].b, id->h.b, sizeof id->h.b);

		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static void
add_head(struct draft *d, const struct chain_head *head)
{
	array_reserve(d->heads, d->n_heads, d->cap_heads);
	d->heads[d->n_heads++] = *head;
}

/*
 * Gaps in a writer's numbers.  The ledger knows forgotten snapshots by id, not by number: as many
 * gaps are explained as forgotten snapshots are gone from the store.
 */
static void
check_gaps(struct repo *r, const struct ledger_writer *w, const struct snapshot_name *names,
	   size_t n)
{
	uint64_t expected = 1, missing = 0, first = 0;
	size_t gone = w->n_forgotten;

	for (size_t i = 0; i < n; i++) {
		if (snapshot_is_forgotten(w, &names[i].id) && gone > 0)
			gone--;
		if (names[i].seq < expected)
			continue; /* another of the same number */
		if (names[i].seq > expected && missing == 0)
			first = expected;
		missing += names[i].seq - expected;
		expected = names[i].seq + 1;
	}
	if (missing > gone)
		finding_add(r, ERR_CORRUPT,
			    "Snapshots of %s are missing, the first is number %" PRIu64
			    ": they were lost, or the storage withholds them.",
			    repo_writer_name(r, &w->id), first);
}

static void
check_forks(struct repo *r, const struct ledger_writer *w, const struct snapshot_name *names,
	    size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (names[i].seq == names[i - 1].seq) {
			finding_add(
				r, ERR_CORRUPT,
				"There are several snapshots number %" PRIu64
				" of %s: its file is used on two machines, or its catalog was set "
				"back.",
				names[i].seq, repo_writer_name(r, &w->id));
			return;
		}
}

/* The highest of a writer that was seen, now or ever. */
static void
find_head(struct repo *r, const struct ledger_writer *w, const struct snapshot_name *names,
	  size_t n, struct draft *d)
{
	const struct chain_head *pin = pins_find(&r->pins, &w->id);
	struct chain_head head = {.writer = w->id};

	if (n > 0) {
		head.seq = names[n - 1].seq;
		head.id = names[n - 1].id.h;
	}
	if (pin != NULL && pin->seq >= head.seq && !(w->revoked && pin->seq > w->last_seq))
		head = *pin;
	if (head.seq > 0)
		add_head(d, &head);
}

/* Moves the names that count to the front.  @names: of one writer.  Return: how many. */
static size_t
keep_accepted(struct repo *r, const struct ledger_writer *w, struct snapshot_name *names, size_t n,
	      bool telling)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (snapshot_is_accepted(w, &names[i]))
			names[kept++] = names[i];
	if (kept < n && telling)
		finding_add(r, ERR_AUTH,
			    "Snapshots of %s are ignored that came after it was revoked: the last "
			    "accepted is number %" PRIu64 ".",
			    repo_writer_name(r, &w->id), w->last_seq);
	return kept;
}

/* Lists what counts.  Return: whether any of it is shown. */
static bool
list_names(struct repo *r, const struct ledger_writer *w, const struct snapshot_name *names,
	   size_t n, struct draft *d)
{
	size_t start = d->all ? 0 : access_standing_start(r, &w->id, names, n);
	const char *label = repo_writer_name(r, &w->id);
	bool ret = false;

	for (size_t i = 0; i < n; i++) {
		if (snapshot_is_forgotten(w, &names[i].id))
			continue;
		array_reserve(d->chains, d->n_chains, d->cap_chains);
		d->chains[d->n_chains++] = names[i];
		if (i < start && !held_any_part(r, &names[i].id))
			continue;
		array_reserve(d->v, d->n, d->cap);
		d->v[d->n++] = (struct repo_snapshot){names[i], label};
		ret = true;
	}
	return ret;
}

/* @names: all of one enrolled writer, ascending by sequence. */
static void
judge_writer(struct repo *r, const struct ledger_writer *w, struct snapshot_name *names, size_t n,
	     struct draft *d)
{
	n = keep_accepted(r, w, names, n, d->all);
	if (!list_names(r, w, names, n, d) && !d->all) {
		find_head(r, w, names, n, d); /* and nothing is told of whom isn't shown */
		return;
	}
	check_gaps(r, w, names, n);
	check_forks(r, w, names, n);
	pins_check_writer(r, w, names, n);
	find_head(r, w, names, n, d);
}

static void
judge_stranger(struct repo *r, const struct writer_id *id)
{
	finding_add(r, ERR_AUTH, "Snapshots of writer %s are ignored: no admin enrolled it%s.",
		    hex_bytes(id, sizeof *id).s,
		    r->ledger.broken != NULL || r->ledger.forked_at != 0
			    ? " as far as the ledger can be read"
			    : "");
}

static int
writer_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct writer_id));
}

/* Enrolled writers of whom nothing is listed: heads and pins know more. */
static void
judge_absent(struct repo *r, const struct writer_id *present, size_t n, struct draft *d)
{
	const struct ledger_state *s = &r->ledger.state;

	for (size_t i = 0; i < s->n_writers; i++) {
		const struct ledger_writer *w = &s->writers[i];

		if (n > 0 && bsearch(&w->id, present, n, sizeof *present, writer_cmp) != NULL)
			continue;
		if (d->all)
			pins_check_writer(r, w, NULL, 0);
		find_head(r, w, NULL, 0, d);
	}
}

static void
judge(struct repo *r, struct snapshot_names *names, struct draft *d)
{
	CLEANUP(freep) struct writer_id *present = NULL;
	size_t n_present = 0, cap_present = 0;
	size_t end;

	for (size_t i = 0; i < names->n; i = end) {
		const struct writer_id *id = &names->v[i].writer;
		const struct ledger_writer *w = ledger_find_writer(&r->ledger.state, id);

		for (end = i + 1; end < names->n; end++)
			if (!writer_id_equal(&names->v[end].writer, id))
				break;
		if (w == NULL) {
			judge_stranger(r, id);
			continue;
		}
		array_reserve(present, n_present, cap_present);
		present[n_present++] = *id;
		judge_writer(r, w, &names->v[i], end - i, d);
	}
	judge_absent(r, present, n_present, d);
}

static int
listed_cmp(const void *a, const void *b)
{
	const struct snapshot_name *x = &((const struct repo_snapshot *)a)->name;
	const struct snapshot_name *y = &((const struct repo_snapshot *)b)->name;

	if (x->date.days != y->date.days)
		return x->date.days < y->date.days ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return snapshot_name_cmp(x, y);
}

static int
head_cmp(const void *a, const void *b)
{
	const struct chain_head *x = a, *y = b;

	return memcmp(&x->writer, &y->writer, sizeof x->writer);
}

/* @v: taken. */
static struct repo_list *
list_new(struct repo_snapshot *v, size_t n)
{
	struct list *l = mem_alloc(sizeof *l);

	if (n > 0)
		qsort(v, n, sizeof *v, listed_cmp);
	l->v = v;
	l->pub = (struct repo_list){v, n};
	atomic_init(&l->refs, 1);
	return &l->pub;
}

void
list_publish(struct repo *r, struct snapshot_names *names)
{
	struct draft d = {.all = access_shows_all(r)};
	struct repo_list *old, *new;

	r->probe_more = false;
	if (!d.all)
		access_probe(r, names);
	judge(r, names, &d);
	if (d.n_heads > 0)
		qsort(d.heads, d.n_heads, sizeof *d.heads, head_cmp);
	new = list_new(d.v, d.n);

	pthread_mutex_lock(&r->lock);
	old = r->list;
	r->list = new;
	free(r->heads);
	r->heads = d.heads;
	r->n_heads = d.n_heads;
	free(r->chains);
	r->chains = d.chains;
	r->n_chains = d.n_chains;
	pthread_mutex_unlock(&r->lock);
	repo_list_put(old);
}

void
list_publish_none(struct repo *r)
{
	struct repo_list *old, *none = list_new(NULL, 0);

	pthread_mutex_lock(&r->lock);
	old = r->list;
	r->list = none;
	pthread_mutex_unlock(&r->lock);
	repo_list_put(old);
}

struct repo_list *
list_of_names(struct repo *r, const struct snapshot_names *names)
{
	struct repo_snapshot *v = mem_array(names->n + 1, sizeof *v);
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++) {
		const struct ledger_writer *w;
		bool counts;

		pthread_mutex_lock(&r->lock);
		w = ledger_find_writer(&r->ledger.state, &names->v[i].writer);
		counts = w != NULL && snapshot_is_accepted(w, &names->v[i]) &&
			 !snapshot_is_forgotten(w, &names->v[i].id);
		pthread_mutex_unlock(&r->lock);
		if (counts)
			v[n++] = (struct repo_snapshot){names->v[i],
							repo_writer_name(r, &names->v[i].writer)};
	}
	return list_new(v, n);
}

struct repo_list *
repo_list_get(struct repo *r)
{
	struct repo_list *ret;

	pthread_mutex_lock(&r->lock);
	ret = r->list;
	atomic_fetch_add(&((struct list *)ret)->refs, 1);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void
repo_chain(struct repo *r, const struct writer_id *writer, struct snapshot_name **ret,
	   size_t *ret_n)
{
	size_t first = 0, end;

	pthread_mutex_lock(&r->lock);
	while (first < r->n_chains && !writer_id_equal(&r->chains[first].writer, writer))
		first++;
	for (end = first; end < r->n_chains && writer_id_equal(&r->chains[end].writer, writer);)
		end++;
	*ret_n = end - first;
	*ret = mem_array(*ret_n + 1, sizeof **ret);
	if (*ret_n > 0)
		memcpy(*ret, &r->chains[first], *ret_n * sizeof **ret);
	pthread_mutex_unlock(&r->lock);
}

void
repo_list_put(struct repo_list *list)
{
	struct list *l = (struct list *)list;

	if (l == NULL || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	free(l->v);
	free(l);
}

void
repo_heads(struct repo *r, struct chain_head **ret, size_t *n)
{
	pthread_mutex_lock(&r->lock);
	*n = r->n_heads;
	*ret = r->n_heads == 0 ? NULL : mem_copy(r->heads, r->n_heads * sizeof *r->heads);
	pthread_mutex_unlock(&r->lock);
}
