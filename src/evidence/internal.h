/*
 * internal.h - what the files of the evidence share.
 *
 *	statement.c  text that is signed as it is
 *	prove.c      that a mount is read-only: the report
 *	attempts.c   the calls that are tried
 *	bag.c        a bag, from verifying to the last file
 *	copy.c       files of a snapshot, exactly, and their hashes
 *	texts.c      what stands in a bag beside them
 *	timestamp.c  RFC 3161: asking an authority for a time stamp
 */
#ifndef EVIDENCE_INTERNAL_H
#define EVIDENCE_INTERNAL_H

#include "tillfs/evidence.h"
#include "tillfs/verify.h"

MUST_CHECK int evidence_file_write(const char *dir, const char *name, struct slice bytes,
				   struct err *err);

/* Files and their hashes, as a manifest has them. */
struct manifest {
	struct buf text;
	uint64_t files, bytes;
};
/* Adds all below a folder of a bag; "": the bag's own files, without its payload and tag manifest.
 */
MUST_CHECK int evidence_manifest(const char *bag, const char *folder, struct manifest *m,
				 struct err *err);
/* "2026-11-20/till-03.23-00-05Z": an item's snapshot, and its folder below data/. */
void evidence_label(struct repo *repo, const struct evidence_item *item, struct buf *ret);
MUST_CHECK int evidence_copy(struct repo *repo, struct reader *reader,
			     const struct evidence_item *item, const char *bag,
			     const struct progress_sink *progress, struct evidence_result *ret,
			     struct err *err);

/* A bag that is being made. */
struct bag {
	struct repo *repo;
	const struct identity *identity;
	const struct evidence_item *items;
	size_t n_items;
	const struct evidence_options *options;
	struct verify_result verified;
	struct buf failures; /* of the verification, as JSON strings with commas between */
	struct manifest payload, provenance;
	int64_t time;
};
/* texts.c: each appends. */
void bag_statement(const struct bag *b, struct buf *ret);
void bag_readme(const struct bag *b, struct buf *ret);
void bag_info(const struct bag *b, struct buf *ret);
/* The entries of an access log about what is in the bag, and what the log proves. */
MUST_CHECK int bag_log_extract(const struct bag *b, struct buf *ret, struct err *err);

/* @ret: the authority's answer, as it came. */
MUST_CHECK int timestamp_get(const char *url, const char *cacert, struct slice text,
			     struct buf *ret, struct err *err);

/* Tries all; @ret gets an attempt each.  @file, @folder: whole paths. */
void attempts_make(const char *file, const char *folder, struct prove_result *ret);

#endif /* EVIDENCE_INTERNAL_H */
