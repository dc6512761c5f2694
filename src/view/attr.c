/*
 * attr.c - attributes and inode numbers (format.md section 9).
 */
#include "private.h"
#include "tillfs/seal.h"

enum ino_kind { INO_PATH = 1, INO_LINKED = 2, INO_OWN = 3 };

static uint64_t
ino_of(const struct buf *b)
{
	struct hash h;
	uint64_t ino = 0;

	seal_hash_purpose("tillfs inode", b->p, b->len, &h);
	for (int i = 7; i >= 0; i--)
		ino = ino << 8 | h.b[i];
	ino &= INT64_MAX;
	return ino < 2 ? ino + 1 : ino;
}

uint64_t
view_ino_own(struct slice path)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	buf_append_u8(&b, INO_OWN);
	buf_append(&b, path.p, path.len);
	return ino_of(&b);
}

uint64_t
view_ino_inside(const struct snapshot_id *snapshot, struct slice path, const struct entry *e)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	bool linked = e != NULL && e->type != ENTRY_DIR && e->nlink > 1;

	buf_append_u8(&b, linked ? INO_LINKED : INO_PATH);
	buf_append(&b, snapshot->h.b, sizeof snapshot->h.b);
	if (linked) {
		buf_append_u64le(&b, e->dev);
		buf_append_u64le(&b, e->ino);
	} else {
		buf_append(&b, path.p, path.len);
	}
	return ino_of(&b);
}

/* Everything but a directory's link count. */
static void
fill(const struct view_snap *s, const struct entry *e, struct slice path, struct view_attr *ret)
{
	*ret = (struct view_attr){
		.ino = view_ino_inside(&s->name.id, path, e),
		.type = e->type,
		.mode = e->mode & 07777,
		.uid = e->uid,
		.gid = e->gid,
		.nlink = max_u64(e->nlink, 1),
		.rdev_major = e->rdev_major,
		.rdev_minor = e->rdev_minor,
		.mtime = e->mtime,
		.ctime = e->ctime,
		.btime = e->btime,
		.has_btime = e->has_btime,
		.immutable = true,
	};
	if (e->type == ENTRY_FILE) {
		uint64_t stored = e->size - min_u64(e->hole_len, e->size);

		ret->size = e->size;
		ret->blocks = stored / 512 + (stored % 512 != 0);
	} else if (e->type == ENTRY_SYMLINK) {
		ret->size = e->target.len;
	} else if (e->type == ENTRY_DIR && e->bare) {
		ret->mode = 0555;
		ret->uid = ret->gid = 0;
	}
}

bool
view_attr_listed(const struct view_snap *s, const struct view_listed *l, struct slice path,
		 struct view_attr *ret)
{
	const struct entry *e = &l->main->entry;

	fill(s, e, path, ret);
	if (e->type != ENTRY_DIR)
		return true;
	/*
	 * A subdirectory isn't bare in just one tree.  So with all classes open the counts of
	 * those that aren't bare add up; a lone tree shows its bare ones as well.
	 */
	ret->nlink = 2 + l->n_subdirs;
	if (l->n_trees == 1)
		ret->nlink += l->n_bare_subdirs;
	else if (l->n_bare_subdirs > 0 && s->opened->n_closed > 0)
		return false;
	return true;
}

/* Counts the subdirectories of a directory that stands in several trees, by listing it. */
static int
count_subdirs(struct view *v, struct view_merged *dir, uint64_t *ret, struct err *err)
{
	struct view_listing *l;
	struct view_listed e;
	uint64_t n = 0;
	int r;

	r = view_listing_open(v, dir, &l, err);
	if (r < 0)
		return r;
	for (uint64_t i = 0; (r = view_listing_at(l, i, &e, err)) == 0; i++)
		n += e.main->entry.type == ENTRY_DIR;
	view_listing_close(v, l);
	if (r != ERR_NOENT)
		return r;
	*ret = n;
	return 0;
}

int
view_attr_inside(struct view *v, struct view_merged *m, struct slice path, struct view_attr *ret,
		 struct err *err)
{
	struct view_listed l = {.main = view_merged_main(m), .n_trees = m->n};
	uint64_t subdirs;
	int r;

	for (uint32_t i = 0; i < m->n; i++) {
		l.n_subdirs += m->in[i].item.entry.n_subdirs;
		l.n_bare_subdirs += m->in[i].item.entry.n_bare_subdirs;
	}
	if (view_attr_listed(m->snap, &l, path, ret))
		return 0;
	r = count_subdirs(v, m, &subdirs, err);
	if (r == 0)
		ret->nlink = 2 + subdirs;
	return r;
}
