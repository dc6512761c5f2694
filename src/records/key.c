/*
 * key.c - keys as names of files, and back.
 *
 * A value stands there as it is where that can be read back in one way only, which depends on its
 * column's affinity; else a mark says what it is:
 *
 *	%i5     an integer, where text would be expected
 *	%r5.0   a real, the same
 *	%t5     text that looks like a number, or is empty
 *	%x00ff  a blob
 *	%n      NULL
 *	%k17    no value: the row with this rowid
 *	%h…     no value: a hash, since the key is too long for a name
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

void
records_key_fini(struct records_key *k)
{
	free(k->values);
	buf_fini(&k->store);
	*k = (struct records_key){0};
}

/* Values whose bytes lie elsewhere get copies of them. */
static void
set_values(struct records_key *k, const struct db_value *values, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += values[i].b.len;
	k->values = mem_array(n + 1, sizeof *k->values);
	k->n = n;
	buf_reserve(&k->store, len + 1);
	for (unsigned i = 0; i < n; i++) {
		k->values[i] = values[i];
		k->values[i].b.p = k->store.p + k->store.len;
		buf_append(&k->store, values[i].b.p, values[i].b.len);
	}
}

void
records_key_copy(const struct records_key *from, struct records_key *to)
{
	records_key_fini(to);
	to->by_rowid = from->by_rowid;
	to->rowid = from->rowid;
	set_values(to, from->values, from->n);
}

void
key_of_row(const struct records_table *t, const struct db_value *key_values, int64_t rowid,
	   struct records_key *ret)
{
	records_key_fini(ret);
	ret->rowid = rowid;
	ret->by_rowid = t->kind == KEY_ROWID || t->kind == KEY_INTEGER;
	for (unsigned i = 0; i < t->n_key && t->rowid != NULL; i++)
		ret->by_rowid |= key_values[i].type == DB_NULL;
	if (!ret->by_rowid)
		set_values(ret, key_values, t->n_key);
}

/* ---- to text --------------------------------------------------------------------------- */

