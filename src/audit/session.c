/*
 * session.c - a session of an access log, from its entry "start" to its entry "stop".
 *
 * One thread writes.  It takes together what has come: four times a second, or at once when
 * somebody waits for it.  An event that ends before it was written becomes one entry with its end.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"

#define BATCH_MS    250u
#define SYNC_MS     1000u
#define SIGN_MS     60000u
#define RETRY_MS    1000u
#define WRITER_NICE 10

/* ---- entries of the session itself ----------------------------------------------------- */

struct own_entry {
	struct audit *a;
	const char *kind, *detail;
	uint64_t about;
};

static void
next_own(void *arg, struct audit_entry *ret)
{
	const struct own_entry *o = arg;

	*ret = o->a->base;
	ret->time_ns = audit_now_ns();
	ret->session = o->a->session;
	ret->kind = slice_str(o->kind);
	ret->detail = slice_str(o->detail);
	ret->about = o->about;
	ret->result = slice_str("ok");
}

static int
append_own(struct audit *a, const char *kind, const char *detail, uint64_t about, struct err *err)
{
	struct own_entry o = {a, kind, detail, about};

	return chain_append(&a->log, 1, next_own, &o, err);
}

/* Sessions that have no end, and whose process has none of its own any more. */
static int
find_lost(struct audit *a, uint64_t **ret, size_t *n, struct err *err)
{
	size_t cap = 0;
	struct db_stmt *s;
	int r;

	r = db_prepare_foreign(
		a->log.db,
		"SELECT seq, pid FROM entry AS begun WHERE kind IN ('start', 'stop', 'lost') AND "
		"kind = "
		"'start' AND seq <> ? AND NOT EXISTS (SELECT 1 FROM entry WHERE kind IN ('start', "
		"'stop', 'lost') AND ((kind = 'stop' AND session = begun.seq) OR (kind = 'lost' "
		"AND "
		"about = begun.seq)))",
		&s, err);
	if (r < 0)
		return r;
	db_bind_int(s, 1, (int64_t)a->session);
	while ((r = db_step(s, err)) == 1) {
		int64_t pid = db_int(s, 1);

		if (pid <= 0 || pid > INT32_MAX || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		array_reserve(*ret, *n, cap);
		(*ret)[(*n)++] = (uint64_t)db_int(s, 0);
	}
	db_reset(s);
	return r;
}

static int
tell_lost(struct audit *a, struct err *err)
{
	CLEANUP(freep) uint64_t *lost = NULL;
	size_t n = 0;
	int r = find_lost(a, &lost, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = append_own(a, "lost",
			       "a session ended without a stop: what it did in its last second may "
			       "be missing",
			       lost[i], err);
	return r;
}

/* The log must still hold what was signed last, as far as this machine remembers. */
static int
tell_broken(struct audit *a, struct err *err)
{
	char words[320];
	struct audit_head h;
	int r = audit_pin_check(&a->log, &h, err);

	if (r != 1)
		return r;
	(void)snprintf(words, sizeof words,
		       "entry %" PRIu64
		       ", which %s signed on %s, was not in the log: it was cut off or rewritten",
		       h.seq, hex_short(&h.signer.h).s, time_format_rfc3339(h.time).s);
	log_write(LOG_ERROR, "access log %s: %s", a->log.path, words);
	a->log.broken = true;
	return append_own(a, "broken", words, h.seq, err);
}

/* ---- the writer ------------------------------------------------------------------------ */

struct batch {
	struct audit *a;
	struct pending *q;
	size_t next;
	char lost[96]; /* what an entry about dropped ones says */
};

static void
next_of_batch(void *arg, struct audit_entry *ret)
{
	struct batch *b = arg;

	if (b->next == b->q->n) {
		struct own_entry o = {b->a, "lost", b->lost, 0};

		next_own(&o, ret);
		return;
	}
	*ret = b->q->items[b->next++]->e;
	ret->session = b->a->session;
}

static int
write_batch(struct audit *a, struct pending *q, struct err *err)
{
	struct batch b = {.a = a, .q = q};

	if (q->dropped > 0)
		(void)snprintf(b.lost, sizeof b.lost, "%" PRIu64 " entries could not be written",
			       q->dropped);
	return chain_append(&a->log, q->n + (q->dropped > 0), next_of_batch, &b, err);
}

static void
answer_waiters(struct audit *a, struct pending *q, int code, const struct err *err)
{
	for (size_t i = 0; i < q->n; i++) {
		struct pending_waiter *w = q->items[i]->waiter;

		if (w == NULL)
			continue;
		w->done = true;
		w->code = code;
		w->err = *err;
	}
	pthread_cond_broadcast(&a->done);
}

/* Writes what there is; called and left with the lock held.  Return: whether that worked. */
static bool
flush_locked(struct audit *a)
{
	struct pending q = a->queue;
	struct err err = ERR_INIT;
	int r = 0;

	if (q.n == 0 && q.dropped == 0)
		return true;
	a->queue = (struct pending){0};
	a->urgent = false;
	pthread_mutex_unlock(&a->lock);
	r = write_batch(a, &q, &err);
	pthread_mutex_lock(&a->lock);
	answer_waiters(a, &q, r, &err);
	if (r == 0) {
		pending_fini(&q);
	} else {
		if (!a->failing)
			log_write(LOG_ERROR, "access log: %s", err.msg);
		pending_put_back(&a->queue, &q);
	}
	a->failing = r < 0;
	return r == 0;
}

static void
wait_for_work_locked(struct audit *a, uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= NS_PER_SEC) {
		t.tv_sec++;
		t.tv_nsec -= NS_PER_SEC;
	}
	while (!a->stopping && !a->urgent)
		if (pthread_cond_timedwait(&a->work, &a->lock, &t) != 0)
			return;
}

/* Makes durable, and signs, what is due for it; the lock isn't needed. */
static void
settle(struct audit *a, uint64_t *next_sync, uint64_t *next_sign)
{
	uint64_t now = time_monotonic_ms();
	struct err err = ERR_INIT;
	int r = 0;

	if (now >= *next_sign) {
		r = chain_sign(&a->log, &err);
		*next_sign = now + SIGN_MS;
	} else if (now >= *next_sync) {
		r = chain_sync(&a->log, &err);
		*next_sync = now + SYNC_MS;
	}
	if (r < 0)
		log_write(LOG_ERROR, "access log: %s", err.msg);
}

static void *
write_entries(void *arg)
{
	struct audit *a = arg;
	uint64_t next_sync = time_monotonic_ms() + SYNC_MS, next_sign = next_sync + SIGN_MS;

	/* Nobody waits for it, so it makes way for those who open files. */
	if (!a->required)
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), WRITER_NICE);

	pthread_mutex_lock(&a->lock);
	while (!a->stopping) {
		bool written;

		wait_for_work_locked(a, BATCH_MS);
		written = flush_locked(a);
		pthread_mutex_unlock(&a->lock);
		settle(a, &next_sync, &next_sign);
		pthread_mutex_lock(&a->lock);
		if (!written && !a->required)
			wait_for_work_locked(a, RETRY_MS);
	}
	flush_locked(a);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Signals are for the program's own threads. */
