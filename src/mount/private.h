/*
 * private.h - what the files of the mount share.
 *
 *	serve.c       a session, from mounting to unmounting
 *	loop.c        the threads that serve
 *	options.c     -o
 *	calls.c       requests whose caller is about to die
 *	ops_*.c       one handler a kernel request: call the view, reply once
 *	errno.c       what a process sees of an error, and what the log says
 *	record.c      accesses on their way to the log
 *	programs.c    which program asks
 *	helper.c      a process that stays outside the sandbox
 *	mountinfo.c   which mounts there are, the dead ones too
 */
#ifndef TILLFS_MOUNT_PRIVATE_H
#define TILLFS_MOUNT_PRIVATE_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)

#include <fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>
#include <sys/queue.h>

#include "tillfs/mount.h"

#define MOUNT_FSTYPE "fuse.tillfs"

#define PROGRAM_MAX PATH_MAX

/* An open file, as the kernel knows it. */
struct mount_handle {
	LIST_ENTRY(mount_handle) in_open; /* protected by the lock of what it is open in */
	struct view_file *file;
	uint64_t access;         /* its number in the record, or 0 */
	_Atomic(uint64_t) bytes; /* served to the kernel */
	atomic_int code;         /* of the first read that failed, or 0 */
};

/* What handlers get as their session's user data. */
struct mount_fs {
	struct view *view;
	struct fuse_session *fuse;
	bool acl;            /* the kernel enforces ACLs */
	atomic_bool storing; /* a thread is putting a file into the page cache */

	struct audit *audit;             /* or NULL */
	struct mount_programs *programs; /* with audit */
	struct mount_calls *calls;       /* while it serves */
	pthread_mutex_t lock;
	LIST_HEAD(, mount_handle) handles; /* protected by lock: the open ones */
};

static inline struct mount_fs *
mount_fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct view_node *
mount_node_of(const struct mount_fs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? view_root(fs->view) : (struct view_node *)(uintptr_t)ino;
}

static inline fuse_ino_t
mount_ino_of(const struct mount_fs *fs, const struct view_node *n)
{
	return n == view_root(fs->view) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)n;
}

/* ---- requests that may have to wait for the store */

struct mount_call {
	LIST_ENTRY(mount_call) link;
	struct mount_fs *fs;
	struct fuse_ctx who;
	/* protected by the lock of calls.c */
	uint64_t serial;
	fuse_req_t req; /* NULL: answered, or about to be */
	bool interrupted, abandoned;
};

/**
 * mount_call_begin - begin to answer a request whose caller may die meanwhile.
 *
 * After this the request belongs to the call: it may be gone until mount_call_take.
 * Return: for mount_call_end.
 */
struct mount_call *mount_call_begin(fuse_req_t req);
/* Whether the caller still waits for an answer, which then is to be given. */
MUST_CHECK bool mount_call_take(struct mount_call *call);
void mount_call_end(struct mount_call *call);

typedef void mount_later_fn(struct mount_fs *fs, void *arg, uint64_t n);
/* Calls @fn when no abandoned call can use any more what it ends; mostly at once. */
void mount_later(struct mount_fs *fs, mount_later_fn *fn, void *arg, uint64_t n);

/* mount_calls_stop also follows a start that failed; no request is being served by then. */
MUST_CHECK int mount_calls_start(struct mount_fs *fs, struct mount_helper *helper, struct err *err);
void mount_calls_stop(struct mount_fs *fs);

/*
 * How long the kernel may believe us, in seconds.  A snapshot never changes; what is above it may,
 * and a refresh says so, too.
 */
#define MOUNT_FOR_EVER (365.0 * 24 * 3600)
#define MOUNT_A_MOMENT 1.0

static inline double
mount_timeout(bool immutable)
{
	return immutable ? MOUNT_FOR_EVER : MOUNT_A_MOMENT;
}

void mount_stat(const struct view_attr *attr, struct stat *ret);
mode_t mount_file_type(enum entry_type type); /* S_IF… */

/* The errno for a code: the one table. */
int mount_errno(int code);
/**
 * mount_failed - log a failed request in words.
 * @n:    what it was about; @name: a name in it, or NULL
 * @verb: "read", "list", …
 * Return: the errno to reply with.
 */
