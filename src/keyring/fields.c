/*
 * fields.c - the lines of key files: each known, none twice, each of its form.
 *
 * Messages name file and key and never a value, which may be a secret.
 *
 * Layer 2.  Format: docs/format.md section 3.
 */
#include <stdio.h>

#include "internal.h"

static struct field *
field_of(struct field *fields, size_t n, const struct ini_entry *e)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].section, e->section) == 0 &&
		    strcmp(fields[i].key, e->key) == 0)
			return &fields[i];
	return NULL;
}

int
fields_find(const struct ini *ini, struct field *fields, size_t n, struct err *err)
{
	for (size_t i = 0; i < ini->n; i++) {
		const struct ini_entry *e = &ini->entries[i];
		struct field *f = field_of(fields, n, e);

		if (f == NULL)
			return err_set(err, ERR_INVALID,
				       "%s:%d: no such line belongs in this kind of file",
				       ini->origin, e->line);
		if (f->many)
			continue;
		if (f->value != NULL)
			return err_set(err, ERR_INVALID, "%s:%d: %s is given twice", ini->origin,
				       e->line, f->key);
		f->value = e->value;
	}
	return 0;
}

static int
missing(const struct ini *ini, const struct field *f, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s: %s is missing in [%s]", ini->origin, f->key,
		       f->section);
}

static int
malformed(const struct ini *ini, const struct field *f, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s: %s in [%s] is not of the form it must have",
		       ini->origin, f->key, f->section);
}

int
field_uint(const struct ini *ini, const struct field *f, uint64_t max, uint64_t *ret,
	   struct err *err)
{
	uint64_t v = 0;

	*ret = 0;
	if (f->value == NULL)
		return missing(ini, f, err);
	if (f->value[0] == '\0')
		return malformed(ini, f, err);
	for (const char *c = f->value; *c != '\0'; c++) {
		unsigned digit = (unsigned)(*c - '0');

		if (*c < '0' || *c > '9' || digit > max || v > (max - digit) / 10)
			return malformed(ini, f, err);
		v = v * 10 + digit;
	}
	*ret = v;
	return 0;
}

int
field_version(const struct ini *ini, const struct field *f, struct err *err)
{
	uint64_t version;
	int r = field_uint(ini, f, UINT32_MAX, &version, err);

	if (r < 0)
		return r;
	if (version > 1)
		return err_set(err, ERR_UNSUPPORTED,
			       "%s: it was made by a newer tillfs than this; use that one",
			       ini->origin);
	return version == 1 ? 0 : malformed(ini, f, err);
}

int
field_hex(const struct ini *ini, const struct field *f, void *ret, size_t len, struct err *err)
{
	if (f->value == NULL)
		return missing(ini, f, err);
	if (!hex_parse(slice_str(f->value), ret, len))
		return malformed(ini, f, err);
	return 0;
}

int
field_base64(const struct ini *ini, const struct field *f, void *ret, size_t len, struct err *err)
{
	CLEANUP(buf_wipe) struct buf bytes = BUF_INIT;

	if (f->value == NULL)
		return missing(ini, f, err);
	if (strlen(f->value) > 4 * (len + 2) / 3 + 2)
		return malformed(ini, f, err);
	buf_reserve(&bytes, strlen(f->value)); /* so that no secret is left behind by growing */
	if (!seal_base64_parse(slice_str(f->value), &bytes) || bytes.len != len)
		return malformed(ini, f, err);
	memcpy(ret, bytes.p, len);
	return 0;
}

int
field_public(const struct ini *ini, const struct field *fingerprint, const struct field *public,
	     struct seal_box_pk *ret_box, struct seal_sign_pk *ret_sign, struct fingerprint *ret,
	     struct err *err)
{
	struct fingerprint stated = {0};
	uint8_t keys[PUBLIC_LEN];
	int r;

	r = field_hex(ini, fingerprint, stated.h.b, sizeof stated.h.b, err);
	if (r == 0)
		r = field_base64(ini, public, keys, sizeof keys, err);
	if (r < 0)
		return r;
	memcpy(ret_box->b, keys, sizeof ret_box->b);
	memcpy(ret_sign->b, keys + sizeof ret_box->b, sizeof ret_sign->b);
	seal_fingerprint(ret_box, ret_sign, ret);
	if (!hash_equal(&ret->h, &stated.h))
		return err_set(err, ERR_INVALID,
			       "%s: the fingerprint is not that of the public keys; the file was "
			       "changed",
			       ini->origin);
	return 0;
}

int
pair_open(const struct ini *ini, const struct seal_key *seed, const struct fingerprint *fingerprint,
	  struct seal_pair *ret, struct err *err)
{
	struct fingerprint derived;

	seal_pair_from_seed(seed, ret);
	seal_fingerprint(&ret->box_pk, &ret->sign_pk, &derived);
	if (!hash_equal(&derived.h, &fingerprint->h))
		return err_set(err, ERR_INVALID,
			       "%s: the secret doesn't belong to the public keys; the file was "
			       "changed",
			       ini->origin);
	return 0;
}

bool
pin_parse(const char *text, struct trust_pin *ret)
{
	const size_t repo_len = 2 * sizeof ret->repo.b;
	const size_t founder_len = 2 * sizeof ret->founder.h.b;

	return strlen(text) == repo_len + 1 + founder_len && text[repo_len] == ' ' &&
	       hex_parse(slice_of(text, repo_len), ret->repo.b, sizeof ret->repo.b) &&
	       hex_parse(slice_of(text + repo_len + 1, founder_len), ret->founder.h.b,
			 sizeof ret->founder.h.b);
}

void
line_base64(struct buf *b, const char *key, const void *p, size_t len)
{
	buf_append_str(b, key);
	buf_append_str(b, " = ");
	seal_base64_append(b, slice_of(p, len));
	buf_append_str(b, "\n");
}

void
lines_public(struct buf *b, const struct seal_pair *pair)
{
	struct fingerprint f;
	uint8_t keys[PUBLIC_LEN];

	seal_fingerprint(&pair->box_pk, &pair->sign_pk, &f);
	memcpy(keys, pair->box_pk.b, sizeof pair->box_pk.b);
	memcpy(keys + sizeof pair->box_pk.b, pair->sign_pk.b, sizeof pair->sign_pk.b);
	buf_append_str(b, "fingerprint = ");
	buf_append_str(b, hex(&f.h).s);
	buf_append_str(b, "\n");
	line_base64(b, "public", keys, sizeof keys);
}
