/*
 * fixture_repo.h - a real repository in memory for tests: an admin, writers, a source folder, and
 * backups of it.  Everything on disk lies in one temporary folder that goes with the fixture.
 */
#ifndef FIXTURE_REPO_H
#define FIXTURE_REPO_H

#include "fixture_format.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tillfs/backup.h"
#include "tillfs/repo.h"

struct fixture {
	char dir[64]; /* the folder that the test stands in; what is backed up is "src" in it */
	struct store *store;
	struct identity *admin;
	struct config config;
};

/* A class for a folder of its own, one for a kind of file anywhere. */
#define FIXTURE_CLASSES "[class sales]\npattern = src/sales/**\n[class staff]\npattern = *.staff\n"

static UNUSED int
fixture_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static UNUSED void
fixture_free(struct fixture *fx)
{
	config_fini(&fx->config);
	identity_free(fx->admin);
	store_close(fx->store);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(nftw(fx->dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(fx);
}

static UNUSED void
fixture_freep(struct fixture **fx)
{
	fixture_free(*fx);
}

/* @store: taken; what the repository is made in. */
static UNUSED struct fixture *
fixture_new_in(struct store *store, const char *config)
{
	struct fixture *fx = mem_alloc(sizeof *fx);
	struct fingerprint fingerprint;
	struct err err = ERR_INIT;
	struct repo_id id;

	seal_start();
	snprintf(fx->dir, sizeof fx->dir, "/tmp/tillfs-test-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	assert_int_equal(chdir(fx->dir), 0);
	assert_int_equal(mkdir("src", 0755), 0);

	CHECK_OK(config_parse(slice_str(config), "test", &fx->config, &err), &err);
	CHECK_OK(identity_create("admin.key", slice_str(""), &fingerprint, &err), &err);
	CHECK_OK(identity_open("admin.key", NULL, NULL, &fx->admin, &err), &err);
	fx->store = store;
	CHECK_OK(repo_init(fx->store, fx->admin, &id, &err), &err);
	return fx;
}

static UNUSED struct fixture *
fixture_new(const char *config)
{
	return fixture_new_in(store_memory_new(), config);
}

static UNUSED struct repo *
fixture_open(struct fixture *fx)
{
	struct err err = ERR_INIT;
	struct repo *repo;

	CHECK_OK(repo_open(fx->store, fx->admin, NULL, &repo, &err), &err);
	return repo;
}

/* Enrols a writer, whose file is "<name>.writer". */
static UNUSED void
fixture_writer(struct fixture *fx, const char *name)
{
	CLEANUP(freep) char *path = str_format("%s.writer", name);
	CLEANUP(freep) char *pub = str_format("%s.pub", path);
	CLEANUP(repo_closep) struct repo *repo = fixture_open(fx);
	CLEANUP(card_fini) struct card card = {0};
	struct err err = ERR_INIT;
	struct public_keys keys;

	CHECK_OK(writer_create(path, &err), &err);
	CHECK_OK(public_keys_read(pub, &keys, &err), &err);
	CHECK_OK(repo_enrol_writer(repo, name, &keys, &card, &err), &err);
	CHECK_OK(writer_import(path, &card, &err), &err);
}

/* Backs "src" up.  @date: "2025-06-30"; @time: RFC 3339 */
static UNUSED struct snapshot_name
fixture_backup(struct fixture *fx, const char *writer, const char *date, const char *time)
{
	static const char *const paths[] = {"src"};
	CLEANUP(freep) char *path = str_format("%s.writer", writer);
	CLEANUP(freep) char *state = str_format("%s/state-%s", fx->dir, writer);
	CLEANUP(writer_freep) struct writer_file *file = NULL;
	CLEANUP(repo_closep) struct repo *repo = NULL;
	struct backup_options options = {.paths = paths,
					 .n_paths = 1,
					 .config = &fx->config,
					 .has_date = true,
					 .has_time = true,
					 .state = state};
	struct backup_result result = {0};
	struct snapshot_name name;
	struct err err = ERR_INIT;

	assert_true(date_parse(slice_str(date), &options.date));
	assert_true(time_parse_rfc3339(slice_str(time), &options.time));
	CHECK_OK(dir_make(state, &err), &err);
	CHECK_OK(writer_open(path, &file, &err), &err);
	CHECK_OK(repo_open_writer(fx->store, file, state, &repo, &err), &err);
	CHECK_OK(backup_run(repo, file, &options, &result, &err), &err);
	assert_int_equal(result.n_unreadable, 0);
	name = result.name;
	backup_result_fini(&result);
	return name;
}

/* Writes a file below the fixture's folder, making its folders. */
static UNUSED void
fixture_write(const char *path, const char *text)
{
	CLEANUP(freep) char *copy = str_copy(path);
	struct err err = ERR_INIT;
	FILE *f;

	for (char *p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(copy, 0755); /* it may be there */
		*p = '/';
	}
	f = fopen(path, "w");
	if (f == NULL)
		CHECK_OK(err_sys(&err, "%s", path), &err);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

/* A store_list_fn that keeps the first key.  @arg: char **, owned by the caller. */
static UNUSED int
fixture_first_key(void *arg, const struct store_entry *entry, struct err *err)
{
	char **key = arg;

	(void)err;
	if (*key == NULL)
		*key = str_copy(entry->key);
	return 0;
}

/* The file in a folder whose name ends so.  Owned by the caller. */
static UNUSED char *
fixture_find(const char *folder, const char *suffix)
{
	DIR *d = opendir(folder);
	struct dirent *de;
	char *found = NULL;

	assert_non_null(d);
	while (found == NULL && (de = readdir(d)) != NULL) {
		size_t len = strlen(de->d_name), end = strlen(suffix);

		if (len > end && strcmp(de->d_name + len - end, suffix) == 0)
			found = str_format("%s/%s", folder, de->d_name);
	}
	closedir(d);
	assert_non_null(found);
	return found;
}

#endif /* FIXTURE_REPO_H */
