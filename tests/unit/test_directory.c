/*
 * test_directory.c - directory entries and nodes.
 */
#include "fixture_format.h"

#include "tillfs/directory.h"

static struct node_origin
origin_here(void)
{
	struct node_origin origin = {.seg = {.off = 5000, .stored_len = 900, .plain_len = 3000},
				     .off = 1000};

	memset(&origin.pack, 0xcc, sizeof origin.pack);
	return origin;
}

static int
decode(const struct buf *bytes, int height, struct dir_node **ret, struct err *err)
{
	struct node_origin origin = origin_here();

	return dir_node_decode(buf_slice(bytes), &origin, height, ret, err);
}

static int
decode_text(const char *text, int height, struct dir_node **ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

	cbor_text(&bytes, text);
	return decode(&bytes, height, ret, err);
}

/* A node around a payload, with a table of the holder and pack 1. */
static void
node_make(enum node_kind kind, const struct buf *payload, struct buf *ret)
{
	struct node_origin origin = origin_here();
	struct pack_id other = {{{1}}};
	CLEANUP(pack_table_fini) struct pack_table packs;

	pack_table_init(&packs, &origin.pack);
	(void)pack_table_number(&packs, &other);
	buf_reset(ret);
	node_put(ret, &packs, kind, buf_slice(payload));
}

static void
check_time(struct timestamp a, struct timestamp b)
{
	assert_int_equal(a.sec, b.sec);
	assert_int_equal(a.nsec, b.nsec);
}

static void
check_node_ref(const struct node_ref *a, const struct node_ref *b)
{
	assert_int_equal(a->seg.pack, b->seg.pack);
	assert_int_equal(a->seg.stored_len, b->seg.stored_len);
	assert_int_equal(a->seg.plain_len, b->seg.plain_len);
	assert_int_equal(a->seg.off, b->seg.off);
	assert_int_equal(a->off, b->off);
	assert_int_equal(a->len, b->len);
}

static void
check_entry(const struct entry *a, const struct entry *b)
{
	check_bytes(a->name, b->name);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	check_bytes(a->user, b->user);
	check_bytes(a->group, b->group);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->hole_len, b->hole_len);
	check_time(a->mtime, b->mtime);
	check_time(a->ctime, b->ctime);
	check_time(a->btime, b->btime);
	assert_int_equal(a->has_btime, b->has_btime);
	assert_int_equal(a->nlink, b->nlink);
	assert_int_equal(a->dev, b->dev);
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->rdev_major, b->rdev_major);
	assert_int_equal(a->rdev_minor, b->rdev_minor);
	check_bytes(a->target, b->target);
	assert_int_equal(a->n_xattrs, b->n_xattrs);
	for (uint32_t i = 0; i < a->n_xattrs; i++) {
		check_bytes(a->xattrs[i].name, b->xattrs[i].name);
		check_bytes(a->xattrs[i].value, b->xattrs[i].value);
	}
	assert_int_equal(a->content.kind, b->content.kind);
	check_bytes(a->content.bytes, b->content.bytes);
	assert_int_equal(a->content.height, b->content.height);
	check_node_ref(&a->content.root, &b->content.root);
	assert_int_equal(a->content.leaf.n_extents, b->content.leaf.n_extents);
	assert_int_equal(a->n_subdirs, b->n_subdirs);
	assert_int_equal(a->n_bare_subdirs, b->n_bare_subdirs);
	assert_int_equal(a->n_entries, b->n_entries);
	assert_int_equal(a->bare, b->bare);
	assert_int_equal(a->children, b->children);
	check_node_ref(&a->children_ref, &b->children_ref);
	check_bytes(a->children_inline, b->children_inline);
}

/* ---- known bytes ---- */

#define TIMES "8: -5, 9: 999999999, 10: 1700000000"

