/*
 * helper.c - a tiny process beside the one that serves, which stays outside its sandbox.
 *
 * It does the three things that the serving process may not do itself: unmount, look up what
 * program a process runs, and whether a thread is about to end.  It is forked before there is any
 * secret, holds nothing but the socket between the two, and ends when that closes.  It believes the
 * serving process nothing: it unmounts the one folder it was forked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "private.h"

#define REPLY_MS   5000 /* nothing it does takes longer, unless the machine stands still */
#define STATUS_MAX 4096 /* of /proc/<id>/status, more than it has */

enum request_kind { REQUEST_PROGRAM, REQUEST_ENDING, REQUEST_UNMOUNT };

struct request {
	uint32_t kind;
	uint32_t pid;
};

struct mount_helper {
	int fd;
	pid_t pid;
	pthread_mutex_t lock; /* a request and its reply */
};

/* ---- in the helper --------------------------------------------------------------------- */

/* Sends the executable's path, and with it a file that tells whether the process still runs it. */
static void
reply_program(int fd, uint32_t pid)
{
	char name[64], path[PROGRAM_MAX];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = path};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	CLEANUP(closep) int comm = -1;
	ssize_t n;

	(void)snprintf(name, sizeof name, "/proc/%u/comm", pid);
	comm = open(name, O_RDONLY | O_CLOEXEC);
	(void)snprintf(name, sizeof name, "/proc/%u/exe", pid);
	n = readlink(name, path, sizeof path);
	iov.iov_len = n > 0 ? (size_t)n : 0;
	if (comm >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof comm),
						      .cmsg_level = SOL_SOCKET,
						      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &comm, sizeof comm);
	}
	(void)!sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* The set of signals in a line of /proc/<id>/status. */
static uint64_t
signals_in(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* Kernels mark who dies for any reason with SIGKILL. */
static bool
is_ending(uint32_t thread)
{
	static const int ends[] = {SIGKILL, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	char name[64], status[STATUS_MAX];
	uint64_t pending, asked = 0;
	CLEANUP(closep) int fd = -1;
	ssize_t n;

	(void)snprintf(name, sizeof name, "/proc/%u/status", thread);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, status, sizeof status - 1) : 0;
	status[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		asked |= UINT64_C(1) << (ends[i] - 1);
	pending = signals_in(status, "\nSigPnd:") | signals_in(status, "\nShdPnd:");
	return (pending & asked & ~signals_in(status, "\nSigBlk:")) != 0;
}

static void
reply_ending(int fd, uint32_t thread)
{
	char ending = is_ending(thread);

	(void)!send(fd, &ending, sizeof ending, MSG_NOSIGNAL);
}

static void
reply_unmount(int fd, const char *dir)
{
	struct err err = ERR_INIT;
	int r = mount_unmount(dir, true, &err);

	(void)!send(fd, err.msg, r < 0 ? strlen(err.msg) + 1 : 0, MSG_NOSIGNAL);
}

static _Noreturn void
attend(int fd, const char *dir)
{
	struct request request;

	while (recv(fd, &request, sizeof request, 0) == sizeof request) {
		if (request.kind == REQUEST_PROGRAM)
			reply_program(fd, request.pid);
		else if (request.kind == REQUEST_ENDING)
			reply_ending(fd, request.pid);
		else
			reply_unmount(fd, dir);
	}
	_exit(0);
}

/* Whoever waits for the end of the serving process's output must not wait for this one. */
static void
let_go(int fd)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	for (int i = STDIN_FILENO; null >= 0 && i <= STDERR_FILENO; i++)
		dup2(null, i);
	if (fd > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	if (chdir("/") < 0)
		return; /* it only keeps a folder in use */
}

/* ---- in the serving process ------------------------------------------------------------ */

int
mount_helper_start(const char *dir, void (*forget)(void), struct mount_helper **ret,
		   struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	struct mount_helper *h;
	int fds[2], r;
	pid_t pid;

	*ret = NULL;
	r = mount_canonical(dir, &path, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(err, "socketpair");
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_sys(err, "fork");
	}
	if (pid == 0) {
		forget();
		let_go(fds[1]);
		attend(fds[1], path);
	}
	close(fds[1]);
	h = mem_alloc(sizeof *h);
	h->fd = fds[0];
	h->pid = pid;
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

void
mount_helper_stop(struct mount_helper *h)
{
	if (h == NULL)
		return;
	close(h->fd);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* Return: the reply's length, or -1.  A signal that ends a wait doesn't end the request. */
static ssize_t
ask_locked(struct mount_helper *h, const struct request *request, struct msghdr *reply)
{
	struct pollfd p = {.fd = h->fd, .events = POLLIN};
	int n;

	if (send(h->fd, request, sizeof *request, MSG_NOSIGNAL) != sizeof *request)
		return -1;
	while ((n = poll(&p, 1, REPLY_MS)) < 0 && errno == EINTR)
		;
	return n > 0 ? recvmsg(h->fd, reply, MSG_CMSG_CLOEXEC) : -1;
}

static ssize_t
ask(struct mount_helper *h, const struct request *request, struct msghdr *reply)
{
	ssize_t n;

	pthread_mutex_lock(&h->lock);
	n = ask_locked(h, request, reply);
	pthread_mutex_unlock(&h->lock);
	return n;
}

int
mount_helper_program(struct mount_helper *h, uint32_t pid, char ret[PROGRAM_MAX])
{
	struct request request = {REQUEST_PROGRAM, pid};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = ret, .iov_len = PROGRAM_MAX - 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof control.bytes};
	ssize_t n = ask(h, &request, &m);
	const struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
	int comm = -1;

	ret[n > 0 ? n : 0] = '\0';
	if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof comm))
		memcpy(&comm, CMSG_DATA(c), sizeof comm);
	return comm;
}

bool
mount_helper_is_ending(struct mount_helper *h, pid_t thread)
{
	struct request request = {REQUEST_ENDING, (uint32_t)thread};
	char ending = 0;
	struct iovec iov = {.iov_base = &ending, .iov_len = sizeof ending};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	/* Without a number it is in another name space of processes. */
	return h != NULL && thread > 0 && ask(h, &request, &m) == 1 && ending != 0;
}

int
mount_helper_unmount(struct mount_helper *h, struct err *err)
{
	struct request request = {REQUEST_UNMOUNT, 0};
	char said[ERR_MESSAGE_MAX];
	struct iovec iov = {.iov_base = said, .iov_len = sizeof said - 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = ask(h, &request, &m);

	said[n > 0 ? n : 0] = '\0';
	if (n < 0)
		return err_set(err, ERR_IO, "the process that unmounts is gone");
	return n == 0 ? 0 : err_set(err, ERR_IO, "%s", said);
}
