/*
 * people.h - what the commands about admins, writers, grants and trust share.
 *
 * Layer 6.
 */
#ifndef CLI_PEOPLE_H
#define CLI_PEOPLE_H

#include "internal.h"
#include "tillfs/roles.h"

/* Says on standard error what can't be handed over. */
void people_told(void *arg, const char *sentence);
/* Writes a card to --out, or prints it. */
MUST_CHECK int people_give_card(const struct cli *c, const struct card *card, struct err *err);
/* "by NAME" and when; nothing for entry 0. */
void people_append_deed(struct buf *b, struct repo *r, const struct roles_deed *deed);
/* "\"KEY\": {…}" or null. */
void people_append_deed_json(struct buf *b, struct repo *r, const char *key,
			     const struct roles_deed *deed);
void people_append_grant(struct buf *b, struct repo *r, const struct roles_grant *g);
void people_append_grant_json(struct buf *b, struct repo *r, const struct roles_grant *g);

#endif /* CLI_PEOPLE_H */
