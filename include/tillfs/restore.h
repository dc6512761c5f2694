/*
 * restore.h - copy files out of a snapshot, exactly.
 *
 * A file is written under a temporary name (.tillfs-…), completed (content, owner, mode,
 * attributes, times), and only then renamed: under its final name there are never wrong or missing
 * bytes.  Symbolic links in the destination are never followed, below the destination folder
 * itself.
 *
 * Layer 4: uses reader.
 */
#ifndef TILLFS_RESTORE_H
#define TILLFS_RESTORE_H

#include "tillfs/base.h"
#include "tillfs/reader.h"

struct restore_options {
	const char *to;              /* destination folder, made when missing */
	const char *const *includes; /* globs over paths inside the snapshot; none: everything */
	size_t n_includes;
	const char *const *excludes;
	size_t n_excludes;
	bool overwrite; /* replace existing files */
	bool verify;    /* read every restored file back from the disk and compare */
	struct progress_sink progress;
};

struct restore_result {
	uint64_t files, dirs, others, bytes;
	/* What this user or file system can't have, and went without: owners, attributes. */
	uint64_t owners_left, xattrs_left;
	char **failures; /* sentences: what could not be restored, each naming its path */
	size_t n_failures, cap_failures;
};

/**
 * restore_run - restore a path of an opened snapshot, all classes that open merged.
 * @path: "" for the whole snapshot; a file or folder lands in options->to under its own name, the
 *        snapshot itself with its contents
 *
 * Folders that exist are merged into, and get the snapshot's attributes.  Who isn't root becomes
 * the owner of everything, without setuid and setgid bits that were another's.  Attributes that the
 * destination can't hold are counted; one that fails otherwise is a failure of a file whose bytes
 * are right.
 *
 * Return: 0 when everything was restored; ERR_NOENT for a path that isn't there; ERR_EXISTS, before
 * anything is written, when something that exists would be replaced without @overwrite;
 * ERR_CANCELLED; else the first failure's code, with all of them in @ret.  A full disk or a store
 * that gives no answer ends it early.
 */
MUST_CHECK int restore_run(struct reader *reader, const struct repo_opened *opened,
			   struct slice path, const struct restore_options *options,
			   struct restore_result *ret, struct err *err);
void restore_result_fini(struct restore_result *r);

#endif /* TILLFS_RESTORE_H */
