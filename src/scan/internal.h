/*
 * internal.h - what the files of this module share.
 *
 * Layer 4.
 */
#ifndef SCAN_INTERNAL_H
#define SCAN_INTERNAL_H

#include "tillfs/scan.h"

/* The longest thing that is looked for: track 1 has 79 characters. */
#define SCAN_REACH 128u

enum scan_found { FOUND_NOTHING, FOUND_CARD, FOUND_TRACK };

/**
 * scan_at - what begins at a digit.
 * @text: with as much before @at as there was, at least two bytes
 * @ret_end: where looking goes on
 */
enum scan_found scan_at(struct slice text, size_t at, size_t *ret_end);

static inline bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

#endif /* SCAN_INTERNAL_H */
