/*
 * node.c - what has no content: symbolic links, fifos, sockets, devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"

static int
make(const struct job *job, const char *temp, struct err *err)
{
	const struct entry *e = &job->item.entry;
	int dirfd = job->dir->fd;
	dev_t device = 0;
	mode_t type;

	switch (e->type) {
	case ENTRY_SYMLINK: {
		CLEANUP(freep) char *target = name_copy(e->target);

		return symlinkat(target, dirfd, temp) < 0 ? err_sys(err, "making a symbolic link")
							  : 0;
	}
	case ENTRY_FIFO:
		type = S_IFIFO;
		break;
	case ENTRY_SOCKET:
		type = S_IFSOCK;
		break;
	case ENTRY_CHAR:
		type = S_IFCHR;
		break;
	case ENTRY_BLOCK:
		type = S_IFBLK;
		break;
	default:
		return err_set(err, ERR_UNSUPPORTED, "is of a type that this version can't make");
	}
	if (type == S_IFCHR || type == S_IFBLK)
		device = makedev(e->rdev_major, e->rdev_minor);
	if (mknodat(dirfd, temp, type | 0600, device) < 0)
		return err_sys(err, errno == EPERM ? "making a device, which only root may"
						   : "making a special file");
	return 0;
}

int
node_make(struct run *run, const struct job *job, struct err *err)
{
	char temp[TEMP_NAME_LEN];
	struct meta_target t = {job->dir, temp, -1, job->dir->inherits};
	int r;

	temp_name(run, temp);
	r = make(job, temp, err);
	if (r < 0)
		return r;
	r = meta_apply(run, &t, &job->item.entry, err);
	if (r < 0) {
		(void)unlinkat(job->dir->fd, temp, 0);
		return r;
	}
	return commit_name(run, job->dir, temp, job->name, err);
}
