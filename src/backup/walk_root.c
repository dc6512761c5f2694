/*
 * walk_root.c - a walk from its beginning to its end.
 *
 * Layer 4.
 */
#include <errno.h>
#include <fcntl.h>

#include "backup/walk.h"

static int
steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static int
enter_root(struct walker *w, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	struct file_stat st;
	struct item *item = NULL;
	int r;

	fd = open(w->root->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", w->root->from);
	r = meta_stat(fd, "", AT_EMPTY_PATH, &st);
	if (r == 0)
		r = meta_item(w->names, fd, "", &st, &item);
	if (r < 0) {
		errno = -r;
		return err_sys(err, "%s", w->root->from);
	}
	if (!w->root->whole) {
		/* Nobody asked for this directory: it only holds what was asked for. */
		item_free(item);
		item = mem_alloc(sizeof *item);
		item->name = str_copy("");
		item->entry = (struct entry){.name = slice_str(item->name),
					     .type = ENTRY_DIR,
					     .mode = 0755,
					     .nlink = 1,
					     .mtime = {.sec = w->run->started},
					     .ctime = {.sec = w->run->started}};
	} else {
		w->present++;
	}
	return walker_enter(w, steal_fd(&fd), &st, item, w->root);
}

static int
walk_all(struct walker *w, struct err *err)
{
	int r = enter_root(w, err);

	while (r == 0 && w->n > 0) {
		if (progress_cancelled(&w->run->options->progress))
			return err_set(err, ERR_CANCELLED,
				       "stopped; what was stored so far is used by the next run");
		if (run_failed(w->run))
			return 0;
		r = walker_step(w);
	}
	if (r == 0 && w->present == 0)
		return err_set(err, ERR_NOENT, "nothing to back up: none of the paths exists");
	return r;
}

static int
parse_targets(const struct backup_options *o, struct target **ret, struct err *err)
{
	int r;

	if (o->n_paths == 0 && o->config->n_made == 0)
		return err_set(err, ERR_INVALID, "no path to back up was given");
	r = targets_parse(o->paths, o->n_paths, ret, err);
	for (size_t i = 0; r == 0 && i < o->config->n_made; i++)
		r = targets_add_made(*ret, &o->config->made[i], err);
	if (r < 0) {
		target_free(*ret);
		*ret = NULL;
	}
	return r;
}

int
walk(struct run *run, struct err *err)
{
	struct walker w = {.run = run, .err = err};
	int r;

	r = parse_targets(run->options, &w.root, err);
	if (r < 0)
		return r;
	w.names = names_new();
	w.reader = file_reader_new(run->options->config->scan);
	w.avoid = avoid_new(run->options->avoid, run->options->n_avoid);
	r = walk_all(&w, err);
	while (w.n > 0)
		walker_level_fini(&w.levels[--w.n]);
	for (unsigned i = 0; r == 0 && i < run->n_lanes; i++)
		lane_flush(run->lanes[i]);
	free(w.levels);
	buf_fini(&w.path);
	file_reader_free(w.reader);
	avoid_free(w.avoid);
	walker_let_go(&w);
	target_free(w.root);
	/* The entries underway borrow user and group names. */
	run->names = w.names;
	return r;
}
