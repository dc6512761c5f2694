/*
 * private.h - what nodes and leaves share.
 */
#ifndef STREAM_PRIVATE_H
#define STREAM_PRIVATE_H

#include "tillfs/stream.h"

void segment_ref_put(struct buf *b, const struct segment_ref *ref);
/* Four integers, checked against all bounds that don't need the pack's geometry. */
void segment_ref_get(struct cbor_rd *rd, const struct pack_table *packs, bool has_holder,
		     struct segment_ref *ret);

#endif /* STREAM_PRIVATE_H */
