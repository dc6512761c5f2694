/*
 * test_view.c - the name space of a mount, over real repositories in memory.
 */
#include "fixture_repo.h"

#include <dirent.h>
#include <errno.h>
#include <sys/xattr.h>

#include "tillfs/seal.h"
#include "tillfs/view.h"

#define DAY  "2025-06-30"
#define TIME "2025-06-30T21:00:05Z"
#define SNAP "by-date/2025-06-30/till-03.21-00-05Z"

struct mounted {
	struct repo *repo;
	struct view *view;
};

static struct mounted
mounted_new(struct fixture *fx)
{
	static const struct view_options options = {0};
	struct mounted m = {.repo = fixture_open(fx)};
	struct err err = ERR_INIT;

	CHECK_OK(view_new(m.repo, &options, &m.view, &err), &err);
	return m;
}

static void
mounted_fini(struct mounted *m)
{
	view_free(m->view);
	repo_close(m->repo);
}

/* Walks a path.  @ret: a reference on success.  Return: as view_lookup. */
static int
walk(struct view *v, const char *path, struct view_node **ret, struct view_attr *attr,
     struct err *err)
{
	struct view_node *n = view_root(v), *next;
	int r = view_getattr(v, n, attr, err);

	view_ref(n, 1);
	while (r == 0 && *path != '\0') {
		size_t len = strcspn(path, "/");

		r = view_lookup(v, n, slice_of(path, len), &next, attr, err);
		view_unref(v, n, 1);
		n = r == 0 ? next : NULL;
		path += len + (path[len] == '/');
	}
	if (r < 0 && n != NULL)
		view_unref(v, n, 1);
	*ret = r == 0 ? n : NULL;
	return r;
}

static struct view_node *
node_at(struct view *v, const char *path, struct view_attr *attr)
{
	struct err err = ERR_INIT;
	struct view_attr unused;
	struct view_node *n;

	CHECK_OK(walk(v, path, &n, attr != NULL ? attr : &unused, &err), &err);
	return n;
}

/* The names in a directory from an offset on, each followed by a space. */
static void
names_from(struct view *v, const char *path, uint64_t off, struct buf *ret)
{
	struct view_node *n = node_at(v, path, NULL);
	struct err err = ERR_INIT;
	struct view_dirent e;
	struct view_dir *d;
	int r;

	CHECK_OK(view_opendir(v, n, &d, &err), &err);
	for (; (r = view_readdir(v, d, off, &e, NULL, &err)) == 0; off = e.next_off) {
		buf_append(ret, e.name.p, e.name.len);
		buf_append_u8(ret, ' ');
	}
	assert_int_equal(r, ERR_NOENT);
	view_closedir(v, d);
	view_unref(v, n, 1);
}

static void
check_names(struct view *v, const char *path, const char *expected)
{
	CLEANUP(buf_fini) struct buf names = BUF_INIT;

	names_from(v, path, 0, &names);
	assert_string_equal(buf_cstr(&names), expected);
}

static void
check_link(struct view *v, const char *path, const char *expected)
{
	CLEANUP(buf_fini) struct buf target = BUF_INIT;
	struct view_attr attr;
	struct view_node *n = node_at(v, path, &attr);
	struct err err = ERR_INIT;

	assert_int_equal(attr.type, ENTRY_SYMLINK);
	CHECK_OK(view_readlink(v, n, &target, &err), &err);
	assert_string_equal(buf_cstr(&target), expected);
	assert_int_equal(attr.size, target.len);
	view_unref(v, n, 1);
}

static void
read_text(struct view *v, const char *path, struct buf *ret)
{
	struct view_node *n = node_at(v, path, NULL);
	struct err err = ERR_INIT;
	struct view_file *f;
	char chunk[7];
	size_t len;

	CHECK_OK(view_open(v, n, &f, &err), &err);
	do {
		CHECK_OK(view_read(v, f, ret->len, chunk, sizeof chunk, &len, &err), &err);
		buf_append(ret, chunk, len);
	} while (len > 0);
	view_close(v, f);
	view_unref(v, n, 1);
}

static void
check_text(struct view *v, const char *path, const char *expected)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	read_text(v, path, &text);
	assert_string_equal(buf_cstr(&text), expected);
}

