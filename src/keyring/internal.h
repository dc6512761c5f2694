/*
 * internal.h - what the files of keyring share.
 *
 *	fields.c    the lines of a key file, each at its place
 *	key_file.c  key files on disk: created once, or extended
 *	identity.c, writer.c, public.c, card.c  the four kinds of files
 *	recovery.c  an identity on paper
 *	hash_key.c  what a writer derives from its seed
 *	grant.c, grant_body.c  keys sealed to one person
 *	grant_cover.c  what a grant covers, for who lists grants
 *
 * Layer 2.
 */
#ifndef KEYRING_INTERNAL_H
#define KEYRING_INTERNAL_H

#include "tillfs/keyring.h"
#include "tillfs/object.h"

#define KEY_FILE_MAX (256u * KIB)
#define PUBLIC_LEN   64u /* box public key, then signing public key */

/* ---- fields.c */

/* A line that a key file may have. */
struct field {
	const char *section, *key;
	bool many;         /* may stand there several times; then value stays NULL */
	const char *value; /* NULL until found; borrowed from the INI */
};

/* Finds the lines of @fields.  ERR_INVALID for any other line, or one given twice. */
MUST_CHECK int fields_find(const struct ini *ini, struct field *fields, size_t n, struct err *err);
/* Each: ERR_INVALID naming file and key when the value is missing or not of that form. */
MUST_CHECK int field_version(const struct ini *ini, const struct field *f, struct err *err);
MUST_CHECK int field_hex(const struct ini *ini, const struct field *f, void *ret, size_t len,
			 struct err *err);
MUST_CHECK int field_base64(const struct ini *ini, const struct field *f, void *ret, size_t len,
			    struct err *err);
MUST_CHECK int field_uint(const struct ini *ini, const struct field *f, uint64_t max, uint64_t *ret,
			  struct err *err);
/* The two lines that every key file has, checked against each other. */
MUST_CHECK int field_public(const struct ini *ini, const struct field *fingerprint,
			    const struct field *public, struct seal_box_pk *ret_box,
			    struct seal_sign_pk *ret_sign, struct fingerprint *ret,
			    struct err *err);
/* Derives the pair of a seed and checks that it is the one that @fingerprint names. */
MUST_CHECK int pair_open(const struct ini *ini, const struct seal_key *seed,
			 const struct fingerprint *fingerprint, struct seal_pair *ret,
			 struct err *err);
/* "<32 digits> <64 digits>" */
MUST_CHECK bool pin_parse(const char *text, struct trust_pin *ret);

/* Appends "key = value" lines.  A base64 line of a secret grows no buffer of secret_text. */
void line_base64(struct buf *b, const char *key, const void *p, size_t len);
void lines_public(struct buf *b, const struct seal_pair *pair);

/* ---- key_file.c */

/* A buffer in secret memory with room for @cap bytes, which must suffice: it can't grow. */
struct buf secret_text(size_t cap);
void secret_text_fini(struct buf *b);

/* @ret: secret text, replaced; secret_text_fini.  ERR_NOENT, ERR_IO, ERR_INVALID when too long. */
MUST_CHECK int key_file_read(const char *path, struct buf *ret, struct err *err);
/* Creates PATH (0600) and PATH.pub, neither of which may exist: both or none. */
MUST_CHECK int key_files_create(const char *path, struct slice text, const char *kind,
				const struct seal_pair *pair, struct err *err);

/* A key file that nobody else changes while it is held. */
struct key_file {
	int lock;
	char *path;      /* without symbolic links */
	struct buf text; /* secret text */
};
MUST_CHECK int key_file_hold(const char *path, struct key_file *ret, struct err *err);
/* Appends @more, on a line of its own.  All or nothing. */
MUST_CHECK int key_file_extend(struct key_file *f, struct slice more, struct err *err);
void key_file_fini(struct key_file *f);

/* ---- grant_body.c */

size_t grant_body_max(const struct grant *g); /* bytes that its body takes at most */
/* @b: secret text with room for grant_body_max. */
void grant_body_put(struct buf *b, const struct grant *g);
/* Return: 0 or ERR_CORRUPT. */
MUST_CHECK int grant_body_get(struct slice plain, struct grant *g, struct err *err);

/* ---- card.c */

enum card_field {
	CARD_VERSION,
	CARD_KIND,
	CARD_URL,
	CARD_REPOSITORY,
	CARD_FOUNDER,
	CARD_WRITER,
	CARD_NAME,
	CARD_ROSTER,
	CARD_CASE,
	CARD_FIELDS,
};
void card_fields(struct field ret[static CARD_FIELDS]);
MUST_CHECK int card_from_fields(const struct ini *ini, const struct field *f, struct card *ret,
				struct err *err);

#endif /* KEYRING_INTERNAL_H */
