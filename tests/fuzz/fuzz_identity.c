/*
 * fuzz_identity.c - the text of key files: identity, writer, public keys, card.
 *
 * Nobody answers for a passphrase, since Argon2 would make each attempt slow.
 */
#include "tillfs/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
give_up(void *arg, const char *file, struct buf *ret, struct err *err)
{
	(void)arg;
	(void)ret;
	return err_set(err, ERR_CANCELLED, "%s", file);
}

static void
try_card(struct slice text)
{
	CLEANUP(card_fini) struct card card = {0};
	CLEANUP(card_fini) struct card again = {0};
	CLEANUP(buf_fini) struct buf formatted = BUF_INIT;
	struct err err = ERR_INIT;

	if (card_parse(text, "fuzz", &card, &err) < 0)
		return;
	card_format(&card, &formatted);
	if (card_parse(buf_slice(&formatted), "again", &again, &err) < 0)
		abort(); /* what we write we can read */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = slice_of(data, len);
	CLEANUP(identity_freep) struct identity *id = NULL;
	CLEANUP(writer_freep) struct writer_file *w = NULL;
	struct public_keys keys;
	struct err err = ERR_INIT;

	seal_start();
	if (identity_parse(text, "fuzz", give_up, NULL, &id, &err) < 0 &&
	    strstr(err.msg, "fuzz") == NULL)
		abort(); /* refused without naming the file */
	if (writer_parse(text, "fuzz", &w, &err) == 0 && w->enrolled != (w->roster != NULL))
		abort();
	(void)!public_keys_parse(text, "fuzz", &keys, &err);
	try_card(text);
	return 0;
}
