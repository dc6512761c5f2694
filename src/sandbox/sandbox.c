/*
 * sandbox.c - both halves, and what every process needs.
 */
#include "internal.h"

#include <errno.h>
#include <sys/prctl.h>

void
sandbox_policy_fini(struct sandbox_policy *p)
{
	for (size_t i = 0; i < p->n_read; i++)
		free(p->read[i]);
	for (size_t i = 0; i < p->n_write; i++)
		free(p->write[i]);
	free(p->read);
	free(p->write);
	*p = (struct sandbox_policy){0};
}

void
sandbox_allow_read(struct sandbox_policy *p, const char *path)
{
	array_reserve(p->read, p->n_read, p->cap_read);
	p->read[p->n_read++] = str_copy(path);
}

void
sandbox_allow_write(struct sandbox_policy *p, const char *path)
{
	array_reserve(p->write, p->n_write, p->cap_write);
	p->write[p->n_write++] = str_copy(path);
}

void
sandbox_allow_system(struct sandbox_policy *p)
{
	static const char *const paths[] = {
		"/etc/resolv.conf",
		"/etc/hosts",
		"/etc/host.conf",
		"/etc/nsswitch.conf",
		"/etc/gai.conf",
		"/etc/services",
		"/etc/localtime",
		"/etc/ld.so.cache",
		"/etc/ssl",
		"/etc/pki",
		"/etc/ca-certificates",
		"/etc/crypto-policies",
		"/run/systemd/resolve",
		"/run/resolvconf",
		"/run/NetworkManager",
		"/usr/lib",
		"/usr/lib64",
		"/lib",
		"/lib64",
		"/usr/local/lib",
		"/usr/share/ca-certificates",
		"/usr/local/share/ca-certificates",
		"/usr/share/zoneinfo",
		"/sys/devices/system/cpu",
		"/dev/urandom",
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		sandbox_allow_read(p, paths[i]);
	sandbox_allow_write(p, "/dev/null");
#if SANITIZED
	/* A sanitizer reads where memory lies, and writes its report below HOME in the tests. */
	sandbox_allow_read(p, "/proc");
	if (getenv("HOME") != NULL)
		sandbox_allow_write(p, getenv("HOME"));
#endif
}

int
sandbox_enter(const struct sandbox_policy *p, struct sandbox_result *ret, struct err *err)
{
	int r;

	*ret = (struct sandbox_result){0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "giving up the way to more privileges");
	r = landlock_enter(p, &ret->landlock, err);
	return r < 0 ? r : seccomp_enter(p->network, &ret->calls, err);
}
