/*
 * evidence.h - what can be handed to others and checked without tillfs: signed statements, proof
 * that a mount is read-only, and bags of files (RFC 8493) with their provenance.
 *
 * Layer 4: uses verify, audit, merge.  Format: docs/audit.md, "Evidence".
 */
#ifndef TILLFS_EVIDENCE_H
#define TILLFS_EVIDENCE_H

#include "tillfs/base.h"
#include "tillfs/keyring.h"
#include "tillfs/reader.h"
#include "tillfs/repo.h"

/* ---- statements: text, signed as it is, for `openssl pkeyutl -verify -rawin` */

/* Appends a public key as PEM. */
void statement_pem(const struct seal_sign_pk *pk, struct buf *ret);
/**
 * statement_write - write NAME, NAME.sig and signer.pem into a folder.
 * @text: signed byte for byte; doesn't begin with "tillfs/"
 * Return: 0, ERR_NOSPACE, ERR_IO, …
 */
MUST_CHECK int statement_write(const char *dir, const char *name, struct slice text,
			       const struct seal_pair *signer, struct err *err);

/* ---- that a mount is read-only */

/* One modifying call that was tried. */
struct prove_attempt {
	const char *call;
	bool refused;
	int error; /* errno of the refusal */
};
struct prove_result {
	char *file, *folder; /* what was tried on, below the mount */
	char *flags;         /* of the mount */
	bool read_only_flag;
	bool unchanged; /* the file's bytes and attributes, before and after */
	bool proven;    /* all of it holds */
	int64_t time;
	struct prove_attempt *attempts;
	size_t n_attempts, cap_attempts;
};
/**
 * prove_read_only - try every call that modifies on a mount.
 * @dir: a tillfs mount: what is tried would change other file systems
 * Return: 0 when all were tried (look at ret->proven), ERR_INVALID, ERR_IO.
 */
MUST_CHECK int prove_read_only(const char *dir, struct prove_result *ret, struct err *err);
void prove_result_fini(struct prove_result *r);
/* The result as JSON, with host, time and tool. */
void prove_statement(const char *dir, const struct prove_result *r, struct buf *ret);

/* ---- bags */

struct evidence_item {
	const struct repo_opened *opened; /* borrowed */
	struct slice path;                /* a file or folder in it */
};

struct evidence_options {
	const char *to; /* a folder that doesn't exist or is empty */
	const char *case_ref;
	const char *reason;        /* or NULL */
	const char *log;           /* an access log whose extract goes along, or NULL */
	const char *timestamp_url; /* of an RFC 3161 authority, or NULL */
	const char *cacert;        /* for it, or NULL */
	struct progress_sink progress;
};
struct evidence_result {
	uint64_t files, bytes;
	uint64_t failures; /* of the verification: the bag is made, and says what doesn't hold */
};
/**
 * evidence_make - write a bag with files of snapshots.
 * @items: none of them a mount of ours
 *
 * Verifies the snapshots first, down to every byte (verify.h); what fails is part of the bag.
 * Return: 0, ERR_EXISTS when the folder has something in it, or what reading and writing give; a
 * bag without bagit.txt is unfinished.
 */
MUST_CHECK int evidence_make(struct repo *repo, struct reader *reader,
			     const struct identity *identity, const struct evidence_item *items,
			     size_t n, const struct evidence_options *options,
			     struct evidence_result *ret, struct err *err);

#endif /* TILLFS_EVIDENCE_H */