/* A number out of status.json. */
static uint64_t
status(struct view *v, const char *name)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(freep) char *key = str_format("\"%s\": ", name);
	const char *at;

	read_text(v, ".tillfs/status.json", &text);
	at = strstr(buf_cstr(&text), key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

/* ---- the mount's own directories ---- */

static void
test_view__snapshots_stand_under_dates_and_writers(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};
	struct view_attr attr;

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_writer(fx, "till-04");
	fixture_write("src/receipt", "first");
	fixture_backup(fx, "till-03", DAY, TIME);
	fixture_write("src/receipt", "second");
	fixture_backup(fx, "till-03", "2025-07-01", "2025-07-02T01:30:00Z");
	fixture_backup(fx, "till-04", DAY, TIME);
	m = mounted_new(fx);

	check_names(m.view, "", ". .. .tillfs by-date by-host history latest ");
	check_names(m.view, ".tillfs", ". .. log status.json ");
	check_names(m.view, "by-date", ". .. 2025-06-30 2025-07-01 ");
	check_names(m.view, "by-date/2025-06-30", ". .. till-03.21-00-05Z till-04.21-00-05Z ");
	check_names(m.view, "by-date/2025-07-01", ". .. till-03.01-30-00Z ");
	check_names(m.view, "by-host", ". .. till-03 till-04 ");
	check_names(m.view, "by-host/till-03", ". .. 2025-06-30T21-00-05Z 2025-07-02T01-30-00Z ");
	check_names(m.view, "latest", ". .. till-03 till-04 ");
	check_link(m.view, "by-host/till-03/2025-07-02T01-30-00Z",
		   "../../by-date/2025-07-01/till-03.01-30-00Z");
	check_link(m.view, "latest/till-03", "../by-date/2025-07-01/till-03.01-30-00Z");
	check_link(m.view, "latest/till-04", "../by-date/2025-06-30/till-04.21-00-05Z");
	check_text(m.view, SNAP "/src/receipt", "first");
	check_text(m.view, "by-date/2025-07-01/till-03.01-30-00Z/src/receipt", "second");
	assert_int_equal(status(m.view, "snapshots"), 3);

	view_unref(m.view, node_at(m.view, "by-date", &attr), 1);
	assert_int_equal(attr.nlink, 2 + 2);
	assert_int_equal(attr.mode, 0555);
	assert_false(attr.immutable);
}

static void
test_view__the_highest_sequence_is_the_latest_whatever_the_clock_says(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_write("src/receipt", "x");
	fixture_backup(fx, "till-03", "2030-01-01", "2030-01-01T12:00:00Z");
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	check_link(m.view, "latest/till-03", "../" SNAP);
}

static void
test_view__snapshots_of_one_second_get_different_names(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};

	(void)state;
	fixture_writer(fx, "till-03");
	for (int i = 1; i <= 3; i++) {
		CLEANUP(freep) char *text = str_format("version %d", i);

		fixture_write("src/receipt", text);
		fixture_backup(fx, "till-03", DAY, TIME);
	}
	m = mounted_new(fx);

	check_names(m.view, "by-date/" DAY,
		    ". .. till-03.21-00-05Z till-03.21-00-05Z.2 till-03.21-00-05Z.3 ");
	check_names(m.view, "by-host/till-03",
		    ". .. 2025-06-30T21-00-05Z 2025-06-30T21-00-05Z.2 2025-06-30T21-00-05Z.3 ");
	check_text(m.view, SNAP "/src/receipt", "version 1");
	check_text(m.view, SNAP ".3/src/receipt", "version 3");
	check_link(m.view, "latest/till-03", "../" SNAP ".3");
	check_link(m.view, "by-host/till-03/2025-06-30T21-00-05Z.2", "../../" SNAP ".2");
}

/* ---- inside snapshots ---- */

/* Makes a tree whose classes are mixed in one directory, and in directories of one another. */
static void
make_mixed(void)
{
	fixture_write("src/a.txt", "general a");
	fixture_write("src/b.staff", "staff b");
	fixture_write("src/c.txt", "general c");
	fixture_write("src/sales/2025/day.csv", "sales");
	fixture_write("src/sales/2025/notes.staff", "sales too");
	fixture_write("src/team/x.staff", "staff x");
	fixture_write("src/team/y.txt", "general y");
	fixture_write("src/team/inner/z.staff", "staff z");
	fixture_write("src/plain/p/q", "general q");
	assert_int_equal(mkdir("src/empty", 0711), 0);
}

