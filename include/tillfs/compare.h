/*
 * compare.h - what changed from one snapshot to another, and which versions of a path there are.
 *
 * Directories stored in the same place are passed over unread, so that comparing costs about what
 * changed, not what there is.
 *
 * Layer 4: uses repo, reader.
 */
#ifndef TILLFS_COMPARE_H
#define TILLFS_COMPARE_H

#include "tillfs/base.h"
#include "tillfs/differ.h"

/* ---- two trees ------------------------------------------------------------------------- */

enum change_kind {
	CHANGE_ADDED,
	CHANGE_REMOVED,
	CHANGE_CONTENT, /* stored elsewhere: for files, other bytes or the same ones stored again */
	CHANGE_ATTRIBUTES, /* the same bytes, but another mode, owner, time … */
	CHANGE_TYPE,       /* a file has become a directory, or the like */
	CHANGE_UNREADABLE, /* nobody knows: a directory's entries are damaged or missing */
};

struct change {
	enum change_kind kind;
	struct slice path;        /* below the roots compared; borrowed for the call */
	const struct merged *old; /* NULL when added; borrowed for the call */
	const struct merged *new; /* NULL when removed */
	const struct err *why;    /* CHANGE_UNREADABLE; borrowed for the call */
};
/* Return 0 to go on; anything else ends the comparison with that code. */
typedef int compare_fn(void *arg, const struct change *change, struct err *err);

/**
 * compare_trees - tell what differs below two paths.
 * @old, @new: borrowed; one of them may be NULL: then all below the other is removed or added
 * @cancel:    may be NULL
 *
 * Changes come in name order, a directory before what is in it; one that only has other entries
 * isn't told of itself.  Reads directories that differ, and no content.  A directory that can't be
 * read is told of, with neither side, and the walk goes on behind it.
 * Return: 0, ERR_CANCELLED, ERR_UNREACHABLE, or what @fn returned.
 */
MUST_CHECK int compare_trees(const struct merged *old, const struct merged *new, compare_fn *fn,
			     void *arg, const atomic_bool *cancel, struct err *err);

/* ---- time ------------------------------------------------------------------------------ */

/* Which snapshots somebody asks about. */
struct timeline_options {
	const char *writer; /* a name; NULL: all */
	bool has_from, has_until;
	struct date from, until;       /* business dates, both included */
	struct progress_sink progress; /* counts snapshots as files */
};

/* One snapshot, opened; freed with moment_free. */
struct moment {
	struct repo_list *list; /* a reference: keeps @snapshot */
	const struct repo_snapshot *snapshot;
	struct repo_opened *opened;
	struct merge *merge; /* NULL: it can't be opened, and failure says why */
	struct err failure;
};
void moment_free(struct moment *m);
DEFINE_FREEP(struct moment *, moment_free)

/**
 * timeline_fn - one snapshot, in its turn.
 * @m: freed when the call returns, unless taken with steal_ptr
 * Return 0 to go on; anything else ends the walk with that code.
 */
typedef int timeline_fn(void *arg, struct moment **m, struct err *err);

/**
 * timeline_walk - open snapshot after snapshot: writers in the order of their names, each one's
 * oldest first by sequence, whatever their clocks said.
 *
 * A snapshot that is sealed to others is passed over.  One that can't be read comes as a moment
 * without trees, so that the caller says so; an unreachable store ends the walk.
 * Return: 0, ERR_NOENT for a writer that has no snapshots, ERR_CANCELLED, ERR_UNREACHABLE, or what
 * @fn returned.
 */
MUST_CHECK int timeline_walk(struct repo *repo, struct reader *reader,
			     const struct timeline_options *options, timeline_fn *fn, void *arg,
			     struct err *err);

/* ---- one path over time ---------------------------------------------------------------- */

/* What a step of time made of a path. */
enum version_step {
	VERSION_ABSENT,  /* not there */
	VERSION_SAME,    /* as in the snapshot before */
	VERSION_CHANGED, /* there, with other content, or for the first time */
};

/*
 * A path followed through the snapshots of one writer, oldest first.  Remembers the last content;
 * whoever owns a snapshot's trees keeps those of the last VERSION_CHANGED open until the next one.
 */
struct version_walk {
	struct merged last;
	bool there; /* in the snapshot before */
};
void version_walk_fini(struct version_walk *w);
/**
 * version_walk_step - look at the next snapshot.
 * @at:  the path in it, taken; or NULL when it isn't there
 * Content that went and came back the same is VERSION_CHANGED again: it was missing in between.
 */
enum version_step version_walk_step(struct version_walk *w, struct merged *at);

#endif /* TILLFS_COMPARE_H */
