/*
 * attr.c - attributes and inode numbers (format.md section 9).
 */
#include "private.h"
#include "tillfs/seal.h"

#define RANK_BITS 20u /* of an inode number: its place in the folder */

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

/* The number of what has several links is that of the source's inode. */
static uint64_t
ino_of_linked(const struct snapshot_id *snapshot, const struct entry *e)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	buf_append_u8(&b, INO_LINKED);
	buf_append(&b, snapshot->h.b, sizeof snapshot->h.b);
	buf_append_u64le(&b, e->dev);
	buf_append_u64le(&b, e->ino);
	return ino_of(&b);
}

static uint64_t
ino_of_path(const struct snapshot_id *snapshot, struct slice path)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	buf_append_u8(&b, INO_PATH);
	buf_append(&b, snapshot->h.b, sizeof snapshot->h.b);
	buf_append(&b, path.p, path.len);
	return ino_of(&b);
}

static struct slice
folder_of(struct slice path)
{
	const uint8_t *slash = memrchr(path.p, '/', path.len);

	return slice_of(path.p, slash != NULL ? (size_t)(slash - path.p) : 0);
}

/*
 * In a folder, numbers ascend with the names: who copies a folder opens its files in the order of
 * their numbers (cp does), and they lie in the order of their names.
 */
uint64_t
view_ino_inside(const struct snapshot_id *snapshot, struct slice path, const struct entry *e,
		uint64_t rank)
{
	uint64_t folder;

	if (e != NULL && e->type != ENTRY_DIR && e->nlink > 1)
		return ino_of_linked(snapshot, e);
	if (path.len == 0 || rank >= UINT64_C(1) << RANK_BITS)
		return ino_of_path(snapshot, path);
	folder = ino_of_path(snapshot, folder_of(path));
	return (folder << RANK_BITS & INT64_MAX) | rank | UINT64_C(1) << 62;
}

/* Everything but a directory's link count. */
static void
fill(const struct view_snap *s, const struct merged *x, struct slice path, struct view_attr *ret)
{
	const struct entry *e = merged_entry(x);

	*ret = (struct view_attr){
		.ino = view_ino_inside(&s->name.id, path, e, x->rank),
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
view_attr_cheap(const struct view_snap *s, const struct merged *x, struct slice path,
		struct view_attr *ret)
{
	uint64_t subdirs = 0, bare = 0;

	fill(s, x, path, ret);
	if (ret->type != ENTRY_DIR)
		return true;
	for (uint32_t i = 0; i < x->n; i++) {
		subdirs += x->in[i]->entry.n_subdirs;
		bare += x->in[i]->entry.n_bare_subdirs;
	}
	/*
	 * A subdirectory isn't bare in just one tree.  So with all classes open the counts of those
	 * that aren't bare add up; a lone tree shows its bare ones as well.
	 */
	ret->nlink = 2 + subdirs + (x->n == 1 ? bare : 0);
	return x->n == 1 || bare == 0 || s->opened->n_closed == 0;
}

/* Counts the subdirectories of a directory by listing it. */
static int
count_subdirs(const struct merged *dir, uint64_t *ret, struct err *err)
{
	CLEANUP(merged_cursor_closep) struct merged_cursor *c = NULL;
	const struct merged *x;
	int r;

	*ret = 0;
	r = merged_cursor_open(dir, &c, err);
	while (r == 0) {
		r = merged_cursor_next(c, &x, err);
		if (r == 0 && merged_entry(x)->type == ENTRY_DIR)
			++*ret;
	}
	return r == ERR_NOENT ? 0 : r;
}

int
view_attr_inside(const struct view_snap *s, const struct merged *x, struct slice path,
		 struct view_attr *ret, struct err *err)
{
	uint64_t subdirs;
	int r;

	if (view_attr_cheap(s, x, path, ret))
		return 0;
	r = count_subdirs(x, &subdirs, err);
	if (r == 0)
		ret->nlink = 2 + subdirs;
	return r;
}
