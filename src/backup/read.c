/*
 * read.c - one file's content: read it, cut it, find or store its chunks, tell the assembler.
 *
 * A file up to a leaf's length (1 MiB) becomes one list of pieces in its item's event; a longer one
 * sends an event a leaf, so that memory doesn't grow with the file.  Databases are cut at their
 * page size and compared leaf by leaf with what the catalog has, which makes an unchanged megabyte
 * cost one look-up instead of 256.
 *
 * Layer 4.
 */
#include <errno.h>
#include <unistd.h>

#include "backup/internal.h"

struct file_reader {
	struct buf data;      /* read and not yet cut; starts at off */
	struct pieces pieces; /* of the leaf underway */
};

/* One file being read. */
struct reading {
	struct file_reader *r;
	struct lane *lane;
	const struct source *from;
	uint64_t size;
	uint64_t off;  /* the next byte to give to a leaf */
	bool leaves;   /* long: an event a leaf */
	bool emitted;  /* leaves were sent */
	uint32_t page; /* 0: content-defined */
	struct chunker_sizes sizes;
};

struct file_reader *
file_reader_new(void)
{
	return mem_alloc(sizeof(struct file_reader));
}

void
file_reader_free(struct file_reader *r)
{
	if (r == NULL)
		return;
	buf_fini(&r->data);
	pieces_fini(&r->pieces);
	free(r);
}

static void
emit_leaf(struct reading *rd, const struct catalog_node *known)
{
	struct event *e = event_new(EVENT_LEAF, rd->lane);

	if (known != NULL) {
		e->known = *known;
		e->is_known = true;
		pieces_reset(&rd->r->pieces);
	} else {
		e->pieces = rd->r->pieces;
		rd->r->pieces = (struct pieces){0};
	}
	rd->emitted = true;
	lane_emit(rd->lane, e);
}

/* What is left of the leaf at @off. */
static uint64_t
leaf_room(const struct reading *rd)
{
	return rd->leaves ? STREAM_LEAF_LEN - rd->off % STREAM_LEAF_LEN : UINT64_MAX;
}

static void
advance(struct reading *rd, uint64_t len)
{
	rd->off += len;
	if (rd->leaves && (rd->off % STREAM_LEAF_LEN == 0 || rd->off == rd->size))
		emit_leaf(rd, NULL);
}

static void
add_hole(struct reading *rd, uint64_t len)
{
	while (len > 0) {
		uint64_t part = min_u64(len, leaf_room(rd));

		pieces_add_hole(&rd->r->pieces, part);
		advance(rd, part);
		len -= part;
	}
}

/* Adds a chunk, split where a leaf ends. */
static int
add_chunk(struct reading *rd, const struct chunk_id *id, struct slice data, struct err *err)
{
	struct piece whole;
	uint32_t done = 0;
	int r = lane_chunk(rd->lane, id, data, &whole, err);

	if (r < 0)
		return r;
	while (done < data.len) {
		struct piece part = whole;

		part.len = min_u64(data.len - done, leaf_room(rd));
		part.off += done;
		if (part.seg != NULL)
			segment_get(part.seg);
		pieces_add(&rd->r->pieces, id, &part, done);
		done += (uint32_t)part.len;
		advance(rd, part.len);
	}
	segment_put(whole.seg);
	return 0;
}

/* Reads until the buffer holds @want bytes or the range ends.  A short file has changed. */
static int
fill(struct reading *rd, uint64_t pos, size_t want, struct err *err)
{
	struct buf *b = &rd->r->data;
	size_t need = want - b->len;
	ssize_t n;

	buf_reserve(b, need);
	do
		n = pread(rd->from->fd, b->p + b->len, need, (off_t)pos);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "reading");
	if (n == 0)
		return ERR_BUSY;
	if (rd->from->capture != NULL)
		capture_fix_header(rd->from->capture, pos, b->p + b->len, (size_t)n);
	b->len += (size_t)n;
	walk_progress(rd->lane->run, 0, (uint64_t)n);
	rd->lane->run->result->bytes_read += (uint64_t)n;
	return b->len < want ? fill(rd, pos + (uint64_t)n, want, err) : 0;
}

/* ---- content-defined ---- */

