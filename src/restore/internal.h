/*
 * internal.h - what the rooms of restore share.
 *
 *	restore.c   the whole: check for conflicts, start the workers, walk, wait
 *	walk.c      names of the snapshot, in order, filtered; knows nothing of the destination
 *	conflict.c  what would be replaced
 *	outdir.c    folders of the destination
 *	work.c      the queue between the walker and the workers
 *	file.c      regular files
 *	verify.c    reading them back
 *	node.c      links, fifos, sockets, devices
 *	links.c     hard links
 *	meta.c      owner, mode, attributes, times
 *
 * One thread walks and makes folders; workers make what is in them.  A folder gets its attributes
 * when the last job in it and below it is done, since each job changes its times.
 *
 * Layer 4.
 */
#ifndef RESTORE_INTERNAL_H
#define RESTORE_INTERNAL_H

#include <pthread.h>

#include "tillfs/merge.h"
#include "tillfs/restore.h"

#define TEMP_NAME_LEN 32u /* room for ".tillfs-" and sixteen digits */

struct run;

/* Names of entries hold no NUL (format.md 6.5). */
static inline char *
name_copy(struct slice name)
{
	return str_format("%.*s", (int)name.len, (const char *)name.p);
}

/* ---- walk.c ---------------------------------------------------------------------------- */

#define WALK_SKIP 1

/* Who is told what there is.  @dir: what enter returned for the folder that something is in. */
struct walk_visitor {
	void *arg;
	void *top; /* what enter would have returned for the destination */
	/*
	 * A folder.  @wanted: for itself, and not only for what may be wanted below it.
	 * Return: 0 to go in, WALK_SKIP, or an error that ends the walk.
	 */
	int (*enter)(void *arg, void *dir, const struct merged *x, bool wanted, void **ret,
		     struct err *err);
	void (*leave)(void *arg, void *dir);
	/* Anything else that is wanted. */
	int (*other)(void *arg, void *dir, const struct merged *x, struct err *err);
	/* A folder's listing can't be read (on).  Return: 0 to go on behind it, or an error. */
	int (*broken)(void *arg, void *dir, int code, struct err *err);
};

/**
 * restore_walk - visit what is wanted of @start, which stands at @path of the snapshot.
 * Return: 0, ERR_CANCELLED, or what a visitor returned.
 */
MUST_CHECK int restore_walk(const struct merged *start, struct slice path,
			    const struct restore_options *options, const struct walk_visitor *v,
			    struct err *err);

/* ---- conflict.c ------------------------------------------------------------------------ */

/* Return: 0, or ERR_EXISTS naming the first thing that would be replaced. */
MUST_CHECK int conflict_check(const struct merged *start, struct slice path,
			      const struct restore_options *options, struct err *err);

/* ---- outdir.c -------------------------------------------------------------------------- */

/* A folder of the destination.  Reference-counted; the last reference sets its attributes. */
struct outdir {
	atomic_uint refs;
	struct outdir *parent; /* a reference; NULL for the destination itself */
	struct tree_item item; /* what it shall look like */
	bool keep;             /* it stays as it looks: the user's own folder */
	char *name;            /* "" of the destination itself */
	int fd;                /* -1 until it is made */
	bool broken;           /* it can't be made, which was told */
	bool inherits;         /* what is made in it inherits an ACL, which must go */
};

/* The destination itself.  @fd: taken.  @item: what it shall look like, NULL: as it does. */
struct outdir *outdir_top(int fd, const struct tree_item *item);
/* Reads and makes nothing. */
struct outdir *outdir_new(struct outdir *parent, const struct tree_item *item);
/* Makes it, and what it stands in.  Walker's thread only. */
MUST_CHECK int outdir_make(struct run *run, struct outdir *d, struct err *err);
struct outdir *outdir_get(struct outdir *d);
void outdir_put(struct run *run, struct outdir *d);
/* Appends the path of something in it, for messages. */
void outdir_path(const struct outdir *d, struct slice name, struct buf *ret);

/* ---- links.c --------------------------------------------------------------------------- */

struct link_group;

struct links {
	pthread_mutex_t lock;
	struct link_group **buckets; /* protected by lock */
	size_t n, n_buckets;         /* protected by lock; n_buckets is a power of two */
};
void links_init(struct links *l);
void links_fini(struct run *run, struct links *l);

