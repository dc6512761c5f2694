/*
 * programs.c - which program asks, for the record of accesses.
 *
 * Looking it up takes another process (helper.c), so what it said is kept for a second.  A process
 * that ended, or runs another program since, is told by its `comm`: that file belongs to the one
 * process, however often its number is used again.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "private.h"

#define SLOTS   64u
#define KEEP_NS UINT64_C(1000000000)
/* Starting another program takes longer than that, and asking each time would be felt. */
#define TRUST_NS UINT64_C(200000)

struct mount_programs {
	struct mount_helper *helper; /* borrowed */
	pthread_mutex_t lock;
	/* protected by lock */
	struct slot {
		uint32_t pid; /* 0: empty */
		int comm_fd;
		char comm[32];
		uint64_t filled_ns, checked_ns;
		char *program;
	} slots[SLOTS];
};

struct mount_programs *
mount_programs_new(struct mount_helper *helper)
{
	struct mount_programs *p = mem_alloc(sizeof *p);

	p->helper = helper;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

static void
empty(struct slot *s)
{
	if (s->pid != 0 && s->comm_fd >= 0)
		close(s->comm_fd);
	free(s->program);
	*s = (struct slot){0};
}

void
mount_programs_free(struct mount_programs *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		empty(&p->slots[i]);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* What a process calls itself now; "" when it has ended. */
static void
read_comm(int fd, char ret[32])
{
	ssize_t n = fd >= 0 ? pread(fd, ret, 31, 0) : 0;

	ret[n > 0 ? n : 0] = '\0';
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool
is_current(struct slot *s, uint32_t pid)
{
	uint64_t now = now_ns();
	char comm[32];

	if (s->pid != pid || now - s->filled_ns >= KEEP_NS)
		return false;
	if (now - s->checked_ns < TRUST_NS)
		return true;
	read_comm(s->comm_fd, comm);
	s->checked_ns = now;
	return comm[0] != '\0' && strcmp(comm, s->comm) == 0;
}

static void
fill(struct mount_programs *p, struct slot *s, uint32_t pid)
{
	char program[PROGRAM_MAX];

	empty(s);
	s->comm_fd = mount_helper_program(p->helper, pid, program);
	s->pid = pid;
	s->filled_ns = s->checked_ns = now_ns();
	read_comm(s->comm_fd, s->comm);
	s->program = str_copy(program);
}

void
mount_programs_find(struct mount_programs *p, uint32_t pid, char ret[PROGRAM_MAX])
{
	struct slot *s = &p->slots[pid % SLOTS];

	ret[0] = '\0';
	if (pid == 0)
		return; /* of another name space of processes */
	pthread_mutex_lock(&p->lock);
	if (!is_current(s, pid))
		fill(p, s, pid);
	memcpy(ret, s->program, strlen(s->program) + 1);
	pthread_mutex_unlock(&p->lock);
}
