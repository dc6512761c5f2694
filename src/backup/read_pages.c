/*
 * read_pages.c - a database's content: cut at its page size, and compared leaf by leaf with what
 * the catalog has, which makes an unchanged megabyte cost one look-up instead of 256.
 *
 * Layer 4.
 */
#include "backup/read.h"

/* Whether the catalog has the leaf that these pages make; if so it is sent. */
static int
leaf_known(struct reading *rd, const struct chunk_id *ids, size_t len, bool *ret, struct err *err)
{
	struct run *run = rd->lane->run;
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	struct catalog_node known;
	struct hash id;
	int r;

	*ret = false;
	buf_append_u8(&logical, NODE_STREAM_LEAF);
	for (size_t at = 0; at < len; at += rd->page) {
		buf_append(&logical, &ids[at / rd->page], sizeof *ids);
		buf_append_u32le(&logical, 0);
		buf_append_u32le(&logical, (uint32_t)min_u64(rd->page, len - at));
	}
	logical_id(rd->lane->hash_key, &logical, &id);
	pthread_mutex_lock(&run->catalog_lock);
	r = catalog_node_find(run->catalog, &id, &known, err);
	pthread_mutex_unlock(&run->catalog_lock);
	if (r == ERR_NOENT)
		return 0;
	if (r < 0) {
		run_fail(run, r, err);
		return r;
	}
	*ret = true;
	rd->off += len;
	read_emit_leaf(rd, &known);
	return 0;
}

/* One leaf's worth of pages, which is in the buffer. */
static int
add_pages(struct reading *rd, struct err *err)
{
	struct slice data = buf_slice(&rd->r->data);
	CLEANUP(freep) struct chunk_id *ids = mem_array(data.len / rd->page + 1, sizeof *ids);
	bool whole_leaf = rd->leaves && rd->off % STREAM_LEAF_LEN == 0 &&
			  (data.len == STREAM_LEAF_LEN || rd->off + data.len == rd->size);
	int r;

	for (size_t at = 0; at < data.len; at += rd->page)
		lane_chunk_id(rd->lane, slice_of(data.p + at, min_u64(rd->page, data.len - at)),
			      &ids[at / rd->page]);
	if (whole_leaf) {
		bool known;

		r = leaf_known(rd, ids, data.len, &known, err);
		if (r < 0 || known)
			return r;
	}
	for (size_t at = 0; at < data.len; at += rd->page) {
		r = read_add_chunk(rd, &ids[at / rd->page],
				   slice_of(data.p + at, min_u64(rd->page, data.len - at)), err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
read_pages(struct reading *rd, uint64_t end, struct err *err)
{
	while (rd->off < end) {
		uint64_t len = min_u64(end - rd->off, STREAM_LEAF_LEN - rd->off % STREAM_LEAF_LEN);
		int r;

		buf_reset(&rd->r->data);
		r = read_fill(rd, rd->off, (size_t)len, err);
		if (r == 0)
			r = add_pages(rd, err);
		if (r < 0)
			return r;
	}
	return 0;
}