int mount_failed(const struct view_node *n, const char *name, const char *verb, int code,
		 const struct err *err);

/* ---- the record of accesses; without one, each does nothing */

/**
 * mount_record - record an access that is about to be answered.
 * @ret_number: for audit_end; may be NULL
 * Return: 0, or the errno to reply with in place of an answer.
 */
int mount_record(const struct mount_call *call, const char *kind, const struct view_node *n,
		 uint64_t *ret_number);
/* One that was refused or failed.  @name: in @n, or NULL. */
void mount_record_failed(const struct mount_call *call, const char *kind, const struct view_node *n,
			 const char *name, int code, const char *why);
/* "mount" and "unmount". */
MUST_CHECK int mount_record_own(struct mount_fs *fs, const char *kind, const char *dir,
				const char *source, struct err *err);
/* Ends what is still open. */
void mount_close_handles(struct mount_fs *fs);

struct mount_programs;
struct mount_programs *mount_programs_new(struct mount_helper *helper);
void mount_programs_free(struct mount_programs *p);
/* The executable of a process, "" when it can't be told.  Threads: any. */
void mount_programs_find(struct mount_programs *p, uint32_t pid, char ret[PROGRAM_MAX]);

/* @ret: the executable's path, "" when unknown.  Return: an open `comm` of the process, or -1. */
int mount_helper_program(struct mount_helper *h, uint32_t pid, char ret[PROGRAM_MAX]);
/* Whether a signal is pending for a thread that asks it to end; false when it can't be told. */
MUST_CHECK bool mount_helper_is_ending(struct mount_helper *h, pid_t thread);
MUST_CHECK int mount_helper_unmount(struct mount_helper *h, struct err *err);

/* Handlers; each replies exactly once. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* ---- the threads that serve */

#define MOUNT_WAKE_SIGNAL   SIGUSR1
#define MOUNT_WAKE_STOP     'S' /* a signal asked for the end */
#define MOUNT_WAKE_LOOP_END 'E' /* no thread serves any more */
#define MOUNT_WAKE_LIST     'L' /* somebody waits for the snapshots to be listed */

struct mount_loop;
/* @wake_fd: gets a MOUNT_WAKE_LOOP_END; MOUNT_WAKE_SIGNAL must have a handler. */
MUST_CHECK int mount_loop_start(struct fuse_session *fuse, int wake_fd, struct mount_loop **ret,
				struct err *err);
void mount_loop_stop(struct mount_loop *loop); /* returns when no request is being served */
/* Waits for the threads and frees.  Return: 0, or the negative errno that ended it. */
int mount_loop_join(struct mount_loop *loop);

/* Buffers that live as long as their thread.  @len: at most MOUNT_BUFFER_MAX. */
#define MOUNT_BUFFER_MAX (16u * MIB)
void *mount_thread_buffer(size_t len);

/**
 * mount_options_parse - from the user's -o to libfuse's.
 * @ret_fuse: text for -o, owned by the caller
 * Return: 0, or ERR_INVALID that names the unknown option.
 */
MUST_CHECK int mount_options_parse(const struct mount_options *options, char **ret_fuse,
				   bool *ret_allow_other, struct err *err);

/* One line of /proc/self/mountinfo. */
struct mountinfo {
	unsigned major, minor;
	char *dir; /* unescaped */
	char *fstype;
};
void mountinfo_fini(struct mountinfo *m);
/* Visits mounts in order; true ends it. */
typedef bool mountinfo_fn(const struct mountinfo *m, void *arg);
MUST_CHECK int mountinfo_visit(mountinfo_fn *fn, void *arg, struct err *err);
/* The uppermost mount on exactly this path; ERR_NOENT when there is none. */
MUST_CHECK int mountinfo_on(const char *canonical, struct mountinfo *ret, struct err *err);
/* An absolute path without links, found without touching the last component: it may be dead. */
MUST_CHECK int mount_canonical(const char *dir, char **ret, struct err *err);

#endif /* TILLFS_MOUNT_PRIVATE_H */
