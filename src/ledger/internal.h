/*
 * internal.h - what the files of ledger share.
 *
 *	config_object.c  the repository's config
 *	roster.c         human names and case references, sealed under the roster key
 *	terms.c          what standing grants and holds cover: plaintexts of roster messages
 *	decision.c       one decision of an entry
 *	entry.c          entries and their keys
 *	hash_set.c       sorted sets of hashes
 *	apply.c          an entry changes the state
 *	state.c          asking the state
 *	state_encode.c   the state as bytes
 *	recipients.c     whom to seal to
 *
 * Layer 2.
 */
#ifndef LEDGER_INTERNAL_H
#define LEDGER_INTERNAL_H

#include "tillfs/ledger.h"
#include "tillfs/object.h"

extern const struct object_kind ledger_kind;

/* What a roster message is longer than its plaintext. */
#define ROSTER_NONCE_LEN  16u
#define ROSTER_OVERHEAD   (ROSTER_NONCE_LEN + SEAL_TAG_LEN)
#define ROSTER_SEALED_MAX (ROSTER_MAX + ROSTER_OVERHEAD)

/* ---- decision.c */

void decision_put(struct buf *b, const struct decision *d);
void decision_get(struct cbor_rd *rd, struct decision *ret);

/* ---- hash_set.c: @set has @n hashes, ascending, none twice; both are replaced */

/* @at: NULL, or the set's parallel array, which gets @now for what is new. */
void hash_set_add(struct hash **set, size_t *n, struct slice hashes, int64_t **at, int64_t now);
void hash_set_remove(struct hash *set, size_t *n, struct slice hashes, int64_t *at);
bool hash_set_has(const struct hash *set, size_t n, const struct hash *h);

/* ---- state.c */

/* Records that the decision in hand may change. */
struct ledger_admin *find_admin(const struct ledger_state *s, const struct fingerprint *f);
struct ledger_writer *find_writer(const struct ledger_state *s, const struct writer_id *id);
struct ledger_grant *find_grant(const struct ledger_state *s, const uint8_t *id);
struct ledger_hold *find_hold(const struct ledger_state *s, const uint8_t *id);
size_t count_admins(const struct ledger_state *s);

void admin_fini(struct ledger_admin *a);
void writer_fini(struct ledger_writer *w);
void grant_fini(struct ledger_grant *g);
void hold_fini(struct ledger_hold *h);

#endif /* LEDGER_INTERNAL_H */
