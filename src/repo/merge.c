/*
 * merge.c - settle a forked ledger: one branch is kept, an entry behind it names the heads of the
 * others, and repeats what was decided there as far as it still makes sense.
 *
 * Layer 3.  Format: docs/format.md section 7.2.
 */
#include "merge.h"

#include <inttypes.h>

/* ---- which branch stays ------------------------------------------------------------------- */

static bool
is_head(const struct merging *m, size_t at)
{
	for (size_t i = 0; i < m->branches.n; i++)
		if (hash_equal(&m->branches.v[i]->prev, &m->branches.v[at]->id))
			return false;
	return true;
}

/* The path from the fork to a head, in order.  Return: its length. */
static size_t
path_to(const struct merging *m, size_t head, size_t *ret)
{
	size_t n = 0, at = head;

	for (;;) {
		size_t up = 0;

		ret[n++] = at;
		while (up < m->branches.n &&
		       !hash_equal(&m->branches.v[up]->id, &m->branches.v[at]->prev))
			up++;
		if (up == m->branches.n)
			break;
		at = up;
	}
	for (size_t i = 0; i < n / 2; i++) {
		size_t t = ret[i];

		ret[i] = ret[n - 1 - i];
		ret[n - 1 - i] = t;
	}
	return n;
}

/* A view in which the kept path and then, perhaps, a merge counts. */
static int
replay(const struct merging *m, const size_t *path, size_t n, struct ledger_view *ret,
       struct err *err)
{
	int k = 0;

	ledger_view_init(ret, &m->r->config);
	for (size_t i = 0; k == 0 && i < m->chain.n; i++)
		k = ledger_view_apply(ret, m->chain.v[i], err);
	for (size_t i = 0; k == 0 && i < n; i++)
		k = ledger_view_apply(ret, m->branches.v[path[i]], err);
	return k;
}

static bool
is_valid(const struct merging *m, const size_t *path, size_t n)
{
	CLEANUP(ledger_view_fini) struct ledger_view view = {0};

	return replay(m, path, n, &view, NULL) == 0;
}

/* Whether somebody wrote it whom a branch removes: that may be why there is a fork. */
static bool
is_tainted(const struct merging *m, const struct ledger_entry *e)
{
	for (size_t i = 0; i < m->branches.n; i++)
		for (size_t k = 0; k < m->branches.v[i]->n_decisions; k++) {
			const struct decision *d = &m->branches.v[i]->decisions[k];

			if (d->type == DECISION_REMOVE_ADMIN &&
			    hash_equal(&d->person.h, &e->author.h))
				return true;
		}
	return false;
}

static bool
is_clean(const struct merging *m, const size_t *path, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_tainted(m, m->branches.v[path[i]]))
			return false;
	return true;
}

/* The longest valid branch by admins whom none removes stays, or the one whose head's id starts
 * with @keep. */
static int
choose(struct merging *m, const char *keep, struct err *err)
{
	CLEANUP(freep) size_t *path = mem_array(m->branches.n + 1, sizeof *path);

	m->kept = mem_array(m->branches.n + 1, sizeof *m->kept);
	for (size_t i = 0; i < m->branches.n; i++) {
		const struct hash *id = &m->branches.v[i]->id;
		size_t n;

		if (!is_head(m, i) || (keep != NULL && strncmp(hex(id).s, keep, strlen(keep)) != 0))
			continue;
		n = path_to(m, i, path);
		if (n <= m->n_kept || (keep == NULL && !is_clean(m, path, n)) ||
		    !is_valid(m, path, n))
			continue;
		memcpy(m->kept, path, n * sizeof *path);
		m->n_kept = n;
	}
	if (m->n_kept == 0 && keep == NULL)
		return err_set(
			err, ERR_NOENT,
			"on every branch somebody decided whom a branch removes: say which to "
			"keep (tillfs trust merge --keep ID)");
	if (m->n_kept == 0)
		return err_set(err, ERR_NOENT,
			       "no branch of the ledger with the head %s can be kept", keep);
	for (size_t i = 0; i < m->branches.n; i++) {
		if (!is_head(m, i) || i == m->kept[m->n_kept - 1])
			continue;
		array_reserve(m->heads, m->n_heads, m->cap_heads);
		m->heads[m->n_heads++] = m->branches.v[i]->id;
	}
	return m->n_heads > 0 ? 0 : err_set(err, ERR_NOENT, "the ledger isn't forked");
}

/* ---- the entry ---------------------------------------------------------------------------- */

static void
encode(const struct merging *m, struct buf *ret, struct hash *ret_id)
{
	const struct ledger_entry *last = m->branches.v[m->kept[m->n_kept - 1]];
	struct ledger_entry e = {.repo = m->r->config.repo,
				 .seq = last->seq + 1,
				 .prev = last->id,
				 .time = time_now(),
				 .author = m->r->self,
				 .decisions = m->decisions,
				 .n_decisions = m->n_decisions};

	ledger_entry_encode(&e, m->r->pair, ret, ret_id);
}

