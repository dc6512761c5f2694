/*
 * codec.c - the skin over zstd.
 *
 * Layer 1.  Format: docs/format.md section 1, "Packed bytes".
 */
#include "tillfs/codec.h"

#include <zstd.h>

enum tag { TAG_RAW = 0, TAG_ZSTD = 1 };

#define PROBE_FROM (32u * KIB) /* below this a probe costs as much as the work */
#define PROBE_LEN  (4u * KIB)

struct codec {
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	int level;
};

struct codec *
codec_new(int level)
{
	struct codec *c = mem_alloc(sizeof *c);

	c->cctx = ZSTD_createCCtx();
	c->dctx = ZSTD_createDCtx();
	if (c->cctx == NULL || c->dctx == NULL)
		abort();
	c->level = level;
	return c;
}

void
codec_free(struct codec *c)
{
	if (c == NULL)
		return;
	ZSTD_freeCCtx(c->cctx);
	ZSTD_freeDCtx(c->dctx);
	free(c);
}

static bool
saves(size_t plain, size_t packed)
{
	return packed < plain - plain / 32;
}

/* Whether three samples, cheaply tried, all refuse to shrink. */
static bool
incompressible(struct codec *c, struct slice plain)
{
	uint8_t out[PROBE_LEN + 512];

	if (plain.len < PROBE_FROM)
		return false;
	for (size_t i = 0; i < 3; i++) {
		const uint8_t *at = plain.p + (plain.len - PROBE_LEN) / 2 * i;
		size_t n = ZSTD_compressCCtx(c->cctx, out, sizeof out, at, PROBE_LEN, 1);

		if (!ZSTD_isError(n) && saves(PROBE_LEN, n))
			return false;
	}
	return true;
}

void
codec_pack(struct codec *c, struct slice plain, struct buf *ret)
{
	size_t at = ret->len, n, room;

	if (!incompressible(c, plain)) {
		/* No room to grow: what doesn't shrink is an error, and stored raw. */
		room = plain.len;
		buf_reserve(ret, room + 1);
		buf_append_u8(ret, TAG_ZSTD);
		ZSTD_CCtx_reset(c->cctx, ZSTD_reset_session_and_parameters);
		ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, c->level);
		ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_contentSizeFlag, 0);
		n = ZSTD_compress2(c->cctx, ret->p + ret->len, room, plain.p, plain.len);
		if (!ZSTD_isError(n) && saves(plain.len, n)) {
			ret->len += n;
			return;
		}
		ret->len = at;
	}
	buf_append_u8(ret, TAG_RAW);
	buf_append(ret, plain.p, plain.len);
}

static int
unpack_zstd(struct codec *c, struct slice body, size_t plain_len, struct buf *ret, struct err *err)
{
	size_t n, frame = ZSTD_findFrameCompressedSize(body.p, body.len);

	if (ZSTD_isError(frame) || frame != body.len)
		return err_set(err, ERR_CORRUPT, "compressed bytes are no single frame");
	n = ZSTD_decompressDCtx(c->dctx, buf_extend(ret, plain_len), plain_len, body.p, body.len);
	if (ZSTD_isError(n) || n != plain_len)
		return err_set(err, ERR_CORRUPT,
			       "compressed bytes are damaged or of another length");
	return 0;
}

int
codec_unpack(struct codec *c, struct slice packed, size_t plain_len, struct buf *ret,
	     struct err *err)
{
	struct slice body;
	int r = 0;

	buf_reset(ret);
	if (packed.len < 1)
		return err_set(err, ERR_CORRUPT, "packed bytes are empty");
	body = slice_of(packed.p + 1, packed.len - 1);
	if (packed.p[0] == TAG_ZSTD)
		r = unpack_zstd(c, body, plain_len, ret, err);
	else if (packed.p[0] != TAG_RAW || body.len != plain_len)
		r = err_set(err, ERR_CORRUPT, "packed bytes of an unknown kind or another length");
	else
		buf_append(ret, body.p, body.len);
	if (r < 0)
		buf_reset(ret);
	return r;
}
