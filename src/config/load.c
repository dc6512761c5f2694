/*
 * load.c - the usual places of the configuration, the user's above the system's.
 *
 * Layer 1.
 */
#include "config/internal.h"

#define SYSTEM_FILE "/etc/tillfs/tillfs.conf"

static int
apply_file(const char *path, struct config *c, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int r = ini_read(path, &ini, err);

	if (r < 0)
		return err_add(err, r, "configuration");
	return config_apply(&ini, c, err);
}

/* As apply_file; a file that isn't there says nothing. */
static int
apply_optional(const char *path, struct config *c, struct err *err)
{
	struct err found = ERR_INIT;
	int r = apply_file(path, c, &found);

	if (r == ERR_NOENT)
		return 0;
	if (r < 0 && err != NULL)
		*err = found;
	return r;
}

/* The user's file, owned by the caller; NULL without a home. */
static char *
user_file(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (folder != NULL && folder[0] == '/')
		return str_format("%s/tillfs/tillfs.conf", folder);
	if (home != NULL && home[0] == '/')
		return str_format("%s/.config/tillfs/tillfs.conf", home);
	return NULL;
}

static int
apply_usual_places(struct config *c, struct err *err)
{
	CLEANUP(freep) char *user = user_file();
	int r = apply_optional(SYSTEM_FILE, c, err);

	if (r < 0 || user == NULL)
		return r;
	return apply_optional(user, c, err);
}

int
config_load(const char *path, struct config *ret, struct err *err)
{
	CLEANUP(config_fini) struct config c = {0};
	int r;

	*ret = (struct config){0};
	config_init(&c);
	r = path != NULL ? apply_file(path, &c, err) : apply_usual_places(&c, err);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct config){0};
	return 0;
}
