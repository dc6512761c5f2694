/*
 * file_list.c - a store in a folder: reading one folder for a listing.
 *
 * Layer 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

static void
closedirp(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* Notes one entry, if it is a folder or an object.  What vanished meanwhile is neither. */
static void
add_name(struct folder_names *names, int folder, const char *text)
{
	struct stat st;

	if (fstatat(folder, text, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		folder_names_add(names, slice_str(text), S_ISDIR(st.st_mode), (uint64_t)st.st_size);
}

static int
read_folder(void *arg, const char *folder, struct folder_names *ret, struct err *err)
{
	const struct file_store *f = arg;
	CLEANUP(closedirp) DIR *dir = NULL;
	CLEANUP(closep) int at = -1;
	CLEANUP(closep) int fd = -1;
	const struct dirent *e;
	int r;

	r = file_open_folder(f, folder, strlen(folder), false, &at, err);
	if (r < 0)
		return r == ERR_NOENT ? 0 : r;

	/* The root's descriptor is shared, so its position is too: reading needs one of its own. */
	fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return err_sys(err, "listing a folder");
	fd = -1; /* closedir's now */

	while (errno = 0, (e = readdir(dir)) != NULL)
		add_name(ret, at, e->d_name);
	return errno != 0 ? err_sys(err, "listing a folder") : 0;
}

int
file_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	return folders_list(read_folder, arg, 0, prefix, delimited, fn, fn_arg, err);
}
