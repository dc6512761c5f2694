/*
 * pack_table.c - the packs that a node refers to, by number.
 *
 * Layer 2.  Format: docs/format.md section 6.1.
 */
#include "tillfs/stream.h"

void
pack_table_init(struct pack_table *t, const struct pack_id *holder)
{
	*t = (struct pack_table){.n = 1, .cap = 4, .has_holder = holder != NULL};
	t->ids = mem_array(t->cap, sizeof *t->ids);
	if (holder != NULL)
		t->ids[0] = *holder;
}

void
pack_table_fini(struct pack_table *t)
{
	free(t->ids);
	*t = (struct pack_table){0};
}

/* Whether one of the first @n is @id; 0 stands for none when there is no holder. */
static bool
find(const struct pack_table *t, uint32_t n, const struct pack_id *id, uint32_t *ret)
{
	uint32_t first = t->has_holder ? 0 : 1;

	for (uint32_t i = n; i-- > first;)
		if (hash_equal(&t->ids[i].h, &id->h)) {
			*ret = i;
			return true;
		}
	return false;
}

uint32_t
pack_table_number(struct pack_table *t, const struct pack_id *id)
{
	uint32_t number;

	if (find(t, t->n, id, &number))
		return number;
	array_reserve(t->ids, t->n, t->cap);
	t->ids[t->n] = *id;
	return t->n++;
}

void
pack_table_put(struct buf *b, const struct pack_table *t)
{
	cbor_put_bytes(b, t->ids + 1, (t->n - 1) * sizeof *t->ids);
}

void
pack_table_get(struct cbor_rd *rd, const struct pack_id *holder, struct pack_table *ret)
{
	const size_t id_len = sizeof(struct pack_id);
	struct slice ids;
	uint32_t n, same;

	pack_table_init(ret, holder);
	ids = cbor_get_bytes(rd, NODE_PACKS_MAX * id_len);
	if (cbor_ok(rd) && ids.len % id_len != 0)
		cbor_fail(rd, "a pack table of %zu bytes isn't ids of %zu", ids.len, id_len);
	if (!cbor_ok(rd) || ids.len == 0)
		return;
	n = 1 + (uint32_t)(ids.len / id_len);
	ret->ids = mem_grow(ret->ids, n, id_len);
	ret->cap = n;
	memcpy(ret->ids + 1, ids.p, ids.len);
	ret->n = n;
	for (uint32_t i = 1; i < n; i++)
		if (find(ret, i, &ret->ids[i], &same)) {
			cbor_fail(rd, "pack %s stands twice in the pack table",
				  hex_short(&ret->ids[i].h).s);
			return;
		}
}
