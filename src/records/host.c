/*
 * host.c - the process that workers descend from.
 *
 * It is forked before there is anything to know, has nothing open but its end of a socket, and does
 * one thing: for each descriptor that comes over it, fork a worker to serve that.  It ends when the
 * other end closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

#define CONTROL_FD 3

struct records_host {
	int fd;
	pid_t pid;
	pthread_mutex_t lock; /* one request at a time */
};

/* ---- descriptors over a socket --------------------------------------------------------- */

/* One byte, with a descriptor or, for -1, without. */
static bool
send_fd(int socket, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.space;
		m.msg_controllen = sizeof control.space;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	for (;;) {
		ssize_t n = sendmsg(socket, &m, MSG_NOSIGNAL);

		if (n >= 0 || errno != EINTR)
			return n == 1;
	}
}

/* Return: whether a byte came.  @ret: the descriptor, or -1. */
static bool
receive_fd(int socket, int *ret)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.space,
			   .msg_controllen = sizeof control.space};
	ssize_t n;

	*ret = -1;
	do
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == 1) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof *ret))
			memcpy(ret, CMSG_DATA(c), sizeof *ret);
	}
	return n == 1;
}

/* ---- in the process -------------------------------------------------------------------- */

/* Keeps nothing open but the one, at CONTROL_FD. */
static void
keep_only(int fd)
{
	if (fd != CONTROL_FD)
		(void)dup2(fd, CONTROL_FD);
	(void)close_range(CONTROL_FD + 1, ~0u, 0);
}

static void
leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
}

static void
set_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGPIPE, SIG_DFL); /* a worker whose socket is closed ends */
	(void)signal(SIGUSR1, SIG_DFL);
}

static _Noreturn void
become_worker(int fd)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	keep_only(fd);
	worker_main(CONTROL_FD);
}

static _Noreturn void
host_main(int fd)
{
	int socket;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "tillfs-records");
	leave_terminal();
	keep_only(fd);
	set_signals();
	if (chdir("/") < 0)
		_exit(1);
	while (receive_fd(CONTROL_FD, &socket)) {
		pid_t child = fork();
		int pidfd;

		if (child == 0)
			become_worker(socket);
		close(socket);
		/* Without one its user can only hope that it ends by itself. */
		pidfd = child > 0 ? (int)syscall(SYS_pidfd_open, child, 0) : -1;
		(void)send_fd(CONTROL_FD, pidfd);
		if (pidfd >= 0)
			close(pidfd);
	}
	_exit(0);
}

/* ---- outside --------------------------------------------------------------------------- */

int
records_host_start(void (*forget)(void), struct records_host **ret, struct err *err)
{
	struct records_host *h;
	int fds[2];
	pid_t pid;

	*ret = NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(err, "a socket for the process that reads databases");
	pid = fork();
	if (pid == 0) {
		if (forget != NULL)
			forget();
		host_main(fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		int r = err_sys(err, "starting the process that reads databases");

		close(fds[0]);
		return r;
	}
	h = mem_alloc(sizeof *h);
	h->fd = fds[0];
	h->pid = pid;
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

void
records_host_stop(struct records_host *h)
{
	if (h == NULL)
		return;
	close(h->fd);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

int
host_spawn(struct records_host *h, int *ret_fd, int *ret_pidfd, struct err *err)
{
	bool ok;
	int fds[2];

	*ret_fd = *ret_pidfd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(err, "a socket for reading a database");
	pthread_mutex_lock(&h->lock);
	ok = send_fd(h->fd, fds[1]) && receive_fd(h->fd, ret_pidfd);
	pthread_mutex_unlock(&h->lock);
	close(fds[1]);
	if (!ok) {
		close(fds[0]);
		return err_set(err, ERR_IO,
			       "the process that starts readers of databases has ended; mount "
			       "again, or run the command again");
	}
	*ret_fd = fds[0];
	return 0;
}
