/*
 * grant.c - grants and reseals: keys of snapshots' parts and of packs' sections, for one person.
 *
 * The two differ in magic and signature only: a grant is for an auditor, a reseal hands old keys to
 * a new admin.
 *
 * Layer 2.  Format: docs/format.md section 8.4.
 */
#include <assert.h>

#include "internal.h"

static const struct object_kind grant_kind = {"TILLGRT1", "grant"};
static const struct object_kind reseal_kind = {"TILLRSL1", "reseal"};

enum grant_key {
	KEY_VERSION = 0,
	KEY_REPO,
	KEY_AUTHOR,
	KEY_TIME,
	KEY_GRANTEE,
	KEY_EXPIRY,
	KEY_BOX,
	KEY_PLAIN_LEN,
	KEY_BODY,
	KEY_COVER,
};

static const struct object_kind *
kind_of(bool reseal)
{
	return reseal ? &reseal_kind : &grant_kind;
}

/* The key of the body: the grant's own, bound to repository and grantee. */
static void
derive(const struct seal_key *grant_key, const struct repo_id *repo,
       const struct fingerprint *grantee, struct seal_key *ret)
{
	CLEANUP(buf_fini) struct buf message = BUF_INIT;

	buf_append(&message, repo->b, sizeof repo->b);
	buf_append(&message, grantee->h.b, sizeof grantee->h.b);
	seal_derive(grant_key, "tillfs grant", buf_slice(&message), ret);
}

/* ---- writing */

/* Compresses and encrypts the body under a new key, which is sealed to the grantee. */
static void
put_sealed(struct buf *b, const struct grant *g, const struct seal_box_pk *grantee,
	   struct codec *codec)
{
	size_t cap = grant_body_max(g);
	CLEANUP(secret_freep) struct seal_key *keys = secret_new(2 * sizeof *keys);
	CLEANUP(secret_text_fini) struct buf body = secret_text(cap);
	CLEANUP(buf_wipe) struct buf packed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;

	grant_body_put(&body, g);
	assert(body.cap == cap);
	seal_random(keys[0].b, sizeof keys[0].b);
	derive(&keys[0], &g->repo, &g->grantee, &keys[1]);
	buf_reserve(&packed, body.len + 1);
	codec_pack(codec, buf_slice(&body), &packed);
	seal_encrypt(&keys[1], buf_slice(&packed), &sealed);
	object_box_key(grantee, &keys[0], &box);

	cbor_put_uint(b, KEY_BOX);
	cbor_put_bytes(b, box.p, box.len);
	cbor_put_uint(b, KEY_PLAIN_LEN);
	cbor_put_uint(b, body.len);
	cbor_put_uint(b, KEY_BODY);
	cbor_put_bytes(b, sealed.p, sealed.len);
}

void
grant_encode(const struct grant *g, const struct seal_box_pk *grantee,
	     const struct seal_pair *author, struct codec *codec, struct buf *ret)
{
	struct hash id;

	object_begin(kind_of(g->reseal), ret);
	cbor_put_map(ret, 8 + (g->has_expiry ? 1u : 0u) + (g->cover.len > 0 ? 1u : 0u));
	cbor_put_uint(ret, KEY_VERSION);
	cbor_put_uint(ret, OBJECT_VERSION);
	cbor_put_uint(ret, KEY_REPO);
	cbor_put_bytes(ret, g->repo.b, sizeof g->repo.b);
	cbor_put_uint(ret, KEY_AUTHOR);
	cbor_put_bytes(ret, g->author.h.b, sizeof g->author.h.b);
	cbor_put_uint(ret, KEY_TIME);
	cbor_put_int(ret, g->time);
	cbor_put_uint(ret, KEY_GRANTEE);
	cbor_put_bytes(ret, g->grantee.h.b, sizeof g->grantee.h.b);
	if (g->has_expiry) {
		cbor_put_uint(ret, KEY_EXPIRY);
		cbor_put_int(ret, g->expiry);
	}
	put_sealed(ret, g, grantee, codec);
	if (g->cover.len > 0) {
		cbor_put_uint(ret, KEY_COVER);
		cbor_put_bytes(ret, g->cover.p, g->cover.len);
	}
	object_sign(kind_of(g->reseal), author, ret, &id);
	assert(ret->len <= GRANT_OBJECT_MAX);
}

