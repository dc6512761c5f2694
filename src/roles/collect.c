/*
 * collect.c - the keys of snapshots' parts, and of the sections of the packs that they reach.
 *
 * Layer 4.  Format: docs/format.md sections 5, 8 and 8.4.
 */
#include "internal.h"

#include "tillfs/pack.h"

#define HEADER_FIRST (16u * KIB) /* holds most headers whole */
#define ALL_SECTIONS UINT64_MAX

_Static_assert(PACK_SECTIONS_MAX <= 64, "sections are bits of a word");

void
job_init(struct job *j, struct repo *r, const struct roles_options *o,
	 const struct roles_wish *wish, struct roles_handed *ret)
{
	*j = (struct job){.repo = r, .options = o, .wish = wish, .ret = ret};
	*ret = (struct roles_handed){0};
	pthread_mutex_init(&j->lock, NULL);
}

void
job_fini(struct job *j)
{
	bag_fini(&j->bag);
	free(j->names);
	free(j->packs);
	claims_fini(&j->claims);
	pthread_mutex_destroy(&j->lock);
}

/* What an error means: something is left out and told, or nothing goes on. */
static int
skip_or_stop(struct job *j, int code, const struct err *err)
{
	if (code != ERR_NOENT && code != ERR_CORRUPT && code != ERR_AUTH && code != ERR_DENIED)
		return code;
	pthread_mutex_lock(&j->lock);
	j->ret->skipped++;
	if (j->options->told != NULL)
		j->options->told(j->options->told_arg, err->msg);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* ---- which packs -------------------------------------------------------------------------- */

static int
pack_cmp(const void *a, const void *b)
{
	const struct wanted_pack *x = a, *y = b;
	int c = memcmp(&x->id, &y->id, sizeof x->id);

	return c != 0 ? c : memcmp(&x->writer, &y->writer, sizeof x->writer);
}

/* One entry a pack. */
static void
unite(struct job *j)
{
	size_t n = 0;

	if (j->n_packs == 0)
		return;
	qsort(j->packs, j->n_packs, sizeof *j->packs, pack_cmp);
	for (size_t i = 0; i < j->n_packs; i++)
		if (n > 0 && pack_cmp(&j->packs[n - 1], &j->packs[i]) == 0)
			j->packs[n - 1].ordinals |= j->packs[i].ordinals;
		else
			j->packs[n++] = j->packs[i];
	j->n_packs = n;
}

/* Under lock.  Snapshots share most packs, so what is full may only need uniting. */
static void
want(struct job *j, const struct wanted_pack *pack)
{
	if (j->n_packs == j->cap_packs) {
		unite(j);
		if (j->n_packs >= j->cap_packs / 2) {
			j->cap_packs = j->cap_packs == 0 ? 256 : 2 * j->cap_packs;
			j->packs = mem_grow(j->packs, j->cap_packs, sizeof *j->packs);
		}
	}
	j->packs[j->n_packs++] = *pack;
}

/* ---- snapshots ---------------------------------------------------------------------------- */

static bool
wants_class(const struct roles_wish *w, const char *name)
{
	for (size_t i = 0; i < w->n_classes; i++)
		if (strcmp(w->classes[i], name) == 0)
			return true;
	return w->n_classes == 0;
}

/* Under lock. */
static void
count_snapshot(struct job *j, struct date date)
{
	struct roles_handed *h = j->ret;

	if (h->snapshots == 0 || date.days < h->first.days)
		h->first = date;
	if (h->snapshots == 0 || date.days > h->last.days)
		h->last = date;
	h->snapshots++;
}

static int
add_part(struct job *j, const struct snapshot *s, uint32_t ordinal, struct err *err)
{
	CLEANUP(secret_freep) struct granted_part *part = secret_new(sizeof *part);
	int r;

	part->snapshot = s->name.id;
	part->ordinal = ordinal;
	r = repo_part_key(j->repo, s, ordinal, &part->key, err);
	if (r < 0)
		return err_add(err, r, "%s: part %u", repo_snapshot_label(j->repo, &s->name).s,
			       ordinal);
	pthread_mutex_lock(&j->lock);
	bag_add_part(&j->bag, part);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* Every part of a snapshot, for an admin; packs come from the store's listing. */
static int
collect_whole(struct job *j, const struct snapshot_name *name, struct err *err)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	int r = repo_snapshot_fetch(j->repo, name, &s, err);

	for (size_t i = 0; r == 0 && i < s->n_parts; i++)
		r = add_part(j, s, (uint32_t)i, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&j->lock);
	count_snapshot(j, name->date);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* Under lock.  A grant of all classes has no border between them to keep. */
static void
note_claims(struct job *j, size_t i, const struct snapshot_class *c, bool granted)
{
	struct claim claim = {.writer = j->names[i].writer,
			      .snapshot = (uint32_t)i,
			      .granted = granted};

	if (j->wish->n_classes == 0)
		return;
	memcpy(claim.class_name, c->name, sizeof claim.class_name);
	for (size_t k = 0; k < c->n_packs; k++) {
		claim.pack = c->packs[k].id;
		claim.ordinal = c->packs[k].ordinal;
		claims_add(&j->claims, &claim);
	}
}

/* Under lock. */
static void
want_class(struct job *j, const struct writer_id *writer, const struct snapshot_class *c)
{
	for (size_t k = 0; k < c->n_packs; k++)
		want(j, &(struct wanted_pack){c->packs[k].id, *writer,
					      UINT64_C(1) << c->packs[k].ordinal});
}

/* The wanted classes of snapshot @i, and their packs. */
static int
collect_classes(struct job *j, size_t i, struct err *err)
{
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	const struct snapshot_name *name = &j->names[i];
	bool any = false;
	int r = repo_snapshot_open(j->repo, name, &o, err);

	for (size_t k = 0; r == 0 && k < o->n_classes; k++) {
		bool granted = i < j->n_names && wants_class(j->wish, o->classes[k]->name);

		if (granted)
			r = add_part(j, o->snapshot, o->ordinals[k], err);
		any = any || granted;
		pthread_mutex_lock(&j->lock);
		note_claims(j, i, o->classes[k], granted);
		if (granted && r == 0)
			want_class(j, &name->writer, o->classes[k]);
		pthread_mutex_unlock(&j->lock);
	}
	if (r < 0 || !any)
		return r;
	pthread_mutex_lock(&j->lock);
	count_snapshot(j, name->date);
	pthread_mutex_unlock(&j->lock);
	return 0;
}

static int
collect_snapshot(void *arg, size_t i, struct err *err)
{
	struct job *j = arg;
	int r = j->wish == NULL ? collect_whole(j, &j->names[i], err) : collect_classes(j, i, err);

	if (r < 0 && i >= j->n_names)
		r = err_add(err, r, "what is granted can't be compared with another snapshot");
	return r < 0 ? skip_or_stop(j, r, err) : 0;
}

/* ---- packs -------------------------------------------------------------------------------- */

static int
list_pack(void *arg, const struct store_entry *entry, struct err *err)
{
	struct wanted_pack pack = {.ordinals = ALL_SECTIONS};

	(void)err; /* never fails; what is none of ours is check's matter */
	if (pack_key_parse(entry->key, &pack.writer, &pack.id))
		want(arg, &pack);
	return 0;
}

static int
fetch_header(struct job *j, const struct wanted_pack *pack, struct pack_header **ret,
	     struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct pack_key_text key = pack_object_key(&pack->writer, &pack->id);
	uint32_t len;
	int r;

	r = store_get(repo_store(j->repo), key.s, 0, HEADER_FIRST, &bytes, err);
	if (r == 0)
		r = pack_header_len(buf_slice(&bytes), &len, err);
	if (r == 0 && len > bytes.len)
		r = store_get(repo_store(j->repo), key.s, 0, len, &bytes, err);
	if (r == 0)
		r = pack_header_parse(slice_of(bytes.p, min_u64(len, bytes.len)), &pack->id, ret,
				      err);
	return r != 0 ? err_add(err, r, "%s", key.s) : 0;
}

static int
collect_sections(struct job *j, const struct wanted_pack *pack, struct err *err)
{
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	CLEANUP(secret_freep) struct granted_section *s = secret_new(sizeof *s);
	int r = fetch_header(j, pack, &h, err);

	for (uint32_t i = 0; r == 0 && i < h->n_sections; i++) {
		if ((pack->ordinals >> i & 1) == 0)
			continue;
		s->pack = pack->id;
		s->ordinal = i;
		r = repo_section_key(j->repo, h, &pack->id, i, &s->key, err);
		if (r < 0)
			break;
		pthread_mutex_lock(&j->lock);
		bag_add_section(&j->bag, s);
		j->ret->sections++;
		pthread_mutex_unlock(&j->lock);
	}
	if (r < 0)
		return r;
	pthread_mutex_lock(&j->lock);
	j->ret->packs++;
	pthread_mutex_unlock(&j->lock);
	return 0;
}

static int
collect_pack(void *arg, size_t i, struct err *err)
{
	struct job *j = arg;
	int r = collect_sections(j, &j->packs[i], err);

	return r < 0 ? skip_or_stop(j, r, err) : 0;
}

int
collect(struct job *j, struct err *err)
{
	const struct progress_sink *sink = &j->options->progress;
	int r = crew_run("reading snapshots", j->n_names + j->n_compared, collect_snapshot, j, sink,
			 err);

	if (r == 0)
		r = claims_check(j, err);
	if (r == 0 && j->wish == NULL)
		r = store_list(repo_store(j->repo), "packs/", false, list_pack, j, err);
	if (r < 0)
		return r;
	unite(j);
	return crew_run("reading packs' headers", j->n_packs, collect_pack, j, sink, err);
}
