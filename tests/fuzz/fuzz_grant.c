/*
 * fuzz_grant.c - grants and reseals: the object as given, the given bytes as what a grant says that
 * it covers, and as the body of an
 * object that an admin really signed.
 */
#include "tillfs/keyring.h"
#include "tillfs/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct seal_pair *pair; /* admin and grantee in one */
static struct fingerprint self;
static struct ledger_state state;
static struct codec *codec;

static void
start(void)
{
	struct seal_key seed;
	struct repo_config c = {0};

	seal_start();
	memset(seed.b, 1, sizeof seed.b);
	pair = secret_new(sizeof *pair);
	seal_pair_from_seed(&seed, pair);
	seal_fingerprint(&pair->box_pk, &pair->sign_pk, &self);
	c.founder_box = pair->box_pk;
	c.founder_sign = pair->sign_pk;
	c.founder = self;
	for (size_t i = 0; i < sizeof c.repo.b; i++)
		c.repo.b[i] = (uint8_t)(16 + i); /* as in the corpus */
	ledger_state_init(&state, &c);
	codec = codec_new(1);
}

/* docs/format.md section 8.4 with @plain as the body. */
static void
wrap(struct slice plain, struct buf *ret)
{
	static const struct object_kind kind = {"TILLGRT1", "grant"};
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	CLEANUP(buf_fini) struct buf message = BUF_INIT;
	struct seal_key key = {{9}}, derived;
	struct hash id;

	buf_append_u8(&packed, 0);
	buf_append(&packed, plain.p, plain.len);
	buf_append(&message, state.repo.b, sizeof state.repo.b);
	buf_append(&message, self.h.b, sizeof self.h.b);
	seal_derive(&key, "tillfs grant", buf_slice(&message), &derived);
	seal_encrypt(&derived, buf_slice(&packed), &sealed);
	object_box_key(&pair->box_pk, &key, &box);

	object_begin(&kind, ret);
	cbor_put_map(ret, 8);
	cbor_put_uint(ret, 0);
	cbor_put_uint(ret, OBJECT_VERSION);
	cbor_put_uint(ret, 1);
	cbor_put_bytes(ret, state.repo.b, sizeof state.repo.b);
	cbor_put_uint(ret, 2);
	cbor_put_bytes(ret, self.h.b, sizeof self.h.b);
	cbor_put_uint(ret, 3);
	cbor_put_int(ret, 0);
	cbor_put_uint(ret, 4);
	cbor_put_bytes(ret, self.h.b, sizeof self.h.b);
	cbor_put_uint(ret, 6);
	cbor_put_bytes(ret, box.p, box.len);
	cbor_put_uint(ret, 7);
	cbor_put_uint(ret, plain.len);
	cbor_put_uint(ret, 8);
	cbor_put_bytes(ret, sealed.p, sealed.len);
	object_sign(&kind, pair, ret, &id);
}

static int
try_object(struct slice object, bool reseal)
{
	CLEANUP(grant_freep) struct grant *g = NULL;
	struct err err = ERR_INIT;
	int r = grant_open(object, reseal, &state, pair, codec, &g, &err);

	if ((r == 0) != (g != NULL) || (r < 0 && err.msg[0] == '\0'))
		abort();
	return r;
}

static void
try_cover(struct slice plain)
{
	CLEANUP(grant_cover_fini) struct grant_cover cover = {0};
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct seal_key roster = {{7}};
	struct grant g = {0};
	struct err err = ERR_INIT;
	int r;

	if (plain.len > ROSTER_MAX)
		return;
	roster_seal(&roster, plain, &g.cover);
	r = grant_cover_open(&g, &roster, &cover, &err);
	buf_fini(&g.cover);
	if (r == 0 && grant_cover_seal(&cover, &roster, &again, &err) < 0)
		abort(); /* it fitted before */
	if (r < 0 && r != ERR_CORRUPT)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(buf_fini) struct buf wrapped = BUF_INIT;
	int r;

	if (pair == NULL)
		start();
	(void)!try_object(slice_of(data, len), false);
	(void)!try_object(slice_of(data, len), true);
	try_cover(slice_of(data, len));
	wrap(slice_of(data, len), &wrapped);
	r = try_object(buf_slice(&wrapped), false);
	if (r < 0 && r != ERR_CORRUPT)
		abort(); /* the envelope is in order, so only the body can be wrong */
	return 0;
}
