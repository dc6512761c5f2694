/*
 * page_keys.c - the keys on pages that two versions of a table WITHOUT ROWID don't share.
 *
 * Such a table is the b-tree of an index.  Its inner pages hold rows too, between which lie their
 * children: each of these rows is a range by itself, unless the other version has it on the page of
 * the same number.
 */
#include "records/page_walk.h"

#include <inttypes.h>

static void
key_range_fini(struct key_range *x)
{
	if (x->last != x->first)
		free(x->last);
	free(x->first);
	buf_fini(&x->store);
}

void
key_ranges_fini(struct key_ranges *x)
{
	for (size_t i = 0; i < x->n; i++)
		key_range_fini(&x->v[i]);
	free(x->v);
	*x = (struct key_ranges){0};
}

/* ---- records (section 2.1) ---------------------------------------------------------------------
 */

static int64_t
big_endian(const uint8_t *p, unsigned len)
{
	uint64_t v = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;

	for (unsigned i = 0; i < len; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

/* How many bytes of content a serial type has; UINT64_MAX for those that don't exist. */
static uint64_t
content_len(uint64_t type)
{
	static const uint8_t lens[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};

	if (type < ARRAY_LEN(lens))
		return lens[type];
	return type < 12 ? UINT64_MAX : (type - 12) / 2;
}

static void
take_value(uint64_t type, const uint8_t *p, uint64_t len, struct db_value *ret)
{
	int64_t i = len > 0 && type <= 7 ? big_endian(p, (unsigned)len) : 0;

	*ret = (struct db_value){.type = DB_INT, .i = i};
	if (type == 0) {
		ret->type = DB_NULL;
	} else if (type == 7) {
		ret->type = DB_REAL;
		memcpy(&ret->r, &i, sizeof ret->r);
	} else if (type == 9) {
		ret->i = 1;
	} else if (type >= 12) {
		ret->type = type % 2 == 0 ? DB_BLOB : DB_TEXT;
		ret->b = slice_of(p, len);
	}
}

/* The first values of a record, borrowed from it.  Return: whether they are all in @record. */
static bool
record_values(struct slice record, unsigned n, struct db_value *ret)
{
	const uint8_t *end = record.p + record.len, *types, *content;
	uint64_t head;
	size_t used = page_varint(record.p, end, &head);

	if (used == 0 || head > record.len || head < used)
		return false;
	types = record.p + used;
	content = record.p + head;
	for (unsigned i = 0; i < n; i++) {
		uint64_t type, len;

		used = page_varint(types, record.p + head, &type);
		len = used > 0 ? content_len(type) : UINT64_MAX;
		if (len > (uint64_t)(end - content))
			return false;
		take_value(type, content, len, &ret[i]);
		types += used;
		content += len;
	}
	return true;
}

/* ---- cells (section 1.6) -----------------------------------------------------------------------
 */

struct cell {
	struct slice record; /* what of it is in the page */
	struct slice
		whole; /* with its length, and where it goes on: the same only for the same row */
};

static bool
cell_get(const struct page_pair *p, const struct node *n, uint32_t i, struct cell *ret)
{
	uint32_t most = (p->usable - 12) * 64 / 255 - 23, least = (p->usable - 12) * 32 / 255 - 23;
	const uint8_t *cell = page_cell(n, i);
	uint64_t len, local, more;
	size_t used;

	if (cell == NULL || (n->type == PAGE_INDEX_TREE && n->end - cell < 4))
		return false;
	cell += n->type == PAGE_INDEX_TREE ? 4 : 0;
	used = page_varint(cell, n->end, &len);
	if (used == 0)
		return false;
	local = len;
	if (len > most) {
		local = least + (len - least) % (p->usable - 4);
		local = local <= most ? local : least;
	}
	more = len > most ? 4 : 0;
	if (local + more > (uint64_t)(n->end - cell) - used)
		return false;
	ret->record = slice_of(cell + used, local);
	ret->whole = slice_of(cell, used + local + more);
	return true;
}

/* Whether a page has the very same row. */
static bool
has_cell(const struct page_pair *p, const struct node *n, const struct cell *x)
{
	struct cell other;

	for (uint32_t i = 0; i < n->n_cells; i++)
		if (cell_get(p, n, i, &other) && slice_equal(other.whole, x->whole))
			return true;
	return false;
}

/* ---- ranges ------------------------------------------------------------------------------------
 */

struct finding {
	struct page_pair *p;
	unsigned n_key;
	struct key_ranges *ret;
};

static size_t
bytes_of(const struct db_value *values, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += values[i].b.len;
	return len;
}

/* Makes values own their bytes; the store has room. */
static void
keep_bytes(struct db_value *values, unsigned n, struct buf *store)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = store->p + store->len;

		buf_append(store, values[i].b.p, values[i].b.len);
		values[i].b.p = p;
	}
}

