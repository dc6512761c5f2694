/*
 * passphrase.c - where passphrases come from: TILLFS_PASSPHRASE, the first line of the file that
 * TILLFS_PASSPHRASE_FILE names, or the terminal, which doesn't show what is typed.
 *
 * Argon2's memory is mapped for the one call and unmapped by libsodium right after, so it doesn't
 * stay with a long-lived mount; no second process is needed for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "internal.h"
#include "tillfs/seal.h"

#define PASSPHRASE_MAX 4096u

/* What TILLFS_PASSPHRASE said, in secret memory; NULL: nothing. */
static char *from_environment;

void
passphrase_take(void)
{
	char *value = getenv("TILLFS_PASSPHRASE");
	size_t len;

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
}

/* ---- from a file --------------------------------------------------------------------------- */

static int
read_from_file(const char *path, struct buf *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT;
	const uint8_t *end;
	int r;

	r = file_read(path, PASSPHRASE_MAX, &text, err);
	if (r < 0)
		return err_add(err, r, "TILLFS_PASSPHRASE_FILE");
	end = text.len > 0 ? memchr(text.p, '\n', text.len) : NULL;
	buf_append(ret, text.p, end != NULL ? (size_t)(end - text.p) : text.len);
	return 0;
}

/* ---- from the terminal ----------------------------------------------------------------------- */

static volatile sig_atomic_t caught;

static void
on_signal(int signal)
{
	caught = signal;
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* Makes signals that end the process interrupt read() instead, and holds back Ctrl-Z. */
static void
catch_signals(struct sigaction old[ARRAY_LEN(ending)], sigset_t *old_mask)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t held;

	caught = 0;
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaction(ending[i], &action, &old[i]);
	sigemptyset(&held);
	sigaddset(&held, SIGTSTP);
	sigprocmask(SIG_BLOCK, &held, old_mask);
}

/* What was caught has its effect now, with the terminal as it was. */
static void
release_signals(const struct sigaction old[ARRAY_LEN(ending)], const sigset_t *old_mask)
{
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaction(ending[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, old_mask, NULL);
	if (caught != 0)
		(void)raise(caught);
}

/* Reads a line without its end.  Return: 0, or -1 when there is none. */
static int
read_line(int tty, struct buf *ret)
{
	uint8_t byte;
	ssize_t n;

	while ((n = read(tty, &byte, 1)) == 1 && byte != '\n' && ret->len < PASSPHRASE_MAX)
		buf_append_u8(ret, byte);
	seal_wipe(&byte, sizeof byte);
	return n == 1 ? 0 : -1;
}

/* Asks once, with the terminal's echo off; it is on again however this ends. */
static int
ask_terminal(int tty, const char *prompt, const char *file, struct buf *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct sigaction old[ARRAY_LEN(ending)];
	struct termios before, silent;
	sigset_t old_mask;
	int r;

	if (tcgetattr(tty, &before) < 0)
		return err_sys(err, "asking for a passphrase");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	silent.c_lflag |= ICANON;

	buf_appendf(&text, "%s ", prompt);
	text_append_safe(&text, slice_str(file));
	buf_append_str(&text, ": ");
	catch_signals(old, &old_mask);
	(void)tcsetattr(tty, TCSAFLUSH, &silent);
	(void)fd_write_full(tty, text.p, text.len);
	r = read_line(tty, ret);
	(void)tcsetattr(tty, TCSAFLUSH, &before);
	(void)fd_write_full(tty, "\n", 1);
	release_signals(old, &old_mask);
	return r < 0 ? err_set(err, ERR_CANCELLED, "no passphrase was given") : 0;
}

static int
open_terminal(const char *file, int *ret, struct err *err)
{
	*ret = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*ret < 0)
		return err_set(err, ERR_DENIED,
			       "%s needs a passphrase, and there is no terminal to ask for it; set "
			       "TILLFS_PASSPHRASE_FILE or TILLFS_PASSPHRASE",
			       file);
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Return: 1 when the environment has it, 0 when not, or a code. */
static int
from_outside(struct buf *ret, struct err *err)
{
	const char *path = getenv("TILLFS_PASSPHRASE_FILE");
	int r;

	buf_reset(ret);
	buf_reserve(ret, PASSPHRASE_MAX); /* so that growing leaves no copies behind */
	if (from_environment != NULL) {
		buf_append_str(ret, from_environment);
		return 1;
	}
	if (path == NULL || path[0] == '\0')
		return 0;
	r = read_from_file(path, ret, err);
	return r < 0 ? r : 1;
}

int
passphrase_ask(void *arg, const char *file, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int tty = -1;
	int r;

	(void)arg;
	r = from_outside(ret, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = open_terminal(file, &tty, err);
	return r < 0 ? r : ask_terminal(tty, "Passphrase of", file, ret, err);
}

static int
ask_twice(const char *file, struct buf *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf again = BUF_INIT;
	CLEANUP(closep) int tty = -1;
	int r;

	buf_reserve(&again, PASSPHRASE_MAX);
	r = open_terminal(file, &tty, err);
	if (r == 0)
		r = ask_terminal(tty, "New passphrase of", file, ret, err);
	if (r == 0)
		r = ask_terminal(tty, "Once more, the passphrase of", file, &again, err);
	if (r == 0 && !slice_equal(buf_slice(ret), buf_slice(&again)))
		r = err_set(err, ERR_INVALID, "the two passphrases differ; nothing was made");
	return r;
}

int
passphrase_ask_new(const char *file, struct buf *ret, struct err *err)
{
	int r = from_outside(ret, err);

	if (r == 0)
		r = ask_twice(file, ret, err);
	if (r < 0)
		return r;
	if (ret->len == 0)
		return err_set(
			err, ERR_INVALID,
			"an empty passphrase protects nothing; --no-passphrase says that you "
			"want that");
	return 0;
}
