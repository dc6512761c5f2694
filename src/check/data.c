/*
 * data.c - every stored byte of every pack, and every data segment that a snapshot reaches.
 *
 * A pack is read once, front to back: its header against its id, its blocks against the header,
 * then its segments are opened in the order in which they lie.  Several threads take packs in turn.
 */
#include <inttypes.h>
#include <unistd.h>

#include "internal.h"

#define OBJECT_MAX  (PACK_HEADER_MAX + PACK_BODY_MAX)
#define THREADS_MAX 4u

/* Protected by job->lock where not constant. */
struct crew {
	struct job *job;
	size_t next; /* the pack that nobody has taken yet */
	int code;
	struct err err;
};

/* What one thread works with. */
struct hand {
	struct job *job;
	struct codec *codec;
	struct buf object, plain;
};

/* ---- remembering what to open --------------------------------------------------------------- */

static int
wanted_cmp(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	if (x->stored_len != y->stored_len)
		return x->stored_len < y->stored_len ? -1 : 1;
	return x->plain_len < y->plain_len ? -1 : x->plain_len > y->plain_len;
}

static void
sort_wanted(struct listed_pack *p)
{
	size_t n = 0;

	if (p->n_wanted == 0)
		return;
	qsort(p->wanted, p->n_wanted, sizeof *p->wanted, wanted_cmp);
	for (size_t i = 0; i < p->n_wanted; i++)
		if (n == 0 || wanted_cmp(&p->wanted[n - 1], &p->wanted[i]) != 0)
			p->wanted[n++] = p->wanted[i];
	p->n_wanted = n;
}

void
pack_want(struct job *job, uint32_t pack, const char *class_name, const struct segment_ref *seg)
{
	struct listed_pack *p = &job->packs[pack];
	struct wanted w = {seg->off, seg->stored_len, seg->plain_len, 0};

	while (w.section < p->n_sections &&
	       strcmp(p->sections[w.section].class_name, class_name) != 0)
		w.section++;
	/* Neighbouring extents share segments, and so do versions of a folder. */
	if (p->n_wanted > 0 && wanted_cmp(&p->wanted[p->n_wanted - 1], &w) == 0)
		return;
	if (p->n_wanted == p->cap_wanted) {
		sort_wanted(p);
		if (p->n_wanted >= p->cap_wanted / 2) {
			p->cap_wanted = p->cap_wanted == 0 ? 64 : p->cap_wanted * 2;
			p->wanted = mem_grow(p->wanted, p->cap_wanted, sizeof *p->wanted);
		}
	}
	p->wanted[p->n_wanted++] = w;
}

/* ---- one pack ------------------------------------------------------------------------------- */

static int
check_header(struct hand *h, const struct stored_pack *stored, struct pack_header **ret,
	     struct err *err)
{
	uint32_t len;
	int r;

	r = pack_header_len(buf_slice(&h->object), &len, err);
	if (r < 0)
		return r;
	if (len > h->object.len)
		return err_set(err, ERR_CORRUPT, "it ends inside its header");
	r = pack_header_parse(slice_of(h->object.p, len), &stored->id, ret, err);
	if (r < 0)
		return r;
	if ((*ret)->body_len != h->object.len - len)
		return err_set(err, ERR_CORRUPT, "it has %zu bytes instead of %" PRIu64,
			       h->object.len, len + (*ret)->body_len);
	if (!writer_id_equal(&(*ret)->writer, &stored->writer) ||
	    memcmp(&(*ret)->repo, repo_id(h->job->repo), sizeof(*ret)->repo) != 0)
		return err_set(err, ERR_CORRUPT,
			       "it belongs to another writer or repository than its name says");
	return 0;
}

static int
check_blocks(struct hand *h, const struct pack_header *header, struct err *err)
{
	uint32_t bad = 0;
	int r = 0;

	for (uint32_t i = 0; i < header->n_blocks; i++) {
		struct err why = ERR_INIT;
		uint64_t off = (uint64_t)i * PACK_BLOCK_LEN;
		struct slice block = slice_of(h->object.p + header->header_len + off,
					      min_u64(PACK_BLOCK_LEN, header->body_len - off));
		int k = pack_block_check(header, i, block, &why);

		if (k == 0)
			continue;
		if (bad++ == 0 && err != NULL)
			*err = why;
		r = k;
	}
	return bad > 1 ? err_add(err, r, "%u of %u blocks are damaged, the first", bad,
				 header->n_blocks)
		       : r;
}

/* A segment that a snapshot reaches. */
static int
check_segment(struct hand *h, const struct pack_header *header, const struct listed_pack *p,
	      const struct wanted *w, const struct seal_key *key, struct err *err)
{
	const struct listed_section *section = &p->sections[w->section];
	struct segment_scope scope = {.writer = p->writer};
	uint64_t area = section->place.data_off;
	struct slice stored;
	int r;

	memcpy(scope.class_name, section->class_name, sizeof scope.class_name);
	/* extents_check() has proved that it lies inside the area; the area may not in the body. */
	if (area > header->body_len || w->off > header->body_len - area ||
	    w->stored_len > header->body_len - area - w->off)
		return err_set(err, ERR_CORRUPT, "a segment would lie behind its end");
	stored = slice_of(h->object.p + header->header_len + area + w->off, w->stored_len);
	r = segment_open(key, &scope, PACK_DATA, w->off, stored, w->plain_len, h->codec, &h->plain,
			 err);
	return r < 0 ? err_add(err, r, "the segment at %" PRIu64 " of class %s", w->off,
			       section->class_name)
		     : 0;
}