/* ---- reading */

/* What the clear part says of the sealed one. */
struct sealed_body {
	struct slice box, bytes;
	size_t plain_len;
};

static void
get_field(struct cbor_rd *rd, uint64_t key, struct grant *g, struct sealed_body *body)
{
	struct slice cover;

	switch (key) {
	case KEY_VERSION:
		object_get_version(rd);
		break;
	case KEY_REPO:
		cbor_get_fixed(rd, g->repo.b, sizeof g->repo.b);
		break;
	case KEY_AUTHOR:
		cbor_get_fixed(rd, g->author.h.b, sizeof g->author.h.b);
		break;
	case KEY_TIME:
		g->time = object_get_time(rd);
		break;
	case KEY_GRANTEE:
		cbor_get_fixed(rd, g->grantee.h.b, sizeof g->grantee.h.b);
		break;
	case KEY_EXPIRY:
		g->expiry = object_get_time(rd);
		g->has_expiry = true;
		break;
	case KEY_BOX:
		body->box = object_get_exact(rd, KEY_BOX_LEN);
		break;
	case KEY_PLAIN_LEN:
		body->plain_len = (size_t)cbor_get_uint(rd, GRANT_OBJECT_MAX);
		break;
	case KEY_BODY:
		body->bytes = cbor_get_bytes(rd, GRANT_OBJECT_MAX);
		break;
	case KEY_COVER:
		cover = cbor_get_bytes(rd, 2 * ROSTER_MAX);
		buf_append(&g->cover, cover.p, cover.len);
		break;
	default:
		cbor_skip(rd);
	}
}

static int
get_clear(struct slice cbor, struct grant *g, struct sealed_body *body, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(cbor, kind_of(g->reseal)->kind, err);
	struct cbor_map m = cbor_get_map(&rd);

	while (cbor_map_next(&rd, &m))
		get_field(&rd, m.key, g, body);
	cbor_map_need(&rd, &m,
		      KEY_BIT(KEY_VERSION) | KEY_BIT(KEY_REPO) | KEY_BIT(KEY_AUTHOR) |
			      KEY_BIT(KEY_TIME) | KEY_BIT(KEY_GRANTEE) | KEY_BIT(KEY_BOX) |
			      KEY_BIT(KEY_PLAIN_LEN) | KEY_BIT(KEY_BODY));
	return cbor_rd_done(&rd);
}

/*
 * What an admin gave before being removed stays given.  Of a reseal its time isn't asked: its keys
 * prove themselves, and a new admin would lose old snapshots over a clock that goes wrong.
 */
static bool
gave_in_time(const struct ledger_admin *a, const struct grant *g)
{
	return !a->removed || g->reseal || g->time <= a->removed_at;
}

/* Who was removed and added again has two items. */
static const struct ledger_admin *
author_of(const struct ledger_state *admins, const struct grant *g)
{
	const struct ledger_admin *ret = NULL;

	for (size_t i = 0; i < admins->n_admins; i++) {
		const struct ledger_admin *a = &admins->admins[i];

		if (hash_equal(&a->fingerprint.h, &g->author.h) &&
		    (ret == NULL || gave_in_time(a, g)))
			ret = a;
	}
	return ret;
}

static int
check_author(const struct object *object, const struct grant *g, const struct ledger_state *admins,
	     struct err *err)
{
	const struct ledger_admin *author;
	int r;

