/*
 * calls.c - requests whose caller is about to die: they get their answer at once.
 *
 * The kernel lets nobody go before his request is answered, not even with SIGKILL, and an answer
 * may be waiting for a link that is down.  It does tell us of a signal.  Whether the signal can
 * end the caller's program is seen in /proc (helper.c); if so, a thread of its own answers EINTR,
 * and what the handler finds later is thrown away.  Other signals change nothing, as on a disk.
 *
 * After that answer the kernel may forget nodes and close files that the handler still works with.
 * So while there is such a handler, what would end them is put off.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "private.h"

#define LOOK_AGAIN_MS 100u

struct deferred {
	STAILQ_ENTRY(deferred) next;
	mount_later_fn *fn;
	void *arg;
	uint64_t n;
};
STAILQ_HEAD(deferred_list, deferred);

struct mount_calls {
	struct mount_fs *fs;
	struct mount_helper *helper; /* borrowed */
	pthread_t thread;
	pthread_mutex_t lock; /* protects everything below, and all calls' shared fields */
	pthread_cond_t changed;
	bool stopping;
	LIST_HEAD(, mount_call) open;
	LIST_HEAD(, mount_call) spare; /* kept: the kernel's word of a signal may come late */
	uint64_t serial;               /* of the latest call */
	unsigned n_interrupted, n_abandoned;
	struct deferred_list later;
};

/* ---- the thread that answers them ------------------------------------------------------ */

/* The oldest interrupted call after @serial whose caller waits; NULL: none. */
static struct mount_call *
next_interrupted_locked(struct mount_calls *calls, uint64_t serial)
{
	struct mount_call *call, *oldest = NULL;

	LIST_FOREACH(call, &calls->open, link)
	{
		if (call->interrupted && call->req != NULL && call->serial > serial &&
		    (oldest == NULL || call->serial < oldest->serial))
			oldest = call;
	}
	return oldest;
}

/* Lets go of the lock while it looks who is ending. */
static void
abandon_ending_locked(struct mount_calls *calls)
{
	struct mount_call *call;
	uint64_t serial = 0;

	while ((call = next_interrupted_locked(calls, serial)) != NULL) {
		pid_t thread = call->who.pid;
		bool ending;

		serial = call->serial;
		pthread_mutex_unlock(&calls->lock);
		ending = mount_helper_is_ending(calls->helper, thread);
		pthread_mutex_lock(&calls->lock);
		/* It may have its answer by now, and a new request in its place. */
		if (!ending || call->serial != serial || call->req == NULL)
			continue;
		calls->n_abandoned++;
		call->abandoned = true;
		fuse_reply_err(steal_ptr(&call->req), EINTR);
	}
}

static void *
watch(void *arg)
{
	struct mount_calls *calls = arg;

	pthread_mutex_lock(&calls->lock);
	while (!calls->stopping) {
		if (calls->n_interrupted == 0) {
			pthread_cond_wait(&calls->changed, &calls->lock);
			continue;
		}
		abandon_ending_locked(calls);
		pthread_mutex_unlock(&calls->lock);
		usleep(LOOK_AGAIN_MS * 1000);
		pthread_mutex_lock(&calls->lock);
	}
	pthread_mutex_unlock(&calls->lock);
	return NULL;
}

/* A signal came for a caller.  libfuse keeps @req alive meanwhile, so no other can have its place.
 */
static void
on_interrupt(fuse_req_t req, void *arg)
{
	struct mount_call *call = arg;
	struct mount_calls *calls = mount_fs_of(req)->calls; /* @call may be another's by now */

	pthread_mutex_lock(&calls->lock);
	if (call->req == req && !call->interrupted) {
		call->interrupted = true;
		calls->n_interrupted++;
		pthread_cond_signal(&calls->changed);
	}
	pthread_mutex_unlock(&calls->lock);
}

/* ---- calls ----------------------------------------------------------------------------- */

