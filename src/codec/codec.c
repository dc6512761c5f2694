/*
 * codec.c - one zstd frame, or the bytes as they are.
 *
 * Layer 1.  Format: docs/format.md "Packed bytes".
 */
#include <inttypes.h>
#include <zstd.h>

#include "tillfs/codec.h"

#define TAG_RAW  0x00
#define TAG_ZSTD 0x01

/* Up to this level zstd itself skips what doesn't compress, at the speed of any probe. */
#define FAST_LEVEL 3

/* Bytes looked at by looks_random, in pieces spread over the plaintext. */
#define SAMPLE_PIECE  2048u
#define SAMPLE_PIECES 8u

struct codec {
	int level;
	ZSTD_CCtx *compressor; /* NULL until used, as the two below */
	ZSTD_CCtx *probe;      /* at level 1 */
	ZSTD_DCtx *decompressor;
};

struct codec *
codec_new(int level)
{
	struct codec *c = mem_alloc(sizeof(*c));

	c->level = level;
	return c;
}

void
codec_free(struct codec *c)
{
	if (c == NULL)
		return;
	ZSTD_freeCCtx(c->compressor);
	ZSTD_freeCCtx(c->probe);
	ZSTD_freeDCtx(c->decompressor);
	free(c);
}

/* The shortest frame: neither checksum (the seal has one) nor length (the reader knows it). */
static ZSTD_CCtx *
compressor_new(int level)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();

	if (ctx == NULL)
		return NULL;
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level); /* clamps by itself */
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 0);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 0);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_dictIDFlag, 0);
	return ctx;
}

/*
 * Compresses behind what is in @ret, if it saves 1/32.  zstd stops by itself where the room ends.
 * Without memory for zstd's tables the segment is stored raw, which is right too.
 */
static bool
compress(ZSTD_CCtx **ctx, int level, struct slice plain, struct buf *ret)
{
	size_t room = plain.len - plain.len / 32;
	size_t n;

	if (*ctx == NULL)
		*ctx = compressor_new(level);
	if (*ctx == NULL)
		return false;
	buf_reserve(ret, room);
	n = ZSTD_compress2(*ctx, ret->p + ret->len, room, plain.p, plain.len);
	if (ZSTD_isError(n))
		return false;
	ret->len += n;
	return true;
}

/*
 * Whether the bytes of a few samples are spread so evenly that no entropy coder gains 1/32: that
 * takes an entropy below 7.75 bits, so an n²/Σh² below 2^7.75 = 215 (the collision entropy is never
 * above Shannon's).  16 KiB of noise have about 252.
 */
static bool
looks_random(struct slice plain)
{
	uint32_t count[256] = {0};
	uint64_t squares = 0, n = SAMPLE_PIECE * SAMPLE_PIECES;
	size_t stride = plain.len / SAMPLE_PIECES;

	if (stride < SAMPLE_PIECE)
		return false; /* so little is compressed sooner than thought about */
	for (size_t piece = 0; piece < SAMPLE_PIECES; piece++)
		for (size_t i = 0; i < SAMPLE_PIECE; i++)
			count[plain.p[piece * stride + i]]++;
	for (size_t i = 0; i < ARRAY_LEN(count); i++)
		squares += (uint64_t)count[i] * count[i];
	return squares * 230 < n * n;
}

void
codec_pack(struct codec *c, struct slice plain, struct buf *ret)
{
	size_t start = ret->len;
	bool try_it = plain.len > 0;

	/* A slow level isn't spent on noise in which the fast one, over all of it, found nothing.
	 */
	if (c->level > FAST_LEVEL && looks_random(plain)) {
		buf_append_u8(ret, TAG_ZSTD);
		try_it = compress(&c->probe, 1, plain, ret);
		ret->len = start;
	}

	buf_append_u8(ret, TAG_ZSTD);
	if (try_it && compress(&c->compressor, c->level, plain, ret))
		return;
	ret->len = start;
	buf_append_u8(ret, TAG_RAW);
	buf_append(ret, plain.p, plain.len);
}

/* Exactly one frame of this version, and nothing behind it. */
static bool
is_single_frame(struct slice frame)
{
	uint32_t magic = 0;

	if (frame.len < 4)
		return false;
	for (size_t i = 0; i < 4; i++)
		magic |= (uint32_t)frame.p[i] << (8 * i);
	/* ZSTD_decompress would also pass over "skippable" frames, and read those of old versions.
	 */
	return magic == ZSTD_MAGICNUMBER &&
	       ZSTD_findFrameCompressedSize(frame.p, frame.len) == frame.len;
}

static int
decompress(struct codec *c, struct slice frame, size_t plain_len, struct buf *ret, struct err *err)
{
	unsigned long long stated;
	size_t n;

	if (!is_single_frame(frame))
		return err_set(err, ERR_CORRUPT, "compressed data is not a single zstd frame");
	stated = ZSTD_getFrameContentSize(frame.p, frame.len);
	if (stated != ZSTD_CONTENTSIZE_UNKNOWN && stated != plain_len)
		return err_set(err, ERR_CORRUPT,
			       "compressed data claims %llu bytes where %zu must be", stated,
			       plain_len);

	if (c->decompressor == NULL)
		c->decompressor = ZSTD_createDCtx();
	if (c->decompressor == NULL)
		return err_set(err, ERR_IO, "no memory to decompress %zu bytes", plain_len);

	buf_reserve(ret, plain_len + 1); /* + 1: an address even for nothing */
	n = ZSTD_decompressDCtx(c->decompressor, ret->p, plain_len, frame.p, frame.len);
	if (ZSTD_isError(n))
		return err_set(err, ERR_CORRUPT, "compressed data is damaged: %s",
			       ZSTD_getErrorName(n));
	if (n != plain_len)
		return err_set(err, ERR_CORRUPT,
			       "compressed data holds %zu bytes where %zu must be", n, plain_len);
	ret->len = n;
	return 0;
}

int
codec_unpack(struct codec *c, struct slice packed, size_t plain_len, struct buf *ret,
	     struct err *err)
{
	struct slice body;

	buf_reset(ret);
	if (packed.len == 0)
		return err_set(err, ERR_CORRUPT, "packed data is empty");
	body = slice_of(packed.p + 1, packed.len - 1);

	switch (packed.p[0]) {
	case TAG_RAW:
		if (body.len != plain_len)
			return err_set(err, ERR_CORRUPT,
				       "packed data holds %zu bytes where %zu must be", body.len,
				       plain_len);
		buf_append(ret, body.p, body.len);
		return 0;
	case TAG_ZSTD:
		return decompress(c, body, plain_len, ret, err);
	default:
		return err_set(err, ERR_CORRUPT, "packed data has the unknown tag %u", packed.p[0]);
	}
}
