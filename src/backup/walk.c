/*
 * walk.c - walk the paths in name order and tell each class's lane what stands where.
 *
 * A stack on the heap, a directory descriptor a level: depth and path length have no limit of ours.
 * A directory is begun in the lane of its own class at once, and in another lane when the first
 * file of that class turns up below it.
 *
 * Layer 4.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backup/walk.h"

/* ---- lanes of directories ---- */

struct lane *
walker_lane(struct walker *w, struct slice path)
{
	struct lane *lane = NULL;
	int r = lane_for(w->run, config_classify(w->run->options->config, path), &lane, w->err);

	if (r < 0 && w->rc == 0)
		w->rc = r;
	return lane;
}

void
walker_begin(struct walker *w, struct lane *lane)
{
	uint64_t bit = UINT64_C(1) << lane->index;
	size_t first = w->n;

	while (first > 0 && !(w->levels[first - 1].begun & bit))
		first--;
	for (size_t i = first; i < w->n; i++) {
		w->levels[i].begun |= bit;
		lane_emit(lane, event_new(EVENT_DIR_BEGIN, lane));
	}
}

const struct record *
walker_record(struct walker *w, struct level *l, struct lane *lane)
{
	uint64_t bit = UINT64_C(1) << lane->index;
	CLEANUP(buf_fini) struct buf key = BUF_INIT, bytes = BUF_INIT;
	struct record *rec;
	int r;

	if (l->loaded & bit)
		return l->records[lane->index];
	l->loaded |= bit;
	record_key(lane, slice_of(w->path.p, l->path_len), &key);
	rec = mem_alloc(sizeof *rec);
	pthread_mutex_lock(&w->run->catalog_lock);
	r = catalog_dir_find(w->run->catalog, buf_slice(&key), &bytes, NULL);
	if (r == 0 && !record_decode(buf_slice(&bytes), catalog_packs(w->run->catalog), rec)) {
		record_free(rec);
		rec = mem_alloc(sizeof *rec);
	}
	pthread_mutex_unlock(&w->run->catalog_lock);
	l->records[lane->index] = rec;
	return rec;
}

/* ---- entries ---- */

static int
walk_leaf(struct walker *w, const char *name, const struct file_stat *st)
{
	struct lane *lane = walker_lane(w, path_of(w));
	struct event *e;
	int r;

	if (lane == NULL)
		return w->rc;
	e = event_new(EVENT_ITEM, lane);
	r = meta_item(w->names, top(w)->fd, name, st, &e->item);
	if (r < 0) {
		note_unreadable(w->run, path_of(w), strerror(-r));
		event_free(e);
		return 0;
	}
	walker_begin(w, lane);
	r = st->entry.type == ENTRY_FILE ? walker_file(w, lane, name, st, e) : 0;
	if (r < 0) {
		event_free(e);
		return r == ERR_NOENT ? 0 : r;
	}
	lane_emit(lane, e);
	return 0;
}

/* ---- directories ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
list_names(struct level *l)
{
	int fd = openat(l->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	size_t cap = 0;
	int saved;

	if (d == NULL) {
		saved = errno;
		if (fd >= 0)
			close(fd);
		return -saved;
	}
	errno = 0;
	while ((de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		array_reserve(l->names, l->n, cap);
		l->names[l->n++] = str_copy(de->d_name);
		errno = 0;
	}
	saved = errno;
	closedir(d);
	if (l->n > 0)
		qsort(l->names, l->n, sizeof *l->names, compare_names);
	return -saved;
}

static void
target_names(struct level *l)
{
	l->names = mem_array(l->target->n + 1, sizeof *l->names);
	for (; l->n < l->target->n; l->n++)
		l->names[l->n] = str_copy(l->target->children[l->n]->name);
}

/* Made files stand beside what is there; what is there wins. */
static void
add_made(struct walker *w, struct level *l, const struct target *target)
{
	size_t n = l->n;

	for (size_t i = 0; i < target->n; i++) {
		const char *name = target->children[i]->name;
		char **there =
			n == 0 ? NULL
			       : bsearch(&name, l->names, n, sizeof *l->names, compare_names);

		if (!target->children[i]->made)
			continue;
		if (there != NULL) {
			w->path.len = l->path_len;
			buf_append_str(&w->path, name);
			walker_fail(w, "something else of this name is backed up");
			w->path.len = l->path_len;
			continue;
		}
		l->names = mem_grow(l->names, l->n + 1, sizeof *l->names);
		l->names[l->n++] = str_copy(name);
		array_reserve(l->made, l->n_made, l->cap_made);
		l->made[l->n_made++] = target->children[i];
	}
	if (l->n > n)
		qsort(l->names, l->n, sizeof *l->names, compare_names);
}

void
walker_level_fini(struct level *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
	for (size_t i = 0; i < LANES_MAX; i++)
		record_free(l->records[i]);
	for (size_t i = 0; i < l->n_databases; i++)
		free(l->databases[i].name);
	free(l->databases);
	free(l->made);
	item_free(l->item);
	if (l->fd >= 0)
		close(l->fd);
}

