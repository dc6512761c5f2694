/*
 * admin.c - admins: added, with the keys of all that is older than they are; removed.
 *
 * The ledger comes first: from then on writers seal to the new admin, and what was there before is
 * collected after that, so that nothing falls between.
 *
 * Layer 4.
 */
#include "internal.h"

#include <stdio.h>

#define FINGERPRINT_PREFIX_MIN 8u

/* ---- names -------------------------------------------------------------------------------- */

char *
roles_admin_name(struct repo *r, const struct ledger_admin *a)
{
	CLEANUP(buf_fini) struct buf name = BUF_INIT;

	if (a->name_sealed.len == 0)
		return str_copy("founder");
	if (repo_roster(r) == NULL ||
	    roster_open(repo_roster(r), buf_slice(&a->name_sealed), &name, NULL) < 0 ||
	    memchr(name.p, '\0', name.len) != NULL || !writer_name_valid(buf_cstr(&name)))
		return str_copy(hex_short(&a->fingerprint.h).s);
	return str_copy(buf_cstr(&name));
}

char *
roles_person_name(struct repo *r, const struct fingerprint *f)
{
	const struct ledger_state *s = repo_ledger(r);

	for (size_t i = 0; i < s->n_admins; i++)
		if (hash_equal(&s->admins[i].fingerprint.h, &f->h))
			return roles_admin_name(r, &s->admins[i]);
	return str_copy(hex_short(&f->h).s);
}

void
roles_card(struct repo *r, const char *case_ref, struct card *ret)
{
	*ret = (struct card){
		.kind = "grant",
		.url = str_copy(store_url(repo_store(r))),
		.pin = {*repo_id(r), repo_ledger(r)->admins[0].fingerprint}, /* the founder */
		.case_ref = case_ref != NULL ? str_copy(case_ref) : NULL,
	};
}

/* ---- adding ------------------------------------------------------------------------------- */

static int
check_new(struct repo *r, const char *name, const struct public_keys *keys, struct err *err)
{
	const struct ledger_state *s = repo_ledger(r);

	if (strcmp(keys->kind, "identity") != 0)
		return err_set(
			err, ERR_INVALID,
			"that is the public key of a writer; an admin needs an identity, which "
			"`tillfs identity new` makes");
	if (!writer_name_valid(name))
		return err_set(err, ERR_INVALID,
			       "that is no name for an admin: use 1 to %u of A-Z a-z 0-9 _ -",
			       WRITER_NAME_MAX);
	for (size_t i = 0; i < s->n_admins; i++) {
		CLEANUP(freep) char *other = roles_admin_name(r, &s->admins[i]);

		if (!s->admins[i].removed && strcmp(other, name) == 0 &&
		    !hash_equal(&s->admins[i].fingerprint.h, &keys->fingerprint.h))
			return err_set(err, ERR_EXISTS, "there is an admin named %s already", name);
	}
	return 0;
}

static int
decide_addition(struct repo *r, const char *name, const struct public_keys *keys, struct err *err)
{
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	struct decision d = {.type = DECISION_ADD_ADMIN,
			     .box_pk = keys->box_pk,
			     .sign_pk = keys->sign_pk};

	roster_seal(repo_roster(r), slice_str(name), &sealed);
	seal_box(&keys->box_pk, slice_of(repo_roster(r), sizeof(struct seal_key)), &box);
	d.sealed = buf_slice(&sealed);
	d.roster_box = buf_slice(&box);
	return repo_decide(r, &d, 1, err);
}

static int
reseal(struct repo *r, const struct public_keys *keys, const struct roles_options *o,
       struct roles_handed *ret, struct err *err)
{
	CLEANUP(repo_list_putp) struct repo_list *list = NULL;
	CLEANUP(job_fini) struct job j;
	struct grant template = {.reseal = true, .grantee = keys->fingerprint};
	int k;

	job_init(&j, r, o, NULL, ret);
	/* Snapshots that came while the decision was made. */
	k = repo_refresh(r, NULL, err);
	if (k < 0)
		return k;
	list = repo_list_get(r);
	j.names = mem_array(list->n + 1, sizeof *j.names);
	for (size_t i = 0; i < list->n; i++)
		j.names[j.n_names++] = list->snapshots[i].name;
	k = collect(&j, err);
	return k < 0 ? k : hand_over(&j, &template, &keys->box_pk, err);
}

int
roles_add_admin(struct repo *r, const char *name, const struct public_keys *keys,
		const struct roles_options *o, struct roles_handed *ret, bool *ret_known,
		struct err *err)
{
	int k;

	*ret = (struct roles_handed){0};
	*ret_known = ledger_is_admin(repo_ledger(r), &keys->fingerprint);
	k = check_new(r, name, keys, err);
	if (k == 0 && !repo_is_admin(r))
		k = err_set(err, ERR_DENIED, "only an admin can add another");
	if (k == 0 && !*ret_known)
		k = decide_addition(r, name, keys, err);
	if (k < 0)
		return k;
	k = reseal(r, keys, o, ret, err);
	return k < 0 ? err_add(err, k,
			       "%s is an admin now, but not all old keys were handed over; run the "
			       "same command again",
			       name)
		     : 0;
}

/* ---- removing ----------------------------------------------------------------------------- */

static bool
is_meant(struct repo *r, const struct ledger_admin *a, const char *who)
{
	CLEANUP(freep) char *name = roles_admin_name(r, a);
	size_t len = strlen(who);

	return strcmp(name, who) == 0 ||
	       (len >= FINGERPRINT_PREFIX_MIN && strncmp(hex(&a->fingerprint.h).s, who, len) == 0);
}

int
roles_remove_admin(struct repo *r, const char *who, struct fingerprint *ret, struct err *err)
{
	const struct ledger_state *s = repo_ledger(r);
	struct decision d = {.type = DECISION_REMOVE_ADMIN};
	size_t n = 0;
	int k;

	for (size_t i = 0; i < s->n_admins; i++) {
		if (s->admins[i].removed || !is_meant(r, &s->admins[i], who))
			continue;
		d.person = s->admins[i].fingerprint;
		n++;
	}
	if (n == 0)
		return err_set(err, ERR_NOENT, "there is no admin %s", who);
	if (n > 1)
		return err_set(err, ERR_INVALID, "%s means several admins; give a fingerprint",
			       who);
	k = repo_decide(r, &d, 1, err);
	if (k == 0)
		*ret = d.person;
	return k;
}