/* Whether the entry as it is so far makes sense behind the kept branch. */
static int
rehearse(const struct merging *m, struct err *err)
{
	CLEANUP(ledger_view_fini) struct ledger_view view = {0};
	CLEANUP(ledger_entry_freep) struct ledger_entry *e = NULL;
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct hash id;
	int k = replay(m, m->kept, m->n_kept, &view, err);

	if (k < 0)
		return k;
	encode(m, &object, &id);
	if (object.len > LEDGER_OBJECT_MAX)
		return err_set(err, ERR_INVALID, "that is too much for one ledger entry");
	k = ledger_entry_parse(&object, &e, err);
	return k == 0 ? ledger_view_apply(&view, e, err) : k;
}

static void
add_decision(struct merging *m, const struct decision *d)
{
	array_reserve(m->decisions, m->n_decisions, m->cap_decisions);
	m->decisions[m->n_decisions++] = *d;
}

static bool
is_kept(const struct merging *m, size_t at)
{
	for (size_t i = 0; i < m->n_kept; i++)
		if (m->kept[i] == at)
			return true;
	return false;
}

/* Decides something again, if it makes sense and comes from somebody who is above suspicion. */
static bool
try_decision(struct merging *m, const struct ledger_entry *e, const struct decision *d)
{
	if (m->n_decisions >= LEDGER_DECISIONS_MAX || is_tainted(m, e))
		return false;
	add_decision(m, d);
	if (rehearse(m, NULL) == 0)
		return true;
	m->n_decisions--;
	return false;
}

/* Repeats what was decided on the other branches. */
static void
repeat(struct merging *m, struct repo_merge *ret)
{
	for (size_t i = 0; i < m->branches.n; i++)
		for (size_t k = 0; !is_kept(m, i) && k < m->branches.v[i]->n_decisions; k++) {
			const struct decision *d = &m->branches.v[i]->decisions[k];

			if (d->type == DECISION_MERGE || d->type == DECISION_SUMMARY)
				continue;
			if (try_decision(m, m->branches.v[i], d))
				ret->repeated++;
			else
				ret->dropped++;
		}
}

/* A merge by somebody whom another branch removes wouldn't count. */
static int
check_author(const struct merging *m, struct err *err)
{
	for (size_t i = 0; i < m->branches.n; i++)
		for (size_t k = 0; k < m->branches.v[i]->n_decisions; k++) {
			const struct decision *d = &m->branches.v[i]->decisions[k];

			if (d->type == DECISION_REMOVE_ADMIN && !is_kept(m, i) &&
			    hash_equal(&d->person.h, &m->r->self.h))
				return err_set(
					err, ERR_DENIED,
					"another branch removes you as an admin: another admin "
					"must merge");
		}
	return 0;
}

static int
store_merge(struct merging *m, struct repo_merge *ret, struct err *err)
{
	CLEANUP(ledger_view_fini) struct ledger_view view = {0};
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	uint64_t seq = m->branches.v[m->kept[m->n_kept - 1]]->seq + 1;
	struct hash id;
	int k = rehearse(m, err);

	if (k < 0)
		return k;
	encode(m, &object, &id);
	k = store_create(m->r->store, ledger_key_format(seq, &id).s, buf_slice(&object), err);
	if (k < 0)
		return err_add(err, k, "storing the merge");
	/* As every reader will see it. */
	k = ledger_list(m->r, &m->keys, err);
	if (k == 0)
		k = ledger_load(m->r, &m->keys, &view, err);
	if (k < 0)
		return k;
	if (view.forked_at != 0)
		return err_set(err, ERR_BUSY,
			       "the ledger is still forked at entry %" PRIu64
			       ": another admin decided meanwhile; merge again",
			       view.forked_at);
	ret->kept = m->branches.v[m->kept[m->n_kept - 1]]->id;
	ret->heads = m->n_heads;
	ledger_keys_fini(&m->r->ledger_keys);
	m->r->ledger_keys = m->keys;
	m->keys = (struct ledger_keys){0};
	repo_publish_ledger(m->r, &view);
	pins_update(m->r);
	return 0;
}

static int
merge(struct merging *m, const char *keep, struct repo_merge *ret, struct err *err)
{
	struct decision d = {.type = DECISION_MERGE};
	int k;

	if (!access_shows_all(m->r) || m->r->identity == NULL)
		return err_set(err, ERR_DENIED, "only an admin can merge");
	if (m->r->ledger.forked_at == 0)
		return err_set(err, ERR_NOENT,
			       "the ledger isn't forked: there is nothing to merge");
	k = merging_read(m, err);
	if (k == 0)
		k = choose(m, keep, err);
	if (k == 0)
		k = check_author(m, err);
	if (k < 0)
		return k;
	d.hashes = slice_of(m->heads, m->n_heads * sizeof *m->heads);
	add_decision(m, &d);
	repeat(m, ret);
	return store_merge(m, ret, err);
}

int
repo_merge_fork(struct repo *r, const char *keep, struct repo_merge *ret, struct err *err)
{
	CLEANUP(merging_fini) struct merging m = {.r = r};
	int k;

	*ret = (struct repo_merge){0};
	pthread_mutex_lock(&r->refreshing);
	k = merge(&m, keep, ret, err);
	pthread_mutex_unlock(&r->refreshing);
	return k;
}
