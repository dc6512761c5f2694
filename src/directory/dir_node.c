/*
 * dir_node.c - decoded directory nodes: check once, then answer fast.
 *
 * Decoding a leaf checks every entry and keeps where each begins; looking at one afterwards decodes
 * just that one, and a name, the first thing in its entry, is read in place.
 *
 * Layer 2.  Format: docs/format.md sections 6.2 and 6.5, I-9.
 */
#include <assert.h>

#include "directory/private.h"

#define ENTRY_LEN_MIN 12u /* the keys that are required, with their shortest values */

/* ---- names ---- */

/*
 * The name of the entry that begins at @p.  dir_node_decode found a well-formed map there, whose
 * first key is KEY_NAME and whose heads are the shortest, so of each head only the length is open.
 */
static struct slice
name_at(const uint8_t *p)
{
	static const uint8_t extra[8] = {1, 2, 4, 8}; /* behind head bytes with low bits 24 … 27 */
	unsigned pairs = *p++ & 31;
	size_t len;

	if (pairs >= 24)
		p += extra[pairs & 7];
	p++; /* KEY_NAME */
	len = *p++ & 31;
	if (len == 24)
		len = *p++;
	return slice_of(p, len);
}

static struct slice
first_name(const struct dir_node *n, uint32_t i)
{
	return n->kind == NODE_DIR_LEAF ? name_at(n->bytes.p + n->offs[i]) : n->children[i].first;
}

struct slice
dir_node_name(const struct dir_node *n, uint32_t i)
{
	assert(i < n->n);
	return first_name(n, i);
}

/* How many of the node's names are not greater than @name. */
static uint32_t
count_up_to(const struct dir_node *n, struct slice name)
{
	uint32_t lo = 0, hi = n->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(first_name(n, mid), name) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
dir_node_find(const struct dir_node *n, struct slice name)
{
	uint32_t count = count_up_to(n, name);

	if (n->kind != NODE_DIR_LEAF || count == 0 ||
	    !slice_equal(name_at(n->bytes.p + n->offs[count - 1]), name))
		return UINT32_MAX;
	return count - 1;
}

uint32_t
dir_node_child_for(const struct dir_node *n, struct slice name)
{
	uint32_t count = count_up_to(n, name);

	return n->kind != NODE_DIR_INNER || count == 0 ? UINT32_MAX : count - 1;
}

void
dir_node_entry(const struct dir_node *n, uint32_t i, struct entry *ret)
{
	struct cbor_rd rd;

	assert(n->kind == NODE_DIR_LEAF && i < n->n);
	rd = cbor_rd_init(slice_of(n->bytes.p + n->offs[i], n->offs[i + 1] - n->offs[i]),
			  "directory entry", NULL);
	entry_get(&rd, &n->origin, &n->packs, false, ret);
	assert(cbor_ok(&rd)); /* dir_node_decode read the same bytes */
}

/* ---- decoding ---- */

static void
leaf_get_entries(struct cbor_rd *rd, struct dir_node *node)
{
	size_t n = cbor_get_array(rd, node->bytes.len / ENTRY_LEN_MIN);
	struct slice before = {0};

	if (cbor_ok(rd) && n == 0)
		cbor_fail(rd, "a leaf without entries");
	node->offs = mem_array(n + 1, sizeof *node->offs);
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		struct entry e;

		node->offs[i] = (uint32_t)(rd->p - node->bytes.p);
		entry_get(rd, &node->origin, &node->packs, false, &e);
		if (cbor_ok(rd) && i > 0 && slice_cmp(before, e.name) >= 0)
			cbor_fail(rd, "names that don't ascend");
		if (!cbor_ok(rd))
			err_add(rd->err, rd->r, "entry %zu of %zu", i + 1, n);
		before = e.name;
		entry_fini(&e);
	}
	node->offs[n] = (uint32_t)(rd->p - node->bytes.p);
	node->n = (uint32_t)n;
}

