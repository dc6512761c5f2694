/*
 * fixture_ledger.h - what the tests of the ledger share: a repository that was just founded, and
 * decisions about it.
 */
#ifndef FIXTURE_LEDGER_H
#define FIXTURE_LEDGER_H

#include "fixture_trust.h"

#include "tillfs/ledger.h"

#define SEALED_LEN 48u /* any roster message: nonce, 16 bytes, tag */

/* ---- fixture: a repository that was just founded, and people who may write to it */

struct fixture {
	struct seal_pair *admin, *writer, *auditor, *other;
	struct fingerprint admin_f, auditor_f, other_f;
	struct seal_key roster;
	struct repo_config config;
	struct ledger_state state;
	uint8_t sealed[SEALED_LEN], box[KEY_BOX_LEN];
};

static UNUSED struct fixture *
fixture_new(void)
{
	struct fixture *fx = mem_alloc(sizeof *fx);
	struct err err = ERR_INIT;

	fx->admin = pair_of(ADMIN_SEED);
	fx->writer = pair_of(WRITER_SEED);
	fx->auditor = pair_of(AUDITOR_SEED);
	fx->other = pair_of(OTHER_SEED);
	fx->admin_f = fingerprint_of(fx->admin);
	fx->auditor_f = fingerprint_of(fx->auditor);
	fx->other_f = fingerprint_of(fx->other);
	fx->roster = key_of_byte(0x44);
	CHECK_OK(config_object_parse(VECTOR(CONFIG), &fx->admin_f, &fx->config, &err), &err);
	ledger_state_init(&fx->state, &fx->config);
	return fx;
}

static void
fixture_free(struct fixture *fx)
{
	ledger_state_fini(&fx->state);
	repo_config_fini(&fx->config);
	secret_free(fx->admin);
	secret_free(fx->writer);
	secret_free(fx->auditor);
	secret_free(fx->other);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

/* The entry that follows @s, encoded by @author and parsed again. */
static UNUSED struct ledger_entry *
entry_after(const struct ledger_state *s, const struct seal_pair *author, int64_t time,
	    struct decision *decisions, size_t n)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct ledger_entry in = {.repo = s->repo,
				  .seq = s->head.seq + 1,
				  .prev = s->head.id,
				  .time = time,
				  .author = fingerprint_of(author),
				  .decisions = decisions,
				  .n_decisions = n};
	struct ledger_entry *e = NULL;
	struct err err = ERR_INIT;
	struct hash id;

	ledger_entry_encode(&in, author, &object, &id);
	CHECK_OK(ledger_entry_parse(&object, &e, &err), &err);
	assert_true(hash_equal(&e->id, &id));
	return e;
}

static UNUSED int
decide_as(struct fixture *fx, const struct seal_pair *author, struct decision *decisions, size_t n,
	  struct err *err)
{
	CLEANUP(ledger_entry_freep)
	struct ledger_entry *e = entry_after(&fx->state, author, 1000, decisions, n);

	return ledger_apply(&fx->state, e, err);
}

static UNUSED void
decide(struct fixture *fx, struct decision d)
{
	struct err err = ERR_INIT;

	CHECK_OK(decide_as(fx, fx->admin, &d, 1, &err), &err);
}

/* ---- decisions */

static UNUSED struct decision
enrol(const struct fixture *fx, struct writer_id id, const struct seal_pair *keys)
{
	return (struct decision){.type = DECISION_ENROL_WRITER,
				 .writer = id,
				 .box_pk = keys->box_pk,
				 .sign_pk = keys->sign_pk,
				 .sealed = slice_of(fx->sealed, sizeof fx->sealed)};
}

static UNUSED struct decision
rotate(struct writer_id id, const struct seal_pair *keys, uint64_t from)
{
	return (struct decision){.type = DECISION_ROTATE_WRITER,
				 .writer = id,
				 .box_pk = keys->box_pk,
				 .sign_pk = keys->sign_pk,
				 .seq = from};
}

static UNUSED struct decision
revoke(struct writer_id id, uint64_t last)
{
	return (struct decision){.type = DECISION_REVOKE_WRITER,
				 .writer = id,
				 .seq = last,
				 .has_id = last > 0,
				 .id = hash_of_byte(0x70)};
}

static UNUSED struct decision
add_admin(const struct fixture *fx, const struct seal_pair *keys)
{
	return (struct decision){.type = DECISION_ADD_ADMIN,
				 .box_pk = keys->box_pk,
				 .sign_pk = keys->sign_pk,
				 .sealed = slice_of(fx->sealed, sizeof fx->sealed),
				 .roster_box = slice_of(fx->box, sizeof fx->box)};
}

static UNUSED struct decision
remove_admin(struct fingerprint who)
{
	return (struct decision){.type = DECISION_REMOVE_ADMIN, .person = who};
}

static UNUSED struct decision
standing_grant(const struct fixture *fx, uint8_t id, const struct seal_pair *who,
	       const struct buf *sealed)
{
	struct decision d = {.type = DECISION_STANDING_GRANT,
			     .box_pk = who->box_pk,
			     .sign_pk = who->sign_pk,
			     .sealed = sealed != NULL ? buf_slice(sealed)
						      : slice_of(fx->sealed, sizeof fx->sealed),
			     .roster_box = slice_of(fx->box, sizeof fx->box)};

	memset(d.grant_id, id, sizeof d.grant_id);
	return d;
}

static UNUSED struct decision
by_id(const struct fixture *fx, enum decision_type type, uint8_t id)
{
	struct decision d = {.type = type, .sealed = slice_of(fx->sealed, sizeof fx->sealed)};

	memset(d.grant_id, id, sizeof d.grant_id);
	return d;
}

static UNUSED struct decision
about(enum decision_type type, struct writer_id id, const void *hashes, size_t n)
{
	return (struct decision){.type = type, .writer = id, .hashes = slice_of(hashes, n * 32)};
}

#endif /* FIXTURE_LEDGER_H */
