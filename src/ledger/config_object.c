/*
 * config_object.c - the repository's config: its id, its founder, its fixed parameters.
 *
 * Layer 2.  Format: docs/format.md section 4.
 */
#include <inttypes.h>

#include "internal.h"
#include "tillfs/stream.h"

static const struct object_kind config_kind = {"TILLCFG1", "config"};

enum config_key {
	KEY_VERSION = 0,
	KEY_REPO,
	KEY_CREATED,
	KEY_FOUNDER_BOX,
	KEY_FOUNDER_SIGN,
	KEY_ROSTER_BOX,
	KEY_PARAMETERS,
	N_KEYS,
};

/* Parameters by key; version 1 knows only these values. */
static const uint64_t parameters[] = {PACK_BLOCK_LEN, STREAM_LEAF_LEN, STREAM_FANOUT};

void
config_object_encode(const struct repo_id *repo, int64_t created, const struct seal_pair *founder,
		     const struct seal_key *roster, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	struct hash id;

	object_box_key(&founder->box_pk, roster, &box);
	object_begin(&config_kind, ret);
	cbor_put_map(ret, N_KEYS);
	cbor_put_uint(ret, KEY_VERSION);
	cbor_put_uint(ret, OBJECT_VERSION);
	cbor_put_uint(ret, KEY_REPO);
	cbor_put_bytes(ret, repo->b, sizeof repo->b);
	cbor_put_uint(ret, KEY_CREATED);
	cbor_put_int(ret, created);
	cbor_put_uint(ret, KEY_FOUNDER_BOX);
	cbor_put_bytes(ret, founder->box_pk.b, sizeof founder->box_pk.b);
	cbor_put_uint(ret, KEY_FOUNDER_SIGN);
	cbor_put_bytes(ret, founder->sign_pk.b, sizeof founder->sign_pk.b);
	cbor_put_uint(ret, KEY_ROSTER_BOX);
	cbor_put_bytes(ret, box.p, box.len);
	cbor_put_uint(ret, KEY_PARAMETERS);
	cbor_put_map(ret, ARRAY_LEN(parameters));
	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		cbor_put_uint(ret, i);
		cbor_put_uint(ret, parameters[i]);
	}
	object_sign(&config_kind, founder, ret, &id);
}

static void
get_parameters(struct cbor_rd *rd)
{
	struct cbor_map m = cbor_get_map(rd);

	while (cbor_map_next(rd, &m))
		if (m.key >= ARRAY_LEN(parameters))
			cbor_skip(rd);
		else if (cbor_get_uint(rd, UINT64_MAX) != parameters[m.key])
			object_unsupported(rd, "it has other block, leaf or fan-out sizes than "
					       "this program knows; use a newer tillfs");
	cbor_map_need(rd, &m, KEY_BIT(ARRAY_LEN(parameters)) - 1);
}

static void
get_field(struct cbor_rd *rd, uint64_t key, struct repo_config *ret)
{
	struct slice box;

	switch (key) {
	case KEY_VERSION:
		object_get_version(rd);
		break;
	case KEY_REPO:
		cbor_get_fixed(rd, ret->repo.b, sizeof ret->repo.b);
		break;
	case KEY_CREATED:
		ret->created = object_get_time(rd);
		break;
	case KEY_FOUNDER_BOX:
		cbor_get_fixed(rd, ret->founder_box.b, sizeof ret->founder_box.b);
		break;
	case KEY_FOUNDER_SIGN:
		cbor_get_fixed(rd, ret->founder_sign.b, sizeof ret->founder_sign.b);
		break;
	case KEY_ROSTER_BOX:
		box = object_get_exact(rd, KEY_BOX_LEN);
		buf_append(&ret->roster_box, box.p, box.len);
		break;
	case KEY_PARAMETERS:
		get_parameters(rd);
		break;
	default:
		cbor_skip(rd);
	}
}

static int
parse(struct slice cbor, struct repo_config *ret, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(cbor, "config", err);
	struct cbor_map m = cbor_get_map(&rd);

	while (cbor_map_next(&rd, &m))
		get_field(&rd, m.key, ret);
	cbor_map_need(&rd, &m, KEY_BIT(N_KEYS) - 1);
	return cbor_rd_done(&rd);
}

int
config_object_parse(struct slice bytes, const struct fingerprint *founder, struct repo_config *ret,
		    struct err *err)
{
	CLEANUP(repo_config_fini) struct repo_config c = {0};
	struct object object;
	int r;

	*ret = (struct repo_config){0};
	if (bytes.len > CONFIG_OBJECT_MAX)
		return err_set(err, ERR_CORRUPT, "config: %zu bytes are more than a config has",
			       bytes.len);
	r = object_split(&config_kind, bytes, &object, err);
	if (r < 0)
		return err_add(err, r, "config");
	r = parse(object.cbor, &c, err);
	if (r < 0)
		return r;
	seal_fingerprint(&c.founder_box, &c.founder_sign, &c.founder);
	if (founder != NULL && !hash_equal(&c.founder.h, &founder->h))
		return err_set(err, ERR_AUTH,
			       "config: this repository was founded by %s, but the key file trusts "
			       "%s; either the storage shows another repository or the key file is "
			       "for another",
			       hex_short(&c.founder.h).s, hex_short(&founder->h).s);
	r = object_verify(&config_kind, object.signed_bytes, object.signature, &c.founder_sign,
			  err);
	if (r < 0)
		return err_add(err, r, "config");
	c.id = object.id;
	*ret = c;
	c = (struct repo_config){0};
	return 0;
}

void
repo_config_fini(struct repo_config *c)
{
	buf_fini(&c->roster_box);
	*c = (struct repo_config){0};
}
