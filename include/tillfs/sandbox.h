/*
 * sandbox.h - a process gives up what it won't need: files (Landlock), and calls (seccomp).
 *
 * What can't be taken back: a process enters before it starts threads, since Landlock binds the
 * calling thread and those that it starts.  The workers that read foreign databases have a
 * narrower cage of their own (records).
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_SANDBOX_H
#define TILLFS_SANDBOX_H

#include "tillfs/base.h"

/* What stays allowed.  A folder stands for all below it. */
struct sandbox_policy {
	char **read; /* files and folders that may be read */
	size_t n_read, cap_read;
	char **write; /* folders in which files may be made, changed and removed, too */
	size_t n_write, cap_write;
	bool network; /* outgoing connections; nothing listens in either case */
};
void sandbox_policy_fini(struct sandbox_policy *p);
void sandbox_allow_read(struct sandbox_policy *p, const char *path);
void sandbox_allow_write(struct sandbox_policy *p, const char *path);
/* What the C library and TLS read for themselves: names of hosts, certificates, libraries. */
void sandbox_allow_system(struct sandbox_policy *p);

/* What the kernel had. */
struct sandbox_result {
	int landlock; /* its version; 0: none, files are not restricted */
	bool calls;   /* seccomp is in force */
};

/**
 * sandbox_enter - restrict this process, for good.
 *
 * Nothing can be executed, traced, mounted or listened at any more; set-user-id programs give no
 * privileges.  Paths that aren't there are passed over.  What this kernel lacks is left out.
 * Return: 0, or ERR_IO when the kernel has it and refuses it; @ret says what is in force then.
 * Threads: this must be the only one.
 */
MUST_CHECK int sandbox_enter(const struct sandbox_policy *p, struct sandbox_result *ret,
			     struct err *err);

#endif /* TILLFS_SANDBOX_H */
