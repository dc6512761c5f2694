/*
 * command.c - run a command: its output to the caller, its complaints into the error.
 *
 * Layer 4.
 */
#include "tillfs/capture_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS       200 /* between looks whether to stop */
#define COMPLAIN_MAX  4096u
#define COMPLAIN_END  400u /* as much of it stands in a message */
#define POLL_EXIT_US  10000
#define PIECES_A_LOOK 256

extern char **environ;

struct command_run {
	pid_t pid; /* 0: waited for */
	int out, complaints;
	int status;
	uint64_t deadline_ms;
	const atomic_bool *cancel;
	struct buf said; /* the end of its standard error */
	unsigned timeout_sec;
};

/* ---- starting ---- */

static int
spawn(struct command_run *c, const char *command, int out, int complaints)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, usual;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, complaints, STDERR_FILENO);
	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	posix_spawnattr_setpgroup(&how, 0);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &usual);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(&c->pid, "/bin/sh", &files, &how, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	if (r != 0)
		c->pid = 0;
	return r;
}

int
command_start(const char *command, unsigned timeout_sec, const atomic_bool *cancel,
	      struct command_run **ret, struct err *err)
{
	CLEANUP(command_freep) struct command_run *c = mem_alloc(sizeof *c);
	int out[2] = {-1, -1}, complaints[2] = {-1, -1};
	int r;

	*ret = NULL;
	*c = (struct command_run){.out = -1,
				  .complaints = -1,
				  .cancel = cancel,
				  .timeout_sec = timeout_sec,
				  .deadline_ms =
					  time_monotonic_ms() + timeout_sec * UINT64_C(1000)};
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(err, "a pipe for the command");
	c->out = out[0];
	if (pipe2(complaints, O_CLOEXEC) < 0) {
		closep(&out[1]);
		return err_sys(err, "a pipe for the command");
	}
	c->complaints = complaints[0];
	(void)fcntl(c->complaints, F_SETFL, O_NONBLOCK);
	r = spawn(c, command, out[1], complaints[1]);
	closep(&out[1]);
	closep(&complaints[1]);
	if (r != 0) {
		errno = r;
		return err_sys(err, "starting /bin/sh");
	}
	*ret = steal_ptr(&c);
	return 0;
}

/* ---- running ---- */

static int
still_wanted(const struct command_run *c, struct err *err)
{
	if (c->cancel != NULL && atomic_load(c->cancel))
		return err_set(err, ERR_CANCELLED, "stopped");
	if (time_monotonic_ms() >= c->deadline_ms)
		return err_set(err, ERR_UNREACHABLE, "it took longer than %u s", c->timeout_sec);
	return 0;
}

/* Keeps the end of what it says on standard error; who never stops is heard again later. */
static void
hear_complaints(struct command_run *c)
{
	uint8_t piece[1024];
	ssize_t n;

	for (int i = 0; i < PIECES_A_LOOK && c->complaints >= 0; i++) {
		n = read(c->complaints, piece, sizeof piece);
		if (n < 0)
			return;
		if (n == 0) {
			closep(&c->complaints);
			return;
		}
		buf_append(&c->said, piece, (size_t)n);
		if (c->said.len > COMPLAIN_MAX) {
			memmove(c->said.p, c->said.p + c->said.len - COMPLAIN_MAX / 2,
				COMPLAIN_MAX / 2);
			c->said.len = COMPLAIN_MAX / 2;
		}
	}
}

static bool
wait_output(struct command_run *c)
{
	struct pollfd fds[2] = {{.fd = c->out, .events = POLLIN},
				{.fd = c->complaints, .events = POLLIN}};

	if (poll(fds, 2, LOOK_MS) <= 0)
		return false;
	if (fds[1].revents != 0)
		hear_complaints(c);
	return fds[0].revents != 0;
}

int
command_read(struct command_run *c, void *p, size_t len, size_t *ret_len, struct err *err)
{
	ssize_t n;
	int r;

	*ret_len = 0;
	for (;;) {
		r = still_wanted(c, err);
		if (r < 0)
			return r;
		if (!wait_output(c))
			continue;
		n = read(c->out, p, len);
		if (n >= 0)
			break;
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(err, "reading what it prints");
	}
	*ret_len = (size_t)n;
	return 0;
}

/* ---- ending ---- */

static int
wait_exit(struct command_run *c, struct err *err)
{
	int r = 0;

	while (c->pid != 0) {
		pid_t done = waitpid(c->pid, &c->status, WNOHANG);

		hear_complaints(c);
		if (done == c->pid || (done < 0 && errno != EINTR)) {
			c->pid = 0;
			break;
		}
		r = still_wanted(c, err);
		if (r < 0)
			return r;
		usleep(POLL_EXIT_US);
	}
	return 0;
}

/* The end of its complaints, in one line. */
static void
append_said(struct buf *b, struct command_run *c)
{
	size_t skip = c->said.len > COMPLAIN_END ? c->said.len - COMPLAIN_END : 0;
	struct slice s;

	if (c->said.len == 0)
		return;
	s = slice_of(c->said.p + skip, c->said.len - skip);
	while (s.len > 0 && s.p[s.len - 1] <= ' ')
		s.len--;
	if (s.len == 0)
		return;
	for (size_t i = 0; i < s.len; i++)
		if (c->said.p[skip + i] <= ' ')
			c->said.p[skip + i] = ' ';
	buf_append_str(b, ": ");
	text_append_safe(b, s);
}

int
command_finish(struct command_run *c, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r = wait_exit(c, err);

	if (r < 0)
		return r;
	hear_complaints(c);
	if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0)
		return 0;
	if (WIFEXITED(c->status))
		buf_appendf(&text, "its command ended with status %d", WEXITSTATUS(c->status));
	else
		buf_appendf(&text, "its command was ended by signal %d", WTERMSIG(c->status));
	append_said(&text, c);
	return err_set(err, ERR_IO, "%s", buf_cstr(&text));
}

void
command_free(struct command_run *c)
{
	if (c == NULL)
		return;
	if (c->pid != 0) {
		(void)kill(-c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	closep(&c->out);
	closep(&c->complaints);
	buf_fini(&c->said);
	free(c);
}
