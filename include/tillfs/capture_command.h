/*
 * capture_command.h - commands of the configuration: what one prints becomes a file of a snapshot,
 * and hooks around a backup.
 *
 * A command runs through /bin/sh in a process group of its own, with nothing on standard input.
 *
 * Layer 4, part of capture: uses base.
 */
#ifndef TILLFS_CAPTURE_COMMAND_H
#define TILLFS_CAPTURE_COMMAND_H

#include "tillfs/base.h"

struct command_run;

/**
 * command_start - start a command.
 * @timeout_sec: then it is ended, and has failed; 0: at once
 * @cancel:      may be NULL; borrowed until command_free
 *
 * Return: 0, or ERR_IO.
 */
MUST_CHECK int command_start(const char *command, unsigned timeout_sec, const atomic_bool *cancel,
			     struct command_run **ret, struct err *err);

/**
 * command_read - what it prints next.
 * @ret_len: bytes at @p; 0: it prints nothing more
 *
 * Return: 0, ERR_UNREACHABLE after the timeout, ERR_CANCELLED, ERR_IO.
 */
MUST_CHECK int command_read(struct command_run *c, void *p, size_t len, size_t *ret_len,
			    struct err *err);

/**
 * command_finish - wait for its end.
 * Return: 0 when it ended with status 0; else ERR_IO naming the status and the end of what it said
 * on standard error, ERR_UNREACHABLE, ERR_CANCELLED.
 */
MUST_CHECK int command_finish(struct command_run *c, struct err *err);
void command_free(struct command_run *c); /* ends it, and what it started, if it still runs */
DEFINE_FREEP(struct command_run *, command_free)

#endif /* TILLFS_CAPTURE_COMMAND_H */
