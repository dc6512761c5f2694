/*
 * item.h - one CBOR item, out of libcbor's callbacks.
 */
#ifndef TILLFS_CBOR_ITEM_H
#define TILLFS_CBOR_ITEM_H

#include "tillfs/cbor.h"

enum item_type {
	ITEM_REFUSED, /* a tag, float, null, undefined, indefinite length or stray break */
	ITEM_UINT,
	ITEM_NEGINT, /* the number is -1 - value */
	ITEM_BYTES,
	ITEM_TEXT,
	ITEM_ARRAY,
	ITEM_MAP,
	ITEM_BOOL,
};

struct item {
	enum item_type type;
	uint64_t value; /* the number, length, count or truth */
	const uint8_t *bytes;
};

enum item_status { ITEM_OK, ITEM_CUT_OFF, ITEM_NOT_ALLOWED, ITEM_NOT_SHORTEST };

/**
 * item_decode - decode the item that @bytes begins with: its head, and a string's bytes.
 * @bytes:   not empty
 * @ret:     borrows from @bytes
 * @ret_len: how many bytes it takes
 */
enum item_status item_decode(struct slice bytes, struct item *ret, size_t *ret_len);

#endif /* TILLFS_CBOR_ITEM_H */
