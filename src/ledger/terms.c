/*
 * terms.c - what a standing grant or a legal hold covers.
 *
 * Layer 2.  Format: docs/format.md section 7, decisions 6 and 13.
 */
#include <assert.h>

#include "internal.h"

/* A roster message bounds both anyway; these are what fits. */
#define TERMS_CLASSES_MAX PACK_SECTIONS_MAX
#define TERMS_WRITERS_MAX (ROSTER_MAX / sizeof(struct writer_id))

static void
put_writers(struct buf *b, const struct writer_id *writers, size_t n)
{
	assert(n <= TERMS_WRITERS_MAX);
	cbor_put_array(b, n);
	for (size_t i = 0; i < n; i++)
		cbor_put_bytes(b, writers[i].b, sizeof writers[i].b);
}

static void
get_writers(struct cbor_rd *rd, struct writer_id **ret, size_t *ret_n)
{
	size_t n = cbor_get_array(rd, TERMS_WRITERS_MAX);

	*ret = mem_array(n, sizeof **ret);
	*ret_n = n;
	for (size_t i = 0; i < n; i++)
		cbor_get_fixed(rd, (*ret)[i].b, sizeof(*ret)[i].b);
}

void
grant_terms_put(struct buf *b, const struct grant_terms *t)
{
	assert(t->n_classes <= TERMS_CLASSES_MAX);
	cbor_put_array(b, 3);
	object_put_text(b, t->case_ref);
	cbor_put_array(b, t->n_classes);
	for (size_t i = 0; i < t->n_classes; i++)
		object_put_text(b, t->classes[i]);
	put_writers(b, t->writers, t->n_writers);
}

int
grant_terms_parse(struct slice plain, struct grant_terms *ret, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(plain, "terms of a standing grant", err);
	int r;

	*ret = (struct grant_terms){0};
	if (cbor_get_array(&rd, 3) != 3)
		cbor_fail(&rd, "they are not [case, classes, writers]");
	ret->case_ref = cbor_get_text(&rd, ROSTER_MAX);
	ret->n_classes = cbor_get_array(&rd, TERMS_CLASSES_MAX);
	ret->classes = mem_array(ret->n_classes, sizeof *ret->classes);
	for (size_t i = 0; i < ret->n_classes; i++)
		ret->classes[i] = cbor_get_text(&rd, CLASS_NAME_MAX);
	get_writers(&rd, &ret->writers, &ret->n_writers);
	r = cbor_rd_done(&rd);
	if (r < 0)
		grant_terms_fini(ret);
	return r;
}

void
grant_terms_fini(struct grant_terms *t)
{
	free(t->classes);
	free(t->writers);
	*t = (struct grant_terms){0};
}

void
hold_terms_put(struct buf *b, const struct hold_terms *t)
{
	assert(t->from.days <= t->until.days);
	cbor_put_array(b, 4);
	object_put_text(b, t->case_ref);
	put_writers(b, t->writers, t->n_writers);
	cbor_put_text(b, date_format(t->from).s);
	cbor_put_text(b, date_format(t->until).s);
}

static void
get_date(struct cbor_rd *rd, struct date *ret)
{
	if (!date_parse(cbor_get_text(rd, 16), ret))
		cbor_fail(rd, "a date is no date");
}

int
hold_terms_parse(struct slice plain, struct hold_terms *ret, struct err *err)
{
	struct cbor_rd rd = cbor_rd_init(plain, "terms of a legal hold", err);
	int r;

	*ret = (struct hold_terms){0};
	if (cbor_get_array(&rd, 4) != 4)
		cbor_fail(&rd, "they are not [case, writers, from, until]");
	ret->case_ref = cbor_get_text(&rd, ROSTER_MAX);
	get_writers(&rd, &ret->writers, &ret->n_writers);
	get_date(&rd, &ret->from);
	get_date(&rd, &ret->until);
	if (ret->from.days > ret->until.days)
		cbor_fail(&rd, "they end before they begin");
	r = cbor_rd_done(&rd);
	if (r < 0)
		hold_terms_fini(ret);
	return r;
}

void
hold_terms_fini(struct hold_terms *t)
{
	free(t->writers);
	*t = (struct hold_terms){0};
}
