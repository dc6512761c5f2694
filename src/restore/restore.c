/*
 * restore.c - the whole of a restore: check for conflicts, start the workers, walk, wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "tillfs/seal.h"

/* ---- what the walker tells ---------------------------------------------------------------- */

static int
enter(void *arg, void *dir, const struct merged *x, bool wanted, void **ret, struct err *err)
{
	struct run *run = arg;
	struct outdir *d;

	if (restore_stopped(run))
		return err_set(err, ERR_CANCELLED, "interrupted");
	d = outdir_new(dir, merged_item(x));
	/* A folder that is only on the way is made when something in it is. */
	if (wanted && outdir_make(run, d, err) < 0) {
		outdir_put(run, d);
		return WALK_SKIP; /* told already */
	}
	*ret = d;
	return 0;
}

static void
leave(void *arg, void *dir)
{
	outdir_put(arg, dir);
}

static int
other(void *arg, void *dir, const struct merged *x, struct err *err)
{
	struct run *run = arg;
	struct job *job;

	if (restore_stopped(run))
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (outdir_make(run, dir, err) < 0)
		return 0; /* told already */
	job = job_new(dir, merged_item(x));
	if (merged_entry(x)->nlink > 1)
		link_claim(run, job);
	else
		work_add(run, job);
	restore_report(run);
	return 0;
}

static int
broken(void *arg, void *dir, int code, struct err *err)
{
	struct run *run = arg;

	(void)err_add(err, code, "listing the folder");
	restore_failed(run, dir, slice_str(""), code, err);
	return restore_stopped(run) ? code : 0;
}

/* ---- the run ------------------------------------------------------------------------------ */

/* Folders stay open while something is made in them, nested ones all at once. */
static void
allow_many_open_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* The destination, made when it isn't there.  @ret_made: whether it was. */
static int
open_destination(const char *to, int *ret, bool *ret_made, struct err *err)
{
	struct stat st;
	int r;

	*ret = -1;
	*ret_made = stat(to, &st) < 0 && errno == ENOENT;
	if (*ret_made) {
		r = dir_make(to, err);
		if (r < 0)
			return err_add(err, r, "making the destination");
	}
	*ret = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys(err, "opening the destination %s", to) : 0;
}

/* What there is to do, as far as it is known before the walk. */
static void
set_totals(struct run *run, const struct repo_opened *opened, struct slice path)
{
	run->progress.stage = "restoring";
	if (path.len > 0 || run->options->n_includes > 0 || run->options->n_excludes > 0)
		return;
	for (size_t i = 0; i < opened->n_classes; i++) {
		run->progress.files_total += opened->classes[i]->counts.files;
		run->progress.bytes_total += opened->classes[i]->counts.bytes;
	}
}

static void
run_init(struct run *run, const struct restore_options *options, struct restore_result *ret)
{
	run->options = options;
	run->result = ret;
	run->is_root = geteuid() == 0;
	seal_random(&run->temp_base, sizeof run->temp_base);
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->more, NULL);
	pthread_cond_init(&run->room, NULL);
}

static void
run_fini(struct run *run)
{
	pthread_mutex_destroy(&run->lock);
	pthread_cond_destroy(&run->more);
	pthread_cond_destroy(&run->room);
}

/* Walks and waits.  @top: taken. */
static int
work(struct run *run, const struct merged *start, struct slice path, struct outdir *top,
     struct err *err)
{
	struct walk_visitor v = {run, top, enter, leave, other, broken};
	int r;

	r = work_start(run, err);
	if (r < 0) {
		outdir_put(run, top);
		return r;
	}
	links_init(&run->links);
	r = restore_walk(start, path, run->options, &v, err);
	if (path.len > 0)
		outdir_put(run, top); /* else it was the walk's, which has left it */
	if (r < 0)
		atomic_store(&run->stop, true);
	work_finish(run);
	links_fini(run, &run->links);
	restore_report(run);
	return r;
}

static void
fill_result(struct run *run)
{
	struct restore_result *ret = run->result;

	ret->files = atomic_load(&run->files);
	ret->dirs = atomic_load(&run->dirs);
	ret->others = atomic_load(&run->others);
	ret->bytes = atomic_load(&run->bytes);
	ret->owners_left = atomic_load(&run->owners_left);
	ret->xattrs_left = atomic_load(&run->xattrs_left);
}

static int
restore(struct run *run, const struct merged *start, struct slice path, struct err *err)
{
	const struct tree_item *item = NULL;
	bool made;
	int r, fd;

	r = open_destination(run->options->to, &fd, &made, err);
	if (r < 0)
		return r;
	/* A folder that the user had stays as it is; one made for a whole snapshot is its root. */
	if (made && path.len == 0 && !merged_entry(start)->bare)
		item = merged_item(start);
	r = work(run, start, path, outdir_top(fd, item), err);
	fill_result(run);

	/* What a worker met first explains more than that the walk was stopped. */
	if (run->code < 0) {
		if (err != NULL)
			*err = run->why;
		return run->code;
	}
	return r;
}

int
restore_run(struct reader *reader, const struct repo_opened *opened, struct slice path,
	    const struct restore_options *options, struct restore_result *ret, struct err *err)
{
	CLEANUP(merge_freep) struct merge *merge = merge_new(reader, opened);
	CLEANUP(merged_fini) struct merged start = {0};
	CLEANUP(buf_fini) struct buf clean = BUF_INIT;
	CLEANUP(run_fini) struct run run = {0};
	int r;

	*ret = (struct restore_result){0};
	merge_path_clean(path, &clean);
	path = buf_slice(&clean);
	run_init(&run, options, ret);
	set_totals(&run, opened, path);
	r = merge_resolve(merge, path, &start, err);
	if (r == 0 && !options->overwrite)
		r = conflict_check(&start, path, options, err);
	if (r < 0)
		return r;
	allow_many_open_files();
	return restore(&run, &start, path, err);
}

void
restore_result_fini(struct restore_result *r)
{
	for (size_t i = 0; i < r->n_failures; i++)
		free(r->failures[i]);
	free(r->failures);
	*r = (struct restore_result){0};
}
