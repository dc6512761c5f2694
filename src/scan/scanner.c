/*
 * scanner.c - bytes in pieces: what stands across two of them is seen too.
 *
 * Every byte of a card's number but its separators is a digit, and it has 13 of them at least: so
 * of two neighbouring bytes in every twelve one must be a digit, and where neither is, eleven
 * others need no look.
 *
 * Layer 4.
 */
#include <inttypes.h>

#include "scan/internal.h"
#include "tillfs/seal.h"

#define STRIDE  12u
#define CONTEXT 2u /* bytes before a number that matter */

/* Text of one width, as far as it isn't judged. */
struct strand {
	struct buf text;
	size_t at; /* judged up to here */
};

struct scanner {
	struct strand plain;
	struct strand wide[2]; /* UTF-16LE, from even and from odd bytes on */
	struct scan_counts counts;
	uint64_t fed; /* bytes of this text */
	uint8_t last;
};

struct scanner *
scanner_new(void)
{
	return mem_alloc(sizeof(struct scanner));
}

/* The first digit of the next run that may matter, or the end. */
static size_t
next_run(struct slice t, size_t at)
{
	size_t start = at;

	while (at + 1 < t.len && !is_digit(t.p[at]) && !is_digit(t.p[at + 1]))
		at += STRIDE;
	/* Back over what was stepped over. */
	at = at > start + STRIDE ? at - STRIDE + 1 : start;
	while (at < t.len && !is_digit(t.p[at]))
		at++;
	return at < t.len ? at : t.len;
}

static void
judge(struct scanner *s, struct strand *x, bool is_end)
{
	struct slice t = buf_slice(&x->text);
	size_t at = x->at, keep;

	for (;;) {
		size_t end;

		at = next_run(t, at);
		/* What begins so late may go on in the next piece. */
		if (at == t.len || (!is_end && t.len - at < SCAN_REACH))
			break;
		switch (scan_at(t, at, &end)) {
		case FOUND_CARD:
			s->counts.cards++;
			break;
		case FOUND_TRACK:
			s->counts.tracks++;
			break;
		case FOUND_NOTHING:
			break;
		}
		at = end;
	}
	keep = at > CONTEXT ? at - CONTEXT : 0;
	seal_wipe(x->text.p, keep);
	if (t.len > keep)
		memmove(x->text.p, x->text.p + keep, t.len - keep);
	x->text.len = t.len - keep;
	x->at = at - keep;
}

/* The low bytes of characters whose high byte is zero; others are nothing to us. */
static void
widen(struct scanner *s, struct slice piece)
{
	for (size_t i = 0; i < piece.len; i++) {
		struct strand *x = &s->wide[(s->fed + i + 1) % 2];

		if (s->fed + i == 0)
			s->last = piece.p[0];
		else
			buf_append_u8(&x->text, piece.p[i] == 0 ? s->last : 0);
		s->last = piece.p[i];
	}
}

void
scanner_feed(struct scanner *s, struct slice piece)
{
	if (piece.len == 0)
		return;
	buf_append(&s->plain.text, piece.p, piece.len);
	judge(s, &s->plain, false);
	/* Without zero bytes there are no wide digits. */
	if (s->wide[0].text.len + s->wide[1].text.len > 0 ||
	    memchr(piece.p, 0, piece.len) != NULL || s->fed == 0) {
		widen(s, piece);
		judge(s, &s->wide[0], false);
		judge(s, &s->wide[1], false);
	}
	s->fed += piece.len;
}

void
scanner_finish(struct scanner *s, struct scan_counts *ret)
{
	struct strand *all[] = {&s->plain, &s->wide[0], &s->wide[1]};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		judge(s, all[i], true);
		seal_wipe(all[i]->text.p, all[i]->text.len);
		buf_reset(&all[i]->text);
		all[i]->at = 0;
	}
	s->fed = 0;
	*ret = s->counts;
}

void
scanner_reset(struct scanner *s)
{
	struct scan_counts ignored;

	scanner_finish(s, &ignored);
	s->counts = (struct scan_counts){0};
}

void
scanner_free(struct scanner *s)
{
	if (s == NULL)
		return;
	buf_wipe(&s->plain.text);
	buf_wipe(&s->wide[0].text);
	buf_wipe(&s->wide[1].text);
	free(s);
}

static void
describe(struct buf *b, uint64_t n, const char *what)
{
	if (n == 0)
		return;
	buf_appendf(b, "%s%" PRIu64 " %s%s", b->len > 0 ? ", " : "", n, what, n == 1 ? "" : "s");
}

void
scan_describe(const struct scan_counts *counts, struct buf *ret)
{
	buf_reset(ret);
	describe(ret, counts->cards, "card number");
	describe(ret, counts->tracks, "magnetic track");
}
