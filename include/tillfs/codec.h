/*
 * codec.h - compression of segments.  The one module that includes zstd.
 *
 * A packed message is one tag byte (0 raw, 1 zstd) and the body.  The reader says beforehand how
 * long the plaintext must be, so a decompression bomb can't grow.
 *
 * Layer 1: uses base.  Format: docs/format.md "Segments".
 */
#ifndef TILLFS_CODEC_H
#define TILLFS_CODEC_H

#include "tillfs/base.h"

/* A compressor's working memory; one per thread. */
struct codec;

struct codec *codec_new(int level);
void codec_free(struct codec *c);
DEFINE_FREEP(struct codec *, codec_free)

/**
 * codec_pack - compress, or store raw what doesn't get smaller by at least 1/32.
 * @ret: appended to; at most plain.len + 1 bytes
 *
 * What looks incompressible after a cheap probe isn't tried at full cost.
 * Threads: one thread a codec.
 */
void codec_pack(struct codec *c, struct slice plain, struct buf *ret);

/**
 * codec_unpack - the inverse.
 * @plain_len: the exact length the plaintext must have; bounded by the caller
 * @ret:       replaced; empty on failure
 *
 * Return: 0, or ERR_CORRUPT for an unknown tag, a damaged frame, or another length.
 */
MUST_CHECK int codec_unpack(struct codec *c, struct slice packed, size_t plain_len, struct buf *ret,
			    struct err *err);

#endif /* TILLFS_CODEC_H */
