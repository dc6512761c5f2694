/*
 * identity.c - identities: one seed, in clear or under a passphrase, and whom it trusts.
 *
 * Layer 2.  Format: docs/format.md section 3.
 */
#include <assert.h>

#include "internal.h"

#define MEMORY_MIN (8u * MIB) /* what seal_password accepts */
#define MEMORY_MAX (1024u * MIB)
#define OPS_MAX    16u
#define SEALED_LEN (SEAL_KEY_LEN + SEAL_TAG_LEN)
#define TEXT_MAX   2048u /* of a new identity file */

enum identity_field {
	F_VERSION,
	F_FINGERPRINT,
	F_PUBLIC,
	F_SECRET,
	F_SALT,
	F_OPS,
	F_MEMORY,
	F_SEALED,
	F_PINS,
	N_FIELDS,
};

static const struct field identity_fields[N_FIELDS] = {
	[F_VERSION] = {"identity", "version"},
	[F_FINGERPRINT] = {"identity", "fingerprint"},
	[F_PUBLIC] = {"identity", "public"},
	[F_SECRET] = {"identity", "secret"},
	[F_SALT] = {"identity", "salt"},
	[F_OPS] = {"identity", "ops"},
	[F_MEMORY] = {"identity", "memory"},
	[F_SEALED] = {"identity", "sealed"},
	[F_PINS] = {"trust", "repository", .many = true},
};

/* ---- making */

/* The lines that hold the seed, sealed unless the passphrase is empty. */
static int
lines_secret(struct buf *b, const struct seal_key *seed, struct slice passphrase, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *key = secret_new(sizeof *key);
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	uint8_t salt[SEAL_SALT_LEN];
	int r;

	if (passphrase.len == 0) {
		line_base64(b, "secret", seed->b, sizeof seed->b);
		return 0;
	}
	seal_random(salt, sizeof salt);
	r = seal_password(passphrase, salt, SEAL_PASSWORD_OPS, SEAL_PASSWORD_MEMORY, key, err);
	if (r < 0)
		return r;
	seal_encrypt(key, slice_of(seed->b, sizeof seed->b), &sealed);
	line_base64(b, "salt", salt, sizeof salt);
	buf_appendf(b, "ops = %u\nmemory = %u\n", SEAL_PASSWORD_OPS, SEAL_PASSWORD_MEMORY);
	line_base64(b, "sealed", sealed.p, sealed.len);
	return 0;
}

static void
lines_pins(struct buf *b, const struct trust_pin *pins, size_t n)
{
	buf_append_str(b, n > 0 ? "\n[trust]\n" : "");
	for (size_t i = 0; i < n; i++)
		buf_appendf(b, "repository = %s %s\n",
			    hex_bytes(pins[i].repo.b, sizeof pins[i].repo.b).s,
			    hex(&pins[i].founder.h).s);
}

int
identity_recover(const struct recovery *rec, const char *path, struct slice passphrase,
		 struct fingerprint *ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_pair *pair = secret_new(sizeof *pair);
	size_t cap = TEXT_MAX + rec->n_pins * 128;
	CLEANUP(secret_text_fini) struct buf text = secret_text(cap);
	int r;

	*ret = (struct fingerprint){0};
	seal_pair_from_seed(rec->seed, pair);
	buf_append_str(&text, "# A tillfs identity.  Whoever has this file");
	buf_append_str(&text, passphrase.len > 0 ? " and its passphrase" : "");
	buf_append_str(&text, " can read what it can read.\n"
			      "[identity]\n"
			      "version = 1\n");
	lines_public(&text, pair);
	r = lines_secret(&text, rec->seed, passphrase, err);
	if (r < 0)
		return r;
	lines_pins(&text, rec->pins, rec->n_pins);
	assert(text.cap == cap);
	r = key_files_create(path, buf_slice(&text), "identity", pair, err);
	if (r < 0)
		return r;
	seal_fingerprint(&pair->box_pk, &pair->sign_pk, ret);
	return 0;
}

int
identity_create(const char *path, struct slice passphrase, struct fingerprint *ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *seed = secret_new(sizeof *seed);
	struct recovery nothing_but_it = {.seed = seed};

	seal_random(seed->b, sizeof seed->b);
	return identity_recover(&nothing_but_it, path, passphrase, ret, err);
}

/* ---- opening */