/* Compares attributes with what lstat() says of the source. */
static void
check_attr(struct view *v, const char *path)
{
	CLEANUP(freep) char *in_view = str_format(SNAP "/%s", path);
	struct view_attr attr;
	struct view_node *n = node_at(v, in_view, &attr);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	if (attr.nlink != st.st_nlink)
		fail_msg("%s: %llu links instead of %llu", path, (unsigned long long)attr.nlink,
			 (unsigned long long)st.st_nlink);
	assert_int_equal(attr.mode, st.st_mode & 07777);
	assert_int_equal(attr.uid, st.st_uid);
	assert_int_equal(attr.mtime.sec, st.st_mtim.tv_sec);
	assert_int_equal(attr.mtime.nsec, st.st_mtim.tv_nsec);
	assert_true(attr.immutable);
	if (attr.type == ENTRY_FILE)
		assert_int_equal(attr.size, st.st_size);
	view_unref(v, n, 1);
}

static void
test_view__classes_merge_into_the_tree_that_was_backed_up(void **state)
{
	static const char *const paths[] = {
		"src",
		"src/a.txt",
		"src/b.staff",
		"src/sales",
		"src/team",
		"src/team/inner",
		"src/sales/2025",
		"src/team/inner/z.staff",
		"src/plain",
		"src/plain/p",
		"src/sales/2025/day.csv",
		"src/empty",
	};
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FIXTURE_CLASSES);
	CLEANUP(mounted_fini) struct mounted m = {0};

	(void)state;
	fixture_writer(fx, "till-03");
	make_mixed();
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	check_names(m.view, SNAP, ". .. src ");
	check_names(m.view, SNAP "/src", ". .. a.txt b.staff c.txt empty plain sales team ");
	check_names(m.view, SNAP "/src/team", ". .. inner x.staff y.txt ");
	check_names(m.view, SNAP "/src/sales/2025", ". .. day.csv notes.staff ");
	check_text(m.view, SNAP "/src/b.staff", "staff b");
	check_text(m.view, SNAP "/src/sales/2025/notes.staff", "sales too");
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		check_attr(m.view, paths[i]);
}

/* Each offset that a listing tells of leads to the same names again, forwards and backwards. */
static void
check_offsets(struct view *v, const char *path, uint64_t n)
{
	CLEANUP(buf_fini) struct buf all = BUF_INIT;
	struct view_node *node = node_at(v, path, NULL);
	struct err err = ERR_INIT;
	struct view_dirent e;
	struct view_dir *d;
	const char *rest;

	names_from(v, path, 0, &all);
	rest = buf_cstr(&all);
	CHECK_OK(view_opendir(v, node, &d, &err), &err);
	for (uint64_t off = 0; off < n; off++) {
		CLEANUP(buf_fini) struct buf from = BUF_INIT;
		uint64_t back = n - 1 - off;

		names_from(v, path, off, &from);
		assert_string_equal(buf_cstr(&from), rest);
		rest = strchr(rest, ' ') + 1;
		CHECK_OK(view_readdir(v, d, back, &e, NULL, &err), &err);
		assert_int_equal(e.next_off, back + 1);
	}
	assert_string_equal(rest, "");
	assert_int_equal(view_readdir(v, d, n, &e, NULL, &err), ERR_NOENT);
	assert_int_equal(view_readdir(v, d, n + 1000, &e, NULL, &err), ERR_NOENT);
	view_closedir(v, d);
	view_unref(v, node, 1);
}

static void
test_view__offsets_lead_back_to_where_they_were_told(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FIXTURE_CLASSES);
	CLEANUP(mounted_fini) struct mounted m = {0};

	(void)state;
	fixture_writer(fx, "till-03");
	make_mixed();
	for (int i = 0; i < 60; i++) {
		CLEANUP(freep) char *one = str_format("src/plain/f%02d", i);
		CLEANUP(freep)
		char *mixed = str_format("src/team/f%02d%s", i, i % 3 ? "" : ".staff");

		fixture_write(one, "x");
		fixture_write(mixed, "x");
	}
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	check_offsets(m.view, SNAP "/src/plain", 2 + 1 + 60);
	check_offsets(m.view, SNAP "/src/team", 2 + 3 + 60);
	check_offsets(m.view, "by-date", 2 + 1);
	check_offsets(m.view, "", 2 + 5);
}

