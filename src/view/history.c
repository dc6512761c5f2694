/*
 * history.c - history/<writer>/<path>: a path followed through all snapshots of its writer.
 *
 * Where the path is a folder, its directory here has every name that ever stood in it; where it is
 * a file, every distinct version, called <time>.<name>.  Both are told by references, so no content
 * is read, and a folder that stayed as it was costs one comparison a snapshot.
 */
#include "private.h"
#include "tillfs/compare.h"

#include <stdlib.h>

#define INDEX_NAMES_MAX (1u << 22) /* of one directory */

/* ---- an index: all names of one directory ------------------------------------------------------
 */

void
history_index_put(struct history_index *x)
{
	if (x == NULL || atomic_fetch_sub(&x->refs, 1) > 1)
		return;
	for (size_t i = 0; i < x->n; i++)
		free(x->names[i].name);
	free(x->names);
	free(x->path);
	calendar_put(x->calendar);
	free(x);
}

static int
by_name(const void *a, const void *b)
{
	const struct history_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

const struct history_name *
history_index_find(const struct history_index *x, struct slice name)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = slice_cmp(slice_str(x->names[mid].name), name);

		if (r == 0)
			return &x->names[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- making one --------------------------------------------------------------------------------
 */

struct follow {
	struct view *view;
	struct history_index *index;
	size_t cap, sorted; /* names up to there are in order, each once */
	struct slice path;
	struct calendar_host *host;
	const struct calendar_names *host_names;
	struct version_walk folder, file;          /* the last ones seen */
	struct view_snap *folder_snap, *file_snap; /* pinned: what they lie in, or NULL */
};

static void
let_go(struct view *v, struct view_snap **s)
{
	if (*s == NULL)
		return;
	view_snap_unpin(v, *s);
	view_snap_put(v, *s);
	*s = NULL;
}

static void
follow_fini(struct follow *f)
{
	version_walk_fini(&f->folder);
	version_walk_fini(&f->file);
	let_go(f->view, &f->folder_snap);
	let_go(f->view, &f->file_snap);
}

/* Drops names that stand there twice. */
static void
sort_names(struct history_index *x)
{
	size_t n = 0;

	if (x->n > 0)
		qsort(x->names, x->n, sizeof *x->names, by_name);
	for (size_t i = 0; i < x->n; i++) {
		if (n > 0 && strcmp(x->names[n - 1].name, x->names[i].name) == 0)
			free(x->names[i].name);
		else
			x->names[n++] = x->names[i];
	}
	x->n = n;
}

static struct history_name *
add_name(struct follow *f, char *name)
{
	struct history_index *x = f->index;

	/* Each folder that changed adds all its names again: sort them out before they pile up. */
	if (x->n >= 1024 && x->n >= 2 * f->sorted) {
		sort_names(x);
		f->sorted = x->n;
	}
	array_reserve(x->names, x->n, f->cap);
	x->names[x->n] = (struct history_name){.name = name};
	return &x->names[x->n++];
}

/* A folder as it was in one snapshot: its names. */
static int
add_folder(struct follow *f, const struct merged *dir, struct err *err)
{
	CLEANUP(merged_cursor_closep) struct merged_cursor *cursor = NULL;
	const struct merged *x;
	int r;

	r = merged_cursor_open(dir, &cursor, err);
	while (r == 0) {
		struct slice name;

		if (f->index->n >= INDEX_NAMES_MAX)
			return err_set(err, ERR_UNSUPPORTED, "more than %u names over time",
				       INDEX_NAMES_MAX);
		r = merged_cursor_next(cursor, &x, err);
		if (r < 0)
			break;
		name = merged_entry(x)->name;
		add_name(f, str_format("%.*s", (int)name.len, (const char *)name.p))->kind =
			VIEW_HISTORY_PATH;
	}
	return r == ERR_NOENT ? 0 : r;
}

/* The last component of a path. */
static struct slice
last_of(struct slice path)
{
	const uint8_t *slash = memrchr(path.p, '/', path.len);

	if (slash == NULL)
		return path;
	return slice_of(slash + 1, path.len - (size_t)(slash + 1 - path.p));
}

/* <time>.<name>; of a name that is too long for that, the end, where its type stands. */
static char *
version_name(const char *time, struct slice name)
{
	size_t room = ENTRY_NAME_MAX - strlen(time) - 1;
	size_t cut = name.len > room ? name.len - room : 0;

	return str_format("%s.%.*s", time, (int)(name.len - cut), (const char *)name.p + cut);
}

static int
add_version(struct follow *f, struct view_snap *s, uint32_t at, const struct merged *file,
	    struct err *err)
{
	const char *time = calendar_names_of(f->host_names, at);
	struct history_name *x = add_name(f, version_name(time, last_of(f->path)));

	x->kind = VIEW_VERSION;
	x->snapshot = f->index->calendar->list->snapshots[at];
	return view_attr_inside(s, file, f->path, &x->attr, err);
}

/* What a snapshot has at the path.  Takes over the snapshot's pin and reference where it keeps it.
 */
static int
add_at(struct follow *f, struct view_snap **s, uint32_t at, struct merged *x, struct err *err)
{
	bool is_dir = merged_entry(x)->type == ENTRY_DIR;
	struct version_walk *walk = is_dir ? &f->folder : &f->file;
	struct view_snap **kept = is_dir ? &f->folder_snap : &f->file_snap;

	(void)version_walk_step(is_dir ? &f->file : &f->folder, NULL);
	if (version_walk_step(walk, x) != VERSION_CHANGED)
		return 0;
	let_go(f->view, kept);
	*kept = *s;
	*s = NULL;
	return is_dir ? add_folder(f, &walk->last, err)
		      : add_version(f, *kept, at, &walk->last, err);
}

/* A snapshot that can't be read is left out, and the log says so; a dead store ends it all. */
static int
pass_over(struct follow *f, const struct snapshot_name *name, int code, const struct err *err)
{
	if (code == ERR_UNREACHABLE || code == ERR_CANCELLED || code == ERR_UNSUPPORTED)
		return code;
	if (code != ERR_NOENT && code != ERR_DENIED)
		log_write(LOG_WARN, "history of %.*s: left out: %s: %s", (int)f->path.len,
			  (const char *)f->path.p, repo_snapshot_label(f->view->repo, name).s,
			  err->msg);
	return 0;
}

static int
follow_one(struct follow *f, uint32_t at, struct err *err)
{
	const struct repo_snapshot *snapshot = &f->index->calendar->list->snapshots[at];
	CLEANUP(merged_fini) struct merged x = {0};
	struct view_snap *s = view_snap_get(f->view, snapshot);
	int r;

	r = view_snap_pin(f->view, s, err);
	if (r < 0) {
		view_snap_put(f->view, s);
		return pass_over(f, &snapshot->name, r, err);
	}
	r = merge_resolve(s->merge, f->path, &x, err);
	if (r == 0) {
		r = add_at(f, &s, at, &x, err);
	} else if (r == ERR_NOENT) {
		(void)version_walk_step(&f->folder, NULL);
		(void)version_walk_step(&f->file, NULL);
	}
	merged_fini(&x);
	let_go(f->view, &s);
	return r < 0 ? pass_over(f, &snapshot->name, r, err) : 0;
}

static int
by_sequence(const void *a, const void *b, void *arg)
{
	const struct repo_snapshot *snapshots = arg;
	uint64_t x = snapshots[*(const uint32_t *)a].name.seq;
	uint64_t y = snapshots[*(const uint32_t *)b].name.seq;

	return (x > y) - (x < y);
}

static int
follow_all(struct follow *f, struct err *err)
{
	const struct repo_list *list = f->index->calendar->list;
	CLEANUP(freep) uint32_t *order = mem_copy(f->host->at, f->host->n * sizeof *order);
	int r = 0;

	qsort_r(order, f->host->n, sizeof *order, by_sequence, (void *)list->snapshots);
	for (uint32_t i = 0; r == 0 && i < f->host->n; i++)
		r = follow_one(f, order[i], err);
	if (r < 0)
		return r;
	sort_names(f->index);
	return f->index->n > 0 || f->path.len == 0
		       ? 0
		       : err_set(err, ERR_NOENT, "no snapshot of %s has it", f->host->name);
}

/* ---- keeping some ------------------------------------------------------------------------------
 */

void
view_histories_init(struct view_histories *t)
{
	pthread_mutex_init(&t->lock, NULL);
}

void
view_histories_fini(struct view_histories *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->slot); i++)
		history_index_put(t->slot[i].index);
	pthread_mutex_destroy(&t->lock);
}

