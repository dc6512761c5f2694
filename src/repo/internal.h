/*
 * internal.h - what the rooms of repo share.
 *
 *	open.c          open, refresh, close: the order in which things are read and believed
 *	init.c, trust.c a new repository; whom to believe in one that exists
 *	ledger_load.c   the ledger's listing and entries become a state
 *	ledger_fork.c   several entries of one sequence
 *	pins.c          the highest seen, kept in the state folder
 *	grants.c, keys.c  grants and reseals; what this identity can open
 *	access.c, access_probe.c   what an auditor is shown
 *	scan.c, scan_wide.c, scan_again.c, list.c  the snapshots that there are
 *	days.c          a mount of many: their dates first, the snapshots later
 *	early.c         what can be asked for before anything is known
 *	snapshot_open.c, cross.c   one snapshot, and what it says about others
 *	decide.c, enrol.c, merge.c what admins decide
 *	select.c, names.c, findings.c, ledger_entry.c
 *
 * Locks: `refreshing` is held over the network by whoever changes what is known (one at a time);
 * `lock` only for moments, to publish or to read it.  The holder of `refreshing` may read what
 * `lock` protects without it, since nobody else writes.  Order: refreshing, then lock.
 *
 * Layer 3.
 */
#ifndef REPO_INTERNAL_H
#define REPO_INTERNAL_H

#include <pthread.h>

#include "tillfs/repo.h"

/* Bounds on what a store may make us remember: far above an honest repository. */
#define LEDGER_KEYS_MAX   (1u << 20)
#define SNAPSHOT_KEYS_MAX (1u << 22)
#define GRANTS_MAX        4096u
#define FINDINGS_MAX      1000u

/* ---- ledger_load.c, ledger_fork.c ------------------------------------------------------- */

struct ledger_key {
	uint64_t seq;
	struct hash id;
};

/* The ledger's listing: ascending by sequence, then id; no duplicates. */
struct ledger_keys {
	struct ledger_key *v;
	size_t n, cap;
};

/* What the entries that count add up to. */
struct ledger_view {
	struct ledger_state state;
	struct hash *chain; /* ids of entries 1 … state.head.seq */
	size_t n_chain, cap_chain;
	char *broken;       /* NULL, or why later entries are unknown: one is damaged or missing */
	uint64_t forked_at; /* 0, or the sequence from which on nothing counts */
};

MUST_CHECK int ledger_list(struct repo *r, struct ledger_keys *ret, struct err *err);
/* Entries of one sequence only.  @ret: replaced. */
MUST_CHECK int ledger_list_seq(struct repo *r, uint64_t seq, struct ledger_keys *ret,
			       struct err *err);
bool ledger_keys_equal(const struct ledger_keys *a, const struct ledger_keys *b);
bool ledger_keys_have(const struct ledger_keys *keys, uint64_t seq, const struct hash *id);
void ledger_keys_add(struct ledger_keys *keys, uint64_t seq, const struct hash *id);
void ledger_keys_fini(struct ledger_keys *keys);

/**
 * ledger_load - fetch and apply the entries that count.
 * Damaged or missing entries and forks end the part that counts; both are findings and marked in
 * @ret.
 * Return: 0, ERR_AUTH or ERR_CORRUPT for an intact entry that may not stand there,
 * ERR_UNSUPPORTED, or what the store says.
 */
MUST_CHECK int ledger_load(struct repo *r, const struct ledger_keys *keys, struct ledger_view *ret,
			   struct err *err);
/* Has the next entries from keys[from] on fetched together, if the store is distant. */
void ledger_fetch_together(struct repo *r, const struct ledger_keys *keys, size_t from);
void ledger_batch_free(struct repo *r);
/* One entry, checked against its key (I-1) but not its signature.  ERR_CORRUPT, ERR_NOENT, … */
MUST_CHECK int ledger_fetch(struct repo *r, const struct ledger_key *key, struct ledger_entry **ret,
			    struct err *err);
MUST_CHECK int ledger_view_apply(struct ledger_view *view, const struct ledger_entry *e,
				 struct err *err);
