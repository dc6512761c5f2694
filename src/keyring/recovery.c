/*
 * recovery.c - an identity as a page of text that is printed, kept in a safe, and typed in again.
 *
 * A line carries 10 bytes as four groups of four characters of Crockford's base 32, and a fifth
 * group that checks them, so that a typing error is found, and nearly always where it is.
 *
 * Layer 2.  Format: docs/format.md section 3.1.
 */
#include <ctype.h>
#include <stdio.h>

#include "internal.h"

#define LINE_BYTES   10u
#define DATA_CHARS   16u /* five bits each */
#define CHECK_CHARS  4u
#define LINE_CHARS   (DATA_CHARS + CHECK_CHARS)
#define GROUP        4u
#define SECRET_LINES 4u /* the seed, and 8 bytes that check it */
#define PIN_LINES    5u
#define PINS_MAX     40u
#define LINES_MAX    (PINS_MAX * PIN_LINES)

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* A typed line: its characters as values 0 … 31. */
struct line {
	bool given;
	uint8_t v[LINE_CHARS];
};

/* The lines of a page, by letter: S the secret, T whom it trusts.  Secret memory. */
struct page {
	struct line s[SECRET_LINES], t[LINES_MAX];
	size_t n_t;
};

/* ---- one line ----------------------------------------------------------------------------- */

static void
to_values(const uint8_t bytes[LINE_BYTES], uint8_t ret[DATA_CHARS])
{
	for (size_t i = 0; i < DATA_CHARS; i++) {
		size_t bit = 5 * i;
		unsigned two = (unsigned)bytes[bit / 8] << 8 |
			       (bit / 8 + 1 < LINE_BYTES ? bytes[bit / 8 + 1] : 0u);

		ret[i] = two >> (11 - bit % 8) & 31;
	}
}

static void
to_bytes(const uint8_t values[DATA_CHARS], uint8_t ret[LINE_BYTES])
{
	memset(ret, 0, LINE_BYTES);
	for (size_t i = 0; i < DATA_CHARS; i++)
		for (size_t k = 0; k < 5; k++)
			if ((values[i] >> (4 - k) & 1) != 0)
				ret[(5 * i + k) / 8] |= (uint8_t)(0x80u >> (5 * i + k) % 8);
}

static void
check_group(char letter, size_t number, const uint8_t bytes[LINE_BYTES], uint8_t ret[CHECK_CHARS])
{
	uint8_t message[2 + LINE_BYTES] = {(uint8_t)letter, (uint8_t)number};
	struct hash h;

	memcpy(message + 2, bytes, LINE_BYTES);
	seal_hash_purpose("tillfs sheet", message, sizeof message, &h);
	seal_wipe(message, sizeof message);
	for (size_t i = 0; i < CHECK_CHARS; i++)
		ret[i] = h.b[i] & 31;
}

static bool
fits(char letter, size_t number, const uint8_t v[LINE_CHARS])
{
	uint8_t bytes[LINE_BYTES], check[CHECK_CHARS];
	bool ret;

	to_bytes(v, bytes);
	check_group(letter, number, bytes, check);
	ret = memcmp(check, v + DATA_CHARS, CHECK_CHARS) == 0;
	seal_wipe(bytes, sizeof bytes);
	return ret;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void
append_lines(struct buf *b, char letter, size_t first, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t v[LINE_CHARS];

		to_values(bytes + i * LINE_BYTES, v);
		check_group(letter, first + i, bytes + i * LINE_BYTES, v + DATA_CHARS);
		buf_appendf(b, "%c%-3zu", letter, first + i);
		for (size_t k = 0; k < LINE_CHARS; k++) {
			buf_append_str(b, k % GROUP == 0 ? (k == DATA_CHARS ? "   " : " ") : "");
			buf_append_u8(b, (uint8_t)alphabet[v[k]]);
		}
		buf_append_u8(b, '\n');
		seal_wipe(v, sizeof v);
	}
}

static void
append_secret(struct buf *b, const struct seal_key *seed)
{
	CLEANUP(secret_freep) uint8_t *bytes = secret_new((size_t)SECRET_LINES * LINE_BYTES);
	struct hash check;

	memcpy(bytes, seed->b, sizeof seed->b);
	seal_hash_purpose("tillfs sheet", seed->b, sizeof seed->b, &check);
	memcpy(bytes + sizeof seed->b, check.b, SECRET_LINES * LINE_BYTES - sizeof seed->b);
	append_lines(b, 'S', 1, bytes, SECRET_LINES);
}