/* format.md section 9, computed by hand. */
static uint64_t
ino_by_the_book(uint8_t kind, const struct snapshot_name *s, const char *path)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct hash h;
	uint64_t ino = 0;

	buf_append_u8(&b, kind);
	if (s != NULL)
		buf_append(&b, s->id.h.b, 32);
	buf_append_str(&b, path);
	seal_hash_purpose("tillfs inode", b.p, b.len, &h);
	for (size_t i = 0; i < 8; i++)
		ino |= (uint64_t)h.b[i] << (8 * i);
	ino &= UINT64_MAX >> 1;
	return ino < 2 ? ino + 1 : ino;
}

/* The @rank-th entry of a folder. */
static uint64_t
ranked_ino_by_the_book(const struct snapshot_name *s, const char *folder, uint64_t rank)
{
	return (ino_by_the_book(1, s, folder) << 20 & INT64_MAX) | UINT64_C(1) << 62 | rank;
}

static uint64_t
ino_at(struct view *v, const char *path)
{
	struct view_attr attr;

	view_unref(v, node_at(v, path, &attr), 1);
	return attr.ino;
}

/* A directory's listing tells the same inode numbers as its entries; with @ascend, in order. */
static void
check_listed_inos(struct view *v, const char *path, bool ascend)
{
	struct view_node *node = node_at(v, path, NULL);
	struct err err = ERR_INIT;
	struct view_dirent e;
	struct view_dir *d;
	uint64_t last = 0;

	CHECK_OK(view_opendir(v, node, &d, &err), &err);
	for (uint64_t off = 2; view_readdir(v, d, off, &e, NULL, &err) == 0; off = e.next_off) {
		CLEANUP(freep)
		char *child = str_format("%s/%.*s", path, (int)e.name.len, (const char *)e.name.p);

		assert_int_equal(e.ino, ino_at(v, child));
		assert_true(!ascend || e.ino > last);
		last = e.ino;
	}
	view_closedir(v, d);
	view_unref(v, node, 1);
}

static void
test_view__inode_numbers_are_those_of_the_format(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};
	struct snapshot_name s;
	struct view_attr a, b;

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_write("src/dir/file", "x");
	fixture_write("src/dir/linked", "y");
	assert_int_equal(link("src/dir/linked", "src/again"), 0);
	s = fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	assert_int_equal(ino_at(m.view, SNAP), ino_by_the_book(1, &s, ""));
	assert_int_equal(ino_at(m.view, SNAP "/src/dir/file"),
			 ranked_ino_by_the_book(&s, "src/dir", 0));
	assert_int_equal(ino_at(m.view, SNAP "/src/dir"), ranked_ino_by_the_book(&s, "src", 1));
	assert_int_equal(ino_at(m.view, "by-date/" DAY), ino_by_the_book(3, NULL, "by-date/" DAY));
	assert_int_equal(ino_at(m.view, ""), ino_by_the_book(3, NULL, ""));
	view_unref(m.view, node_at(m.view, SNAP "/src/dir/linked", &a), 1);
	view_unref(m.view, node_at(m.view, SNAP "/src/again", &b), 1);
	assert_int_equal(a.ino, b.ino);
	assert_int_equal(a.nlink, 2);
	check_listed_inos(m.view, SNAP "/src/dir", false);
	check_listed_inos(m.view, SNAP "/src", false);
	check_listed_inos(m.view, "by-date/" DAY, false);
	check_listed_inos(m.view, "by-host/till-03", false);
}

static void
test_view__inode_numbers_ascend_with_names(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FIXTURE_CLASSES);
	CLEANUP(mounted_fini) struct mounted m = {0};

	(void)state;
	fixture_writer(fx, "till-03");
	make_mixed();
	for (int i = 0; i < 60; i++) {
		CLEANUP(freep)
		char *mixed = str_format("src/team/f%02d%s", i, i % 3 ? "" : ".staff");

		fixture_write(mixed, "x");
	}
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);
	check_listed_inos(m.view, SNAP "/src", true);
	check_listed_inos(m.view, SNAP "/src/team", true);
}

