/*
 * restore.h - copy files out of a snapshot, exactly.
 *
 * A file is written under a temporary name, completed (content, owner, mode, times, attributes),
 * and only then renamed: under its final name there are never wrong or missing bytes.
 *
 * Layer 4: uses reader, view's merging through struct restore_source.
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
	bool verify;    /* read every restored file back and compare */
	struct progress_sink progress;
};

struct restore_result {
	uint64_t files, dirs, others, bytes;
	char **failures; /* sentences: what could not be restored, each naming its path */
	size_t n_failures, cap_failures;
};

/**
 * restore_run - restore a path of an opened snapshot, all classes that open merged.
 * @path: "" for the whole snapshot; a file or folder lands in options->to under its own name, the
 * snapshot itself with its contents
 *
 * Return: 0 when everything was restored; ERR_NOENT for a path that isn't there; ERR_EXISTS, before
 * anything is written, when something that exists would be replaced without @overwrite;
 * ERR_CANCELLED; else the first failure's code, the others in @ret.
 */
MUST_CHECK int restore_run(struct reader *reader, const struct repo_opened *opened,
			   struct slice path, const struct restore_options *options,
			   struct restore_result *ret, struct err *err);
void restore_result_fini(struct restore_result *r);

#endif /* TILLFS_RESTORE_H */
