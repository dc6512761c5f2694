/*
 * fixture_store.h - stores of each kind, and checks of what they hold.
 */
#ifndef FIXTURE_STORE_H
#define FIXTURE_STORE_H

#include "fixture_folder.h"

#include "tillfs/store.h"

#include "tillfs/seal.h"

enum kind { MEMORY, FOLDER, FAULTY, SERVER };

/* The URL of a real server's store, with UNIQUE where each test puts a name of its own. */
static UNUSED const char *
server_url(void)
{
	return getenv("TILLFS_TEST_STORE");
}

static UNUSED enum kind
first_kind(void)
{
	return server_url() != NULL ? SERVER : MEMORY;
}

static UNUSED enum kind
last_kind(void)
{
	return server_url() != NULL ? SERVER : FAULTY;
}

struct fixture {
	struct folder *folder;
	struct store *store;
};

static UNUSED struct store *
open_folder(const struct folder *f)
{
	CLEANUP(freep) char *url = str_format("file://%s/store", f->path);
	struct store *s = NULL;
	struct err err = ERR_INIT;

	CHECK_OK(store_open(url, NULL, true, &s, &err), &err);
	return s;
}

static UNUSED struct store *
open_server(void)
{
	const char *unique = strstr(server_url(), "UNIQUE");
	CLEANUP(freep) char *url = NULL;
	const char *cacert = getenv("TILLFS_TEST_CACERT");
	struct store_options options = {.cacert = cacert};
	struct store *s = NULL;
	struct err err = ERR_INIT;
	uint8_t name[8];

	assert_non_null(unique);
	seal_start();
	seal_random(name, sizeof name);
	url = str_format("%.*s%s%s", (int)(unique - server_url()), server_url(),
			 hex_bytes(name, sizeof name).s, unique + strlen("UNIQUE"));
	CHECK_OK(store_open(url, &options, true, &s, &err), &err);
	return s;
}

static UNUSED struct store *
open_kind(enum kind kind, const struct folder *f)
{
	if (kind == SERVER)
		return open_server();
	return kind == FOLDER ? open_folder(f) : store_memory_new();
}

static UNUSED struct fixture *
fixture_new(enum kind kind)
{
	struct fixture *fx = mem_alloc(sizeof *fx);

	fx->folder = folder_new();
	fx->store = open_kind(kind, fx->folder);
	if (kind == FAULTY)
		fx->store = store_fault_new(fx->store);
	return fx;
}

static void
fixture_free(struct fixture *fx)
{
	store_close(fx->store);
	folder_free(fx->folder);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

static UNUSED void
create(struct store *s, const char *key, const char *body)
{
	struct err err = ERR_INIT;

	CHECK_OK(store_create(s, key, slice_str(body), &err), &err);
}

/* All that a listing reports: "key:size " or "prefix/ ". */
static UNUSED int
append_entry(void *arg, const struct store_entry *e, struct err *err)
{
	(void)err;
	if (e->is_prefix)
		assert_int_equal(e->size, 0);
	buf_appendf(arg, e->is_prefix ? "%s " : "%s:%llu ", e->key, (unsigned long long)e->size);
	return 0;
}

static UNUSED int
append_name(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)err;
	buf_appendf(arg, "%s ", entry->key);
	return 0;
}

/* A listing of names alone tells the same keys. */
static UNUSED void
check_list_names(struct store *s, const char *prefix)
{
	CLEANUP(buf_fini) struct buf all = BUF_INIT;
	CLEANUP(buf_fini) struct buf names = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_list(s, prefix, false, append_name, &all, &err), &err);
	CHECK_OK(store_list_names(s, prefix, append_name, &names, &err), &err);
	assert_string_equal(buf_cstr(&names), buf_cstr(&all));
}

static UNUSED void
check_list(struct store *s, const char *prefix, bool delimited, const char *expected)
{
	CLEANUP(buf_fini) struct buf found = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_list(s, prefix, delimited, append_entry, &found, &err), &err);
	assert_string_equal(buf_cstr(&found), expected);
	if (!delimited)
		check_list_names(s, prefix);
}

static UNUSED void
check_content(struct store *s, const char *key, const char *expected)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_get_all(s, key, 1000, &b, &err), &err);
	check_bytes(buf_slice(&b), slice_str(expected));
}

#endif /* FIXTURE_STORE_H */
