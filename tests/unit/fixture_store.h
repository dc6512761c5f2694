/*
 * fixture_store.h - stores of each kind, and checks of what they hold.
 */
#ifndef FIXTURE_STORE_H
#define FIXTURE_STORE_H

#include "fixture_folder.h"

#include "tillfs/store.h"

enum kind { MEMORY, FOLDER, FAULTY };

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

static UNUSED struct fixture *
fixture_new(enum kind kind)
{
	struct fixture *fx = mem_alloc(sizeof *fx);

	fx->folder = folder_new();
	fx->store = kind == FOLDER ? open_folder(fx->folder) : store_memory_new();
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

static UNUSED void
check_list(struct store *s, const char *prefix, bool delimited, const char *expected)
{
	CLEANUP(buf_fini) struct buf found = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_list(s, prefix, delimited, append_entry, &found, &err), &err);
	assert_string_equal(buf_cstr(&found), expected);
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
