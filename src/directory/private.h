/*
 * private.h - the keys of a directory entry, as encoded.
 */
#ifndef DIRECTORY_PRIVATE_H
#define DIRECTORY_PRIVATE_H

#include "tillfs/directory.h"

enum entry_key {
	KEY_NAME,
	KEY_TYPE,
	KEY_MODE,
	KEY_UID,
	KEY_GID,
	KEY_USER,
	KEY_GROUP,
	KEY_SIZE,
	KEY_MTIME,
	KEY_MTIME_NS,
	KEY_CTIME,
	KEY_CTIME_NS,
	KEY_BTIME,
	KEY_BTIME_NS,
	KEY_NLINK,
	KEY_DEV,
	KEY_INO,
	KEY_RDEV,
	KEY_TARGET,
	KEY_XATTRS,
	KEY_SUBDIRS,
	KEY_CONTENT,
	KEY_CHILDREN,
	KEY_BARE,
	KEY_ENTRIES,
	KEY_BARE_SUBDIRS,
	KEY_HOLES,
	KEYS_KNOWN
};

/* A name as a directory may hold it: 1 … 255 bytes, not `.` or `..`, without `/` and NUL. */
bool name_is_valid(struct slice name);

#endif /* DIRECTORY_PRIVATE_H */
