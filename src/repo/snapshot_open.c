/*
 * snapshot_open.c - fetch one snapshot, verify it, open what this identity can.
 *
 * Layer 3.  Format: docs/format.md section 8.
 */
#include "internal.h"

#include <inttypes.h>

bool
snapshot_is_accepted(const struct ledger_writer *w, const struct snapshot_name *name)
{
	return ledger_writer_key_at(w, name->seq) != NULL &&
	       (!w->revoked || name->seq < w->last_seq || hash_equal(&name->id.h, &w->last_id.h));
}

/* The key that a writer's snapshot must be signed with. */
static int
find_signer(struct repo *r, const struct snapshot_name *name, struct seal_sign_pk *ret,
	    struct err *err)
{
	const struct ledger_writer *w;
	const struct seal_sign_pk *pk = NULL;
	uint64_t last = 0;

	pthread_mutex_lock(&r->lock);
	w = ledger_find_writer(&r->ledger.state, &name->writer);
	if (w != NULL) {
		last = w->last_seq;
		if (snapshot_is_accepted(w, name))
			pk = ledger_writer_key_at(w, name->seq);
	}
	if (pk != NULL)
		*ret = *pk;
	pthread_mutex_unlock(&r->lock);

	if (pk != NULL)
		return 0;
	if (w == NULL)
		return err_set(err, ERR_AUTH, "its writer was never enrolled by an admin");
	return err_set(err, ERR_AUTH,
		       "its writer was revoked, and the last snapshot accepted of it is another "
		       "(number %" PRIu64 ")",
		       last);
}

static int
fetch(struct repo *r, const struct snapshot_name *name, struct snapshot **ret, struct err *err)
{
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct snapshot_key_text key = snapshot_key_format(name);
	struct seal_sign_pk signer;
	int k;

	k = find_signer(r, name, &signer, err);
	if (k < 0)
		return err_add(err, k, "%s", key.s);
	k = object_fetch(r->store, key.s, &name->id.h, SNAPSHOT_OBJECT_MAX, &bytes, err);
	if (k < 0)
		return err_add(err, k, "%s", key.s);
	k = snapshot_parse(name, &bytes, &s, err); /* names the key itself */
	if (k < 0)
		return k;
	if (memcmp(&s->clear.repo, &r->config.repo, sizeof s->clear.repo) != 0)
		return err_set(err, ERR_AUTH, "%s: it was made for another repository", key.s);
	k = snapshot_verify(s, &signer, err);
	if (k < 0)
		return err_add(err, k, "%s", key.s);
	*ret = steal_ptr(&s);
	return 0;
}

/* What a person calls it goes in front; the object's name is in the message already. */
int
snapshot_fetch(struct repo *r, const struct snapshot_name *name, struct snapshot **ret,
	       struct err *err)
{
	int k;

	*ret = NULL;
	k = fetch(r, name, ret, err);
	return k < 0 ? err_add(err, k, "%s", repo_snapshot_label(r, name).s) : 0;
}

int
repo_snapshot_fetch(struct repo *r, const struct snapshot_name *name, struct snapshot **ret,
		    struct err *err)
{
	int k = snapshot_fetch(r, name, ret, err);

	if (k < 0)
		return k;
	cross_check(r, *ret);
	return 0;
}

/* A key that came in a grant or reseal. */
static int
held_key(struct repo *r, const struct snapshot *s, size_t n, struct seal_key *ret, struct err *err)
{
	struct hash found;

	if (!held_part_key(r, &s->name.id, (uint32_t)n, ret))
		return ERR_DENIED; /* the caller describes it */
	/* The encryption doesn't commit to its key; its hash does. */
	pack_key_hash(ret, &found);
	if (!hash_equal(&found, &s->parts[n].key_hash)) {
		seal_key_wipe(ret);
		return err_set(err, ERR_CORRUPT, "the granted key is not that of part %zu", n);
	}
	return 0;
}

int
repo_part_key(struct repo *r, const struct snapshot *s, size_t n, struct seal_key *ret,
	      struct err *err)
{
	if (access_by_pair(r)) {
		int k = snapshot_part_key(s, n, r->pair, ret, err);

		if (k != ERR_DENIED)
			return k;
	}
	return held_key(r, s, n, ret, err);
}

