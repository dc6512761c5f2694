/*
 * internal.h - what the rooms of transfer share.
 *
 *	transfer.c  calls: plan which runs a read needs, fetch what is missing, copy
 *	runs.c      runs of neighbouring blocks: the memory of checked blocks, and what is in flight
 *	headers.c   packs known by name, their headers, each fetched once
 *	fetch.c     one ranged read of the store: retries, deadline, checks
 *	recover.c   packs that were overwritten in the storage, read as an older version
 *	cached.c    the cache on disk, asked before the store
 *	ahead.c     what is wanted ahead of need
 *	workers.c   the threads that fetch: what somebody waits for first, then ahead
 *	link.c      how long a round trip takes, how much the link carries: what is worth asking
 *ahead
 *
 * A run is both a request in flight and, once done, a piece of the block memory: neighbouring
 * blocks that came in one answer stay in that answer's buffer, so nothing is copied.  A pack has a
 * table with a pointer for each block to the run that holds or fetches it; that makes single flight
 * a table look-up.  One lock protects all of it and is never held over a call to the store.
 */
#ifndef TRANSFER_INTERNAL_H
#define TRANSFER_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "tillfs/transfer.h"

/*
 * A local store is read by whoever needs it; a distant one by workers, so that one read can have
 * several requests in flight and no caller waits beyond his deadline, whatever hangs.
 */
#define RUN_BLOCKS_MAX      32u /* 4 MiB: a request this long no longer feels the round trip */
#define RUN_BLOCKS_LOCAL    8u  /* 1 MiB: a local disk has no round trip to hide */
#define READ_RUNS_MAX       (SEGMENT_STORED_MAX / PACK_BLOCK_LEN + 2u)
#define HEADER_JOIN_BLOCKS  1u    /* data this near the header comes with it in one request */
#define FAILURE_MS          1000u /* how long a failure is remembered */
#define IO_TRIES            3u    /* an I/O error may pass, but rarely does */
#define AHEAD_QUEUE_MAX     256u
#define AHEAD_WORKERS_MAX   16u
#define DEMAND_WORKERS_MAX  8u /* more, for what somebody waits for while all those are busy */
#define WORKERS_MAX         (AHEAD_WORKERS_MAX + DEMAND_WORKERS_MAX)
#define WINDOW_START        (UINT64_C(6) * MIB) /* before the link is known */
#define WINDOW_MIN          (UINT64_C(1) * MIB)
#define WINDOW_PARTS        8u    /* requests that a window is divided into */
#define REMOTES_IDLE_MAX    1024u /* packs remembered although nobody uses them */
#define REMOTE_BUCKETS      256u
#define TRANSFER_MEMORY     (48u * MIB)
#define TRANSFER_MEMORY_LOW (2u * MIB)
#define TRANSFER_LOCAL_MAX  (8u * MIB) /* the system caches a local store's bytes already */
#define TRANSFER_TIMEOUT_MS 30000u
#define STOP_LOOK_MS        100u /* how soon a pause is given up */

enum header_state {
	HEADER_ABSENT,
	HEADER_QUEUED, /* a worker is asked to fetch it; whoever needs it first may take over */
	HEADER_FETCHING,
	HEADER_READY,
	HEADER_FAILED, /* until failure->retry_ms */
};

/* An error that several callers will be told. */
struct failure {
	uint64_t retry_ms; /* monotonic time from which a new attempt is made */
	struct err err;
};

/* A pack in the store.  All fields but source and the lengths are protected by the transfer's lock.
 */
struct remote {
	struct pack_source source;
	uint64_t body_len;
	uint32_t n_blocks;
	unsigned refs; /* callers, runs, borrowed headers, queued ranges */
	enum header_state state;
	struct pack_header *header; /* immutable once READY */
	unsigned header_refs;       /* borrowed through transfer_header */
	bool recovered; /* read as an older version; for the thread that fetches the header */
	struct failure *failure;
	pthread_cond_t header_done;
	LIST_ENTRY(remote) chain;
	TAILQ_ENTRY(remote) idle;    /* while refs == 0 */
	LIST_ENTRY(remote) borrowed; /* while header_refs > 0 */
	struct run *runs[];          /* n_blocks: who holds or fetches a block; NULL: nobody */
};

enum run_state { RUN_FETCHING, RUN_DONE, RUN_FAILED };

/*
 * Neighbouring blocks of a pack.  While any block points here, the table owns one reference.  The
 * bytes are written by the fetching thread alone and are immutable from RUN_DONE on.
 */