static int
add_range(struct finding *f, struct slice first, struct slice last, struct err *err)
{
	struct key_range x = {0};
	bool one = first.p == last.p;

	x.first = mem_array(f->n_key, sizeof *x.first);
	x.last = one ? x.first : mem_array(f->n_key, sizeof *x.last);
	if (!record_values(first, f->n_key, x.first) ||
	    (!one && !record_values(last, f->n_key, x.last))) {
		key_range_fini(&x);
		return err_set(err, ERR_UNSUPPORTED, "a key that isn't whole in its page");
	}
	buf_reserve(&x.store, bytes_of(x.first, f->n_key) + bytes_of(x.last, f->n_key) + 1);
	keep_bytes(x.first, f->n_key, &x.store);
	if (!one)
		keep_bytes(x.last, f->n_key, &x.store);
	array_reserve(f->ret->v, f->ret->n, f->ret->cap);
	f->ret->v[f->ret->n++] = x;
	return 0;
}

static int
node_get(struct finding *f, const struct side *s, uint32_t number, uint8_t *buffer,
	 struct node *ret, struct err *err)
{
	int r = page_node_read(f->p, s, number, buffer, ret, err);

	if (r == 0 && ret->type != PAGE_INDEX_LEAF && ret->type != PAGE_INDEX_TREE)
		r = err_set(err, ERR_UNSUPPORTED, "page %" PRIu32 " is of a rowid table", number);
	return r;
}

/* Nothing of the table lies between the first and last row of a leaf but its own rows. */
static int
add_leaf(struct finding *f, const struct side *s, uint32_t number, struct err *err)
{
	struct cell first, last;
	struct node n;
	int r = node_get(f, s, number, f->p->page, &n, err);

	if (r < 0 || n.n_cells == 0)
		return r;
	if (!cell_get(f->p, &n, 0, &first) || !cell_get(f->p, &n, n.n_cells - 1, &last))
		return page_bad(number, "has cells that make no sense", err);
	return add_range(f, first.record, last.record, err);
}

static int
add_inner(struct finding *f, const struct side *s, const struct side *other, uint32_t number,
	  struct err *err)
{
	struct node n, same = {0};
	int r = node_get(f, s, number, f->p->page, &n, err);

	if (r == 0 && number <= other->n_pages && page_bit(other->seen, number))
		r = node_get(f, other, number, f->p->other, &same, err);
	for (uint32_t i = 0; r == 0 && i < n.n_cells; i++) {
		struct cell x;

		if (!cell_get(f->p, &n, i, &x))
			return page_bad(number, "has cells that make no sense", err);
		if (!has_cell(f->p, &same, &x))
			r = add_range(f, x.record, x.record, err);
	}
	return r;
}

static int
add_different(struct finding *f, const struct side *s, const struct side *other, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->leaves.n; i++)
		if (!page_is_shared(f->p, s->leaves.v[i]))
			r = add_leaf(f, s, s->leaves.v[i], err);
	for (size_t i = 0; r == 0 && i < s->inner.n; i++)
		if (!page_is_shared(f->p, s->inner.v[i]))
			r = add_inner(f, s, other, s->inner.v[i], err);
	return r;
}

int
page_pair_keys(struct page_pair *p, int64_t old_root, int64_t new_root, enum page_side side,
	       unsigned n_key, struct key_ranges *ret, struct err *err)
{
	struct finding f = {p, n_key, ret};
	int r;

	*ret = (struct key_ranges){0};
	if (!p->in_pages)
		return err_set(err, ERR_UNSUPPORTED,
			       "rows may have changed outside of their pages");
	r = page_walk_both(p, old_root, new_root, err);
	if (r < 0)
		return r;
	return side == PAGE_OLD ? add_different(&f, &p->old, &p->new, err)
				: add_different(&f, &p->new, &p->old, err);
}
