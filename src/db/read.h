/*
 * read.h - what the files that read foreign databases share.
 *
 *	overlay.c  which pages a WAL or a hot journal has newer or older
 *	vfs.c      SQLite's file system of one database
 *	read.c     opening it defensively, statements
 */
#ifndef DB_READ_INTERNAL_H
#define DB_READ_INTERNAL_H

#include "tillfs/db_read.h"

/* A page that isn't in the file as it should be. */
struct overlay_page {
	uint32_t number; /* from 1 */
	bool in_wal;     /* or in the journal */
	uint64_t off;    /* of its bytes there */
};

/* Zero-initialised: the file is as it is. */
struct overlay {
	uint32_t page_size; /* 0: nothing lies over the file */
	uint64_t size;      /* of the database */
	struct overlay_page *pages;
	size_t n, cap; /* ascending numbers, each once */
};
void overlay_fini(struct overlay *o);

/**
 * overlay_build - find out what lies over the file.
 * Torn and stale frames and records are passed over as SQLite does.
 * Return: 0, ERR_CORRUPT when WAL and journal contradict each other, or what reading gives.
 */
MUST_CHECK int overlay_build(const struct db_files *files, struct overlay *ret, struct err *err);

/* Bytes of the database; the range lies inside overlay_size. */
MUST_CHECK int overlay_read(const struct overlay *o, const struct db_files *files, uint64_t off,
			    void *p, size_t len, struct err *err);
uint64_t overlay_size(const struct overlay *o, const struct db_files *files);

/* ---- SQLite's file system */

struct vfs_database {
	struct db_files files;
	struct overlay overlay;
	struct err failure; /* the first failed read, for the sentence */
};

struct vfs;
/* @databases: borrowed; files "main" and "then" are these. */
struct vfs *vfs_new(struct vfs_database *databases, size_t n);
const char *vfs_name(const struct vfs *v);
void vfs_free(struct vfs *v);
DEFINE_FREEP(struct vfs *, vfs_free)

#endif /* DB_READ_INTERNAL_H */
