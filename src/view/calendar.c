/*
 * calendar.c - days, writers and snapshot names out of one listing.
 */
#include "calendar.h"

#include <assert.h>
#include <stdio.h>

#include "tillfs/keyring.h"

/* ---- writers --------------------------------------------------------------------------- */

/* Which host a writer id is, while the hosts are being collected: open addressing. */
struct id_map {
	uint32_t *slots; /* host + 1, or 0 */
	size_t n_slots;  /* a power of two, at most half full */
};

static void
id_map_fini(struct id_map *m)
{
	free(m->slots);
}

static uint32_t *
id_map_slot(const struct id_map *m, const struct calendar_host *hosts, const struct writer_id *id)
{
	uint64_t h;
	size_t i;

	assert(m->slots != NULL);
	memcpy(&h, id->b, sizeof h);
	i = (size_t)((h * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
	for (;; i++) {
		uint32_t *slot = &m->slots[i & (m->n_slots - 1)];

		if (*slot == 0 || writer_id_equal(&hosts[*slot - 1].id, id))
			return slot;
	}
}

static void
id_map_grow(struct id_map *m, const struct calendar_host *hosts, size_t n)
{
	free(m->slots);
	m->n_slots = m->n_slots == 0 ? 64 : 2 * m->n_slots;
	m->slots = mem_array(m->n_slots, sizeof *m->slots);
	for (size_t i = 0; i < n; i++)
		*id_map_slot(m, hosts, &hosts[i].id) = (uint32_t)i + 1;
}

/* A name goes into paths, so one that the roster let through is checked again. */
static char *
host_name(const struct repo_snapshot *s)
{
	if (writer_name_valid(s->writer))
		return str_copy(s->writer);
	return str_copy(hex_bytes(s->name.writer.b, sizeof s->name.writer.b).s);
}

/* Fills hosts in the order of their first snapshots, and host_of. */
static void
collect_hosts(struct calendar *c)
{
	CLEANUP(id_map_fini) struct id_map map = {0};
	size_t cap = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct repo_snapshot *s = &c->list->snapshots[i];
		struct calendar_host *h;
		uint32_t *slot;

		if (2 * (c->n_hosts + 1) > map.n_slots)
			id_map_grow(&map, c->hosts, c->n_hosts);
		slot = id_map_slot(&map, c->hosts, &s->name.writer);
		if (*slot == 0) {
			array_reserve(c->hosts, c->n_hosts, cap);
			c->hosts[c->n_hosts] = (struct calendar_host){.name = host_name(s),
								      .id = s->name.writer,
								      .newest = (uint32_t)i};
			*slot = (uint32_t)++c->n_hosts;
		}
		h = &c->hosts[*slot - 1];
		c->host_of[i] = *slot - 1;
		h->n++;
		/* The clock may have been wrong; the sequence can't be. */
		if (s->name.seq > c->list->snapshots[h->newest].name.seq)
			h->newest = (uint32_t)i;
	}
}

static int
compare_hosts(const void *a, const void *b, void *arg)
{
	const struct calendar_host *hosts = arg;
	const struct calendar_host *x = &hosts[*(const uint32_t *)a];
	const struct calendar_host *y = &hosts[*(const uint32_t *)b];
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

/* By name, and host_of with them. */
static void
sort_hosts(struct calendar *c)
{
	CLEANUP(freep) uint32_t *order = mem_array(c->n_hosts, sizeof *order);
	CLEANUP(freep) uint32_t *place = mem_array(c->n_hosts, sizeof *place);
	struct calendar_host *sorted = mem_array(c->n_hosts, sizeof *sorted);

	for (size_t i = 0; i < c->n_hosts; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, c->n_hosts, sizeof *order, compare_hosts, c->hosts);

	for (size_t i = 0; i < c->n_hosts; i++) {
		sorted[i] = c->hosts[order[i]];
		place[order[i]] = (uint32_t)i;
	}
	for (size_t i = 0; i < c->list->n; i++)
		c->host_of[i] = place[c->host_of[i]];
	free(c->hosts);
	c->hosts = sorted;
}

/* Two writers of one name, which only a forked ledger can have, are told apart by their ids. */
static bool
rename_doubles(struct calendar *c)
{
	bool renamed = false;

	for (size_t end, i = 0; i < c->n_hosts; i = end) {
		for (end = i + 1; end < c->n_hosts; end++)
			if (strcmp(c->hosts[i].name, c->hosts[end].name) != 0)
				break;
		if (end - i == 1)
			continue;
		for (size_t k = i; k < end; k++) {
			struct calendar_host *h = &c->hosts[k];
			char *old = h->name;

			h->name = str_format("%s.%s", old, hex_bytes(h->id.b, sizeof h->id.b).s);
			free(old);
		}
		renamed = true;
	}
	return renamed;
}

/* Gives each host the list of its snapshots. */
static void
deal_snapshots(struct calendar *c)
{
	for (size_t i = 0; i < c->n_hosts; i++) {
		c->hosts[i].at = mem_array(c->hosts[i].n, sizeof *c->hosts[i].at);
		c->hosts[i].n = 0;
	}
	for (size_t i = 0; i < c->list->n; i++) {
		struct calendar_host *h = &c->hosts[c->host_of[i]];

		h->at[h->n++] = (uint32_t)i;
	}
}

/* ---- days ------------------------------------------------------------------------------ */

static void
collect_days(struct calendar *c)
{
	size_t cap = 0;

	for (size_t i = 0; i < c->list->n; i++) {
		const struct snapshot_name *name = &c->list->snapshots[i].name;
		struct calendar_day *d;

		if (c->n_days == 0 || c->days[c->n_days - 1].date.days != name->date.days) {
			array_reserve(c->days, c->n_days, cap);
			c->days[c->n_days++] =
				(struct calendar_day){.date = name->date,
						      .text = date_format(name->date),
						      .first = (uint32_t)i,
						      .newest = name->time};
		}
		d = &c->days[c->n_days - 1];
		d->n++;
		if (name->time > d->newest)
			d->newest = name->time;
		if (c->n_days == 1 && d->n == 1)
			c->newest = name->time;
		if (d->newest > c->newest)
			c->newest = d->newest;
	}
}

struct calendar_day *
calendar_day_find(struct calendar *c, struct slice text)
{
	struct date date;
	size_t low = 0, high = c->n_days;

	if (!date_parse(text, &date))
		return NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->days[mid].date.days < date.days)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->n_days && c->days[low].date.days == date.days ? &c->days[low] : NULL;
}

struct calendar_host *
calendar_host_find(struct calendar *c, struct slice name)
{
	size_t low = 0, high = c->n_hosts;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = slice_cmp(slice_str(c->hosts[mid].name), name);

		if (r == 0)
			return &c->hosts[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- names ----------------------------------------------------------------------------- */

static int
compare_names(const void *a, const void *b, void *arg)
{
	const struct calendar_name *x = a, *y = b;
	const struct calendar *c = arg;
	const struct snapshot_name *s = &c->list->snapshots[x->at].name;
	const struct snapshot_name *t = &c->list->snapshots[y->at].name;
	int r = strcmp(x->name, y->name);

	if (r == 0)
		r = (s->seq > t->seq) - (s->seq < t->seq);
	/* One sequence twice is a fork, which only a dishonest writer makes. */
	return r != 0 ? r : memcmp(s->id.h.b, t->id.h.b, sizeof s->id.h.b);
}

/* Of several snapshots in one second, all but the first get their sequence as a suffix. */
static bool
tell_apart(struct calendar *c, struct calendar_names *names)
{
	bool changed = false;

	for (size_t end, i = 0; i < names->n; i = end) {
		const struct calendar_name *first = &names->e[i];

		for (end = i + 1; end < names->n; end++) {
			struct calendar_name *e = &names->e[end];
			const struct snapshot_name *s = &c->list->snapshots[e->at].name;
			uint64_t seq_before = c->list->snapshots[names->e[end - 1].at].name.seq;
			char *plain = e->name;

			if (strcmp(plain, first->name) != 0)
				break;
			e->name = str_format("%s.%llu", plain, (unsigned long long)s->seq);
			if (s->seq == seq_before) {
				free(e->name);
				e->name = str_format("%s.%s", plain, hex(&s->id.h).s);
			}
			free(plain);
			changed = true;
		}
	}
	return changed;
}

static struct calendar_names *
names_new(size_t n)
{
	struct calendar_names *names = mem_alloc(sizeof *names + n * sizeof names->e[0]);

	names->n = n;
	return names;
}

static void
names_free(struct calendar_names *names)
{
	for (size_t i = 0; names != NULL && i < names->n; i++)
		free(names->e[i].name);
	free(names);
}

static void
names_finish(struct calendar *c, struct calendar_names *names)
{
	qsort_r(names->e, names->n, sizeof names->e[0], compare_names, c);
	if (tell_apart(c, names))
		qsort_r(names->e, names->n, sizeof names->e[0], compare_names, c);
}

const struct calendar_names *
calendar_day_names(struct calendar *c, struct calendar_day *day)
{
	struct calendar_names *names;

	pthread_mutex_lock(&c->lock);
	if (day->names == NULL) {
		day->names = names_new(day->n);
		for (uint32_t i = 0; i < day->n; i++) {
			uint32_t at = day->first + i;
			/* 2026-11-20T23-00-05Z: the clock time starts at the twelfth letter. */
			struct time_text t = time_format_key(c->list->snapshots[at].name.time);
			const char *clock = strchr(t.s, 'T');

			day->names->e[i].at = at;
			day->names->e[i].name = str_format("%s.%s", c->hosts[c->host_of[at]].name,
							   clock != NULL ? clock + 1 : t.s);
		}
		names_finish(c, day->names);
	}
	names = day->names;
	pthread_mutex_unlock(&c->lock);
	return names;
}

const struct calendar_names *
calendar_host_names(struct calendar *c, struct calendar_host *host)
{
	struct calendar_names *names;

	pthread_mutex_lock(&c->lock);
	if (host->names == NULL) {
		host->names = names_new(host->n);
		for (uint32_t i = 0; i < host->n; i++) {
			int64_t time = c->list->snapshots[host->at[i]].name.time;

			host->names->e[i].at = host->at[i];
			host->names->e[i].name = str_copy(time_format_key(time).s);
		}
		names_finish(c, host->names);
	}
	names = host->names;
	pthread_mutex_unlock(&c->lock);
	return names;
}

const struct calendar_name *
calendar_names_find(const struct calendar_names *names, struct slice name)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = slice_cmp(slice_str(names->e[mid].name), name);

		if (r == 0)
			return &names->e[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const char *
calendar_names_of(const struct calendar_names *names, uint32_t at)
{
	for (size_t i = 0; i < names->n; i++)
		if (names->e[i].at == at)
			return names->e[i].name;
	return NULL;
}

/* ---- the whole ------------------------------------------------------------------------- */

static int
compare_snapshots(const struct snapshot_name *a, const struct snapshot_name *b)
{
	if (a->date.days != b->date.days)
		return a->date.days < b->date.days ? -1 : 1;
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

uint32_t
calendar_position(const struct calendar *c, const struct snapshot_name *name)
{
	const struct repo_snapshot *s = c->list->snapshots;
	size_t low = 0, high = c->list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_snapshots(&s[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	/* Different writers may share date, time and sequence. */
	for (; low < c->list->n && compare_snapshots(&s[low].name, name) == 0; low++)
		if (hash_equal(&s[low].name.id.h, &name->id.h))
			return (uint32_t)low;
	return UINT32_MAX;
}

struct calendar *
calendar_new(struct repo_list *list)
{
	struct calendar *c = mem_alloc(sizeof *c);

	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	c->list = list;
	c->host_of = mem_array(list->n, sizeof *c->host_of);

	collect_days(c);
	collect_hosts(c);
	sort_hosts(c);
	if (rename_doubles(c))
		sort_hosts(c);
	deal_snapshots(c);
	return c;
}

struct calendar *
calendar_new_of_dates(struct repo_list *empty, const struct date *dates, size_t n)
{
	struct calendar *c = calendar_new(empty);

	free(c->days);
	c->days = mem_array(n + 1, sizeof *c->days);
	c->n_days = n;
	for (size_t i = 0; i < n; i++) {
		c->days[i] = (struct calendar_day){.date = dates[i],
						   .text = date_format(dates[i]),
						   .newest = (int64_t)dates[i].days * 86400};
		c->newest = c->days[i].newest;
	}
	return c;
}

void
calendar_put(struct calendar *c)
{
	if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	for (size_t i = 0; i < c->n_days; i++)
		names_free(c->days[i].names);
	for (size_t i = 0; i < c->n_hosts; i++) {
		names_free(c->hosts[i].names);
		free(c->hosts[i].name);
		free(c->hosts[i].at);
	}
	free(c->days);
	free(c->hosts);
	free(c->host_of);
	repo_list_put(c->list);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
