/*
 * read.c - one file's content: read it, cut it, find or store its chunks, tell the assembler.
 *
 * A file up to a leaf's length (1 MiB) becomes one list of pieces in its item's event; a longer one
 * sends an event a leaf, so that memory doesn't grow with the file.  What has no size
 * before its end, the output of a command, is read the same way.
 *
 * Layer 4.
 */
#include <errno.h>
#include <unistd.h>

#include "backup/read.h"
#include "tillfs/db_read.h"

#define SCAN_VALUE_MAX (64u * MIB)

struct file_reader *
file_reader_new(bool scan)
{
	struct file_reader *r = mem_alloc(sizeof *r);

	if (scan)
		r->scanner = scanner_new();
	return r;
}

const struct scan_counts *
file_reader_found(const struct file_reader *r)
{
	return &r->found;
}

static int
read_capture(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	const struct capture *c = arg;

	if (pread(capture_fd(c), p, len, (off_t)off) != (ssize_t)len)
		return err_sys(err, "reading the database");
	capture_fix_header(c, off, p, len);
	return 0;
}

int
file_reader_scan(struct file_reader *r, struct capture *c, struct err *err)
{
	const struct db_files files = {.main = {capture_len(c), read_capture, c}};
	const struct db_limits limits = {.value = SCAN_VALUE_MAX};
	CLEANUP(db_read_closep) struct db_read *db = NULL;
	int rc;

	if (r->scanner == NULL)
		return 0;
	rc = db_read_open(&files, 1, &limits, &db, err);
	return rc < 0 ? rc : scan_database(db, &r->found, err);
}

void
file_reader_free(struct file_reader *r)
{
	if (r == NULL)
		return;
	buf_fini(&r->data);
	pieces_fini(&r->pieces);
	scanner_free(r->scanner);
	free(r);
}

void
read_emit_leaf(struct reading *rd, const struct catalog_node *known)
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
		read_emit_leaf(rd, NULL);
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
int
read_add_chunk(struct reading *rd, const struct chunk_id *id, struct slice data, struct err *err)
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

static int
read_at(struct reading *rd, uint64_t pos, uint8_t *p, size_t len, size_t *ret_len, struct err *err)
{
	ssize_t n;

	if (rd->from->more != NULL)
		return rd->from->more(rd->from->arg, p, len, ret_len, err);
	do
		n = pread(rd->from->fd, p, len, (off_t)pos);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "reading");
	*ret_len = (size_t)n;
	if (rd->from->capture == NULL)
		return 0;
	capture_fix_header(rd->from->capture, pos, p, (size_t)n);
	/* The sooner a change shows, the less is read in vain. */
	return capture_still(rd->from->capture, err);
}

/* Reads until the buffer holds @want bytes or the range ends.  A short file has changed; where an
 * unknown size ends it is known. */
int
read_fill(struct reading *rd, uint64_t pos, size_t want, struct err *err)
{
	struct buf *b = &rd->r->data;

	buf_reserve(b, want - b->len);
	while (b->len < want) {
		size_t n = 0;
		int r = read_at(rd, pos, b->p + b->len, want - b->len, &n, err);

		if (r < 0)
			return r;
		if (n == 0 && rd->size != SIZE_UNKNOWN)
			return ERR_BUSY;
		if (n == 0) {
			rd->size = pos;
			return 0;
		}
		/* Databases are looked at value by value instead. */
		if (rd->r->scanner != NULL && rd->from->capture == NULL)
			scanner_feed(rd->r->scanner, slice_of(b->p + b->len, n));
		b->len += n;
		pos += n;
		walk_progress(rd->lane->run, 0, n);
		rd->lane->run->result->bytes_read += n;
	}
	return 0;
}

/* ---- content-defined ---- */

