/*
 * walk.h - the walker's state, shared by what looks at directories and what looks at files.
 *
 * Layer 4.
 */
#ifndef BACKUP_WALK_H
#define BACKUP_WALK_H

#include "backup/internal.h"
#include "backup/targets.h"

/* A database in a directory being walked. */
struct level_database {
	char *name;
	bool captured;
};

/* A directory being walked. */
struct level {
	int fd;
	uint64_t dev;
	size_t path_len;             /* of this directory in walker->path */
	const struct target *target; /* when only some of its entries are wanted */
	char **names;
	size_t n, i;
	struct item *item;                 /* NULL: the synthetic root */
	struct lane *lane;                 /* of the directory's own class */
	uint64_t begun;                    /* a bit a lane: the directory stands there */
	struct record *records[LANES_MAX]; /* what is known of its files; loaded on first use */
	uint64_t loaded;
	struct level_database *databases; /* those met so far */
	size_t n_databases, cap_databases;
};

struct walker {
	struct run *run;
	struct level *levels;
	size_t n, cap;
	struct buf path; /* of what is looked at, without leading '/' */
	struct names *names;
	struct file_reader *reader;
	struct avoid *avoid;
	struct target *root;
	uint64_t present; /* PATHs that exist */
	int rc;           /* a failure that ends the walk */
	struct err *err;
};

static inline struct level *
top(struct walker *w)
{
	return &w->levels[w->n - 1];
}

static inline struct slice
path_of(const struct walker *w)
{
	return buf_slice(&w->path);
}

/* What is known of a directory's files in a lane; loaded on first use.  Borrowed from the level. */
const struct record *walker_record(struct walker *w, struct level *l, struct lane *lane);

/**
 * walker_file - find or read a file's content.
 * @e: its EVENT_ITEM under construction
 * Return: 0, ERR_NOENT when it couldn't be read, which is noted, or an error that ends the walk.
 */
MUST_CHECK int walker_file(struct walker *w, struct lane *lane, const char *name,
			   const struct file_stat *st, struct event *e);

/* walk_file.c, for walk_db.c */
bool stamp_equal(const struct stamp *a, const struct stamp *b);
/* Whether a write after our look would have changed it: not in the same tick of the clock. */
bool stamp_is_old(const struct stamp *s);
/* Takes back what an attempt to read a file has emitted. */
void walker_forget(struct lane *lane, struct event *e);

/* Whether the configuration wants the database at the path stored as it stands. */
bool walker_raw_wanted(const struct walker *w);
/* Remembers a database of the top directory, for its companions. */
void walker_database_done(struct walker *w, const char *name, bool captured);
/* Whether a name is a captured database's companion, which then doesn't appear. */
bool walker_hides(struct walker *w, const char *name);
/**
 * walker_database - capture a database.
 * Return: 0, ERR_INVALID when it is to be stored raw, which is flagged, or an error that ends the
 * walk.
 */
MUST_CHECK int walker_database(struct walker *w, struct lane *lane, const char *name,
			       struct event *e, struct err *err);

#endif /* BACKUP_WALK_H */
