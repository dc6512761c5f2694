/*
 * folders.c - listing keys in byte order where a store is made of folders.
 *
 * Reading ahead: while a folder's entries are reported in order, threads read the next few of its
 * subfolders.  Each level has its own few, so that a tree of any shape keeps them busy.
 *
 * Layer 1.
 */
#include <pthread.h>

#include "store/folders.h"

struct listing {
	folder_read_fn *read;
	void *read_arg;
	unsigned ahead;
	bool delimited;
	store_list_fn *fn;
	void *fn_arg;
	struct err *err;
};

/* ---- names */

void
folder_names_fini(struct folder_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->all[i].text);
	free(names->all);
	*names = (struct folder_names){0};
}

void
folder_names_add(struct folder_names *names, struct slice name, bool is_folder, uint64_t size)
{
	if (name.len == 0 || name.len > STORE_KEY_MAX || memchr(name.p, '/', name.len) != NULL ||
	    memchr(name.p, '\0', name.len) != NULL || !utf8_valid(name))
		return;
	if (name.len <= 2 && memcmp(name.p, "..", name.len) == 0)
		return;

	array_reserve(names->all, names->n, names->cap);
	names->all[names->n++] = (struct folder_name){
		.text = str_format(is_folder ? "%.*s/" : "%.*s", (int)name.len,
				   (const char *)name.p),
		.size = is_folder ? 0 : size,
	};
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(((const struct folder_name *)a)->text, ((const struct folder_name *)b)->text);
}

static bool
is_folder(const struct folder_name *name)
{
	return name->text[strlen(name->text) - 1] == '/';
}

/* Keeps those names that begin with @filter and can be part of a key in @folder, sorted. */
static void
arrange(struct folder_names *names, const char *folder, const char *filter)
{
	size_t room = STORE_KEY_MAX - strlen(folder);
	size_t kept = 0;

	for (size_t i = 0; i < names->n; i++) {
		char *text = names->all[i].text;
		bool own = folder[0] == '\0' && strcmp(text, TEMP_FOLDER "/") == 0;

		if (own || strlen(text) > room || strncmp(text, filter, strlen(filter)) != 0)
			free(text);
		else
			names->all[kept++] = names->all[i];
	}
	names->n = kept;
	if (kept > 1)
		qsort(names->all, kept, sizeof(*names->all), by_text);
}

/* ---- reading a folder, perhaps ahead */

struct job {
	const struct listing *listing;
	char *folder;
	pthread_t thread;
	bool threaded;
	struct folder_names names;
	int result;
	struct err err;
};

static void
job_run(struct job *job, const char *filter)
{
	job->result =
		job->listing->read(job->listing->read_arg, job->folder, &job->names, &job->err);
	arrange(&job->names, job->folder, filter);
}

static void *
job_main(void *arg)
{
	job_run(arg, "");
	return NULL;
}

static struct job *
job_new(const struct listing *l, const char *folder, const char *name)
{
	struct job *job = mem_alloc(sizeof(*job));

	job->listing = l;
	job->folder = str_format("%s%s", folder, name);
	return job;
}

/* A thread that can't be had is no misfortune: job_wait reads the folder then. */
static struct job *
job_start(const struct listing *l, const char *folder, const char *name)
{
	struct job *job = job_new(l, folder, name);

	job->threaded = pthread_create(&job->thread, NULL, job_main, job) == 0;
	return job;
}

static int
job_wait(struct job *job, struct err *err)
{
	if (job->threaded)
		pthread_join(job->thread, NULL);
	else
		job_run(job, "");
	job->threaded = false;
	if (job->result < 0 && err != NULL)
		*err = job->err;
	return job->result;
}

static void
job_free(struct job *job)
{
	if (job == NULL)
		return;
	if (job->threaded)
		pthread_join(job->thread, NULL);
	folder_names_fini(&job->names);
	free(job->folder);
	free(job);
}
DEFINE_FREEP(struct job *, job_free)

/* The jobs of a folder's subfolders, as far as they were begun. */
struct jobs {
	struct job **all; /* by the index of the name; NULL: not begun, or done */
	size_t n;
	size_t next; /* the first name not looked at */
	size_t running;
};

