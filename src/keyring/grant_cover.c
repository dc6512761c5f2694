/*
 * grant_cover.c - what a grant covers, in its author's words: for who lists grants.
 *
 * The keys themselves are sealed to the grantee, so that no admin could tell later what was
 * granted; this says it under the roster key.
 *
 * Layer 2.  Format: docs/format.md section 8.4.
 */
#include "internal.h"

enum cover_key {
	KEY_CASE = 0,
	KEY_CLASSES,
	KEY_WRITERS,
	KEY_FROM,
	KEY_UNTIL,
	KEY_SNAPSHOTS,
};

/* What fits a roster message anyway. */
#define CLASSES_MAX 256u
#define WRITERS_MAX (ROSTER_MAX / sizeof(struct writer_id))

static void
put_lists(struct buf *b, const struct grant_cover *c)
{
	cbor_put_uint(b, KEY_CLASSES);
	cbor_put_array(b, c->n_classes);
	for (size_t i = 0; i < c->n_classes; i++)
		object_put_text(b, slice_str(c->classes[i]));
	cbor_put_uint(b, KEY_WRITERS);
	cbor_put_array(b, c->n_writers);
	for (size_t i = 0; i < c->n_writers; i++)
		cbor_put_bytes(b, c->writers[i].b, sizeof c->writers[i].b);
}

int
grant_cover_seal(const struct grant_cover *c, const struct seal_key *roster, struct buf *ret,
		 struct err *err)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	cbor_put_map(&b, 4 + (c->has_from ? 1u : 0u) + (c->has_until ? 1u : 0u));
	cbor_put_uint(&b, KEY_CASE);
	object_put_text(&b, slice_str(c->case_ref != NULL ? c->case_ref : ""));
	put_lists(&b, c);
	if (c->has_from) {
		cbor_put_uint(&b, KEY_FROM);
		cbor_put_text(&b, date_format(c->from).s);
	}
	if (c->has_until) {
		cbor_put_uint(&b, KEY_UNTIL);
		cbor_put_text(&b, date_format(c->until).s);
	}
	cbor_put_uint(&b, KEY_SNAPSHOTS);
	cbor_put_uint(&b, c->snapshots);
	if (b.len > ROSTER_MAX)
		return err_set(err, ERR_INVALID,
			       "case, classes and writers together are too long for one grant: "
			       "make several, or grant all writers");
	roster_seal(roster, buf_slice(&b), ret);
	return 0;
}

/* ---- reading */

static void
get_classes(struct cbor_rd *rd, struct grant_cover *c)
{
	size_t n = cbor_get_array(rd, CLASSES_MAX);

	c->classes = mem_array(n + 1, sizeof *c->classes);
	for (; c->n_classes < n && cbor_ok(rd); c->n_classes++) {
		struct slice text = cbor_get_text(rd, CLASS_NAME_MAX);

		c->classes[c->n_classes] =
			str_format("%.*s", (int)text.len, text.len > 0 ? (const char *)text.p : "");
	}
}

static void
get_writers(struct cbor_rd *rd, struct grant_cover *c)
{
	size_t n = cbor_get_array(rd, WRITERS_MAX);

	c->writers = mem_array(n + 1, sizeof *c->writers);
	for (; c->n_writers < n && cbor_ok(rd); c->n_writers++)
		cbor_get_fixed(rd, c->writers[c->n_writers].b, sizeof c->writers->b);
}

static void
get_date(struct cbor_rd *rd, bool *has, struct date *ret)
{
	*has = true;
	if (!date_parse(cbor_get_text(rd, 16), ret))
		cbor_fail(rd, "a date is no date");
}

static void
get_field(struct cbor_rd *rd, uint64_t key, struct grant_cover *c)
{
	struct slice text;

	switch (key) {
	case KEY_CASE:
		text = cbor_get_text(rd, ROSTER_MAX);
		c->case_ref =
			str_format("%.*s", (int)text.len, text.len > 0 ? (const char *)text.p : "");
		break;
	case KEY_CLASSES:
		get_classes(rd, c);
		break;
	case KEY_WRITERS:
		get_writers(rd, c);
		break;
	case KEY_FROM:
		get_date(rd, &c->has_from, &c->from);
		break;
	case KEY_UNTIL:
		get_date(rd, &c->has_until, &c->until);
		break;
	case KEY_SNAPSHOTS:
		c->snapshots = cbor_get_uint(rd, UINT64_MAX);
		break;
	default:
		cbor_skip(rd);
	}
}

int
grant_cover_open(const struct grant *g, const struct seal_key *roster, struct grant_cover *ret,
		 struct err *err)
{
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct cbor_rd rd;
	struct cbor_map m;
	int r;

	*ret = (struct grant_cover){0};
	if (g->cover.len == 0)
		return err_set(err, ERR_NOENT, "it doesn't say what it covers");
	r = roster_open(roster, buf_slice(&g->cover), &plain, err);
	if (r < 0)
		return r;
	rd = cbor_rd_init(buf_slice(&plain), "what a grant covers", err);
	m = cbor_get_map(&rd);
	while (cbor_map_next(&rd, &m))
		get_field(&rd, m.key, ret);
	cbor_map_need(&rd, &m,
		      KEY_BIT(KEY_CASE) | KEY_BIT(KEY_CLASSES) | KEY_BIT(KEY_WRITERS) |
			      KEY_BIT(KEY_SNAPSHOTS));
	r = cbor_rd_done(&rd);
	if (r < 0)
		grant_cover_fini(ret);
	return r;
}

void
grant_cover_fini(struct grant_cover *c)
{
	free(c->case_ref);
	for (size_t i = 0; i < c->n_classes; i++)
		free(c->classes[i]);
	free(c->classes);
	free(c->writers);
	*c = (struct grant_cover){0};
}
