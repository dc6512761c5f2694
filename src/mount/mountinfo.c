/*
 * mountinfo.c - which mounts there are.  A mount whose process has ended answers no call, so
 * nothing here touches one.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "private.h"

#define MOUNTINFO "/proc/self/mountinfo"

void
mountinfo_fini(struct mountinfo *m)
{
	free(m->dir);
	free(m->fstype);
	*m = (struct mountinfo){0};
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void
unescape(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /dir options [optional…] - fstype source options" */
static bool
parse_line(char *line, struct mountinfo *ret)
{
	char *state = NULL;
	char *dash = strstr(line, " - ");
	char *word;

	if (dash == NULL)
		return false;
	*dash = '\0';
	for (int field = 0; (word = strtok_r(field == 0 ? line : NULL, " ", &state)) != NULL;
	     field++) {
		if (field == 2 && sscanf(word, "%u:%u", &ret->major, &ret->minor) != 2)
			return false;
		if (field == 4) {
			ret->dir = str_copy(word);
			unescape(ret->dir);
			break;
		}
	}
	word = strtok_r(dash + 3, " \n", &state);
	if (ret->dir == NULL || word == NULL)
		return false;
	ret->fstype = str_copy(word);
	return true;
}

int
mountinfo_visit(mountinfo_fn *fn, void *arg, struct err *err)
{
	FILE *f = fopen(MOUNTINFO, "re");
	char *line = NULL;
	size_t cap = 0;
	bool done = false;

	if (f == NULL)
		return err_sys(err, MOUNTINFO);
	while (!done && getline(&line, &cap, f) > 0) {
		CLEANUP(mountinfo_fini) struct mountinfo m = {0};

		if (parse_line(line, &m))
			done = fn(&m, arg);
	}
	free(line);
	fclose(f);
	return 0;
}

struct wanted {
	const char *dir;
	struct mountinfo *ret;
	bool found;
};

/* Later lines cover earlier ones. */
static bool
match(const struct mountinfo *m, void *arg)
{
	struct wanted *w = arg;

	if (strcmp(m->dir, w->dir) != 0)
		return false;
	mountinfo_fini(w->ret);
	*w->ret = *m;
	w->ret->dir = str_copy(m->dir);
	w->ret->fstype = str_copy(m->fstype);
	w->found = true;
	return false;
}

int
mountinfo_on(const char *canonical, struct mountinfo *ret, struct err *err)
{
	struct wanted w = {canonical, ret, false};
	int r;

	*ret = (struct mountinfo){0};
	r = mountinfo_visit(match, &w, err);
	if (r < 0)
		return r;
	return w.found ? 0 : err_set(err, ERR_NOENT, "nothing is mounted on %s", canonical);
}

int
mount_canonical(const char *dir, char **ret, struct err *err)
{
	CLEANUP(freep) char *path = str_copy(dir);
	CLEANUP(freep) char *parent = NULL;
	size_t len = strlen(path);
	char *slash;

	*ret = realpath(dir, NULL);
	if (*ret != NULL)
		return 0;
	if (errno != ENOTCONN && errno != EIO && errno != ETIMEDOUT && errno != EACCES)
		return err_sys(err, "%s", dir);

	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL)
		*slash = '\0';
	parent = realpath(slash == NULL ? "." : slash == path ? "/" : path, NULL);
	if (parent == NULL)
		return err_sys(err, "the folder of %s", dir);
	*ret = str_format("%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
			  slash == NULL ? path : slash + 1);
	return 0;
}
