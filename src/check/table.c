/*
 * table.c - from a place in a pack to a number: open addressing, doubled when half full.
 */
#include "internal.h"

struct table_slot {
	struct place_key key;
	uint32_t value; /* plus one; 0: free */
};

void
table_fini(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}

static bool
key_equal(const struct place_key *a, const struct place_key *b)
{
	return a->section == b->section && a->seg_off == b->seg_off && a->off == b->off &&
	       hash_equal(&a->pack, &b->pack);
}

/* The slot of a key, or the free one where it would go. */
static struct table_slot *
slot_of(const struct table *t, const struct place_key *key)
{
	uint64_t start;
	size_t i;

	/* Pack ids are hashes already. */
	memcpy(&start, key->pack.b, sizeof start);
	start = (start ^ key->seg_off ^ key->off << 32 ^ key->section << 56) *
		UINT64_C(0x9e3779b97f4a7c15);
	for (i = (start >> 32) & (t->n_slots - 1);; i = (i + 1) & (t->n_slots - 1))
		if (t->slots[i].value == 0 || key_equal(&t->slots[i].key, key))
			return &t->slots[i];
}

uint32_t
table_find(const struct table *t, const struct place_key *key)
{
	return t->n == 0 ? UINT32_MAX : slot_of(t, key)->value - 1;
}

static void
grow(struct table *t)
{
	struct table old = *t;

	t->n_slots = old.n_slots == 0 ? 1024 : old.n_slots * 2;
	t->slots = mem_array(t->n_slots, sizeof *t->slots);
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i].value != 0)
			*slot_of(t, &old.slots[i].key) = old.slots[i];
	free(old.slots);
}

void
table_put(struct table *t, const struct place_key *key, uint32_t value)
{
	struct table_slot *slot;

	if (t->n >= t->n_slots / 2)
		grow(t);
	slot = slot_of(t, key);
	t->n += slot->value == 0;
	*slot = (struct table_slot){*key, value + 1};
}
