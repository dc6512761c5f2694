/*
 * cmd_init.c - tillfs init: make a repository.
 */
#include "internal.h"

int
cmd_init(struct cli *c, struct err *err)
{
	CLEANUP(identity_freep) struct identity *founder = NULL;
	CLEANUP(store_closep) struct store *store = NULL;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *url = operand(c, 0);
	struct repo_id id;
	int r = 0;

	if (url == NULL)
		r = session_url(c, &url, err);
	if (r == 0)
		r = session_identity(c, &founder, err);
	if (r == 0)
		r = session_store(c, url, true, &store, NULL, err);
	if (r == 0)
		r = repo_init(store, founder, &id, err);
	if (r != 0)
		return r;
	buf_appendf(&text, "%s is a new repository.\nId: %s\nFounding admin: %s, %s\n",
		    store_url(store), hex_bytes(&id, sizeof id).s, founder->path,
		    hex(&founder->fingerprint.h).s);
	return print_buf(&text, err);
}