/* One of each kind, with all that it may have; the bytes are those of docs/format.md 6.5. */
static void
test_directory__known_bytes(void **state)
{
	static const struct xattr xattrs[] = {
		{{(const uint8_t *)"security.capability", 19}, {(const uint8_t *)"\1\0\0\2", 4}},
		{{(const uint8_t *)"user.x", 6}, {NULL, 0}},
	};
	const struct timestamp m = {-5, 999999999}, c = {1700000000, 0};
	const struct {
		struct entry entry;
		const char *text;
	} known[] = {
		{{.name = slice_str("a.txt"),
		  .type = ENTRY_FILE,
		  .mode = 04755,
		  .uid = UINT32_MAX,
		  .gid = 100,
		  .user = slice_str("till"),
		  .group = slice_str("users"),
		  .size = 5,
		  .hole_len = 2,
		  .mtime = m,
		  .ctime = c,
		  .btime = {7, 8},
		  .has_btime = true,
		  .nlink = 3,
		  .dev = 66306,
		  .ino = UINT64_MAX,
		  .xattrs = (struct xattr *)xattrs,
		  .n_xattrs = 2,
		  .content = {.kind = CONTENT_INLINE, .bytes = slice_str("hello")}},
		 "{0: 'a.txt', 1: 1, 2: 2541, 3: 4294967295, 4: 100, 5: 'till', 6: 'users', 7: "
		 "5, " TIMES ", 12: 7, 13: 8, 14: 3, 15: 66306, 16: 18446744073709551615, "
		 "19: ['security.capability', h'01000002', 'user.x', ''], 21: [0, 'hello'], 26: "
		 "2}"},
		{{.name = slice_str("b"), .type = ENTRY_FILE, .mtime = m, .ctime = c, .nlink = 1},
		 "{0: 'b', 1: 1, 2: 0, " TIMES "}"},
		{{.name = slice_str("c"),
		  .type = ENTRY_DIR,
		  .mode = 0555,
		  .mtime = m,
		  .ctime = c,
		  .nlink = 1,
		  .n_subdirs = 3,
		  .n_bare_subdirs = 1,
		  .n_entries = 12,
		  .bare = true,
		  .children = CHILDREN_NODE,
		  .children_ref = {{1, 400, 900, 77}, 30, 60}},
		 "{0: 'c', 1: 2, 2: 365, " TIMES ", 20: 3, 22: [1, 77, 400, 900, 30, 60], "
		 "23: true, 24: 12, 25: 1}"},
		{{.name = slice_str("d"),
		  .type = ENTRY_SYMLINK,
		  .mode = 0777,
		  .mtime = m,
		  .ctime = c,
		  .nlink = 1,
		  .target = slice_str("../x")},
		 "{0: 'd', 1: 3, 2: 511, " TIMES ", 18: '../x'}"},
		{{.name = slice_str("e"), .type = ENTRY_FIFO, .mtime = m, .ctime = c, .nlink = 1},
		 "{0: 'e', 1: 4, 2: 0, " TIMES "}"},
		{{.name = slice_str("f"), .type = ENTRY_SOCKET, .mtime = m, .ctime = c, .nlink = 1},
		 "{0: 'f', 1: 5, 2: 0, " TIMES "}"},
		{{.name = slice_str("g"),
		  .type = ENTRY_CHAR,
		  .mtime = m,
		  .ctime = c,
		  .nlink = 1,
		  .rdev_major = 5,
		  .rdev_minor = 1},
		 "{0: 'g', 1: 6, 2: 0, " TIMES ", 17: 21474836481}"},
		{{.name = slice_str("h"), .type = ENTRY_BLOCK, .mtime = m, .ctime = c, .nlink = 1},
		 "{0: 'h', 1: 7, 2: 0, " TIMES "}"},
	};
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(dir_node_freep) struct dir_node *node = NULL;
	struct err err = ERR_INIT;

	(void)state;
	cbor_put_array(&payload, ARRAY_LEN(known));
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CLEANUP(buf_fini) struct buf expected = BUF_INIT;
		size_t before = payload.len;

		entry_put(&payload, &known[i].entry);
		cbor_text(&expected, known[i].text);
		check_bytes(slice_of(payload.p + before, payload.len - before),
			    buf_slice(&expected));
	}
	node_make(NODE_DIR_LEAF, &payload, &bytes);
	CHECK_OK(decode(&bytes, 0, &node, &err), &err);
	assert_int_equal(node->n, ARRAY_LEN(known));
	for (uint32_t i = 0; i < node->n; i++) {
		CLEANUP(entry_fini) struct entry e;

		dir_node_entry(node, i, &e);
		check_entry(&e, &known[i].entry);
	}
}

static void
test_directory__inner_known_bytes(void **state)
{
	struct node_origin origin = origin_here();
	struct dir_child children[] = {
		{slice_str("a"), 12, {{1, 400, 900, 77}, 30, 60}},
		{slice_str("ab"), INT64_MAX - 12, {{0}, 900, 100}},
	};
	CLEANUP(buf_fini) struct buf payload = BUF_INIT;
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(buf_fini) struct buf expected = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	dir_inner_put(&payload, 3, children, ARRAY_LEN(children));
	cbor_text(&expected, "[3, [['a', 12, [1, 77, 400, 900, 30, 60]], "
			     "['ab', 9223372036854775795, [900, 100]]]]");
	check_bytes(buf_slice(&payload), buf_slice(&expected));
	node_make(NODE_DIR_INNER, &payload, &bytes);
	children[1].ref.seg = origin.seg;
	for (int height = -1; height <= 3; height += 4) {
		CLEANUP(dir_node_freep) struct dir_node *node = NULL;

		CHECK_OK(decode(&bytes, height, &node, &err), &err);
		assert_int_equal(node->height, 3);
		assert_int_equal(node->n, 2);
		for (uint32_t i = 0; i < 2; i++) {
			check_bytes(node->children[i].first, children[i].first);
			assert_int_equal(node->children[i].count, children[i].count);
			check_node_ref(&node->children[i].ref, &children[i].ref);
		}
	}
}

