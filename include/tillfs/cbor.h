/*
 * cbor.h - deterministic CBOR (RFC 8949 section 4.2): a writer that appends, a reader that never
 * trusts.  The one module that includes libcbor (its streaming coder).
 *
 * The reader is a cursor: after the first error every call fails with the same error, returns zero
 * values, and cbor_rd_done tells.  It refuses indefinite lengths, integers and lengths not in their
 * shortest form, map keys that are not ascending unsigned integers up to CBOR_KEY_MAX, texts that
 * are not UTF-8, tags, floats, null, undefined, and nesting deeper than CBOR_DEPTH_MAX; a length is
 * checked against the bytes that are left before anything is allocated from it.  What cbor_skip
 * passes over is held to the same rules.
 *
 * Layer 1: uses base.
 */
#ifndef TILLFS_CBOR_H
#define TILLFS_CBOR_H

#include "tillfs/base.h"

#define CBOR_DEPTH_MAX 16u /* arrays and maps inside one another */
#define CBOR_KEY_MAX   63u /* so that a word says which keys stood in a map */

/* ---- writing: each appends one item, or the head of an array or map */

void cbor_put_uint(struct buf *b, uint64_t v);
void cbor_put_int(struct buf *b, int64_t v);
void cbor_put_bool(struct buf *b, bool v);
void cbor_put_bytes(struct buf *b, const void *p, size_t len);
void cbor_put_text(struct buf *b, const char *s); /* valid UTF-8 */
void cbor_put_array(struct buf *b, size_t n);     /* @n items follow */
void cbor_put_map(struct buf *b, size_t n);       /* @n pairs follow, keys ascending */

/* ---- reading */

struct cbor_rd {
	const uint8_t *p; /* next byte */
	const uint8_t *end;
	struct err *err;  /* may be NULL */
	const char *what; /* names the structure in errors: "snapshot" */
	int r;            /* 0, or the first error */
	unsigned depth;
	uint64_t left[CBOR_DEPTH_MAX]; /* items still to come in each array or map we are in */
};

/* @bytes: borrowed; must outlive the cursor and every slice it returned. */
struct cbor_rd cbor_rd_init(struct slice bytes, const char *what, struct err *err);

uint64_t cbor_get_uint(struct cbor_rd *rd, uint64_t max); /* refuses more than @max */
int64_t cbor_get_int(struct cbor_rd *rd);
bool cbor_get_bool(struct cbor_rd *rd);
struct slice cbor_get_bytes(struct cbor_rd *rd, size_t max_len); /* borrowed */
void cbor_get_fixed(struct cbor_rd *rd, void *ret, size_t len);  /* a byte string of exactly @len */
struct slice cbor_get_text(struct cbor_rd *rd, size_t max_len);  /* borrowed; UTF-8 is checked */
/* The number of items; refuses more than @max or more than bytes are left. */
size_t cbor_get_array(struct cbor_rd *rd, size_t max);

/*
 * Walking a map with ascending unsigned keys:
 *
 *	struct cbor_map m = cbor_get_map(&rd);
 *	while (cbor_map_next(&rd, &m))
 *		switch (m.key) {
 *		case 1: x = cbor_get_uint(&rd, 10); break;
 *		default: cbor_skip(&rd);      // what a newer version added
 *		}
 *	cbor_map_need(&rd, &m, KEY_BIT(1) | KEY_BIT(3));
 */
struct cbor_map {
	uint64_t left;
	uint64_t key;
	uint64_t seen; /* bit k: key k stood there */
	bool first;
};
struct cbor_map cbor_get_map(struct cbor_rd *rd);
bool cbor_map_next(struct cbor_rd *rd, struct cbor_map *m);
#define KEY_BIT(k) (UINT64_C(1) << (k))
/* Fails the cursor with ERR_CORRUPT unless all keys of @mask stood in the map. */
void cbor_map_need(struct cbor_rd *rd, const struct cbor_map *m, uint64_t mask);

void cbor_skip(struct cbor_rd *rd); /* one item, whatever it is */
/* Fails the cursor with ERR_CORRUPT and "<what>: <text>". */
void cbor_fail(struct cbor_rd *rd, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool cbor_ok(const struct cbor_rd *rd);

/* Return: 0 when everything was read, without error and to the last byte; else the first error. */
MUST_CHECK int cbor_rd_done(struct cbor_rd *rd);

#endif /* TILLFS_CBOR_H */
