/*
 * check.h - find damage before somebody needs the data.
 *
 * Layer 4: uses repo, reader, catalog (pack sets).
 */
#ifndef TILLFS_CHECK_H
#define TILLFS_CHECK_H

#include "tillfs/base.h"
#include "tillfs/reader.h"

struct check_options {
	bool read_data; /* read every byte of every pack, and open every segment that a snapshot
			   reaches */
	const struct snapshot_name *only; /* NULL: everything; else these snapshots and what they
					     reach, and nothing that opening has found */
	size_t n_only;
	struct progress_sink progress;
	/* Called for each finding with a whole sentence, as it is found; one call at a time. */
	void (*found)(void *arg, int code, const char *sentence);
	void *found_arg;
};

struct check_result {
	uint64_t snapshots, packs, objects, bytes;
	uint64_t damaged; /* findings that mean lost or altered data */
	uint64_t packs_read, bytes_read;
	uint64_t unreferenced; /* packs that no snapshot reaches: harmless leftovers of broken runs
				*/
};

/**
 * check_run - check every snapshot (signature, name, chain, parts), that every pack that a snapshot
 * lists is there with the right length, and every directory and stream node; with read_data also
 * every stored byte.
 * @repo: opened, and so config and ledger were checked; what that found is told again
 *
 * Damage doesn't stop it: each is told once, naming object and snapshots.  What this identity can't
 * open is said, and not checked.
 * Cost: one listing, every snapshot object, every node once however many snapshots share it.
 * Return: 0 when it ran to the end (look at ret->damaged), ERR_CANCELLED, or why it could not go
 * on.
 */
MUST_CHECK int check_run(struct repo *repo, struct reader *reader,
			 const struct check_options *options, struct check_result *ret,
			 struct err *err);

#endif /* TILLFS_CHECK_H */
