/*
 * history.h - versions of something, as tillfs history tells them: what cmd_history.c (files) and
 * history_rows.c (rows and records of databases) share.
 */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "database.h"

/* A version, as long as snapshots in a row have it. */
struct version {
	const char *writer; /* borrowed from the repo */
	struct snapshot_name first, last;
	uint64_t n_snapshots;
	bool missing_since; /* and the writer's next snapshot hasn't got it */
	struct snapshot_name missing;
	struct buf about; /* what it is: JSON members for a file, a document for a row */
	struct buf words; /* the same for people */
};

struct versions {
	struct repo *repo;
	struct version *v;
	size_t n, cap;
	struct writer_id writer; /* whose snapshots are being walked */
	size_t n_failed;         /* snapshots that could not be read, each named */
};
void versions_fini(struct versions *x);
/* A snapshot's turn.  Return: whether its writer is another one than before. */
bool versions_turn(struct versions *x, const struct moment *m);
/* What became of the thing in it.  @return: the version to describe, when a new one starts. */
struct version *versions_add(struct versions *x, const struct moment *m, enum version_step step);
/* A snapshot that can't be read: warned of.  Return: 0, or the code when it ends the walk. */
MUST_CHECK int versions_failed(struct versions *x, const struct moment *m, int code,
			       const struct err *why, struct err *err);
/* `"writer": …, "snapshots": …, "first": {…}, "last": {…}` */
void versions_put_json(const struct version *v, struct buf *b);
void versions_put_words(const struct version *v, struct buf *b);
void versions_put_missing(const struct version *v, struct buf *b);
/* After printing.  @what: for the message.  Return: 0, ERR_NOENT, ERR_CORRUPT */
MUST_CHECK int versions_end(const struct versions *x, const char *what, struct err *err);

/* tillfs history DATABASE TABLE KEY. */
int history_rows(struct cli *c, struct err *err);

#endif /* CLI_HISTORY_H */