/* Return: 0, ERR_DENIED when the part is sealed to others, … */
static int
open_part(struct repo *r, const struct snapshot *s, size_t n, struct codec *codec, struct buf *ret,
	  struct err *err)
{
	CLEANUP(seal_key_wipe) struct seal_key key = {0};
	int k = repo_part_key(r, s, n, &key, err);

	if (k < 0)
		return k;
	k = snapshot_part_open(s, n, &key, codec, ret, err);
	return k < 0 ? err_add(err, k, "part %zu", n) : 0;
}

static int
open_details(struct repo *r, struct repo_opened *o, struct codec *codec, struct err *err)
{
	int k = open_part(r, o->snapshot, 0, codec, &o->details_bytes, err);

	if (k == ERR_DENIED)
		return 0;
	if (k < 0)
		return k;
	k = snapshot_details_parse(buf_slice(&o->details_bytes), &o->details, err);
	return k < 0 ? err_add(err, k, "the admins' part") : 0;
}

/*
 * A box sealed to an auditor stays one when the standing grant that it was sealed for has ended;
 * it is left alone then, unless another grant covers it.
 */
static bool
is_granted(struct repo *r, const struct snapshot *s, size_t n, const struct snapshot_class *class)
{
	CLEANUP(seal_key_wipe) struct seal_key key = {0};

	return access_covers(r, &s->name.writer, class->name) || held_key(r, s, n, &key, NULL) == 0;
}

static int
open_class(struct repo *r, struct repo_opened *o, size_t n, struct codec *codec, struct err *err)
{
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	struct snapshot_class *class = NULL;
	int k = open_part(r, o->snapshot, n, codec, &plain, err);

	if (k == ERR_DENIED) {
		o->n_closed++;
		return 0;
	}
	if (k < 0)
		return k;
	k = snapshot_class_parse(&plain, &class, err);
	if (k < 0)
		return err_add(err, k, "part %zu", n);
	if (!is_granted(r, o->snapshot, n, class)) {
		snapshot_class_free(class);
		o->n_closed++;
		return 0;
	}
	o->ordinals[o->n_classes] = (uint32_t)n;
	o->classes[o->n_classes++] = class;
	if (o->n_classes > 1 && strcmp(o->classes[o->n_classes - 2]->name, class->name) >= 0)
		return err_set(err, ERR_CORRUPT, "its classes are not in order: %s before %s",
			       o->classes[o->n_classes - 2]->name, class->name);
	return 0;
}

static int
open_parts(struct repo *r, struct repo_opened *o, struct err *err)
{
	CLEANUP(codec_freep) struct codec *codec = codec_new(1);
	size_t n = o->snapshot->n_parts;
	int k;

	k = open_details(r, o, codec, err);
	if (k < 0)
		return k;
	o->classes = mem_array(n, sizeof(struct snapshot_class *));
	o->ordinals = mem_array(n, sizeof *o->ordinals);
	for (size_t i = 1; i < n; i++) {
		k = open_class(r, o, i, codec, err);
		if (k < 0)
			return k;
	}
	if (o->n_classes == 0 && o->details == NULL)
		return err_set(
			err, ERR_DENIED,
			"none of its parts is sealed to this identity (fingerprint %s), and no "
			"grant in force covers one: ask an admin",
			hex_short(&r->self.h).s);
	return 0;
}

int
repo_snapshot_open(struct repo *r, const struct snapshot_name *name, struct repo_opened **ret,
		   struct err *err)
{
	CLEANUP(repo_opened_freep) struct repo_opened *o = mem_alloc(sizeof *o);
	int k;

	*ret = NULL;
	k = repo_snapshot_fetch(r, name, &o->snapshot, err);
	if (k < 0)
		return k;
	o->writer = str_copy(repo_writer_name(r, &name->writer));
	k = open_parts(r, o, err);
	if (k < 0)
		return err_add(err, k, "%s: %s", repo_snapshot_label(r, name).s,
			       snapshot_key_format(name).s);
	*ret = steal_ptr(&o);
	return 0;
}

void
repo_opened_free(struct repo_opened *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < o->n_classes; i++)
		snapshot_class_free(o->classes[i]);
	free(o->classes);
	free(o->ordinals);
	snapshot_details_free(o->details);
	buf_wipe(&o->details_bytes);
	snapshot_free(o->snapshot);
	free(o->writer);
	free(o);
}
