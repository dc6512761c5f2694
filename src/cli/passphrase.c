/*
 * passphrase.c - asking for passphrases: what was told otherwise (passphrase_from.c), else on the
 * terminal, which doesn't show what is typed.
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
		return err_set(
			err, ERR_DENIED,
			"%s needs a passphrase, and there is no terminal to ask for it; give "
			"--passphrase-file, --passphrase-fd or --passphrase-command",
			file);
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

int
passphrase_ask(void *arg, const char *file, struct buf *ret, struct err *err)
{
	CLEANUP(closep) int tty = -1;
	int r;

	(void)arg;
	r = passphrase_from_outside(ret, err);
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
	int r = passphrase_from_outside(ret, err);

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
