/*
 * details.c - the admin part's plaintext: labels, paths, settings, what could not be read.
 *
 * Layer 2.  Format: docs/format.md section 8.3.
 */
#include <assert.h>
#include <stdio.h>

#include "internal.h"

/* Keys of the part's map; all are required. */
enum details_key {
	KEY_LABELS = 0,
	KEY_PATHS,
	KEY_ZONE,
	KEY_CUTOFF,
	KEY_CLASSES,
	KEY_UNREADABLE,
	KEY_NOTES,
	KEY_TOOL,
	KEY_HASH_KEYS,
	KEY_HOST,
	KEY_SPAN,
	N_KEYS,
};

#define CUTOFF_MAX   (24 * 60 - 1)
#define CLASSES_MAX  (SNAPSHOT_CLASSES_MAX + 1) /* and the excludes */
#define PATTERNS_MAX 65536u

#define NOTES_BYTES_MAX (16u * MIB) /* of one list, so that the part stays below its bound */
#define ESCAPED_MAX     4u          /* bytes that one byte of text may become */
#define NOTE_HEADS_MAX  32u         /* CBOR around a note */
_Static_assert(NOTES_BYTES_MAX / NOTE_HEADS_MAX < SNAPSHOT_LIST_MAX, "they fit one list");

/* ---- writing */

static void
put_bytes(struct buf *b, struct slice bytes)
{
	cbor_put_bytes(b, bytes.p, bytes.len);
}

static void
put_list(struct buf *b, const struct slice *items, size_t n,
	 void (*put)(struct buf *, struct slice))
{
	assert(n <= SNAPSHOT_LIST_MAX);
	cbor_put_array(b, n);
	for (size_t i = 0; i < n; i++)
		put(b, items[i]);
}

/* How many notes a list takes: the first that fit, and room for one more. */
static size_t
notes_that_fit(const struct path_note *notes, size_t n)
{
	size_t i = 0, bytes = 0;

	for (; i < n; i++) {
		bytes += notes[i].path.len + ESCAPED_MAX * notes[i].text.len + NOTE_HEADS_MAX;
		if (bytes > NOTES_BYTES_MAX)
			break;
	}
	return i;
}

static void
put_note(struct buf *b, struct slice path, struct slice text)
{
	cbor_put_array(b, 2);
	put_bytes(b, path);
	object_put_text(b, text);
}

/* A run over a broken disk can have millions of notes; those that don't fit are counted. */
static void
put_notes(struct buf *b, const struct path_note *notes, size_t n)
{
	size_t fit = notes_that_fit(notes, n);
	char rest[64];

	cbor_put_array(b, fit < n ? fit + 1 : n);
	for (size_t i = 0; i < fit; i++)
		put_note(b, notes[i].path, notes[i].text);
	if (fit == n)
		return;
	(void)snprintf(rest, sizeof rest, "%zu more were left out", n - fit);
	put_note(b, slice_str(""), slice_str(rest));
}

static void
put_classes(struct buf *b, const struct snapshot_details *d)
{
	assert(d->n_classes <= CLASSES_MAX);
	cbor_put_array(b, d->n_classes);
	for (size_t i = 0; i < d->n_classes; i++) {
		assert(d->classes[i].n <= PATTERNS_MAX);
		cbor_put_array(b, 2);
		object_put_text(b, d->classes[i].name);
		put_list(b, d->classes[i].patterns, d->classes[i].n, put_bytes);
	}
}

static void
put_hash_keys(struct buf *b, const struct snapshot_details *d)
{
	assert(d->n_hash_keys <= SNAPSHOT_CLASSES_MAX);
	cbor_put_array(b, d->n_hash_keys);
	for (size_t i = 0; i < d->n_hash_keys; i++) {
		cbor_put_array(b, 2);
		object_put_text(b, d->hash_keys[i].name);
		cbor_put_bytes(b, d->hash_keys[i].key.b, sizeof d->hash_keys[i].key.b);
	}
}

static void
put_field(struct buf *b, enum details_key key, const struct snapshot_details *d)
{
	cbor_put_uint(b, key);
	switch (key) {
	case KEY_LABELS:
		assert(d->n_labels % 2 == 0);
		put_list(b, d->labels, d->n_labels, object_put_text);
		break;
	case KEY_PATHS:
		put_list(b, d->paths, d->n_paths, put_bytes);
		break;
	case KEY_ZONE:
		object_put_text(b, d->zone);
		break;
	case KEY_CUTOFF:
		assert(d->cutoff_min >= 0 && d->cutoff_min <= CUTOFF_MAX);
		cbor_put_uint(b, (uint64_t)d->cutoff_min);
		break;
	case KEY_CLASSES:
		put_classes(b, d);
		break;
	case KEY_UNREADABLE:
		put_notes(b, d->unreadable, d->n_unreadable);
		break;
	case KEY_NOTES:
		put_notes(b, d->notes, d->n_notes);
		break;
	case KEY_TOOL:
		object_put_text(b, d->tool);
		break;
	case KEY_HASH_KEYS:
		put_hash_keys(b, d);
		break;
	case KEY_HOST:
		put_bytes(b, d->host);
		break;
	case KEY_SPAN:
		cbor_put_array(b, 2);
		cbor_put_int(b, d->started);
		cbor_put_int(b, d->finished);
		break;
	case N_KEYS:
		break;
	}
}

