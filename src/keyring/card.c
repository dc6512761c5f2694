/*
 * card.c - what an admin hands to a writer or to a grantee: which repository, founded by whom.
 *
 * Layer 2.  Format: docs/format.md section 3.
 */
#include <assert.h>
#include <stdio.h>

#include "internal.h"

static const struct field fields[CARD_FIELDS] = {
	[CARD_VERSION] = {"card", "version"}, [CARD_KIND] = {"card", "kind"},
	[CARD_URL] = {"card", "url"},         [CARD_REPOSITORY] = {"card", "repository"},
	[CARD_FOUNDER] = {"card", "founder"}, [CARD_WRITER] = {"card", "writer"},
	[CARD_NAME] = {"card", "name"},       [CARD_ROSTER] = {"card", "roster"},
	[CARD_CASE] = {"card", "case"},
};

void
card_fields(struct field ret[static CARD_FIELDS])
{
	memcpy(ret, fields, sizeof fields);
}

bool
writer_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len < 1 || len > WRITER_NAME_MAX)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if (!((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
		      (*c >= '0' && *c <= '9') || *c == '_' || *c == '-'))
			return false;
	return true;
}

/* ---- writing */

/* A line whose value comes from outside; it stays one line. */
static void
line_text(struct buf *b, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	buf_appendf(b, "%s = ", key);
	text_append_safe(b, slice_str(value));
	buf_append_str(b, "\n");
}

void
card_format(const struct card *card, struct buf *ret)
{
	bool writer = strcmp(card->kind, "writer") == 0;

	assert(!writer || (writer_name_valid(card->name) && card->roster_box.len == KEY_BOX_LEN));
	buf_append_str(ret, writer ? "# The enrolment of a tillfs writer; tillfs writer import "
				     "takes it.\n"
				   : "# Whom to trust for a tillfs repository.\n");
	buf_appendf(ret, "[card]\nversion = 1\nkind = %s\n", card->kind);
	line_text(ret, "url", card->url);
	buf_appendf(ret, "repository = %s\n",
		    hex_bytes(card->pin.repo.b, sizeof card->pin.repo.b).s);
	buf_appendf(ret, "founder = %s\n", hex(&card->pin.founder.h).s);
	if (writer) {
		buf_appendf(ret, "writer = %s\n",
			    hex_bytes(card->writer.b, sizeof card->writer.b).s);
		buf_appendf(ret, "name = %s\n", card->name);
		line_base64(ret, "roster", card->roster_box.p, card->roster_box.len);
	} else {
		line_text(ret, "case", card->case_ref);
	}
}

/* ---- reading */

static int
misfit(const struct ini *ini, const char *key, const char *kind, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s: %s doesn't belong on the card of a %s", ini->origin,
		       key, kind);
}

static int
get_writer(const struct ini *ini, const struct field *f, struct card *ret, struct err *err)
{
	uint8_t box[KEY_BOX_LEN];
	int r;

	if (f[CARD_CASE].value != NULL)
		return misfit(ini, "case", ret->kind, err);
	r = field_hex(ini, &f[CARD_WRITER], ret->writer.b, sizeof ret->writer.b, err);
	if (r == 0)
		r = field_base64(ini, &f[CARD_ROSTER], box, sizeof box, err);
	if (r < 0)
		return r;
	if (f[CARD_NAME].value == NULL || !writer_name_valid(f[CARD_NAME].value))
		return err_set(err, ERR_INVALID, "%s: name in [card] is no writer's name",
			       ini->origin);
	(void)snprintf(ret->name, sizeof ret->name, "%s", f[CARD_NAME].value);
	buf_append(&ret->roster_box, box, sizeof box);
	return 0;
}

static int
get_grant(const struct ini *ini, const struct field *f, struct card *ret, struct err *err)
{
	for (int i = CARD_WRITER; i <= CARD_ROSTER; i++)
		if (f[i].value != NULL)
			return misfit(ini, f[i].key, ret->kind, err);
	if (f[CARD_CASE].value != NULL)
		ret->case_ref = str_copy(f[CARD_CASE].value);
	return 0;
}

int
card_from_fields(const struct ini *ini, const struct field *f, struct card *ret, struct err *err)
{
	CLEANUP(card_fini) struct card card = {0};
	const char *kind = f[CARD_KIND].value;
	bool writer = kind != NULL && strcmp(kind, "writer") == 0;
	int r;

	*ret = (struct card){0};
	r = field_version(ini, &f[CARD_VERSION], err);
	if (r < 0)
		return r;
	if (!writer && (kind == NULL || strcmp(kind, "grant") != 0))
		return err_set(err, ERR_INVALID, "%s: kind in [card] must be writer or grant",
			       ini->origin);
	(void)snprintf(card.kind, sizeof card.kind, "%s", kind);
	r = field_hex(ini, &f[CARD_REPOSITORY], card.pin.repo.b, sizeof card.pin.repo.b, err);
	if (r == 0)
		r = field_hex(ini, &f[CARD_FOUNDER], card.pin.founder.h.b,
			      sizeof card.pin.founder.h.b, err);
	if (r == 0)
		r = writer ? get_writer(ini, f, &card, err) : get_grant(ini, f, &card, err);
	if (r < 0)
		return r;
	if (f[CARD_URL].value != NULL)
		card.url = str_copy(f[CARD_URL].value);
	*ret = card;
	card = (struct card){0};
	return 0;
}

int
card_parse(struct slice text, const char *origin, struct card *ret, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	struct field f[CARD_FIELDS];
	int r;

	*ret = (struct card){0};
	card_fields(f);
	r = ini_parse(text, origin, &ini, err);
	if (r == 0)
		r = fields_find(&ini, f, CARD_FIELDS, err);
	if (r == 0)
		r = card_from_fields(&ini, f, ret, err);
	return r;
}

void
card_fini(struct card *card)
{
	free(card->url);
	free(card->case_ref);
	buf_fini(&card->roster_box);
	*card = (struct card){0};
}
