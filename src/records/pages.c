/*
 * pages.c - the pages of two versions of a database: which differ, and which belong to a tree.
 */
#include "records/page_walk.h"

#include <inttypes.h>

#define HEADER_LEN 100u
#define DEPTH_MAX  24u /* a b-tree of 2^32 pages is lower */
#define UTF_8      1u

static void
set_bit(uint8_t *bits, uint32_t i)
{
	bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

static uint32_t
u16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t
u32(const uint8_t *p)
{
	return u16(p) << 16 | u16(p + 2);
}

size_t
page_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++) {
		if (p + i >= end)
			return 0;
		v = v << 7 | (p[i] & 0x7f);
		if ((p[i] & 0x80) == 0) {
			*ret = v;
			return i + 1;
		}
	}
	if (p + 8 >= end)
		return 0;
	*ret = v << 8 | p[8];
	return 9;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

struct header {
	uint32_t page_size, reserved;
	bool plain; /* a file format of the ordinary journal modes, text in UTF-8 */
};

static int
read_exactly(const struct db_source *f, uint64_t off, void *p, size_t len, struct err *err)
{
	if (off > f->size || len > f->size - off)
		return err_set(err, ERR_CORRUPT, "the database ends before its page");
	return f->read(f->arg, off, p, len, err);
}

static int
header_read(const struct db_source *f, struct header *ret, struct err *err)
{
	uint8_t h[HEADER_LEN];
	int r = read_exactly(f, 0, h, sizeof h, err);

	if (r < 0)
		return r;
	ret->page_size = u16(h + 16) == 1 ? 65536 : u16(h + 16);
	ret->reserved = h[20];
	ret->plain = h[18] == 1 && h[19] == 1 && u32(h + 56) == UTF_8;
	if (ret->page_size < 512 || (ret->page_size & (ret->page_size - 1)) != 0 ||
	    ret->reserved > ret->page_size - 480)
		return err_set(err, ERR_CORRUPT, "a database with pages of %u bytes",
			       ret->page_size);
	return 0;
}

void
page_pair_mark(struct page_pair *p, uint64_t off, uint64_t len)
{
	uint64_t last = (off + len - 1) / p->page_size;

	for (uint64_t i = off / p->page_size; i <= last && i < p->new.n_pages; i++)
		set_bit(p->differs, (uint32_t)i + 1);
}

static int
note_difference(void *arg, uint64_t off, uint64_t len, struct err *err)
{
	(void)err;
	page_pair_mark(arg, off, len);
	return 0;
}

static int
side_init(struct side *s, const struct db_source *f, uint32_t page_size, struct err *err)
{
	uint64_t n = f->size / page_size;

	if (n > UINT32_MAX - 1)
		return err_set(err, ERR_CORRUPT, "a database of %" PRIu64 " pages", n);
	s->file = *f;
	s->n_pages = (uint32_t)n;
	s->seen = mem_alloc(n / 8 + 1);
	return 0;
}

int
page_pair_new(const struct db_source *old, const struct db_source *new, struct page_pair **ret,
	      struct err *err)
{
	CLEANUP(page_pair_closep) struct page_pair *p = mem_alloc(sizeof *p);
	struct header a, b;
	int r;

	*ret = NULL;
	r = header_read(old, &a, err);
	if (r == 0)
		r = header_read(new, &b, err);
	if (r != 0)
		return r;
	if (a.page_size != b.page_size || a.reserved != b.reserved || !a.plain || !b.plain)
		return err_set(err, ERR_UNSUPPORTED, "the pages of the two can't be compared");
	p->page_size = a.page_size;
	p->usable = a.page_size - a.reserved;
	r = side_init(&p->old, old, a.page_size, err);
	if (r == 0)
		r = side_init(&p->new, new, a.page_size, err);
	if (r < 0)
		return r;
	p->differs = mem_alloc(p->new.n_pages / 8 + 1);
	p->page = mem_alloc(p->page_size);
	p->other = mem_alloc(p->page_size);
	*ret = steal_ptr(&p);
	return 0;
}

