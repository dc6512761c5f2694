/*
 * keyring.h - people's key files: identities, writers, cards, and grants of keys.
 *
 * Layer 2: uses seal, codec, cbor, config (INI), ledger.  Format: docs/format.md sections 3
 * and 8.4.
 */
#ifndef TILLFS_KEYRING_H
#define TILLFS_KEYRING_H

#include "tillfs/base.h"
#include "tillfs/config.h"
#include "tillfs/ledger.h"
#include "tillfs/seal.h"

/* Public halves, from a .pub file. */
struct public_keys {
	char kind[16]; /* "writer" or "identity" */
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	struct fingerprint fingerprint;
};

struct trust_pin {
	struct repo_id repo;
	struct fingerprint founder;
};

/* Asks for a passphrase.  @ret: secret text, replaced.  Return: 0 or a code of its own. */
typedef int passphrase_fn(void *arg, const char *file, struct buf *ret, struct err *err);

/* An unlocked identity. */
struct identity {
	struct seal_pair *pair; /* secret memory */
	struct fingerprint fingerprint;
	struct trust_pin *pins;
	size_t n_pins, cap_pins;
	char *path;
};

/**
 * identity_create - draw a seed and write an identity file (mode 0600) and, beside it, PATH.pub.
 * @passphrase: an empty slice stores the seed in clear
 * Return: 0, ERR_EXISTS when either file exists, ERR_IO.
 */
MUST_CHECK int identity_create(const char *path, struct slice passphrase, struct fingerprint *ret,
			       struct err *err);
/**
 * identity_open - read and unlock.
 * @ask: called when the file is protected
 * Return: 0, ERR_NOENT, ERR_INVALID for what is no identity, ERR_AUTH for a wrong passphrase.
 * Cost: Argon2's memory and time when protected.
 */
MUST_CHECK int identity_open(const char *path, passphrase_fn *ask, void *arg, struct identity **ret,
			     struct err *err);
/* The same from text; what fuzzing feeds.  @path: for messages. */
MUST_CHECK int identity_parse(struct slice text, const char *path, passphrase_fn *ask, void *arg,
			      struct identity **ret, struct err *err);
void identity_free(struct identity *id);
DEFINE_FREEP(struct identity *, identity_free)
/* The founder trusted for a repository, or NULL. */
const struct fingerprint *identity_pin(const struct identity *id, const struct repo_id *repo);
/* Adds a pin to the file.  Return: 0, ERR_EXISTS when another founder is pinned, ERR_IO. */
MUST_CHECK int identity_add_pin(struct identity *id, const struct trust_pin *pin, struct err *err);

/* ---- recovery sheets: an identity on paper (format.md section 3.1) */

struct recovery {
	struct seal_key *seed; /* secret memory */
	struct trust_pin *pins;
	size_t n_pins;
};
/**
 * identity_recovery - unlock an identity for printing its sheet.
 * Return: as identity_open.
 */
MUST_CHECK int identity_recovery(const char *path, passphrase_fn *ask, void *arg,
				 struct recovery *ret, struct fingerprint *ret_self,
				 struct err *err);
/* Appends the page, the secret in clear.  @ret: reserve RECOVERY_PAGE_MAX, and wipe it. */
#define RECOVERY_PAGE_MAX (16u * KIB)
void recovery_format(const struct recovery *r, const struct fingerprint *self, struct buf *ret);
/**
 * recovery_parse - what somebody typed from a sheet; other text in it is passed over.
 * Return: 0, or ERR_INVALID with the lines that have typing errors, and where in them.
 */
MUST_CHECK int recovery_parse(struct slice text, const char *origin, struct recovery *ret,
			      struct err *err);
void recovery_fini(struct recovery *r);
/* As identity_create, of a seed and pins that there were. */
MUST_CHECK int identity_recover(const struct recovery *r, const char *path, struct slice passphrase,
				struct fingerprint *ret, struct err *err);

/* Return: 0, ERR_NOENT, ERR_INVALID for what is no .pub file, ERR_UNSUPPORTED. */
MUST_CHECK int public_keys_read(const char *path, struct public_keys *ret, struct err *err);
/* The same from text.  @origin: for messages. */
MUST_CHECK int public_keys_parse(struct slice text, const char *origin, struct public_keys *ret,
				 struct err *err);

/* What an admin hands to a writer or a grantee; all of it but the roster box is public. */
struct card {
	char kind[16]; /* "writer" or "grant" */
	char *url;     /* may be NULL */
	struct trust_pin pin;
	struct writer_id writer;
	char name[WRITER_NAME_MAX + 1];
	struct buf roster_box;
	char *case_ref; /* grant; may be NULL */
};
void card_format(const struct card *card, struct buf *ret); /* INI text with a comment */
MUST_CHECK int card_parse(struct slice text, const char *origin, struct card *ret, struct err *err);
void card_fini(struct card *card);

