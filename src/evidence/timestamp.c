/*
 * timestamp.c - RFC 3161: an authority's word that a statement existed at a time.
 *
 * The answer is stored as it came, for `openssl ts -verify`; here it is only made sure that it
 * grants, and is about the statement that was asked for.
 */
#include "internal.h"

#include "tillfs/store.h"

#define NONCE_LEN 8u

/* TimeStampReq: version 1, SHA-256 of the statement, a nonce, and the wish for certificates. */
static const uint8_t request_head[] = {0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30,
				       0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
				       0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t nonce_head[] = {0x02, NONCE_LEN};
static const uint8_t request_tail[] = {0x01, 0x01, 0xff};

/* Steps into a DER item of @tag.  Return: its content; empty when it isn't one. */
static struct slice
enter(struct slice s, uint8_t tag)
{
	size_t len, head = 2;

	if (s.len < 2 || s.p[0] != tag)
		return (struct slice){0};
	len = s.p[1];
	if (len > 0x80) {
		size_t n = len & 0x7f;

		if (n > 4 || s.len < 2 + n)
			return (struct slice){0};
		len = 0;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | s.p[2 + i];
		head += n;
	}
	return len <= s.len - head ? slice_of(s.p + head, len) : (struct slice){0};
}

/* TimeStampResp begins with PKIStatusInfo, whose status is 0 or 1 when the stamp is there. */
static bool
is_granted(struct slice answer)
{
	struct slice status = enter(enter(enter(answer, 0x30), 0x30), 0x02);

	return status.len == 1 && status.p[0] <= 1;
}

static bool
contains(struct slice whole, const void *part, size_t len)
{
	return memmem(whole.p, whole.len, part, len) != NULL;
}

int
timestamp_get(const char *url, const char *cacert, struct slice text, struct buf *ret,
	      struct err *err)
{
	CLEANUP(buf_fini) struct buf request = BUF_INIT;
	uint8_t nonce[NONCE_LEN];
	struct hash hash;
	int r;

	seal_sha256(text.p, text.len, &hash);
	seal_random(nonce, sizeof nonce);
	nonce[0] = (uint8_t)((nonce[0] & 0x3f) | 0x40); /* positive, and of full length */
	buf_append(&request, request_head, sizeof request_head);
	buf_append(&request, hash.b, sizeof hash.b);
	buf_append(&request, nonce_head, sizeof nonce_head);
	buf_append(&request, nonce, sizeof nonce);
	buf_append(&request, request_tail, sizeof request_tail);
	r = store_post(url, "application/timestamp-query", buf_slice(&request), cacert, ret, err);
	if (r < 0)
		return err_add(err, r, "time stamp");
	if (!is_granted(buf_slice(ret)))
		return err_set(err, ERR_DENIED, "the time stamp authority %s refused", url);
	if (!contains(buf_slice(ret), hash.b, sizeof hash.b) ||
	    !contains(buf_slice(ret), nonce, sizeof nonce))
		return err_set(err, ERR_AUTH,
			       "the time stamp authority %s answered for something else", url);
	return 0;
}
