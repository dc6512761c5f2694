/*
 * head.c - signed heads: a log's own, and those that are published in a repository.
 *
 * Format: docs/format.md section 8.5.
 */
#include <inttypes.h>

#include "internal.h"

#include "tillfs/object.h"

static const struct object_kind kind = {"TILLAUD1", "audit"};

void
audit_head_encode(const struct audit_head *h, const struct seal_pair *pair, struct buf *ret)
{
	struct hash id;

	object_begin(&kind, ret);
	cbor_put_map(ret, h->has_repo ? 8 : 7);
	cbor_put_uint(ret, 0);
	cbor_put_uint(ret, OBJECT_VERSION);
	if (h->has_repo) {
		cbor_put_uint(ret, 1);
		cbor_put_bytes(ret, h->repo.b, sizeof h->repo.b);
	}
	cbor_put_uint(ret, 2);
	cbor_put_bytes(ret, pair->box_pk.b, sizeof pair->box_pk.b);
	cbor_put_uint(ret, 3);
	cbor_put_bytes(ret, pair->sign_pk.b, sizeof pair->sign_pk.b);
	cbor_put_uint(ret, 4);
	cbor_put_bytes(ret, h->log, sizeof h->log);
	cbor_put_uint(ret, 5);
	cbor_put_uint(ret, h->seq);
	cbor_put_uint(ret, 6);
	cbor_put_bytes(ret, h->hash.b, sizeof h->hash.b);
	cbor_put_uint(ret, 7);
	cbor_put_int(ret, h->time);
	object_sign(&kind, pair, ret, &id);
}

static int
parse(struct slice cbor, struct audit_head *ret, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(cbor, "head of an access log", err);
	struct cbor_map m = cbor_get_map(&rd);

	while (cbor_map_next(&rd, &m))
		switch (m.key) {
		case 0:
			object_get_version(&rd);
			break;
		case 1:
			cbor_get_fixed(&rd, ret->repo.b, sizeof ret->repo.b);
			ret->has_repo = true;
			break;
		case 2:
			cbor_get_fixed(&rd, ret->box_pk.b, sizeof ret->box_pk.b);
			break;
		case 3:
			cbor_get_fixed(&rd, ret->sign_pk.b, sizeof ret->sign_pk.b);
			break;
		case 4:
			cbor_get_fixed(&rd, ret->log, sizeof ret->log);
			break;
		case 5:
			ret->seq = cbor_get_uint(&rd, INT64_MAX);
			break;
		case 6:
			cbor_get_fixed(&rd, ret->hash.b, sizeof ret->hash.b);
			break;
		case 7:
			ret->time = object_get_time(&rd);
			break;
		default:
			cbor_skip(&rd);
		}
	cbor_map_need(&rd, &m,
		      KEY_BIT(0) | KEY_BIT(2) | KEY_BIT(3) | KEY_BIT(4) | KEY_BIT(5) | KEY_BIT(6) |
			      KEY_BIT(7));
	return cbor_rd_done(&rd);
}

int
audit_head_parse(struct slice bytes, struct audit_head *ret, struct err *err)
{
	struct audit_head h = {0};
	struct object o;
	int r;

	*ret = (struct audit_head){0};
	r = object_split(&kind, bytes, &o, err);
	if (r == 0)
		r = parse(o.cbor, &h, err);
	if (r == 0)
		r = object_verify(&kind, o.signed_bytes, o.signature, &h.sign_pk, err);
	if (r < 0)
		return r;
	seal_fingerprint(&h.box_pk, &h.sign_pk, &h.signer);
	*ret = h;
	return 0;
}

char *
audit_head_prefix(const struct fingerprint *signer, const uint8_t *log)
{
	if (log == NULL)
		return str_format("audit/%s/", hex(&signer->h).s);
	return str_format("audit/%s/%s/", hex(&signer->h).s, hex_bytes(log, AUDIT_LOG_ID_LEN).s);
}

char *
audit_head_key(const struct audit_head *h, struct slice bytes)
{
	CLEANUP(freep) char *prefix = audit_head_prefix(&h->signer, h->log);
	struct hash id;

	seal_hash(bytes.p, bytes.len, &id);
	return str_format("%s%016" PRIu64 "-%s", prefix, h->seq, hex(&id).s);
}
