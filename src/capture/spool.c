/*
 * spool.c - files for copies of databases.
 *
 * SQLite opens by name only, so a copy has one until it is open for the check.  A run killed before
 * that leaves it; its lock is free then, and the next run removes it.
 *
 * Layer 4.
 */
#include "capture/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tillfs/capture.h"

#define PREFIX     "capture-"
#define ROOM_SPARE (8u * MIB) /* left to others on the spool's file system */
#define GRACE_SEC  60         /* a file may be so young that its lock isn't taken yet */

static int
check_room(const char *folder, uint64_t len, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct statvfs v;

	if (statvfs(folder, &v) < 0)
		return err_sys(err, "%s", folder);
	if ((uint64_t)v.f_bavail * v.f_frsize >= len + ROOM_SPARE)
		return 0;
	text_append_bytes(&text, len);
	return err_set(err, ERR_NOSPACE, "no room for a copy of %s in %s (see spool in the manual)",
		       buf_cstr(&text), folder);
}

int
spool_open(const char *folder, uint64_t len, struct spool *ret, struct err *err)
{
	int r;

	*ret = SPOOL_INIT;
	r = dir_make(folder, err);
	if (r == 0)
		r = check_room(folder, len, err);
	if (r < 0)
		return r;
	ret->path = str_format("%s/" PREFIX "XXXXXX", folder);
	ret->fd = mkostemp(ret->path, O_CLOEXEC);
	if (ret->fd < 0) {
		r = err_sys(err, "making a file in %s", folder);
		free(ret->path);
		ret->path = NULL;
		return r;
	}
	(void)flock(ret->fd, LOCK_EX | LOCK_NB); /* nobody else knows its name */
	return 0;
}

void
spool_unname(struct spool *s)
{
	if (s->path != NULL)
		(void)unlink(s->path);
	free(s->path);
	s->path = NULL;
}

void
spool_fini(struct spool *s)
{
	spool_unname(s);
	closep(&s->fd);
}

static void
clean_one(int dirfd, const char *name)
{
	CLEANUP(closep) int fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ctime + GRACE_SEC < time_now() &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dirfd, name, 0);
}

void
capture_clean(const char *spool)
{
	DIR *d = opendir(spool);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0)
			clean_one(dirfd(d), e->d_name);
	if (d != NULL)
		closedir(d);
}
