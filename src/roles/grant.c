/*
 * grant.c - granting: the keys of what is there, and a ledger entry for what comes.
 *
 * Layer 4.
 */
#include "internal.h"

static int
check_wish(struct repo *r, const struct roles_wish *w, struct err *err)
{
	if (!repo_is_admin(r))
		return err_set(err, ERR_DENIED, "only an admin can grant anything");
	if (strcmp(w->to->kind, "identity") != 0)
		return err_set(err, ERR_INVALID,
			       "that is the public key of a writer, which can't read; an auditor's "
			       "is made by `tillfs auditor new`");
	if (ledger_is_admin(repo_ledger(r), &w->to->fingerprint))
		return err_set(err, ERR_INVALID, "that is an admin, who reads everything already");
	if (w->case_ref[0] == '\0' || strlen(w->case_ref) > GRANT_CASE_MAX)
		return err_set(err, ERR_INVALID, "a case reference has 1 to %u bytes",
			       GRANT_CASE_MAX);
	if (w->has_from && w->has_until && w->from.days > w->until.days)
		return err_set(err, ERR_INVALID, "the dates end before they begin");
	if (w->standing && w->has_until)
		return err_set(err, ERR_INVALID,
			       "a standing grant goes on until it expires or is revoked, not until "
			       "a business date");
	if (w->has_expiry && w->expiry <= time_now())
		return err_set(err, ERR_INVALID, "it would have expired already");
	if (w->n_classes > PACK_SECTIONS_MAX || w->n_writers > ROSTER_MAX / 16)
		return err_set(err, ERR_INVALID, "too many classes or writers are named");
	for (size_t i = 0; i < w->n_classes; i++)
		if (w->classes[i][0] == '\0' || strlen(w->classes[i]) > CLASS_NAME_MAX)
			return err_set(err, ERR_INVALID, "\"%s\" is no data class", w->classes[i]);
	return 0;
}

/* Ids of the named writers; those of one name who were revoked count too. */
static int
find_writers(struct repo *r, const struct roles_wish *w, struct grant_cover *c, struct err *err)
{
	const struct ledger_state *s = repo_ledger(r);

	c->writers = mem_array(s->n_writers + 1, sizeof *c->writers);
	for (size_t i = 0; i < w->n_writers; i++) {
		size_t before = c->n_writers;

		for (size_t k = 0; k < s->n_writers; k++)
			if (strcmp(repo_writer_name(r, &s->writers[k].id), w->writers[i]) == 0 &&
			    c->n_writers < s->n_writers)
				c->writers[c->n_writers++] = s->writers[k].id;
		if (c->n_writers == before)
			return err_set(err, ERR_NOENT, "there is no writer named %s",
				       w->writers[i]);
	}
	return 0;
}

static int
make_cover(struct repo *r, const struct roles_wish *w, struct grant_cover *ret, struct err *err)
{
	*ret = (struct grant_cover){.case_ref = str_copy(w->case_ref),
				    .has_from = w->has_from,
				    .has_until = w->has_until,
				    .from = w->from,
				    .until = w->until};
	ret->classes = mem_array(w->n_classes + 1, sizeof *ret->classes);
	for (; ret->n_classes < w->n_classes; ret->n_classes++)
		ret->classes[ret->n_classes] = str_copy(w->classes[ret->n_classes]);
	return find_writers(r, w, ret, err);
}

static bool
is_covered_writer(const struct grant_cover *c, const struct writer_id *writer)
{
	for (size_t i = 0; i < c->n_writers; i++)
		if (writer_id_equal(&c->writers[i], writer))
			return true;
	return c->n_writers == 0;
}

static bool
is_covered(const struct grant_cover *c, const struct snapshot_name *name)
{
	return is_covered_writer(c, &name->writer) &&
	       (!c->has_from || name->date.days >= c->from.days) &&
	       (!c->has_until || name->date.days <= c->until.days);
}

/* ---- what is there ------------------------------------------------------------------------ */

static void
name_covered(struct job *j, const struct grant_cover *c)
{
	CLEANUP(repo_list_putp) struct repo_list *list = repo_list_get(j->repo);

	j->names = mem_array(list->n + 1, sizeof *j->names);
	for (size_t i = 0; i < list->n; i++)
		if (is_covered(c, &list->snapshots[i].name))
			j->names[j->n_names++] = list->snapshots[i].name;
}

