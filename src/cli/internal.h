/*
 * internal.h - what the commands share.
 *
 *	cli.c         main: finds the command, runs it, says what went wrong, picks the exit status
 *	commands.c    the table of commands
 *	arguments.c   the table of options, and parsing both
 *	help.c        texts of --help
 *	access.c      a record of what was handed out
 *	session.c     from options, environment and configuration to an open repository
 *	passphrase.c, passphrase_from.c  where passphrases come from
 *	progress.c    the progress line, and Ctrl-C
 *	hooks.c       the configuration's commands around a backup
 *	output.c      what several commands print
 *	people.c      what the commands about admins, writers, grants and trust share
 *	cmd_*.c       one command, or one family, each
 *
 * A command returns 0, a positive exit status, or a negative code with its sentence in err; only
 * cli.c and what is called warn_* here print sentences.
 *
 * Layer 6.
 */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

#include "tillfs/audit.h"
#include "tillfs/backup.h"
#include "tillfs/base.h"
#include "tillfs/cache.h"
#include "tillfs/compare.h"
#include "tillfs/config.h"
#include "tillfs/keyring.h"
#include "tillfs/merge.h"
#include "tillfs/repo.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREADABLE = 3, /* a snapshot was made, but some files could not be read */
	EXIT_DAMAGED = 4,    /* check has found damage */
};

/* Beside the codes of enum err_code: the command line makes no sense. */
#define CLI_USAGE (-100)

/* ---- options ----------------------------------------------------------------------------- */

enum option {
	/* common to all commands */
	OPT_REPOSITORY,
	OPT_IDENTITY,
	OPT_WRITER,
	OPT_CONFIG,
	OPT_STATE,
	OPT_VERBOSE,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION,
	OPT_TIMEOUT,
	OPT_CACHE,
	OPT_CACHE_SIZE,
	OPT_OFFLINE,
	OPT_CACERT,
	OPT_PROFILE,
	OPT_OBJECT_LOCK_DAYS,
	OPT_PASSPHRASE_FILE,
	OPT_PASSPHRASE_FD,
	OPT_PASSPHRASE_COMMAND,
	OPT_COMMON_END,
	/* of some */
	OPT_NO_PASSPHRASE = OPT_COMMON_END,
	OPT_KEY,
	OPT_OUT,
	OPT_TIME,
	OPT_DATE,
	OPT_LABEL,
	OPT_INCLUDE,
	OPT_EXCLUDE,
	OPT_ONE_FILE_SYSTEM,
	OPT_JSON,
	OPT_LONG,
	OPT_RECURSIVE,
	OPT_TO,
	OPT_OVERWRITE,
	OPT_VERIFY,
	OPT_FOREGROUND,
	OPT_MOUNT,
	OPT_MEMORY,
	OPT_REFRESH,
	OPT_BUDGET,
	OPT_PRICE_GB,
	OPT_PRICE_REQUESTS,
	OPT_LAZY,
	OPT_READ_DATA,
	OPT_FROM,
	OPT_UNTIL,
	OPT_SCHEDULE,
	OPT_AUDIT,
	OPT_AUDIT_REQUIRED,
	OPT_CASE,
	OPT_REASON,
	OPT_CSV,
	OPT_TABLE,
	OPT_AGAINST,
	OPT_DEADLINE,
	OPT_IN_SNAPSHOT,
	OPT_FORMAT,
	OPT_DATABASE,
	OPT_SCHEMA,
	OPT_NO_RECORDS,
	OPT_GRANTEE,
	OPT_ONLY_WRITER,
	OPT_CLASS,
	OPT_STANDING,
	OPT_EXPIRES,
	OPT_LAST,
	OPT_KEEP,
	OPT_SINCE,
	OPT_USER,
	OPT_PATH,
	OPT_SNAPSHOT,
	OPT_RESULT,
	OPT_PUBLISHED,
	OPT_NO_SANDBOX,
	OPT_ROWS,
	OPT_UNDER,
	OPT_PROVE_READ_ONLY,
	OPT_TIMESTAMP_URL,
	OPT_END,
};

struct option_spec {
	const char *name; /* --name */
	char letter;      /* -l, or 0 */
	const char *arg;  /* what its argument is called, or NULL: it has none */
	bool many;        /* may be given several times */
	const char *help;
};
extern const struct option_spec option_specs[OPT_END];

