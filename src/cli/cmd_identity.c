/*
 * cmd_identity.c - tillfs identity new, tillfs trust import.
 */
#include "internal.h"

int
cmd_identity_new(struct cli *c, struct err *err)
{
	CLEANUP(buf_wipe) struct buf passphrase = BUF_INIT;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *path = operand(c, 0);
	struct fingerprint fingerprint;
	int r;

	if (!option_given(c, OPT_NO_PASSPHRASE)) {
		r = passphrase_ask_new(path, &passphrase, err);
		if (r < 0)
			return r;
	}
	r = identity_create(path, buf_slice(&passphrase), &fingerprint, err);
	if (r < 0)
		return r;
	buf_appendf(&text,
		    "%s is a new identity, and %s.pub its public half.\nFingerprint: %s\n"
		    "Keep a copy of %s in a safe place: without it nothing can be read.\n",
		    path, path, hex(&fingerprint.h).s, path);
	return print_buf(&text, err);
}

/* Cards are short; a file is named, or - for standard input. */
int
card_read(const char *path, struct card *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	bool is_stdin = strcmp(path, "-") == 0;
	int r;

	r = file_read(is_stdin ? "/dev/stdin" : path, INI_FILE_MAX, &text, err);
	if (r < 0)
		return r;
	return card_parse(buf_slice(&text), is_stdin ? "standard input" : path, ret, err);
}

int
cmd_trust_import(struct cli *c, struct err *err)
{
	CLEANUP(identity_freep) struct identity *identity = NULL;
	CLEANUP(card_fini) struct card card = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	r = card_read(operand(c, 0), &card, err);
	if (r == 0)
		r = session_identity(c, &identity, err);
	if (r == 0)
		r = identity_add_pin(identity, &card.pin, err);
	if (r != 0)
		return r;
	buf_appendf(&text, "%s trusts repository %s, founded by %s.\n", identity->path,
		    hex_bytes(&card.pin.repo, sizeof card.pin.repo).s, hex(&card.pin.founder.h).s);
	if (card.url != NULL)
		buf_appendf(&text, "Its URL is %s\n", card.url);
	return print_buf(&text, err);
}