/* ---- round trip ---- */

/* Random bytes that a name can have; NUL and `/` become others. */
static struct slice
random_name(struct rng *rng, size_t max_len, struct buf *arena)
{
	size_t len = rng_within(rng, 1, max_len);
	uint8_t *p = buf_extend(arena, len);

	rng_bytes(rng, p, len);
	for (size_t i = 0; i < len; i++)
		if (p[i] == 0 || p[i] == '/')
			p[i] = 'n';
	if (p[0] == '.')
		p[0] = 0xff;
	return slice_of(p, len);
}

static void
random_particulars(struct rng *rng, struct buf *arena, struct entry *e)
{
	switch (e->type) {
	case ENTRY_FILE:
		e->content.kind = rng_within(rng, CONTENT_EMPTY, CONTENT_TREE);
		e->size = e->content.kind == CONTENT_EMPTY ? 0 : rng_within(rng, 1, 512);
		e->hole_len = rng_within(rng, 0, e->size);
		if (e->content.kind == CONTENT_INLINE)
			e->content.bytes = slice_of(buf_extend(arena, e->size), e->size);
		if (e->content.kind == CONTENT_LEAF) {
			e->content.leaf.n_extents = 1;
			e->content.leaf.extents = mem_alloc(sizeof *e->content.leaf.extents);
			e->content.leaf.extents[0].len = e->size;
		}
		if (e->content.kind == CONTENT_TREE) {
			e->content.height = (uint32_t)rng_within(rng, 1, 6);
			e->content.root = (struct node_ref){{1, 4000, 5000, 77}, 30, 60};
		}
		break;
	case ENTRY_DIR:
		e->n_entries = rng_within(rng, 0, 1000000);
		e->n_subdirs = rng_within(rng, 0, e->n_entries);
		e->n_bare_subdirs = rng_within(rng, 0, e->n_entries - e->n_subdirs);
		e->children = e->n_entries > 0 ? CHILDREN_NODE : CHILDREN_NONE;
		if (e->n_entries > 0)
			e->children_ref = (struct node_ref){{0, 400, 900, 77}, 30, 60};
		e->bare = e->mode == 0555;
		break;
	case ENTRY_SYMLINK:
		e->target = random_name(rng, ENTRY_TARGET_MAX / 16, arena);
		break;
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		e->rdev_major = (uint32_t)rng_next(rng);
		e->rdev_minor = (uint32_t)rng_next(rng);
		break;
	default:
		break;
	}
	e->nlink = e->type == ENTRY_DIR ? 1 : rng_within(rng, 1, 3);
	if (e->nlink > 1) {
		e->dev = rng_next(rng);
		e->ino = rng_next(rng);
	}
}

static int
xattr_cmp(const void *a, const void *b)
{
	return slice_cmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static void
random_xattrs(struct rng *rng, struct buf *arena, struct entry *e)
{
	e->n_xattrs = (uint32_t)rng_within(rng, 0, 3);
	e->xattrs = mem_array(e->n_xattrs, sizeof *e->xattrs);
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		e->xattrs[i].name = random_name(rng, 40, arena);
		e->xattrs[i].value = random_name(rng, 30, arena);
	}
	qsort(e->xattrs, e->n_xattrs, sizeof *e->xattrs, xattr_cmp);
	for (uint32_t i = 1; i < e->n_xattrs; i++)
		if (xattr_cmp(&e->xattrs[i - 1], &e->xattrs[i]) == 0)
			e->n_xattrs = i;
}

static void
random_entry(struct rng *rng, struct buf *arena, struct entry *e)
{
	*e = (struct entry){.name = random_name(rng, rng_within(rng, 1, ENTRY_NAME_MAX), arena),
			    .type = (enum entry_type)rng_within(rng, ENTRY_FILE, ENTRY_BLOCK),
			    .mode = (uint32_t)rng_within(rng, 0, 07777)};

	e->uid = (uint32_t)(rng_next(rng) >> rng_within(rng, 0, 63));
	e->gid = (uint32_t)(rng_next(rng) >> rng_within(rng, 0, 63));
	if (rng_within(rng, 0, 1)) {
		e->user = random_name(rng, 20, arena);
		e->group = random_name(rng, ENTRY_NAME_MAX, arena);
	}
	e->mtime.sec = (int64_t)rng_next(rng) >> rng_within(rng, 0, 63);
	e->mtime.nsec = (uint32_t)rng_within(rng, 0, 999999999);
	e->ctime.sec = (int64_t)rng_next(rng);
	e->has_btime = rng_within(rng, 0, 1);
	if (e->has_btime)
		e->btime.nsec = (uint32_t)rng_within(rng, 0, 2);
	random_particulars(rng, arena, e);
	random_xattrs(rng, arena, e);
}

