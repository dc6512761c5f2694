/*
 * commit.c - the last object of a run: the snapshot.
 *
 * Layer 4.
 */
#include <unistd.h>

#include "backup/internal.h"

/* ---- class parts ---- */

static int
compare_lanes(const void *a, const void *b)
{
	return strcmp((*(struct lane *const *)a)->name, (*(struct lane *const *)b)->name);
}

static int
compare_places(const void *a, const void *b)
{
	const struct pack_place *x = a, *y = b;

	return memcmp(&x->id, &y->id, sizeof x->id);
}

static int
class_packs(struct run *run, struct lane *lane, struct snapshot_class *c, struct err *err)
{
	c->packs = mem_array(lane->reach.n + 1, sizeof *c->packs);
	for (size_t i = 0; i < lane->reach.n; i++) {
		const struct catalog_section *s =
			catalog_section_find(run->catalog, lane->reach.v[i], lane->name);

		if (s == NULL)
			return err_set(err, ERR_CORRUPT,
				       "the catalog has lost pack number %u of data class %s; "
				       "remove the catalog "
				       "folder from the state folder and run again",
				       lane->reach.v[i], lane->name);
		c->packs[c->n_packs++] = s->place;
	}
	qsort(c->packs, c->n_packs, sizeof *c->packs, compare_places);
	return 0;
}

static int
class_part(struct run *run, struct lane *lane, struct buf *ret, struct err *err)
{
	struct snapshot_class c = {.counts = lane->counts,
				   .no_xattrs = !lane->has_xattrs,
				   .root = lane->root->entry};
	CLEANUP(buf_fini) struct buf node = BUF_INIT;
	int r;

	memcpy(c.name, lane->name, sizeof c.name);
	pack_table_init(&c.root_packs, NULL);
	if (lane->root_inline != NULL) {
		dir_root_inline(run, lane, &node);
		c.root.children = CHILDREN_INLINE;
		c.root.children_inline = buf_slice(&node);
	} else if (lane->has_root_node) {
		c.root.children = CHILDREN_NODE;
		node_ref_local(run, lane, &c.root_packs, &lane->root_node, &c.root.children_ref);
	}
	r = class_packs(run, lane, &c, err);
	if (r == 0)
		snapshot_class_put(ret, &c);
	free(c.packs);
	pack_table_fini(&c.root_packs);
	return r;
}

/* ---- the admin part ---- */

static void
details_labels(const struct backup_options *o, struct snapshot_details *d)
{
	d->labels = mem_array(2 * o->n_labels + 1, sizeof *d->labels);
	for (size_t i = 0; i < o->n_labels; i++) {
		const char *eq = strchr(o->labels[i], '=');
		size_t len = eq != NULL ? (size_t)(eq - o->labels[i]) : strlen(o->labels[i]);

		d->labels[d->n_labels++] = slice_of(o->labels[i], len);
		d->labels[d->n_labels++] = slice_str(eq != NULL ? eq + 1 : "");
	}
	d->paths = mem_array(o->n_paths + 1, sizeof *d->paths);
	for (size_t i = 0; i < o->n_paths; i++)
		d->paths[d->n_paths++] = slice_str(o->paths[i]);
}

static struct slice *
slices_of(char **v, size_t n, const char *const *more, size_t n_more)
{
	struct slice *s = mem_array(n + n_more + 1, sizeof *s);

	for (size_t i = 0; i < n; i++)
		s[i] = slice_str(v[i]);
	for (size_t i = 0; i < n_more; i++)
		s[n + i] = slice_str(more[i]);
	return s;
}

static void
details_classes(const struct backup_options *o, struct snapshot_details *d)
{
	const struct config *config = o->config;
	size_t n_excludes = config->n_excludes + o->n_excludes;

	d->classes = mem_array(config->n_classes + 1, sizeof *d->classes);
	for (size_t i = 0; i < config->n_classes; i++) {
		const struct config_class *c = &config->classes[i];

		d->classes[i].name = slice_str(c->name);
		d->classes[i].patterns = slices_of(c->patterns, c->n_patterns, NULL, 0);
		d->classes[i].n = c->n_patterns;
	}
	d->n_classes = config->n_classes;
	if (n_excludes == 0)
		return;
	d->classes[d->n_classes].name = slice_str("!");
	d->classes[d->n_classes].patterns =
		slices_of(config->excludes, config->n_excludes, o->excludes, o->n_excludes);
	d->classes[d->n_classes++].n = n_excludes;
}

static struct path_note *
path_notes(const struct backup_note *v, size_t n)
{
	struct path_note *ret = mem_array(n + 1, sizeof *ret);

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct path_note){slice_str(v[i].path), slice_str(v[i].text)};
	return ret;
}

static void
admin_part(struct run *run, struct lane *const *lanes, size_t n_lanes, struct buf *ret)
{
	const struct backup_options *o = run->options;
	const struct backup_result *result = run->result;
	struct snapshot_details d = {.zone = slice_str(o->config->zone != NULL ? o->config->zone
									       : ""),
				     .cutoff_min = o->config->cutoff_min,
				     .tool = slice_str("tillfs " TILLFS_VERSION),
				     .started = run->started,
				     .finished = time_now()};
	char host[256] = "";

	(void)gethostname(host, sizeof host - 1); /* unknown: empty */
	d.host = slice_str(host);
	details_labels(o, &d);
	details_classes(o, &d);
	d.unreadable = path_notes(result->unreadable, result->n_unreadable);
	d.n_unreadable = result->n_unreadable;
	d.notes = path_notes(result->notes, result->n_notes);
	d.n_notes = result->n_notes;
	d.hash_keys = secret_new((n_lanes + 1) * sizeof *d.hash_keys);
	for (size_t i = 0; i < n_lanes; i++) {
		d.hash_keys[i].name = slice_str(lanes[i]->name);
		d.hash_keys[i].key = *lanes[i]->hash_key;
	}
	d.n_hash_keys = n_lanes;
	snapshot_details_put(ret, &d);
	secret_free(d.hash_keys);
	free(d.labels);
	free(d.paths);
	for (size_t i = 0; i < d.n_classes; i++)
		free(d.classes[i].patterns);
	free(d.classes);
	free(d.unreadable);
	free(d.notes);
}

