/*
 * landlock.c - which files a process may still open (Landlock).
 *
 * Rights that a kernel doesn't know yet are left out, by its version; constants that this system's
 * headers don't know yet are spelled out here.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights, by the version that brought them. */
#define FS_V1           ((UINT64_C(1) << 13) - 1)
#define FS_REFER        (UINT64_C(1) << 13) /* 2 */
#define FS_TRUNCATE     (UINT64_C(1) << 14) /* 3 */
#define FS_IOCTL_DEV    (UINT64_C(1) << 15) /* 5 */
#define NET_BIND_TCP    (UINT64_C(1) << 0)  /* 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)  /* 4 */
#define SCOPE_UNIX      (UINT64_C(1) << 0)  /* 6: abstract sockets of processes outside */
#define SCOPE_SIGNAL    (UINT64_C(1) << 1)  /* 6: signals to processes outside */

#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_RIGHTS                                                                               \
	(READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |             \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | FS_REFER | FS_TRUNCATE)
#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

/* The kernel's struct, as of version 6: headers may have an older one. */
struct ruleset {
	uint64_t fs, net, scoped;
};

static size_t
ruleset_len(int version)
{
	return version < 4 ? 8 : version < 6 ? 16 : 24;
}

static struct ruleset
ruleset_of(int version, bool network)
{
	struct ruleset r = {.fs = FS_V1};

	if (version >= 2)
		r.fs |= FS_REFER;
	if (version >= 3)
		r.fs |= FS_TRUNCATE;
	if (version >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (version >= 4)
		r.net = network ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= 6)
		r.scoped = SCOPE_UNIX | SCOPE_SIGNAL;
	return r;
}

static int
allow(int ruleset, const char *path, uint64_t rights, struct err *err)
{
	CLEANUP(closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = rights};
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES
			       ? 0
			       : err_sys(err, "%s", path);
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILE_RIGHTS;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sys(err, "allowing access to %s (Landlock)", path);
	return 0;
}

static int
allow_all(int ruleset, const struct sandbox_policy *p, uint64_t handled, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_read; i++)
		r = allow(ruleset, p->read[i], READ_RIGHTS & handled, err);
	for (size_t i = 0; r == 0 && i < p->n_write; i++)
		r = allow(ruleset, p->write[i], WRITE_RIGHTS & handled, err);
	return r;
}

int
landlock_enter(const struct sandbox_policy *p, int *ret_version, struct err *err)
{
	CLEANUP(closep) int ruleset = -1;
	struct ruleset attr;
	long version;
	int r;

	*ret_version = 0;
	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return 0;
	attr = ruleset_of((int)version, p->network);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, ruleset_len((int)version), 0);
	if (ruleset < 0)
		return err_sys(err, "making a sandbox (Landlock)");
	r = allow_all(ruleset, p, attr.fs, err);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_sys(err, "entering the sandbox (Landlock)");
	*ret_version = (int)version;
	return 0;
}
