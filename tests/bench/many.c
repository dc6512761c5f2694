/*
 * many.c - a repository of many snapshots, made by the code that backs up, in one process a writer.
 *
 *	many backup URL STATE DATA COUNT WRITER...   so many snapshots by the writers together
 *	many copy FROM TO                            all objects of one store into another
 *
 * backup prints how many requests to the store opening the repository took, and the last backup.
 *
 * A writer's snapshots are an hour apart; before each, the file DATA/<n>/shop/count changes, where
 * n is the writer's place in the list.  The other files below DATA/<n>/shop are the caller's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tillfs/backup.h"
#include "tillfs/seal.h"

#define FIRST_TIME INT64_C(1700000000) /* 2023-11-14 */
#define HOUR_SEC   3600
#define COPIERS    16u
#define OBJECT_MAX (64 * MIB - 1)

static void
fail(const struct err *err)
{
	fprintf(stderr, "many: %s\n", err->msg);
	_exit(1);
}

/* ---- backup ------------------------------------------------------------------------------ */

struct job {
	const char *url, *state, *data;
	unsigned long first, step, count; /* of all snapshots, those that this writer makes */
};

static int
change_file(unsigned long n, struct err *err)
{
	CLEANUP(freep) char *text = str_format("%lu\n", n);

	return file_write_atomic("shop/count", slice_str(text), 0600, err);
}

static int
make_one(struct repo *repo, const struct writer_file *w, const struct job *j, unsigned long n,
	 struct err *err)
{
	static const char *const paths[] = {"shop"};
	CLEANUP(backup_result_fini) struct backup_result result = {0};
	struct config config = {0};
	struct backup_options o = {.paths = paths,
				   .n_paths = 1,
				   .config = &config,
				   .state = j->state,
				   .has_time = true,
				   .time = FIRST_TIME + (int64_t)(n / j->step) * HOUR_SEC};
	int r = change_file(n, err);

	return r < 0 ? r : backup_run(repo, w, &o, &result, err);
}

/* Requests since the last call. */
static uint64_t
count_requests(struct store *metered)
{
	static uint64_t before;
	struct store_meter_stats stats;
	uint64_t ret;

	store_meter_stats_get(metered, &stats);
	ret = stats.requests - before;
	before = stats.requests;
	return ret;
}

static int
make_all(const char *writer_path, const struct job *j, struct err *err)
{
	CLEANUP(store_closep) struct store *store = NULL;
	CLEANUP(writer_freep) struct writer_file *w = NULL;
	CLEANUP(repo_closep) struct repo *repo = NULL;
	CLEANUP(freep) char *folder = str_format("%s/%lu", j->data, j->first);
	uint64_t opening, last = 0;
	int r;

	r = writer_open(writer_path, &w, err);
	if (r == 0)
		r = store_open(j->url, NULL, false, &store, err);
	if (r < 0)
		return r;
	store = store_meter_new(store, 0);
	r = repo_open_writer(store, w, j->state, &repo, err);
	opening = count_requests(store);
	if (r == 0 && chdir(folder) < 0)
		r = err_sys(err, "%s", folder);
	for (unsigned long n = j->first; r == 0 && n < j->count; n += j->step) {
		r = make_one(repo, w, j, n, err);
		last = count_requests(store);
	}
	printf("{\"opening\": %" PRIu64 ", \"last\": %" PRIu64 "}\n", opening, last);
	(void)fflush(stdout);
	return r;
}

static int
wait_for_all(void)
{
	int status, ret = 0;

	while (wait(&status) > 0)
		if (status != 0)
			ret = 1;
	return ret;
}

static int
backup(const struct job *all, char **writers, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		struct job j = *all;
		struct err err = ERR_INIT;

		if (fork() != 0)
			continue;
		j.first = i;
		j.step = n;
		if (make_all(writers[i], &j, &err) < 0)
			fail(&err);
		_exit(0);
	}
	return wait_for_all();
}

/* ---- copy -------------------------------------------------------------------------------- */

struct copying {
	struct store *from, *to;
	char **keys;
	size_t n, cap;
};

static int
note_key(void *arg, const struct store_entry *entry, struct err *err)
{
	struct copying *c = arg;

	(void)err;
	array_reserve(c->keys, c->n, c->cap);
	c->keys[c->n++] = str_copy(entry->key);
	return 0;
}

static void
copy_one(void *arg, size_t i)
{
	struct copying *c = arg;
	CLEANUP(buf_fini) struct buf body = BUF_INIT;
	struct err err = ERR_INIT;

	if (store_get_all(c->from, c->keys[i], OBJECT_MAX, &body, &err) < 0 ||
	    store_create(c->to, c->keys[i], buf_slice(&body), &err) < 0)
		fail(&err);
	free(c->keys[i]);
}

static int
copy(const char *from, const char *to)
{
	struct copying c = {0};
	struct err err = ERR_INIT;

	if (store_open(from, NULL, false, &c.from, &err) < 0 ||
	    store_open(to, NULL, true, &c.to, &err) < 0 ||
	    store_list(c.from, "", false, note_key, &c, &err) < 0)
		fail(&err);
	c.to = store_patient_new(c.to, 0);
	tasks_run(c.n, COPIERS, copy_one, &c);
	free(c.keys);
	store_close(c.to);
	store_close(c.from);
	return 0;
}

int
main(int argc, char **argv)
{
	seal_start();
	if (argc == 4 && strcmp(argv[1], "copy") == 0)
		return copy(argv[2], argv[3]);
	if (argc >= 7 && strcmp(argv[1], "backup") == 0) {
		struct job all = {.url = argv[2],
				  .state = argv[3],
				  .data = argv[4],
				  .count = strtoul(argv[5], NULL, 10)};

		return backup(&all, argv + 6, (unsigned long)argc - 6);
	}
	fputs("usage: many backup URL STATE DATA COUNT WRITER... | many copy FROM TO\n", stderr);
	return 2;
}
