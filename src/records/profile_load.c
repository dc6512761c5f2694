/*
 * profile_load.c - where profiles lie: with the user, the system, the program, and in it.
 */
#include <dirent.h>
#include <errno.h>

#include "profile_files.h"
#include "tillfs/config.h"
#include "tillfs/profile.h"

#define ENDING ".ini"

void
profiles_fini(struct profiles *p)
{
	for (size_t i = 0; i < p->n; i++)
		profile_free(p->v[i]);
	free(p->v);
	*p = (struct profiles){0};
}

/* The name of a profile's file without its ending, or NULL for another file. */
static char *
name_of(const char *file)
{
	size_t len = strlen(file), ending = strlen(ENDING);

	if (len <= ending || file[0] == '.' || strcmp(file + len - ending, ENDING) != 0)
		return NULL;
	return str_format("%.*s", (int)(len - ending), file);
}

static bool
is_known(const struct profiles *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i]->name, name) == 0)
			return true;
	return false;
}

static int
add(struct profiles *p, struct slice text, const char *name, const char *origin, struct err *err)
{
	struct profile *one;
	int r = profile_parse(text, name, origin, &one, err);

	if (r < 0)
		return err_add(err, r, "profile");
	array_reserve(p->v, p->n, p->cap);
	p->v[p->n++] = one;
	return 0;
}

static int
add_file(struct profiles *p, const char *dir, const char *file, struct err *err)
{
	CLEANUP(freep) char *name = name_of(file);
	CLEANUP(freep) char *path = str_format("%s/%s", dir, file);
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	if (name == NULL || is_known(p, name))
		return 0;
	r = file_read(path, INI_FILE_MAX, &text, err);
	return r < 0 ? r : add(p, buf_slice(&text), name, path, err);
}

static int
any_file(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* In the order of their names; no folder is no profiles. */
static int
add_folder(struct profiles *p, const char *dir, struct err *err)
{
	struct dirent **files = NULL;
	int n = scandir(dir, &files, any_file, alphasort), r = 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES
			       ? 0
			       : err_sys(err, "%s", dir);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = add_file(p, dir, files[i]->d_name, err);
		free(files[i]);
	}
	free(files);
	return r;
}

static int
add_built_in(struct profiles *p, struct err *err)
{
	for (const struct profile_file *f = profile_files; f->name != NULL; f++) {
		CLEANUP(freep) char *name = name_of(f->name);
		int r;

		if (is_known(p, name))
			continue;
		r = add(p, slice_str(f->text), name, f->name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static char *
user_folder(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (xdg != NULL && xdg[0] == '/')
		return str_format("%s/tillfs/profiles", xdg);
	if (home != NULL && home[0] == '/')
		return str_format("%s/.config/tillfs/profiles", home);
	return NULL;
}

int
profiles_load(struct profiles *ret, struct err *err)
{
	CLEANUP(freep) char *user = user_folder();
	int r = 0;

	*ret = (struct profiles){0};
	if (user != NULL)
		r = add_folder(ret, user, err);
	if (r == 0)
		r = add_folder(ret, "/etc/tillfs/profiles", err);
	if (r == 0)
		r = add_folder(ret, TILLFS_DATADIR "/profiles", err);
	if (r == 0)
		r = add_built_in(ret, err);
	if (r < 0)
		profiles_fini(ret);
	return r;
}
