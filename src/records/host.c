/*
 * host.c - the process that workers descend from.
 *
 * It is forked before there is anything to know, has nothing open but its end of a socket, and does
 * one thing: for each descriptor that comes over it, fork a worker to serve that.  It ends when the
 * other end closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

#define CONTROL_FD 3

struct records_host {
	int fd;
	pid_t pid;
	pthread_mutex_t lock; /* one request at a time */
};

/* ---- messages over a socket ------------------------------------------------------------ */

enum host_op { HOST_SPAWN, HOST_KILL };

/* A request, which carries a descriptor when it is to spawn; the answer is one without. */
struct host_message {
	uint32_t op;
	uint32_t worker; /* 0: none could be started */
};

/* @fd: -1: none */
static bool
send_message(int socket, const struct host_message *message, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct host_message copy = *message;
	struct iovec iov = {&copy, sizeof copy};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

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
	do
		n = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof copy;
}

/* Return: whether a message came.  @ret_fd: its descriptor, or -1. */
static bool
receive_message(int socket, struct host_message *ret, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {ret, sizeof *ret};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.space,
			   .msg_controllen = sizeof control.space};
	struct cmsghdr *c;
	ssize_t n;

	*ret_fd = -1;
	do
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof *ret)
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof *ret_fd))
		memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
	return true;
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
on_child(int signal)
{
	(void)signal; /* only ends a wait */
}

/* SIGCHLD comes while waiting for a message, and at no other time. */
static void
set_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction child = {.sa_handler = on_child};
	sigset_t mask;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGPIPE, SIG_DFL); /* a worker whose socket is closed ends */
	(void)signal(SIGUSR1, SIG_DFL);
	(void)sigaction(SIGCHLD, &child, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
}

static _Noreturn void
become_worker(int fd)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	keep_only(fd);
	worker_main(CONTROL_FD);
}

/* Workers that live, or whose end wasn't noticed yet: their process ids can't be anybody else's. */
struct children {
	struct child {
		uint32_t worker;
		pid_t pid;
	} * v;
	size_t n, cap;
	uint32_t last;
};

static void
forget_child(struct children *l, pid_t pid)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].pid != pid)
			continue;
		l->v[i] = l->v[--l->n];
		return;
	}
}

static void
reap(struct children *l)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		forget_child(l, pid);
}

static void
wait_for_message(struct children *l)
{
	struct pollfd p = {.fd = CONTROL_FD, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	do
		reap(l);
	while (ppoll(&p, 1, NULL, &none) < 0 && errno == EINTR);
}

static void
spawn_child(struct children *l, int socket)
{
	struct host_message answer = {.op = HOST_SPAWN};
	pid_t child = socket >= 0 ? fork() : -1;

	if (child == 0)
		become_worker(socket);
	if (socket >= 0)
		close(socket);
	if (child > 0) {
		array_reserve(l->v, l->n, l->cap);
		answer.worker = ++l->last;
		l->v[l->n++] = (struct child){answer.worker, child};
	}
	(void)send_message(CONTROL_FD, &answer, -1);
}

static void
kill_child(const struct children *l, uint32_t worker)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].worker == worker)
			(void)kill(l->v[i].pid, SIGKILL);
}

static _Noreturn void
host_main(int fd)
{
	struct children children = {0};
	struct host_message message = {0};
	int socket;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "tillfs-records");
	leave_terminal();
	keep_only(fd);
	set_signals();
	if (chdir("/") < 0)
		_exit(1);
	for (;;) {
		wait_for_message(&children);
		if (!receive_message(CONTROL_FD, &message, &socket))
			_exit(0);
		if (message.op == HOST_SPAWN)
			spawn_child(&children, socket);
		else
			kill_child(&children, message.worker);
	}
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
host_spawn(struct records_host *h, int *ret_fd, uint32_t *ret_worker, struct err *err)
{
	struct host_message message = {.op = HOST_SPAWN};
	bool ok;
	int fds[2], none = -1;

	*ret_fd = -1;
	*ret_worker = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(err, "a socket for reading a database");
	pthread_mutex_lock(&h->lock);
	ok = send_message(h->fd, &message, fds[1]) && receive_message(h->fd, &message, &none);
	pthread_mutex_unlock(&h->lock);
	close(fds[1]);
	if (!ok || message.worker == 0) {
		close(fds[0]);
		return err_set(err, ERR_IO,
			       ok ? "no process could be started that reads the database"
				  : "the process that starts readers of databases has ended; mount "
				    "again, or run the command again");
	}
	*ret_fd = fds[0];
	*ret_worker = message.worker;
	return 0;
}

void
host_kill(struct records_host *h, uint32_t worker)
{
	const struct host_message message = {.op = HOST_KILL, .worker = worker};

	pthread_mutex_lock(&h->lock);
	(void)send_message(h->fd, &message, -1);
	pthread_mutex_unlock(&h->lock);
}