void
snapshot_details_put(struct buf *b, const struct snapshot_details *d)
{
	cbor_put_map(b, N_KEYS);
	for (int key = 0; key < N_KEYS; key++)
		put_field(b, (enum details_key)key, d);
}

/* ---- reading */

static struct slice
get_text(struct cbor_rd *rd)
{
	return cbor_get_text(rd, SNAPSHOT_PART_MAX);
}

static struct slice
get_bytes(struct cbor_rd *rd)
{
	return cbor_get_bytes(rd, SNAPSHOT_PART_MAX);
}

static struct slice *
get_list(struct cbor_rd *rd, size_t max, struct slice (*get)(struct cbor_rd *), size_t *ret_n)
{
	size_t n = cbor_get_array(rd, max);
	struct slice *items = mem_array(n, sizeof *items);

	for (size_t i = 0; i < n && cbor_ok(rd); i++)
		items[i] = get(rd);
	*ret_n = n;
	return items;
}

/* The head of an array that must have two items. */
static void
get_couple(struct cbor_rd *rd, const char *what)
{
	if (cbor_get_array(rd, 2) != 2)
		cbor_fail(rd, "%s is not an array of two", what);
}

static struct path_note *
get_notes(struct cbor_rd *rd, size_t *ret_n)
{
	size_t n = cbor_get_array(rd, SNAPSHOT_LIST_MAX);
	struct path_note *notes = mem_array(n, sizeof *notes);

	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		get_couple(rd, "a note");
		notes[i].path = get_bytes(rd);
		notes[i].text = get_text(rd);
	}
	*ret_n = n;
	return notes;
}

static void
get_classes(struct cbor_rd *rd, struct snapshot_details *d)
{
	size_t n = cbor_get_array(rd, CLASSES_MAX);

	d->classes = mem_array(n, sizeof *d->classes);
	d->n_classes = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		get_couple(rd, "a class's patterns");
		d->classes[i].name = cbor_get_text(rd, CLASS_NAME_MAX);
		d->classes[i].patterns = get_list(rd, PATTERNS_MAX, get_bytes, &d->classes[i].n);
	}
}

static void
get_hash_keys(struct cbor_rd *rd, struct snapshot_details *d)
{
	size_t n = cbor_get_array(rd, SNAPSHOT_CLASSES_MAX);

	if (n == 0)
		return;
	d->hash_keys = secret_new(n * sizeof *d->hash_keys);
	memset(d->hash_keys, 0, n * sizeof *d->hash_keys);
	d->n_hash_keys = n;
	for (size_t i = 0; i < n && cbor_ok(rd); i++) {
		get_couple(rd, "a hash key");
		d->hash_keys[i].name = cbor_get_text(rd, CLASS_NAME_MAX);
		cbor_get_fixed(rd, d->hash_keys[i].key.b, sizeof d->hash_keys[i].key.b);
	}
}

static void
get_field(struct cbor_rd *rd, uint64_t key, struct snapshot_details *d)
{
	switch (key) {
	case KEY_LABELS:
		d->labels = get_list(rd, SNAPSHOT_LIST_MAX, get_text, &d->n_labels);
		if (d->n_labels % 2 != 0)
			cbor_fail(rd, "a label has no value");
		break;
	case KEY_PATHS:
		d->paths = get_list(rd, SNAPSHOT_LIST_MAX, get_bytes, &d->n_paths);
		break;
	case KEY_ZONE:
		d->zone = get_text(rd);
		break;
	case KEY_CUTOFF:
		d->cutoff_min = (int64_t)cbor_get_uint(rd, CUTOFF_MAX);
		break;
	case KEY_CLASSES:
		get_classes(rd, d);
		break;
	case KEY_UNREADABLE:
		d->unreadable = get_notes(rd, &d->n_unreadable);
		break;
	case KEY_NOTES:
		d->notes = get_notes(rd, &d->n_notes);
		break;
	case KEY_TOOL:
		d->tool = get_text(rd);
		break;
	case KEY_HASH_KEYS:
		get_hash_keys(rd, d);
		break;
	case KEY_HOST:
		d->host = get_bytes(rd);
		break;
	case KEY_SPAN:
		get_couple(rd, "the time it took");
		d->started = object_get_time(rd);
		d->finished = object_get_time(rd);
		break;
	default:
		cbor_skip(rd);
	}
}

int
snapshot_details_parse(struct slice plain, struct snapshot_details **ret, struct err *err)
{
	CLEANUP(snapshot_details_freep)
	struct snapshot_details *d = mem_alloc(sizeof *d);
	struct cbor_rd rd = cbor_rd_init(plain, "admin part", err);
	struct cbor_map m = cbor_get_map(&rd);
	int r;

	*ret = NULL;
	while (cbor_map_next(&rd, &m))
		get_field(&rd, m.key, d);
	cbor_map_need(&rd, &m, KEY_BIT(N_KEYS) - 1);
	r = cbor_rd_done(&rd);
	if (r < 0)
		return r;
	*ret = steal_ptr(&d);
	return 0;
}

void
snapshot_details_free(struct snapshot_details *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_classes; i++)
		free(d->classes[i].patterns);
	free(d->labels);
	free(d->paths);
	free(d->classes);
	free(d->unreadable);
	free(d->notes);
	secret_free(d->hash_keys);
	free(d);
}