static int
start_writer_locked(struct audit *a, struct err *err)
{
	sigset_t all, before;

	if (a->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&a->writer, NULL, write_entries, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno != 0)
		return err_sys(err, "access log: starting a thread");
	a->running = true;
	return 0;
}

/* ---- beginning ------------------------------------------------------------------------- */

static char *
own_program(void)
{
	char path[AUDIT_TEXT_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	path[n > 0 ? n : 0] = '\0';
	return str_copy(path);
}

static struct audit *
audit_new(const struct audit_options *o)
{
	struct audit *a = mem_alloc(sizeof *a);
	pthread_condattr_t attr;

	a->case_ref = str_copy(o->case_ref != NULL ? o->case_ref : "");
	a->reason = str_copy(o->reason != NULL ? o->reason : "");
	a->required = o->required;
	a->program = own_program();
	a->base = (struct audit_entry){
		.uid = getuid(),
		.gid = getgid(),
		.pid = (uint64_t)getpid(),
		.program = slice_str(a->program),
		.case_ref = slice_str(a->case_ref),
		.reason = slice_str(a->reason),
	};
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->work, &attr);
	pthread_cond_init(&a->done, &attr);
	pthread_condattr_destroy(&attr);
	return a;
}

static void
audit_destroy(struct audit *a)
{
	chain_close(&a->log);
	pending_fini(&a->queue);
	pthread_cond_destroy(&a->work);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
	free(a->program);
	free(a->case_ref);
	free(a->reason);
	free(a);
}

static int
check_text(const char *text, const char *what, struct err *err)
{
	if (text != NULL && strlen(text) > AUDIT_TEXT_MAX)
		return err_set(err, ERR_INVALID, "the %s is longer than %u bytes", what,
			       AUDIT_TEXT_MAX);
	return 0;
}

static int
begin(struct audit *a, struct err *err)
{
	int r = append_own(a, "start", "tillfs " TILLFS_VERSION, 0, err);

	if (r < 0)
		return r;
	a->session = a->log.latest.seq;
	r = tell_broken(a, err);
	if (r == 0)
		r = tell_lost(a, err);
	return r < 0 ? r : chain_sign(&a->log, err);
}

int
audit_open(const struct audit_options *options, struct audit **ret, struct err *err)
{
	struct audit *a;
	int r;

	*ret = NULL;
	r = check_text(options->case_ref, "case reference", err);
	if (r == 0)
		r = check_text(options->reason, "reason", err);
	if (r < 0)
		return r;
	a = audit_new(options);
	r = chain_open(options, &a->log, err);
	if (r == 0) {
		r = begin(a, err);
		if (r < 0)
			r = err_add(err, r, "access log");
	}
	if (r < 0) {
		audit_destroy(a);
		return r;
	}
	*ret = a;
	return 0;
}

