/*
 * folders.h - listing keys in byte order where a store is made of folders.
 *
 * A back end reads one folder; here is what all of them share: the order ("a.b" comes before
 * "a/b", because the '/' that follows a folder's name counts), the prefix, the delimiter, and
 * reading some folders ahead where each costs round trips.
 */
#ifndef TILLFS_STORE_FOLDERS_H
#define TILLFS_STORE_FOLDERS_H

#include "tillfs/store.h"

/* Where objects are written before they have their name.  No key begins with it. */
#define TEMP_FOLDER ".tmp"

struct folder_name {
	char *text; /* a folder's ends in '/' */
	uint64_t size;
};

/* What a folder holds, in any order.  {0} is empty. */
struct folder_names {
	struct folder_name *all;
	size_t n, cap;
};

/* Notes an object or a folder.  What is no legal part of a key is passed over. */
void folder_names_add(struct folder_names *names, struct slice name, bool is_folder, uint64_t size);

void folder_names_fini(struct folder_names *names);

/**
 * folder_read_fn - read one folder.
 * @folder: "" for the root, else ends in '/'
 * @ret:    empty; filled with folder_names_add
 *
 * Return: 0, also for a folder that isn't there, or an error.
 * Threads: called from several at once when reading ahead.
 */
typedef int folder_read_fn(void *arg, const char *folder, struct folder_names *ret,
			   struct err *err);

/**
 * folders_list - store_list over folders.
 * @ahead: how many folders to read at once, besides the one that is waited for; 0: none
 *
 * Costs a read a folder.  With @delimited, an empty folder is no prefix of any key, so that one
 * object is looked for in each.
 * Return: as store_list.
 */
MUST_CHECK int folders_list(folder_read_fn *read, void *read_arg, unsigned ahead,
			    const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
			    struct err *err);

/* Refuses a key that a store of folders can't hold.  Return: 0, or ERR_INVALID. */
MUST_CHECK int folders_check_key(const char *key, struct err *err);

#endif /* TILLFS_STORE_FOLDERS_H */