/* Marks that nothing behind what was applied is known, and tells it. */
void ledger_view_break(struct repo *r, struct ledger_view *view, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void ledger_view_init(struct ledger_view *view, const struct repo_config *config);
void ledger_view_fini(struct ledger_view *view);
/* Goes on from keys[from], the first of several entries of one sequence. */
MUST_CHECK int ledger_fork_follow(struct repo *r, const struct ledger_keys *keys, size_t from,
				  struct ledger_view *view, struct err *err);

/* ---- pins.c ----------------------------------------------------------------------------- */

/* The highest seen. */
struct pins {
	struct chain_head ledger;   /* seq 0: nothing */
	struct chain_head *writers; /* ascending by id */
	size_t n, cap;
};

void pins_load(struct repo *r);
void pins_fini(struct pins *p);
const struct chain_head *pins_find(const struct pins *p, const struct writer_id *writer);
/* Raises the pins to what was read and writes them if that changed something. */
void pins_update(struct repo *r);
/* Return: 0, or ERR_AUTH (and a finding) when the pinned entry isn't among @keys. */
MUST_CHECK int pins_check_ledger(struct repo *r, const struct ledger_keys *keys,
				 const struct ledger_view *view, struct err *err);
/* A finding when a writer's pinned snapshot isn't there. */
void pins_check_writer(struct repo *r, const struct ledger_writer *w,
		       const struct snapshot_name *names, size_t n);

/* Names out of a listing. */
struct snapshot_names {
	struct snapshot_name *v;
	size_t n, cap;
};

/* ---- grants.c, keys.c
 * ----------------------------------------------------------------------------- */

/* A key that came in a grant or reseal: of a snapshot's part or of a pack's section. */
struct held_key {
	struct hash of;
	uint32_t ordinal;
	int64_t until; /* UTC seconds */
	struct seal_key key;
};

struct held_keys {
	struct held_key *v; /* secret memory; ascending by of, ordinal; longest first */
	size_t n;
};

int held_key_cmp(const void *a, const void *b);

/* A grant or reseal as stored. */
struct grant_object {
	struct hash id;
	bool reseal;
	struct buf bytes;
};
struct grant_objects {
	struct grant_object *v;
	size_t n, cap;
	bool afresh; /* some that were known are gone: v has all there are */
};

/* The grants and reseals for this identity that aren't known yet, or all when one is gone. */
MUST_CHECK int grants_fetch(struct repo *r, const struct ledger_state *ledger,
			    struct grant_objects *ret, struct err *err);
/* grants/<fingerprint>/<id>, or reseal/… */
void grant_key_format(bool reseal, const struct fingerprint *grantee, const struct hash *id,
		      char *ret, size_t len);
void grants_take(struct repo *r, const struct grant_objects *objects);
void grant_objects_fini(struct grant_objects *objects);
/* Says what the identity may read, and finds the roster key.  Return: 0, ERR_DENIED, ERR_AUTH. */
MUST_CHECK int access_find(struct repo *r, struct err *err);
bool access_by_pair(struct repo *r); /* whether boxes sealed to the identity itself may be opened */
MUST_CHECK bool held_part_key(struct repo *r, const struct snapshot_id *id, uint32_t ordinal,
			      struct seal_key *ret);
MUST_CHECK bool held_any_part(struct repo *r, const struct snapshot_id *id);
void keys_fini(struct repo *r);
/* The earliest moment at which a key in hand ends, or INT64_MAX. */
int64_t keys_end(struct repo *r);

/* ---- access.c --------------------------------------------------------------------------- */

/* From which number on a standing grant opens a writer's snapshots. */
struct standing_start {
	struct writer_id writer;
	int64_t since;  /* of the grant */
	uint64_t seq;   /* 0: none opened */
	uint64_t tried; /* up to this number */
};

/* Under refreshing. */
bool access_shows_all(struct repo *r);
/* Whether boxes of that class may be opened: an admin's, or covered by a standing grant. */
bool access_covers(struct repo *r, const struct writer_id *writer, const char *class_name);
/* The earliest standing grant in force that covers it, or NULL.  @class_name: NULL for any. */
const struct ledger_grant *access_covering(const struct repo *r, const struct writer_id *writer,
					   const char *class_name);

/* ---- access_probe.c --------------------------------------------------------------------- */

/*
 * Finds where standing grants begin that aren't known yet.
 * Cost: one or two small reads a writer, a few more where clocks are wrong, several writers at a
 * time; those of many writers are left to later calls (probe_more).
 */
void access_probe(struct repo *r, const struct snapshot_names *names);
/* Where in @names, of one writer and ascending, a standing grant begins; @n: nowhere. */
size_t access_standing_start(struct repo *r, const struct writer_id *writer,
			     const struct snapshot_name *names, size_t n);

/* ---- scan.c, list.c, names.c, findings.c, cross.c --------------------------------------- */

#define SNAPSHOTS_PREFIX "snapshots/"

/* Takes keys under snapshots/ as they are listed. */
struct snapshot_collector {
	struct repo *repo;
	struct snapshot_names *names;
	char folder[64]; /* of the stranger told last */
};
int snapshot_collect(void *arg, const struct store_entry *entry, struct err *err);
/* Every key of a distant store, in any order and perhaps twice. */
MUST_CHECK int snapshots_list_wide(struct repo *r, struct snapshot_names *ret, struct err *err);

/* What keys begin with. */
struct key_prefix {
	char s[96];
};
struct key_prefixes {
	struct key_prefix *v;
	size_t n, cap;
};
void key_prefixes_fini(struct key_prefixes *p);

/* Where the snapshots of a distant store lie that has many. */
struct snapshot_days {
	struct key_prefixes writers; /* snapshots/<writer>/ */
	struct key_prefixes dates;   /* snapshots/<writer>/<date>/, writer by writer */
	size_t per_date;             /* snapshots to expect of a date */
};
void snapshot_days_free(struct snapshot_days *d);
DEFINE_FREEP(struct snapshot_days *, snapshot_days_free)
/* All names of a store that has few; else @ret_days with its writers. */
MUST_CHECK int snapshots_first(struct repo *r, struct snapshot_names *ret,
			       struct snapshot_days **ret_days, struct err *err);
/* Its writers. */
MUST_CHECK int snapshots_writers(struct repo *r, struct snapshot_days **ret, struct err *err);
/* Fills in the dates. */
MUST_CHECK int snapshots_dates(struct repo *r, struct snapshot_days *days, struct err *err);
/* Appends all names below some prefixes, in any order. */
MUST_CHECK int snapshots_below(struct repo *r, const struct key_prefixes *prefixes,
			       struct snapshot_names *ret, struct err *err);

/* Every key under snapshots/, ascending by writer, sequence, id, date, time. */
MUST_CHECK int snapshots_scan(struct repo *r, struct snapshot_names *ret, struct err *err);
/* Keeps a listing of many, for the next to go on from; @whole: nothing in it was remembered. */
void scan_remember(struct repo *r, const struct snapshot_names *names, bool whole);
/* Whether there is one, not too old. */
bool scan_may_go_on(const struct repo *r);
/* As snapshots_list_wide, going on from what was remembered. */
MUST_CHECK int snapshots_list_again(struct repo *r, struct snapshot_names *ret, struct err *err);
/* The same, or where there are many, their writers only. */
MUST_CHECK int snapshots_scan_days(struct repo *r, struct snapshot_names *ret,
				   struct snapshot_days **ret_days, struct err *err);
/* Drops names under which somebody else's object stands: copies of a snapshot. */
void snapshots_drop_copies(struct repo *r, struct snapshot_names *names);
void snapshots_digest(const struct snapshot_names *names, struct hash *ret);
void snapshot_names_fini(struct snapshot_names *names);
int snapshot_name_cmp(const void *a, const void *b);

/* Judges the names by the ledger and the pins; publishes list and heads.  @names: used up. */
void list_publish(struct repo *r, struct snapshot_names *names);
/* Publishes an empty list, for as long as only dates are known. */
void list_publish_none(struct repo *r);
/* Makes a list of names that count and are shown to all.  @names: in any order, kept as they are.
 */
struct repo_list *list_of_names(struct repo *r, const struct snapshot_names *names);

/* ---- days.c ---- */

/* All snapshots are listed: the days are forgotten. */
void days_end(struct repo *r);

bool snapshot_is_forgotten(const struct ledger_writer *w, const struct snapshot_id *id);
/* Whether an enrolled writer's snapshot counts: it isn't from after a revocation. */
bool snapshot_is_accepted(const struct ledger_writer *w, const struct snapshot_name *name);
/* As repo_snapshot_fetch, without the cross-check. */
MUST_CHECK int snapshot_fetch(struct repo *r, const struct snapshot_name *name,
			      struct snapshot **ret, struct err *err);
/* Compares the heads that a verified snapshot saw with what the store shows; only findings. */
void cross_check(struct repo *r, const struct snapshot *s);
/* The same for what snapshots saw that were read before the list was there. */
void cross_check_unchecked(struct repo *r);

void finding_add(struct repo *r, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Whether that very text was told; to spare the work of finding it again. */
bool finding_is_known(struct repo *r, const char *text);
void findings_fini(struct repo *r);
void names_fini(struct repo *r);

/* A text from the store, made fit for a message.  Lives to the end of the full expression. */
struct safe_text {
	char s[256];
};
struct safe_text safe(const char *text);

/* ---- early.c ---------------------------------------------------------------------------- */

/*
 * What opening a distant repository will ask for in any case, asked for at once: the config, the
 * ledger's and the snapshots' listings.  Each is then taken once, by who would have asked.
 */
void early_begin(struct repo *r);
void early_end(struct repo *r);
/* Return: false when there is nothing early, and the caller must ask. */
MUST_CHECK bool early_config(struct repo *r, struct buf *ret, int *ret_code, struct err *err);
MUST_CHECK bool early_snapshots(struct repo *r, struct snapshot_names *ret, int *ret_code,
				struct err *err);
/*
 * The ledger as it was listed at the same time as the snapshots, so that it may lack what a new
 * snapshot refers to: it is listed again, while its entries are fetched.
 */
MUST_CHECK bool early_ledger(struct repo *r, struct ledger_keys *ret, int *ret_code,
			     struct err *err);

/* ---- trust.c ---- */

#define CONFIG_KEY "config"

/* Fetches the config; only its signature is checked.  ERR_NOENT: no repository there. */
MUST_CHECK int trust_read_config(struct repo *r, struct err *err);
/* Whether the founder is the one that the identity's or writer's file pins (I-3). */
MUST_CHECK int trust_check_identity(const struct repo *r, struct err *err);
MUST_CHECK int trust_check_writer(const struct repo *r, struct err *err);
/* Whether the ledger lets this writer make snapshots.  Return: 0 or ERR_DENIED. */
MUST_CHECK int trust_check_enrolled(struct repo *r, const struct ledger_state *s, struct err *err);

/* ---- open.c ------------------------------------------------------------------------------ */

struct writer_label {
	struct writer_id id;
	char *name;
	bool human;
};

struct repo {
	struct store *store;              /* borrowed */
	bool distant;                     /* a round trip costs more than a request */
	const struct identity *identity;  /* borrowed; NULL when a writer opened it */
	const struct writer_file *writer; /* borrowed; NULL when an identity opened it */
	const struct seal_pair *pair;     /* the identity's or writer's */
	struct fingerprint self;
	char *state; /* may be NULL */
	struct repo_config config;
	struct seal_key *roster;          /* secret memory; set before anybody else sees the repo */
	bool opened;                      /* what follows was filled once; under refreshing */
	struct early *early;              /* while it is opened; NULL: none, or used */
	bool by_days;                     /* many snapshots may be listed later than their dates */
	struct snapshot_names remembered; /* under refreshing: the last listing, of many far away */
	uint64_t listed_at_ms;            /* under refreshing: when all of it was listed */
	struct ledger_batch *batch;       /* under refreshing: entries fetched together */

	pthread_mutex_t refreshing;
	struct ledger_keys ledger_keys; /* under refreshing: the latest listing */
	struct pins pins;               /* under refreshing */
	struct hash list_digest;        /* under refreshing: what the list was made of */
	bool list_stale;                /* under refreshing: the ledger has changed since */
	struct hash *known_grants;      /* under refreshing */
	size_t n_known_grants, cap_known_grants;
	struct standing_start *starts; /* under refreshing */
	size_t n_starts, cap_starts;
	bool probe_more;     /* under refreshing: some starts are guessed */
	int64_t expired_at;  /* under refreshing: when the latest of its grants that did expired */
	int64_t shown_until; /* under refreshing: when what an auditor is shown changes by itself */

	pthread_mutex_t lock;
	struct snapshot_days *days;   /* protected by lock; NULL once the snapshots are listed */
	struct chain_head *unchecked; /* protected by lock; seen by snapshots read before that */
	size_t n_unchecked, cap_unchecked;
	struct ledger_view ledger;        /* protected by lock */
	struct repo_list *list;           /* protected by lock */
	struct snapshot_name *chains;     /* protected by lock; all that count, by writer, number */
	size_t n_chains;                  /* protected by lock */
	struct chain_head *heads;         /* protected by lock; ascending by writer */
	size_t n_heads;                   /* protected by lock */
	int64_t pair_until;               /* protected by lock; boxes may be opened before this */
	struct held_keys parts, sections; /* protected by lock */
	struct writer_label *labels;      /* protected by lock; later ones win */
	size_t n_labels, cap_labels;      /* protected by lock */
	struct repo_finding *findings;    /* protected by lock */
	size_t n_findings, cap_findings;  /* protected by lock */
};

/* Replaces what is known of the ledger.  @view is emptied. */
void repo_publish_ledger(struct repo *r, struct ledger_view *view);
/* The word for who opened it, for messages: a path. */
const char *repo_self_path(const struct repo *r);

#endif /* REPO_INTERNAL_H */
