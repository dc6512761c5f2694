/*
 * seccomp.c - which calls a process may still make (seccomp).
 *
 * A list of what is refused, with EPERM: programs, other processes, mounts, the kernel itself, and
 * ways around such a list.  Not a list of what is allowed: libraries that talk to distant stores
 * change what they call, and a store that fails for that is worse than a call that does no harm.
 */
#include "internal.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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
#define ARCH 0 /* none that is known here: nothing is restricted */
#endif

#define X32_CALLS 0x40000000u /* x86-64 takes calls of a second kind, by this bit */
#define NAME_SPACES                                                                                \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

static const long refused[] = {
	/* programs and other processes */
	SYS_execve,
	SYS_execveat,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kcmp,
	SYS_pidfd_open,
	SYS_pidfd_getfd,
	SYS_pidfd_send_signal,
	SYS_personality,
#if !SANITIZED
	SYS_ptrace, /* the leak check attaches to its own process */
#endif
	/* mounts and name spaces */
	SYS_mount,
	SYS_umount2,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_pivot_root,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_open_by_handle_at,
	/* the kernel, and ways around this list */
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_quotactl,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_clock_adjtime,
	SYS_adjtimex,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_syslog,
	SYS_vhangup,
	/* who serves nobody needs not listen */
	SYS_listen,
	SYS_accept4,
#ifdef SYS_accept
	SYS_accept,
#endif
};

static const int families[] = {AF_INET, AF_INET6, AF_NETLINK, AF_UNIX};

struct program {
	struct sock_filter f[512];
	unsigned short n;
};

static void
add(struct program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	p->f[p->n++] = (struct sock_filter)BPF_JUMP(code, k, if_true, if_false);
}

static void
load(struct program *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* The low half of an argument. */
static void
load_argument(struct program *p, unsigned i)
{
	size_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;

	load(p, offsetof(struct seccomp_data, args) + (size_t)8 * i + low);
}

static void
answer(struct program *p, uint32_t action)
{
	add(p, BPF_RET | BPF_K, action, 0, 0);
}

static void
refuse_call(struct program *p, long nr, uint32_t action)
{
	add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
	answer(p, action);
}

static void
begin(struct program *p)
{
	load(p, offsetof(struct seccomp_data, arch));
	add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	answer(p, REFUSE(EPERM));
	load(p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
	add(p, BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1);
	answer(p, REFUSE(EPERM));
#endif
}

/* Threads start with clone(), once clone3(), whose flags no filter can see, isn't there. */
static void
refuse_name_spaces(struct program *p)
{
	refuse_call(p, SYS_clone3, REFUSE(ENOSYS));
	add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
#if defined(__s390x__)
	load_argument(p, 1); /* the flags come second there */
#else
	load_argument(p, 0);
#endif
	add(p, BPF_JMP | BPF_JSET | BPF_K, NAME_SPACES, 0, 1);
	answer(p, REFUSE(EPERM));
	answer(p, SECCOMP_RET_ALLOW);
}

static void
restrict_sockets(struct program *p, bool network)
{
	uint8_t n = (uint8_t)ARRAY_LEN(families);

	if (!network) {
		refuse_call(p, SYS_socket, REFUSE(EACCES));
		return;
	}
	add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, (uint8_t)(n + 3));
	load_argument(p, 0);
	for (uint8_t i = 0; i < n; i++)
		add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)families[i], (uint8_t)(n - i), 0);
	answer(p, REFUSE(EACCES));
	answer(p, SECCOMP_RET_ALLOW);
}

int
seccomp_enter(bool network, bool *ret, struct err *err)
{
	struct program p = {.n = 0};
	struct sock_fprog filter = {.filter = p.f};

	*ret = false;
	if (ARCH == 0 || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return 0;
	begin(&p);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		refuse_call(&p, refused[i], REFUSE(EPERM));
	restrict_sockets(&p, network);
	refuse_name_spaces(&p);
	answer(&p, SECCOMP_RET_ALLOW);
	filter.len = p.n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0)
		return err_sys(err, "entering the sandbox (seccomp)");
	*ret = true;
	return 0;
}
