/*
 * folder.c - who opens one file of a folder after the other finds the next ones' segments opened
 * ahead: copying a tree of small files then decrypts on one core while it writes on the other.
 *
 * The entries that follow are in the directory leaf that the opened file came from, and say where
 * their content lies.  Files with a stream of their own are left to readahead.c.
 *
 * With a distant store order doesn't matter: `cp -a` opens files in the order of their inode
 * numbers, and what counts is that somebody opens more than one.  Then the rest of the leaf's files
 * is asked for at once, in the order in which it is stored, as far as there is room for it.
 *
 * Layer 3.
 */
#include "reader/internal.h"

#define FOLDER_AHEAD  (UINT64_C(1) * MIB) /* of file content */
#define FOLDER_STREAK 2u                  /* files in a row that make somebody copy a folder */
#define FOLDER_SKIP   8u                  /* links and the like, between two files */

/* Where in a leaf somebody is; taken over from the walk that moved longest ago. */
static struct folder_walk *
walk_of_locked(struct folder_walks *w, const struct dir_node *node)
{
	struct folder_walk *oldest = &w->walks[0];

	for (size_t i = 0; i < ARRAY_LEN(w->walks); i++) {
		if (w->walks[i].node == node)
			return &w->walks[i];
		if (w->walks[i].moved < oldest->moved)
			oldest = &w->walks[i];
	}
	*oldest = (struct folder_walk){.node = node};
	return oldest;
}

/* Queues what an entry's small content lies in. */
static void
open_entry_ahead(struct tree_file *f, const struct entry *e)
{
	struct reader *r = f->tree->reader;

	if (e->type != ENTRY_FILE || e->content.kind != CONTENT_LEAF)
		return;
	for (uint32_t i = 0; i < e->content.leaf.n_segments; i++) {
		struct cached_key key;

		/* What is wrong is told to who reads it. */
		if (segment_key_of(f->tree, item_packs(&f->item), &e->content.leaf.segments[i],
				   PACK_DATA, &key, NULL) == 0 &&
		    !cache_has(&r->segments, &key))
			pool_push(r, &key);
	}
}

/* Stored bytes of a small file. */
static uint64_t
stored_len(const struct entry *e)
{
	uint64_t len = 0;

	if (e->type == ENTRY_FILE && e->content.kind == CONTENT_LEAF)
		for (uint32_t i = 0; i < e->content.leaf.n_segments; i++)
			len += e->content.leaf.segments[i].stored_len;
	return min_u64(len, e->size); /* shared segments count for what is of this file */
}

static void
ask_entry(struct tree *t, const struct pack_table *packs, const struct entry *e, struct asking *a)
{
	struct cached_key key;

	if (e->type != ENTRY_FILE || e->content.kind != CONTENT_LEAF)
		return;
	for (uint32_t i = 0; i < e->content.leaf.n_segments; i++)
		if (segment_key_of(t, packs, &e->content.leaf.segments[i], PACK_DATA, &key, NULL) ==
		    0)
			(void)asking_add(a, &key); /* without a limit of its own */
}

/* A leaf's files, from where the walk is, as far as there is room.  Return: the room left. */
static uint64_t
ask_leaf_locked(struct tree *t, const struct dir_node *node, struct folder_walk *walk,
		uint64_t room, struct asking *a)
{
	while (walk->asked < node->n && walk->asked_bytes < walk->used_bytes + room) {
		struct entry e;

		dir_node_entry(node, walk->asked++, &e);
		walk->asked_bytes += stored_len(&e);
		ask_entry(t, &node->packs, &e, a);
		entry_fini(&e);
	}
	return walk->used_bytes + room - min_u64(walk->asked_bytes, walk->used_bytes + room);
}

/* The rest of the leaf's files, and those of the leaf behind it. */
static void
ask_rest_locked(struct tree_file *f, struct folder_walk *walk)
{
	struct reader *r = f->tree->reader;
	uint64_t room = transfer_room(r->transfer);
	struct asking a = {.reader = r};
	struct cached *beside = NULL;

	walk->used_bytes += stored_len(&f->item.entry);
	if (room == 0 || ++walk->opened < FOLDER_STREAK)
		return;
	room = ask_leaf_locked(f->tree, f->item.node, walk, room, &a);
	if (room > 0 && f->item.pin != NULL)
		beside = cache_beside(&r->nodes, f->item.pin);
	if (beside != NULL) {
		walk = walk_of_locked(&r->walks, beside->dir);
		walk->opened = FOLDER_STREAK;
		walk->moved = ++r->walks.clock;
		(void)ask_leaf_locked(f->tree, beside->dir, walk, room, &a);
		cache_put(&r->nodes, beside, false);
	}
	asking_end(&a);
}

/* Moves a walk to the @i-th entry, a file of @size bytes.  Return: whether it goes forward. */
static bool
advance_locked(struct folder_walk *walk, uint32_t i, uint64_t size)
{
	bool forward = i >= walk->next && i - walk->next <= FOLDER_SKIP;

	walk->streak = forward ? walk->streak + 1 : 1;
	if (!forward || walk->looked <= i) {
		walk->looked = i + 1;
		walk->ahead = 0;
	} else {
		walk->ahead -= min_u64(walk->ahead, size);
	}
	walk->next = i + 1;
	return walk->streak >= FOLDER_STREAK;
}

void
folder_note(struct tree_file *f)
{
	struct folder_walks *w = &f->tree->reader->walks;
	const struct dir_node *node = f->item.node;
	struct folder_walk *walk;
	uint32_t i;

	if (node == NULL || node->kind != NODE_DIR_LEAF)
		return;
	i = dir_node_find(node, f->item.entry.name);
	if (i == UINT32_MAX)
		return;

	pthread_mutex_lock(&w->lock);
	walk = walk_of_locked(w, node);
	walk->moved = ++w->clock;
	ask_rest_locked(f, walk);
	if (advance_locked(walk, i, f->size)) {
		while (walk->looked < node->n && walk->ahead < FOLDER_AHEAD) {
			struct entry e;

			dir_node_entry(node, walk->looked++, &e);
			walk->ahead += e.size;
			open_entry_ahead(f, &e);
			entry_fini(&e);
		}
	}
	pthread_mutex_unlock(&w->lock);
}
