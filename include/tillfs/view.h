/*
 * view.h - the mounted name space as nodes, without any FUSE type.
 *
 *	by-date/<date>/<writer>.<HH-MM-SS>Z/…   a snapshot: exactly what was backed up
 *	by-host/<writer>/<date>T<HH-MM-SS>Z     a symlink to it
 *	latest/<writer>                         a symlink to the writer's newest
 *	history/<writer>/<path>/<time>.<name>   each distinct version of a file
 *	records/<date>/<writer>.<HH-MM-SS>Z/<path>/<table>/<key>.json   rows of databases
 *	.tillfs/status.json  .tillfs/log        what the mount is doing
 *
 * A node is a name in that space; nodes cost at most 64 bytes and a name, and know their parent.  A
 * snapshot's directories merge the class trees that this identity can open.  Everything inside a
 * snapshot is immutable; what is above it changes with view_refresh.
 *
 * Layer 5: uses reader, repo, compare, records.
 */
#ifndef TILLFS_VIEW_H
#define TILLFS_VIEW_H

#include "tillfs/base.h"
#include "tillfs/reader.h"

struct records_host;
struct view;
struct view_node; /* reference-counted */

struct view_options {
	uint64_t memory; /* for everything of ours; 0: 64 MiB, 96 for a distant store */
	unsigned timeout_ms;
	struct diskcache *cache; /* asked before the store; borrowed; NULL: none */
	struct store *meter;     /* counts what goes over the link, for status.json; borrowed; NULL:
				    the store isn't asked at all */
	struct prices prices;
	struct records_host *records; /* reads databases for records/; borrowed; NULL: there is
					 no such directory */
};

/* @repo: borrowed; must outlive the view. */
MUST_CHECK int view_new(struct repo *repo, const struct view_options *options, struct view **ret,
			struct err *err);
void view_free(struct view *v); /* with what is open and referred to; no call may be running */
DEFINE_FREEP(struct view *, view_free)

struct view_node *view_root(struct view *v); /* borrowed */
void view_ref(struct view_node *n, uint64_t count);
void view_unref(struct view *v, struct view_node *n, uint64_t count);
/* Whether all below it stays as it is: snapshots and what is in them. */
bool view_node_immutable(const struct view_node *n);
/* True once in a node's life. */
bool view_node_first_open(struct view_node *n);
/* Appends its path below the mount point: for messages, "" for the root. */
void view_node_path(const struct view_node *n, struct buf *ret);

struct view_attr {
	uint64_t ino;
	enum entry_type type;
	uint32_t mode, uid, gid;
	uint64_t nlink, size, blocks; /* blocks of 512 bytes */
	uint32_t rdev_major, rdev_minor;
	struct timestamp mtime, ctime, btime;
	bool has_btime;
	bool immutable; /* inside a snapshot: the kernel may cache it for ever */
};

/**
 * view_lookup - a name in a directory.
 * @ret: a reference (view_unref)
 *
 * Cost: O(log n) nodes a class; a snapshot's own name costs reading the snapshot object.
 * Return: 0, ERR_NOENT, or what reading gives.  Threads: any.
 */
MUST_CHECK int view_lookup(struct view *v, struct view_node *dir, struct slice name,
			   struct view_node **ret, struct view_attr *ret_attr, struct err *err);
MUST_CHECK int view_getattr(struct view *v, struct view_node *n, struct view_attr *ret,
			    struct err *err);
MUST_CHECK int view_readlink(struct view *v, struct view_node *n, struct buf *ret, struct err *err);

/* Directory streams.  Offsets are stable for the directory's life: 1 is `.`, 2 is `..`, then in
 * name order. */
struct view_dir;
MUST_CHECK int view_opendir(struct view *v, struct view_node *dir, struct view_dir **ret,
			    struct err *err);
void view_closedir(struct view *v, struct view_dir *d);
struct view_dirent {
	struct slice name; /* borrowed until the next call */
	uint64_t next_off; /* where to go on after this one */
	uint64_t ino;
	enum entry_type type;
	struct view_attr attr; /* when asked for */
};
/**
 * view_readdir - the entry at @off (0 the start, else a next_off).
 * @node: NULL, or receives a reference, and attr is filled; it receives NULL for `.` and `..`, for
 *        what would cost a read of its own, and for all when many nodes are referred to already
 * Return: 0, ERR_NOENT at the end, or what reading gives.  Threads: one thread a stream.
 */
MUST_CHECK int view_readdir(struct view *v, struct view_dir *d, uint64_t off,
			    struct view_dirent *ret, struct view_node **node, struct err *err);

struct view_file;
MUST_CHECK int view_open(struct view *v, struct view_node *n, struct view_file **ret,
			 struct err *err);
void view_close(struct view *v, struct view_file *f);
bool view_file_immutable(const struct view_file *f);
uint64_t view_file_size(const struct view_file *f);
MUST_CHECK int view_read(struct view *v, struct view_file *f, uint64_t off, void *p, size_t len,
			 size_t *ret_len, struct err *err);
MUST_CHECK int view_seek(struct view *v, struct view_file *f, uint64_t off, bool hole,
			 uint64_t *ret, struct err *err);

/* Extended attributes: those backed up, and the virtual user.tillfs.* that listings omit. */
/* Return: 0, ERR_NOENT, ERR_UNSUPPORTED where there are none of that kind, or what reading gives.
 */
MUST_CHECK int view_getxattr(struct view *v, struct view_node *n, struct slice name,
			     struct buf *ret, struct err *err);
MUST_CHECK int view_listxattr(struct view *v, struct view_node *n, struct buf *ret,
			      struct err *err);

struct view_statfs {
	uint64_t bytes, files; /* of the newest snapshot of each writer, together */
};
void view_statfs(struct view *v, struct view_statfs *ret);

/**
 * view_refresh - look for new snapshots and publish them.
 * @changed: called for each of the mount's own directories whose listing changed, without locks
 * held;
 *           @name is what appeared or changed in it; empty: the directory itself is another
 * Return: 0, or an error that leaves the view as it was (also written to the log).
 */
typedef void view_changed_fn(void *arg, struct view_node *dir, struct slice name);
MUST_CHECK int view_refresh(struct view *v, view_changed_fn *changed, void *arg, struct err *err);
/* Whether all snapshots are there: of a repository opened by days, after the first refresh that
 * succeeded.  Until then whoever needs more than dates waits.  Threads: any. */
bool view_is_listed(struct view *v);
/* Has somebody told when the first one waits: the refresh shall come now.  @fn: without locks. */
void view_on_wait(struct view *v, void (*fn)(void *arg), void *arg);
/* There won't be a refresh any more: whoever waits for the list gets an error. */
void view_end_waits(struct view *v);

#endif /* TILLFS_VIEW_H */