static int
check_segments(struct hand *h, const struct pack_header *header, const struct listed_pack *p,
	       struct err *err)
{
	CLEANUP(seal_key_wipe) struct seal_key key = {0};
	uint32_t section = UINT32_MAX;
	int r;

	for (size_t i = 0; i < p->n_wanted; i++) {
		const struct wanted *w = &p->wanted[i];

		if (w->section != section) {
			section = w->section;
			r = repo_section_key(h->job->repo, header, &p->id,
					     p->sections[section].place.ordinal, &key, err);
			if (r < 0)
				return r;
		}
		r = check_segment(h, header, p, w, &key, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
check_object(struct hand *h, const struct stored_pack *stored, const struct listed_pack *p,
	     struct err *err)
{
	CLEANUP(pack_header_freep) struct pack_header *header = NULL;
	struct pack_key_text key = pack_object_key(&stored->writer, &stored->id);
	int r;

	r = store_get_all(repo_store(h->job->repo), key.s, OBJECT_MAX, &h->object, err);
	if (r == 0)
		r = check_header(h, stored, &header, err);
	if (r == 0)
		r = check_blocks(h, header, err);
	if (r == 0 && p != NULL)
		r = check_segments(h, header, p, err);
	return r;
}

/* The same, told in words. */
static int
check_pack(struct hand *h, const struct stored_pack *stored, struct err *err)
{
	struct job *job = h->job;
	uint32_t n = pack_number(job, &stored->id);
	struct listed_pack *p = n == UINT32_MAX ? NULL : &job->packs[n];
	CLEANUP(buf_fini) struct buf needed = BUF_INIT;
	CLEANUP(freep) char *text = NULL;
	int r;

	if (p != NULL && !writer_id_equal(&p->writer, &stored->writer))
		p = NULL; /* a copy in another writer's folder */
	if (p != NULL && p->bad != NULL)
		return 0; /* told already */
	if (p != NULL)
		sort_wanted(p);
	r = check_object(h, stored, p, err);
	if (r == 0)
		return 0;
	append_snapshots(job, p, &needed);
	text = str_format("pack %s: %s%s", hex(&stored->id.h).s, err->msg, buf_cstr(&needed));
	return tell_error(job, err_set(err, r, "%s", text), err);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static const struct stored_pack *
take_pack(struct crew *crew)
{
	struct job *job = crew->job;
	const struct stored_pack *ret = NULL;

	pthread_mutex_lock(&job->lock);
	while (ret == NULL && crew->code == 0 && crew->next < job->inventory.n_packs) {
		ret = &job->inventory.packs[crew->next++];
		if (job->options->only != NULL && pack_number(job, &ret->id) == UINT32_MAX)
			ret = NULL;
	}
	pthread_mutex_unlock(&job->lock);
	return ret;
}

static void
done_pack(struct crew *crew, const struct stored_pack *pack, int code, const struct err *err)
{
	struct job *job = crew->job;

	pthread_mutex_lock(&job->lock);
	if (code < 0 && crew->code == 0) {
		crew->code = code;
		crew->err = *err;
	}
	job->ret->packs_read++;
	job->ret->bytes_read += pack->len;
	job->progress.files_done++;
	job->progress.bytes_done += pack->len;
	progress_report(&job->options->progress, &job->progress);
	pthread_mutex_unlock(&job->lock);
}

static void *
work(void *arg)
{
	struct crew *crew = arg;
	struct hand h = {.job = crew->job, .codec = codec_new(1)};
	const struct stored_pack *pack;

	while ((pack = take_pack(crew)) != NULL) {
		struct err err = ERR_INIT;
		int r;

		if (progress_cancelled(&crew->job->options->progress))
			r = err_set(&err, ERR_CANCELLED, "interrupted");
		else
			r = check_pack(&h, pack, &err);
		done_pack(crew, pack, r, &err);
	}
	codec_free(h.codec);
	buf_fini(&h.object);
	buf_wipe(&h.plain);
	return NULL;
}

int
data_check(struct job *job, struct err *err)
{
	struct crew crew = {.job = job};
	pthread_t threads[THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bool all = job->options->only == NULL;
	unsigned n = 0;

	job->progress =
		(struct progress){.stage = "reading packs",
				  .files_total = all ? job->inventory.n_packs : job->n_packs,
				  .bytes_total = all ? job->inventory.pack_bytes : 0};
	while (n + 1 < min_u64(cpus > 0 ? (uint64_t)cpus : 1, THREADS_MAX) &&
	       pthread_create(&threads[n], NULL, work, &crew) == 0)
		n++;
	work(&crew);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	if (crew.code < 0 && err != NULL)
		*err = crew.err;
	return crew.code;
}