struct cli;

struct words {
	const char **v;
	size_t n, cap;
};

struct command {
	const char *name;     /* one word or two */
	const char *operands; /* as help shows them */
	const char *summary;
	const char *details; /* paragraphs, or NULL */
	unsigned min, max;   /* operands */
	const enum option *options;
	size_t n_options;
	int (*run)(struct cli *c, struct err *err);
};
extern const struct command commands[];
extern const size_t n_commands;

/* A command line taken apart.  Everything is borrowed from argv. */
struct cli {
	const struct command *command; /* NULL: none was named */
	const char *family; /* the first word of a command of two, when only that stands there */
	struct words options[OPT_END]; /* what each was given; "" for those without argument */
	struct words operands;
	struct config config;
};
void cli_fini(struct cli *c);

/* Return: 0, or CLI_USAGE. */
MUST_CHECK int arguments_parse(struct cli *c, int argc, char **argv, struct err *err);
static inline bool
option_given(const struct cli *c, enum option o)
{
	return c->options[o].n > 0;
}
/* The last value, or NULL. */
const char *option_value(const struct cli *c, enum option o);
const char *operand(const struct cli *c, size_t n); /* or NULL */
/* Sizes as 64M; Return: 0, or CLI_USAGE. */
MUST_CHECK int option_size(const struct cli *c, enum option o, uint64_t *ret, struct err *err);
MUST_CHECK bool size_parse(const char *text, uint64_t *ret);
/* What the options or the configuration say.  Return: 0, or CLI_USAGE. */
MUST_CHECK int prices_read(const struct cli *c, struct prices *ret, struct err *err);
MUST_CHECK int option_number(const struct cli *c, enum option o, uint64_t max, uint64_t *ret,
			     struct err *err);
/* Return: 0 with @ret_given whether it was given, or CLI_USAGE for what is no date. */
MUST_CHECK int option_date(const struct cli *c, enum option o, bool *ret_given, struct date *ret,
			   struct err *err);

void help_overview(void);
void help_family(const char *family);
void help_command(const struct command *command);

/* ---- passphrases -------------------------------------------------------------------------- */

/*
 * passphrase_take - take TILLFS_PASSPHRASE out of the environment, so that no child inherits it and
 * no /proc/<pid>/environ shows it.  Before threads.
 */
void passphrase_take(const struct cli *c); /* @c: borrowed until passphrase_forget */
void passphrase_forget(void);
#define PASSPHRASE_MAX 4096u
/*
 * passphrase_from_outside - what options, environment and configuration name.
 * @ret: replaced; wiped by the caller
 * Return: 1 when one of them does, 0 when none, or a code.
 */
MUST_CHECK int passphrase_from_outside(struct buf *ret, struct err *err);
/* A passphrase_fn for identities. */
int passphrase_ask(void *arg, const char *file, struct buf *ret, struct err *err);
/* For a new identity: asks twice. */
MUST_CHECK int passphrase_ask_new(const char *file, struct buf *ret, struct err *err);

/* ---- an open repository -------------------------------------------------------------------- */

struct session {
	struct store *store;
	struct store *meter;     /* counts what goes over the link; part of store; NULL offline */
	struct diskcache *cache; /* NULL: none */
	unsigned timeout_ms;     /* of a read */
	struct identity *identity;
	struct writer_file *writer;
	struct repo *repo;
	bool by_days; /* of many snapshots, only the dates may be known at first */
	struct transfer *transfer;
	struct reader *reader;
	size_t n_told;       /* findings that were printed */
	struct audit *audit; /* NULL: accesses aren't recorded */
	uint64_t access;     /* the recorded one that goes on, or 0 */
	const char *command; /* what an access is called */
};
/* Opens the repository with the identity; prints findings. */
MUST_CHECK int session_open(const struct cli *c, struct session *ret, struct err *err);
/* The same for a mount: see repo_open_by_days. */
MUST_CHECK int session_open_by_days(const struct cli *c, struct session *ret, struct err *err);
/* The same without the cache: for who proves what the storage has. */
MUST_CHECK int session_open_direct(const struct cli *c, struct session *ret, struct err *err);
/* The same without printing either: check tells them itself. */
MUST_CHECK int session_open_silent(const struct cli *c, struct session *ret, struct err *err);
/* The same with the writer's file. */
MUST_CHECK int session_open_writer(const struct cli *c, struct session *ret, struct err *err);
/* Adds what reads files. */
void session_start_reading(struct session *s);
struct footprint_watch;
/* The same, noting what is read.  @watch: borrowed; must outlive the session. */
void session_start_watching(struct session *s, struct footprint_watch *watch);
void session_close(struct session *s); /* prints findings that came up since */