const char *
audit_path(const struct audit *a)
{
	return a->log.path;
}

bool
audit_required(const struct audit *a)
{
	return a->required;
}

/* ---- recording ------------------------------------------------------------------------- */

/* Takes @item, or drops it.  Return: its number, 0 when dropped. */
static uint64_t
push_locked(struct audit *a, struct pending_event *item)
{
	uint64_t number = ++a->number;

	item->e.number = number;
	if (a->queue.n >= PENDING_MAX) {
		a->queue.dropped++;
		free(item);
		return 0;
	}
	pending_push(&a->queue, item);
	return number;
}

static void
wake_writer_locked(struct audit *a)
{
	a->urgent = true;
	pthread_cond_signal(&a->work);
}

static int
wait_committed_locked(struct audit *a, struct pending_waiter *w, struct err *err)
{
	wake_writer_locked(a);
	while (!w->done)
		pthread_cond_wait(&a->done, &a->lock);
	if (w->code < 0)
		return err_set(err, w->code, "access log: %s", w->err.msg);
	return 0;
}

static int
record_locked(struct audit *a, struct pending_event *item, uint64_t *ret_number, struct err *err)
{
	struct pending_waiter waiter = {0};
	int r = start_writer_locked(a, err);

	if (r < 0) {
		free(item);
		return r;
	}
	if (a->required)
		/* The writer forgets it before the wait below ends. */
		item->waiter = &waiter; /* cppcheck-suppress autoVariables */
	*ret_number = push_locked(a, item);
	if (!a->required) {
		if (a->queue.n == PENDING_MAX / 2)
			wake_writer_locked(a);
		return 0;
	}
	if (*ret_number == 0)
		return err_set(err, ERR_BUSY, "access log: %u entries wait to be written",
			       PENDING_MAX);
	return wait_committed_locked(a, &waiter, err);
}

int
audit_record(struct audit *a, const struct audit_event *event, uint64_t *ret_number,
	     struct err *err)
{
	struct audit_event e = *event;
	struct pending_event *item;
	uint64_t number = 0;
	int r;

	if (e.program == NULL && e.pid == a->base.pid)
		e.program = a->program;
	item = pending_item_new(&e, a->case_ref, a->reason);
	pthread_mutex_lock(&a->lock);
	r = record_locked(a, item, &number, err);
	pthread_mutex_unlock(&a->lock);
	if (ret_number != NULL)
		*ret_number = r == 0 ? number : 0;
	return r;
}

/* The end of an event that is still in memory. */
static bool
end_in_place_locked(struct audit *a, uint64_t number, uint64_t bytes, int code)
{
	struct pending_event *item = pending_find(&a->queue, number);

	if (item == NULL || code != 0)
		return false;
	item->e.bytes = bytes;
	item->e.ended_ns = audit_now_ns();
	return true;
}

void
audit_end(struct audit *a, uint64_t number, uint64_t bytes, int code, const char *detail)
{
	struct audit_event event = {
		.kind = "close", .bytes = bytes, .code = code, .detail = detail, .about = number};
	bool ended;

	if (number == 0)
		return;
	pthread_mutex_lock(&a->lock);
	ended = end_in_place_locked(a, number, bytes, code);
	pthread_mutex_unlock(&a->lock);
	if (ended)
		return;

	struct pending_event *item = pending_item_new(&event, a->case_ref, a->reason);

	pthread_mutex_lock(&a->lock);
	item->e.ended_ns = item->e.time_ns;
	/* Whose it was stands in the entry that it is about. */
	item->e.uid = item->e.gid = item->e.pid = AUDIT_NOBODY;
	push_locked(a, item);
	pthread_mutex_unlock(&a->lock);
}

/* ---- ending ---------------------------------------------------------------------------- */

static void
stop_writer(struct audit *a)
{
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_cond_signal(&a->work);
	pthread_mutex_unlock(&a->lock);
	if (a->running)
		pthread_join(a->writer, NULL);
}

int
audit_close(struct audit *a, struct err *err)
{
	char words[64];
	int r = 0;

	if (a == NULL)
		return 0;
	stop_writer(a);
	if (a->queue.n > 0 || a->queue.dropped > 0)
		r = write_batch(a, &a->queue, err);
	(void)snprintf(words, sizeof words, "%" PRIu64 " events", a->number);
	if (r == 0)
		r = append_own(a, "stop", words, 0, err);
	if (r == 0)
		r = chain_sign(&a->log, err);
	audit_destroy(a);
	return r < 0 ? err_add(err, r, "access log") : 0;
}

void
audit_free(struct audit *a)
{
	struct err err = ERR_INIT;

	if (audit_close(a, &err) < 0)
		log_write(LOG_ERROR, "%s", err.msg);
}
