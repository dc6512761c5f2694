/*
 * conflict.c - what of the destination would be replaced.
 *
 * Goes only into folders that both sides have, so an empty destination costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* A folder that both sides have. */
struct both {
	struct both *parent;
	int fd;
	char *name; /* "" of the destination itself */
};

static int
conflict(const struct both *dir, struct slice name, const char *to, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	CLEANUP(buf_fini) struct buf below = BUF_INIT;

	text_append_safe(&path, name);
	for (; dir != NULL && dir->name[0] != '\0'; dir = dir->parent) {
		text_append_safe(&below, slice_str(dir->name));
		buf_append_u8(&below, '/');
		buf_append(&below, path.p, path.len);
		buf_move(&path, &below);
	}
	return err_set(err, ERR_EXISTS,
		       "%s/%s exists already; --overwrite replaces what is in the way, or choose "
		       "another destination",
		       to, buf_cstr(&path));
}

struct conflicts {
	const struct restore_options *options;
};

static int
enter(void *arg, void *dir, const struct merged *x, bool wanted, void **ret, struct err *err)
{
	const struct conflicts *c = arg;
	CLEANUP(freep) char *name = NULL;
	struct both *above = dir;
	struct both *b;
	int fd;

	(void)wanted;
	name = name_copy(merged_entry(x)->name);
	fd = openat(above->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return WALK_SKIP;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return conflict(above, merged_entry(x)->name, c->options->to, err);
	if (fd < 0)
		return err_sys(err, "opening the existing folder %s/…/%s", c->options->to, name);
	b = mem_alloc(sizeof *b);
	*b = (struct both){above, fd, steal_ptr(&name)};
	*ret = b;
	return 0;
}

static void
leave(void *arg, void *dir)
{
	struct both *b = dir;

	(void)arg;
	if (b->parent == NULL)
		return; /* the destination itself is conflict_check's */
	close(b->fd);
	free(b->name);
	free(b);
}

static int
other(void *arg, void *dir, const struct merged *x, struct err *err)
{
	const struct conflicts *c = arg;
	CLEANUP(freep) char *name = NULL;
	struct both *b = dir;
	struct stat st;

	name = name_copy(merged_entry(x)->name);
	if (fstatat(b->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* not there; anything else comes up again when it is written */
	return conflict(b, merged_entry(x)->name, c->options->to, err);
}

/* What can't be read can't replace anything; it is told when it is restored. */
static int
broken(void *arg, void *dir, int code, struct err *err)
{
	(void)arg;
	(void)dir;
	(void)code;
	(void)err;
	return 0;
}

int
conflict_check(const struct merged *start, struct slice path, const struct restore_options *options,
	       struct err *err)
{
	CLEANUP(closep) int fd = open(options->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct conflicts c = {options};
	struct both top = {NULL, fd, (char[]){""}};
	struct walk_visitor v = {&c, &top, enter, leave, other, broken};

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(err, "opening the destination %s", options->to);
	return restore_walk(start, path, options, &v, err);
}
