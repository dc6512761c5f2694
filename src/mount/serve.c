/*
 * serve.c - a session, from mounting to unmounting.
 *
 * Other threads answer requests (loop.c).  The thread that called waits for a signal, for the
 * loop's end, and for the time of the next refresh; so what it tells the kernel to forget never
 * waits for a request that this very thread should answer.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "private.h"
#include "tillfs/store.h"

#define LISTING_DELAY_MS 1000u /* after mounting, unless somebody waits for it */
#define LISTING_RETRY_MS 2000u /* after it failed */

#define BACKGROUND 64u /* readahead requests that the kernel keeps under way */

struct session {
	struct mount_fs fs;
	const struct mount_options *options;
	const char *dir; /* absolute */
	struct mount_loop *loop;
	int wake[2];
};

/* Where the signal handler writes; there is one session a process. */
static int wake_fd = -1;

/* ---- libfuse's settings ---------------------------------------------------------------- */

static void
op_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct mount_fs *fs = userdata;

	if (conn->capable & FUSE_CAP_CACHE_SYMLINKS)
		conn->want |= FUSE_CAP_CACHE_SYMLINKS;
	if (fs->acl && (conn->capable & FUSE_CAP_POSIX_ACL))
		conn->want |= FUSE_CAP_POSIX_ACL;
	/* Replies come from memory; splicing them through pipes costs more than copying. */
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->max_background = BACKGROUND;
	conn->congestion_threshold = BACKGROUND * 3 / 4;
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.read = op_read,
	.lseek = op_lseek,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.statfs = op_statfs,
};

/* What libfuse last complained of, for the error that it leads to; one thread mounts. */
static char complaint[256];

