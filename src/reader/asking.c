/*
 * asking.c - asks transfer for stored ranges ahead of need, neighbours in one.
 *
 * Layer 3.
 */
#include "reader/internal.h"

void
asking_end(struct asking *a)
{
	if (a->section != NULL)
		transfer_prefetch(a->reader->transfer, &a->section->source, a->from,
				  a->to - a->from);
	a->section = NULL;
}

bool
asking_add(struct asking *a, const struct cached_key *segment)
{
	uint64_t off =
		section_area_off(segment->section, (enum pack_area)segment->area) + segment->off;
	uint64_t end = off + segment->stored_len;

	if (a->limit > 0 && a->bytes >= a->limit)
		return false;
	/* Small files and nodes share segments: the one before, mostly. */
	if (segment->section == a->section && off >= a->from && end <= a->to)
		return true;
	if (cache_has(&a->reader->segments, segment))
		return true;
	if (segment->section != a->section || off < a->from || off > a->to + PACK_BLOCK_LEN) {
		asking_end(a);
		a->section = segment->section;
		a->from = a->to = off;
	}
	a->bytes += end - max_u64(a->to, off);
	a->to = end;
	return true;
}

/* Where the directories below a node's entries, or its own parts, lie. */
void
dir_ask_below(struct tree *t, const struct dir_node *node)
{
	struct asking a = {.reader = t->reader, .limit = transfer_room(t->reader->transfer) / 2};
	struct cached_key key;

	if (a.limit == 0)
		return;
	for (uint32_t i = 0; i < node->n; i++) {
		struct node_ref ref = {0};

		if (node->kind == NODE_DIR_INNER) {
			ref = node->children[i].ref;
		} else {
			struct entry e;

			dir_node_entry(node, i, &e);
			if (e.type == ENTRY_DIR && e.children == CHILDREN_NODE)
				ref = e.children_ref;
			entry_fini(&e);
		}
		/* What is wrong is told to who reads it. */
		if (ref.len > 0 &&
		    segment_key_of(t, &node->packs, &ref.seg, PACK_TREE, &key, NULL) == 0 &&
		    !asking_add(&a, &key))
			break;
	}
	asking_end(&a);
}

void
stream_ask_below(struct tree_file *f, const struct stream_node *node)
{
	struct reader *r = f->tree->reader;
	struct asking a = {.reader = r, .limit = transfer_window(r->transfer) / 2};
	struct cached_key key;

	if (a.limit == 0)
		return;
	for (uint32_t i = 0; i < node->n_children; i++)
		if (node->children[i].len > 0 &&
		    segment_key_of(f->tree, &node->packs, &node->children[i].seg, PACK_TREE, &key,
				   NULL) == 0 &&
		    !asking_add(&a, &key))
			break;
	asking_end(&a);
}
