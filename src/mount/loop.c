/*
 * loop.c - the threads that take requests from the kernel.
 *
 * In place of libfuse's loop, for one reason: who reads file after file sends the next request a
 * few microseconds after the last reply, and waking a sleeping thread for it costs more than
 * answering.  So one thread looks out for a moment before it goes to sleep: that halves the time of
 * a request on an idle machine.  On a busy one it would only take the processor from the reader and
 * lose its own turn, so whoever is kept waiting there stops looking out for a while.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "private.h"

#define THREADS       16u /* most of them wait for the store when it is far away */
#define WATCH_NS      (50u * 1000u)
#define KEPT_NS       (200u * 1000u) /* a turn that long went to somebody else */
#define PAUSE_NS      (1000u * 1000u * 1000u)
#define STOP_RETRY_US 10000u

struct mount_loop {
	struct fuse_session *fuse;
	int wake_fd;
	bool may_watch;                   /* there is a second core to do it on */
	atomic_bool watching;             /* by one thread at most */
	_Atomic(uint64_t) watch_after_ns; /* the machine was busy */
	atomic_uint n_running;            /* threads */
	atomic_int result;                /* 0, or the negative errno that ended it */
	unsigned n;
	pthread_t threads[THREADS];
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Waits a moment for a request, awake, unless another thread does. */
static void
watch(struct mount_loop *loop)
{
	struct pollfd p = {.fd = fuse_session_fd(loop->fuse), .events = POLLIN};
	uint64_t start_ns, before_ns, ns;

	start_ns = ns = now_ns();
	if (!loop->may_watch || ns < atomic_load(&loop->watch_after_ns) ||
	    atomic_exchange(&loop->watching, true))
		return;
	while (poll(&p, 1, 0) == 0 && ns - start_ns < WATCH_NS) {
		sched_yield();
		before_ns = ns;
		ns = now_ns();
		if (ns - before_ns > KEPT_NS)
			atomic_store(&loop->watch_after_ns, ns + PAUSE_NS);
	}
	atomic_store(&loop->watching, false);
}

static void *
serve_requests(void *arg)
{
	struct mount_loop *loop = arg;
	struct fuse_buf request = {0};
	char byte = MOUNT_WAKE_LOOP_END;

	while (!fuse_session_exited(loop->fuse)) {
		int r = fuse_session_receive_buf(loop->fuse, &request);

		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r < 0)
			atomic_store(&loop->result, r);
		if (r <= 0)
			break; /* 0: unmounted */
		fuse_session_process_buf(loop->fuse, &request);
		watch(loop);
	}
	free(request.mem);
	fuse_session_exit(loop->fuse);
	if (atomic_fetch_sub(&loop->n_running, 1) == 1)
		(void)!write(loop->wake_fd, &byte, 1);
	return NULL;
}

/* Starts the threads; signals that ask for the end are for another one. */
static int
start_threads(struct mount_loop *loop)
{
	sigset_t mask, old;
	int error = 0;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	for (; loop->n < THREADS; loop->n++) {
		atomic_fetch_add(&loop->n_running, 1);
		error = pthread_create(&loop->threads[loop->n], NULL, serve_requests, loop);
		if (error != 0) {
			atomic_fetch_sub(&loop->n_running, 1);
			break;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	/* Fewer threads than wished for serve as well. */
	return loop->n > 0 ? 0 : error;
}

int
mount_loop_start(struct fuse_session *fuse, int wake_fd, struct mount_loop **ret, struct err *err)
{
	struct mount_loop *loop = mem_alloc(sizeof *loop);

	loop->fuse = fuse;
	loop->wake_fd = wake_fd;
	loop->may_watch = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	errno = start_threads(loop);
	if (errno != 0) {
		free(loop);
		return err_sys(err, "starting a thread");
	}
	*ret = loop;
	return 0;
}

void
mount_loop_stop(struct mount_loop *loop)
{
	fuse_session_exit(loop->fuse);
	/* A signal ends a thread's wait, unless it came just before the wait began: hence again. */
	while (atomic_load(&loop->n_running) > 0) {
		for (unsigned i = 0; i < loop->n; i++)
			pthread_kill(loop->threads[i], MOUNT_WAKE_SIGNAL);
		usleep(STOP_RETRY_US);
	}
}

int
mount_loop_join(struct mount_loop *loop)
{
	int result;

	/* One thread learned that the mount is gone; the others may still wait for a request. */
	mount_loop_stop(loop);
	for (unsigned i = 0; i < loop->n; i++)
		pthread_join(loop->threads[i], NULL);
	result = atomic_load(&loop->result);
	free(loop);
	return result;
}
