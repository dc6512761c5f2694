/*
 * file.h - a store in a folder: what file.c, file_create.c and file_list.c share.
 *
 * An object is a regular file whose path below the root is its key.  Folders are opened one
 * component at a time and symbolic links never followed, so that whoever can write below the root
 * can't lead us out of it.
 */
#ifndef TILLFS_STORE_FILE_H
#define TILLFS_STORE_FILE_H

#include <sys/stat.h>

#include "store/backends.h"
#include "store/folders.h"

struct file_store {
	int root;
	char *path;         /* of the root; absolute */
	mode_t folder_mode; /* the root's own, which so decides who may read the store */
	mode_t object_mode; /* the same without execution */
	atomic_uint next_temp;
	atomic_bool swept; /* old temporary files were looked for */
};

/**
 * file_open_folder - open the folder that the first @len bytes of @key name.
 * @len: 0 for the root
 * @make: make what is missing, durably
 * @ret: -1 on failure
 *
 * Return: 0, ERR_NOENT, ERR_DENIED, ERR_NOSPACE, ERR_IO.
 */
MUST_CHECK int file_open_folder(const struct file_store *f, const char *key, size_t len, bool make,
				int *ret, struct err *err);

/* As file_open_folder for the folder that @key lies in; @ret_name: the key's last component. */
MUST_CHECK int file_open_parent(const struct file_store *f, const char *key, bool make, int *ret,
				const char **ret_name, struct err *err);

/* The operations in the other two files. */
int file_create(void *arg, const char *key, struct slice body, struct err *err);
int file_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	      struct err *err);
int file_list_names(void *arg, const char *prefix, store_list_fn *fn, void *fn_arg,
		    struct err *err);

#endif /* TILLFS_STORE_FILE_H */