static void
test_view__holes_show_in_the_block_count(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};
	struct err err = ERR_INIT;
	struct view_attr attr;
	struct view_node *n;
	struct view_file *f;
	struct stat st;
	uint64_t at;

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_write("src/sparse", "head");
	assert_int_equal(truncate("src/sparse", (off_t)1 << 40), 0);
	assert_int_equal(stat("src/sparse", &st), 0);
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	n = node_at(m.view, SNAP "/src/sparse", &attr);
	assert_int_equal(attr.size, UINT64_C(1) << 40);
	assert_int_equal(attr.blocks, st.st_blocks);
	CHECK_OK(view_open(m.view, n, &f, &err), &err);
	CHECK_OK(view_seek(m.view, f, 0, true, &at, &err), &err);
	assert_int_equal(at, 4096);
	assert_int_equal(view_seek(m.view, f, 8192, false, &at, &err), ERR_NOENT);
	view_close(m.view, f);
	view_unref(m.view, n, 1);
}

/* ---- extended attributes ---- */

static int
get_xattr(struct view *v, const char *path, const char *name, struct buf *ret)
{
	struct view_node *n = node_at(v, path, NULL);
	struct err err = ERR_INIT;
	int r = view_getxattr(v, n, slice_str(name), ret, &err);

	view_unref(v, n, 1);
	(void)buf_cstr(ret);
	return r;
}

static void
check_xattr(struct view *v, const char *path, const char *name, const char *expected)
{
	CLEANUP(buf_fini) struct buf value = BUF_INIT;

	assert_int_equal(get_xattr(v, path, name, &value), 0);
	assert_string_equal(buf_cstr(&value), expected);
}

static void
test_view__provenance_can_be_asked_for_but_is_not_listed(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FIXTURE_CLASSES);
	CLEANUP(mounted_fini) struct mounted m = {0};
	CLEANUP(buf_fini) struct buf value = BUF_INIT;
	CLEANUP(buf_fini) struct buf list = BUF_INIT;
	struct err err = ERR_INIT;
	struct snapshot_name s;
	struct view_node *n;

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_write("src/sales/file", "x");
	if (setxattr("src/sales/file", "user.mine", "kept", 4, 0) < 0)
		skip(); /* a filesystem without user attributes */
	assert_int_equal(setxattr("src/sales/file", "user.tillfs.writer", "forged", 6, 0), 0);
	s = fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	check_xattr(m.view, SNAP "/src/sales/file", "user.mine", "kept");
	check_xattr(m.view, SNAP "/src/sales/file", "user.tillfs.writer", "till-03");
	check_xattr(m.view, SNAP "/src/sales/file", "user.tillfs.class", "sales");
	check_xattr(m.view, SNAP "/src/sales/file", "user.tillfs.date", DAY);
	check_xattr(m.view, SNAP "/src/sales/file", "user.tillfs.time", TIME);
	check_xattr(m.view, SNAP, "user.tillfs.sequence", "1");
	check_xattr(m.view, SNAP "/src", "user.tillfs.snapshot", hex(&s.id.h).s);
	assert_int_equal(get_xattr(m.view, SNAP "/src", "user.other", &value), ERR_NOENT);
	assert_int_equal(get_xattr(m.view, "by-date", "user.tillfs.date", &value), ERR_NOENT);

	n = node_at(m.view, SNAP "/src/sales/file", NULL);
	CHECK_OK(view_listxattr(m.view, n, &list, &err), &err);
	check_bytes(buf_slice(&list), slice_of("user.mine\0user.tillfs.writer", 29));
	view_unref(m.view, n, 1);
}

static void
test_view__a_snapshot_without_attributes_says_so_once_for_all(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};
	CLEANUP(buf_fini) struct buf value = BUF_INIT;
	const char *acl = "system.posix_acl_access";

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_write("src/file", "x");
	if (listxattr("src/file", NULL, 0) != 0)
		skip(); /* a system that labels everything */
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);

	assert_int_equal(get_xattr(m.view, SNAP "/src/file", acl, &value), ERR_UNSUPPORTED);
	check_xattr(m.view, SNAP "/src/file", "user.tillfs.writer", "till-03");
}