/* ---- work.c ---------------------------------------------------------------------------- */

/* One thing to be made in a folder. */
struct job {
	struct job *next;
	struct outdir *dir; /* a reference */
	struct tree_item item;
	char *name;
	struct link_group *group; /* NULL, or a reference: its other names */
	bool is_link;             /* it is another name of the group's */
	struct out_file *file; /* NULL, or the file that it lends a hand with; all else is unset */
};

/* Shared by all. */
struct run {
	const struct restore_options *options;
	struct restore_result *result; /* failures: protected by lock */
	bool is_root;
	uint64_t temp_base; /* random: temporary names can't be foreseen */
	atomic_uint_fast64_t temp_count;
	struct links links;

	atomic_uint_fast64_t files, dirs, others, bytes, owners_left, xattrs_left;
	struct progress progress; /* the walker's; totals */

	atomic_bool stop; /* cancelled, or going on is no use */
	pthread_mutex_t lock;
	pthread_cond_t more;       /* for workers: a job, or the end */
	pthread_cond_t room;       /* for the walker: the queue is shorter, or all is done */
	struct job *first, **last; /* protected by lock */
	size_t n_jobs, n_busy;     /* protected by lock: waiting; being done */
	bool closed;               /* protected by lock: no more will come */
	int code;                  /* protected by lock: the first failure's */
	struct err why;            /* protected by lock */
	pthread_t threads[8];
	unsigned n_threads;
};

MUST_CHECK int work_start(struct run *run, struct err *err);
/* Waits while the queue is long.  @job: taken. */
void work_add(struct run *run, struct job *job);
/* For workers: never waits, and comes before what the walker added. */
void work_add_first(struct run *run, struct job *job);
/* Waits until everything is done. */
void work_finish(struct run *run);
struct job *job_new(struct outdir *dir, const struct tree_item *item);
void job_free(struct run *run, struct job *job);
/* Tells how a job ended, to who waits for it and in the result; frees it. */
void job_finish(struct run *run, struct job *job, int code, struct err *err);
/* Notes a failure of something in @dir; ends the run when going on is no use. */
void restore_failed(struct run *run, const struct outdir *dir, struct slice name, int code,
		    struct err *err);
bool restore_stopped(struct run *run);
void restore_report(struct run *run);
void temp_name(struct run *run, char ret[TEMP_NAME_LEN]);

/* ---- making things: each ends with the thing under its final name, or nothing ------------- */

#define COPY_LEN (1u * MIB) /* what is read and written at once */

void file_job(struct run *run, struct job *job, uint8_t *buffer); /* takes @job */
void hand_job(struct run *run, struct job *job, uint8_t *buffer); /* takes @job */
MUST_CHECK int node_make(struct run *run, const struct job *job, struct err *err);
/* Moves a finished thing to its final name. */
MUST_CHECK int commit_name(struct run *run, const struct outdir *dir, const char *temp,
			   const char *name, struct err *err);
MUST_CHECK int verify_file(struct run *run, struct tree_file *source, int fd, uint8_t *buffer,
			   struct err *err);

/*
 * The walker gives anything with several names to link_claim, which queues it: as the first name,
 * or as another.  The worker that made the first, or failed to, calls link_made.
 */
void link_claim(struct run *run, struct job *job); /* takes @job */
void link_made(struct run *run, struct job *job, bool made);
void link_release(struct run *run, struct job *job);
MUST_CHECK int link_make(struct run *run, const struct job *job, struct err *err);

/* ---- meta.c ---------------------------------------------------------------------------- */

/* What is to get its attributes. */
struct meta_target {
	const struct outdir *dir; /* the folder that it is in */
	const char *name;         /* the one it has there now */
	int fd;                   /* its own, or -1 when it can only be reached by name */
	bool drop_acl;            /* it has inherited what the snapshot may not give it */
};
/* Single attributes that can't be set are counted or told; the rest fails the whole. */
MUST_CHECK int meta_apply(struct run *run, const struct meta_target *t, const struct entry *e,
			  struct err *err);

#endif /* RESTORE_INTERNAL_H */
