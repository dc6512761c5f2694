/*
 * access_probe.c - where standing grants begin: the first snapshot of each writer that was sealed
 * to the auditor.
 *
 * From there on all of them open, so the place is searched; where the clocks say is right nearly
 * always, and costs one or two small reads.  Writers are probed several at a time, and only so many
 * at once: a mount must be ready after a few round trips.  For the others the clocks are believed
 * until the next refresh.
 *
 * Layer 3.  Format: docs/format.md sections 7 and 8.1.
 */
#include "internal.h"

#define PROBES_MAX  64u /* writers at once */
#define THREADS_MAX 8u

/* One writer's snapshots, ascending. */
struct probe {
	const struct snapshot_name *names;
	size_t n, guess;
	size_t start; /* found: n when none opens */
	bool certain;
};

struct prober {
	struct repo *r;
	struct probe v[PROBES_MAX];
	size_t n;
	atomic_size_t next;
};

/* Return: 1 when a class of it is sealed to this identity, 0, or why that isn't known. */
static int
opens(struct repo *r, const struct snapshot_name *name)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	CLEANUP(seal_key_wipe) struct seal_key key = {0};
	int k = snapshot_fetch(r, name, &s, NULL);

	if (k < 0)
		return k;
	for (size_t i = 1; i < s->n_parts; i++)
		if (snapshot_part_key(s, i, r->pair, &key, NULL) == 0)
			return 1;
	return 0;
}

/* Narrows lo … hi, between which the start is, until one is left. */
static int
bisect(struct repo *r, const struct probe *p, size_t lo, size_t hi, size_t *ret)
{
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int k = opens(r, &p->names[mid]);

		if (k < 0)
			return k;
		if (k == 1)
			hi = mid;
		else
			lo = mid + 1;
	}
	*ret = lo;
	return 0;
}

/* The guess is right when it opens and the one before it doesn't. */
static int
search(struct repo *r, const struct probe *p, size_t *ret)
{
	int before = p->guess > 0 ? opens(r, &p->names[p->guess - 1]) : 0;
	int at;

	if (before < 0)
		return before;
	if (before == 1)
		return bisect(r, p, 0, p->guess - 1, ret);
	at = p->guess < p->n ? opens(r, &p->names[p->guess]) : 1;
	if (at < 0)
		return at;
	if (at == 0)
		return bisect(r, p, p->guess + 1, p->n, ret);
	*ret = p->guess;
	return 0;
}

static void *
work(void *arg)
{
	struct prober *b = arg;
	size_t i;

	while ((i = atomic_fetch_add(&b->next, 1)) < b->n)
		b->v[i].certain = search(b->r, &b->v[i], &b->v[i].start) == 0;
	return NULL;
}

static void
run(struct prober *b)
{
	pthread_t threads[THREADS_MAX];
	size_t n = 0;

	while (n + 1 < THREADS_MAX && n + 1 < b->n &&
	       pthread_create(&threads[n], NULL, work, b) == 0)
		n++;
	work(b);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

/* ---- what is known already ------------------------------------------------------------------ */

static struct standing_start *
find(struct repo *r, const struct writer_id *writer, int64_t since)
{
	for (size_t i = 0; i < r->n_starts; i++)
		if (writer_id_equal(&r->starts[i].writer, writer) && r->starts[i].since == since)
			return &r->starts[i];
	return NULL;
}

static void
remember(struct repo *r, const struct probe *p, int64_t since)
{
	struct standing_start *s = find(r, &p->names[0].writer, since);

	if (s == NULL) {
		array_reserve(r->starts, r->n_starts, r->cap_starts);
		s = &r->starts[r->n_starts++];
		*s = (struct standing_start){.writer = p->names[0].writer, .since = since};
	}
	s->seq = p->start < p->n ? p->names[p->start].seq : 0;
	s->tried = p->names[p->n - 1].seq;
}

/* Where the clocks say that the grant begins. */
static size_t
guess(const struct snapshot_name *names, size_t n, int64_t since)
{
	size_t i = 0;

	while (i < n && names[i].time < since)
		i++;
	return i;
}

size_t
access_standing_start(struct repo *r, const struct writer_id *writer,
		      const struct snapshot_name *names, size_t n)
{
	const struct ledger_grant *g = access_covering(r, writer, NULL);
	const struct standing_start *s;
	size_t i = 0;

	if (g == NULL || n == 0)
		return n;
	s = find(r, writer, g->since);
	if (s == NULL)
		return guess(names, n, g->since);
	while (i < n && (s->seq == 0 ? names[i].seq <= s->tried : names[i].seq < s->seq))
		i++;
	return i;
}

static bool
needs_probing(struct repo *r, const struct snapshot_name *names, size_t n, int64_t since)
{
	const struct standing_start *s = find(r, &names[0].writer, since);

	return s == NULL || (s->seq == 0 && names[n - 1].seq > s->tried);
}

void
access_probe(struct repo *r, const struct snapshot_names *names)
{
	CLEANUP(freep) struct prober *b = mem_alloc(sizeof *b);
	int64_t since[PROBES_MAX] = {0};

	r->probe_more = false;
	b->r = r;
	for (size_t end, i = 0; i < names->n; i = end) {
		const struct snapshot_name *first = &names->v[i];
		const struct ledger_grant *g = access_covering(r, &first->writer, NULL);

		for (end = i + 1; end < names->n; end++)
			if (!writer_id_equal(&names->v[end].writer, &first->writer))
				break;
		if (g == NULL || !needs_probing(r, first, end - i, g->since))
			continue;
		if (b->n == PROBES_MAX) {
			r->probe_more = true;
			break;
		}
		since[b->n] = g->since;
		b->v[b->n++] = (struct probe){.names = first,
					      .n = end - i,
					      .guess = guess(first, end - i, g->since)};
	}
	if (b->n > 0)
		run(b);
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].certain)
			remember(r, &b->v[i], since[i]);
}