static int
unseal(const struct ini *ini, const struct field *f, passphrase_fn *ask, void *arg,
       struct seal_key *ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *key = secret_new(sizeof *key);
	CLEANUP(buf_wipe) struct buf passphrase = BUF_INIT;
	CLEANUP(buf_wipe) struct buf seed = BUF_INIT;
	uint8_t salt[SEAL_SALT_LEN], sealed[SEALED_LEN];
	uint64_t ops = 0, memory = 0;
	int r;

	r = field_base64(ini, &f[F_SALT], salt, sizeof salt, err);
	if (r == 0)
		r = field_uint(ini, &f[F_OPS], OPS_MAX, &ops, err);
	if (r == 0)
		r = field_uint(ini, &f[F_MEMORY], MEMORY_MAX, &memory, err);
	if (r == 0)
		r = field_base64(ini, &f[F_SEALED], sealed, sizeof sealed, err);
	if (r < 0)
		return r;
	if (ops < 1 || memory < MEMORY_MIN)
		return err_set(err, ERR_INVALID, "%s: ops or memory is too small", ini->origin);
	if (ask == NULL)
		return err_set(err, ERR_AUTH, "%s is protected by a passphrase, and none was given",
			       ini->origin);
	r = ask(arg, ini->origin, &passphrase, err);
	if (r == 0 && passphrase.len == 0) /* nothing is sealed with an empty one */
		return err_set(err, ERR_AUTH, "%s: wrong passphrase (an empty one)", ini->origin);
	if (r == 0)
		r = seal_password(buf_slice(&passphrase), salt, (uint32_t)ops, memory, key, err);
	if (r < 0)
		return r;
	if (seal_decrypt(key, slice_of(sealed, sizeof sealed), &seed, NULL) < 0)
		return err_set(err, ERR_AUTH, "%s: wrong passphrase", ini->origin);
	assert(seed.len == sizeof ret->b);
	memcpy(ret->b, seed.p, sizeof ret->b);
	return 0;
}

static int
get_seed(const struct ini *ini, const struct field *f, passphrase_fn *ask, void *arg,
	 struct seal_key *ret, struct err *err)
{
	bool sealed = f[F_SALT].value != NULL || f[F_OPS].value != NULL ||
		      f[F_MEMORY].value != NULL || f[F_SEALED].value != NULL;

	if (f[F_SECRET].value == NULL)
		return unseal(ini, f, ask, arg, ret, err);
	if (sealed)
		return err_set(err, ERR_INVALID, "%s has a secret both in clear and sealed",
			       ini->origin);
	return field_base64(ini, &f[F_SECRET], ret->b, sizeof ret->b, err);
}

static int
get_pins(const struct ini *ini, struct identity *id, struct err *err)
{
	for (size_t i = 0; i < ini->n; i++) {
		const struct ini_entry *e = &ini->entries[i];
		const struct fingerprint *known;
		struct trust_pin pin;

		if (strcmp(e->section, "trust") != 0)
			continue;
		if (!pin_parse(e->value, &pin))
			return err_set(err, ERR_INVALID,
				       "%s:%d: expected a repository's id and its founder's "
				       "fingerprint",
				       ini->origin, e->line);
		known = identity_pin(id, &pin.repo);
		if (known != NULL && !hash_equal(&known->h, &pin.founder.h))
			return err_set(err, ERR_INVALID,
				       "%s:%d: this repository is trusted with two founders",
				       ini->origin, e->line);
		if (known != NULL)
			continue;
		array_reserve(id->pins, id->n_pins, id->cap_pins);
		id->pins[id->n_pins++] = pin;
	}
	return 0;
}

/* @seed: receives what everything is derived from. */
static int
open_parsed(const struct ini *ini, passphrase_fn *ask, void *arg, struct identity *id,
	    struct seal_key *seed, struct err *err)
{
	struct field f[N_FIELDS];
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	int r;

	memcpy(f, identity_fields, sizeof f);
	r = fields_find(ini, f, N_FIELDS, err);
	if (r == 0)
		r = field_version(ini, &f[F_VERSION], err);
	if (r == 0)
		r = field_public(ini, &f[F_FINGERPRINT], &f[F_PUBLIC], &box_pk, &sign_pk,
				 &id->fingerprint, err);
	if (r == 0)
		r = get_pins(ini, id, err);
	if (r == 0)
		r = get_seed(ini, f, ask, arg, seed, err);
	if (r == 0)
		r = pair_open(ini, seed, &id->fingerprint, id->pair, err);
	return r;
}