/**
 * session_store - open a store by URL, metered; one that isn't local gets patience and --timeout.
 * @ret_meter: the meter, a part of it; may be NULL
 * Return: as store_open, or CLI_USAGE.
 */
MUST_CHECK int session_store(const struct cli *c, const char *url, bool create, struct store **ret,
			     struct store **ret_meter, struct err *err);
/**
 * session_cached_store - the same with the cache around it, if there shall be one.
 * Return: as session_store; a cache that can't be opened is only told, unless it has to do alone.
 */
MUST_CHECK int session_cached_store(const struct cli *c, const char *url, struct session *s,
				    struct err *err);
/* The cache alone.  Return: 0, CLI_USAGE when none is named, … */
/* Whether a session's options make sense.  Return: 0 or a usage error. */
MUST_CHECK int session_check(const struct cli *c, struct err *err);
MUST_CHECK int session_cache_check(const struct cli *c, struct err *err);
MUST_CHECK int session_cache(const struct cli *c, const char *url, struct diskcache **ret,
			     struct err *err);
MUST_CHECK int session_url(const struct cli *c, const char **ret, struct err *err);
MUST_CHECK int session_identity(const struct cli *c, struct identity **ret, struct err *err);
/* The same, for printing its recovery sheet. */
MUST_CHECK int session_recovery(const struct cli *c, struct recovery *ret,
				struct fingerprint *ret_self, struct err *err);
/* The state folder, absolute; owned by the caller. */
MUST_CHECK int session_state(const struct cli *c, char **ret, struct err *err);

/* Makes a path absolute; @path: replaced. */
MUST_CHECK int make_absolute(char **path, struct err *err);

/*
 * Recording what is handed out.  A command whose options are AUDIT_OPTIONS, and that opens what it
 * reads by target_open, records it without doing more; session_recorded adds how much it was, and
 * how it ended.  Each is nothing without --audit or `audit` in the configuration.
 */
#define AUDIT_OPTIONS OPT_AUDIT, OPT_CASE, OPT_REASON
/* Called by session_open. */
MUST_CHECK int session_start_recording(const struct cli *c, struct session *s, struct err *err);
/* Called by target_open; again for each further thing that a command reads of a snapshot.  Return:
 * 0, or why it couldn't be recorded: hand out nothing. */
MUST_CHECK int session_record(struct session *s, const struct repo_opened *snapshot,
			      struct slice path, struct err *err);
/* What was asked for, and refused or not there. */
void session_refused(struct session *s, const char *what, int code, const char *why);
/* The recorded access is over.  @why: may be NULL. */
void session_recorded(struct session *s, uint64_t bytes, int code, const struct err *why);
void session_stop_recording(struct session *s); /* called by session_close */
/* What the options and the configuration say about the log.  @ret_path, @ret_state: owned by the
 * caller, and what @ret points to; @ret->path NULL: nothing is recorded. */
MUST_CHECK int access_options(const struct cli *c, struct audit_options *ret, char **ret_path,
			      char **ret_state, struct err *err);

/* The file of the access log that a command is about; owned by the caller. */
MUST_CHECK int audit_log_operand(const struct cli *c, char **ret, struct err *err);

/* A snapshot and a path in it, from SNAPSHOT[:PATH]. */
struct target {
	struct repo_opened *opened;
	struct slice path;
};
MUST_CHECK int target_open(struct session *s, const char *what, struct target *ret,
			   struct err *err);
void target_close(struct target *t);

/* --writer, --from and --until, with progress on a terminal. */
MUST_CHECK int timeline_options_read(const struct cli *c, struct timeline_options *ret,
				     struct err *err);

/* ---- progress and interruption -------------------------------------------------------------- */

/* Makes Ctrl-C and its like end work in an orderly way; a second one ends the process. */
void interrupts_catch(void);
/* A sink that shows progress on a terminal, and says when to stop.  @c: NULL: shows nothing. */
struct progress_sink progress_show(const struct cli *c);
void progress_clear(void); /* takes the line away, before anything else is printed */