int
walker_enter(struct walker *w, int fd, const struct file_stat *st, struct item *item,
	     const struct target *target)
{
	struct level *l;

	array_reserve(w->levels, w->n, w->cap);
	l = &w->levels[w->n++];
	*l = (struct level){.fd = fd, .dev = st->stamp.dev, .path_len = w->path.len, .item = item};
	l->lane = walker_lane(w, path_of(w));
	if (l->lane == NULL)
		return w->rc;
	if (target != NULL && !target->whole) {
		l->target = target;
		target_names(l);
	} else {
		/* Without a descriptor, why is noted already. */
		int r = fd >= 0 ? list_names(l) : 0;

		if (r < 0)
			note_unreadable(w->run, path_of(w), strerror(-r));
		if (target != NULL)
			add_made(w, l, target);
	}
	walker_begin(w, l->lane);
	return 0;
}

/* A directory seen from a lane of another class: part of a path, nothing more. */
static struct item *
bare_item(const struct item *of)
{
	struct item *it = mem_alloc(sizeof *it);

	it->name = str_copy(of->name);
	it->entry = (struct entry){.name = slice_str(it->name),
				   .type = ENTRY_DIR,
				   .mode = 0555,
				   .mtime = of->entry.mtime,
				   .ctime = of->entry.ctime,
				   .nlink = 1,
				   .bare = true};
	return it;
}

/* @item: taken. */
static void
end_in(struct walker *w, struct level *l, struct lane *lane, struct item *item)
{
	struct event *e = event_new(EVENT_DIR_END, lane);

	e->item = item;
	e->path = mem_copy(w->path.p, l->path_len);
	e->path_len = l->path_len;
	e->n_recorded = walker_record(w, l, lane)->n;
	lane_emit(lane, e);
}

static void
leave(struct walker *w)
{
	struct level *l = top(w);

	for (unsigned i = 0; i < w->run->n_lanes; i++) {
		struct lane *lane = w->run->lanes[i];

		if (lane != l->lane && (l->begun & (UINT64_C(1) << i)))
			end_in(w, l, lane, bare_item(l->item));
	}
	end_in(w, l, l->lane, steal_ptr(&l->item));
	walker_level_fini(l);
	w->n--;
}

static bool
excluded(struct walker *w)
{
	const struct backup_options *o = w->run->options;

	for (size_t i = 0; i < o->n_excludes; i++)
		if (glob_match(o->excludes[i], path_of(w)))
			return true;
	for (size_t i = 0; i < o->config->n_excludes; i++)
		if (glob_match(o->config->excludes[i], path_of(w)))
			return true;
	return false;
}

/* @hollow: keep the directory, and don't look into it. */
static int
walk_dir(struct walker *w, const char *name, const struct file_stat *st,
	 const struct target *target, bool hollow)
{
	/* What leads to a PATH may be a symlink; what is found below one is not followed. */
	bool on_the_way = target != NULL && !target->whole;
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (on_the_way ? 0 : O_NOFOLLOW);
	struct item *item;
	int fd = -1, r;

	r = meta_item(w->names, top(w)->fd, name, st, &item);
	if (r < 0) {
		note_unreadable(w->run, path_of(w), strerror(-r));
		return 0;
	}
	if (!hollow) {
		fd = openat(top(w)->fd, name, flags | O_NOATIME);
		if (fd < 0 && errno == EPERM)
			fd = openat(top(w)->fd, name, flags);
		if (fd < 0)
			note_unreadable(w->run, path_of(w), strerror(errno));
	}
	return walker_enter(w, fd, st, item, target);
}

/* Our own places, mounts of tillfs, and with --one-file-system other file systems. */
static bool
is_hollow(const struct walker *w, const struct file_stat *st, const struct target *target)
{
	const struct level *l = &w->levels[w->n - 1];

	if (avoid_has(w->avoid, st->stamp.dev, st->stamp.ino))
		return true;
	return target == NULL && w->run->options->one_file_system && st->stamp.dev != l->dev;
}

static void
count_entry(struct walker *w, const struct target *target)
{
	if (target != NULL && target->whole)
		w->present++;
}

static int
walk_entry(struct walker *w, const char *name, const struct target *target)
{
	bool on_the_way = target != NULL && !target->whole;
	struct file_stat st;
	int r;

	if (target != NULL && target->made)
		return walker_made(w, target);
	if (target == NULL && excluded(w))
		return 0;
	r = meta_stat(top(w)->fd, name, on_the_way ? 0 : AT_SYMLINK_NOFOLLOW, &st);
	if (r < 0) {
		/* Gone between listing and look: files come and go. */
		if (r != -ENOENT || target != NULL)
			note_unreadable(w->run, path_of(w), strerror(-r));
		return 0;
	}
	if (target == NULL && st.entry.type == ENTRY_FILE && walker_hides(w, name))
		return 0;
	count_entry(w, target);
	if (st.entry.type != ENTRY_DIR)
		return walk_leaf(w, name, &st);
	return walk_dir(w, name, &st, target, is_hollow(w, &st, target));
}

int
walker_step(struct walker *w)
{
	struct level *l = top(w);
	const struct target *target = NULL;
	char *name;
	int r;

	if (l->i == l->n) {
		leave(w);
		return 0;
	}
	if (l->target != NULL)
		target = l->target->children[l->i];
	for (size_t i = 0; i < l->n_made && target == NULL; i++)
		if (strcmp(l->made[i]->name, l->names[l->i]) == 0)
			target = l->made[i];
	name = l->names[l->i++];
	w->path.len = l->path_len;
	if (l->path_len > 0)
		buf_append_u8(&w->path, '/');
	buf_append_str(&w->path, name);
	r = walk_entry(w, name, target);
	return r < 0 ? r : w->rc;
}