/* ---- what changes ---- */

/* Collects "<directory>:<name> " of each change told. */
static void
note_change(void *arg, struct view_node *dir, struct slice name)
{
	struct buf *changes = arg;

	view_node_path(dir, changes);
	buf_append_u8(changes, ':');
	buf_append(changes, name.p, name.len);
	buf_append_u8(changes, ' ');
}

static void
test_view__a_refresh_shows_new_snapshots_and_tells_what_changed(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = {0};
	CLEANUP(buf_fini) struct buf changes = BUF_INIT;
	struct view_node *day, *link, *file;
	struct err err = ERR_INIT;
	struct view_file *f;
	char text[16];
	size_t len;

	(void)state;
	fixture_writer(fx, "till-03");
	fixture_write("src/receipt", "first");
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);
	day = node_at(m.view, "by-date/" DAY, NULL);
	link = node_at(m.view, "latest/till-03", NULL);
	file = node_at(m.view, SNAP "/src/receipt", NULL);
	CHECK_OK(view_open(m.view, file, &f, &err), &err);

	CHECK_OK(view_refresh(m.view, note_change, &changes, &err), &err);
	assert_string_equal(buf_cstr(&changes), "");

	fixture_write("src/receipt", "second");
	fixture_backup(fx, "till-03", DAY, "2025-06-30T22:00:00Z");
	fixture_backup(fx, "till-03", "2025-07-01", "2025-07-01T22:00:00Z");
	CHECK_OK(view_refresh(m.view, note_change, &changes, &err), &err);
	/* Nobody has looked into by-host, so there is nothing to forget about it. */
	assert_string_equal(buf_cstr(&changes), "by-date/2025-06-30:till-03.22-00-00Z "
						"by-date:2025-07-01 latest:till-03 ");
	check_names(m.view, "by-date", ". .. 2025-06-30 2025-07-01 ");
	check_names(m.view, "by-date/" DAY, ". .. till-03.21-00-05Z till-03.22-00-00Z ");
	check_link(m.view, "latest/till-03", "../by-date/2025-07-01/till-03.22-00-00Z");

	/* Who held the old ones keeps them. */
	CHECK_OK(view_read(m.view, f, 0, text, sizeof text, &len, &err), &err);
	check_bytes(slice_of(text, len), slice_str("first"));
	view_close(m.view, f);
	view_unref(m.view, file, 1);
	view_unref(m.view, link, 1);
	view_unref(m.view, day, 1);
}

/* ---- many snapshots, far away ------------------------------------------------------------- */

/* Keys alone: what stands in the objects is looked at by nobody here. */
static void
plant_snapshots(struct store *s, const struct writer_id *writer, int32_t day, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct snapshot_name name = {.writer = *writer,
					     .date = {day + (int32_t)i},
					     .time = (int64_t)(day + (int32_t)i) * 86400,
					     .seq = i + 2,
					     .id = {.h = {{(uint8_t)i, (uint8_t)(i >> 8),
							   writer->b[0]}}}};
		struct err err = ERR_INIT;

		CHECK_OK(store_create(s, snapshot_key_format(&name).s, slice_str("x"), &err), &err);
	}
}

/* A view of which only the dates are known: 1001 snapshots of till-03, one of till-04. */
static struct mounted
mounted_by_days(struct fixture *fx)
{
	static const struct view_options options = {0};
	struct snapshot_name name;
	struct mounted m = {0};
	struct err err = ERR_INIT;

	fixture_writer(fx, "till-03");
	fixture_writer(fx, "till-04");
	fixture_write("src/receipt", "first");
	fixture_backup(fx, "till-04", DAY, TIME);
	name = fixture_backup(fx, "till-03", DAY, TIME);
	plant_snapshots(fx->store, &name.writer, name.date.days - 2000, 1000);
	name.writer.b[0] ^= 1;
	plant_snapshots(fx->store, &name.writer, name.date.days + 100, 1); /* a stranger's */

	CHECK_OK(repo_open_by_days(fx->store, fx->admin, NULL, &m.repo, &err), &err);
	assert_false(repo_is_listed(m.repo));
	CHECK_OK(view_new(m.repo, &options, &m.view, &err), &err);
	assert_false(view_is_listed(m.view));
	return m;
}