/* A reference, or NULL. */
static struct history_index *
kept_get(struct view_histories *t, const struct calendar *c, const char *path)
{
	struct history_index *found = NULL;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < ARRAY_LEN(t->slot) && found == NULL; i++) {
		struct history_index *x = t->slot[i].index;

		if (x == NULL || x->calendar != c || strcmp(x->path, path) != 0)
			continue;
		t->slot[i].used = ++t->clock;
		found = x;
		atomic_fetch_add(&found->refs, 1);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static void
kept_put(struct view_histories *t, struct history_index *x)
{
	struct history_index *old;
	size_t oldest = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 1; i < ARRAY_LEN(t->slot); i++)
		if (t->slot[i].used < t->slot[oldest].used)
			oldest = i;
	old = t->slot[oldest].index;
	atomic_fetch_add(&x->refs, 1);
	t->slot[oldest].index = x;
	t->slot[oldest].used = ++t->clock;
	pthread_mutex_unlock(&t->lock);
	history_index_put(old);
}

/* The writer that a directory of the history is about; NULL when it has no snapshots any more. */
static struct calendar_host *
host_of(struct calendar *c, const struct view_node *n)
{
	while (n->kind != VIEW_HISTORY_HOST)
		n = n->parent;
	return calendar_host_find(c, view_node_name(n));
}