void
recovery_format(const struct recovery *r, const struct fingerprint *self, struct buf *ret)
{
	buf_appendf(
		ret,
		"TILLFS RECOVERY SHEET\n\n"
		"Identity  %s\n"
		"Printed   %s\n\n"
		"Whoever has this page can read all that the identity can. Keep it in a safe, away "
		"from the\nmachines, and destroy what printed it from.\n\n"
		"To rebuild the identity, type the lines that begin with S and T into a file and "
		"run\n\n    tillfs identity recover FILE new.key\n\n"
		"Spaces don't matter, nor small or capital letters. There is no letter I, L, O or "
		"U: what looks\nlike one is a digit. The last group of a line checks the others: a "
		"typing error is found, and said\nwhere.\n\n",
		hex(&self->h).s, time_format_rfc3339(time_now()).s);
	append_secret(ret, r->seed);
	if (r->n_pins > 0)
		buf_append_str(
			ret, "\nWhom it trusts (repositories and their founders; no secret):\n\n");
	for (size_t i = 0; i < r->n_pins && i < PINS_MAX; i++) {
		uint8_t bytes[PIN_LINES * LINE_BYTES] = {0};

		memcpy(bytes, r->pins[i].repo.b, sizeof r->pins[i].repo);
		memcpy(bytes + sizeof r->pins[i].repo, r->pins[i].founder.h.b,
		       sizeof r->pins[i].founder);
		append_lines(ret, 'T', i * PIN_LINES + 1, bytes, PIN_LINES);
	}
}

/* ---- where an error is --------------------------------------------------------------------- */

/* Finds the one substitution or swap of neighbours that would make the line right. */
static bool
locate(char letter, size_t number, const struct line *line, size_t *ret_at, bool *ret_swap)
{
	uint8_t v[LINE_CHARS];
	size_t n = 0;

	memcpy(v, line->v, sizeof v);
	for (size_t i = 0; i < LINE_CHARS; i++) {
		for (uint8_t c = 0; c < 32; c++) {
			v[i] = c;
			if (c == line->v[i] || !fits(letter, number, v))
				continue;
			n++;
			*ret_at = i;
			*ret_swap = false;
		}
		v[i] = line->v[i];
		if (i + 1 == LINE_CHARS || line->v[i] == line->v[i + 1])
			continue;
		v[i] = line->v[i + 1];
		v[i + 1] = line->v[i];
		if (fits(letter, number, v)) {
			n++;
			*ret_at = i;
			*ret_swap = true;
		}
		v[i] = line->v[i];
		v[i + 1] = line->v[i + 1];
	}
	seal_wipe(v, sizeof v);
	return n == 1;
}

/* What is wrong with a line, without telling what would be right: that is secret. */
static void
complain(char letter, size_t number, const struct line *line, struct buf *why)
{
	size_t at;
	bool swap;

	buf_appendf(why, "%sline %c%zu", why->len > 0 ? "; " : "", letter, number);
	if (!line->given)
		buf_append_str(why, " is missing");
	else if (!locate(letter, number, line, &at, &swap))
		buf_append_str(why, " has typing errors: compare it with the sheet");
	else if (swap && at / GROUP == (at + 1) / GROUP)
		buf_appendf(why, " has characters %zu and %zu of group %zu swapped", at % GROUP + 1,
			    at % GROUP + 2, at / GROUP + 1);
	else
		buf_appendf(why, " has a typing error in group %zu, at character %zu",
			    at / GROUP + 1, at % GROUP + 1);
}

/* ---- reading ------------------------------------------------------------------------------ */

static int
value_of(int c)
{
	const char *p;

	c = toupper(c);
	c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c == 'U' ? 'V' : c;
	p = c != '\0' ? strchr(alphabet, c) : NULL;
	return p != NULL ? (int)(p - alphabet) : -1;
}

/* "S3", "t12:" and the like.  Return: the place of the line, or NULL for other text. */
static struct line *
find_line(struct page *page, struct slice *text, char *ret_letter, size_t *ret_number)
{
	size_t i = 1, number = 0;

	*ret_letter = (char)(text->len > 1 ? toupper(text->p[0]) : 0);
	while (i < text->len && i < 4 && isdigit(text->p[i]))
		number = number * 10 + (size_t)(text->p[i++] - '0');
	if ((*ret_letter != 'S' && *ret_letter != 'T') || i == 1 || number == 0 ||
	    (i < text->len && isalnum(text->p[i])))
		return NULL;
	*ret_number = number;
	*text = slice_of(text->p + i, text->len - i);
	if (*ret_letter == 'S')
		return number <= SECRET_LINES ? &page->s[number - 1] : NULL;
	if (number > LINES_MAX)
		return NULL;
	if (number > page->n_t)
		page->n_t = number;
	return &page->t[number - 1];
}

