/*
 * cmd_recovery.c - tillfs recovery-sheet, tillfs identity recover.
 */
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

/* A new file that only its owner can read. */
static int
write_page(const char *path, const struct buf *page, struct err *err)
{
	CLEANUP(closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_full(fd, page->p, page->len) < 0 || fsync(fd) < 0)
		return err_sys(err, "%s", path);
	return 0;
}

int
cmd_recovery_sheet(struct cli *c, struct err *err)
{
	CLEANUP(recovery_fini) struct recovery rec = {0};
	CLEANUP(buf_wipe) struct buf page = BUF_INIT;
	const char *out = option_value(c, OPT_OUT);
	struct fingerprint self;
	int r;

	r = session_recovery(c, &rec, &self, err);
	if (r < 0)
		return r;
	buf_reserve(&page, RECOVERY_PAGE_MAX);
	recovery_format(&rec, &self, &page);
	if (out == NULL)
		return print_buf(&page, err);
	r = write_page(out, &page, err);
	if (r == 0)
		warn("%s holds the secret in clear: print it, and delete it", out);
	return r;
}

static int
read_sheet(const char *path, struct recovery *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT;
	bool is_stdin = strcmp(path, "-") == 0;
	int r;

	buf_reserve(&text, INI_FILE_MAX);
	r = file_read(is_stdin ? "/dev/stdin" : path, INI_FILE_MAX, &text, err);
	return r < 0 ? r
		     : recovery_parse(buf_slice(&text), is_stdin ? "standard input" : path, ret,
				      err);
}

int
cmd_identity_recover(struct cli *c, struct err *err)
{
	CLEANUP(recovery_fini) struct recovery rec = {0};
	CLEANUP(buf_wipe) struct buf passphrase = BUF_INIT;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *path = operand(c, 1);
	struct fingerprint self;
	int r;

	r = read_sheet(operand(c, 0), &rec, err);
	if (r == 0 && !option_given(c, OPT_NO_PASSPHRASE))
		r = passphrase_ask_new(path, &passphrase, err);
	if (r == 0)
		r = identity_recover(&rec, path, buf_slice(&passphrase), &self, err);
	if (r < 0)
		return r;
	buf_appendf(
		&text,
		"%s is the identity of the sheet, and %s.pub its public half.\nFingerprint: %s\n"
		"Compare it with the sheet's. It trusts %zu repositories.\n",
		path, path, hex(&self.h).s, rec.n_pins);
	return print_buf(&text, err);
}