/* Whether text is just what an integer would be written as. */
static bool
as_integer(struct slice text, int64_t *ret)
{
	char copy[24], again[24];
	char *end;

	if (text.len == 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	errno = 0;
	*ret = strtoll(copy, &end, 10);
	(void)snprintf(again, sizeof again, "%" PRId64, *ret);
	return errno == 0 && strcmp(copy, again) == 0;
}

static bool
as_real(struct slice text, double *ret)
{
	CLEANUP(buf_fini) struct buf again = BUF_INIT;
	struct db_value v = {.type = DB_REAL};
	char copy[40];

	if (text.len == 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	*ret = v.r = strtod(copy, NULL);
	records_json_value(&again, &v);
	return slice_equal(buf_slice(&again), text);
}

static bool
looks_like_number(struct slice text)
{
	int64_t i;
	double r;

	return as_integer(text, &i) || as_real(text, &r);
}

static void
put_value(enum records_affinity affinity, const struct db_value *v, bool first, struct buf *ret)
{
	switch (v->type) {
	case DB_NULL:
		buf_append_str(ret, "%n");
		break;
	case DB_INT:
	case DB_REAL:
		if (affinity == AFFINITY_TEXT)
			buf_append_str(ret, v->type == DB_INT ? "%i" : "%r");
		records_json_value(ret, v);
		break;
	case DB_TEXT:
		if (v->b.len == 0 || (affinity != AFFINITY_TEXT && looks_like_number(v->b))) {
			buf_append_str(ret, "%t");
			first = false;
		}
		name_escape(v->b, first, ret);
		break;
	case DB_BLOB:
		buf_append_str(ret, "%x");
		for (size_t i = 0; i < v->b.len; i++)
			buf_appendf(ret, "%02x", v->b.p[i]);
		break;
	}
}

void
key_put(const struct records_table *t, const struct records_key *key, struct buf *ret)
{
	if (key->by_rowid) {
		buf_appendf(ret, "%s%" PRId64, t->kind == KEY_COLUMNS ? "%k" : "", key->rowid);
		return;
	}
	for (unsigned i = 0; i < key->n && i < t->n_key; i++) {
		if (i > 0)
			buf_append_u8(ret, ',');
		put_value(t->columns[t->key[i]].affinity, &key->values[i], i == 0, ret);
	}
}

void
records_name_of_key(const struct records_table *t, const struct records_key *key, struct buf *ret)
{
	size_t start = ret->len, len;
	CLEANUP(buf_fini) struct buf whole = BUF_INIT;

	key_put(t, key, ret);
	len = ret->len - start;
	if (len > RECORDS_NAME_MAX - strlen(RECORDS_SUFFIX)) {
		buf_append(&whole, ret->p + start, len);
		ret->len = start;
		if (t->rowid != NULL)
			buf_appendf(ret, "%%k%" PRId64, key->rowid);
		else
			name_put_hash(buf_slice(&whole), ret);
	}
	buf_append_str(ret, RECORDS_SUFFIX);
}

/* ---- from text ------------------------------------------------------------------------- */

static bool
parse_hex(struct slice text, struct buf *ret)
{
	if (text.len % 2 != 0)
		return false;
	return text.len == 0 || hex_parse(text, buf_extend(ret, text.len / 2), text.len / 2);
}

/* A value behind a mark. */
static bool
parse_marked(uint8_t mark, struct slice rest, struct db_value *ret, struct buf *bytes)
{
	switch (mark) {
	case 'n':
		ret->type = DB_NULL;
		return rest.len == 0;
	case 'i':
		ret->type = DB_INT;
		return as_integer(rest, &ret->i);
	case 'r':
		ret->type = DB_REAL;
		return as_real(rest, &ret->r);
	case 't':
		ret->type = DB_TEXT;
		return name_unescape(rest, bytes);
	case 'x':
		ret->type = DB_BLOB;
		return parse_hex(rest, bytes);
	default:
		return false;
	}
}

static bool
is_mark(struct slice text)
{
	return text.len >= 2 && text.p[0] == '%' && strchr("nirtx", text.p[1]) != NULL &&
	       text.p[1] != '\0';
}

static bool
parse_value(enum records_affinity affinity, struct slice text, struct db_value *ret,
	    struct buf *bytes)
{
	*ret = (struct db_value){.type = DB_TEXT};
	if (is_mark(text))
		return parse_marked(text.p[1], slice_of(text.p + 2, text.len - 2), ret, bytes);
	if (affinity != AFFINITY_TEXT) {
		if (as_integer(text, &ret->i)) {
			ret->type = DB_INT;
			return true;
		}
		if (as_real(text, &ret->r)) {
			ret->type = DB_REAL;
			return true;
		}
	}
	return name_unescape(text, bytes);
}

/* Takes the text up to the next comma off @text. */
static struct slice
next_part(struct slice *text)
{
	const uint8_t *comma = text->len > 0 ? memchr(text->p, ',', text->len) : NULL;
	struct slice part = *text;

	if (comma != NULL)
		part.len = (size_t)(comma - text->p);
	text->p += comma != NULL ? part.len + 1 : part.len;
	text->len -= comma != NULL ? part.len + 1 : part.len;
	return part;
}

static bool
parse_values(const struct records_table *t, struct slice text, struct records_key *ret)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(freep) struct db_value *values = mem_array(t->n_key + 1, sizeof *values);
	size_t commas = 0, off = 0;

	buf_reserve(&bytes, 1);
	for (size_t i = 0; i < text.len; i++)
		commas += text.p[i] == ',';
	if (commas + 1 != t->n_key)
		return false;
	for (unsigned i = 0; i < t->n_key; i++) {
		size_t before = bytes.len;

		if (!parse_value(t->columns[t->key[i]].affinity, next_part(&text), &values[i],
				 &bytes))
			return false;
		values[i].b.len = bytes.len - before;
	}
	/* Now that they don't move any more. */
	for (unsigned i = 0; i < t->n_key; i++) {
		values[i].b.p = bytes.p + off;
		off += values[i].b.len;
	}
	set_values(ret, values, t->n_key);
	return true;
}

static bool
parse_rowid(const struct records_table *t, struct slice text, struct records_key *ret)
{
	ret->by_rowid = true;
	if (t->rowid == NULL)
		return false;
	if (t->kind == KEY_ROWID || t->kind == KEY_INTEGER)
		return as_integer(text, &ret->rowid);
	return text.len > 2 && memcmp(text.p, "%k", 2) == 0 &&
	       as_integer(slice_of(text.p + 2, text.len - 2), &ret->rowid);
}

static enum records_name_kind
parse_key(const struct records_table *t, struct slice text, struct records_key *ret)
{
	bool rowid = t->kind == KEY_ROWID || t->kind == KEY_INTEGER ||
		     (text.len >= 2 && memcmp(text.p, "%k", 2) == 0);

	records_key_fini(ret);
	if (name_is_hash(text))
		return NAME_HASH;
	if (rowid ? parse_rowid(t, text, ret) : parse_values(t, text, ret))
		return NAME_KEY;
	records_key_fini(ret);
	return NAME_NONE;
}

enum records_name_kind
records_key_parse(const struct records_table *t, struct slice name, struct records_key *ret)
{
	size_t suffix = strlen(RECORDS_SUFFIX);

	records_key_fini(ret);
	if (name.len <= suffix || memcmp(name.p + name.len - suffix, RECORDS_SUFFIX, suffix) != 0)
		return NAME_NONE;
	return parse_key(t, slice_of(name.p, name.len - suffix), ret);
}

int
records_key_of_words(const struct records_table *t, struct slice words, struct records_key *ret,
		     struct err *err)
{
	CLEANUP(buf_fini) struct buf safe = BUF_INIT;
	struct db_value text = {.type = DB_TEXT, .b = words};

	if (parse_key(t, words, ret) == NAME_KEY)
		return 0;
	/* A lone value needn't be escaped by whoever types it. */
	if (t->kind != KEY_ROWID && t->kind != KEY_INTEGER && t->n_key == 1) {
		set_values(ret, &text, 1);
		return 0;
	}
	text_append_safe(&safe, words);
	return err_set(err, ERR_INVALID,
		       "%s is no key of %s: give %u value%s, with commas between them",
		       buf_cstr(&safe), t->name, t->n_key > 0 ? t->n_key : 1,
		       t->n_key > 1 ? "s" : "");
}