struct run {
	struct remote *remote; /* a reference */
	uint32_t first, n;
	unsigned refs;   /* protected by the lock, as all below */
	uint32_t mapped; /* blocks that point here */
	enum run_state state;
	bool in_memory;    /* counted and in the list */
	struct buf bytes;  /* the answer */
	size_t skip;       /* bytes of the pack's header before the first block */
	uint64_t served;   /* bytes that reads took; protected by the lock */
	uint64_t bad;      /* bit i: block first + i doesn't match its hash, or isn't all there */
	uint64_t retry_ms; /* when bad blocks may be asked for again */
	struct failure *failure; /* RUN_FAILED */
	struct failure *lacking; /* RUN_DONE: why bad blocks aren't there; NULL: they are damaged */
	pthread_cond_t done;
	TAILQ_ENTRY(run) list;
	TAILQ_ENTRY(run) wanted; /* while it waits for a worker */
};

/* A range that somebody will want soon. */
struct ahead_range {
	struct remote *remote; /* a reference */
	uint32_t next, end;    /* blocks; next == end: the header alone */
};

/* What was learnt of the link.  All under the transfer's lock. */
struct link {
	uint64_t rtt_us[2]; /* the shortest request of this period and of the one before; 0: none */
	uint64_t period_us; /* when this period began */
	uint64_t mark_us;   /* since when bytes are counted; 0: not until a request ends */
	uint64_t bytes;
	bool is_full;  /* as much was in flight as the window allows, or nearly */
	uint64_t rate; /* bytes a second, the best of late; 0: unknown */
	unsigned in_flight;
	uint64_t asked; /* bytes in flight */
};

struct transfer {
	struct store *patient;   /* as it was given */
	struct store *store;     /* the one without patience: fetch.c has its own */
	struct diskcache *cache; /* NULL: none */
	transfer_seen_fn *seen;  /* NULL: nobody */
	void *seen_arg;
	bool local;
	uint64_t memory; /* bound of runs */
	uint64_t header_memory;
	unsigned timeout_ms;
	uint64_t window_max;
	uint32_t run_blocks; /* of one request at most */
	unsigned max_ahead;  /* workers that fetch ahead at a time */

	pthread_mutex_t lock; /* protects everything below, and all runs and remotes */
	LIST_HEAD(, remote) remotes[REMOTE_BUCKETS];
	TAILQ_HEAD(, remote) idle; /* least recently used first */
	LIST_HEAD(, remote) borrowed;
	size_t n_idle;
	uint64_t header_bytes;
	TAILQ_HEAD(run_list, run) list; /* of runs in memory; the first is dropped first */
	uint64_t run_bytes;
	struct transfer_stats stats;

	struct link link;
	bool down; /* the last deadline passed in vain: others needn't wait as long */

	pthread_cond_t work;  /* something is queued, or stopping */
	pthread_cond_t stop;  /* stopping */
	pthread_cond_t quiet; /* n_fetching is 0 */
	unsigned n_fetching;
	struct ahead_range queue[AHEAD_QUEUE_MAX];
	size_t queue_head, queue_len;
	struct run_list wanted; /* runs that somebody waits for; a reference each */
	pthread_t workers[WORKERS_MAX];
	unsigned n_workers, n_waiting, n_ahead; /* n_ahead: that fetch ahead now */
	bool stopping;
};

/* ---- headers.c: "locked" functions are called with the lock held */

/* Return: 0, or ERR_CORRUPT for lengths that no pack has. */
MUST_CHECK int remote_check(const struct pack_source *source, struct err *err);
struct remote *remote_get_locked(struct transfer *t, const struct pack_source *source);
void remote_ref_locked(struct transfer *t, struct remote *m);
void remote_put_locked(struct transfer *t, struct remote *m);
/* Drops every pack; nobody uses any. */
void remotes_free(struct transfer *t);
/*
 * header_need - have the header, fetching it or waiting for who does.
 * Return: 0 with m->header set for as long as the caller's reference to @m lives, or the failure.
 */
MUST_CHECK int header_need(struct transfer *t, struct remote *m, uint64_t deadline,
			   struct err *err);
/* Return: 0, or the header's failure while it is remembered. */
MUST_CHECK int header_failed(struct transfer *t, struct remote *m, struct err *err);
/* Whether the caller shall fetch the header, which it then must finish with header_publish. */
MUST_CHECK bool header_claim_locked(struct remote *m);
/* Gives a claim up: whoever needs the header next fetches it. */
void header_unclaim(struct transfer *t, struct remote *m);
/* Return: 0, or ERR_CORRUPT when the bytes aren't the header that the snapshot described. */
MUST_CHECK int header_check(const struct remote *m, struct slice bytes, struct pack_header **ret,
			    struct err *err);
/* Checks the header's bytes, or takes over why there are none (@r < 0), and tells who waits. */
MUST_CHECK int header_publish(struct transfer *t, struct remote *m, int r, struct slice bytes,
			      struct err *err);

/* ---- runs.c */

/* The run of a block, a reference for the caller; NULL when nobody has it nor fetches it. */
struct run *run_find_locked(struct transfer *t, struct remote *m, uint32_t block);
/* A run for blocks nobody has, in state RUN_FETCHING: two references, the table's and the caller's.
 */
