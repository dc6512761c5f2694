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
	const struct target **made;  /* made files and folders beside its entries */
	size_t n_made, cap_made;
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

/* A database captured before the walk came to it. */
struct held_database {
	char *path; /* as stored */
	struct capture *capture;
	struct reading_of read;
	bool may_record;
};

struct walker {
	struct run *run;
	struct level *levels;
	size_t n, cap;
	struct buf path; /* of what is looked at, without leading '/' */
	struct names *names;
	struct file_reader *reader;
	struct avoid *avoid;
	struct held_database *held; /* captured before the walk came to them */
	size_t n_held, cap_held;
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

/* Enters a directory.  @fd: taken; -1: it can't be read, or is made.  @item: taken. */
MUST_CHECK int walker_enter(struct walker *w, int fd, const struct file_stat *st, struct item *item,
			    const struct target *target);
/* The next entry, or the end of a directory.  Return: an error ends the walk. */
MUST_CHECK int walker_step(struct walker *w);
void walker_level_fini(struct level *l);
/* Begins the directories down to the top one in a lane. */
void walker_begin(struct walker *w, struct lane *lane);
struct lane *walker_lane(struct walker *w, struct slice path); /* NULL: w->rc says why */

/* walk_made.c: a made file, or a folder of them.  Return: an error ends the walk. */
MUST_CHECK int walker_made(struct walker *w, const struct target *target);
/* Flags that what should stand at the path doesn't. */
void walker_fail(struct walker *w, const char *why);

/* walk_file.c, for walk_db.c and walk_made.c */
/* Notes card numbers in what was read just now. */
void walker_note_cards(struct walker *w);
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

/**
 * walker_hold - capture a database before the walk comes to it, so that extracts are of the same
 * moment as the database in the snapshot.
 * @path: as stored
 * @ret:  borrowed until the walk ends; a copy
 */
MUST_CHECK int walker_hold(struct walker *w, int dirfd, const char *path, struct capture **ret,
			   struct err *err);
void walker_let_go(struct walker *w);

#endif /* BACKUP_WALK_H */
