/*
 * mount.h - serve a view through FUSE.  The one module that includes libfuse.
 *
 * Layer 6: uses view, audit.
 */
#ifndef TILLFS_MOUNT_H
#define TILLFS_MOUNT_H

#include "tillfs/audit.h"
#include "tillfs/base.h"
#include "tillfs/sandbox.h"
#include "tillfs/view.h"

struct mount_helper;

struct mount_options {
	const char *dir;    /* the mount point */
	const char *source; /* shown in /proc/mounts: the repository's URL */
	const char *fuse;   /* comma separated -o options, or NULL */
	bool foreground;
	unsigned refresh_s;                   /* 0: never */
	struct audit *audit;                  /* borrowed: where accesses are recorded, or NULL */
	struct mount_helper *helper;          /* borrowed; may be NULL without audit and sandbox */
	const struct sandbox_policy *sandbox; /* borrowed; NULL: none */
};

/**
 * mount_check_dir - refuse what can't be a mount point, before any work is done.
 * Return: 0, ERR_NOENT, ERR_INVALID (no directory), ERR_BUSY (a dead or live tillfs mount is
 * there).
 */
MUST_CHECK int mount_check_dir(const char *dir, struct err *err);

/*
 * Going to the background happens before any thread or secret exists: the parent waits on a pipe
 * until the mount is usable or has failed, and exits with that outcome.
 */
struct mount_daemon;
/* Forks unless @foreground.  The parent never returns.  Child: @ret to report with. */
MUST_CHECK int mount_daemonize(bool foreground, struct mount_daemon **ret, struct err *err);
/* Tells the waiting parent: NULL for success, else why not; prints nothing itself. */
void mount_daemon_report(struct mount_daemon *d, const char *failure);

/**
 * mount_helper_start - fork the small process that does what the serving one may not do itself.
 * @dir:    what it may unmount
 * @forget: called in it, to wipe what it inherited
 * Before any secret and any thread.  It ends with mount_helper_stop, or with this process.
 */
MUST_CHECK int mount_helper_start(const char *dir, void (*forget)(void), struct mount_helper **ret,
				  struct err *err);
void mount_helper_stop(struct mount_helper *h);
DEFINE_FREEP(struct mount_helper *, mount_helper_stop)

/**
 * mount_serve - mount, report readiness, serve until unmounted or told to stop (SIGINT, SIGTERM,
 * SIGHUP).
 * @view: borrowed
 * Return: 0 after an orderly unmount, ERR_INVALID for an unknown option, ERR_IO, ERR_DENIED.
 */
MUST_CHECK int mount_serve(struct view *v, const struct mount_options *options,
			   struct mount_daemon *d, struct err *err);

/* Unmounts DIR, as `fusermount3 -u`.  Return: 0, ERR_INVALID (no tillfs mount there), ERR_BUSY,
 * ERR_IO. */
MUST_CHECK int mount_unmount(const char *dir, bool lazy, struct err *err);

/* Whether a path lies on a tillfs mount: what a backup must not descend into. */
bool mount_is_tillfs(const char *path);

#endif /* TILLFS_MOUNT_H */
