/*
 * entry_get.c - decode one directory entry and refuse whatever no file system could have had.
 *
 * Keys come in ascending order, so the size is known when the content is read.  Which keys go with
 * which type is a table; what the values must be to one another is checked last.
 *
 * Layer 2.  Format: docs/format.md section 6.5.
 */
#include <inttypes.h>

#include "directory/private.h"

#define NSEC_MAX 999999999u

bool
name_is_valid(struct slice name)
{
	if (name.len < 1 || name.len > ENTRY_NAME_MAX)
		return false;
	if (name.p[0] == '.' && (name.len == 1 || (name.len == 2 && name.p[1] == '.')))
		return false;
	return memchr(name.p, '/', name.len) == NULL && memchr(name.p, 0, name.len) == NULL;
}

static void
get_name(struct cbor_rd *rd, bool root, struct slice *ret)
{
	*ret = cbor_get_bytes(rd, ENTRY_NAME_MAX);
	if (!cbor_ok(rd))
		return;
	if (root && ret->len != 0)
		cbor_fail(rd, "a root with a name");
	if (!root && !name_is_valid(*ret))
		cbor_fail(rd, "a name that no file can have");
}

static uint32_t
get_nsec(struct cbor_rd *rd)
{
	return (uint32_t)cbor_get_uint(rd, NSEC_MAX);
}

static void
get_rdev(struct cbor_rd *rd, struct entry *ret)
{
	uint64_t rdev = cbor_get_uint(rd, UINT64_MAX);

	ret->rdev_major = (uint32_t)(rdev >> 32);
	ret->rdev_minor = (uint32_t)rdev;
}

static void
get_target(struct cbor_rd *rd, struct slice *ret)
{
	*ret = cbor_get_bytes(rd, ENTRY_TARGET_MAX);
	if (cbor_ok(rd) && (ret->len == 0 || memchr(ret->p, 0, ret->len) != NULL))
		cbor_fail(rd, "a link target that is empty or has a NUL");
}

static void
get_xattrs(struct cbor_rd *rd, struct entry *ret)
{
	size_t items = cbor_get_array(rd, 2 * ENTRY_XATTRS_MAX);

	if (cbor_ok(rd) && (items % 2 != 0 || items == 0))
		cbor_fail(rd, "%zu values can't be pairs of extended attributes", items);
	if (!cbor_ok(rd))
		return;
	ret->xattrs = mem_array(items / 2, sizeof *ret->xattrs);
	ret->n_xattrs = (uint32_t)(items / 2);
	for (uint32_t i = 0; i < ret->n_xattrs && cbor_ok(rd); i++) {
		struct xattr *x = &ret->xattrs[i];

		x->name = cbor_get_bytes(rd, ENTRY_NAME_MAX);
		x->value = cbor_get_bytes(rd, ENTRY_XATTR_MAX);
		if (!cbor_ok(rd))
			return;
		if (x->name.len == 0 || memchr(x->name.p, 0, x->name.len) != NULL)
			cbor_fail(rd, "an extended attribute with an empty name or a NUL in it");
		else if (i > 0 && slice_cmp(x[-1].name, x->name) >= 0)
			cbor_fail(rd, "extended attributes whose names don't ascend");
	}
}

static void
get_children(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	     bool root, struct entry *ret)
{
	bool is_bytes = rd->p < rd->end && *rd->p >> 5 == 2;

	if (!is_bytes) {
		ret->children = CHILDREN_NODE;
		node_ref_get(rd, origin, packs, &ret->children_ref);
		return;
	}
	ret->children = CHILDREN_INLINE;
	ret->children_inline = cbor_get_bytes(rd, NODE_LEN_MAX);
	if (cbor_ok(rd) && (!root || ret->children_inline.len == 0))
		cbor_fail(rd, "entries inline elsewhere than in a snapshot's root, or none");
}

static void
get_bare(struct cbor_rd *rd, struct entry *ret)
{
	ret->bare = cbor_get_bool(rd);
	if (cbor_ok(rd) && ret->bare && ret->mode != 0555)
		cbor_fail(rd, "a bare directory of mode %04o instead of 0555", ret->mode);
}

static void
get_value(struct cbor_rd *rd, uint64_t key, const struct node_origin *origin,
	  const struct pack_table *packs, bool root, struct entry *ret)
{
	switch (key) {
	case KEY_NAME:
		get_name(rd, root, &ret->name);
		break;
	case KEY_TYPE:
		ret->type = (enum entry_type)cbor_get_uint(rd, ENTRY_BLOCK);
		break;
	case KEY_MODE:
		ret->mode = (uint32_t)cbor_get_uint(rd, 07777);
		break;
	case KEY_UID:
		ret->uid = (uint32_t)cbor_get_uint(rd, UINT32_MAX);
		break;
	case KEY_GID:
		ret->gid = (uint32_t)cbor_get_uint(rd, UINT32_MAX);
		break;
	case KEY_USER:
		ret->user = cbor_get_bytes(rd, ENTRY_NAME_MAX);
		break;
	case KEY_GROUP:
		ret->group = cbor_get_bytes(rd, ENTRY_NAME_MAX);
		break;
	case KEY_SIZE:
		ret->size = cbor_get_uint(rd, INT64_MAX);
		break;
	case KEY_MTIME:
		ret->mtime.sec = cbor_get_int(rd);
		break;
	case KEY_MTIME_NS:
		ret->mtime.nsec = get_nsec(rd);
		break;
	case KEY_CTIME:
		ret->ctime.sec = cbor_get_int(rd);
		break;
	case KEY_CTIME_NS:
		ret->ctime.nsec = get_nsec(rd);
		break;
	case KEY_BTIME:
		ret->btime.sec = cbor_get_int(rd);
		ret->has_btime = true;
		break;
	case KEY_BTIME_NS:
		ret->btime.nsec = get_nsec(rd);
		break;
	case KEY_NLINK:
		ret->nlink = cbor_get_uint(rd, UINT64_MAX);
		break;
	case KEY_DEV:
		ret->dev = cbor_get_uint(rd, UINT64_MAX);
		break;
	case KEY_INO:
		ret->ino = cbor_get_uint(rd, UINT64_MAX);
		break;
	case KEY_RDEV:
		get_rdev(rd, ret);
		break;
	case KEY_TARGET:
		get_target(rd, &ret->target);
		break;
	case KEY_XATTRS:
		get_xattrs(rd, ret);
		break;
	case KEY_SUBDIRS:
		ret->n_subdirs = cbor_get_uint(rd, INT64_MAX);
		break;
	case KEY_CONTENT:
		content_get(rd, origin, packs, ret->size, &ret->content);
		break;
	case KEY_CHILDREN:
		get_children(rd, origin, packs, root, ret);
		break;
	case KEY_BARE:
		get_bare(rd, ret);
		break;
	case KEY_ENTRIES:
		ret->n_entries = cbor_get_uint(rd, INT64_MAX);
		break;
	case KEY_BARE_SUBDIRS:
		ret->n_bare_subdirs = cbor_get_uint(rd, INT64_MAX);
		break;
	case KEY_HOLES:
		ret->hole_len = cbor_get_uint(rd, ret->size);
		break;
	default:
		cbor_skip(rd);
	}
}

