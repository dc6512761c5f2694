/*
 * internal.h - what the files of this module share.
 */
#ifndef TILLFS_CONFIG_INTERNAL_H
#define TILLFS_CONFIG_INTERNAL_H

#include "tillfs/config.h"

/* Everything at its default; released by config_fini. */
void config_init(struct config *c);

/*
 * Lays a file's entries over what @c has: a setting replaces the one before, the excludes and the
 * classes each replace the whole list before, since order decides among patterns.  On failure @c is
 * good for config_fini only.
 */
MUST_CHECK int config_apply(const struct ini *ini, struct config *c, struct err *err);

/* An entry of [store].  Return: 0, ERR_INVALID. */
MUST_CHECK int config_take_credential(const struct ini *ini, const struct ini_entry *e,
				      struct config *c, struct err *err);
void config_forget_credentials(struct config *c);

/* "<origin>:<line>: <key> = <value>: <why>" */
int config_bad_entry(const struct ini *ini, const struct ini_entry *e, const char *why,
		     struct err *err);
/* Whole seconds, at most a day of them. */
bool config_parse_seconds(const char *text, unsigned *ret);

/* made.c: [capture NAME] and [extract NAME] */
bool made_is_section(const char *section);
MUST_CHECK int made_take(const struct ini *ini, const struct ini_entry *e, struct config *c,
			 struct err *err);
/* Once a file is read: what is missing in it, what contradicts itself. */
MUST_CHECK int made_check(const struct ini *ini, struct config *c, struct err *err);
void made_clear(struct config *c);

#endif /* TILLFS_CONFIG_INTERNAL_H */