static size_t
count_names(struct view *v, const char *path)
{
	struct view_node *n = node_at(v, path, NULL);
	struct view_dirent e = {0};
	struct err err = ERR_INIT;
	struct view_dir *d;
	size_t count = 0;

	CHECK_OK(view_opendir(v, n, &d, &err), &err);
	while (view_readdir(v, d, e.next_off, &e, NULL, &err) == 0)
		count++;
	view_closedir(v, d);
	view_unref(v, n, 1);
	return count - 2; /* . and .. */
}

/* What a mount does when somebody waits. */
struct lister {
	struct view *view;
	struct buf changes;
	unsigned calls;
	int code;
};

static void
list_now(void *arg)
{
	struct lister *l = arg;

	l->calls++;
	l->code = view_refresh(l->view, note_change, &l->changes, NULL);
}

static void
test_view__of_many_far_snapshots_dates_come_first(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = mounted_by_days(fx);
	struct lister l = {.view = m.view};
	struct repo_finding *findings;
	struct view_node *day, *file;
	size_t n;

	(void)state;
	view_on_wait(m.view, list_now, &l);
	assert_int_equal(count_names(m.view, "by-date"), 1001);
	day = node_at(m.view, "by-date/" DAY, NULL);
	check_names(m.view, "by-date/" DAY, ". .. till-03.21-00-05Z till-04.21-00-05Z ");
	file = node_at(m.view, SNAP "/src/receipt", NULL);
	assert_false(view_is_listed(m.view));
	assert_int_equal(l.calls, 0);

	/* Who needs more waits for it, and whoever was inside stays there. */
	assert_int_equal(count_names(m.view, "latest"), 2);
	assert_int_equal(l.calls, 1);
	assert_int_equal(l.code, 0);
	assert_true(view_is_listed(m.view));
	assert_non_null(strstr(buf_cstr(&l.changes), "by-date/" DAY ": "));
	assert_null(strstr(buf_cstr(&l.changes), "till-03.21-00-05Z"));
	assert_int_equal(count_names(m.view, "by-date"), 1001);
	assert_int_equal(count_names(m.view, "by-host/till-03"), 1001);
	check_names(m.view, "by-date/" DAY, ". .. till-03.21-00-05Z till-04.21-00-05Z ");
	assert_ptr_equal(node_at(m.view, SNAP "/src/receipt", NULL), file);
	view_unref(m.view, file, 2);
	view_unref(m.view, day, 1);

	repo_findings(m.repo, &findings, &n);
	assert_int_equal(n, 1);
	assert_non_null(strstr(findings[0].text, "no admin enrolled it"));
	free(findings);
	buf_fini(&l.changes);
}

static void
test_view__nobody_waits_for_a_listing_that_wont_come(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new("");
	CLEANUP(mounted_fini) struct mounted m = mounted_by_days(fx);
	struct view_attr attr;
	struct view_node *n;
	struct err err = ERR_INIT;

	(void)state;
	view_end_waits(m.view);
	assert_int_equal(walk(m.view, "latest/till-03", &n, &attr, &err), ERR_UNREACHABLE);
}

static void
test_view__a_listing_that_fails_is_told_and_tried_again(void **state)
{
	CLEANUP(fixture_freep)
	struct fixture *fx = fixture_new_in(store_fault_new(store_memory_new()), "");
	CLEANUP(mounted_fini) struct mounted m = mounted_by_days(fx);
	struct lister l = {.view = m.view};
	struct view_attr attr;
	struct view_node *n;
	struct err err = ERR_INIT;

	(void)state;
	view_on_wait(m.view, list_now, &l);
	store_fault_arm(fx->store, 1, ERR_UNREACHABLE);
	assert_int_equal(walk(m.view, "latest/till-03", &n, &attr, &err), ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, "the snapshots aren't listed yet"));
	assert_int_equal(l.code, ERR_UNREACHABLE);
	assert_int_equal(count_names(m.view, "by-date"), 1001);

	list_now(&l);
	assert_int_equal(l.code, 0);
	view_unref(m.view, node_at(m.view, "latest/till-03", NULL), 1);
	buf_fini(&l.changes);
}

