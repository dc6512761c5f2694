/*
 * targets.c - which paths a backup was asked for, and which places it never enters.
 *
 * Layer 4.
 */
#include "backup/targets.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static struct target *
child(struct target *t, const char *name, size_t len)
{
	size_t at = 0;
	struct target *c;

	while (at < t->n) {
		int order = slice_cmp(slice_str(t->children[at]->name), slice_of(name, len));

		if (order == 0)
			return t->children[at];
		if (order > 0)
			break;
		at++;
	}
	c = mem_alloc(sizeof *c);
	c->name = mem_alloc(len + 1);
	memcpy(c->name, name, len);
	array_reserve(t->children, t->n, t->cap);
	memmove(t->children + at + 1, t->children + at, (t->n - at) * sizeof *t->children);
	t->children[at] = c;
	t->n++;
	return c;
}

static int
add_path(struct target *root, const char *path, struct err *err)
{
	struct target *t = root;
	const char *p = path;

	while (*p != '\0') {
		size_t len = strcspn(p, "/");

		if (len == 2 && memcmp(p, "..", 2) == 0)
			return err_set(err, ERR_INVALID,
				       "%s: a path with '..' can't be backed up; give it without",
				       path);
		if (len > 0 && !(len == 1 && *p == '.'))
			t = child(t, p, len);
		p += len;
		p += strspn(p, "/");
	}
	t->whole = true;
	return 0;
}

int
targets_parse(const char *const *paths, size_t n, struct target **ret, struct err *err)
{
	struct target *root;
	int r = 0;

	*ret = NULL;
	root = mem_alloc(sizeof *root);
	root->name = str_copy("");
	root->from = str_copy(n > 0 && paths[0][0] == '/' ? "/" : ".");
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (paths[i][0] == '\0')
			r = err_set(err, ERR_INVALID, "an empty path can't be backed up");
		else if ((paths[i][0] == '/') != (root->from[0] == '/'))
			r = err_set(
				err, ERR_INVALID,
				"%s and %s: relative and absolute paths can't be mixed in one run",
				paths[0], paths[i]);
		else
			r = add_path(root, paths[i], err);
	}
	if (r < 0)
		target_free(root);
	else
		*ret = root;
	return r;
}

int
targets_add_made(struct target *root, const struct config_made *m, struct err *err)
{
	struct target *t = root;
	const char *p = m->path;

	while (*p != '\0') {
		size_t len = strcspn(p, "/"), before = t->n;
		struct target *parent = t;

		if (t != root && (t->whole || t->maker != NULL))
			break;
		t = child(parent, p, len);
		if (parent->n > before)
			t->made = true;
		p += len;
		p += strspn(p, "/");
	}
	if (*p != '\0' || t->whole || t->maker != NULL || t->n > 0)
		return err_set(err, ERR_INVALID,
			       "%s: %s lies in what is backed up already; give it another path",
			       m->name, m->path);
	t->maker = m;
	return 0;
}

void
target_free(struct target *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		target_free(t->children[i]);
	free(t->children);
	free(t->name);
	free(t->from);
	free(t);
}

/* ---- places never entered ---- */

struct place {
	uint64_t dev, ino;
};

struct avoid {
	struct place *dirs;
	size_t n_dirs, cap_dirs;
	uint64_t *mounts;
	size_t n_mounts, cap_mounts;
};

/* Lines of mountinfo: id parent major:minor root point options [fields] - type source … */
static void
find_mounts(struct avoid *a)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;

	while (f != NULL && getline(&line, &cap, f) > 0) {
		const char *type = strstr(line, " - ");
		unsigned major, minor;

		if (type == NULL || strncmp(type, " - fuse.tillfs ", 15) != 0 ||
		    sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2)
			continue;
		array_reserve(a->mounts, a->n_mounts, a->cap_mounts);
		a->mounts[a->n_mounts++] = makedev(major, minor);
	}
	free(line);
	if (f != NULL)
		fclose(f);
}

struct avoid *
avoid_new(const char *const *dirs, size_t n)
{
	struct avoid *a = mem_alloc(sizeof *a);

	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (stat(dirs[i], &st) < 0)
			continue; /* what isn't there can't be entered */
		array_reserve(a->dirs, a->n_dirs, a->cap_dirs);
		a->dirs[a->n_dirs++] = (struct place){.dev = st.st_dev, .ino = st.st_ino};
	}
	find_mounts(a);
	return a;
}

void
avoid_free(struct avoid *a)
{
	if (a == NULL)
		return;
	free(a->dirs);
	free(a->mounts);
	free(a);
}

bool
avoid_has(const struct avoid *a, uint64_t dev, uint64_t ino)
{
	for (size_t i = 0; i < a->n_dirs; i++)
		if (a->dirs[i].dev == dev && a->dirs[i].ino == ino)
			return true;
	for (size_t i = 0; i < a->n_mounts; i++)
		if (a->mounts[i] == dev)
			return true;
	return false;
}
