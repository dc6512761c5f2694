/*
 * fixture_folder.h - a folder of the test's own, and text files in it.
 */
#ifndef FIXTURE_FOLDER_H
#define FIXTURE_FOLDER_H

#include <sys/stat.h>
#include <unistd.h>

#include "fixture_format.h"

struct folder {
	char path[64];
};

static UNUSED struct folder *
folder_new(void)
{
	struct folder *f = mem_alloc(sizeof *f);

	(void)snprintf(f->path, sizeof f->path, "/tmp/tillfs-keyring-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	return f;
}

static void
folder_free(struct folder *f)
{
	CLEANUP(freep) char *command = str_format("rm -rf %s", f->path);

	assert_int_equal(system(command), 0);
	free(f);
}
DEFINE_FREEP(struct folder *, folder_free)

static UNUSED char *
in(const struct folder *f, const char *name)
{
	return str_format("%s/%s", f->path, name);
}

static UNUSED void
write_file(const char *path, struct slice text)
{
	struct err err = ERR_INIT;

	CHECK_OK(file_write_atomic(path, text, 0600, &err), &err);
}

static UNUSED char *
text_of(const char *path)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(file_read(path, KIB * 64, &text, &err), &err);
	return str_copy(buf_cstr(&text));
}

static UNUSED unsigned
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* @text with the first @from replaced by @to; owned by the caller. */
static UNUSED char *
with(struct slice text, const char *from, const char *to)
{
	CLEANUP(freep) char *all = str_format("%.*s", (int)text.len, (const char *)text.p);
	char *at = strstr(all, from);

	if (at == NULL)
		fail_msg("no \"%s\" in the text", from);
	return str_format("%.*s%s%s", (int)(at - all), all, to, at + strlen(from));
}

#endif /* FIXTURE_FOLDER_H */