struct run *run_new_locked(struct transfer *t, struct remote *m, uint32_t first, uint32_t n);
/* The fetch ended: @failure (taken) or NULL.  Wakes who waits, makes room. */
void run_finish(struct transfer *t, struct run *run, struct failure *failure);
void run_put_locked(struct transfer *t, struct run *run);
/* A read took bytes of the run: it goes up in the order, or down once all of it was taken. */
void run_used_locked(struct transfer *t, struct run *run, uint64_t bytes);
/* Waits for a run that another thread fetches.  Return: 0, or why it has no bytes. */
MUST_CHECK int run_wait(struct transfer *t, struct run *run, uint64_t deadline, struct err *err);
/* A block's bytes.  Return: 0, or ERR_CORRUPT for one that is bad. */
MUST_CHECK int run_block(const struct run *run, uint32_t block, struct slice *ret, struct err *err);
uint32_t block_len(const struct remote *m, uint32_t block);
void runs_free(struct transfer *t);

/* ---- fetch.c */

/* Fetches a run's blocks, and the header with them where that saves a request.  Ends the run. */
void run_fetch(struct transfer *t, struct run *run, uint64_t deadline);
/* One ranged read of an object with retries.  Return: as store_get; names the pack. */
MUST_CHECK int fetch_range(struct transfer *t, const struct remote *m, uint64_t off, uint64_t len,
			   uint64_t deadline, struct buf *ret, struct err *err);
/* The beginning of an object, asked for once more when its header arrived damaged. */
MUST_CHECK int fetch_with_header(struct transfer *t, const struct remote *m, uint64_t len,
				 uint64_t deadline, struct buf *ret, struct err *err);
struct failure *failure_new(const struct err *err);
int failure_tell(const struct failure *f, struct err *err);
/* pthread_cond_timedwait until a monotonic time in ms.  Return: false when it has come. */
bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ms);
void cond_init_monotonic(pthread_cond_t *cond);

/* ---- recover.c: objects that were overwritten, where the storage keeps older versions */

/* Whether an older version has the right header, which then is @ret; it's read from then on. */
MUST_CHECK bool header_recover(struct transfer *t, struct remote *m, struct pack_header **ret);
/* Whether an older version has the first bad block of a run; it's read from then on. */
MUST_CHECK bool run_recover(struct transfer *t, const struct run *run);

/* Of those of a run's blocks, the ones that are damaged or missing. */
uint64_t bad_blocks(const struct run *run, uint64_t which);

/* ---- cached.c: the cache on disk; without one nothing is found and nothing kept */

/* Whether it has the pack's header, intact. */
MUST_CHECK bool cached_header(struct transfer *t, const struct remote *m, struct buf *ret);
/* Whether it has all blocks of a run, as far as their marks say. */
MUST_CHECK bool cached_has(struct transfer *t, const struct run *run);
void cached_header_keep(struct transfer *t, const struct remote *m, struct slice bytes);
/*
 * cached_run - fill a run with what the cache has, and the rest from the store.
 * When the store fails, what the cache had is still good, and the rest lacking.
 * Return: 0 with bytes and bad set, CACHED_NOTHING when the cache has nothing of it, or why there
 * is no header.
 */
#define CACHED_NOTHING 1
MUST_CHECK int cached_run(struct transfer *t, struct run *run, uint64_t deadline, struct err *err);
/* Keeps the good blocks of a run that came from the store. */
void cached_run_keep(struct transfer *t, const struct run *run);

/* ---- ahead.c */

/* @urgent: a header (@next == @end == 0) that a request underway needs. */
void ahead_push_locked(struct transfer *t, struct remote *m, uint32_t next, uint32_t end,
		       bool urgent);
/* Whether the queue's first may be fetched now. */
bool ahead_may_start_locked(const struct transfer *t);
/* Takes the queue's first piece, and lets go of the lock while it is fetched. */
void ahead_fetch_one_locked(struct transfer *t);
void ahead_clear(struct transfer *t);

/* ---- workers.c */

/* Something was queued: wakes or starts a worker. */
void workers_wake_locked(struct transfer *t);
/* Has a run fetched by a worker, before all that is fetched ahead.  Return: false when there is no
 * worker, so that the caller must do it. */
MUST_CHECK bool workers_want_locked(struct transfer *t, struct run *run);
void workers_stop(struct transfer *t);

/* ---- link.c */

/* A request for @len bytes begins; it ends with @got of them, 0 when it failed. */
void link_begin_locked(struct transfer *t, uint64_t len);
void link_end_locked(struct transfer *t, uint64_t begun_us, uint64_t now_us, uint64_t len,
		     uint64_t got);
/* How many bytes are worth having asked for ahead of a forward reader. */
uint64_t link_window_locked(const struct transfer *t);
void link_tell_locked(const struct transfer *t, uint64_t *ret_rtt_us, uint64_t *ret_rate);
uint32_t link_run_blocks_locked(const struct transfer *t); /* of a request ahead */

#endif /* TRANSFER_INTERNAL_H */
