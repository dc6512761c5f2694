/*
 * daemon.c - a mount goes to the background once it is usable.
 *
 * The child keeps the terminal until it reports, since it may have to ask for a passphrase; the
 * parent waits at a pipe.  The pipe carries one byte, 0 for success, or 1 and a sentence.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "private.h"

struct mount_daemon {
	int fd; /* the parent waits at its other end; -1: nobody does */
};

/* A process is one daemon at most. */
static struct mount_daemon this_daemon = {-1};

static void
tell_user(const char *sentence)
{
	fprintf(stderr, "tillfs: %s\n", sentence);
}

/* The child ended without a word. */
static _Noreturn void
exit_for_lost_child(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status)); /* it has said why itself */
	if (WIFSIGNALED(status))
		fprintf(stderr, "tillfs: the mount's process was ended by signal %d\n",
			WTERMSIG(status));
	else
		tell_user("the mount's process ended before the mount was there");
	_exit(1);
}

static _Noreturn void
wait_for_child(pid_t child, int fd)
{
	CLEANUP(buf_fini) struct buf report = BUF_INIT;
	uint8_t chunk[ERR_MESSAGE_MAX];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n > 0)
			buf_append(&report, chunk, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	if (report.len == 0)
		exit_for_lost_child(child);
	if (report.p[0] == 0)
		_exit(0);
	tell_user(buf_cstr(&report) + 1);
	_exit(1);
}

int
mount_daemonize(bool foreground, struct mount_daemon **ret, struct err *err)
{
	int fds[2];
	pid_t child;

	*ret = NULL;
	if (!foreground) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_sys(err, "pipe");
		fflush(NULL);
		child = fork();
		if (child < 0)
			return err_sys(err, "fork");
		if (child > 0) {
			close(fds[1]);
			wait_for_child(child, fds[0]);
		}
		close(fds[0]);
		this_daemon.fd = fds[1];
	}
	*ret = &this_daemon;
	return 0;
}

/* Leaves the terminal and the folder that it was started from. */
static void
detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (chdir("/") < 0)
		log_write(LOG_WARN, "chdir /: %s", strerror(errno));
	fflush(NULL);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

void
mount_daemon_report(struct mount_daemon *d, const char *failure)
{
	CLEANUP(buf_fini) struct buf report = BUF_INIT;

	if (d == NULL || d->fd < 0)
		return;
	detach();
	buf_append_u8(&report, failure != NULL);
	if (failure != NULL)
		buf_append_str(&report, failure);
	/* A parent that is gone leaves nobody to tell. */
	(void)!fd_write_full(d->fd, report.p, report.len);
	closep(&d->fd);
	d->fd = -1;
}
