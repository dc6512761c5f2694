/*
 * spool.h - files for copies of databases: ours alone, and gone once nobody has them open.
 *
 * Layer 4.
 */
#ifndef CAPTURE_SPOOL_H
#define CAPTURE_SPOOL_H

#include "tillfs/base.h"

struct spool {
	char *path; /* NULL once it has no name any more */
	int fd;
};
#define SPOOL_INIT ((struct spool){.fd = -1})

/**
 * spool_open - make an empty file of mode 0600, with room for @len bytes.
 * Return: 0, ERR_NOSPACE naming the folder, ERR_IO.
 */
MUST_CHECK int spool_open(const char *folder, uint64_t len, struct spool *ret, struct err *err);
void spool_unname(struct spool *s); /* the descriptor stays */
void spool_fini(struct spool *s);

#endif /* CAPTURE_SPOOL_H */