/* ---- what goes with what ---- */

#define K(name)        KEY_BIT(KEY_##name)
#define FILE_KEYS      (K(SIZE) | K(CONTENT) | K(HOLES))
#define DIRECTORY_KEYS (K(SUBDIRS) | K(CHILDREN) | K(BARE) | K(ENTRIES) | K(BARE_SUBDIRS))
#define LINKS_KEYS     (K(NLINK) | K(DEV) | K(INO))
/* Keys that not every type may have. */
#define PARTICULAR_KEYS (FILE_KEYS | DIRECTORY_KEYS | LINKS_KEYS | K(RDEV) | K(TARGET))
#define REQUIRED_KEYS   (K(NAME) | K(TYPE) | K(MODE) | K(MTIME) | K(CTIME))

static const uint64_t type_keys[] = {
	[ENTRY_FILE] = FILE_KEYS | LINKS_KEYS,
	[ENTRY_DIR] = DIRECTORY_KEYS,
	[ENTRY_SYMLINK] = K(TARGET) | LINKS_KEYS,
	[ENTRY_FIFO] = LINKS_KEYS,
	[ENTRY_SOCKET] = LINKS_KEYS,
	[ENTRY_CHAR] = K(RDEV) | LINKS_KEYS,
	[ENTRY_BLOCK] = K(RDEV) | LINKS_KEYS,
};

static void
check_keys(struct cbor_rd *rd, uint64_t seen, enum entry_type type)
{
	uint64_t foreign;

	if (type < ENTRY_FILE) {
		cbor_fail(rd, "an entry of type 0");
		return;
	}
	foreign = seen & PARTICULAR_KEYS & ~type_keys[type];
	if (foreign != 0)
		cbor_fail(rd, "key %d doesn't go with type %d", __builtin_ctzll(foreign),
			  (int)type);
	if ((seen & K(BTIME_NS)) && !(seen & K(BTIME)))
		cbor_fail(rd, "nanoseconds of a birth time that isn't there");
}

static void
check_links(struct cbor_rd *rd, uint64_t seen, const struct entry *e)
{
	uint64_t source = seen & (K(DEV) | K(INO));

	if (e->nlink == 0)
		cbor_fail(rd, "no links");
	if (source != (e->nlink > 1 ? K(DEV) | K(INO) : 0))
		cbor_fail(rd, "%" PRIu64 " links %s device and inode", e->nlink,
			  e->nlink > 1 ? "without" : "with");
}

static void
check_directory(struct cbor_rd *rd, const struct entry *e)
{
	if ((e->children == CHILDREN_NONE) != (e->n_entries == 0))
		cbor_fail(rd, "a directory of %" PRIu64 " entries %s a place for them",
			  e->n_entries, e->children == CHILDREN_NONE ? "without" : "with");
	if (e->n_subdirs > e->n_entries || e->n_bare_subdirs > e->n_entries - e->n_subdirs)
		cbor_fail(rd, "a directory with more subdirectories than entries");
}

static void
check_entry(struct cbor_rd *rd, uint64_t seen, const struct entry *e)
{
	check_keys(rd, seen, e->type);
	check_links(rd, seen, e);
	if (e->type == ENTRY_DIR)
		check_directory(rd, e);
	if (e->type == ENTRY_SYMLINK && e->target.len == 0)
		cbor_fail(rd, "a symlink without target");
	if (e->type == ENTRY_FILE && (e->content.kind == CONTENT_EMPTY) != (e->size == 0))
		cbor_fail(rd, "a file of %" PRIu64 " bytes without content", e->size);
}

void
entry_get(struct cbor_rd *rd, const struct node_origin *origin, const struct pack_table *packs,
	  bool root, struct entry *ret)
{
	struct cbor_map m = cbor_get_map(rd);

	*ret = (struct entry){.nlink = 1};
	while (cbor_map_next(rd, &m))
		get_value(rd, m.key, origin, packs, root, ret);
	cbor_map_need(rd, &m, REQUIRED_KEYS);
	if (cbor_ok(rd))
		check_entry(rd, m.seen, ret);
	if (cbor_ok(rd))
		return;
	entry_fini(ret);
	*ret = (struct entry){0};
}
