/*
 * passphrase_from.c - passphrases that don't come from the terminal: TILLFS_PASSPHRASE, a file, a
 * descriptor or a command's output, of which the first line is taken.  Never the command line.
 *
 * What the command line names wins over the environment, and that over the configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"
#include "tillfs/seal.h"

extern char **environ;

/* What TILLFS_PASSPHRASE said, in secret memory; NULL: nothing. */
static char *from_environment;
/* Whose options and configuration name other sources; NULL: nobody's. */
static const struct cli *asked_by;

void
passphrase_take(const struct cli *c)
{
	char *value = getenv("TILLFS_PASSPHRASE");
	size_t len;

	asked_by = c;
	if (value == NULL)
		return;
	len = strlen(value);
	from_environment = secret_new(len + 1);
	memcpy(from_environment, value, len + 1);
	seal_wipe(value, len); /* the environment's own bytes, which /proc shows */
	(void)unsetenv("TILLFS_PASSPHRASE");
}

void
passphrase_forget(void)
{
	secret_freep(&from_environment);
	asked_by = NULL;
}

/* ---- reading the first line ----------------------------------------------------------------- */

/* Byte by byte, so that nothing behind the line is taken from a descriptor that others read. */
static int
read_line(int fd, const char *what, struct buf *ret, struct err *err)
{
	uint8_t byte;
	ssize_t n;

	while ((n = read(fd, &byte, 1)) == 1 && byte != '\n') {
		if (ret->len == PASSPHRASE_MAX)
			return err_set(err, ERR_INVALID, "%s: a passphrase has at most %u bytes",
				       what, PASSPHRASE_MAX);
		buf_append_u8(ret, byte);
	}
	seal_wipe(&byte, sizeof byte);
	if (n < 0)
		return err_sys(err, "%s", what);
	return 0;
}

static int
read_file(const char *path, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "the passphrase's file %s", path);
	return read_line(fd, "the passphrase's file", ret, err);
}

static int
read_descriptor(const struct cli *c, struct buf *ret, struct err *err)
{
	uint64_t fd;
	int r = option_number(c, OPT_PASSPHRASE_FD, INT32_MAX, &fd, err);

	if (r < 0)
		return r;
	/* No process that is started later gets it. */
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, "--passphrase-fd %d", (int)fd);
	return read_line((int)fd, "--passphrase-fd", ret, err);
}

/* ---- a command ------------------------------------------------------------------------------ */

static int
start(const char *command, int out, pid_t *ret, struct err *err)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	posix_spawn_file_actions_t files;
	int failed;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	failed = posix_spawn(ret, "/bin/sh", &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	errno = failed;
	return failed != 0 ? err_sys(err, "the passphrase's command") : 0;
}

static int
await(pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "the passphrase's command");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, ERR_AUTH, "the passphrase's command was ended by signal %d",
			       WTERMSIG(status));
	return err_set(err, ERR_AUTH, "the passphrase's command failed with status %d",
		       WEXITSTATUS(status));
}

/* The rest of what it says is read away, so that it isn't ended by a broken pipe. */
static void
drain(int fd)
{
	uint8_t rest[256];

	while (read(fd, rest, sizeof rest) > 0)
		;
	seal_wipe(rest, sizeof rest);
}

static int
read_command(const char *command, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int from = -1;
	CLEANUP(closep) int to = -1;
	int ends[2], r, ended;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "the passphrase's command");
	from = ends[0];
	to = ends[1];
	r = start(command, to, &pid, err);
	if (r < 0)
		return r;
	closep(&to);
	to = -1;
	r = read_line(from, "the passphrase's command", ret, err);
	drain(from);
	ended = await(pid, r < 0 ? NULL : err);
	return r < 0 ? r : ended;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The command line's sources, of which there may be one. */
static int
from_options(const struct cli *c, struct buf *ret, struct err *err)
{
	const char *file = option_value(c, OPT_PASSPHRASE_FILE);
	const char *fd = option_value(c, OPT_PASSPHRASE_FD);
	const char *command = option_value(c, OPT_PASSPHRASE_COMMAND);
	int r = 0;

	if ((file != NULL) + (fd != NULL) + (command != NULL) > 1)
		return err_set(err, CLI_USAGE,
			       "give one of --passphrase-file, --passphrase-fd and "
			       "--passphrase-command");
	if (file != NULL)
		r = read_file(file, ret, err);
	else if (fd != NULL)
		r = read_descriptor(c, ret, err);
	else if (command != NULL)
		r = read_command(command, ret, err);
	else
		return 0;
	return r < 0 ? r : 1;
}

static int
from_variables(struct buf *ret, struct err *err)
{
	const char *file = variable("TILLFS_PASSPHRASE_FILE");
	const char *command = variable("TILLFS_PASSPHRASE_COMMAND");
	int r = 0;

	if (from_environment != NULL)
		buf_append_str(ret, from_environment);
	else if (file != NULL)
		r = read_file(file, ret, err);
	else if (command != NULL)
		r = read_command(command, ret, err);
	else
		return 0;
	return r < 0 ? r : 1;
}

static int
from_configuration(const struct config *config, struct buf *ret, struct err *err)
{
	int r = 0;

	if (config->passphrase_file != NULL)
		r = read_file(config->passphrase_file, ret, err);
	else if (config->passphrase_command != NULL)
		r = read_command(config->passphrase_command, ret, err);
	else
		return 0;
	return r < 0 ? r : 1;
}

int
passphrase_from_outside(struct buf *ret, struct err *err)
{
	int r = 0;

	buf_reset(ret);
	buf_reserve(ret, PASSPHRASE_MAX + 1); /* so that growing leaves no copies behind */
	if (asked_by != NULL)
		r = from_options(asked_by, ret, err);
	if (r == 0)
		r = from_variables(ret, err);
	if (r == 0 && asked_by != NULL)
		r = from_configuration(&asked_by->config, ret, err);
	return r;
}
