/*
 * targets.h - which paths a backup was asked for, and which places it never enters.
 *
 * Layer 4.
 */
#ifndef BACKUP_TARGETS_H
#define BACKUP_TARGETS_H

#include "tillfs/base.h"
#include "tillfs/config.h"

/* The PATHs of a run as a tree of names: inner nodes lead to them, whole nodes are them. */
struct target {
	char *name;
	char *from; /* root only: the directory that paths start from, "/" or "." */
	bool whole;
	bool made; /* no place of the file system: a folder of made files, or one of them */
	const struct config_made *maker; /* of a made file; borrowed */
	struct target **children;        /* ascending by name */
	size_t n, cap;
};

/**
 * targets_parse - sort out the PATHs of a run.
 * Return: 0, ERR_INVALID for no path at all, an empty one, one with `..`, or relative and absolute
 * ones together.
 */
MUST_CHECK int targets_parse(const char *const *paths, size_t n, struct target **ret,
			     struct err *err);
/**
 * targets_add_made - add a file that is made.
 * Return: 0, or ERR_INVALID when its path lies in what is backed up.
 */
MUST_CHECK int targets_add_made(struct target *root, const struct config_made *m, struct err *err);
void target_free(struct target *t);

/* Directories by device and inode, and the devices of mounted tillfs file systems. */
struct avoid;
struct avoid *avoid_new(const char *const *dirs, size_t n);
void avoid_free(struct avoid *a);
bool avoid_has(const struct avoid *a, uint64_t dev, uint64_t ino);

#endif /* BACKUP_TARGETS_H */
