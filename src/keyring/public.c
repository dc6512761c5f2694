/*
 * public.c - .pub files: public keys handed from one person to another.
 *
 * Layer 2.  Format: docs/format.md section 3.
 */
#include <stdio.h>

#include "internal.h"

enum public_field { F_VERSION, F_KIND, F_FINGERPRINT, F_PUBLIC, N_FIELDS };

static int
public_keys_from(const struct ini *ini, struct public_keys *ret, struct err *err)
{
	struct field f[N_FIELDS] = {
		[F_VERSION] = {"public", "version"},
		[F_KIND] = {"public", "kind"},
		[F_FINGERPRINT] = {"public", "fingerprint"},
		[F_PUBLIC] = {"public", "public"},
	};
	const char *kind;
	int r;

	r = fields_find(ini, f, N_FIELDS, err);
	if (r == 0)
		r = field_version(ini, &f[F_VERSION], err);
	if (r == 0)
		r = field_public(ini, &f[F_FINGERPRINT], &f[F_PUBLIC], &ret->box_pk, &ret->sign_pk,
				 &ret->fingerprint, err);
	if (r < 0)
		return r;
	kind = f[F_KIND].value;
	if (kind == NULL || (strcmp(kind, "writer") != 0 && strcmp(kind, "identity") != 0))
		return err_set(err, ERR_INVALID, "%s: kind must be writer or identity",
			       ini->origin);
	(void)snprintf(ret->kind, sizeof ret->kind, "%s", kind);
	return 0;
}

int
public_keys_parse(struct slice text, const char *origin, struct public_keys *ret, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	struct public_keys keys = {0};
	int r;

	*ret = keys;
	r = ini_parse(text, origin, &ini, err);
	if (r == 0)
		r = public_keys_from(&ini, &keys, err);
	if (r < 0)
		return r;
	*ret = keys;
	return 0;
}

int
public_keys_read(const char *path, struct public_keys *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	*ret = (struct public_keys){0};
	r = file_read(path, KEY_FILE_MAX, &text, err);
	return r < 0 ? r : public_keys_parse(buf_slice(&text), path, ret, err);
}
