/*
 * record.c - what the catalog remembers of a directory: the stamps of its files, and where their
 * contents lie.  A file whose stamp is the same is not read again.
 *
 * A record is a CBOR array of [name, how it was read, size, mtime s, ns, ctime s, ns, inode,
 * device, mark, the content's size, logical id, content, packs a tree reaches]; pack numbers are
 * the catalog's.  It is local and may be thrown away.
 *
 * Layer 4.
 */
#include "backup/internal.h"

#define RECORD_FILES_MAX  (16u * 1024 * 1024)
#define RECORD_FILE_ITEMS 14u

void
record_free(struct record *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++) {
		buf_fini(&r->files[i].name);
		stored_put(r->files[i].stored);
	}
	free(r->files);
	free(r->path);
	free(r);
}

void
record_add(struct record *r, struct slice name, const struct reading_of *read,
	   struct stored *stored)
{
	struct record_file *f;

	array_reserve(r->files, r->n, r->cap);
	f = &r->files[r->n++];
	*f = (struct record_file){.read = *read, .stored = stored_get(stored)};
	buf_append(&f->name, name.p, name.len);
}

const struct record_file *
record_find(const struct record *r, struct slice name)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = slice_cmp(buf_slice(&r->files[mid].name), name);

		if (order == 0)
			return &r->files[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void
record_key(const struct lane *lane, struct slice path, struct buf *ret)
{
	struct hash h;

	/* The hash key changes with the class's readers, and with it all that was stored. */
	seal_hash_keyed(lane->hash_key, "tillfs node", path.p, path.len, &h);
	buf_reset(ret);
	buf_append(ret, &h, sizeof h);
}

static void
timestamp_put(struct buf *b, struct timestamp t)
{
	cbor_put_int(b, t.sec);
	cbor_put_uint(b, t.nsec);
}

static void
stamp_put(struct buf *b, const struct stamp *s)
{
	cbor_put_uint(b, s->size);
	timestamp_put(b, s->mtime);
	timestamp_put(b, s->ctime);
	cbor_put_uint(b, s->ino);
	cbor_put_uint(b, s->dev);
}

static void
file_put(struct buf *b, const struct record_file *f)
{
	const struct stored *s = f->stored;
	struct content c = s->content;

	cbor_put_array(b, RECORD_FILE_ITEMS);
	cbor_put_bytes(b, f->name.p, f->name.len);
	cbor_put_uint(b, f->read.how);
	stamp_put(b, &f->read.stamp);
	cbor_put_bytes(b, &f->read.mark, sizeof f->read.mark);
	cbor_put_uint(b, f->read.size);
	cbor_put_bytes(b, &s->logical, sizeof s->logical);
	if (c.kind == CONTENT_TREE) {
		c.root = s->root.ref;
		if (s->root.underway != NULL)
			c.root.seg = s->root.underway->ref;
	}
	content_put(b, &c);
	cbor_put_array(b, c.kind == CONTENT_TREE ? s->reach.n : 0);
	for (size_t i = 0; c.kind == CONTENT_TREE && i < s->reach.n; i++)
		cbor_put_uint(b, s->reach.v[i]);
}

void
record_encode(const struct record *r, struct buf *ret)
{
	buf_reset(ret);
	cbor_put_array(ret, r->n);
	for (size_t i = 0; i < r->n; i++)
		file_put(ret, &r->files[i]);
}

static struct timestamp
timestamp_get(struct cbor_rd *rd)
{
	struct timestamp t;

	t.sec = cbor_get_int(rd);
	t.nsec = (uint32_t)cbor_get_uint(rd, 999999999);
	return t;
}

static void
stored_decode(struct cbor_rd *rd, const struct pack_table *packs, uint64_t size, struct stored *s)
{
	const struct node_origin origin = {.inline_root = true};
	struct content *c = &s->content;
	size_t n;

	cbor_get_fixed(rd, &s->logical, sizeof s->logical);
	content_get(rd, &origin, packs, size, c);
	if (!cbor_ok(rd))
		return;
	if (c->kind == CONTENT_INLINE) {
		buf_append(&s->bytes, c->bytes.p, c->bytes.len);
		c->bytes = buf_slice(&s->bytes);
	}
	if (c->kind == CONTENT_TREE) {
		s->root.ref = c->root;
		s->root.logical = s->logical;
	}
	for (uint32_t i = 0; c->kind == CONTENT_LEAF && i < c->leaf.n_segments; i++)
		pack_set_add(&s->reach, c->leaf.segments[i].pack);
	n = cbor_get_array(rd, packs->n);
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		uint32_t number = (uint32_t)cbor_get_uint(rd, packs->n - 1);

		if (number == 0)
			cbor_fail(rd, "pack number 0");
		else
			pack_set_add(&s->reach, number);
	}
}

static void
stamp_get(struct cbor_rd *rd, struct stamp *ret)
{
	ret->size = cbor_get_uint(rd, INT64_MAX);
	ret->mtime = timestamp_get(rd);
	ret->ctime = timestamp_get(rd);
	ret->ino = cbor_get_uint(rd, UINT64_MAX);
	ret->dev = cbor_get_uint(rd, UINT64_MAX);
}

static void
file_get(struct cbor_rd *rd, const struct pack_table *packs, struct record *ret)
{
	struct stored *s = stored_new();
	struct reading_of read = {0};
	struct slice name;

	if (cbor_get_array(rd, RECORD_FILE_ITEMS) != RECORD_FILE_ITEMS)
		cbor_fail(rd, "a file's record has the wrong length");
	name = cbor_get_bytes(rd, ENTRY_NAME_MAX);
	read.how = (enum read_as)cbor_get_uint(rd, READ_RAW);
	stamp_get(rd, &read.stamp);
	cbor_get_fixed(rd, &read.mark, sizeof read.mark);
	read.size = cbor_get_uint(rd, INT64_MAX);
	stored_decode(rd, packs, read.size, s);
	if (cbor_ok(rd))
		record_add(ret, name, &read, s);
	stored_put(s);
}

bool
record_decode(struct slice bytes, const struct pack_table *packs, struct record *ret)
{
	struct cbor_rd rd = cbor_rd_init(bytes, "directory record", NULL);
	size_t n = cbor_get_array(&rd, RECORD_FILES_MAX);

	for (size_t i = 0; i < n && cbor_ok(&rd); i++)
		file_get(&rd, packs, ret);
	return cbor_rd_done(&rd) == 0;
}