static void
test_view__nodes_go_when_nobody_refers_to_them(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FIXTURE_CLASSES);
	CLEANUP(mounted_fini) struct mounted m = {0};
	struct view_node *n, *again, *deep;
	struct view_attr attr;
	struct err err = ERR_INIT;
	uint64_t before;

	(void)state;
	fixture_writer(fx, "till-03");
	make_mixed();
	fixture_backup(fx, "till-03", DAY, TIME);
	m = mounted_new(fx);
	before = status(m.view, "nodes");

	n = node_at(m.view, SNAP "/src", NULL);
	deep = node_at(m.view, SNAP "/src/team/inner", NULL);
	CHECK_OK(view_lookup(m.view, n, slice_str("team"), &again, &attr, &err), &err);
	/* latest's own two, the date, the snapshot, src, team, inner. */
	assert_int_equal(status(m.view, "nodes"), before + 5);
	view_unref(m.view, n, 1);
	view_unref(m.view, again, 1);
	assert_int_equal(status(m.view, "nodes"), before + 5);
	view_ref(deep, 3);
	view_unref(m.view, deep, 4);
	assert_int_equal(status(m.view, "nodes"), before);
}

/* ---- failures ---- */

/* Looks at everything once.  Return: the first error. */
static int
look_around(struct view *v, struct err *err)
{
	static const char *const paths[] = {SNAP "/src/a.txt", SNAP "/src/team/inner/z.staff",
					    SNAP "/src/sales/2025/day.csv"};
	struct view_attr attr;
	struct view_node *n;
	struct view_file *f;
	char text[32];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int r = walk(v, paths[i], &n, &attr, err);

		if (r < 0)
			return r;
		r = view_open(v, n, &f, err);
		if (r == 0) {
			r = view_read(v, f, 0, text, sizeof text, &len, err);
			view_close(v, f);
			if (r == 0 && len == 0)
				fail_msg("%s is empty", paths[i]);
		}
		view_unref(v, n, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static void
test_view__every_store_failure_is_told_and_nothing_goes_missing(void **state)
{
	struct store *faulty = store_fault_new(store_memory_new());
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new_in(faulty, FIXTURE_CLASSES);
	unsigned nth = 1;

	(void)state;
	fixture_writer(fx, "till-03");
	make_mixed();
	fixture_backup(fx, "till-03", DAY, TIME);
	for (;; nth++) {
		CLEANUP(mounted_fini) struct mounted m = mounted_new(fx);
		struct err err = ERR_INIT;
		int r;

		store_fault_arm(faulty, nth, ERR_DENIED);
		r = look_around(m.view, &err);
		if (!store_fault_fired(faulty)) {
			CHECK_OK(r, &err);
			break;
		}
		/* What may be retried was; what was not says so, never "no such file". */
		if (r != 0 && r != ERR_DENIED)
			fail_msg("call %u: %s (%s)", nth, err.msg, err_name(r));
	}
	assert_true(nth > 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view__snapshots_stand_under_dates_and_writers),
		cmocka_unit_test(
			test_view__the_highest_sequence_is_the_latest_whatever_the_clock_says),
		cmocka_unit_test(test_view__snapshots_of_one_second_get_different_names),
		cmocka_unit_test(test_view__classes_merge_into_the_tree_that_was_backed_up),
		cmocka_unit_test(test_view__offsets_lead_back_to_where_they_were_told),
		cmocka_unit_test(test_view__inode_numbers_are_those_of_the_format),
		cmocka_unit_test(test_view__inode_numbers_ascend_with_names),
		cmocka_unit_test(test_view__holes_show_in_the_block_count),
		cmocka_unit_test(test_view__provenance_can_be_asked_for_but_is_not_listed),
		cmocka_unit_test(test_view__a_snapshot_without_attributes_says_so_once_for_all),
		cmocka_unit_test(test_view__a_refresh_shows_new_snapshots_and_tells_what_changed),
		cmocka_unit_test(test_view__of_many_far_snapshots_dates_come_first),
		cmocka_unit_test(test_view__nobody_waits_for_a_listing_that_wont_come),
		cmocka_unit_test(test_view__a_listing_that_fails_is_told_and_tried_again),
		cmocka_unit_test(test_view__nodes_go_when_nobody_refers_to_them),
		cmocka_unit_test(test_view__every_store_failure_is_told_and_nothing_goes_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
