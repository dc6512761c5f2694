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

/* The same where sizes don't matter and the folder itself tells what is what. */
static void
add_name_only(struct folder_names *names, int folder, const struct dirent *e)
{
	if (e->d_type == DT_UNKNOWN)
		add_name(names, folder, e->d_name);
	else if (e->d_type == DT_DIR || e->d_type == DT_REG)
		folder_names_add(names, slice_str(e->d_name), e->d_type == DT_DIR, 0);
}

static int
open_for_reading(const struct file_store *f, const char *folder, DIR **ret, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	int r = file_open_folder(f, folder, strlen(folder), false, &fd, err);

	if (r < 0)
		return r;
	if (folder[0] == '\0') {
		/* The root's descriptor is shared, and so is its position. */
		int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		closep(&fd);
		fd = own;
	}
	*ret = fd >= 0 ? fdopendir(fd) : NULL;
	if (*ret == NULL)
		return err_sys(err, "listing a folder");
	fd = -1; /* closedir's now */
	return 0;
}

static int
read_entries(const struct file_store *f, const char *folder, bool sizes, struct folder_names *ret,
	     struct err *err)
{
	CLEANUP(closedirp) DIR *dir = NULL;
	const struct dirent *e;
	int r = open_for_reading(f, folder, &dir, err);

	if (r < 0)
		return r == ERR_NOENT ? 0 : r;
	while (errno = 0, (e = readdir(dir)) != NULL) {
		if (sizes)
			add_name(ret, dirfd(dir), e->d_name);
		else
			add_name_only(ret, dirfd(dir), e);
	}
	return errno != 0 ? err_sys(err, "listing a folder") : 0;
}

static int
read_folder(void *arg, const char *folder, struct folder_names *ret, struct err *err)
{
	return read_entries(arg, folder, true, ret, err);
}

static int
read_names(void *arg, const char *folder, struct folder_names *ret, struct err *err)
{
	return read_entries(arg, folder, false, ret, err);
}

int
file_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	return folders_list(read_folder, arg, 0, prefix, delimited, fn, fn_arg, err);
}

int
file_list_names(void *arg, const char *prefix, store_list_fn *fn, void *fn_arg, struct err *err)
{
	return folders_list(read_names, arg, 0, prefix, false, fn, fn_arg, err);
}
