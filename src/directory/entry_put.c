/*
 * entry_put.c - encode one directory entry.
 *
 * Layer 2.  Format: docs/format.md section 6.5.
 */
#include <assert.h>

#include "directory/private.h"

void
entry_fini(struct entry *e)
{
	free(e->xattrs);
	content_fini(&e->content);
	e->xattrs = NULL;
	e->n_xattrs = 0;
}

/* The pairs of a map under construction: their number goes before them. */
struct pairs {
	struct buf b;
	size_t n;
};

static void
pairs_fini(struct pairs *p)
{
	buf_fini(&p->b);
}

static struct buf *
pair(struct pairs *p, enum entry_key key)
{
	p->n++;
	cbor_put_uint(&p->b, key);
	return &p->b;
}

static void
put_uint(struct pairs *p, enum entry_key key, uint64_t v, uint64_t left_out)
{
	if (v != left_out)
		cbor_put_uint(pair(p, key), v);
}

static void
put_bytes(struct pairs *p, enum entry_key key, struct slice v)
{
	if (v.len > 0)
		cbor_put_bytes(pair(p, key), v.p, v.len);
}

static void
put_time(struct pairs *p, enum entry_key sec, enum entry_key nsec, struct timestamp t)
{
	cbor_put_int(pair(p, sec), t.sec);
	put_uint(p, nsec, t.nsec, 0);
}

static void
put_links(struct pairs *p, const struct entry *e)
{
	if (e->type == ENTRY_DIR || e->nlink <= 1)
		return;
	cbor_put_uint(pair(p, KEY_NLINK), e->nlink);
	cbor_put_uint(pair(p, KEY_DEV), e->dev);
	cbor_put_uint(pair(p, KEY_INO), e->ino);
}

static void
put_xattrs(struct pairs *p, const struct entry *e)
{
	struct buf *b;

	if (e->n_xattrs == 0)
		return;
	b = pair(p, KEY_XATTRS);
	cbor_put_array(b, (size_t)e->n_xattrs * 2);
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		cbor_put_bytes(b, e->xattrs[i].name.p, e->xattrs[i].name.len);
		cbor_put_bytes(b, e->xattrs[i].value.p, e->xattrs[i].value.len);
	}
}

static void
put_content(struct pairs *p, const struct entry *e)
{
	if (e->type == ENTRY_FILE && e->content.kind != CONTENT_EMPTY)
		content_put(pair(p, KEY_CONTENT), &e->content);
}

static void
put_directory(struct pairs *p, const struct entry *e)
{
	put_uint(p, KEY_SUBDIRS, e->n_subdirs, 0);
	if (e->children == CHILDREN_NODE)
		node_ref_put(pair(p, KEY_CHILDREN), &e->children_ref);
	else if (e->children == CHILDREN_INLINE)
		put_bytes(p, KEY_CHILDREN, e->children_inline);
	if (e->bare)
		cbor_put_bool(pair(p, KEY_BARE), true);
	put_uint(p, KEY_ENTRIES, e->n_entries, 0);
	put_uint(p, KEY_BARE_SUBDIRS, e->n_bare_subdirs, 0);
}

void
entry_put(struct buf *b, const struct entry *e)
{
	CLEANUP(pairs_fini) struct pairs p = {.n = 0};
	bool is_file = e->type == ENTRY_FILE;

	assert(e->type >= ENTRY_FILE && e->type <= ENTRY_BLOCK);
	cbor_put_bytes(pair(&p, KEY_NAME), e->name.p, e->name.len);
	cbor_put_uint(pair(&p, KEY_TYPE), e->type);
	cbor_put_uint(pair(&p, KEY_MODE), e->mode);
	put_uint(&p, KEY_UID, e->uid, 0);
	put_uint(&p, KEY_GID, e->gid, 0);
	put_bytes(&p, KEY_USER, e->user);
	put_bytes(&p, KEY_GROUP, e->group);
	put_uint(&p, KEY_SIZE, is_file ? e->size : 0, 0);
	put_time(&p, KEY_MTIME, KEY_MTIME_NS, e->mtime);
	put_time(&p, KEY_CTIME, KEY_CTIME_NS, e->ctime);
	if (e->has_btime)
		put_time(&p, KEY_BTIME, KEY_BTIME_NS, e->btime);
	put_links(&p, e);
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK)
		put_uint(&p, KEY_RDEV, (uint64_t)e->rdev_major << 32 | e->rdev_minor, 0);
	if (e->type == ENTRY_SYMLINK)
		put_bytes(&p, KEY_TARGET, e->target);
	put_xattrs(&p, e);
	put_content(&p, e);
	if (e->type == ENTRY_DIR)
		put_directory(&p, e);
	put_uint(&p, KEY_HOLES, is_file ? e->hole_len : 0, 0);
	cbor_put_map(b, p.n);
	buf_append(b, p.b.p, p.b.len);
}
