/*
 * grant_body.c - what is sealed in a grant or reseal: the roster key, and keys of parts and
 * sections.
 *
 * Layer 2.  Format: docs/format.md section 8.4.
 */
#include <assert.h>

#include "internal.h"

enum body_key { BODY_CASE = 0, BODY_ROSTER, BODY_PARTS, BODY_SECTIONS };

#define KEYS_MAX     (GRANT_OBJECT_MAX / 64) /* an item takes more than 64 bytes */
#define ITEM_MAX     80u                     /* bytes of one item of the body */
#define BODY_REST    256u                    /* bytes of the body besides case and items */
#define CASE_LEN_MAX 4096u

size_t
grant_body_max(const struct grant *g)
{
	size_t case_len = g->case_ref != NULL ? strlen(g->case_ref) : 0;

	assert(case_len <= CASE_LEN_MAX);
	return BODY_REST + 4 * case_len + (g->n_parts + g->n_sections) * ITEM_MAX;
}

/* ---- writing */

static void
put_item(struct buf *b, const struct hash *of, uint32_t ordinal, const struct seal_key *key)
{
	cbor_put_array(b, 3);
	cbor_put_bytes(b, of->b, sizeof of->b);
	cbor_put_uint(b, ordinal);
	cbor_put_bytes(b, key->b, sizeof key->b);
}

void
grant_body_put(struct buf *b, const struct grant *g)
{
	cbor_put_map(b, 4);
	cbor_put_uint(b, BODY_CASE);
	object_put_text(b, slice_str(g->case_ref != NULL ? g->case_ref : ""));
	cbor_put_uint(b, BODY_ROSTER);
	cbor_put_bytes(b, g->roster.b, sizeof g->roster.b);
	cbor_put_uint(b, BODY_PARTS);
	cbor_put_array(b, g->n_parts);
	for (size_t i = 0; i < g->n_parts; i++)
		put_item(b, &g->parts[i].snapshot.h, g->parts[i].ordinal, &g->parts[i].key);
	cbor_put_uint(b, BODY_SECTIONS);
	cbor_put_array(b, g->n_sections);
	for (size_t i = 0; i < g->n_sections; i++)
		put_item(b, &g->sections[i].pack.h, g->sections[i].ordinal, &g->sections[i].key);
}

/* ---- reading */

static void
get_item(struct cbor_rd *rd, uint32_t max, struct hash *of, uint32_t *ordinal, struct seal_key *key)
{
	if (cbor_get_array(rd, 3) != 3) {
		cbor_fail(rd, "a key is not [id, ordinal, key]");
		return;
	}
	cbor_get_fixed(rd, of->b, sizeof of->b);
	*ordinal = (uint32_t)cbor_get_uint(rd, max);
	cbor_get_fixed(rd, key->b, sizeof key->b);
}

static void
get_parts(struct cbor_rd *rd, struct grant *g)
{
	size_t n = cbor_get_array(rd, KEYS_MAX);

	if (n == 0)
		return;
	g->parts = secret_new(n * sizeof *g->parts);
	g->n_parts = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		get_item(rd, SNAPSHOT_CLASSES_MAX, &g->parts[i].snapshot.h, &g->parts[i].ordinal,
			 &g->parts[i].key);
}

static void
get_sections(struct cbor_rd *rd, struct grant *g)
{
	size_t n = cbor_get_array(rd, KEYS_MAX);

	if (n == 0)
		return;
	g->sections = secret_new(n * sizeof *g->sections);
	g->n_sections = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		get_item(rd, PACK_SECTIONS_MAX - 1, &g->sections[i].pack.h, &g->sections[i].ordinal,
			 &g->sections[i].key);
}

int
grant_body_get(struct slice plain, struct grant *g, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(plain, "what is granted", err);
	struct cbor_map m = cbor_get_map(&rd);
	struct slice text;

	while (cbor_map_next(&rd, &m))
		switch (m.key) {
		case BODY_CASE:
			text = cbor_get_text(&rd, 4 * CASE_LEN_MAX);
			g->case_ref = str_format("%.*s", (int)text.len,
						 text.len > 0 ? (const char *)text.p : "");
			break;
		case BODY_ROSTER:
			cbor_get_fixed(&rd, g->roster.b, sizeof g->roster.b);
			break;
		case BODY_PARTS:
			get_parts(&rd, g);
			break;
		case BODY_SECTIONS:
			get_sections(&rd, g);
			break;
		default:
			cbor_skip(&rd);
		}
	cbor_map_need(&rd, &m,
		      KEY_BIT(BODY_CASE) | KEY_BIT(BODY_ROSTER) | KEY_BIT(BODY_PARTS) |
			      KEY_BIT(BODY_SECTIONS));
	return cbor_rd_done(&rd);
}