struct mount_call *
mount_call_begin(fuse_req_t req)
{
	struct mount_fs *fs = mount_fs_of(req);
	struct mount_calls *calls = fs->calls;
	struct mount_call *call;

	pthread_mutex_lock(&calls->lock);
	call = LIST_FIRST(&calls->spare);
	if (call != NULL)
		LIST_REMOVE(call, link);
	else
		call = mem_alloc(sizeof *call);
	*call = (struct mount_call){.fs = fs,
				    .who = *fuse_req_ctx(req),
				    .serial = ++calls->serial,
				    .req = req};
	LIST_INSERT_HEAD(&calls->open, call, link);
	pthread_mutex_unlock(&calls->lock);
	fuse_req_interrupt_func(req, on_interrupt, call);
	return call;
}

bool
mount_call_take(struct mount_call *call)
{
	struct mount_calls *calls = call->fs->calls;
	bool ours;

	pthread_mutex_lock(&calls->lock);
	ours = steal_ptr(&call->req) != NULL;
	pthread_mutex_unlock(&calls->lock);
	return ours;
}

static void
carry_out(struct mount_fs *fs, struct deferred_list *list)
{
	struct deferred *d;

	while ((d = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, next);
		d->fn(fs, d->arg, d->n);
		free(d);
	}
}

void
mount_call_end(struct mount_call *call)
{
	struct mount_calls *calls = call->fs->calls;
	struct deferred_list due = STAILQ_HEAD_INITIALIZER(due);

	pthread_mutex_lock(&calls->lock);
	calls->n_interrupted -= call->interrupted;
	if (call->abandoned && --calls->n_abandoned == 0)
		STAILQ_CONCAT(&due, &calls->later);
	LIST_REMOVE(call, link);
	LIST_INSERT_HEAD(&calls->spare, call, link);
	pthread_mutex_unlock(&calls->lock);
	carry_out(calls->fs, &due);
}

void
mount_later(struct mount_fs *fs, mount_later_fn *fn, void *arg, uint64_t n)
{
	struct mount_calls *calls = fs->calls;
	struct deferred *d = NULL;

	pthread_mutex_lock(&calls->lock);
	if (calls->n_abandoned > 0) {
		d = mem_alloc(sizeof *d);
		*d = (struct deferred){.fn = fn, .arg = arg, .n = n};
		STAILQ_INSERT_TAIL(&calls->later, d, next);
	}
	pthread_mutex_unlock(&calls->lock);
	if (d == NULL)
		fn(fs, arg, n);
}

/* ---- all of them ----------------------------------------------------------------------- */

int
mount_calls_start(struct mount_fs *fs, struct mount_helper *helper, struct err *err)
{
	struct mount_calls *calls = mem_alloc(sizeof *calls);
	sigset_t all, before;

	calls->fs = fs;
	calls->helper = helper;
	pthread_mutex_init(&calls->lock, NULL);
	pthread_cond_init(&calls->changed, NULL);
	STAILQ_INIT(&calls->later);
	fs->calls = calls;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&calls->thread, NULL, watch, calls);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno == 0)
		return 0;
	calls->stopping = true;
	return err_sys(err, "starting a thread");
}

void
mount_calls_stop(struct mount_fs *fs)
{
	struct mount_calls *calls = fs->calls;
	struct mount_call *call;
	bool running;

	pthread_mutex_lock(&calls->lock);
	running = !calls->stopping;
	calls->stopping = true;
	pthread_cond_signal(&calls->changed);
	pthread_mutex_unlock(&calls->lock);
	if (running)
		pthread_join(calls->thread, NULL);
	while ((call = LIST_FIRST(&calls->spare)) != NULL) {
		LIST_REMOVE(call, link);
		free(call);
	}
	pthread_cond_destroy(&calls->changed);
	pthread_mutex_destroy(&calls->lock);
	free(steal_ptr(&fs->calls));
}
