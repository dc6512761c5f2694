/*
 * cage.c - what a worker may ask of the kernel.
 *
 * A worker has one open file, its socket.  It may read and write that, get and give back memory
 * (never executable), look at the clock, and end.  Anything else is refused with EPERM.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH AUDIT_ARCH_PPC64LE
#else
#define ARCH 0 /* none that is known here: no worker runs */
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define ADDRESS_SPACE_MAX (UINT64_C(2) << 30)

static const long allowed[] = {
	SYS_exit,           SYS_exit_group,    SYS_brk,          SYS_munmap,
	SYS_mremap,         SYS_madvise,       SYS_futex,        SYS_rt_sigreturn,
	SYS_rt_sigprocmask, SYS_clock_gettime, SYS_gettimeofday, SYS_restart_syscall,
	SYS_sched_yield,
};

#if SANITIZED
/* What a sanitizer needs to write its report into a file. */
static const long for_reports[] = {
	SYS_openat,
	SYS_close,
	SYS_write,
	SYS_read,
	SYS_fstat,
	SYS_newfstatat,
	SYS_readlinkat,
	SYS_lseek,
	SYS_sigaltstack,
	SYS_rt_sigaction,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_prctl,
	SYS_prlimit64,
	SYS_getrandom,
	SYS_sched_getaffinity,
#ifdef SYS_readlink
	SYS_readlink,
#endif
#ifdef SYS_open
	SYS_open,
#endif
#ifdef SYS_stat
	SYS_stat,
#endif
};
#endif

struct program {
	struct sock_filter code[160];
	unsigned short n;
};

static void
emit(struct program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	if (p->n == ARRAY_LEN(p->code))
		abort(); /* the lists above are too long for it */
	p->code[p->n++] = (struct sock_filter){code, if_true, if_false, k};
}

static void
load(struct program *p, size_t off)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)off, 0, 0);
}

/* The lower half of an argument. */
static size_t
argument(unsigned i)
{
	size_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;

	return offsetof(struct seccomp_data, args) + 8 * i + low;
}

static void
allow(struct program *p, long call)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static void
refuse(struct program *p)
{
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
}

/* Only on one descriptor. */
static void
allow_on(struct program *p, long call, int fd)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4);
	load(p, argument(0));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)fd, 0, 1);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	refuse(p);
}

/* Only memory that nobody executes. */
static void
allow_unexecutable(struct program *p, long call)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4);
	load(p, argument(2));
	emit(p, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	refuse(p);
}

static void
write_program(struct program *p, int fd)
{
	load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	load(p, offsetof(struct seccomp_data, nr));
#if SANITIZED
	for (size_t i = 0; i < ARRAY_LEN(for_reports); i++)
		allow(p, for_reports[i]);
#endif
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		allow(p, allowed[i]);
	allow_on(p, SYS_read, fd);
	allow_on(p, SYS_write, fd);
	allow_unexecutable(p, SYS_mmap); /* there is no file that it could map */
	allow_unexecutable(p, SYS_mprotect);
	refuse(p);
}

static void
limit(__rlimit_resource_t what, uint64_t value)
{
	const struct rlimit limits = {value, value};

	(void)setrlimit(what, &limits);
}

bool
cage_enter(int fd)
{
	struct program p = {.n = 0};
	struct sock_fprog prog = {.filter = p.code};

	limit(RLIMIT_CORE, 0);
	if (!SANITIZED) {
		limit(RLIMIT_AS, ADDRESS_SPACE_MAX);
		limit(RLIMIT_FSIZE, 0);
	}
	if (ARCH == 0)
		return false;
	write_program(&p, fd);
	prog.len = p.n;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}
