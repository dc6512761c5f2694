/*
 * class.c - a class part's plaintext: root directory, counts, and the packs it reaches.
 *
 * Whoever got a snapshot_class knows that every pack its root refers to is in its list (I-7), and
 * that the areas listed lie inside their packs.
 *
 * Layer 2.  Format: docs/format.md section 8.2.
 */
#include <assert.h>

#include "internal.h"

enum class_key { KEY_NAME = 0, KEY_ROOT, KEY_COUNTS, KEY_PACKS, KEY_NO_XATTRS };

#define PLACE_FIELDS    7u
#define HEADER_MIN      12u                      /* magic and length */
#define CLASS_PACKS_MAX (SNAPSHOT_PART_MAX / 64) /* a place takes more than 64 bytes */

/* ---- writing */

static void
put_root(struct buf *b, const struct snapshot_class *c)
{
	uint32_t n = c->root_packs.n > 1 ? c->root_packs.n - 1 : 0;

	assert(c->root.type == ENTRY_DIR && c->root.name.len == 0);
	assert(!c->root_packs.has_holder && n <= NODE_PACKS_MAX);
	cbor_put_array(b, 2);
	for (uint32_t i = 1; i <= n; i++) /* I-7 */
		assert(snapshot_class_pack(c, &c->root_packs.ids[i]) != NULL);
	cbor_put_bytes(b, n > 0 ? c->root_packs.ids + 1 : NULL, n * sizeof(struct pack_id));
	entry_put(b, &c->root);
}

static void
put_place(struct buf *b, const struct pack_place *p)
{
	cbor_put_array(b, PLACE_FIELDS);
	cbor_put_bytes(b, p->id.h.b, sizeof p->id.h.b);
	cbor_put_uint(b, p->object_len);
	cbor_put_uint(b, p->header_len);
	cbor_put_uint(b, p->ordinal);
	cbor_put_uint(b, p->data_off);
	cbor_put_uint(b, p->data_len);
	cbor_put_uint(b, p->tree_len);
}

void
snapshot_class_put(struct buf *b, const struct snapshot_class *c)
{
	cbor_put_map(b, c->no_xattrs ? 5 : 4);
	cbor_put_uint(b, KEY_NAME);
	cbor_put_text(b, c->name);
	cbor_put_uint(b, KEY_ROOT);
	put_root(b, c);
	cbor_put_uint(b, KEY_COUNTS);
	cbor_put_array(b, 4);
	cbor_put_uint(b, c->counts.files);
	cbor_put_uint(b, c->counts.dirs);
	cbor_put_uint(b, c->counts.others);
	cbor_put_uint(b, c->counts.bytes);
	cbor_put_uint(b, KEY_PACKS);
	cbor_put_array(b, c->n_packs);
	for (size_t i = 0; i < c->n_packs; i++) {
		assert(i == 0 ||
		       memcmp(&c->packs[i - 1].id, &c->packs[i].id, sizeof(struct pack_id)) < 0);
		put_place(b, &c->packs[i]);
	}
	if (c->no_xattrs) {
		cbor_put_uint(b, KEY_NO_XATTRS);
		cbor_put_bool(b, true);
	}
}

/* ---- reading */

static bool
is_class_name(struct slice s)
{
	if (s.len < 1 || s.len > CLASS_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
		      s.p[i] == '-'))
			return false;
	return true;
}

static void
get_name(struct cbor_rd *rd, struct snapshot_class *c)
{
	struct slice name = cbor_get_text(rd, CLASS_NAME_MAX);

	if (is_class_name(name))
		memcpy(c->name, name.p, name.len);
	else
		cbor_fail(rd, "its name is not the name of a class");
}

static void
get_root(struct cbor_rd *rd, struct snapshot_class *c)
{
	static const struct node_origin origin = {.inline_root = true};
	struct slice ids;
	size_t n;

	if (cbor_get_array(rd, 2) != 2) {
		cbor_fail(rd, "its root is not [pack table, entry]");
		return;
	}
	ids = cbor_get_bytes(rd, NODE_PACKS_MAX * sizeof(struct pack_id));
	if (ids.len % sizeof(struct pack_id) != 0) {
		cbor_fail(rd, "its root's pack table is cut");
		return;
	}
	n = ids.len / sizeof(struct pack_id);
	c->root_packs.ids = mem_array(1 + n, sizeof *c->root_packs.ids);
	c->root_packs.n = c->root_packs.cap = (uint32_t)(1 + n);
	if (n > 0)
		memcpy(c->root_packs.ids + 1, ids.p, ids.len);
	entry_get(rd, &origin, &c->root_packs, true, &c->root);
	if (cbor_ok(rd) && c->root.type != ENTRY_DIR)
		cbor_fail(rd, "its root is no directory");
}

static void
get_counts(struct cbor_rd *rd, struct snapshot_counts *ret)
{
	if (cbor_get_array(rd, 4) != 4) {
		cbor_fail(rd, "its counts are not four numbers");
		return;
	}
	ret->files = cbor_get_uint(rd, INT64_MAX);
	ret->dirs = cbor_get_uint(rd, INT64_MAX);
	ret->others = cbor_get_uint(rd, INT64_MAX);
	ret->bytes = cbor_get_uint(rd, INT64_MAX);
}