static int
entry_cmp(const void *a, const void *b)
{
	return slice_cmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

#define MANY 150

/* Distinct names, ascending; returns how many. */
static size_t
random_entries(struct rng *rng, struct buf *arena, struct entry entries[MANY])
{
	size_t n = rng_within(rng, 1, MANY), distinct = 1;

	buf_reserve(arena, MIB); /* slices point into it: it mustn't move */
	for (size_t i = 0; i < n; i++)
		random_entry(rng, arena, &entries[i]);
	assert_true(arena->len < MIB);
	qsort(entries, n, sizeof *entries, entry_cmp);
	for (size_t i = 1; i < n; i++)
		if (entry_cmp(&entries[distinct - 1], &entries[i]) == 0)
			entry_fini(&entries[i]);
		else
			entries[distinct++] = entries[i];
	return distinct;
}

static void
check_lookups(struct rng *rng, const struct dir_node *node, const struct entry *entries, size_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t longer[ENTRY_NAME_MAX + 1] = {0};
		struct slice name = entries[i].name;

		check_bytes(dir_node_name(node, i), name);
		assert_int_equal(dir_node_find(node, name), i);
		memcpy(longer, name.p, name.len); /* a NUL more: the next name there could be */
		assert_int_equal(dir_node_find(node, slice_of(longer, name.len + 1)), UINT32_MAX);
	}
	for (int i = 0; i < 50; i++) {
		CLEANUP(buf_fini) struct buf arena = BUF_INIT;
		struct slice name = random_name(rng, 3, &arena);
		uint32_t found = dir_node_find(node, name), expected = UINT32_MAX;

		for (uint32_t j = 0; j < n; j++)
			if (slice_equal(entries[j].name, name))
				expected = j;
		assert_int_equal(found, expected);
	}
	assert_int_equal(dir_node_find(node, slice_str("")), UINT32_MAX);
	assert_int_equal(dir_node_child_for(node, slice_str("a")), UINT32_MAX);
}

static void
test_directory__round_trip(void **state)
{
	struct rng rng = rng_start(__func__);

	(void)state;
	for (int round = 0; round < 60; round++) {
		static struct entry entries[MANY];
		CLEANUP(buf_fini) struct buf arena = BUF_INIT;
		CLEANUP(buf_fini) struct buf payload = BUF_INIT;
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		CLEANUP(dir_node_freep) struct dir_node *node = NULL;
		struct err err = ERR_INIT;
		size_t n = random_entries(&rng, &arena, entries);

		cbor_put_array(&payload, n);
		for (size_t i = 0; i < n; i++)
			entry_put(&payload, &entries[i]);
		node_make(NODE_DIR_LEAF, &payload, &bytes);
		CHECK_OK(decode(&bytes, -1, &node, &err), &err);
		assert_int_equal(node->n, n);
		assert_in_range(dir_node_memory(node), bytes.len, bytes.len + 4 * n + 1000);
		for (uint32_t i = 0; i < n; i++) {
			CLEANUP(entry_fini) struct entry e;

			dir_node_entry(node, i, &e);
			check_entry(&e, &entries[i]);
		}
		check_lookups(&rng, node, entries, n);
		for (size_t i = 0; i < n; i++)
			entry_fini(&entries[i]);
	}
}

/* A name of each length has a head of one or two bytes; a map of 24 pairs one of two. */
static void
test_directory__names_are_found_behind_any_head(void **state)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(dir_node_freep) struct dir_node *node = NULL;
	struct err err = ERR_INIT;

	(void)state;
	buf_append_str(&text, "['', 3, [");
	for (int len = 1; len <= 255; len++) {
		buf_appendf(&text, "{0: h'61'*%d, 1: 4, 2: 0, 8: 0, 10: 0, ", len);
		for (int extra = 0; extra < len % 38; extra++)
			buf_appendf(&text, "%d: [1, {2: 3}], ", 27 + extra);
		buf_append_str(&text, "}, ");
	}
	buf_append_str(&text, "]]");
	CHECK_OK(decode_text(buf_cstr(&text), 0, &node, &err), &err);
	for (uint32_t i = 0; i < 255; i++) {
		struct slice name = dir_node_name(node, i);

		assert_int_equal(name.len, i + 1);
		assert_int_equal(name.p[0], 'a');
		assert_int_equal(name.p[i], 'a');
		assert_int_equal(dir_node_find(node, name), i);
	}
}

