/*
 * tree.c - every folder and stream node of a class's tree, once, whichever snapshots share it.
 *
 * Snapshots share most of their trees.  What was visited is remembered by its place in its pack,
 * with the packs that it needs: the next snapshot that refers to it must list them too, and has the
 * same damage in it.
 */
#include "internal.h"

struct frame {
	struct tree_cursor *cursor;
	struct place_key key; /* valid when has_key: the root may stand in the snapshot itself */
	bool has_key;
	bool bad;
	struct pack_set reach;
	size_t path_len;
};

struct walk {
	struct job *job;
	const struct snapshot_class *class;
	const char *label;
	struct frame *frames;
	size_t n, cap;
	struct buf path;
	bool told;   /* damage was told of this snapshot */
	bool shared; /* there is damage in it that was told of another */
};

static void
walk_fini(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		tree_cursor_close(w->frames[i].cursor);
		pack_set_fini(&w->frames[i].reach);
	}
	free(w->frames);
	buf_fini(&w->path);
}

static struct frame *
top(struct walk *w)
{
	return &w->frames[w->n - 1];
}

/* Tells what is wrong with w->path.  Return: 0 when the check goes on. */
static int
tell_here(struct walk *w, int code, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;

	text_append_safe(&path, buf_slice(&w->path));
	(void)err_add(err, code, "%s: /%s", w->label, buf_cstr(&path));
	w->told = true;
	if (w->n > 0)
		top(w)->bad = true;
	return tell_error(w->job, code, err);
}

static void
place_of(const struct walk *w, const struct tree_item *item, const struct node_ref *ref,
	 struct place_key *ret)
{
	const struct pack_table *packs =
		item->node != NULL ? &item->node->packs : &w->class->root_packs;
	const struct pack_id *id = &packs->ids[ref->seg.pack];
	const struct pack_place *place = snapshot_class_pack(w->class, id);

	*ret = (struct place_key){.pack = id->h,
				  .section = place != NULL ? place->ordinal : UINT64_MAX,
				  .seg_off = ref->seg.off,
				  .off = ref->off};
}

/* ---- what was visited before ---------------------------------------------------------------- */

static void
remember(struct job *job, const struct place_key *key, struct pack_set *reach, bool bad)
{
	array_reserve(job->seen, job->n_seen, job->cap_seen);
	job->seen[job->n_seen] = (struct node_seen){*reach, bad};
	*reach = (struct pack_set){0};
	table_put(&job->nodes, key, (uint32_t)job->n_seen++);
}

/* Takes over what is known of something.  Return: 0 when the check goes on. */
static int
reuse(struct walk *w, const struct node_seen *seen, struct err *err)
{
	for (size_t i = 0; i < seen->reach.n; i++) {
		const struct pack_id *id = &w->job->packs[seen->reach.v[i]].id;

		if (snapshot_class_pack(w->class, id) != NULL)
			continue;
		return tell_here(w,
				 err_set(err, ERR_CORRUPT,
					 "it needs pack %s, which the snapshot doesn't list",
					 hex(&id->h).s),
				 err);
	}
	pack_set_merge(&top(w)->reach, &seen->reach);
	top(w)->bad |= seen->bad;
	w->shared |= seen->bad;
	return 0;
}

/* Whether nothing needs to be read to know that it can't be: its pack is missing. */
static bool
is_lost(const struct walk *w, const struct place_key *key)
{
	const struct pack_id id = {key->pack};
	uint32_t n = pack_number(w->job, &id);

	return n != UINT32_MAX && w->job->packs[n].bad != NULL;
}

/* ---- entries -------------------------------------------------------------------------------- */

static int
push(struct walk *w, const struct tree_item *dir, const struct place_key *key, struct err *err)
{
	struct tree_cursor *cursor;
	struct frame f = {.path_len = w->path.len};
	int r;

	r = tree_cursor_open(dir, &cursor, err);
	if (r < 0)
		return tell_here(w, r, err);
	f.cursor = cursor;
	if (key != NULL) {
		const struct pack_id id = {key->pack};
		uint32_t n = pack_number(w->job, &id);

		f.key = *key;
		f.has_key = true;
		if (n != UINT32_MAX)
			pack_set_add(&f.reach, n);
	}
	array_reserve(w->frames, w->n, w->cap);
	w->frames[w->n++] = f;
	return 0;
}