	if (memcmp(g->repo.b, admins->repo.b, sizeof g->repo.b) != 0)
		return err_set(err, ERR_CORRUPT, "it belongs to another repository, %s",
			       hex_bytes(g->repo.b, sizeof g->repo.b).s);
	author = author_of(admins, g);
	if (author == NULL)
		return err_set(err, ERR_AUTH, "its author %s never was an admin",
			       hex_short(&g->author.h).s);
	r = object_verify(kind_of(g->reseal), object->signed_bytes, object->signature,
			  &author->sign_pk, err);
	if (r == 0 && !gave_in_time(author, g))
		r = err_set(err, ERR_AUTH,
			    "its author %s was removed as an admin at %s, before it was made; ask "
			    "an admin for a new one",
			    hex_short(&g->author.h).s, time_format_rfc3339(author->removed_at).s);
	return r;
}

static int
open_body(const struct sealed_body *body, const struct seal_pair *pair, struct codec *codec,
	  struct grant *g, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *keys = secret_new(2 * sizeof *keys);
	CLEANUP(buf_wipe) struct buf packed = BUF_INIT;
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	struct fingerprint self;
	int r;

	seal_fingerprint(&pair->box_pk, &pair->sign_pk, &self);
	if (!hash_equal(&self.h, &g->grantee.h))
		return err_set(err, ERR_DENIED, "it is for %s, not for this identity",
			       hex_short(&g->grantee.h).s);
	r = object_unbox_key(pair, body->box, &keys[0], err);
	if (r < 0)
		return r;
	derive(&keys[0], &g->repo, &g->grantee, &keys[1]);
	r = seal_decrypt(&keys[1], body->bytes, &packed, err);
	if (r == 0)
		r = codec_unpack(codec, buf_slice(&packed), body->plain_len, &plain, err);
	if (r == 0)
		r = grant_body_get(buf_slice(&plain), g, err);
	return r;
}

/* The clear part, verified.  @ret_body: borrows from @object. */
static int
read_clear(struct slice object, bool reseal, const struct ledger_state *admins, struct grant **ret,
	   struct sealed_body *ret_body, struct err *err)
{
	CLEANUP(grant_freep) struct grant *g = NULL;
	struct object parts;
	int r;

	*ret = NULL;
	if (object.len > GRANT_OBJECT_MAX)
		return err_set(err, ERR_CORRUPT, "%s: %zu bytes are more than one has",
			       kind_of(reseal)->kind, object.len);
	r = object_split(kind_of(reseal), object, &parts, err);
	if (r < 0)
		return err_add(err, r, "%s", kind_of(reseal)->kind);
	g = secret_new(sizeof *g);
	g->reseal = reseal;
	r = get_clear(parts.cbor, g, ret_body, err);
	if (r == 0)
		r = check_author(&parts, g, admins, err);
	if (r < 0)
		return err_add(err, r, "%s %s", kind_of(reseal)->kind, hex_short(&parts.id).s);
	*ret = steal_ptr(&g);
	return 0;
}

int
grant_read(struct slice object, bool reseal, const struct ledger_state *admins, struct grant **ret,
	   struct err *err)
{
	struct sealed_body body = {0};

	return read_clear(object, reseal, admins, ret, &body, err);
}

int
grant_open(struct slice object, bool reseal, const struct ledger_state *admins,
	   const struct seal_pair *pair, struct codec *codec, struct grant **ret, struct err *err)
{
	CLEANUP(grant_freep) struct grant *g = NULL;
	struct sealed_body body = {0};
	struct hash id;
	int r;

	*ret = NULL;
	r = read_clear(object, reseal, admins, &g, &body, err);
	if (r != 0)
		return r;
	assert(g != NULL);
	r = open_body(&body, pair, codec, g, err);
	if (r < 0) {
		seal_hash(object.p, object.len, &id);
		return err_add(err, r, "%s %s", kind_of(reseal)->kind, hex_short(&id).s);
	}
	*ret = steal_ptr(&g);
	return 0;
}

void
grant_free(struct grant *g)
{
	if (g == NULL)
		return;
	free(g->case_ref);
	buf_fini(&g->cover);
	secret_free(g->parts);
	secret_free(g->sections);
	secret_free(g);
}