static void
get_place(struct cbor_rd *rd, struct pack_place *ret)
{
	uint64_t body;

	if (cbor_get_array(rd, PLACE_FIELDS) != PLACE_FIELDS) {
		cbor_fail(rd, "a pack's place is not seven items");
		return;
	}
	cbor_get_fixed(rd, ret->id.h.b, sizeof ret->id.h.b);
	ret->object_len = cbor_get_uint(rd, PACK_HEADER_MAX + PACK_BODY_MAX);
	ret->header_len = (uint32_t)cbor_get_uint(rd, PACK_HEADER_MAX);
	ret->ordinal = (uint32_t)cbor_get_uint(rd, PACK_SECTIONS_MAX - 1);
	ret->data_off = cbor_get_uint(rd, PACK_BODY_MAX);
	ret->data_len = cbor_get_uint(rd, PACK_BODY_MAX);
	ret->tree_len = cbor_get_uint(rd, PACK_BODY_MAX);
	if (!cbor_ok(rd))
		return;
	if (ret->header_len <= HEADER_MIN || ret->header_len >= ret->object_len) {
		cbor_fail(rd, "pack %s: its header has an impossible length", hex(&ret->id.h).s);
		return;
	}
	body = ret->object_len - ret->header_len;
	/* Each term was bounded, so the sum doesn't wrap. */
	if (body > PACK_BODY_MAX || ret->data_off + ret->data_len + ret->tree_len > body)
		cbor_fail(rd, "pack %s: its areas end behind it", hex(&ret->id.h).s);
}

static void
get_packs(struct cbor_rd *rd, struct snapshot_class *c)
{
	size_t n = cbor_get_array(rd, CLASS_PACKS_MAX);

	c->packs = mem_array(n, sizeof *c->packs);
	c->n_packs = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		get_place(rd, &c->packs[i]);
		if (i > 0 &&
		    memcmp(&c->packs[i - 1].id, &c->packs[i].id, sizeof(struct pack_id)) >= 0)
			cbor_fail(rd, "its packs are not in the order of their ids");
	}
}

/* I-7, and that the root's table names each pack once. */
static void
check_root_packs(struct cbor_rd *rd, const struct snapshot_class *c)
{
	CLEANUP(freep) bool *seen = mem_array(c->n_packs, sizeof *seen);

	for (uint32_t i = 1; i < c->root_packs.n; i++) {
		const struct pack_place *p = snapshot_class_pack(c, &c->root_packs.ids[i]);

		if (p == NULL || seen[p - c->packs]) {
			cbor_fail(rd, "its root names pack %s %s", hex(&c->root_packs.ids[i].h).s,
				  p == NULL ? "which is not in its list" : "twice");
			return;
		}
		seen[p - c->packs] = true;
	}
}

static int
parse(struct slice plain, struct snapshot_class *c, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(plain, "class part", err);
	struct cbor_map m = cbor_get_map(&rd);

	while (cbor_map_next(&rd, &m))
		switch (m.key) {
		case KEY_NAME:
			get_name(&rd, c);
			break;
		case KEY_ROOT:
			get_root(&rd, c);
			break;
		case KEY_COUNTS:
			get_counts(&rd, &c->counts);
			break;
		case KEY_PACKS:
			get_packs(&rd, c);
			break;
		case KEY_NO_XATTRS:
			c->no_xattrs = cbor_get_bool(&rd);
			break;
		default:
			cbor_skip(&rd);
		}
	cbor_map_need(&rd, &m,
		      KEY_BIT(KEY_NAME) | KEY_BIT(KEY_ROOT) | KEY_BIT(KEY_COUNTS) |
			      KEY_BIT(KEY_PACKS));
	if (cbor_ok(&rd))
		check_root_packs(&rd, c);
	return cbor_rd_done(&rd);
}

int
snapshot_class_parse(struct buf *plain, struct snapshot_class **ret, struct err *err)
{
	CLEANUP(snapshot_class_freep) struct snapshot_class *c = mem_alloc(sizeof *c);
	int r;

	*ret = NULL;
	r = parse(buf_slice(plain), c, err);
	if (r < 0)
		return c->name[0] != '\0' ? err_add(err, r, "class %s", c->name) : r;
	buf_move(&c->bytes, plain); /* the slices stay right: the bytes don't move */
	*ret = steal_ptr(&c);
	return 0;
}

void
snapshot_class_free(struct snapshot_class *c)
{
	if (c == NULL)
		return;
	entry_fini(&c->root);
	pack_table_fini(&c->root_packs);
	free(c->packs);
	buf_wipe(&c->bytes);
	free(c);
}

static int
place_cmp(const void *key, const void *element)
{
	return memcmp(key, &((const struct pack_place *)element)->id, sizeof(struct pack_id));
}

const struct pack_place *
snapshot_class_pack(const struct snapshot_class *c, const struct pack_id *id)
{
	if (c->n_packs == 0)
		return NULL;
	return bsearch(id, c->packs, c->n_packs, sizeof *c->packs, place_cmp);
}