int
view_history_index(struct view *v, const struct view_node *dir, struct history_index **ret,
		   struct err *err)
{
	CLEANUP(history_index_putp) struct history_index *x = mem_alloc(sizeof *x);
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	struct follow f = {.view = v, .index = x};
	int r;

	*ret = NULL;
	atomic_init(&x->refs, 1);
	r = view_calendar_for(v, dir, &x->calendar, err);
	if (r < 0)
		return r;
	view_node_path_below(dir, VIEW_HISTORY, &path); /* the writer's name in front */
	x->path = str_copy(buf_cstr(&path));
	*ret = kept_get(&v->histories, x->calendar, x->path);
	if (*ret != NULL)
		return 0;

	f.host = host_of(x->calendar, dir);
	if (f.host == NULL)
		return err_set(err, ERR_NOENT, "its snapshots are no longer in the repository");
	f.host_names = calendar_host_names(x->calendar, f.host);
	buf_reset(&path);
	view_node_path_below(dir, VIEW_HISTORY_HOST, &path);
	f.path = buf_slice(&path);
	r = follow_all(&f, err);
	follow_fini(&f);
	if (r < 0)
		return r;
	kept_put(&v->histories, x);
	*ret = steal_ptr(&x);
	return 0;
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

bool
view_node_is_history(const struct view_node *n)
{
	return n->kind == VIEW_HISTORY_HOST || n->kind == VIEW_HISTORY_PATH;
}

struct view_node *
view_history_node(struct view *v, struct view_node *dir, const struct history_name *name)
{
	struct view_snap *s = NULL;
	struct view_node *n;

	if (name->kind == VIEW_VERSION)
		s = view_snap_get(v, &name->snapshot);
	n = view_node_get(v, dir, name->kind, slice_str(name->name), s);
	if (s != NULL)
		view_snap_put(v, s);
	return n;
}

int
view_history_lookup(struct view *v, struct view_node *dir, struct slice name,
		    struct view_node **ret, struct view_attr *ret_attr, struct err *err)
{
	CLEANUP(history_index_putp) struct history_index *x = NULL;
	const struct history_name *found;
	int r;

	r = view_history_index(v, dir, &x, err);
	if (r < 0)
		return r;
	found = history_index_find(x, name);
	if (found == NULL)
		return err_set(err, ERR_NOENT, "no such file");
	*ret = view_history_node(v, dir, found);
	if (found->kind == VIEW_VERSION)
		*ret_attr = found->attr;
	else
		view_own_attr(v, *ret, ret_attr);
	return 0;
}