static int
read_tree_file(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	size_t got;
	int r = tree_file_read(arg, off, p, len, &got, err);

	if (r == 0 && got != len)
		r = err_set(err, ERR_CORRUPT, "the database ends before its page");
	return r;
}

int
page_pair_open(struct tree_file *old, struct tree_file *new, struct page_pair **ret,
	       struct err *err)
{
	const struct db_source a = {tree_file_size(old), read_tree_file, old};
	const struct db_source b = {tree_file_size(new), read_tree_file, new};
	int r = page_pair_new(&a, &b, ret, err);

	if (r < 0)
		return r;
	r = tree_file_differences(old, new, note_difference, *ret, err);
	if (r < 0)
		page_pair_close(steal_ptr(ret));
	return r;
}

static void
side_fini(struct side *s)
{
	free(s->seen);
	free(s->inner.v);
	free(s->leaves.v);
}

void
page_pair_close(struct page_pair *p)
{
	if (p == NULL)
		return;
	side_fini(&p->old);
	side_fini(&p->new);
	free(p->differs);
	free(p->page);
	free(p->other);
	free(p);
}

/* ---- one page ----------------------------------------------------------------------------------
 */

int
page_bad(uint32_t number, const char *what, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "page %" PRIu32 " of the database %s", number, what);
}

static int
page_read(const struct page_pair *p, const struct side *s, uint32_t number, uint8_t *buffer,
	  struct err *err)
{
	if (number == 0 || number > s->n_pages)
		return page_bad(number, "is not in the file", err);
	return read_exactly(&s->file, (uint64_t)(number - 1) * p->page_size, buffer, p->page_size,
			    err);
}

static bool
is_inner(const struct node *n)
{
	return n->type == PAGE_TABLE_TREE || n->type == PAGE_INDEX_TREE;
}

int
page_node_read(const struct page_pair *p, const struct side *s, uint32_t number, uint8_t *buffer,
	       struct node *ret, struct err *err)
{
	const uint8_t *at;
	uint32_t start = number == 1 ? HEADER_LEN : 0, head;
	int r = page_read(p, s, number, buffer, err);

	if (r < 0)
		return r;
	at = buffer + start;
	*ret = (struct node){.page = buffer, .end = buffer + p->usable, .type = at[0]};
	if (!is_inner(ret) && ret->type != PAGE_TABLE_LEAF && ret->type != PAGE_INDEX_LEAF)
		return page_bad(number, "belongs to no table or index", err);
	head = is_inner(ret) ? 12 : 8;
	ret->n_cells = u16(at + 3);
	ret->right = is_inner(ret) ? u32(at + 8) : 0;
	ret->pointers = at + head;
	if (start + head + 2 * (uint64_t)ret->n_cells > p->usable)
		return page_bad(number, "has more cells than room", err);
	return 0;
}

const uint8_t *
page_cell(const struct node *n, uint32_t i)
{
	const uint8_t *cell = n->page + u16(n->pointers + 2 * (size_t)i);

	return cell >= n->pointers + 2 * (size_t)n->n_cells && cell < n->end ? cell : NULL;
}

/* The children of an inner page, its last one behind the others.  @ret: owned by the caller. */
static int
children_of(const struct node *n, uint32_t number, uint32_t **ret, struct err *err)
{
	CLEANUP(freep) uint32_t *children = mem_array(n->n_cells + 1, sizeof *children);

	for (uint32_t i = 0; i < n->n_cells; i++) {
		const uint8_t *cell = page_cell(n, i);

		if (cell == NULL || n->end - cell < 4)
			return page_bad(number, "has cells that make no sense", err);
		children[i] = u32(cell);
	}
	children[n->n_cells] = n->right;
	*ret = steal_ptr(&children);
	return 0;
}

/* ---- walks -------------------------------------------------------------------------------------
 */

