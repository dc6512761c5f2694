/*
 * config.h - INI files: the configuration, and the text form of key files.
 *
 * An INI file becomes a list of (section, key, value, line) in file order; what keys mean is the
 * business of who asks.  Unknown keys are errors of those, so that a typing error is not silence.
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_CONFIG_H
#define TILLFS_CONFIG_H

#include "tillfs/base.h"

struct ini_entry {
	char *section; /* "" before the first */
	char *key;
	char *value;
	int line;
};

struct ini {
	struct ini_entry *entries;
	size_t n, cap;
	char *origin; /* the file's name, for messages */
};

#define INI_FILE_MAX MIB

#define OBJECT_LOCK_DAYS_MAX 36500u /* a century: more is a typing error */

/**
 * ini_parse - parse the text of an INI file.
 * @text: at most INI_FILE_MAX bytes, no NUL
 * @ret:  owned by the caller (ini_fini); empty on failure
 *
 * `#` and `;` start comments at the start of a line only; values keep inner spaces, quotes are not
 * special; several equal keys are all kept.  A byte order mark at the start is passed over.
 * Return: 0, or ERR_INVALID with "<origin>:<line>: …".
 */
MUST_CHECK int ini_parse(struct slice text, const char *origin, struct ini *ret, struct err *err);
/* Return: as ini_parse, ERR_NOENT when there is no such file, or ERR_IO. */
MUST_CHECK int ini_read(const char *path, struct ini *ret, struct err *err);
void ini_fini(struct ini *ini); /* wipes the values: key files are INI too */
/* The last value of a key, or NULL.  Borrowed. */
const char *ini_get(const struct ini *ini, const char *section, const char *key);

/* A data class: the first whose pattern matches a path has it (docs/format.md "Classes"). */
struct config_class {
	char *name;
	char **patterns;
	size_t n_patterns, cap_patterns;
};

/* [store]: credentials for the storage, in secret memory; NULL: not given. */
struct config_credentials {
	char *access_key, *secret_key, *session_token; /* S3, Google */
	char *account_key, *sas_token;                 /* Azure */
	char *user, *password;                         /* WebDAV */
	char *ssh_key;                                 /* file, for SFTP */
};

/* A file of snapshots that isn't read but made: by a command, or by a query on a database. */
struct config_made {
	enum made_by { MADE_BY_COMMAND, MADE_BY_QUERY } by;
	char *name;
	char *path;           /* as stored: captures/NAME or extracts/NAME.csv unless it was said */
	char *class_name;     /* NULL: by the classes' patterns */
	char *command;        /* for /bin/sh */
	char *database;       /* its path as stored, without a leading slash */
	char *query;          /* several lines are joined */
	unsigned timeout_sec; /* then it has failed */
};
#define MADE_TIMEOUT_SEC 3600u

/* What /etc/tillfs/tillfs.conf, ~/.config/tillfs/tillfs.conf or --config say. */
struct config {
	char *repository; /* NULL: not given */
	char *identity;
	char *writer;
	char *state;
	char *passphrase_file, *passphrase_command; /* where the identity's comes from */
	char *cache;
	char *cache_size; /* as given, such as "8G" */
	char *price_per_gb, *price_per_1000_requests;
	char *audit;         /* the access log, or its folder */
	bool audit_required; /* answer no access before it is on record */
	char *zone;          /* Olson name, "" = the system's */
	int cutoff_min;      /* minutes after midnight */
	char *cacert;        /* authorities to trust beside the system's, for the storage */
	char *profile;       /* whose credentials, in AWS's files */
	unsigned timeout_s;  /* 0: not given */
	unsigned object_lock_days;
	struct config_credentials credentials;
	char **excludes;
	size_t n_excludes, cap_excludes;
	struct config_class *classes;
	size_t n_classes, cap_classes;
	char *spool; /* folder for copies of databases; NULL: in the state folder */
	char **raw;  /* patterns of databases that are not captured */
	size_t n_raw, cap_raw;
	unsigned capture_timeout_ms; /* for a database's locks */
	struct config_made *made;
	size_t n_made, cap_made;
	bool scan;            /* look for card numbers in what a backup reads */
	char *before, *after; /* commands around a backup; NULL: none */
};
#define CAPTURE_TIMEOUT_MS 30000u /* when nothing else is said */

/**
 * config_load - read the configuration.
 * @path: a file that must exist, or NULL for the usual places, which need not:
 *        /etc/tillfs/tillfs.conf, then tillfs/tillfs.conf in $XDG_CONFIG_HOME or ~/.config.  A
 *        setting in the user's file replaces the system's; its excludes, raw patterns,
 *        classes, and captures with extracts each replace the whole list
 *
 * Sections: [tillfs] repository, identity, writer, state, passphrase-file, passphrase-command,
 * audit, audit-required = yes|no, cache, cache-size, price-per-gb, price-per-1000-requests,
 * time-zone, cutoff = HH:MM, exclude (several), spool, raw (several), capture-timeout = SECONDS,
 * cacert, profile, timeout, object-lock-days; [store] access-key, secret-key, session-token,
 * account-key, sas-token, user, password, ssh-key; [class NAME] pattern (several), NAME as
 * [a-z0-9-]{1,32}.
 *
 * Also [tillfs] before, after, scan = yes|no; [capture NAME] command, class, path, timeout;
 * [extract NAME] database, query (several), class, path, timeout; NAME as [A-Za-z0-9_.-]{1,64}.
 *
 * Return: 0, ERR_INVALID naming file and line, ERR_NOENT for a @path that isn't
 * there.
 */
MUST_CHECK int config_load(const char *path, struct config *ret, struct err *err);
/* The same from text, for tests and fuzzing. */
MUST_CHECK int config_parse(struct slice text, const char *origin, struct config *ret,
			    struct err *err);
void config_fini(struct config *c);
/*
 * The class of a path: an index into classes, or SIZE_MAX for `general`.  What ends in -wal, -shm
 * or -journal has the class of the path before that ending, if a pattern matches it.
 */
size_t config_classify(const struct config *c, struct slice path);

#endif /* TILLFS_CONFIG_H */
