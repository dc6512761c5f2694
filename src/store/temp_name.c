/*
 * temp_name.c - names of objects while they are written to a distant server.
 *
 * The name tells when it was made, because servers tell ages in too many ways.  None is used
 * twice: after a broken connection the server may still be writing to it.
 *
 * Layer 1.
 */
#include "store/folders.h"
#include "tillfs/seal.h"

/* No upload takes a day; the rest is for clocks that are wrong. */
#define TEMP_AGE_MAX_SEC (3 * 24 * 60 * 60)
#define TIME_TEXT_LEN    20u /* 2026-11-20T23-00-05Z */

char *
temp_name_new(void)
{
	uint8_t random[12];

	seal_random(random, sizeof random);
	return str_format(TEMP_FOLDER "/%s-%s", time_format_key(time_now()).s,
			  hex_bytes(random, sizeof random).s);
}

bool
temp_name_is_old(const char *name)
{
	int64_t made;

	return strlen(name) > TIME_TEXT_LEN && name[TIME_TEXT_LEN] == '-' &&
	       time_parse_key(slice_of(name, TIME_TEXT_LEN), &made) &&
	       made < time_now() - TEMP_AGE_MAX_SEC;
}