/* ---- commands around a backup ---------------------------------------------------------------- */

/* Runs `before`, if there is one.  Return: 0, or why the backup must not begin. */
MUST_CHECK int hook_before(const struct config *config, const atomic_bool *cancel, struct err *err);
/* Runs `after`, which learns from its environment what came of the backup. */
void hook_after(const struct config *config, int outcome, const struct snapshot_name *snapshot,
		const struct err *err);

/* ---- output --------------------------------------------------------------------------------- */

void warn_text(const char *text);
void warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Writes all of it.  Return: 0, or ERR_IO. */
MUST_CHECK int print_buf(const struct buf *b, struct err *err);
/* A name as it is, or made safe on a terminal. */
void append_name(struct buf *b, struct slice name);
void append_json_text(struct buf *b, const char *key, const char *text);
void append_count(struct buf *b, uint64_t n, const char *one, const char *many);

/* Appends `, "key": {"id": …, "date": …, "time": …}`. */
void append_json_snapshot(struct buf *b, const char *key, const struct snapshot_name *name);
const char *entry_type_word(enum entry_type type);
char entry_type_letter(enum entry_type type); /* as ls -l has it */

int card_read(const char *path, struct card *ret, struct err *err); /* "-": standard input */

/* ---- commands -------------------------------------------------------------------------------- */

int cmd_identity_new(struct cli *c, struct err *err);
int cmd_identity_recover(struct cli *c, struct err *err);
int cmd_recovery_sheet(struct cli *c, struct err *err);
int cmd_init(struct cli *c, struct err *err);
int cmd_writer_new(struct cli *c, struct err *err);
int cmd_writer_add(struct cli *c, struct err *err);
int cmd_writer_import(struct cli *c, struct err *err);
int cmd_writer_list(struct cli *c, struct err *err);
int cmd_backup(struct cli *c, struct err *err);
int cmd_snapshots(struct cli *c, struct err *err);
int cmd_ls(struct cli *c, struct err *err);
int cmd_cat(struct cli *c, struct err *err);
int cmd_restore(struct cli *c, struct err *err);
int cmd_pin(struct cli *c, struct err *err);
int cmd_unpin(struct cli *c, struct err *err);
int cmd_pins(struct cli *c, struct err *err);
int cmd_cost(struct cli *c, struct err *err);
int cmd_scan(struct cli *c, struct err *err);
int cmd_mount(struct cli *c, struct err *err);
int cmd_umount(struct cli *c, struct err *err);
int cmd_check(struct cli *c, struct err *err);
int cmd_store_test(struct cli *c, struct err *err);
int cmd_diff(struct cli *c, struct err *err);
int cmd_find(struct cli *c, struct err *err);
int cmd_history(struct cli *c, struct err *err);
int cmd_evidence(struct cli *c, struct err *err);
int cmd_doctor(struct cli *c, struct err *err);
int cmd_audit_show(struct cli *c, struct err *err);
int cmd_audit_export(struct cli *c, struct err *err);
int cmd_audit_verify(struct cli *c, struct err *err);
int cmd_audit_publish(struct cli *c, struct err *err);
int cmd_verify(struct cli *c, struct err *err);
int cmd_query(struct cli *c, struct err *err);
int cmd_get(struct cli *c, struct err *err);
int cmd_writer_revoke(struct cli *c, struct err *err);
int cmd_admin_add(struct cli *c, struct err *err);
int cmd_admin_remove(struct cli *c, struct err *err);
int cmd_admin_list(struct cli *c, struct err *err);
int cmd_auditor_new(struct cli *c, struct err *err);
int cmd_grant(struct cli *c, struct err *err);
int cmd_grants(struct cli *c, struct err *err);
int cmd_revoke(struct cli *c, struct err *err);
int cmd_trust_show(struct cli *c, struct err *err);
int cmd_trust_merge(struct cli *c, struct err *err);
int cmd_trust_import(struct cli *c, struct err *err);
/* What mount(8) calls: turns its command line into one of `tillfs mount`.  @ret: owned. */
void mount_helper_arguments(int argc, char **argv, struct words *ret);

#endif /* CLI_INTERNAL_H */
