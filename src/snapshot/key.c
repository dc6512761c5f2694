/*
 * key.c - snapshots/<writer>/<date>/<time>-<seq>-<id>: all a listing tells of a snapshot.
 *
 * Layer 2.  Format: docs/format.md section 2.
 */
#include "tillfs/snapshot.h"

#include <inttypes.h>
#include <stdio.h>

/* Every part has a fixed width, so each stands at a fixed offset. */
#define PREFIX     "snapshots/"
#define WRITER_OFF (sizeof PREFIX - 1)
#define WRITER_LEN 16u
#define DATE_OFF   (WRITER_OFF + WRITER_LEN + 1)
#define DATE_LEN   10u
#define TIME_OFF   (DATE_OFF + DATE_LEN + 1)
#define TIME_LEN   20u
#define SEQ_OFF    (TIME_OFF + TIME_LEN + 1)
#define SEQ_LEN    10u
#define ID_OFF     (SEQ_OFF + SEQ_LEN + 1)
#define ID_LEN     64u
#define KEY_LEN    (ID_OFF + ID_LEN)

struct snapshot_key_text
snapshot_key_format(const struct snapshot_name *name)
{
	struct snapshot_key_text ret;

	(void)snprintf(ret.s, sizeof ret.s, PREFIX "%.16s/%.10s/%.20s-%010" PRIu64 "-%s",
		       hex_bytes(name->writer.b, sizeof name->writer.b).s,
		       date_format(name->date).s, time_format_key(name->time).s, name->seq,
		       hex(&name->id.h).s);
	return ret;
}

/* Digits only; their number keeps the value below 2^64. */
static bool
parse_seq(const char *digits, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < SEQ_LEN; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(digits[i] - '0');
	}
	return *ret > 0;
}

bool
snapshot_key_parse(const char *key, struct snapshot_name *ret)
{
	struct snapshot_name name = {0};

	*ret = (struct snapshot_name){0};
	if (strlen(key) != KEY_LEN)
		return false;
	if (!hex_parse(slice_of(key + WRITER_OFF, WRITER_LEN), name.writer.b,
		       sizeof name.writer.b) ||
	    !date_parse(slice_of(key + DATE_OFF, DATE_LEN), &name.date) ||
	    !time_parse_key(slice_of(key + TIME_OFF, TIME_LEN), &name.time) ||
	    !parse_seq(key + SEQ_OFF, &name.seq) ||
	    !hex_parse(slice_of(key + ID_OFF, ID_LEN), name.id.h.b, sizeof name.id.h.b))
		return false;
	/* Separators, and every other way of writing the same. */
	if (strcmp(snapshot_key_format(&name).s, key) != 0)
		return false;
	*ret = name;
	return true;
}