static int
read_cut(struct reading *rd, uint64_t end, struct err *err)
{
	struct buf *b = &rd->r->data;
	size_t at = 0;

	while (rd->off < min_u64(end, rd->size)) {
		uint64_t left = min_u64(end, rd->size) -
				rd->off; /* of the range, the buffered part included */
		struct chunk_id id;
		struct slice chunk;
		int r;

		if (b->len - at < min_u64(left, CHUNK_MAX)) {
			if (at > 0)
				memmove(b->p, b->p + at, b->len - at);
			b->len -= at;
			at = 0;
			r = read_fill(rd, rd->off + b->len, (size_t)min_u64(left, 4 * CHUNK_MAX),
				      err);
			if (r < 0)
				return r;
			if (b->len == 0)
				break; /* an unknown size turned out to end here */
		}
		chunk = slice_of(b->p + at, b->len - at);
		if (rd->size > WHOLE_FILE_MAX)
			chunk.len = chunker_cut(rd->lane->chunker, rd->sizes, chunk);
		lane_chunk_id(rd->lane, chunk, &id);
		r = read_add_chunk(rd, &id, chunk, err);
		if (r < 0)
			return r;
		at += chunk.len;
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
		buf_reset(&rd->r->data);
		r = rd->page != 0 ? read_pages(rd, end, err) : read_cut(rd, end, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What is in the buffer, which is all. */
static void
take_inline(struct reading *rd, struct event *e)
{
	CLEANUP(buf_fini) struct buf logical = BUF_INIT;
	struct stored *s = stored_new();

	buf_append(&s->bytes, rd->r->data.p, rd->r->data.len);
	s->content = (struct content){.kind = CONTENT_INLINE, .bytes = buf_slice(&s->bytes)};
	buf_append_u8(&logical, 0); /* no node kind */
	buf_append(&logical, s->bytes.p, s->bytes.len);
	logical_id(rd->lane->hash_key, &logical, &s->logical);
	e->stored = s;
	e->source = SOURCE_STORED;
}

static int
read_inline(struct reading *rd, struct event *e, struct err *err)
{
	int r;

	buf_reset(&rd->r->data);
	r = read_fill(rd, 0, (size_t)rd->size, err);
	if (r == 0)
		take_inline(rd, e);
	return r;
}

/* What has no size before its end: at first as much as tells whether it needs leaves. */
static int
read_unknown(struct reading *rd, struct event *e, struct err *err)
{
	int r;

	buf_reset(&rd->r->data);
	r = read_fill(rd, 0, STREAM_LEAF_LEN + 1, err);
	if (r < 0 || rd->size == 0)
		return r;
	rd->sizes = chunker_sizes_for(0);
	rd->leaves = rd->size > STREAM_LEAF_LEN;
	if (rd->size <= INLINE_MAX)
		take_inline(rd, e);
	else
		r = read_cut(rd, SIZE_UNKNOWN, err);
	/* The end may have shown only after the last chunk. */
	if (r == 0 && rd->leaves && rd->r->pieces.n > 0)
		read_emit_leaf(rd, NULL);
	return r;
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

static int
read_known(struct reading *rd, struct event *e, struct err *err)
{
	int r;

	if (rd->size == 0)
		return 0;
	if (rd->size <= INLINE_MAX)
		return read_inline(rd, e, err);
	r = start(rd, err);
	return r < 0 ? r : read_ranges(rd, err);
}

int
read_content(struct file_reader *r, struct lane *lane, const struct source *from, struct event *e,
	     struct err *err)
{
	struct reading rd = {.r = r, .lane = lane, .from = from, .size = from->size};
	int rc;

	e->source = SOURCE_NONE;
	r->found = (struct scan_counts){0};
	if (r->scanner != NULL)
		scanner_reset(r->scanner);
	if (rd.size == SIZE_UNKNOWN)
		rc = read_unknown(&rd, e, err);
	else
		rc = read_known(&rd, e, err);
	if (rc < 0) {
		pieces_reset(&r->pieces);
		if (rd.emitted)
			lane_emit(lane, event_new(EVENT_RESTART, lane));
		return rc;
	}
	if (r->scanner != NULL)
		scanner_finish(r->scanner, &r->found);
	e->read.size = rd.size;
	e->item->entry.size = rd.size;
	if (rd.size == 0 || e->source == SOURCE_STORED)
		return 0;
	e->source = rd.leaves ? SOURCE_LEAVES : SOURCE_PIECES;
	if (!rd.leaves) {
		e->pieces = r->pieces;
		r->pieces = (struct pieces){0};
	}
	return 0;
}