/* ---- the chain ---- */

/* Packs may have been retired while we worked. */
static int
still_welcome(struct run *run, struct err *err)
{
	const struct ledger_writer *w =
		ledger_find_writer(repo_ledger(run->repo), &run->writer->card.writer);
	const struct pack_table *packs = catalog_packs(run->catalog);

	if (w == NULL)
		return err_set(err, ERR_DENIED, "this writer is no longer enrolled");
	for (unsigned i = 0; i < run->n_lanes; i++)
		for (size_t k = 0; k < run->lanes[i]->reach.n; k++) {
			const struct pack_id *id = &packs->ids[run->lanes[i]->reach.v[k]];

			if (ledger_pack_usable(w, id))
				continue;
			run->stale = true;
			return err_set(err, ERR_BUSY,
				       "pack %s was retired while this backup ran; run it again",
				       hex_short(&id->h).s);
		}
	return 0;
}

/*
 * Our own newest snapshot, in the store or seen before (so that a withheld one's number isn't used
 * again), is what the new one follows; the others' heads are what it vouches for.
 */
static void
take_own_head(struct snapshot_clear *clear, struct chain_head *heads)
{
	for (size_t i = 0; i < clear->n_heads; i++) {
		if (!writer_id_equal(&heads[i].writer, &clear->writer))
			continue;
		clear->has_prev = true;
		clear->prev.h = heads[i].id;
		clear->seq = heads[i].seq + 1;
		memmove(heads + i, heads + i + 1, (clear->n_heads - i - 1) * sizeof *heads);
		clear->n_heads--;
		return;
	}
}

static void
clear_part(struct run *run, struct snapshot_clear *clear, struct chain_head **heads)
{
	const struct backup_options *o = run->options;

	*clear = (struct snapshot_clear){.repo = *repo_id(run->repo),
					 .writer = run->writer->card.writer,
					 .date = run->date,
					 .time = o->has_time ? o->time : run->started,
					 .seq = 1,
					 .ledger = repo_ledger(run->repo)->head};
	repo_heads(run->repo, heads, &clear->n_heads);
	take_own_head(clear, *heads);
	clear->heads = *heads;
}

static int
encode_and_store(struct run *run, const struct snapshot_part_in *parts, size_t n, struct err *err)
{
	CLEANUP(codec_freep) struct codec *codec = codec_new(6);
	CLEANUP(freep) struct chain_head *heads = NULL;
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct snapshot_clear clear;
	int r;

	clear_part(run, &clear, &heads);
	snapshot_encode(&clear, parts, n, run->writer->pair, codec, &object, &run->result->name);
	r = store_create(repo_store(run->repo), snapshot_key_format(&run->result->name).s,
			 buf_slice(&object), err);
	run->result->bytes_stored += object.len;
	return r < 0 ? err_add(err, r, "storing the snapshot") : 0;
}

static void
add_counts(struct snapshot_counts *to, const struct snapshot_counts *from)
{
	to->files += from->files;
	to->dirs += from->dirs;
	to->others += from->others;
	to->bytes += from->bytes;
}

int
commit_snapshot(struct run *run, struct err *err)
{
	struct lane *lanes[LANES_MAX] = {0};
	struct buf plain[LANES_MAX + 1] = {{0}};
	struct snapshot_part_in parts[LANES_MAX + 1];
	CLEANUP(freep) struct recipient *admins = NULL;
	size_t n = 0, n_admins = 0;
	int r;

	for (unsigned i = 0; i < run->n_lanes; i++)
		if (run->lanes[i]->root != NULL)
			lanes[n++] = run->lanes[i];
	qsort(lanes, n, sizeof *lanes, compare_lanes);
	/* Until now a stop leaves no snapshot; all was read, perhaps, but not all was wanted. */
	if (progress_cancelled(&run->options->progress))
		return err_set(err, ERR_CANCELLED, "stopped");
	r = repo_refresh(run->repo, NULL, err);
	if (r == 0)
		r = still_welcome(run, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		add_counts(&run->result->counts, &lanes[i]->counts);
		r = class_part(run, lanes[i], &plain[i + 1], err);
		parts[i + 1] = (struct snapshot_part_in){.plain = buf_slice(&plain[i + 1]),
							 .recipients = lanes[i]->recipients,
							 .n_recipients = lanes[i]->n_recipients};
	}
	if (r == 0) {
		admin_part(run, lanes, n, &plain[0]);
		ledger_admin_recipients(repo_ledger(run->repo), &admins, &n_admins);
		parts[0] = (struct snapshot_part_in){buf_slice(&plain[0]), admins, n_admins};
		r = encode_and_store(run, parts, n + 1, err);
	}
	for (size_t i = 0; i <= n; i++)
		buf_wipe(&plain[i]);
	return r;
}