/* A writer's file. */
struct writer_file {
	struct seal_pair *pair; /* secret memory */
	struct seal_key *seed;  /* secret memory */
	struct fingerprint fingerprint;
	bool enrolled;
	struct card card;        /* when enrolled */
	struct seal_key *roster; /* secret memory; when enrolled */
	char *path;
};
/* Writes PATH (0600) and PATH.pub.  Return: 0, ERR_EXISTS, ERR_IO. */
MUST_CHECK int writer_create(const char *path, struct err *err);
/* Return: 0, ERR_NOENT, ERR_INVALID, ERR_AUTH when the card was made for another writer. */
MUST_CHECK int writer_open(const char *path, struct writer_file **ret, struct err *err);
MUST_CHECK int writer_parse(struct slice text, const char *path, struct writer_file **ret,
			    struct err *err);
/* Adds a card to the file.  Return: 0, ERR_EXISTS when it has one, ERR_AUTH for another writer's.
 */
MUST_CHECK int writer_import(const char *path, const struct card *card, struct err *err);
void writer_free(struct writer_file *w);
DEFINE_FREEP(struct writer_file *, writer_free)
/* KDF(seed, "tillfs chunk sec", repository id) and the hash key of a class (format.md section 1).
 */
void writer_hash_key(const struct writer_file *w, const char *class_name,
		     const struct recipient *auditors, size_t n_auditors, struct seal_key *ret);

/* Writer names: [A-Za-z0-9_-]{1,64}. */
MUST_CHECK bool writer_name_valid(const char *name);

/* ---- grants and reseals: keys sealed to one person (format.md section 8.4) */

struct granted_part {
	struct snapshot_id snapshot;
	uint32_t ordinal; /* 0 the admin part, n the n-th class part */
	struct seal_key key;
};
struct granted_section {
	struct pack_id pack;
	uint32_t ordinal;
	struct seal_key key;
};

/* Decoded; secret arrays are wiped by grant_free. */
struct grant {
	bool reseal;
	struct repo_id repo;
	struct fingerprint author, grantee;
	int64_t time;
	bool has_expiry;
	int64_t expiry;
	char *case_ref;
	struct buf cover; /* roster message: what it covers, for who lists grants; may be empty */
	struct seal_key roster;
	struct granted_part *parts;
	size_t n_parts;
	struct granted_section *sections;
	size_t n_sections;
};
#define GRANT_OBJECT_MAX (64u * MIB)
/* @ret: the stored object, whose id is H of it. */
void grant_encode(const struct grant *g, const struct seal_box_pk *grantee,
		  const struct seal_pair *author, struct codec *codec, struct buf *ret);
/**
 * grant_open - parse, verify and open a grant for @pair.
 * @admins: the state in which its author must be or have been an admin
 * Return: 0, ERR_CORRUPT, ERR_AUTH (author, signature), ERR_DENIED (sealed to somebody else).
 */
MUST_CHECK int grant_open(struct slice object, bool reseal, const struct ledger_state *admins,
			  const struct seal_pair *pair, struct codec *codec, struct grant **ret,
			  struct err *err);
/* The same without the keys: what anybody can verify. */
MUST_CHECK int grant_read(struct slice object, bool reseal, const struct ledger_state *admins,
			  struct grant **ret, struct err *err);
void grant_free(struct grant *g);
DEFINE_FREEP(struct grant *, grant_free)

/* What a grant covers, as its author said it. */
struct grant_cover {
	char *case_ref;
	char **classes; /* none: all */
	size_t n_classes;
	struct writer_id *writers; /* none: all */
	size_t n_writers;
	bool has_from, has_until;
	struct date from, until; /* business dates, both included */
	uint64_t snapshots;      /* how many it opens */
};
#define GRANT_CASE_MAX 1024u /* bytes of a case reference */
/* Return: 0, or ERR_INVALID when it is too much for one roster message. */
MUST_CHECK int grant_cover_seal(const struct grant_cover *c, const struct seal_key *roster,
				struct buf *ret, struct err *err);
/* Return: 0, ERR_NOENT when the grant says nothing of it, ERR_AUTH, ERR_CORRUPT. */
MUST_CHECK int grant_cover_open(const struct grant *g, const struct seal_key *roster,
				struct grant_cover *ret, struct err *err);
void grant_cover_fini(struct grant_cover *c);

#endif /* TILLFS_KEYRING_H */
