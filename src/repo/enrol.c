/*
 * enrol.c - enrol a writer, or give it new keys: keys and name into the ledger, a card for it in
 * return.
 *
 * Layer 3.  Format: docs/format.md sections 3 and 7.
 */
#include "internal.h"

static bool
has_key(const struct ledger_writer *w, const struct public_keys *keys)
{
	for (size_t i = 0; i < w->n_keys; i++)
		if (memcmp(&w->keys[i].box_pk, &keys->box_pk, sizeof keys->box_pk) == 0 ||
		    memcmp(&w->keys[i].sign_pk, &keys->sign_pk, sizeof keys->sign_pk) == 0)
			return true;
	return false;
}

/*
 * Names and keys are used once ever: a revoked writer's snapshots keep its name.  Only one of which
 * nothing at all counts gives its name back.
 */
static int
check_unused(struct repo *r, const char *name, const struct public_keys *keys, struct err *err)
{
	const struct ledger_state *s = &r->ledger.state;

	for (size_t i = 0; i < s->n_writers; i++) {
		const struct ledger_writer *w = &s->writers[i];
		const char *other = repo_writer_name(r, &w->id);

		bool counts = !w->revoked || w->last_seq > 0;

		if (counts && strcmp(other, name) == 0)
			return err_set(err, ERR_EXISTS, "a writer named %s was enrolled already%s",
				       name, w->revoked ? " (and revoked later)" : "");
		if (has_key(w, keys))
			return err_set(err, ERR_EXISTS,
				       "this key was enrolled already, as the writer %s", other);
	}
	return 0;
}

static void
make_card(struct repo *r, const char *name, const struct public_keys *keys,
	  const struct writer_id *id, struct card *ret)
{
	*ret = (struct card){
		.kind = "writer",
		.url = str_copy(store_url(r->store)),
		.pin = {r->config.repo, r->config.founder},
		.writer = *id,
	};
	memcpy(ret->name, name, strlen(name)); /* writer_name_valid bounds it; zeros behind */
	seal_box(&keys->box_pk, slice_of(r->roster, sizeof *r->roster), &ret->roster_box);
}

int
repo_enrol_writer(struct repo *r, const char *name, const struct public_keys *keys,
		  struct card *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf name_sealed = BUF_INIT;
	struct decision d = {
		.type = DECISION_ENROL_WRITER,
		.box_pk = keys->box_pk,
		.sign_pk = keys->sign_pk,
	};
	int k;

	*ret = (struct card){0};
	if (!writer_name_valid(name))
		return err_set(err, ERR_INVALID,
			       "%s is no name for a writer: 1 to %u letters, digits, _ and -",
			       safe(name).s, WRITER_NAME_MAX);
	if (strcmp(keys->kind, "writer") != 0)
		return err_set(err, ERR_INVALID,
			       "that is the public key of an identity; `tillfs writer new` makes a "
			       "writer's");
	pthread_mutex_lock(&r->refreshing);
	k = check_unused(r, name, keys, err);
	pthread_mutex_unlock(&r->refreshing);
	if (k < 0)
		return k;

	seal_random(&d.writer, sizeof d.writer);
	roster_seal(r->roster, slice_str(name), &name_sealed);
	d.sealed = buf_slice(&name_sealed);
	/* If somebody enrolled the same meanwhile, the ledger has moved on and this is refused. */
	k = repo_decide(r, &d, 1, err);
	if (k < 0)
		return err_add(err, k, "enrolling %s", name);
	make_card(r, name, keys, &d.writer, ret);
	return 0;
}

/* ---- new keys under an old name ----------------------------------------------------------- */

static const struct ledger_writer *
find_enrolled(struct repo *r, const char *name, struct err *err)
{
	const struct ledger_state *s = &r->ledger.state;

	for (size_t i = 0; i < s->n_writers; i++)
		if (!s->writers[i].revoked &&
		    strcmp(repo_writer_name(r, &s->writers[i].id), name) == 0)
			return &s->writers[i];
	(void)err_set(err, ERR_NOENT, "there is no writer named %s, or it was revoked",
		      safe(name).s);
	return NULL;
}

/* The first number for new keys: what follows the newest snapshot that was ever seen. */
static int
next_number(struct repo *r, const struct ledger_writer *w, const char *name, uint64_t *ret,
	    struct err *err)
{
	uint64_t head = 0;

	for (size_t i = 0; i < r->n_heads; i++)
		if (writer_id_equal(&r->heads[i].writer, &w->id))
			head = r->heads[i].seq;
	*ret = head + 1;
	if (*ret > w->keys[w->n_keys - 1].from_seq)
		return 0;
	return err_set(err, ERR_INVALID,
		       "%s has made no snapshot with the keys that it has, so they can't be "
		       "replaced: revoke it, and enrol it afresh",
		       name);
}

static int
prepare_rotation(struct repo *r, const char *name, const struct public_keys *keys,
		 struct decision *d, struct err *err)
{
	const struct ledger_writer *w = find_enrolled(r, name, err);

	if (w == NULL)
		return ERR_NOENT;
	for (size_t i = 0; i < r->ledger.state.n_writers; i++)
		if (has_key(&r->ledger.state.writers[i], keys))
			return err_set(err, ERR_EXISTS, "this key was enrolled already");
	*d = (struct decision){.type = DECISION_ROTATE_WRITER,
			       .writer = w->id,
			       .box_pk = keys->box_pk,
			       .sign_pk = keys->sign_pk};
	return next_number(r, w, name, &d->seq, err);
}

int
repo_rotate_writer(struct repo *r, const char *name, const struct public_keys *keys,
		   struct card *ret, struct err *err)
{
	struct decision d;
	int k;

	*ret = (struct card){0};
	if (!writer_name_valid(name) || strcmp(keys->kind, "writer") != 0)
		return err_set(err, ERR_INVALID, "%s is no writer's name, or the key no writer's",
			       safe(name).s);
	pthread_mutex_lock(&r->refreshing);
	k = prepare_rotation(r, name, keys, &d, err);
	pthread_mutex_unlock(&r->refreshing);
	if (k == 0)
		k = repo_decide(r, &d, 1, err);
	if (k < 0)
		return err_add(err, k, "new keys for %s", name);
	make_card(r, name, keys, &d.writer, ret);
	return 0;
}
