/*
 * outdir.c - folders of the destination: made when something in them is, completed when all is.
 *
 * While it is worked in, a folder made by us is 0700: nobody else looks in, and nothing in it can
 * be exchanged under our hands.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "internal.h"

static struct outdir *
outdir_alloc(const struct tree_item *item)
{
	struct outdir *d = mem_alloc(sizeof *d);

	atomic_init(&d->refs, 1);
	d->fd = -1;
	if (item != NULL)
		tree_item_copy(item, &d->item);
	return d;
}

/* Whether what is made in it gets an ACL that nobody asked for. */
static bool
has_default_acl(int fd)
{
	return fgetxattr(fd, "system.posix_acl_default", NULL, 0) > 0;
}

struct outdir *
outdir_top(int fd, const struct tree_item *item)
{
	struct outdir *d = outdir_alloc(item);

	d->keep = item == NULL;
	d->name = str_copy("");
	d->fd = fd;
	d->inherits = has_default_acl(fd);
	return d;
}

struct outdir *
outdir_new(struct outdir *parent, const struct tree_item *item)
{
	struct outdir *d = outdir_alloc(item);

	d->parent = outdir_get(parent);
	d->name = name_copy(item->entry.name);
	return d;
}

struct outdir *
outdir_get(struct outdir *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

void
outdir_path(const struct outdir *d, struct slice name, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf rest = BUF_INIT;

	text_append_safe(&rest, name);
	for (; d != NULL && d->parent != NULL; d = d->parent) {
		CLEANUP(buf_fini) struct buf longer = BUF_INIT;

		text_append_safe(&longer, slice_str(d->name));
		if (rest.len > 0)
			buf_append_u8(&longer, '/');
		buf_append(&longer, rest.p, rest.len);
		buf_move(&rest, &longer);
	}
	buf_append(ret, rest.p, rest.len);
}

/* Gives a folder what it shall look like, now that nothing in it changes any more. */
static void
complete(struct run *run, struct outdir *d)
{
	bool acls = d->inherits || (d->parent != NULL && d->parent->inherits);
	struct meta_target t = {d->parent, d->name, d->fd, acls};
	struct err err = ERR_INIT;
	int r;

	if (d->fd < 0 || d->keep)
		return;
	r = meta_apply(run, &t, &d->item.entry, &err);
	if (r < 0)
		restore_failed(run, d, slice_str(""), r, &err);
}

void
outdir_put(struct run *run, struct outdir *d)
{
	/* The last one of a folder lets go of its parent: a loop, since they nest deep. */
	while (d != NULL && atomic_fetch_sub(&d->refs, 1) == 1) {
		struct outdir *parent = d->parent;

		complete(run, d);
		if (d->fd >= 0)
			close(d->fd);
		tree_item_fini(&d->item);
		free(d->name);
		free(d);
		d = parent;
	}
}

/* Opens what is there, when it is a folder. */
static int
open_existing(const struct outdir *d)
{
	return openat(d->parent->fd, d->name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static int
make(struct run *run, struct outdir *d, struct err *err)
{
	bool there = false;

	if (mkdirat(d->parent->fd, d->name, 0700) < 0) {
		if (errno != EEXIST)
			return err_sys(err, "making the folder");
		there = true;
	}
	d->fd = open_existing(d);
	if (d->fd < 0 && there && (errno == ENOTDIR || errno == ELOOP) && run->options->overwrite) {
		if (unlinkat(d->parent->fd, d->name, 0) < 0)
			return err_sys(err, "removing what is in a folder's place");
		if (mkdirat(d->parent->fd, d->name, 0700) < 0)
			return err_sys(err, "making the folder");
		d->fd = open_existing(d);
	}
	if (d->fd < 0)
		return err_sys(err, "opening the folder");
	if (there || d->parent->inherits)
		d->inherits = has_default_acl(d->fd);
	if (!there)
		atomic_fetch_add(&run->dirs, 1);
	return 0;
}

int
outdir_make(struct run *run, struct outdir *d, struct err *err)
{
	int r;

	if (d->broken)
		return err_set(err, ERR_IO, "the folder could not be made");
	if (d->fd >= 0)
		return 0;
	r = outdir_make(run, d->parent, err);
	if (r < 0) {
		d->broken = true;
		return r;
	}
	r = make(run, d, err);
	if (r < 0) {
		d->broken = true;
		restore_failed(run, d, slice_str(""), r, err);
	}
	return r;
}