static void
test_directory__child_for_is_the_last_not_greater(void **state)
{
	static const struct {
		const char *name;
		uint32_t child;
	} cases[] = {{"", UINT32_MAX}, {"a", UINT32_MAX}, {"b", 0}, {"ba", 0}, {"c~", 0},
		     {"d", 1},         {"da", 1},         {"f", 2}, {"zzz", 2}};
	CLEANUP(dir_node_freep) struct dir_node *node = NULL;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(
		decode_text("['', 4, [1, [['b', 1, [0, 9]], ['d', 1, [9, 9]], ['f', 1, [18, 9]]]]]",
			    1, &node, &err),
		&err);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(dir_node_child_for(node, slice_str(cases[i].name)),
				 cases[i].child);
	assert_int_equal(dir_node_find(node, slice_str("b")), UINT32_MAX);
	check_bytes(dir_node_name(node, 2), slice_str("f"));
	assert_in_range(dir_node_memory(node), 100, 2000);
}

static void
test_directory__leaves_end_by_name_and_size(void **state)
{
	unsigned ends = 0;

	(void)state;
	for (int i = 0; i < 4096; i++) {
		CLEANUP(freep) char *name = str_format("receipt-%d.json", i);
		struct hash h;

		seal_hash(name, strlen(name), &h);
		assert_false(dir_leaf_ends(slice_str(name), DIR_LEAF_MIN - 1));
		assert_int_equal(dir_leaf_ends(slice_str(name), DIR_LEAF_MIN), h.b[0] < 16);
		assert_true(dir_leaf_ends(slice_str(name), DIR_LEAF_MAX));
		ends += dir_leaf_ends(slice_str(name), DIR_LEAF_MIN);
	}
	assert_in_range(ends, 4096 / 32, 4096 / 8);
}

/* ---- refused ---- */

#define FILE_A(more)      "['', 3, [{0: 'a', 1: 1, 2: 0, " more "}]]"
#define PLAIN             "8: 0, 10: 0"
#define DIR_A(more)       "['', 3, [{0: 'a', 1: 2, 2: 493, " PLAIN ", " more "}]]"
#define NAMED(name)       "['', 3, [{0: " name ", 1: 4, 2: 0, " PLAIN "}]]"
#define TYPED(type, more) "['', 3, [{0: 'a', 1: " type ", 2: 0, " PLAIN ", " more "}]]"
#define REF               "[0, 9]"