static void
pop(struct walk *w)
{
	struct frame f = w->frames[--w->n];

	tree_cursor_close(f.cursor);
	if (w->n > 0) {
		pack_set_merge(&top(w)->reach, &f.reach);
		top(w)->bad |= f.bad;
	}
	if (f.has_key)
		remember(w->job, &f.key, &f.reach, f.bad);
	pack_set_fini(&f.reach);
}

static int
visit_dir(struct walk *w, const struct tree_item *dir, struct err *err)
{
	struct place_key key;
	uint32_t known;

	if (dir->entry.children == CHILDREN_NONE)
		return 0;
	if (dir->entry.children == CHILDREN_INLINE)
		return push(w, dir, NULL, err);
	place_of(w, dir, &dir->entry.children_ref, &key);
	known = table_find(&w->job->nodes, &key);
	if (known != UINT32_MAX && w->n > 0)
		return reuse(w, &w->job->seen[known], err);
	if (is_lost(w, &key)) {
		if (w->n > 0)
			top(w)->bad = true;
		return 0;
	}
	return push(w, dir, &key, err);
}

static int
visit_file(struct walk *w, const struct tree_item *file, struct err *err)
{
	CLEANUP(pack_set_fini) struct pack_set reach = {0};
	bool is_tree = file->entry.content.kind == CONTENT_TREE;
	struct place_key key;
	uint32_t known;
	int r;

	if (!is_tree && file->entry.content.kind != CONTENT_LEAF)
		return 0;
	if (is_tree) {
		place_of(w, file, &file->entry.content.root, &key);
		known = table_find(&w->job->nodes, &key);
		if (known != UINT32_MAX)
			return reuse(w, &w->job->seen[known], err);
		if (is_lost(w, &key)) {
			top(w)->bad = true;
			return 0;
		}
	}
	r = extents_check(w->job, file, &reach, err);
	pack_set_merge(&top(w)->reach, &reach);
	if (is_tree)
		remember(w->job, &key, &reach, r < 0);
	return r < 0 ? tell_here(w, r, err) : 0;
}

/* The next entry of the innermost folder, or out of it. */
static int
step(struct walk *w, struct err *err)
{
	struct frame *f = top(w);
	const struct tree_item *item;
	int r;

	w->path.len = f->path_len;
	r = tree_cursor_next(f->cursor, &item, err);
	if (r < 0) {
		r = r == ERR_NOENT ? 0 : tell_here(w, r, err);
		pop(w);
		return r;
	}
	if (item->node != NULL && !item->node->origin.inline_root) {
		uint32_t n = pack_number(w->job, &item->node->origin.pack);

		if (n != UINT32_MAX)
			pack_set_add(&f->reach, n);
	}
	if (w->path.len > 0)
		buf_append_u8(&w->path, '/');
	buf_append(&w->path, item->entry.name.p, item->entry.name.len);
	if (item->entry.type == ENTRY_DIR)
		return visit_dir(w, item, err);
	return item->entry.type == ENTRY_FILE ? visit_file(w, item, err) : 0;
}

int
tree_check(struct job *job, struct tree *t, const char *label, struct err *err)
{
	CLEANUP(tree_item_fini) struct tree_item root = {0};
	CLEANUP(walk_fini)
	struct walk w = {.job = job, .class = tree_class_part(t), .label = label};
	int r;

	tree_root(t, &root);
	r = visit_dir(&w, &root, err);
	while (r == 0 && w.n > 0) {
		if (progress_cancelled(&job->options->progress))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = step(&w, err);
	}
	if (r == 0 && w.shared && !w.told) {
		CLEANUP(freep)
		char *text = str_format("%s: damage that was told of another snapshot is in it too",
					label);

		tell(job, false, ERR_CORRUPT, text);
	}
	return r;
}