static int
read_cut(struct reading *rd, uint64_t end, struct err *err)
{
	struct buf *b = &rd->r->data;
	size_t at = 0;

	buf_reset(b);
	while (rd->off < end) {
		uint64_t left = end - rd->off; /* of the range, the buffered part included */
		struct chunk_id id;
		struct slice chunk;
		int r;

		if (b->len - at < min_u64(left, CHUNK_MAX)) {
			if (at > 0)
				memmove(b->p, b->p + at, b->len - at);
			b->len -= at;
			at = 0;
			r = fill(rd, rd->off + b->len, (size_t)min_u64(left, 4 * CHUNK_MAX), err);
			if (r < 0)
				return r;
		}
		chunk = slice_of(b->p + at, b->len - at);
		if (rd->size > WHOLE_FILE_MAX)
			chunk.len = chunker_cut(rd->lane->chunker, rd->sizes, chunk);
		lane_chunk_id(rd->lane, chunk, &id);
		r = add_chunk(rd, &id, chunk, err);
		if (r < 0)
			return r;
		at += chunk.len;
	}
	return 0;
}

/* ---- pages ---- */

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
	emit_leaf(rd, &known);
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
		r = add_chunk(rd, &ids[at / rd->page],
			      slice_of(data.p + at, min_u64(rd->page, data.len - at)), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
read_pages(struct reading *rd, uint64_t end, struct err *err)
{
	while (rd->off < end) {
		uint64_t len = min_u64(end - rd->off, STREAM_LEAF_LEN - rd->off % STREAM_LEAF_LEN);
		int r;

		buf_reset(&rd->r->data);
		r = fill(rd, rd->off, (size_t)len, err);
		if (r == 0)
			r = add_pages(rd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- ranges of data and holes ---- */

static int
next_data(struct reading *rd, uint64_t *start, uint64_t *end, struct err *err)
{
	off_t data = lseek(rd->from->fd, (off_t)rd->off, SEEK_DATA);
	off_t hole;

	*start = *end = rd->size;
	if (data < 0 && errno == ENXIO)
		return 0;
	if (data < 0)
		return err_sys(err, "looking for data");
	hole = lseek(rd->from->fd, data, SEEK_HOLE);
	if (hole < 0)
		return err_sys(err, "looking for holes");
	*start = min_u64((uint64_t)data, rd->size);
	*end = min_u64((uint64_t)hole, rd->size);
	return 0;
}

static int
read_ranges(struct reading *rd, struct err *err)
{
	while (rd->off < rd->size) {
		uint64_t start = rd->off, end = rd->size;
		int r = rd->from->sparse ? next_data(rd, &start, &end, err) : 0;

		if (r < 0)
			return r;
		if (start > rd->off)
			add_hole(rd, start - rd->off);
		if (end <= rd->off)
			continue;
		if (progress_cancelled(&rd->lane->run->options->progress))
			return err_set(err, ERR_CANCELLED, "stopped");
		r = rd->page != 0 ? read_pages(rd, end, err) : read_cut(rd, end, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
read_inline(struct reading *rd, struct event *e, struct err *err)
{
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	struct stored *s = stored_new();
	int r;

	buf_reset(&rd->r->data);
	r = fill(rd, 0, (size_t)rd->size, err);
	if (r < 0) {
		stored_put(s);
		return r;
	}
	buf_append(&s->bytes, rd->r->data.p, rd->r->data.len);
	s->content = (struct content){.kind = CONTENT_INLINE, .bytes = buf_slice(&s->bytes)};
	buf_append_u8(&logical, 0); /* no node kind */
	buf_append(&logical, s->bytes.p, s->bytes.len);
	logical_id(rd->lane->hash_key, &logical, &s->logical);
	e->stored = s;
	e->source = SOURCE_STORED;
	return 0;
}

static int
start(struct reading *rd, struct err *err)
{
	uint8_t head[128];
	ssize_t n;

	do
		n = pread(rd->from->fd, head, sizeof head, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "reading");
	rd->page = chunker_page_size(slice_of(head, (size_t)n), rd->size);
	rd->sizes = chunker_sizes_for(rd->size);
	rd->leaves = rd->size > STREAM_LEAF_LEN;
	return 0;
}

int
read_content(struct file_reader *r, struct lane *lane, const struct source *from, struct event *e,
	     struct err *err)
{
	struct reading rd = {.r = r, .lane = lane, .from = from, .size = from->size};
	int rc;

	e->source = SOURCE_NONE;
	e->read.size = from->size;
	e->item->entry.size = from->size;
	if (rd.size == 0)
		return 0;
	if (rd.size <= INLINE_MAX)
		return read_inline(&rd, e, err);
	rc = start(&rd, err);
	if (rc == 0)
		rc = read_ranges(&rd, err);
	if (rc < 0) {
		pieces_reset(&r->pieces);
		if (rd.emitted)
			lane_emit(lane, event_new(EVENT_RESTART, lane));
		return rc;
	}
	e->source = rd.leaves ? SOURCE_LEAVES : SOURCE_PIECES;
	if (!rd.leaves) {
		e->pieces = r->pieces;
		r->pieces = (struct pieces){0};
	}
	return 0;
}