static void
test_directory_leaf__refuses_each_defect(void **state)
{
	static const struct {
		const char *text, *says;
	} defects[] = {
		/* the node */
		{"['', 3, []]", "without entries"},
		{"['', 3, {}]", "array"},
		{"['', 1, []]", "kind 1"},
		{"['', 2, [1, []]]", "kind 2"},
		{"['', 4, [1, [['a', 1, [0, 9]]]]]", "kind 4"},
		{NAMED("'a'") "0", "too many at its end"},
		{"['', 3, [h'61'*40]]", "map"},
		/* names and their order */
		{NAMED("''"), "no file can have"},
		{NAMED("'.'"), "no file can have"},
		{NAMED("'..'"), "no file can have"},
		{NAMED("'a/b'"), "no file can have"},
		{NAMED("'/'"), "no file can have"},
		{NAMED("h'6100'"), "no file can have"},
		{NAMED("h'61'*256"), "where 255 are"},
		{NAMED("7"), "byte string"},
		{"['', 3, [{0: 'b', 1: 4, 2: 0, 8: 0, 10: 0}, {0: 'a', 1: 4, 2: 0, 8: 0, 10: 0}]]",
		 "don't ascend"},
		{"['', 3, [{0: 'a', 1: 4, 2: 0, 8: 0, 10: 0}, {0: 'a', 1: 4, 2: 0, 8: 0, 10: 0}]]",
		 "entry 2 of 2"},
		{"['', 3, [{0: 'ab', 1: 4, 2: 0, 8: 0, 10: 0}, {0: 'a', 1: 4, 2: 0, 8: 0, 10: 0}]]",
		 "don't ascend"},
		/* required keys */
		{"['', 3, [{1: 4, 2: 0, 8: 0, 10: 0}]]", "key 0 is missing"},
		{"['', 3, [{0: 'a', 2: 0, 8: 0, 10: 0}]]", "key 1 is missing"},
		{"['', 3, [{0: 'a', 1: 4, 8: 0, 10: 0}]]", "key 2 is missing"},
		{"['', 3, [{0: 'a', 1: 4, 2: 0, 10: 0, 20: 0}]]", "key 8 is missing"},
		{"['', 3, [{0: 'a', 1: 4, 2: 0, 8: 0, 20: 0}]]", "key 10 is missing"},
		{"['', 3, [{1: 4, 0: 'a', 2: 0, 8: 0, 10: 0}]]", "is not above"},
		/* bounds */
		{TYPED("0", ""), "type 0"},
		{TYPED("8", ""), "more than the 7 "},
		{"['', 3, [{0: 'a', 1: 4, 2: 4096, 8: 0, 10: 0}]]", "more than the 4095"},
		{FILE_A("3: 4294967296, " PLAIN), "4294967295"},
		{FILE_A("4: 4294967296, " PLAIN), "4294967295"},
		{FILE_A("5: h'61'*256, " PLAIN), "where 255 are"},
		{FILE_A("6: h'61'*256, " PLAIN), "where 255 are"},
		{FILE_A("7: 9223372036854775808, " PLAIN), "9223372036854775807"},
		{FILE_A("8: 9223372036854775808, 10: 0"), "number must be"},
		{FILE_A("8: 0, 9: 1000000000, 10: 0"), "more than the 999999999"},
		{FILE_A("8: 0, 10: 0, 11: 1000000000"), "more than the 999999999"},
		{FILE_A(PLAIN ", 12: 0, 13: 1000000000"), "more than the 999999999"},
		{FILE_A(PLAIN ", 13: 1"), "birth time that isn't there"},
		/* links */
		{FILE_A(PLAIN ", 14: 0"), "no links"},
		{FILE_A(PLAIN ", 14: 2"), "2 links without device"},
		{FILE_A(PLAIN ", 14: 2, 15: 1"), "2 links without"},
		{FILE_A(PLAIN ", 14: 2, 16: 1"), "2 links without"},
		{FILE_A(PLAIN ", 15: 1, 16: 1"), "1 links with device"},
		{FILE_A(PLAIN ", 14: 1, 15: 1, 16: 1"), "1 links with device"},
		{DIR_A("14: 2, 15: 1, 16: 1"), "key 14 doesn't go with type 2"},
		/* what doesn't go with the type */
		{TYPED("4", "17: 1"), "key 17 doesn't go with type 4"},
		{FILE_A(PLAIN ", 17: 1"), "key 17 doesn't go with type 1"},
		{FILE_A(PLAIN ", 18: 'x'"), "key 18 doesn't go with type 1"},
		{FILE_A(PLAIN ", 20: 1"), "key 20 doesn't go with type 1"},
		{FILE_A(PLAIN ", 22: " REF), "key 22 doesn't go with type 1"},
		{FILE_A(PLAIN ", 24: 0"), "key 24 doesn't go with type 1"},
		{FILE_A(PLAIN ", 25: 0"), "key 25 doesn't go with type 1"},
		{TYPED("5", "23: true"), "bare directory of mode 0000"},
		{"['', 3, [{0: 'a', 1: 5, 2: 365, " PLAIN ", 23: true}]]", "key 23 doesn't go"},
		{"['', 3, [{0: 'a', 1: 2, 2: 493, 7: 1, " PLAIN "}]]",
		 "key 7 doesn't go with type 2"},
		{TYPED("3", "18: 'x', 26: 0"), "key 26 doesn't go with type 3"},
		{"['', 3, [{0: 'a', 1: 2, 2: 493, 7: 1, " PLAIN ", 21: [0, 'x']}]]",
		 "key 7 doesn't"},
		/* link targets */
		{TYPED("3", ""), "symlink without target"},
		{TYPED("3", "18: ''"), "empty or has a NUL"},
		{TYPED("3", "18: h'6100'"), "empty or has a NUL"},
		{TYPED("3", "18: h'61'*4096"), "where 4095 are"},
		/* extended attributes */
		{FILE_A(PLAIN ", 19: []"), "0 values"},
		{FILE_A(PLAIN ", 19: ['a']"), "1 values"},
		{FILE_A(PLAIN ", 19: ['', 'x']"), "empty name"},
		{FILE_A(PLAIN ", 19: [h'6100', 'x']"), "NUL"},
		{FILE_A(PLAIN ", 19: ['b', 'x', 'a', 'x']"), "don't ascend"},
		{FILE_A(PLAIN ", 19: ['a', 'x', 'a', 'x']"), "don't ascend"},
		{FILE_A(PLAIN ", 19: [h'61'*256, 'x']"), "where 255 are"},
		{FILE_A(PLAIN ", 19: ['a', h'61'*65537]"), "where 65536 are"},
		/* contents */
		{FILE_A("7: 5, " PLAIN), "5 bytes without content"},
		{FILE_A(PLAIN ", 21: [0, 'x']"), "empty file"},
		{FILE_A("7: 2, " PLAIN ", 21: [0, 'x']"), "for a file of 2"},
		{FILE_A("7: 1, " PLAIN ", 21: [0, 'x'], 26: 2"), "more than the 1 "},
		{FILE_A("7: 900, " PLAIN ", 21: [2, 1, [1000, 9]]"), "stands at 1000"},
		/* directories */
		{DIR_A("22: " REF), "0 entries with a place"},
		{DIR_A("24: 1"), "1 entries without a place"},
		{DIR_A("20: 2, 22: " REF ", 24: 1"), "more subdirectories than entries"},
		{DIR_A("20: 1, 22: " REF ", 24: 1, 25: 1"), "more subdirectories than entries"},
		{DIR_A("22: " REF ", 24: 1, 25: 2"), "more subdirectories than entries"},
		{DIR_A("22: 'x', 24: 1"), "elsewhere than in a snapshot's root"},
		{DIR_A("22: [992, 9], 24: 1"), "stands at 1000"},
		{DIR_A("22: [1, 0, 20, 9, 0, 9], 24: 1"), "more than the 0"},
		{DIR_A("23: true"), "bare directory of mode 0755"},
		{DIR_A("23: 1"), "true or false"},
		{DIR_A("24: 9223372036854775808"), "9223372036854775807"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		struct dir_node left_over, *node = &left_over;
		struct err err = ERR_INIT;

		CHECK_REFUSED(decode_text(defects[i].text, 0, &node, &err), ERR_CORRUPT, &err,
			      defects[i].says);
		assert_non_null(strstr(err.msg, "directory"));
		assert_null(node);
	}
}

static void
test_directory_leaf__refuses_too_many_xattrs(void **state)
{
	(void)state;
	for (int n = ENTRY_XATTRS_MAX; n <= (int)ENTRY_XATTRS_MAX + 1; n++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;
		CLEANUP(dir_node_freep) struct dir_node *node = NULL;
		struct err err = ERR_INIT;
		int r;

		buf_append_str(&text, "['', 3, [{0: 'a', 1: 4, 2: 0, " PLAIN ", 19: [");
		for (int i = 0; i < n; i++)
			buf_appendf(&text, "'%04d', '', ", i);
		buf_append_str(&text, "]}]]");
		r = decode_text(buf_cstr(&text), 0, &node, &err);
		if (n == ENTRY_XATTRS_MAX)
			CHECK_OK(r, &err);
		else
			CHECK_REFUSED(r, ERR_CORRUPT, &err, "where 2048 are");
	}
}

static void
test_directory_inner__refuses_each_defect(void **state)
{
	static const struct {
		const char *text, *says;
		int height;
	} defects[] = {
		{"['', 3, [{0: 'a', 1: 4, 2: 0, " PLAIN "}]]", "kind 3", 1},
		{"['', 4, [1, [['a', 1, [0, 9]]]]]", "height 1 in the wrong place", 2},
		{"['', 4, [0, [['a', 1, [0, 9]]]]]", "height 0 in the wrong place", -1},
		{"['', 4, [7, [['a', 1, [0, 9]]]]]", "more than the 6 ", -1},
		{"['', 4, [1, []]]", "without children", 1},
		{"['', 4, [1]]", "isn't a height and children", 1},
		{"['', 4, [1, [['a', 1]]]]", "isn't first name", 1},
		{"['', 4, [1, [['', 1, [0, 9]]]]]", "no file can have", 1},
		{"['', 4, [1, [['a/', 1, [0, 9]]]]]", "no file can have", 1},
		{"['', 4, [1, [['a', 0, [0, 9]]]]]", "without entries", 1},
		{"['', 4, [1, [['a', 9223372036854775808, [0, 9]]]]]", "9223372036854775807", 1},
		{"['', 4, [1, [['a', 9223372036854775807, [0, 9]], ['b', 1, [0, 9]]]]]",
		 "more than the 0", 1},
		{"['', 4, [1, [['b', 1, [0, 9]], ['a', 1, [0, 9]]]]]", "don't ascend", 1},
		{"['', 4, [1, [['a', 1, [0, 9]], ['a', 1, [0, 9]]]]]", "don't ascend", 1},
		{"['', 4, [1, [['a', 1, [992, 9]]]]]", "stands at 1000", 1},
		{"['', 4, [1, [['a', 1, 0]]]]", "array", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		struct dir_node *node;
		struct err err = ERR_INIT;

		CHECK_REFUSED(decode_text(defects[i].text, defects[i].height, &node, &err),
			      ERR_CORRUPT, &err, defects[i].says);
		assert_non_null(strstr(err.msg, "directory"));
		assert_null(node);
	}
}

static void
test_directory__refuses_one_that_is_too_long_or_empty(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct dir_node *node;
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(decode(&bytes, -1, &node, &err), ERR_CORRUPT, &err, "node of 0 bytes");
	memset(buf_extend(&bytes, NODE_LEN_MAX + 1), 0, NODE_LEN_MAX + 1);
	CHECK_REFUSED(decode(&bytes, -1, &node, &err), ERR_CORRUPT, &err, "node of 262145 bytes");
}

/* ---- a snapshot's root ---- */

static int
root_get(const char *text, struct buf *bytes, struct entry *ret, struct err *err)
{
	const struct node_origin origin = {.inline_root = true};
	struct pack_id other = {{{1}}};
	CLEANUP(pack_table_fini) struct pack_table packs;
	struct cbor_rd rd;

	pack_table_init(&packs, NULL);
	(void)pack_table_number(&packs, &other);
	buf_reset(bytes);
	cbor_text(bytes, text);
	rd = cbor_rd_init(buf_slice(bytes), "root", err);
	entry_get(&rd, &origin, &packs, true, ret);
	return cbor_rd_done(&rd);
}

static void
test_directory_root__may_hold_its_entries(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;
	struct entry e;

	(void)state;
	CHECK_OK(root_get("{0: '', 1: 2, 2: 493, " PLAIN ", 22: 'node', 24: 1}", &bytes, &e, &err),
		 &err);
	assert_int_equal(e.children, CHILDREN_INLINE);
	check_bytes(e.children_inline, slice_str("node"));
	CHECK_OK(root_get("{0: '', 1: 2, 2: 493, " PLAIN ", 22: [1, 0, 20, 9, 0, 9], 24: 1}",
			  &bytes, &e, &err),
		 &err);
	assert_int_equal(e.children, CHILDREN_NODE);
	assert_int_equal(e.children_ref.seg.pack, 1);
	CHECK_OK(root_get("{0: '', 1: 2, 2: 493, " PLAIN "}", &bytes, &e, &err), &err);
	assert_int_equal(e.children, CHILDREN_NONE);
}

static void
test_directory_root__refuses_each_defect(void **state)
{
	static const struct {
		const char *text, *says;
	} defects[] = {
		{"{0: 'a', 1: 2, 2: 493, " PLAIN "}", "root with a name"},
		{"{0: '', 1: 2, 2: 493, " PLAIN ", 22: '', 24: 1}", "or none"},
		{"{0: '', 1: 2, 2: 493, " PLAIN ", 22: h'00'*262145, 24: 1}", "where 262144 are"},
		{"{0: '', 1: 2, 2: 493, " PLAIN ", 22: [0, 9], 24: 1}", "within a segment"},
		{"{0: '', 1: 2, 2: 493, " PLAIN ", 22: [0, 0, 20, 9, 0, 9], 24: 1}", "no pack"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		struct err err = ERR_INIT;
		struct entry e;

		CHECK_REFUSED(root_get(defects[i].text, &bytes, &e, &err), ERR_CORRUPT, &err,
			      defects[i].says);
		assert_int_equal(e.children, CHILDREN_NONE);
	}
}

/* Any one byte changed: refused, or a directory of which everything can be read. */
static void
test_directory__survives_damage(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	unsigned refused = 0;

	(void)state;
	cbor_text(&bytes,
		  "['', 3, [{0: 'a', 1: 1, 2: 420, 7: 5, 8: 0, 10: 0, 19: ['user.x', 'y'], 21: [0, "
		  "'hello']}, {0: 'b', 1: 2, 2: 493, 8: 0, 10: 0, 22: [0, 9], 24: 3}, {0: 'c', 1: "
		  "3, 2: 511, 8: 0, 10: 0, 18: 'x', 30: 7}]]");
	for (size_t i = 0; i < bytes.len * 256; i++) {
		CLEANUP(dir_node_freep) struct dir_node *node = NULL;
		uint8_t saved = bytes.p[i / 256];

		bytes.p[i / 256] = (uint8_t)i;
		if (decode(&bytes, -1, &node, NULL) < 0)
			refused++;
		for (uint32_t j = 0; node != NULL && j < node->n; j++) {
			CLEANUP(entry_fini) struct entry e;

			dir_node_entry(node, j, &e);
			check_bytes(e.name, dir_node_name(node, j));
			assert_int_equal(dir_node_find(node, e.name), j);
		}
		bytes.p[i / 256] = saved;
	}
	assert_true(refused > bytes.len * 256 / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory__known_bytes),
		cmocka_unit_test(test_directory__inner_known_bytes),
		cmocka_unit_test(test_directory__round_trip),
		cmocka_unit_test(test_directory__names_are_found_behind_any_head),
		cmocka_unit_test(test_directory__child_for_is_the_last_not_greater),
		cmocka_unit_test(test_directory__leaves_end_by_name_and_size),
		cmocka_unit_test(test_directory_leaf__refuses_each_defect),
		cmocka_unit_test(test_directory_leaf__refuses_too_many_xattrs),
		cmocka_unit_test(test_directory_inner__refuses_each_defect),
		cmocka_unit_test(test_directory__refuses_one_that_is_too_long_or_empty),
		cmocka_unit_test(test_directory_root__may_hold_its_entries),
		cmocka_unit_test(test_directory_root__refuses_each_defect),
		cmocka_unit_test(test_directory__survives_damage),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
