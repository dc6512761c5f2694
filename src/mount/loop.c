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
#include "tillfs/store.h"

#define THREADS       16u  /* at the start, and that stay */
#define THREADS_MAX   256u /* while others wait for a store that doesn't answer */
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
	atomic_int result;                /* 0, or the negative errno that ended it */

	pthread_mutex_t lock;          /* protects everything below */
	unsigned n_running, n_waiting; /* threads; those that wait for a request */
	struct loop_thread {
		enum { THREAD_NONE, THREAD_RUNS, THREAD_ENDED } state;
		struct mount_loop *loop;
		pthread_t id;
	} threads[THREADS_MAX];
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

static void *serve_requests(void *arg);

/* Return: 0 or an errno.  Signals that ask for the end are for another thread. */
static int
start_thread_locked(struct mount_loop *loop)
{
	struct loop_thread *t = loop->threads;
	sigset_t mask, old;
	int error;

	while (t < loop->threads + THREADS_MAX && t->state == THREAD_RUNS)
		t++;
	if (t == loop->threads + THREADS_MAX)
		return EAGAIN;
	if (t->state == THREAD_ENDED)
		pthread_join(t->id, NULL);
	t->state = THREAD_NONE;
	t->loop = loop;
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	error = pthread_create(&t->id, NULL, serve_requests, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0)
		return error;
	t->state = THREAD_RUNS;
	loop->n_running++;
	loop->n_waiting++;
	return 0;
}

/* A thread has a request.  There is always another one for the next, which needn't wait for the
 * store although this one may. */
static void
stop_waiting(struct mount_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	if (--loop->n_waiting == 0 && !fuse_session_exited(loop->fuse))
		(void)start_thread_locked(loop); /* without it, the next one waits */
	pthread_mutex_unlock(&loop->lock);
}

/* Return: false for a thread that isn't needed any more. */
static bool
wait_again(struct mount_loop *loop)
{
	bool needed;

	pthread_mutex_lock(&loop->lock);
	needed = loop->n_waiting < THREADS;
	loop->n_waiting += needed;
	pthread_mutex_unlock(&loop->lock);
	return needed;
}

static void
end_thread(struct loop_thread *t)
{
	struct mount_loop *loop = t->loop;
	char byte = MOUNT_WAKE_LOOP_END;

	pthread_mutex_lock(&loop->lock);
	t->state = THREAD_ENDED;
	if (fuse_session_exited(loop->fuse))
		store_stop_all(); /* nobody waits for what is still being fetched */
	if (--loop->n_running == 0)
		(void)!write(loop->wake_fd, &byte, 1);
	pthread_mutex_unlock(&loop->lock);
}

/* Serves until the mount's end, or until there are threads enough. */
static void
serve_until_spare(struct mount_loop *loop)
{
	struct fuse_buf request = {0};

	while (!fuse_session_exited(loop->fuse)) {
		int r = fuse_session_receive_buf(loop->fuse, &request);

		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r < 0)
			atomic_store(&loop->result, r);
		if (r <= 0)
			break; /* 0: unmounted */
		stop_waiting(loop);
		fuse_session_process_buf(loop->fuse, &request);
		if (!wait_again(loop)) {
			free(request.mem);
			return;
		}
		watch(loop);
	}
	free(request.mem);
	fuse_session_exit(loop->fuse);
}

static void *
serve_requests(void *arg)
{
	struct loop_thread *t = arg;

	serve_until_spare(t->loop);
	end_thread(t);
	return NULL;
}

/* Fewer threads than wished for serve as well. */
static int
start_threads(struct mount_loop *loop)
{
	int error = 0;

	pthread_mutex_lock(&loop->lock);
	while (loop->n_running < THREADS && error == 0)
		error = start_thread_locked(loop);
	if (loop->n_running > 0)
		error = 0;
	pthread_mutex_unlock(&loop->lock);
	return error;
}

int
mount_loop_start(struct fuse_session *fuse, int wake_fd, struct mount_loop **ret, struct err *err)
{
	struct mount_loop *loop = mem_alloc(sizeof *loop);

	loop->fuse = fuse;
	loop->wake_fd = wake_fd;
	loop->may_watch = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	pthread_mutex_init(&loop->lock, NULL);
	errno = start_threads(loop);
	if (errno != 0) {
		pthread_mutex_destroy(&loop->lock);
		free(loop);
		return err_sys(err, "starting a thread");
	}
	*ret = loop;
	return 0;
}

/* Ends the threads' waits.  Return: whether some still run. */
static bool
wake_threads(struct mount_loop *loop)
{
	bool some;

	pthread_mutex_lock(&loop->lock);
	for (size_t i = 0; i < THREADS_MAX; i++) {
		if (loop->threads[i].state == THREAD_RUNS)
			pthread_kill(loop->threads[i].id, MOUNT_WAKE_SIGNAL);
	}
	some = loop->n_running > 0;
	pthread_mutex_unlock(&loop->lock);
	return some;
}

void
mount_loop_stop(struct mount_loop *loop)
{
	fuse_session_exit(loop->fuse);
	/* A signal ends a thread's wait, unless it came just before the wait began: hence again. */
	while (wake_threads(loop))
		usleep(STOP_RETRY_US);
}

int
mount_loop_join(struct mount_loop *loop)
{
	int result;

	/* One thread learned that the mount is gone; the others may still wait for a request. */
	mount_loop_stop(loop);
	for (size_t i = 0; i < THREADS_MAX; i++) {
		if (loop->threads[i].state == THREAD_ENDED)
			pthread_join(loop->threads[i].id, NULL);
	}
	result = atomic_load(&loop->result);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return result;
}
