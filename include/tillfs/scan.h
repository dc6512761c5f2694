/*
 * scan.h - find payment card numbers in bytes, and count them; none is ever kept or shown.
 *
 * A card number is 13 to 19 digits, in one piece or in the usual groups, that begin as a known
 * issuer's do, with the length that goes with it, and satisfy the Luhn check; nothing alphanumeric
 * touches it.  A track is what a magnetic stripe holds: a number with what follows it there.
 * Bytes are taken for ASCII or UTF-8, and for UTF-16LE.
 *
 * Layer 4: uses base, db.
 */
#ifndef TILLFS_SCAN_H
#define TILLFS_SCAN_H

#include "tillfs/base.h"
#include "tillfs/db_read.h"

struct scan_counts {
	uint64_t cards;  /* numbers that are no part of a track */
	uint64_t tracks; /* of track 1 or 2 */
};

/* Whether digits, and nothing else, are a card's number. */
bool scan_is_card(struct slice digits);

/* Bytes in pieces, in order. */
struct scanner;
struct scanner *scanner_new(void);
void scanner_feed(struct scanner *s, struct slice piece);
/* Ends what was fed; the next piece begins something new.  @ret: all counted so far */
void scanner_finish(struct scanner *s, struct scan_counts *ret);
void scanner_reset(struct scanner *s); /* nothing is counted yet */
void scanner_free(struct scanner *s);  /* wiped */
DEFINE_FREEP(struct scanner *, scanner_free)

/* A value of a database, by itself; whole numbers count as their digits. */
void scan_value(struct scanner *s, const struct db_value *v);
/* The tables whose values are looked at, one a row; virtual ones have others behind them. */
#define SCAN_TABLES     "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
#define SCAN_TABLES_MAX 100000u

/* "2 card numbers, 1 magnetic track"; for people. */
void scan_describe(const struct scan_counts *counts, struct buf *ret);

/**
 * scan_database - look at all values of all tables, each by itself: in a database's pages one
 * touches the next.
 * @ret: counted in it, also before a failure
 *
 * A whole number counts as its digits.  Return: 0, or what reading gives.
 */
MUST_CHECK int scan_database(struct db_read *db, struct scan_counts *ret, struct err *err);

#endif /* TILLFS_SCAN_H */