static void
child_get(struct cbor_rd *rd, const struct dir_node *node, uint64_t max_count,
	  struct dir_child *ret)
{
	if (cbor_get_array(rd, 3) != 3)
		cbor_fail(rd, "a child that isn't first name, count and reference");
	ret->first = cbor_get_bytes(rd, ENTRY_NAME_MAX);
	ret->count = cbor_get_uint(rd, max_count);
	node_ref_get(rd, &node->origin, &node->packs, &ret->ref);
	if (cbor_ok(rd) && !name_is_valid(ret->first))
		cbor_fail(rd, "a first name that no file can have");
	if (cbor_ok(rd) && ret->count == 0)
		cbor_fail(rd, "a child without entries");
}

static void
inner_get(struct cbor_rd *rd, int height, struct dir_node *node)
{
	uint64_t left = INT64_MAX; /* so that sums of counts can't wrap */
	size_t n;

	if (cbor_get_array(rd, 2) != 2)
		cbor_fail(rd, "an inner node that isn't a height and children");
	node->height = (uint32_t)cbor_get_uint(rd, DIR_HEIGHT_MAX);
	if (cbor_ok(rd) && (node->height == 0 || (height > 0 && node->height != (uint32_t)height)))
		cbor_fail(rd, "has height %u in the wrong place", node->height);
	n = cbor_get_array(rd, DIR_INNER_MAX);
	if (cbor_ok(rd) && n == 0)
		cbor_fail(rd, "an inner node without children");
	node->children = mem_array(n, sizeof *node->children);
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		struct dir_child *child = &node->children[i];

		child_get(rd, node, left, child);
		left -= child->count;
		if (cbor_ok(rd) && i > 0 && slice_cmp(child[-1].first, child->first) >= 0)
			cbor_fail(rd, "first names that don't ascend");
	}
	node->n = (uint32_t)n;
}

static void
payload_get(struct cbor_rd *rd, int height, struct dir_node *node)
{
	if (node->kind == NODE_DIR_LEAF && height <= 0)
		leaf_get_entries(rd, node);
	else if (node->kind == NODE_DIR_INNER && height != 0)
		inner_get(rd, height, node);
	else
		cbor_fail(rd, "is a node of kind %d, which can't stand here", (int)node->kind);
}

int
dir_node_decode(struct slice bytes, const struct node_origin *origin, int height,
		struct dir_node **ret, struct err *err)
{
	CLEANUP(dir_node_freep) struct dir_node *node = mem_alloc(sizeof *node);
	struct cbor_rd rd;
	int r;

	*ret = NULL;
	if (bytes.len == 0 || bytes.len > NODE_LEN_MAX)
		return err_set(err, ERR_CORRUPT, "directory: a node of %zu bytes", bytes.len);
	node->origin = *origin;
	node->bytes = (struct buf){mem_copy(bytes.p, bytes.len), bytes.len, bytes.len};
	rd = cbor_rd_init(buf_slice(&node->bytes), "directory", err);
	r = node_open(&rd, origin, &node->packs, &node->kind);
	if (r < 0)
		return r;
	payload_get(&rd, height, node);
	r = cbor_rd_done(&rd);
	if (r < 0)
		return r;
	*ret = steal_ptr(&node);
	return 0;
}

void
dir_node_free(struct dir_node *n)
{
	if (n == NULL)
		return;
	pack_table_fini(&n->packs);
	free(n->offs);
	free(n->children);
	buf_fini(&n->bytes);
	free(n);
}

size_t
dir_node_memory(const struct dir_node *n)
{
	return sizeof *n + n->bytes.cap + n->packs.cap * sizeof *n->packs.ids +
	       (n->kind == NODE_DIR_LEAF ? sizeof *n->offs : sizeof *n->children) * (n->n + 1);
}

/* ---- encoding ---- */

void
dir_inner_put(struct buf *b, uint32_t height, const struct dir_child *children, uint32_t n)
{
	cbor_put_array(b, 2);
	cbor_put_uint(b, height);
	cbor_put_array(b, n);
	for (uint32_t i = 0; i < n; i++) {
		cbor_put_array(b, 3);
		cbor_put_bytes(b, children[i].first.p, children[i].first.len);
		cbor_put_uint(b, children[i].count);
		node_ref_put(b, &children[i].ref);
	}
}

bool
dir_leaf_ends(struct slice name, size_t leaf_len)
{
	struct hash h;

	if (leaf_len < DIR_LEAF_MIN)
		return false;
	if (leaf_len >= DIR_LEAF_MAX)
		return true;
	seal_hash(name.p, name.len, &h);
	return h.b[0] < 16;
}