static void
jobs_fini(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->n; i++)
		job_free(jobs->all[i]);
	free(jobs->all);
}

/* Begins so many more that enough are running. */
static void
jobs_fill(struct jobs *jobs, const struct listing *l, const char *folder,
	  const struct folder_names *names)
{
	for (; jobs->next < names->n && jobs->running < l->ahead; jobs->next++) {
		const struct folder_name *name = &names->all[jobs->next];

		if (is_folder(name)) {
			jobs->all[jobs->next] = job_start(l, folder, name->text);
			jobs->running++;
		}
	}
}

/* The job of name @i, begun now if it wasn't. */
static struct job *
jobs_take(struct jobs *jobs, size_t i, const struct listing *l, const char *folder,
	  const struct folder_names *names)
{
	struct job *job;

	jobs_fill(jobs, l, folder, names);
	job = steal_ptr(&jobs->all[i]);
	if (job == NULL) {
		jobs->next = i + 1;
		return job_new(l, folder, names->all[i].text);
	}
	jobs->running--;
	jobs_fill(jobs, l, folder, names);
	return job;
}

/* ---- walking */

static int
report(const struct listing *l, const char *folder, const struct folder_name *name)
{
	CLEANUP(freep) char *key = str_format("%s%s", folder, name->text);
	struct store_entry entry = {key, name->size, is_folder(name)};

	return l->fn(l->fn_arg, &entry, l->err);
}

/* Ends a search at the first object. */
static int
stop_at_first(void *arg, const struct store_entry *entry, struct err *err)
{
	bool *found = arg;

	(void)entry, (void)err;
	*found = true;
	return 1;
}

static int walk(const struct listing *l, const char *folder, const struct folder_names *names);

/* Reports a subfolder, if there is an object anywhere in it. */
static int
report_prefix(const struct listing *l, const char *folder, const struct folder_name *name,
	      const struct job *job)
{
	bool found = false;
	struct listing search = {l->read, l->read_arg, 0, false, stop_at_first, &found, l->err};
	int r = walk(&search, job->folder, &job->names);

	if (r < 0)
		return r;
	return found ? report(l, folder, name) : 0;
}

/* Recursion ends where keys would be longer than any may be: arrange() leaves out what is. */
static int
walk(const struct listing *l, const char *folder, const struct folder_names *names)
{
	CLEANUP(jobs_fini)
	struct jobs jobs = {.all = mem_array(names->n + 1, sizeof(struct job *)), .n = names->n};

	for (size_t i = 0; i < names->n; i++) {
		CLEANUP(job_freep) struct job *job = NULL;
		const struct folder_name *name = &names->all[i];
		int r;

		if (!is_folder(name)) {
			r = report(l, folder, name);
		} else {
			job = jobs_take(&jobs, i, l, folder, names);
			r = job_wait(job, l->err);
			if (r == 0 && l->delimited)
				r = report_prefix(l, folder, name, job);
			else if (r == 0)
				r = walk(l, job->folder, &job->names);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

int
folders_list(folder_read_fn *read, void *read_arg, unsigned ahead, const char *prefix,
	     bool delimited, store_list_fn *fn, void *fn_arg, struct err *err)
{
	struct listing l = {read, read_arg, ahead, delimited, fn, fn_arg, err};
	CLEANUP(job_freep) struct job *top = job_new(&l, "", "");
	const char *slash = strrchr(prefix, '/');
	size_t folder_len = slash != NULL ? (size_t)(slash - prefix) + 1 : 0;

	free(top->folder);
	top->folder = str_format("%.*s", (int)folder_len, prefix);
	job_run(top, prefix + folder_len);
	if (top->result < 0) {
		if (err != NULL)
			*err = top->err;
		return err_add(err, top->result, "listing %s", prefix);
	}
	return walk(&l, top->folder, &top->names);
}

int
folders_check_key(const char *key, struct err *err)
{
	if (strncmp(key, TEMP_FOLDER, strlen(TEMP_FOLDER)) == 0)
		return err_set(err, ERR_INVALID,
			       "keys that begin with " TEMP_FOLDER " are the store's own");
	return 0;
}