static int
parse(struct slice text, const char *path, passphrase_fn *ask, void *arg, struct seal_key *seed,
      struct identity **ret, struct err *err)
{
	CLEANUP(identity_freep) struct identity *id = NULL;
	CLEANUP(ini_fini) struct ini ini = {0};
	int r;

	*ret = NULL;
	r = ini_parse(text, path, &ini, err);
	if (r < 0)
		return r;
	id = mem_alloc(sizeof *id);
	id->path = str_copy(path);
	id->pair = secret_new(sizeof *id->pair);
	r = open_parsed(&ini, ask, arg, id, seed, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&id);
	return 0;
}

int
identity_parse(struct slice text, const char *path, passphrase_fn *ask, void *arg,
	       struct identity **ret, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *seed = secret_new(sizeof *seed);

	return parse(text, path, ask, arg, seed, ret, err);
}

int
identity_recovery(const char *path, passphrase_fn *ask, void *arg, struct recovery *ret,
		  struct fingerprint *ret_self, struct err *err)
{
	CLEANUP(secret_text_fini) struct buf text = BUF_INIT;
	CLEANUP(identity_freep) struct identity *id = NULL;
	int r;

	*ret = (struct recovery){.seed = secret_new(sizeof *ret->seed)};
	r = key_file_read(path, &text, err);
	if (r == 0)
		r = parse(buf_slice(&text), path, ask, arg, ret->seed, &id, err);
	if (r != 0) {
		recovery_fini(ret);
		return r;
	}
	*ret_self = id->fingerprint;
	ret->n_pins = id->n_pins;
	ret->pins = steal_ptr(&id->pins);
	return 0;
}

int
identity_open(const char *path, passphrase_fn *ask, void *arg, struct identity **ret,
	      struct err *err)
{
	CLEANUP(secret_text_fini) struct buf text = BUF_INIT;
	int r;

	*ret = NULL;
	r = key_file_read(path, &text, err);
	if (r < 0)
		return r;
	return identity_parse(buf_slice(&text), path, ask, arg, ret, err);
}

void
identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	secret_free(id->pair);
	free(id->pins);
	free(id->path);
	free(id);
}

/* ---- trust */

const struct fingerprint *
identity_pin(const struct identity *id, const struct repo_id *repo)
{
	for (size_t i = 0; i < id->n_pins; i++)
		if (memcmp(id->pins[i].repo.b, repo->b, sizeof repo->b) == 0)
			return &id->pins[i].founder;
	return NULL;
}

/* The pins that stand in the file now, which another process may have extended. */
static int
reread_pins(const struct key_file *file, struct identity *id, bool *ret_in_trust, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int r = ini_parse(buf_slice(&file->text), id->path, &ini, err);

	if (r < 0)
		return r;
	*ret_in_trust = ini.n > 0 && strcmp(ini.entries[ini.n - 1].section, "trust") == 0;
	return get_pins(&ini, id, err);
}

int
identity_add_pin(struct identity *id, const struct trust_pin *pin, struct err *err)
{
	CLEANUP(key_file_fini) struct key_file file = {.lock = -1};
	CLEANUP(buf_fini) struct buf more = BUF_INIT;
	const struct fingerprint *known;
	bool in_trust = false;
	int r;

	r = key_file_hold(id->path, &file, err);
	if (r == 0)
		r = reread_pins(&file, id, &in_trust, err);
	if (r < 0)
		return r;
	known = identity_pin(id, &pin->repo);
	if (known != NULL && hash_equal(&known->h, &pin->founder.h))
		return 0;
	if (known != NULL)
		return err_set(err, ERR_EXISTS,
			       "%s trusts %s as the founder of repository %s, not %s", id->path,
			       hex_short(&known->h).s, hex_bytes(pin->repo.b, sizeof pin->repo.b).s,
			       hex_short(&pin->founder.h).s);
	if (!in_trust)
		buf_append_str(&more, "\n[trust]\n");
	buf_appendf(&more, "repository = %s %s\n", hex_bytes(pin->repo.b, sizeof pin->repo.b).s,
		    hex(&pin->founder.h).s);
	r = key_file_extend(&file, buf_slice(&more), err);
	if (r < 0)
		return r;
	array_reserve(id->pins, id->n_pins, id->cap_pins);
	id->pins[id->n_pins++] = *pin;
	return 0;
}