/* How many levels of inner pages a tree has: its leaves are all on one level. */
static int
height_of(struct page_pair *p, const struct side *s, uint32_t root, unsigned *ret, struct err *err)
{
	struct node n;
	int r;

	for (*ret = 0; *ret <= DEPTH_MAX; ++*ret) {
		CLEANUP(freep) uint32_t *children = NULL;

		r = page_node_read(p, s, root, p->page, &n, err);
		if (r < 0 || !is_inner(&n))
			return r;
		r = children_of(&n, root, &children, err);
		if (r < 0)
			return r;
		root = children[0];
	}
	return page_bad(root, "is too deep in its tree", err);
}

static void
note(struct page_list *l, uint32_t number)
{
	array_reserve(l->v, l->n, l->cap);
	l->v[l->n++] = number;
}

static int
walk(struct page_pair *p, struct side *s, uint32_t number, unsigned height, struct err *err)
{
	CLEANUP(freep) uint32_t *children = NULL;
	struct node n;
	int r;

	if (number == 0 || number > s->n_pages)
		return page_bad(number, "is not in the file", err);
	if (page_bit(s->seen, number))
		return page_bad(number, "is in a tree twice", err);
	set_bit(s->seen, number);
	note(height == 0 ? &s->leaves : &s->inner, number);
	if (height == 0)
		return 0;
	r = page_node_read(p, s, number, p->page, &n, err);
	if (r == 0 && !is_inner(&n))
		r = page_bad(number, "is a leaf on the wrong level", err);
	if (r == 0)
		r = children_of(&n, number, &children, err);
	/* Going down overwrites the page, but not the number of cells. */
	for (uint32_t i = 0; r == 0 && i <= n.n_cells; i++)
		r = walk(p, s, children[i], height - 1, err);
	return r;
}

static void
forget_walk(struct side *s)
{
	memset(s->seen, 0, s->n_pages / 8 + 1);
	s->inner.n = s->leaves.n = 0;
}

static int
walk_tree(struct page_pair *p, struct side *s, int64_t root, struct err *err)
{
	unsigned height;
	int r;

	if (root < 1 || root > s->n_pages)
		return err_set(err, ERR_CORRUPT, "page %" PRId64 " can't be the root of a table",
			       root);
	r = height_of(p, s, (uint32_t)root, &height, err);
	return r < 0 ? r : walk(p, s, (uint32_t)root, height, err);
}

int
page_walk_both(struct page_pair *p, int64_t old_root, int64_t new_root, struct err *err)
{
	int r;

	forget_walk(&p->old);
	forget_walk(&p->new);
	r = walk_tree(p, &p->old, old_root, err);
	return r < 0 ? r : walk_tree(p, &p->new, new_root, err);
}

/* ---- accounting for what differs ---------------------------------------------------------------
 */

/* The list of free pages (section 1.5). */
static int
walk_free(struct page_pair *p, struct side *s, struct err *err)
{
	uint32_t trunk;
	int r = page_read(p, s, 1, p->page, err);

	if (r < 0)
		return r;
	for (trunk = u32(p->page + 32); trunk != 0; trunk = u32(p->page)) {
		uint32_t n;

		r = page_read(p, s, trunk, p->page, err);
		if (r < 0)
			return r;
		n = u32(p->page + 4);
		if (page_bit(s->seen, trunk) || n > p->usable / 4 - 2)
			return page_bad(trunk, "makes no sense in the list of free pages", err);
		set_bit(s->seen, trunk);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t page = u32(p->page + 8 + 4 * (size_t)i);

			if (page == 0 || page > s->n_pages || page_bit(s->seen, page))
				return page_bad(page, "can't be free", err);
			set_bit(s->seen, page);
		}
	}
	return 0;
}

int
page_pair_account(struct page_pair *p, const int64_t *roots, size_t n, struct err *err)
{
	struct side *s = &p->new;
	int r;

	forget_walk(s);
	r = walk_tree(p, s, 1, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = walk_tree(p, s, roots[i], err);
	if (r == 0)
		r = walk_free(p, s, err);
	if (r < 0)
		return r;
	p->in_pages = true;
	for (uint32_t i = 1; i <= s->n_pages && p->in_pages; i++)
		p->in_pages = !page_bit(p->differs, i) || page_bit(s->seen, i);
	return 0;
}
