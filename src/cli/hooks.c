/*
 * hooks.c - the commands before and after a backup.
 *
 * What a hook prints goes to standard error, as standard output is the result's.
 */
#include <stdio.h>
#include <unistd.h>

#include "internal.h"
#include "tillfs/capture_command.h"

#define HOOK_TIMEOUT_SEC 3600u

static int
run(const char *command, const atomic_bool *cancel, struct err *err)
{
	CLEANUP(command_freep) struct command_run *c = NULL;
	char piece[4096];
	size_t len;
	int r = command_start(command, HOOK_TIMEOUT_SEC, cancel, &c, err);

	while (r == 0 && (r = command_read(c, piece, sizeof piece, &len, err)) == 0 && len > 0)
		if (fd_write_full(STDERR_FILENO, piece, len) < 0)
			len = 0; /* nobody listens; what counts is how it ends */
	return r < 0 ? r : command_finish(c, err);
}

int
hook_before(const struct config *config, const atomic_bool *cancel, struct err *err)
{
	int r = config->before == NULL ? 0 : run(config->before, cancel, err);

	return r < 0 ? err_add(err, r, "before the backup, which was not made") : 0;
}

void
hook_after(const struct config *config, int outcome, const struct snapshot_name *snapshot,
	   const struct err *err)
{
	struct err why = ERR_INIT;

	if (config->after == NULL)
		return;
	(void)setenv("TILLFS_OUTCOME",
		     outcome < 0                  ? "failed"
		     : outcome == EXIT_UNREADABLE ? "incomplete"
						  : "done",
		     1);
	(void)setenv("TILLFS_SNAPSHOT", snapshot != NULL ? hex(&snapshot->id.h).s : "", 1);
	(void)setenv("TILLFS_ERROR", outcome < 0 ? err->msg : "", 1);
	/* Also after Ctrl-C: what `before` stopped must be started again. */
	if (run(config->after, NULL, &why) < 0)
		warn("after the backup: %s", why.msg);
}