/* The other snapshots of a writer of whom anything is granted. */
static void
name_others_of(struct job *j, const struct grant_cover *c, const struct writer_id *writer)
{
	CLEANUP(freep) struct snapshot_name *chain = NULL;
	size_t n, n_others = 0, end = j->n_names + j->n_compared;

	repo_chain(j->repo, writer, &chain, &n);
	for (size_t i = 0; i < n; i++)
		if (!is_covered(c, &chain[i]))
			chain[n_others++] = chain[i];
	if (n_others == 0 || n_others == n)
		return;
	j->names = mem_grow(j->names, end + n_others, sizeof *j->names);
	memcpy(&j->names[end], chain, n_others * sizeof *chain);
	j->n_compared += n_others;
}

/* A grant of all classes has no border between them to keep. */
static void
name_compared(struct job *j, const struct grant_cover *c)
{
	const struct ledger_state *s = repo_ledger(j->repo);

	for (size_t i = 0; c->n_classes > 0 && i < s->n_writers; i++)
		if (is_covered_writer(c, &s->writers[i].id))
			name_others_of(j, c, &s->writers[i].id);
}

static int
grant_once(struct repo *r, const struct roles_wish *w, struct grant_cover *c,
	   const struct roles_options *o, struct roles_handed *ret, struct err *err)
{
	CLEANUP(job_fini) struct job j;
	CLEANUP(buf_fini) struct buf cover = BUF_INIT;
	struct grant template = {.grantee = w->to->fingerprint,
				 .has_expiry = w->has_expiry,
				 .expiry = w->expiry,
				 .case_ref = c->case_ref};
	int k;

	job_init(&j, r, o, w, ret);
	name_covered(&j, c);
	name_compared(&j, c);
	k = collect(&j, err);
	if (k < 0 || ret->snapshots == 0)
		return k;
	c->snapshots = ret->snapshots;
	k = grant_cover_seal(c, repo_roster(r), &cover, err);
	if (k < 0)
		return k;
	template.cover = cover;
	return hand_over(&j, &template, &w->to->box_pk, err);
}

/* ---- what comes --------------------------------------------------------------------------- */

static int
grant_standing(struct repo *r, const struct roles_wish *w, const struct grant_cover *c,
	       struct roles_handed *ret, struct err *err)
{
	CLEANUP(freep) struct slice *classes = mem_array(c->n_classes + 1, sizeof *classes);
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	struct grant_terms t = {.case_ref = slice_str(c->case_ref),
				.classes = classes,
				.n_classes = c->n_classes,
				.writers = c->writers,
				.n_writers = c->n_writers};
	struct decision d = {.type = DECISION_STANDING_GRANT,
			     .box_pk = w->to->box_pk,
			     .sign_pk = w->to->sign_pk,
			     .has_expiry = w->has_expiry,
			     .expiry = w->expiry};
	int k;

	for (size_t i = 0; i < c->n_classes; i++)
		classes[i] = slice_str(c->classes[i]);
	grant_terms_put(&plain, &t);
	if (plain.len > ROSTER_MAX)
		return err_set(err, ERR_INVALID,
			       "case, classes and writers together are too long for one grant: "
			       "make several, or grant all writers");
	roster_seal(repo_roster(r), buf_slice(&plain), &sealed);
	seal_box(&w->to->box_pk, slice_of(repo_roster(r), sizeof(struct seal_key)), &box);
	seal_random(d.grant_id, sizeof d.grant_id);
	d.sealed = buf_slice(&sealed);
	d.roster_box = buf_slice(&box);
	k = repo_decide(r, &d, 1, err);
	if (k == 0)
		ret->objects++;
	return k;
}

int
roles_grant(struct repo *r, const struct roles_wish *wish, const struct roles_options *o,
	    struct roles_handed *ret, struct err *err)
{
	CLEANUP(grant_cover_fini) struct grant_cover cover = {0};
	int k;

	*ret = (struct roles_handed){0};
	k = check_wish(r, wish, err);
	if (k == 0)
		k = make_cover(r, wish, &cover, err);
	if (k == 0 && (!wish->standing || wish->has_from))
		k = grant_once(r, wish, &cover, o, ret, err);
	if (k != 0)
		return k;
	if (wish->standing)
		return grant_standing(r, wish, &cover, ret, err);
	if (ret->snapshots == 0)
		return err_set(err, ERR_NOENT,
			       "no snapshot of these writers and dates has such a data class; "
			       "nothing was granted");
	return 0;
}
