/*
 * backup.h - make a snapshot: walk, read, chunk, compress, seal, pack, store.
 *
 * Runs on a till that holds no key to decrypt anything: what it knows of earlier snapshots is the
 * catalog.  The snapshot object is written last; a run that ends before leaves at most packs that
 * nobody refers to, and the next run goes on from what the catalog knows of them.
 *
 * Layer 4: uses repo, catalog, chunker and the format modules.
 */
#ifndef TILLFS_BACKUP_H
#define TILLFS_BACKUP_H

#include "tillfs/base.h"
#include "tillfs/config.h"
#include "tillfs/repo.h"

struct backup_options {
	const char *const *paths; /* as the user gave them */
	size_t n_paths;
	const struct config *config; /* classes, excludes, zone, cutoff; not NULL */
	const char *const *excludes; /* besides the configuration's */
	size_t n_excludes;
	const char *const *labels; /* K=V */
	size_t n_labels;
	bool one_file_system;
	bool has_time, has_date;
	int64_t time;             /* the snapshot's, else now */
	struct date date;         /* the business date, else by zone and cutoff */
	const char *state;        /* the state folder */
	const char *const *avoid; /* folders never descended into: cache, state, store */
	size_t n_avoid;
	struct progress_sink progress;
};

enum note_kind {
	NOTE_OUTCOME, /* all is well; for who looks it up */
	NOTE_WARNING, /* worth saying */
	NOTE_FLAG,    /* not what was asked for: the exit status says so too */
};

struct backup_note {
	enum note_kind kind;
	char *path;
	char *text;
};

struct backup_result {
	struct snapshot_name name;
	struct snapshot_counts counts;
	uint64_t files_new, files_unchanged; /* by stat */
	uint64_t bytes_read, bytes_new;      /* plaintext: read at all, and not known before */
	uint64_t bytes_stored;               /* objects as stored, the snapshot included */
	struct backup_note *unreadable, *notes;
	size_t n_unreadable, cap_unreadable, n_notes, cap_notes;
};

/**
 * backup_run - make one snapshot.
 * @repo: opened with repo_open_writer
 * @ret:  backup_result_fini; also says what was not read
 *
 * Return: 0 (look at ret->n_unreadable), ERR_BUSY when another run of this writer holds the state
 * folder's lock, ERR_INVALID for a path with `..` or none at all, ERR_NOENT when no path exists,
 * ERR_CANCELLED, ERR_NOSPACE, ERR_AUTH (ledger rolled back), or what the store says.  Without 0
 * there is no snapshot.
 */
MUST_CHECK int backup_run(struct repo *repo, const struct writer_file *writer,
			  const struct backup_options *options, struct backup_result *ret,
			  struct err *err);
void backup_result_fini(struct backup_result *r);

#endif /* TILLFS_BACKUP_H */
