/*
 * fuzz_directory.c - directory nodes, and a snapshot's root entry.
 *
 * The first byte says what the rest is: its low three bits a height (6 any, 7 a root's entry), the
 * next bit whether it stands in a snapshot.  Of what was decoded everything must be readable.
 */
#include "tillfs/directory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct node_origin origin_in_pack = {
	.pack = {{{0xcc}}},
	.seg = {.off = 5000, .stored_len = 900, .plain_len = 3000},
	.off = 1000,
};

static void
check_leaf(const struct dir_node *node)
{
	for (uint32_t i = 0; i < node->n; i++) {
		CLEANUP(entry_fini) struct entry e;

		dir_node_entry(node, i, &e);
		if (!slice_equal(e.name, dir_node_name(node, i)) ||
		    dir_node_find(node, e.name) != i)
			abort();
		if (i > 0 && slice_cmp(dir_node_name(node, i - 1), e.name) >= 0)
			abort();
	}
}

static void
check_inner(const struct dir_node *node)
{
	for (uint32_t i = 0; i < node->n; i++)
		if (dir_node_child_for(node, dir_node_name(node, i)) != i)
			abort();
}

static void
try_node(struct slice bytes, const struct node_origin *origin, int height)
{
	CLEANUP(dir_node_freep) struct dir_node *node = NULL;
	struct err err = ERR_INIT;

	if (dir_node_decode(bytes, origin, height, &node, &err) < 0) {
		if (err.code >= 0 || err.msg[0] == '\0')
			abort(); /* refused without saying why */
		return;
	}
	if (dir_node_memory(node) > 64 * bytes.len + 4096)
		abort();
	if (node->kind == NODE_DIR_LEAF)
		check_leaf(node);
	else
		check_inner(node);
}

/* What entry_put makes of it must be read the same. */
static void
try_root(struct slice bytes)
{
	const struct node_origin origin = {.inline_root = true};
	struct pack_id other = {{{1}}};
	CLEANUP(pack_table_fini) struct pack_table packs;
	CLEANUP(entry_fini) struct entry e = {0};
	CLEANUP(entry_fini) struct entry same = {0};
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct cbor_rd rd = cbor_rd_init(bytes, "root", NULL);

	pack_table_init(&packs, NULL);
	(void)pack_table_number(&packs, &other);
	entry_get(&rd, &origin, &packs, true, &e);
	if (cbor_rd_done(&rd) < 0)
		return;
	entry_put(&again, &e);
	rd = cbor_rd_init(buf_slice(&again), "root", NULL);
	entry_get(&rd, &origin, &packs, true, &same);
	if (cbor_rd_done(&rd) < 0 || e.type != same.type || e.mode != same.mode ||
	    e.size != same.size || e.n_entries != same.n_entries || e.n_xattrs != same.n_xattrs ||
	    e.mtime.sec != same.mtime.sec || e.children != same.children)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct node_origin origin = origin_in_pack;
	int height;

	if (len < 1)
		return 0;
	height = data[0] & 7;
	origin.inline_root = data[0] & 8;
	if (height == 7)
		try_root(slice_of(data + 1, len - 1));
	else
		try_node(slice_of(data + 1, len - 1), &origin, height == 6 ? -1 : height);
	return 0;
}
