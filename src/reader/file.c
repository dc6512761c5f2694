/*
 * file.c - content: which segment holds which bytes.
 *
 * Layer 3.  Format: docs/format.md section 6.3.
 */
#include "reader/internal.h"

int
file_new(const struct tree_item *file, struct tree_file **ret, struct err *err)
{
	const struct entry *e = &file->entry;
	struct tree_file *f;

	*ret = NULL;
	if (e->type != ENTRY_FILE)
		return err_set(err, ERR_INVALID, "not a regular file");
	if ((e->content.kind == CONTENT_EMPTY && e->size > 0) ||
	    (e->content.kind == CONTENT_INLINE && e->content.bytes.len != e->size))
		return err_set(err, ERR_CORRUPT, "its content is not as long as the file");
	f = mem_alloc(sizeof *f);
	f->tree = tree_ref(file->tree);
	tree_item_copy(file, &f->item);
	f->size = e->size;
	pthread_mutex_init(&f->lock, NULL);
	*ret = f;
	return 0;
}

int
tree_file_open(const struct tree_item *file, struct tree_file **ret, struct err *err)
{
	int r = file_new(file, ret, err);

	if (r == 0)
		folder_note(*ret);
	return r;
}

void
tree_file_close(struct tree_file *f)
{
	if (f == NULL)
		return;
	readahead_end(f);
	for (unsigned i = 0; i < PINS; i++)
		cache_put(&f->tree->reader->nodes, f->pins[i].leaf, false);
	tree_item_fini(&f->item);
	tree_close(f->tree);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

uint64_t
tree_file_size(const struct tree_file *f)
{
	return f->size;
}

/* ---- spans ---- */

void
span_fini(struct tree_file *f, struct span *s)
{
	cache_put(&f->tree->reader->nodes, s->pin, false);
	*s = (struct span){0};
}

static void
span_of_leaf(struct cached *leaf, uint64_t off, uint64_t len, struct span *ret)
{
	*ret = (struct span){.off = off,
			     .len = len,
			     .leaf = &leaf->stream->leaf,
			     .packs = &leaf->stream->packs,
			     .pin = leaf};
}

/* The leaf that this kind of reader used last, when it holds @off too. */
static bool
span_from_pin(struct tree_file *f, uint64_t off, enum leaf_pin which, struct span *ret)
{
	bool found = false;

	pthread_mutex_lock(&f->lock);
	if (f->pins[which].leaf != NULL && off >= f->pins[which].off &&
	    off - f->pins[which].off < f->pins[which].len) {
		cache_ref(&f->tree->reader->nodes, f->pins[which].leaf);
		span_of_leaf(f->pins[which].leaf, f->pins[which].off, f->pins[which].len, ret);
		found = true;
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

static void
remember_leaf(struct tree_file *f, enum leaf_pin which, const struct span *s)
{
	struct cached *before;

	cache_ref(&f->tree->reader->nodes, s->pin);
	pthread_mutex_lock(&f->lock);
	before = f->pins[which].leaf;
	f->pins[which].leaf = s->pin;
	f->pins[which].off = s->off;
	f->pins[which].len = s->len;
	pthread_mutex_unlock(&f->lock);
	cache_put(&f->tree->reader->nodes, before, false);
}

/* Narrows [*off, *off + *len), an inner node's range, to the child's that holds @at. */
static const struct node_ref *
child_at(const struct stream_node *n, uint64_t at, uint64_t *off, uint64_t *len)
{
	uint64_t child_len = stream_child_range(n->height);
	uint64_t i = (at - *off) / child_len;

	/* Children that are missing at the end are one hole. */
	if (i >= n->n_children) {
		*off += n->n_children * child_len;
		*len -= n->n_children * child_len;
		return NULL;
	}
	*off += i * child_len;
	*len = min_u64(child_len, *len - i * child_len);
	return n->children[i].len == 0 ? NULL : &n->children[i];
}

static int
descend(struct tree_file *f, uint64_t at, struct span *ret, struct err *err)
{
	struct cache *nodes = &f->tree->reader->nodes;
	const struct content *content = &f->item.entry.content;
	const struct pack_table *packs = item_packs(&f->item);
	const struct node_ref *ref = &content->root;
	struct cached *node = NULL, *child;
	uint64_t off = 0, len = f->size;

	for (uint32_t height = content->height;; height--) {
		int r = stream_node_get(f->tree, packs, ref, height, len, &child, err);

		/* The reference was the parent's: only now may that go. */
		cache_put(nodes, node, false);
		if (r < 0)
			return r;
		node = child;
		if (height == 0) {
			span_of_leaf(node, off, len, ret);
			return 0;
		}
		packs = &node->stream->packs;
		ref = child_at(node->stream, at, &off, &len);
		if (ref == NULL) {
			cache_put(nodes, node, false);
			*ret = (struct span){.off = off, .len = len};
			return 0;
		}
	}
}

int
file_span(struct tree_file *f, uint64_t off, enum leaf_pin which, struct span *ret, struct err *err)
{
	const struct content *content = &f->item.entry.content;
	int r;

	*ret = (struct span){0};
	if (content->kind == CONTENT_LEAF) {
		*ret = (struct span){.len = f->size,
				     .leaf = &content->leaf,
				     .packs = item_packs(&f->item)};
		return 0;
	}
	if (span_from_pin(f, off, which, ret))
		return 0;
	r = descend(f, off, ret, err);
	if (r == 0 && ret->pin != NULL)
		remember_leaf(f, which, ret);
	return r;
}

/* ---- reading ---- */

static int
copy_extent(struct tree_file *f, const struct span *s, const struct extent *x, uint64_t in,
	    uint8_t *p, size_t len, bool forward, struct err *err)
{
	struct cached_key key;
	struct cached *segment;
	uint64_t from = x->off + in;
	int r;

	if (x->segment == 0) {
		memset(p, 0, len);
		return 0;
	}
	r = segment_key_of(f->tree, s->packs, &s->leaf->segments[x->segment - 1], PACK_DATA, &key,
			   err);
	if (r < 0)
		return r;
	key.streamed = f->item.entry.content.kind == CONTENT_TREE;
	r = cache_get(&f->tree->reader->segments, &key, &segment, err);
	if (r < 0)
		return r;
	/* leaf_get proved it of the length that the segment turned out to have. */
	if (from > segment->plain.len || len > segment->plain.len - from)
		r = err_set(err, ERR_CORRUPT, "pack %s: an extent leads outside of its segment",
			    hex(&key.section->place.id.h).s);
	else
		memcpy(p, segment->plain.p + from, len);
	cache_put(&f->tree->reader->segments, segment, forward && from + len == segment->plain.len);
	return r;
}

/* Copies what of [off, off + len) lies in a span; it begins there. */
static int
copy_span(struct tree_file *f, const struct span *s, uint64_t off, uint8_t *p, size_t len,
	  bool forward, struct err *err)
{
	uint64_t at = s->off;

	if (s->leaf == NULL) {
		memset(p, 0, len);
		return 0;
	}
	for (uint32_t i = 0; i < s->leaf->n_extents && len > 0; i++) {
		const struct extent *x = &s->leaf->extents[i];
		uint64_t in = off - at;
		size_t n;
		int r;

		if (in >= x->len) {
			at += x->len;
			continue;
		}
		n = min_u64(x->len - in, len);
		r = copy_extent(f, s, x, in, p, n, forward, err);
		if (r < 0)
			return r;
		off += n;
		p += n;
		len -= n;
		at += x->len;
	}
	/* leaf_get proved that the extents cover the span. */
	return len == 0 ? 0 : err_set(err, ERR_CORRUPT, "a leaf's extents end early");
}

int
tree_file_read(struct tree_file *f, uint64_t off, void *p, size_t len, size_t *ret_len,
	       struct err *err)
{
	size_t done = 0;
	bool forward;

	*ret_len = 0;
	if (off >= f->size || len == 0)
		return 0;
	len = min_u64(len, f->size - off);
	if (f->item.entry.content.kind == CONTENT_INLINE) {
		memcpy(p, f->item.entry.content.bytes.p + off, len);
		*ret_len = len;
		return 0;
	}

	forward = readahead_note(f, off, len);
	while (done < len) {
		struct span s;
		size_t n;
		int r = file_span(f, off + done, PIN_READ, &s, err);

		if (r < 0)
			return r;
		n = min_u64(len - done, s.off + s.len - (off + done));
		r = copy_span(f, &s, off + done, (uint8_t *)p + done, n, forward, err);
		span_fini(f, &s);
		if (r < 0)
			return r;
		done += n;
	}
	*ret_len = len;
	return 0;
}
