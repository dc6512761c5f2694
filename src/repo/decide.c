/*
 * decide.c - append an entry to the ledger.
 *
 * The entry is tried on a state read afresh from the store before it is stored, so that nothing is
 * written that readers would refuse.  Two admins can decide at once, since keys hold the entry's id
 * and so don't collide: the store is asked for entries of that sequence before and after.
 *
 * Layer 3.  Format: docs/format.md section 7.
 */
#include "internal.h"

#include <inttypes.h>

static int
check_author(struct repo *r, struct err *err)
{
	if (r->identity == NULL)
		return err_set(err, ERR_DENIED,
			       "a writer can't decide anything: this needs an admin");
	if (!ledger_is_admin(&r->ledger.state, &r->self))
		return err_set(err, ERR_DENIED,
			       "%s: this identity is no admin of the repository (any more)",
			       repo_self_path(r));
	return 0;
}

/* Reads the ledger afresh; it must be whole and as the caller knew it. */
static int
load_whole(struct repo *r, struct ledger_keys *keys, struct ledger_view *view, struct err *err)
{
	const struct chain_head *known = &r->ledger.state.head;
	int k;

	k = ledger_list(r, keys, err);
	if (k < 0)
		return k;
	k = ledger_load(r, keys, view, err);
	if (k < 0)
		return k;
	k = pins_check_ledger(r, keys, view, err);
	if (k < 0)
		return err_add(err, k, "nothing can be decided now");
	if (view->broken != NULL)
		return err_set(err, ERR_CORRUPT, "nothing can be decided now: %s", view->broken);
	if (view->forked_at != 0)
		return err_set(err, ERR_CORRUPT,
			       "nothing can be decided now: the ledger is forked at entry %" PRIu64,
			       view->forked_at);
	if (view->state.head.seq != known->seq || !hash_equal(&view->state.head.id, &known->id))
		return err_set(
			err, ERR_BUSY,
			"another admin decided something meanwhile: look at it and try again");
	return 0;
}

static void
encode(struct repo *r, const struct decision *decisions, size_t n, struct buf *ret,
       struct hash *ret_id)
{
	const struct chain_head *head = &r->ledger.state.head;
	struct ledger_entry e = {
		.repo = r->config.repo,
		.seq = head->seq + 1,
		.prev = head->id,
		.time = time_now(),
		.author = r->self,
		.decisions = (struct decision *)decisions, /* only read */
		.n_decisions = n,
	};

	ledger_entry_encode(&e, r->pair, ret, ret_id);
}

/* Applies the entry to @view as every reader will. */
static int
rehearse(const struct buf *object, struct ledger_view *view, struct err *err)
{
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	CLEANUP(buf_fini) struct buf copy = BUF_INIT;
	int k;

	if (object->len > LEDGER_OBJECT_MAX)
		return err_set(err, ERR_INVALID,
			       "that is too much for one ledger entry: %zu bytes, at most %u",
			       object->len, LEDGER_OBJECT_MAX);
	buf_append(&copy, object->p, object->len);
	k = ledger_entry_parse(&copy, &e, err);
	if (k < 0)
		return k;
	return ledger_view_apply(view, e, err);
}

/*
 * An entry of sequence @seq that nobody knew of when the ledger was read, other than @own.
 * Those known are on branches that a merge settled.
 * Return: 0 when there is none, 1, or what listing gives.
 */
static int
find_rival(struct repo *r, uint64_t seq, const struct hash *own, const struct ledger_keys *known,
	   struct hash *ret, struct err *err)
{
	CLEANUP(ledger_keys_fini) struct ledger_keys keys = {0};
	int k = ledger_list_seq(r, seq, &keys, err);

	if (k < 0)
		return k;
	for (size_t i = 0; i < keys.n; i++)
		if (!hash_equal(&keys.v[i].id, own) &&
		    !ledger_keys_have(known, seq, &keys.v[i].id)) {
			*ret = keys.v[i].id;
			return 1;
		}
	return 0;
}

static int
store_entry(struct repo *r, uint64_t seq, const struct buf *object, const struct hash *id,
	    const struct ledger_keys *known, struct err *err)
{
	struct hash rival;
	int k = find_rival(r, seq, id, known, &rival, err);

	if (k < 0)
		return k;
	if (k == 0) {
		k = store_create(r->store, ledger_key_format(seq, id).s, buf_slice(object), err);
		if (k != ERR_EXISTS)
			return k < 0 ? err_add(err, k, "storing ledger entry %" PRIu64, seq) : 0;
	}
	return err_set(
		err, ERR_BUSY,
		"another admin decided something at the same moment: look at it and try again");
}

static int
check_alone(struct repo *r, uint64_t seq, const struct hash *id, const struct ledger_keys *known,
	    struct err *err)
{
	struct hash rival;
	int k = find_rival(r, seq, id, known, &rival, NULL);

	if (k == 0)
		return 0;
	if (k < 0) {
		/* The entry stands; whether it is alone shows at the next refresh. */
		finding_add(
			r, k,
			"Whether another admin decided at the same moment could not be checked: "
			"the storage gave no listing of the ledger.");
		return 0;
	}
	finding_add(r, ERR_CORRUPT,
		    "The ledger is forked: entry %" PRIu64 " was decided twice (%s and %s).", seq,
		    hex_short(id).s, hex_short(&rival).s);
	return err_set(err, ERR_CORRUPT,
		       "another admin decided at the same moment: entry %" PRIu64
		       " of the ledger now exists twice (%s is yours, %s the other's), and neither "
		       "counts until an admin merges them",
		       seq, hex_short(id).s, hex_short(&rival).s);
}

static int
decide(struct repo *r, const struct decision *decisions, size_t n, struct err *err)
{
	CLEANUP(ledger_keys_fini) struct ledger_keys keys = {0};
	CLEANUP(ledger_view_fini) struct ledger_view view = {0};
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct hash id;
	uint64_t seq;
	int k;

	k = check_author(r, err);
	if (k < 0)
		return k;
	k = load_whole(r, &keys, &view, err);
	if (k < 0)
		return k;
	encode(r, decisions, n, &object, &id);
	k = rehearse(&object, &view, err);
	if (k < 0)
		return err_add(err, k, "nothing was decided");
	seq = view.state.head.seq;
	k = store_entry(r, seq, &object, &id, &keys, err);
	if (k < 0)
		return k;
	k = check_alone(r, seq, &id, &keys, err);
	if (k < 0)
		return k;

	ledger_keys_add(&keys, seq, &id);
	ledger_keys_fini(&r->ledger_keys);
	r->ledger_keys = keys;
	keys = (struct ledger_keys){0};
	repo_publish_ledger(r, &view);
	pins_update(r);
	return 0;
}

int
repo_decide(struct repo *r, const struct decision *decisions, size_t n, struct err *err)
{
	int k;

	if (n == 0 || n > LEDGER_DECISIONS_MAX)
		return err_set(err, ERR_INVALID, "an entry holds 1 to %u decisions, not %zu",
			       LEDGER_DECISIONS_MAX, n);
	pthread_mutex_lock(&r->refreshing);
	k = decide(r, decisions, n, err);
	pthread_mutex_unlock(&r->refreshing);
	return k;
}