static PRINTF_LIKE(2, 0) void log_libfuse(enum fuse_log_level level, const char *fmt, va_list args)
{
	char line[sizeof complaint];
	size_t len;

	vsnprintf(line, sizeof line, fmt, args);
	len = strlen(line);
	while (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	log_write(level <= FUSE_LOG_ERR ? LOG_ERROR : LOG_INFO, "libfuse: %s", line);
	if (level <= FUSE_LOG_ERR)
		memcpy(complaint, line, sizeof complaint);
}

static int
open_session(struct session *s, struct err *err)
{
	CLEANUP(freep) char *text = NULL;
	bool allow_other;
	char *argv[] = {"tillfs", "-o", NULL, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int r;

	r = mount_options_parse(s->options, &text, &allow_other, err);
	if (r < 0)
		return r;
	/*
	 * Modes alone would show others more than an ACL lets them.  The kernel then checks all
	 * access itself, which is wrong for a user who mounts what he can decrypt but doesn't own.
	 */
	s->fs.acl = allow_other;
	argv[2] = text;
	complaint[0] = '\0';
	fuse_set_log_func(log_libfuse);
	s->fs.fuse = fuse_session_new(&args, &ops, sizeof ops, &s->fs);
	fuse_opt_free_args(&args);
	if (s->fs.fuse == NULL)
		return err_set(err, ERR_INVALID, "libfuse refuses the mount options %s: %s", text,
			       complaint);
	return 0;
}

/* ---- secrets stay in the process ------------------------------------------------------- */

/*
 * No core dump may carry plaintext or keys away, and no other process of the user may read them.
 * Leak checking reads the process's memory in just that way.
 */
static void
forbid_dumps(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Threads that run already are not bound: there should be none. */
static unsigned
count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	unsigned n = 0;

	if (d == NULL)
		return 1;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* A kernel that lacks some of it is no reason not to serve; the log says so. */
static void
confine(const struct session *s)
{
	struct sandbox_result result;
	struct err err = ERR_INIT;
	unsigned threads = count_threads();

	if (s->options->sandbox == NULL) {
		log_write(LOG_WARN, "sandbox: off (--no-sandbox)");
		return;
	}
	if (threads > 1)
		log_write(LOG_WARN, "sandbox: %u threads started before it and may open any file",
			  threads - 1);
	if (sandbox_enter(s->options->sandbox, &result, &err) < 0)
		log_write(LOG_WARN, "sandbox: %s", err.msg);
	if (result.landlock > 0)
		log_write(LOG_INFO, "sandbox: files are restricted (Landlock %d)", result.landlock);
	else
		log_write(LOG_WARN, "sandbox: this kernel has no Landlock in use; files are not "
				    "restricted");
	if (result.calls)
		log_write(LOG_INFO, "sandbox: calls are restricted (seccomp)");
	else
		log_write(LOG_WARN, "sandbox: this kernel has no seccomp in use; calls are not "
				    "restricted");
}

/* ---- signals --------------------------------------------------------------------------- */

static void
on_stop(int signal)
{
	int saved = errno;
	char byte = MOUNT_WAKE_STOP;

	(void)signal;
	store_stop_all(); /* what waits for the store would delay the end */
	(void)!write(wake_fd, &byte, 1);
	errno = saved;
}

static void
on_wake(int signal)
{
	(void)signal; /* only ends a wait */
}

static void
set_handler(int signal, void (*fn)(int))
{
	struct sigaction action = {.sa_handler = fn};

	sigemptyset(&action.sa_mask);
	sigaction(signal, &action, NULL);
}

static void
set_handlers(bool on)
{
	static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};

	for (size_t i = 0; i < ARRAY_LEN(stopping); i++)
		set_handler(stopping[i], on ? on_stop : SIG_DFL);
	set_handler(SIGPIPE, SIG_IGN);
	set_handler(MOUNT_WAKE_SIGNAL, on_wake);
}

/* ---- the loop -------------------------------------------------------------------------- */

/* A refresh found something: the kernel may hold the name, or its absence, and the listing. */
static void
tell_kernel(void *arg, struct view_node *dir, struct slice name)
{
	struct session *s = arg;
	fuse_ino_t ino = mount_ino_of(&s->fs, dir);

	/* What the kernel doesn't hold it says ENOENT to, which is as good.  A NUL ends names. */
	if (name.len > 0)
		(void)fuse_lowlevel_notify_inval_entry(s->fs.fuse, ino, (const char *)name.p,
						       name.len);
	(void)fuse_lowlevel_notify_inval_inode(s->fs.fuse, ino, 0, 0);
}

/* Waits for a byte.  Return: it, or 0 when @timeout_ms passed. */
static char
wait_wake(struct session *s, int timeout_ms)
{
	struct pollfd p = {.fd = s->wake[0], .events = POLLIN};
	char byte = 0;

	if (poll(&p, 1, timeout_ms) > 0 && read(s->wake[0], &byte, 1) == 1)
		return byte;
	return 0;
}

/* Until the next look at the store; 0: none. */
static uint64_t
refresh_interval_ms(const struct session *s)
{
	if (!view_is_listed(s->fs.view))
		return LISTING_RETRY_MS;
	return (uint64_t)s->options->refresh_s * 1000;
}

static void
wake_for_list(void *arg)
{
	const struct session *s = arg;
	char byte = MOUNT_WAKE_LIST;

	(void)!write(s->wake[1], &byte, 1); /* full: it is awake anyway */
}

static void
attend(struct session *s)
{
	/* Many snapshots far away, of which only the dates are known: first comes who is there. */
	uint64_t interval_ms =
		view_is_listed(s->fs.view) ? refresh_interval_ms(s) : LISTING_DELAY_MS;
	uint64_t next_ms = time_monotonic_ms() + interval_ms;

	view_on_wait(s->fs.view, wake_for_list, s);
	for (;;) {
		uint64_t now_ms = time_monotonic_ms();
		int timeout_ms = -1;
		char byte;

		if (interval_ms > 0)
			timeout_ms =
				(int)min_u64(next_ms > now_ms ? next_ms - now_ms : 0, INT32_MAX);
		byte = wait_wake(s, timeout_ms);
		if (byte == MOUNT_WAKE_LOOP_END || byte == MOUNT_WAKE_STOP) {
			view_end_waits(s->fs.view);
			if (byte == MOUNT_WAKE_STOP)
				mount_loop_stop(s->loop);
			return;
		}
		if (byte != MOUNT_WAKE_LIST && (interval_ms == 0 || time_monotonic_ms() < next_ms))
			continue;
		/* A failure is in the log and in status.json; what was there stays. */
		(void)!view_refresh(s->fs.view, tell_kernel, s, NULL);
		interval_ms = refresh_interval_ms(s);
		next_ms = time_monotonic_ms() + interval_ms;
	}
}

/* Serves a mounted session until its end. */
static int
serve(struct session *s, struct mount_daemon *d, struct err *err)
{
	struct err why = ERR_INIT;
	int r;

	r = mount_record_own(&s->fs, "mount", s->dir, s->options->source, err);
	if (r < 0)
		return r;
	r = mount_calls_start(&s->fs, s->options->helper, err);
	if (r == 0)
		r = mount_loop_start(s->fs.fuse, s->wake[1], &s->loop, err);
	if (r < 0) {
		mount_calls_stop(&s->fs);
		return r;
	}
	log_write(LOG_INFO, "%s mounted on %s", s->options->source, s->dir);
	mount_daemon_report(d, NULL);
	attend(s);
	r = mount_loop_join(s->loop);
	mount_calls_stop(&s->fs);
	mount_close_handles(&s->fs);
	if (mount_record_own(&s->fs, "unmount", s->dir, s->options->source, &why) < 0)
		log_write(LOG_ERROR, "%s", why.msg);
	return r < 0 ? err_set(err, ERR_IO, "serving %s: %s", s->dir, strerror(-r)) : 0;
}

/* libfuse complains of a call that the sandbox refuses, when all is done already. */
static void
finish_unmounting(struct session *s)
{
	CLEANUP(closep) int shown = -1;
	CLEANUP(closep) int null = -1;

	if (s->options->sandbox != NULL) {
		shown = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
	}
	fuse_session_unmount(s->fs.fuse);
	if (shown >= 0)
		dup2(shown, STDERR_FILENO);
}

/* Whether nobody else has unmounted it: another mount may be in its place by now. */
static bool
is_mounted(const struct session *s)
{
	struct pollfd p = {.fd = fuse_session_fd(s->fs.fuse), .events = 0};

	return poll(&p, 1, 0) == 0 || (p.revents & POLLERR) == 0;
}

static int
mount_and_serve(struct session *s, struct mount_daemon *d, struct err *err)
{
	struct err why = ERR_INIT;
	int r;

	if (fuse_session_mount(s->fs.fuse, s->dir) != 0)
		return err_set(err, ERR_DENIED, "mounting on %s failed: %s", s->dir,
			       complaint[0] != '\0'
				       ? complaint
				       : "fusermount3 said why, or there is no /dev/fuse");
	forbid_dumps();
	confine(s);
	r = serve(s, d, err);
	if (s->options->helper != NULL && is_mounted(s) &&
	    mount_helper_unmount(s->options->helper, &why) < 0)
		log_write(LOG_WARN, "%s", why.msg);
	finish_unmounting(s);
	return r;
}

static int
serve_with_signals(struct session *s, struct mount_daemon *d, struct err *err)
{
	int r = open_session(s, err);

	if (r < 0)
		return r;
	/* Signals count from before the mount is there, so that none leaves it behind. */
	if (pipe2(s->wake, O_CLOEXEC | O_NONBLOCK) < 0) {
		r = err_sys(err, "pipe");
	} else {
		wake_fd = s->wake[1];
		set_handlers(true);
		r = mount_and_serve(s, d, err);
		set_handlers(false);
		wake_fd = -1;
		close(s->wake[0]);
		close(s->wake[1]);
	}
	fuse_session_destroy(s->fs.fuse);
	return r;
}

int
mount_serve(struct view *v, const struct mount_options *options, struct mount_daemon *d,
	    struct err *err)
{
	CLEANUP(freep) char *dir = NULL;
	struct session s = {.fs = {.view = v, .audit = options->audit}, .options = options};
	int r;

	/* The daemon changes its folder. */
	r = mount_canonical(options->dir, &dir, err);
	if (r < 0)
		return r;
	s.dir = dir;
	pthread_mutex_init(&s.fs.lock, NULL);
	if (options->audit != NULL)
		s.fs.programs = mount_programs_new(options->helper);
	r = serve_with_signals(&s, d, err);
	mount_programs_free(s.fs.programs);
	pthread_mutex_destroy(&s.fs.lock);
	return r;
}