static void
take_line(struct page *page, struct slice text, struct buf *why)
{
	char letter;
	size_t number, n = 0;
	struct line *line = find_line(page, &text, &letter, &number);

	if (line == NULL)
		return;
	for (size_t i = 0; i < text.len; i++) {
		int v = value_of(text.p[i]);

		if (v >= 0 && n < LINE_CHARS)
			line->v[n] = (uint8_t)v;
		if (v >= 0)
			n++;
		else if (isalnum(text.p[i]) || text.p[i] >= 0x80)
			n = LINE_CHARS + 1;
	}
	line->given = n == LINE_CHARS;
	if (!line->given)
		buf_appendf(
			why,
			"%sline %c%zu has not the five groups of four letters and digits that it "
			"should",
			why->len > 0 ? "; " : "", letter, number);
}

static void
take_lines(struct page *page, struct slice text, struct buf *why)
{
	while (text.len > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.p) : text.len;
		struct slice line = slice_of(text.p, len);

		while (line.len > 0 && isspace(line.p[0]))
			line = slice_of(line.p + 1, line.len - 1);
		take_line(page, line, why);
		len += end != NULL;
		text = slice_of(text.p + len, text.len - len);
	}
}

static void
check_lines(const struct page *page, struct buf *why)
{
	size_t n_t = (page->n_t + PIN_LINES - 1) / PIN_LINES * PIN_LINES;

	for (size_t i = 0; i < SECRET_LINES; i++)
		if (!page->s[i].given || !fits('S', i + 1, page->s[i].v))
			complain('S', i + 1, &page->s[i], why);
	for (size_t i = 0; i < n_t; i++)
		if (!page->t[i].given || !fits('T', i + 1, page->t[i].v))
			complain('T', i + 1, &page->t[i], why);
}

static void
take_pins(const struct page *page, struct recovery *ret)
{
	ret->n_pins = page->n_t / PIN_LINES;
	ret->pins = mem_array(ret->n_pins + 1, sizeof *ret->pins);
	for (size_t i = 0; i < ret->n_pins; i++) {
		uint8_t bytes[PIN_LINES * LINE_BYTES];

		for (size_t k = 0; k < PIN_LINES; k++)
			to_bytes(page->t[i * PIN_LINES + k].v, bytes + k * LINE_BYTES);
		memcpy(ret->pins[i].repo.b, bytes, sizeof ret->pins[i].repo);
		memcpy(ret->pins[i].founder.h.b, bytes + sizeof ret->pins[i].repo,
		       sizeof ret->pins[i].founder);
	}
}

static int
take_seed(const struct page *page, const char *origin, struct recovery *ret, struct err *err)
{
	CLEANUP(secret_freep) uint8_t *bytes = secret_new((size_t)SECRET_LINES * LINE_BYTES);
	struct hash check;

	for (size_t i = 0; i < SECRET_LINES; i++)
		to_bytes(page->s[i].v, bytes + i * LINE_BYTES);
	seal_hash_purpose("tillfs sheet", bytes, SEAL_KEY_LEN, &check);
	if (memcmp(check.b, bytes + SEAL_KEY_LEN, SECRET_LINES * LINE_BYTES - SEAL_KEY_LEN) != 0)
		return err_set(err, ERR_INVALID,
			       "%s: the lines S1 to S4 are each right, but not of one sheet",
			       origin);
	memcpy(ret->seed->b, bytes, SEAL_KEY_LEN);
	return 0;
}

int
recovery_parse(struct slice text, const char *origin, struct recovery *ret, struct err *err)
{
	CLEANUP(secret_freep) struct page *page = secret_new(sizeof *page);
	CLEANUP(buf_fini) struct buf why = BUF_INIT;
	int r;

	*ret = (struct recovery){0};
	memset(page, 0, sizeof *page);
	take_lines(page, text, &why);
	if (why.len == 0)
		check_lines(page, &why);
	if (why.len > 0)
		return err_set(err, ERR_INVALID, "%s: %s", origin, buf_cstr(&why));
	ret->seed = secret_new(sizeof *ret->seed);
	r = take_seed(page, origin, ret, err);
	if (r < 0) {
		recovery_fini(ret);
		return r;
	}
	take_pins(page, ret);
	return 0;
}

void
recovery_fini(struct recovery *r)
{
	secret_free(r->seed);
	free(r->pins);
	*r = (struct recovery){0};
}
